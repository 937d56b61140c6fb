//! The promises of the codecs: vectors, independent judges, and parsers that never panic.

#![allow(clippy::print_stdout, reason = "each vector test says how many vectors it ran")]

mod event;
mod filter;
mod judge;
mod keys;
mod nip04;
mod nip19;
mod nip44;
mod nip46;
mod nip49;
mod total;
mod uri;

use bunker_core::keys::{PublicKey, TransportSecret};
use frost_wasm_core::secret::Secret32;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Randomness that is the same in every run.
fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn secret(hex: &str) -> Secret32 {
    Secret32::from_hex(hex).expect("64 hex characters")
}

fn transport(hex: &str) -> TransportSecret {
    TransportSecret::from_secret(&secret(hex)).expect("in range")
}

fn public(hex: &str) -> PublicKey {
    hex.parse().expect("64 hex characters")
}

fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}
