//! Any group of up to ten holders, any threshold, any subset in any order. A failing case prints its seed, and is
//! kept to be run first the next time.
#![allow(missing_docs)]

mod common;

use common::{context, parts, peer, rng, split};
use frost_wasm_core::{
    frost::{
        ecdh, keygen,
        sign::{self, Commitment, Contribution},
    },
    group::{HolderIndex, HolderRole},
    sealed::{Dek, SealedShare},
    secret::Secret32,
    share::KeyShare,
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};
use rand_chacha::ChaCha20Rng;

/// One signature by all of `signers`: the first coordinates, the last commits and signs in one call.
fn sign_by(signers: &[&KeyShare], message: &[u8; 32], rng: &mut ChaCha20Rng) -> [u8; 64] {
    let (coordinator, rest) = signers.split_first().unwrap();
    let (last, middle) = rest.split_last().unwrap();
    let (nonces, commitment) = sign::commit(coordinator, rng).unwrap();
    let mut commitments: Vec<(HolderIndex, Commitment)> = vec![(coordinator.index(), commitment)];
    let mut held = Vec::new();
    for share in middle {
        let (nonces, commitment) = sign::commit(share, rng).unwrap();
        commitments.push((share.index(), commitment));
        held.push((*share, nonces));
    }
    let finished = sign::sign_last(last, 0, message, &commitments, rng).unwrap();
    commitments.push((finished.index, finished.commitment));
    let mut contributions: Vec<Contribution> = vec![finished];
    for (share, nonces) in held {
        let others: Vec<_> = commitments.iter().copied().filter(|(i, _)| *i != share.index()).collect();
        contributions.push(sign::sign_committed(nonces, share, 0, message, &others).unwrap());
    }
    sign::finish(nonces, coordinator, message, &contributions).unwrap()
}

/// A threshold, a number of holders, and `threshold` of them in some order.
fn shape() -> impl Strategy<Value = (u16, u16, Vec<usize>)> {
    (2u16..=10).prop_flat_map(|holders| (2..=holders, Just(holders))).prop_flat_map(|(threshold, holders)| {
        let all: Vec<usize> = (0..usize::from(holders)).collect();
        let subset = Just(all).prop_shuffle().prop_map(move |mut order| {
            order.truncate(usize::from(threshold));
            order
        });
        (Just(threshold), Just(holders), subset)
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/properties.regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_threshold_of_any_group_signs_what_the_judge_accepts(
        (threshold, holders, subset) in shape(), seed: u64, message: [u8; 32]
    ) {
        let mut rng = rng(seed);
        let (public, shares) = split(keygen::fresh_secret(&mut rng), threshold, holders, &mut rng);
        let signers: Vec<_> = subset.iter().map(|i| &shares[*i]).collect();
        let signature = sign_by(&signers, &message, &mut rng);
        let signature = secp256k1::schnorr::Signature::from_byte_array(signature);
        let key = secp256k1::XOnlyPublicKey::from_byte_array(*public.pubkey.as_bytes()).unwrap();
        prop_assert!(secp256k1::SECP256K1.verify_schnorr(&signature, &message, &key).is_ok());
    }

    #[test]
    fn any_threshold_of_any_group_has_the_whole_keys_ecdh(
        (threshold, holders, subset) in shape(), seed: u64
    ) {
        let mut rng = rng(seed);
        let secret = keygen::fresh_secret(&mut rng);
        let whole = secp256k1::SecretKey::from_byte_array(*secret.expose_secret()).unwrap();
        let (public, shares) = split(secret, threshold, holders, &mut rng);
        let (_, peer) = peer(seed.wrapping_add(1));
        let signers: Vec<_> = subset.iter().map(|i| &shares[*i]).collect();
        let parts = parts(&signers, &peer, &context(&public), &mut rng);
        let shared = ecdh::combine_verified(shares[0].group(), &peer, &context(&public), &parts).unwrap();
        let x_only = secp256k1::XOnlyPublicKey::from_byte_array(*peer.pubkey().as_bytes()).unwrap();
        let point = x_only.public_key(secp256k1::Parity::Even);
        let expected = secp256k1::ecdh::shared_secret_point(&point, &whole);
        prop_assert_eq!(&shared.expose_secret()[..], &expected[..32]);
    }

    #[test]
    fn any_holder_numbers_make_a_group_that_signs_and_assembles(
        numbers in proptest::collection::btree_set(1..=u16::MAX, 2..=10), seed: u64
    ) {
        let mut rng = rng(seed);
        let holders: Vec<_> =
            numbers.iter().rev().map(|n| (HolderIndex::new(*n).unwrap(), HolderRole::Device)).collect();
        let secret = keygen::fresh_secret(&mut rng);
        let id = frost_wasm_core::group::GroupId::random(&mut rng);
        let threshold = u16::try_from(holders.len()).unwrap();
        let (public, shares) = keygen::split(secret, id, &holders, threshold, &mut rng).unwrap();
        let all: Vec<_> = shares.iter().collect();
        sign_by(&all, &[1; 32], &mut rng);
        let whole = keygen::assemble_whole_key_on_device(&shares).unwrap();
        let key = k256::schnorr::SigningKey::from_bytes(whole.expose_secret()).unwrap();
        prop_assert_eq!(<[u8; 32]>::from(key.verifying_key().to_bytes()), *public.pubkey.as_bytes());
    }

    #[test]
    fn a_sealed_share_opens_only_where_it_was_sealed(seed: u64, holder in 1u16..=3, epoch: u32) {
        let mut rng = rng(seed);
        let (mut public, shares) = split(keygen::fresh_secret(&mut rng), 2, 3, &mut rng);
        public.epoch = epoch;
        let secret = shares[usize::from(holder) - 1].expose_signing_share();
        let share = KeyShare::new(&public, common::index(holder), secret).unwrap();
        let dek = Dek::from_secret(Secret32::random(&mut rng));
        let sealed = SealedShare::seal(&share, &dek, "kek", vec![], &mut rng).unwrap();
        for other in 1..=3 {
            prop_assert_eq!(sealed.open(&dek, &public, common::index(other)).is_ok(), other == holder);
        }
        public.epoch = epoch.wrapping_add(1);
        prop_assert!(sealed.open(&dek, &public, common::index(holder)).is_err());
    }

    #[test]
    fn parsers_take_any_text_without_panicking(text in "\\PC{0,140}") {
        let _ = ecdh::Peer::from_hex(&text);
        let _ = text.parse::<Commitment>();
        let _ = text.parse::<frost_wasm_core::point::Point>();
        let _ = text.parse::<frost_wasm_core::group::GroupId>();
        let _ = Secret32::from_hex(&text);
    }
}
