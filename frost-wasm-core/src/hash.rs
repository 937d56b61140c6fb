//! BIP-340's tagged hash.

use sha2::{Digest, Sha256};

/// SHA-256 that has taken in `SHA256(tag) || SHA256(tag)`.
pub(crate) fn tagged(tag: &str) -> Sha256 {
    let tag = Sha256::digest(tag.as_bytes());
    Sha256::new().chain_update(tag).chain_update(tag)
}
