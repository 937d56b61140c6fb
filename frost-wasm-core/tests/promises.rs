//! What the threshold core promises when everybody is honest, judged by an independent implementation.
#![allow(missing_docs)]

mod common;

use common::{MESSAGE, context, group, index, judge_accepts, parts, peer, rng, sign_two, split};
use frost_wasm_core::{
    frost::{ecdh, keygen},
    group::{GroupPublic, HolderIndex},
    provision::{self, ReceivingKey, SHARE_PURPOSE},
    sealed::{Dek, Label, SealedBytes, SealedShare},
    secret::Secret32,
    share::KeyShare,
};

/// The whole key's ECDH, as the independent implementation does it.
fn judge_ecdh(whole: &Secret32, peer: &ecdh::Peer) -> [u8; 32] {
    let secret = secp256k1::SecretKey::from_byte_array(*whole.expose_secret()).unwrap();
    let x_only = secp256k1::XOnlyPublicKey::from_byte_array(*peer.pubkey().as_bytes()).unwrap();
    let point = x_only.public_key(secp256k1::Parity::Even);
    secp256k1::ecdh::shared_secret_point(&point, &secret)[..32].try_into().unwrap()
}

#[test]
fn every_pair_of_a_two_of_three_group_signs_for_its_key() {
    for seed in 0..8 {
        let (public, shares) = group(2, 3, seed);
        let mut rng = rng(seed);
        for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            let signature = sign_two(&shares[a], &shares[b], &MESSAGE, &mut rng);
            assert!(judge_accepts(&public, &MESSAGE, signature));
        }
    }
}

#[test]
fn a_split_key_keeps_its_public_key_whatever_the_parity_of_its_y() {
    let mut parities = [0; 2];
    for seed in 0..16 {
        let mut rng = rng(seed);
        let secret = keygen::fresh_secret(&mut rng);
        let judge = secp256k1::SecretKey::from_byte_array(*secret.expose_secret()).unwrap();
        let (x_only, parity) = judge.x_only_public_key(secp256k1::SECP256K1);
        parities[usize::from(parity == secp256k1::Parity::Odd)] += 1;
        let (public, shares) = split(secret, 2, 3, &mut rng);
        assert_eq!(*public.pubkey.as_bytes(), x_only.serialize());
        let signature = sign_two(&shares[0], &shares[1], &MESSAGE, &mut rng);
        assert!(judge_accepts(&public, &MESSAGE, signature));
    }
    assert!(parities.iter().all(|n| *n > 0), "both parities must have been met");
}

#[test]
fn combined_ecdh_is_the_whole_keys_ecdh_and_the_peers() {
    for seed in 0..8 {
        let mut rng = rng(seed);
        let secret = keygen::fresh_secret(&mut rng);
        let copy = Secret32::from_slice(secret.expose_secret()).unwrap();
        let (public, shares) = split(secret, 2, 3, &mut rng);
        let (peer_secret, peer) = peer(seed + 100);
        let context = context(&public);
        let parts = parts(&[&shares[2], &shares[0]], &peer, &context, &mut rng);
        let group = shares[0].group();
        let verified = ecdh::combine_verified(group, &peer, &context, &parts).unwrap();
        let unverified = ecdh::combine_unverified(group, &context, &parts).unwrap();
        assert_eq!(verified.expose_secret(), unverified.expose_secret());
        assert_eq!(*verified.expose_secret(), judge_ecdh(&copy, &peer));
        let group_as_peer = ecdh::Peer::new(public.pubkey).unwrap();
        assert_eq!(*verified.expose_secret(), judge_ecdh(&peer_secret, &group_as_peer));
    }
}

#[test]
fn a_person_leaves_with_the_key_of_their_public_key() {
    let mut rng = rng(4);
    let (public, shares) = group(3, 5, 4);
    let whole = keygen::assemble_whole_key_on_device(&shares[1..4]).unwrap();
    let judge = secp256k1::SecretKey::from_byte_array(*whole.expose_secret()).unwrap();
    assert_eq!(judge.x_only_public_key(secp256k1::SECP256K1).0.serialize(), *public.pubkey.as_bytes());
    let (again, _) = split(whole, 2, 3, &mut rng);
    assert_eq!(again.pubkey, public.pubkey);
}

#[test]
fn a_sealed_share_survives_storage_and_still_signs() {
    let mut rng = rng(5);
    let (public, shares) = group(2, 3, 5);
    let dek = Dek::generate(&mut rng);
    let sealed = SealedShare::seal(&shares[1], &dek, "kek-1", vec![1, 2, 3], &mut rng).unwrap();
    let stored = serde_json::to_string(&sealed).unwrap();
    let loaded: SealedShare = serde_json::from_str(&stored).unwrap();
    let public: GroupPublic = serde_json::from_str(&serde_json::to_string(&public).unwrap()).unwrap();
    let opened = loaded.open(&dek, &public, index(2)).unwrap();
    let signature = sign_two(&shares[0], &opened, &MESSAGE, &mut rng);
    assert!(judge_accepts(&public, &MESSAGE, signature));
}

#[test]
fn a_sealed_transport_secret_opens_under_its_own_label() {
    let mut rng = rng(6);
    let (public, _) = group(2, 3, 6);
    let dek = Dek::generate(&mut rng);
    let label = Label { group: public.group, holder: index(1), purpose: "transport", id: &[7; 16] };
    let sealed = SealedBytes::seal(&dek, &label, &[3; 32], &mut rng).unwrap();
    assert_eq!(sealed.open(&dek, &label).unwrap().expose_secret(), [3; 32]);
}

#[test]
fn a_share_provisioned_to_a_holder_becomes_that_holders_share() {
    let mut rng = rng(7);
    let (public, shares) = group(2, 3, 7);
    let receiver = ReceivingKey::from_secret(&Secret32::random(&mut rng)).unwrap();
    let secret = shares[1].expose_signing_share();
    let package =
        provision::seal(&receiver.public(), SHARE_PURPOSE, b"statement", secret.expose_secret(), &mut rng).unwrap();
    let opened = receiver.open(SHARE_PURPOSE, b"statement", &package).unwrap();
    let received = KeyShare::new(&public, index(2), opened.into_fixed().unwrap()).unwrap();
    let signature = sign_two(&received, &shares[0], &MESSAGE, &mut rng);
    assert!(judge_accepts(&public, &MESSAGE, signature));
}

#[test]
fn public_facts_have_the_agreed_text_form() {
    let (public, _) = group(2, 3, 8);
    let json: serde_json::Value = serde_json::to_value(&public).unwrap();
    assert_eq!(json["group"].as_str().unwrap().len(), 32);
    assert_eq!(json["pubkey"].as_str().unwrap().len(), 64);
    assert_eq!(json["holders"][0]["verifying_share"].as_str().unwrap().len(), 66);
    assert_eq!(json["holders"][0]["index"], 1);
    assert_eq!(json["holders"][0]["role"], "bunker");
    let _: HolderIndex = serde_json::from_str("3").unwrap();
}
