//! What a person's own device does, with every secret that never leaves it: the owner key is made and signs here,
//! keys are split here, kits are made and opened here, and a released key comes together here.
//!
//! Shared by the command-line client and, as WASM, by the page's vault. Pure: time and randomness are arguments, the
//! network and files are the caller's. What goes wrong is a [`Failure`] with a stable code and words for people; none
//! quotes a secret or what a person typed.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

#[cfg(target_arch = "wasm32")]
pub mod bindings;
pub mod ceremony;
pub mod connection;
pub mod contribution;
pub mod enrolment;
pub mod export;
mod failure;
pub mod handover;
pub mod holders;
pub mod kit;
pub mod owner;
pub mod password;
pub mod secret_key;
pub mod shares;
pub mod split;
pub mod vault;

pub use failure::Failure;

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    /// A moment.
    pub(crate) const NOW_S: u64 = 1_790_000_000;

    /// Randomness that is the same in every run.
    pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(seed)
    }
}
