//! The core as it runs in the Worker and the browser: wasm32, under Node.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs)]

mod cast;
mod common;

use cast::Cast;
use common::{MESSAGE, context, group, index, parts, peer, rng, sign_two, split};
use frost_wasm_core::{
    frost::{ecdh, keygen, sign},
    provision::{self, ReceivingKey, SHARE_PURPOSE},
    sealed::{Dek, SealedShare},
    secret::Secret32,
    share::KeyShare,
};
use k256::schnorr::{Signature, VerifyingKey};
use rand_core::OsRng;
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn a_key_is_split_and_signed_for_in_wasm() {
    for seed in 0..4 {
        let (public, shares) = group(2, 3, seed);
        let signature = sign_two(&shares[0], &shares[1], &MESSAGE, &mut rng(seed));
        let key = VerifyingKey::from_bytes(public.pubkey.as_bytes()).unwrap();
        let signature = Signature::try_from(&signature[..]).unwrap();
        key.verify_raw(&MESSAGE, &signature).unwrap();
    }
}

#[wasm_bindgen_test]
fn a_ceremony_makes_a_group_that_signs_in_wasm() {
    let keygen = Cast::keygen(2, 3, 1);
    let transcript = keygen.run(1);
    assert_eq!(transcript.failure(), None);
    let shares = keygen.take_shares(&transcript);
    sign_two(&shares[0], &shares[2], &MESSAGE, &mut rng(1));
    let from = transcript.group().unwrap();
    let reshare = Cast::reshare(from, shares, &[1, 3], &[1, 2, 3], 2, 2);
    let transcript = reshare.run(2);
    let shares = reshare.take_shares(&transcript);
    sign_two(&shares[1], &shares[2], &MESSAGE, &mut rng(2));
}

#[wasm_bindgen_test]
fn the_hosts_randomness_signs_in_wasm() {
    let (_, shares) = group(2, 3, 9);
    let (nonces, commitment) = sign::commit(&shares[0], &mut OsRng).unwrap();
    let theirs = sign::sign_last(&shares[2], 0, &MESSAGE, &[(index(1), commitment)], &mut OsRng).unwrap();
    sign::finish(nonces, &shares[0], &MESSAGE, &[theirs]).unwrap();
}

#[wasm_bindgen_test]
fn ecdh_with_proofs_agrees_with_the_peer_in_wasm() {
    let (public, shares) = group(2, 3, 5);
    let (peer_secret, peer) = peer(6);
    let context = context(&public);
    let mut parts = parts(&[&shares[0], &shares[2]], &peer, &context, &mut rng(5));
    let shared = ecdh::combine_verified(shares[0].group(), &peer, &context, &parts).unwrap();

    // The peer's side, through a group of its own.
    let (peer_public, peer_shares) = split(peer_secret, 2, 2, &mut rng(7));
    let us = ecdh::Peer::new(public.pubkey).unwrap();
    let their_context = common::context(&peer_public);
    let their_parts = common::parts(&[&peer_shares[0], &peer_shares[1]], &us, &their_context, &mut rng(8));
    let theirs = ecdh::combine_verified(peer_shares[0].group(), &us, &their_context, &their_parts).unwrap();
    assert_eq!(shared.expose_secret(), theirs.expose_secret());

    parts[1].proof = parts[0].proof;
    let result = ecdh::combine_verified(shares[0].group(), &peer, &context, &parts).map(|_| ());
    assert_eq!(result, Err(ecdh::EcdhError::Culprits(vec![index(3)])));
}

#[wasm_bindgen_test]
fn shares_are_sealed_and_provisioned_in_wasm() {
    let mut rng = rng(10);
    let (public, shares) = group(2, 3, 10);
    let receiver = ReceivingKey::from_secret(&Secret32::random(&mut rng)).unwrap();
    let secret = shares[1].expose_signing_share();
    let package = provision::seal(&receiver.public(), SHARE_PURPOSE, b"id", secret.expose_secret(), &mut rng).unwrap();
    let opened = receiver.open(SHARE_PURPOSE, b"id", &package).unwrap();
    let received = KeyShare::new(&public, index(2), opened.into_fixed().unwrap()).unwrap();

    let dek = Dek::generate(&mut rng);
    let sealed = SealedShare::seal(&received, &dek, "kek", vec![], &mut rng).unwrap();
    let stored: SealedShare = serde_json::from_str(&serde_json::to_string(&sealed).unwrap()).unwrap();
    let loaded = stored.open(&dek, &public, index(2)).unwrap();
    assert!(stored.open(&dek, &public, index(1)).is_err());
    let whole = keygen::assemble_whole_key_on_device(&[loaded, received]);
    assert!(whole.is_err(), "one holder's share twice is still one share");
}
