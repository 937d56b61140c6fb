//! What operators of a deployment may do, free of I/O: who they are, the seal, changes by two people, and the
//! deployment's audit chain.
//!
//! Nothing here reads a clock, draws global randomness or stores anything. A step reads the
//! [`state::DeploymentState`] and gives mutations and a reply, or mutations and a refusal: a refusal is recorded, too.
//! The shell commits the mutations before it answers. Out of scope: what a group's owner decides (`bunker-core`).

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod audit;
pub mod command;
pub mod ids;
pub mod lease;
pub mod machine;
#[cfg(feature = "openapi")]
mod openapi;
pub mod operator;
pub mod proposal;
pub mod refusal;
pub mod rotation;
pub mod rows;
pub mod seal;
pub mod state;
pub mod text;
pub mod token;
pub mod wire;
