//! The promises of the machines: two holders that judge for themselves, act together, and record before they
//! release. Each test is named by what is kept or by what must not happen.
//!
//! `SEED=<number>` runs every world again as it was when one failed.

#![allow(clippy::print_stderr, reason = "a failed world says which seed it ran from")]

mod approvals;
mod attacks;
mod connections;
mod device;
mod judge;
mod leaving;
mod methods;
mod misbehaviour;
mod promises;
mod relay;
mod reshare;
mod secrecy;
mod simulation;
mod statements;
mod storage;
mod team;
mod world;
