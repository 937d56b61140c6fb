//! The password stays on the device: what is sent and what is stored give neither it nor the owner secret.
#![allow(missing_docs)]

mod common;

use std::sync::LazyLock;

use common::rng;
use frost_wasm_core::{
    frost::keygen,
    kdf::{KdfError, KdfParams, Stretched},
    login::{LoginError, LoginKeys, OwnerBlobKey},
    point::XOnlyKey,
    secret::Secret32,
};

const PARAMS: KdfParams = KdfParams::with_salt([4; 16]);

static KEYS: LazyLock<LoginKeys> = LazyLock::new(|| LoginKeys::derive("p\u{e4}ssword", &PARAMS).unwrap());

fn owner() -> (Secret32, XOnlyKey) {
    let secret = keygen::fresh_secret(&mut rng(1));
    let key = k256::schnorr::SigningKey::from_bytes(secret.expose_secret()).unwrap();
    let public = XOnlyKey::from_bytes(key.verifying_key().to_bytes().into());
    (secret, public)
}

#[test]
fn the_owner_secret_comes_back_out_of_its_blob() {
    let (secret, public) = owner();
    let blob = KEYS.seal_owner_blob(&secret, &mut rng(2)).unwrap();
    assert!(KEYS.open_owner_blob(&public, &blob).unwrap().ct_eq(&secret));
}

#[test]
fn a_blob_of_another_owner_does_not_open() {
    let (secret, public) = owner();
    let other = keygen::fresh_secret(&mut rng(3));
    let blob = KEYS.seal_owner_blob(&other, &mut rng(2)).unwrap();
    assert_eq!(KEYS.open_owner_blob(&public, &blob).unwrap_err(), LoginError::DoesNotOpen);
    drop(secret);
}

#[test]
fn the_login_secret_is_64_hex_characters_and_depends_on_password_and_salt() {
    let secret = KEYS.login_secret().expose_secret();
    assert_eq!(secret.len(), 64);
    let other_salt = LoginKeys::derive("p\u{e4}ssword", &KdfParams::with_salt([5; 16])).unwrap();
    assert_ne!(other_salt.login_secret().expose_secret(), secret);
    let other_password = LoginKeys::derive("password", &PARAMS).unwrap();
    assert_ne!(other_password.login_secret().expose_secret(), secret);
}

#[test]
fn a_password_typed_with_combining_marks_is_the_same_password() {
    let decomposed = LoginKeys::derive("pa\u{308}ssword", &PARAMS).unwrap();
    assert_eq!(decomposed.login_secret().expose_secret(), KEYS.login_secret().expose_secret());
}

#[test]
fn the_login_secret_is_pinned() {
    // Changing the derivation locks every person out: this value may only change with a new version.
    let expected = include_str!("vectors/login_secret.txt").trim();
    assert_eq!(KEYS.login_secret().expose_secret(), expected);
}

#[test]
fn a_server_cannot_ask_for_a_cheaper_login_secret() {
    let cheap = KdfParams { log_n: 10, ..PARAMS };
    let refused = LoginError::Kdf(KdfError::CostOutOfBounds { log_n: 10, r: 8, p: 1 });
    assert_eq!(LoginKeys::derive("password", &cheap).unwrap_err(), refused);
}

#[test]
fn an_unknown_blob_version_is_refused_by_its_number() {
    assert_eq!(KEYS.open_owner_blob(&owner().1, "Ag==").unwrap_err(), LoginError::UnknownVersion(2));
}

#[test]
fn a_password_stretched_elsewhere_gives_the_same_keys() {
    let elsewhere = PARAMS.stretch("p\u{e4}ssword").unwrap();
    let key = Secret32::from_slice(elsewhere.expose_secret().expose_secret()).unwrap();
    let keys = LoginKeys::from_stretched(&Stretched::from_secret(key, PARAMS).unwrap()).unwrap();
    assert_eq!(keys.login_secret().expose_secret(), KEYS.login_secret().expose_secret());
    let cheap = KdfParams { log_n: 16, ..PARAMS };
    assert!(matches!(
        Stretched::from_secret(Secret32::from_bytes([1; 32]), cheap).unwrap_err(),
        KdfError::CostOutOfBounds { log_n: 16, .. }
    ));
}

#[test]
fn a_passkey_opens_its_own_blob_and_nothing_else() {
    let (secret, public) = owner();
    let prf = Secret32::from_bytes([9; 32]);
    let key = OwnerBlobKey::from_passkey(&prf).unwrap();
    let blob = key.seal(&secret, &mut rng(2)).unwrap();
    assert!(key.open(&public, &blob).unwrap().ct_eq(&secret));
    let other = OwnerBlobKey::from_passkey(&Secret32::from_bytes([8; 32])).unwrap();
    assert_eq!(other.open(&public, &blob).unwrap_err(), LoginError::DoesNotOpen);
    assert_eq!(KEYS.open_owner_blob(&public, &blob).unwrap_err(), LoginError::DoesNotOpen);
    let of_password = KEYS.seal_owner_blob(&secret, &mut rng(2)).unwrap();
    assert_eq!(key.open(&public, &of_password).unwrap_err(), LoginError::DoesNotOpen);
    assert_eq!(format!("{key:?}"), "OwnerBlobKey(<redacted>)");
}
