//! A dealer's value on its way to one receiver, past the coordinator.
//!
//! The randomness of the sealing comes from a seed of its own for each receiver. A dealer that is accused shows value
//! and seed, and everybody can seal again and compare: so it shows what it handed out, and not what it would have
//! liked to have handed out. The seed opens this one value and nothing else.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{package::PartyKeys, terms::ValidTerms};
use crate::{provision, secret::Secret32};

/// The purpose under which a value travels. `aad`: digest of the terms, dealer, receiver.
const VALUE_PURPOSE: &[u8] = b"passport/v1/ceremony/value";

/// Seals a dealer's value to a receiver. The same seed gives the same bytes.
pub(super) fn seal(
    terms: &ValidTerms,
    dealer: u16,
    receiver: u16,
    value: &Secret32,
    seed: &Secret32,
) -> Option<String> {
    let to = &terms.party(receiver)?.receiving;
    let rng = &mut ChaCha20Rng::from_seed(*seed.expose_secret());
    provision::seal(to, VALUE_PURPOSE, &aad(terms, dealer, receiver), value.expose_secret(), rng).ok()
}

/// Opens what a dealer sealed to this receiver.
pub(super) fn open(terms: &ValidTerms, dealer: u16, receiver: u16, keys: &PartyKeys, sealed: &str) -> Option<Secret32> {
    keys.receiving.open(VALUE_PURPOSE, &aad(terms, dealer, receiver), sealed).ok()?.into_fixed()
}

fn aad(terms: &ValidTerms, dealer: u16, receiver: u16) -> Vec<u8> {
    [terms.digest().as_slice(), &dealer.to_be_bytes(), &receiver.to_be_bytes()].concat()
}
