//! What the holders do together once each has judged for itself: the bunker begins and finishes, the cosigner
//! contributes in between, in one call. Where devices contribute and one is not enough, a [`Gathering`] keeps what came
//! until all of it is there.
//!
//! The bunker's nonces live in [`Pending`] while it waits and are moved out of it at the end; the cosigner commits
//! and signs in one step. Nothing here is ever stored. A failure names the holder that caused it and releases
//! nothing.
//!
//! Out of scope: whether an operation may be done at all, which each holder's `session` has decided before.

mod bunker;
mod cosigner;
mod device;
mod gathering;
mod wire;

pub use self::{
    bunker::{Pending, begin, finish},
    cosigner::{ContributeError, OTHER_EPOCH, contribute},
    device::contribute_among,
    gathering::{Asked, Gathering, NotTaken, Taken},
    wire::{ContributionReply, ContributionRequest, WireError},
};
