//! The Durable Objects: where shares live and requests are answered.
//!
//! [`bunker`] is one group's bunker with its relay socket, [`cosigner`] one cosigner's share. Both keep a
//! [`holder`]: the session machine's state, the keys while they are [`opened`], and the store that the state is
//! written to before anything is released. A key is used under a [`lease`] of the one [`deployment`] only. All calls between objects are typed in [`rpc`]. Nothing here decides about a request.

pub mod bunker;
pub mod ceremony;
pub mod cosigner;
pub mod deployment;
#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod guard;
mod holder;
pub mod lease;
pub mod meter;
mod opened;
mod party;
mod problems;
mod rows;
pub mod rpc;
mod sink;
mod sockets;
mod store;
