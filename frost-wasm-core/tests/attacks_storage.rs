//! One test per attack on what is stored and on what travels to a holder.
#![allow(missing_docs)]

mod common;

use common::{group, index, rng};
use frost_wasm_core::{
    group::GroupPublic,
    provision::{self, ProvisionError, ReceivingKey, ReceivingPublic, SHARE_PURPOSE, TRANSPORT_PURPOSE},
    sealed::{Dek, Label, SealError, SealedBytes, SealedShare},
    secret::Secret32,
    share::KeyShare,
};

struct Stored {
    public: GroupPublic,
    shares: Vec<KeyShare>,
    dek: Dek,
    sealed: SealedShare,
}

/// Holder 2's share, sealed.
fn stored(seed: u64) -> Stored {
    let mut rng = rng(seed);
    let (public, shares) = group(2, 3, seed);
    let dek = Dek::generate(&mut rng);
    let sealed = SealedShare::seal(&shares[1], &dek, "kek", vec![1], &mut rng).unwrap();
    Stored { public, shares, dek, sealed }
}

fn fails(result: Result<KeyShare, SealError>) {
    assert_eq!(result.unwrap_err(), SealError::DoesNotOpen);
}

#[test]
fn a_sealed_share_does_not_open_for_another_holder() {
    let s = stored(1);
    fails(s.sealed.open(&s.dek, &s.public, index(1)));
    fails(s.sealed.open(&s.dek, &s.public, index(3)));
}

#[test]
fn a_sealed_share_does_not_open_for_another_group() {
    let (s, other) = (stored(2), stored(3));
    fails(s.sealed.open(&s.dek, &other.public, index(2)));
    // Even a group with the same shares and another id.
    let renamed = GroupPublic { group: other.public.group, ..s.public.clone() };
    fails(s.sealed.open(&s.dek, &renamed, index(2)));
}

#[test]
fn a_sealed_share_of_an_older_epoch_does_not_open_in_a_newer_one() {
    let s = stored(4);
    fails(s.sealed.open(&s.dek, &GroupPublic { epoch: 1, ..s.public.clone() }, index(2)));
}

#[test]
fn a_sealed_share_does_not_open_under_another_data_key() {
    let s = stored(5);
    fails(s.sealed.open(&Dek::generate(&mut rng(6)), &s.public, index(2)));
}

#[test]
fn an_altered_sealed_share_does_not_open() {
    let s = stored(7);
    for position in 0..s.sealed.ciphertext.len() {
        let mut altered = s.sealed.clone();
        altered.ciphertext[position] ^= 1;
        fails(altered.open(&s.dek, &s.public, index(2)));
    }
    let mut altered = s.sealed.clone();
    altered.nonce[0] ^= 1;
    fails(altered.open(&s.dek, &s.public, index(2)));
    let mut cut = s.sealed.clone();
    cut.ciphertext.truncate(16);
    fails(cut.open(&s.dek, &s.public, index(2)));
}

#[test]
fn an_unknown_version_parses_and_is_refused_by_its_number() {
    let s = stored(8);
    let mut json = serde_json::to_value(&s.sealed).unwrap();
    json["v"] = 9.into();
    json["algorithm"] = "later".into();
    let sealed: SealedShare = serde_json::from_value(json).unwrap();
    let result = sealed.open(&s.dek, &s.public, index(2));
    assert_eq!(result.unwrap_err(), SealError::UnknownVersion(9));

    let later = SealedBytes { v: 2, nonce: [0; 24], ciphertext: vec![] };
    let label = Label { group: s.public.group, holder: index(1), purpose: "transport", id: &[] };
    assert_eq!(later.open(&s.dek, &label).unwrap_err(), SealError::UnknownVersion(2));
}

#[test]
fn a_sealed_share_in_storage_does_not_contain_the_share() {
    let s = stored(9);
    let text = serde_json::to_string(&s.sealed).unwrap();
    assert!(!text.contains(s.shares[1].expose_signing_share().to_hex().expose_secret()));
}

#[test]
fn a_sealed_secret_does_not_open_under_any_other_label() {
    let mut rng = rng(10);
    let (s, other) = (stored(10), stored(11));
    let label = Label { group: s.public.group, holder: index(1), purpose: "transport", id: &[7; 16] };
    let sealed = SealedBytes::seal(&s.dek, &label, &[3; 32], &mut rng).unwrap();
    for wrong in [
        Label { group: other.public.group, ..label },
        Label { holder: index(2), ..label },
        Label { purpose: "transpor", ..label },
        Label { id: &[8; 16], ..label },
        Label { id: &[7; 15], ..label },
    ] {
        assert_eq!(sealed.open(&s.dek, &wrong).unwrap_err(), SealError::DoesNotOpen);
    }
}

#[test]
fn the_border_between_purpose_and_id_cannot_be_moved() {
    let s = stored(12);
    let label = Label { group: s.public.group, holder: index(1), purpose: "ab", id: b"cd" };
    let sealed = SealedBytes::seal(&s.dek, &label, b"secret", &mut rng(12)).unwrap();
    let moved = Label { purpose: "abc", id: b"d", ..label };
    assert_eq!(sealed.open(&s.dek, &moved).unwrap_err(), SealError::DoesNotOpen);
    let long = "p".repeat(256);
    let result = SealedBytes::seal(&s.dek, &Label { purpose: &long, ..label }, b"secret", &mut rng(12));
    assert_eq!(result.unwrap_err(), SealError::TooLong);
}

#[test]
fn a_sealed_share_does_not_pass_for_a_sealed_secret_or_the_other_way() {
    let s = stored(13);
    let label = Label { group: s.public.group, holder: index(2), purpose: "share", id: &[] };
    let as_bytes = SealedBytes { v: 1, nonce: s.sealed.nonce, ciphertext: s.sealed.ciphertext.clone() };
    assert_eq!(as_bytes.open(&s.dek, &label).unwrap_err(), SealError::DoesNotOpen);
    // The label whose bytes read like a share's epoch: only the domains keep these two apart.
    let lookalike = Label { purpose: "", id: &[0, 0, 0], ..label };
    assert_eq!(as_bytes.open(&s.dek, &lookalike).unwrap_err(), SealError::DoesNotOpen);
    let secret = s.shares[1].expose_signing_share();
    let bytes = SealedBytes::seal(&s.dek, &lookalike, secret.expose_secret(), &mut rng(13)).unwrap();
    let as_share = SealedShare { nonce: bytes.nonce, ciphertext: bytes.ciphertext, ..s.sealed.clone() };
    fails(as_share.open(&s.dek, &s.public, index(2)));
}

#[test]
fn two_seals_of_one_share_have_nothing_in_common() {
    let s = stored(14);
    let again = SealedShare::seal(&s.shares[1], &s.dek, "kek", vec![1], &mut rng(99)).unwrap();
    assert_ne!(again.nonce, s.sealed.nonce);
    assert_ne!(again.ciphertext, s.sealed.ciphertext);
}

// --- packages to a holder

fn receiver(seed: u64) -> ReceivingKey {
    ReceivingKey::from_secret(&Secret32::random(&mut rng(seed))).unwrap()
}

#[test]
fn a_package_opens_only_for_its_receiver_purpose_and_statement() {
    let to = receiver(1);
    let package = provision::seal(&to.public(), SHARE_PURPOSE, b"statement", &[5; 32], &mut rng(2)).unwrap();
    assert_eq!(to.open(SHARE_PURPOSE, b"statement", &package).unwrap().expose_secret(), [5; 32]);
    for result in [
        receiver(3).open(SHARE_PURPOSE, b"statement", &package),
        to.open(TRANSPORT_PURPOSE, b"statement", &package),
        to.open(SHARE_PURPOSE, b"statemenu", &package),
        to.open(SHARE_PURPOSE, b"", &package),
    ] {
        assert_eq!(result.unwrap_err(), ProvisionError::DoesNotOpen);
    }
}

#[test]
fn a_malformed_package_is_refused_as_that() {
    let to = receiver(4);
    for package in ["", "AAAA", "not base64!", "QUFB QUFB"] {
        assert_eq!(to.open(SHARE_PURPOSE, b"", package).unwrap_err(), ProvisionError::Malformed);
    }
}

#[test]
fn a_receiver_of_low_order_gets_nothing() {
    let low = ReceivingPublic::from_bytes([0; 32]);
    let result = provision::seal(&low, SHARE_PURPOSE, b"", &[5; 32], &mut rng(5));
    assert_eq!(result.unwrap_err(), ProvisionError::BadReceiver);
}

#[test]
fn a_package_with_an_encapsulated_key_of_low_order_does_not_open() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let package = STANDARD.encode([0; 64]);
    let result = receiver(6).open(SHARE_PURPOSE, b"", &package);
    assert_eq!(result.unwrap_err(), ProvisionError::DoesNotOpen);
}
