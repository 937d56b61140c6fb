//! The Durable Objects: where shares live and requests are answered.
//!
//! [`bunker`] is one group's bunker with its relay socket, [`cosigner`] one cosigner's share. Both keep a
//! [`holder`]: the session machine's state, the opened share, and the store that the state is written to before
//! anything is released. All calls between objects are typed in [`rpc`]. Nothing here decides about a request.

pub mod bunker;
pub mod ceremony;
pub mod cosigner;
#[cfg(feature = "fault-injection")]
pub mod faults;
pub mod guard;
mod holder;
pub mod meter;
mod party;
mod problems;
mod rows;
pub mod rpc;
mod sockets;
mod store;
