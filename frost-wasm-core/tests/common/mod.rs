//! Groups to test with. Randomness is seeded, so a failure replays.
#![allow(dead_code, missing_docs, unreachable_pub)]

use frost_wasm_core::{
    frost::{
        ecdh::{self, Context, PartialEcdh, Peer, Purpose},
        keygen, sign,
    },
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    secret::Secret32,
    share::KeyShare,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

pub const MESSAGE: [u8; 32] = [0x5a; 32];

pub fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub fn index(i: u16) -> HolderIndex {
    HolderIndex::new(i).unwrap()
}

pub fn split(secret: Secret32, threshold: u16, holders: u16, rng: &mut ChaCha20Rng) -> (GroupPublic, Vec<KeyShare>) {
    let roles = [HolderRole::Bunker, HolderRole::Cosigner, HolderRole::Recovery];
    let holders: Vec<_> =
        (1..=holders).map(|i| (index(i), *roles.get(usize::from(i) - 1).unwrap_or(&HolderRole::Device))).collect();
    keygen::split(secret, GroupId::random(rng), &holders, threshold, rng).unwrap()
}

pub fn group(threshold: u16, holders: u16, seed: u64) -> (GroupPublic, Vec<KeyShare>) {
    let mut rng = rng(seed);
    split(keygen::fresh_secret(&mut rng), threshold, holders, &mut rng)
}

/// Signs with any subset: the first commits and finishes. All but the last also go through `sign_last` in 2-of-n.
pub fn sign_two(first: &KeyShare, second: &KeyShare, message: &[u8; 32], rng: &mut ChaCha20Rng) -> [u8; 64] {
    let (nonces, commitment) = sign::commit(first, rng).unwrap();
    let epoch = first.group().epoch;
    let theirs = sign::sign_last(second, epoch, message, &[(first.index(), commitment)], rng).unwrap();
    sign::finish(nonces, first, message, &[theirs]).unwrap()
}

pub fn context(public: &GroupPublic) -> Context {
    Context { group: public.group, epoch: public.epoch, session: [9; 32], purpose: Purpose::Nip44 }
}

/// A peer with its secret.
pub fn peer(seed: u64) -> (Secret32, Peer) {
    let mut rng = rng(seed);
    let secret = keygen::fresh_secret(&mut rng);
    let key = k256::schnorr::SigningKey::from_bytes(secret.expose_secret()).unwrap();
    let hex = hex::encode(key.verifying_key().to_bytes());
    (secret, Peer::from_hex(&hex).unwrap())
}

pub fn parts(shares: &[&KeyShare], peer: &Peer, context: &Context, rng: &mut ChaCha20Rng) -> Vec<PartialEcdh> {
    shares.iter().map(|share| ecdh::contribute(share, peer, context, rng).unwrap()).collect()
}

/// Whether an independent implementation takes the signature.
#[cfg(not(target_arch = "wasm32"))]
pub fn judge_accepts(public: &GroupPublic, message: &[u8; 32], signature: [u8; 64]) -> bool {
    let key = secp256k1::XOnlyPublicKey::from_byte_array(*public.pubkey.as_bytes()).unwrap();
    let signature = secp256k1::schnorr::Signature::from_byte_array(signature);
    secp256k1::SECP256K1.verify_schnorr(&signature, message, &key).is_ok()
}
