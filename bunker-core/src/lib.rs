//! The bunker's protocol rules, free of I/O.
//!
//! Codecs turn what arrives from outside into types that cannot be wrong: Nostr events and filters
//! ([NIP-01]), payload encryption ([NIP-44], [NIP-04]), encrypted keys ([NIP-49]), identifiers ([NIP-19])
//! and remote-signing messages and URIs ([NIP-46]). The machines built on them decide who may have what signed.
//!
//! Nothing here reads a clock, draws global randomness, opens a socket or holds a share of a group's
//! key: times and random sources are arguments.
//!
//! [NIP-01]: https://github.com/nostr-protocol/nips/blob/master/01.md
//! [NIP-04]: https://github.com/nostr-protocol/nips/blob/master/04.md
//! [NIP-19]: https://github.com/nostr-protocol/nips/blob/master/19.md
//! [NIP-44]: https://github.com/nostr-protocol/nips/blob/master/44.md
//! [NIP-46]: https://github.com/nostr-protocol/nips/blob/master/46.md
//! [NIP-49]: https://github.com/nostr-protocol/nips/blob/master/49.md

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod approval;
pub mod audit;
pub mod event;
pub mod export;
pub mod filter;
pub mod grant;
pub mod joint;
pub mod keys;
pub mod limits;
pub mod members;
pub mod nip04;
pub mod nip19;
pub mod nip44;
pub mod nip46;
pub mod nip49;
pub mod policy;
pub mod proof;
pub mod relay;
pub mod replay;
pub mod reshare;
pub mod session;
pub mod statement;
pub mod uri;
