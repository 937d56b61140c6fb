//! The session machine: what one holder of one group decides, and what it remembers.
//!
//! Every server-side holder runs this machine over the client's own signed request, so that each decides for
//! itself: the bunker to answer ([`HolderState::receive`], [`HolderState::complete`]), the cosigner to contribute
//! ([`HolderState::contribute`]). All three go through one judgement of the same rules.
//!
//! Where the rules say to ask the owner, the bunker holds the request. Its shell gives it to
//! [`HolderState::receive`] again after every statement about its connection and when its time is over
//! ([`HolderState::next_due_s`]): it is then carried out, answered, or goes on waiting.
//!
//! The machine is free of I/O. A step reads the state and gives mutations and an effect; [`HolderState::apply`]
//! is the only writer. The shell commits all mutations of a step in one transaction before it runs the effect,
//! so nothing is released that is not recorded. A holder's rows in storage are its mutations: loading is
//! applying them again.
//!
//! <https://github.com/nostr-protocol/nips/blob/master/46.md>

mod coordinator;
mod cosigner;
mod device;
mod epochs;
mod export;
mod holding;
mod induction;
mod judgement;
mod refusal;
mod state;
mod statements;

use rand_core::{CryptoRng, RngCore};

pub use self::{
    coordinator::{Admission, Answer, BunkerEffect, Failure, Received},
    cosigner::CosignerEffect,
    device::{DeviceHolder, DeviceJudgement, DeviceMemory, DeviceRefused, Evidence},
    epochs::{Entered, ReshareRefused},
    induction::{Induction, InductionRefused},
    judgement::{Operation, Unreadable},
    refusal::Refusal,
    state::{Custody, HolderState, Identity, LastStatement, Mutation},
    statements::{Rules, StatementRefused},
};

/// What a step may use of the world.
#[derive(Debug)]
pub struct Ctx<'a, R: RngCore + CryptoRng> {
    /// The holder's clock, Unix milliseconds.
    pub now_ms: u64,
    /// Randomness for reply nonces and signatures.
    pub rng: &'a mut R,
}

impl<R: RngCore + CryptoRng> Ctx<'_, R> {
    /// The holder's clock, Unix seconds.
    pub fn now_s(&self) -> u64 {
        self.now_ms / 1000
    }
}

/// What a step decided.
#[derive(Debug)]
#[must_use = "mutations have to be committed before the effect is run"]
pub struct Step<E> {
    /// To be committed together, in order.
    pub mutations: Vec<Mutation>,
    /// To be run afterwards.
    pub effect: E,
}
