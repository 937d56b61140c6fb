//! Passport's threshold core.
//!
//! It guards one thing: a Nostr key that exists only as shares. It splits a key on the owner's device, makes
//! BIP-340 signatures and ECDH points out of any `threshold` shares, and seals shares at rest, in transit and in
//! the recovery kit. It knows no Nostr protocol, no storage, no clock and no global randomness: callers pass the
//! random generator in.
//!
//! ```
//! use frost_wasm_core::{
//!     frost::{keygen, sign},
//!     group::{GroupId, HolderIndex, HolderRole},
//! };
//! # use rand_core::OsRng;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let holders = [
//!     (HolderIndex::new(1)?, HolderRole::Bunker),
//!     (HolderIndex::new(2)?, HolderRole::Cosigner),
//!     (HolderIndex::new(3)?, HolderRole::Recovery),
//! ];
//! let secret = keygen::fresh_secret(&mut OsRng);
//! let (_, shares) = keygen::split(secret, GroupId::random(&mut OsRng), &holders, 2, &mut OsRng)?;
//! let [bunker, cosigner, _recovery] = shares.as_slice() else { unreachable!() };
//!
//! // One round trip: the bunker commits, the cosigner commits and signs in one call, the bunker finishes.
//! let message = [7; 32];
//! let (nonces, commitment) = sign::commit(bunker, &mut OsRng)?;
//! let theirs = sign::sign_last(cosigner, 0, &message, &[(bunker.index(), commitment)], &mut OsRng)?;
//! let signature = sign::finish(nonces, bunker, &message, &[theirs])?;
//! assert_eq!(signature.len(), 64);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod ceremony;
mod encoding;
pub mod frost;
pub mod group;
mod hash;
pub mod kdf;
pub mod kit;
pub mod login;
pub mod point;
pub mod provision;
pub mod sealed;
pub mod secret;
pub mod share;

pub use encoding::EncodingError;
