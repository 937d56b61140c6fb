use bunker_core::keys::PublicKey;
use http::HeaderMap;

use super::*;
use crate::auth::address::Address;
use crate::auth::sign_in::tests::{ALICE, Fixture, T0_MS, code, draw, now};
use crate::auth::username::Username;
use crate::auth::webauthn::tests::Authenticator;
use crate::config::Environment;
use crate::storage::AccountRecord;

const BOB: &str = "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2";

fn url() -> PublicUrl {
    PublicUrl::parse(Some("https://passport.test".to_owned()), Environment::Development).unwrap()
}

fn caller(account: &str) -> Caller {
    Caller {
        account: account.to_owned(),
        username: Username::parse(if account == ALICE { "alice" } else { "bob" }).unwrap(),
        owner: PublicKey::from_bytes([2; 32]),
        session: "5e".repeat(16),
        authenticated_at_ms: T0_MS,
    }
}

/// Bob beside Alice, who has one passkey.
fn fixture() -> (Fixture, Authenticator) {
    let it = Fixture::new();
    let alice = it.store.accounts.borrow()[0].clone();
    let bob = AccountRecord { account: BOB.into(), username: "bob".into(), owner_pubkey: "03".repeat(32), ..alice };
    it.store.accounts.borrow_mut().push(bob);
    let key = Authenticator::es256();
    add(&it, ALICE, &key).unwrap();
    (it, key)
}

fn challenge_for(it: &Fixture, account: Option<&str>, now_ms: u64) -> String {
    now(challenge(&it.store, account, crate::platform::random_bytes(), now_ms)).unwrap()
}

fn add_with(it: &Fixture, account: &str, key: &Authenticator, challenge: &str) -> Result<String, Problem> {
    let (client_data, attestation_object) = key.register(challenge);
    let asked = Registration {
        challenge,
        credential_id: &key.credential_id,
        client_data: &client_data,
        attestation_object: &attestation_object,
        label: "phone".to_owned(),
        owner_blob: Some("sealed".to_owned()),
    };
    let now_ms = it.guard.now_ms.get();
    now(register(&it.store, &url(), &caller(account), asked, crate::platform::random_bytes(), now_ms))
}

fn add(it: &Fixture, account: &str, key: &Authenticator) -> Result<String, Problem> {
    add_with(it, account, key, &challenge_for(it, Some(account), it.guard.now_ms.get()))
}

/// Signs in with the user handle of `account`, answering `challenge`.
fn enter_with(it: &Fixture, account: Option<&str>, key: &Authenticator, challenge: &str) -> Result<String, Problem> {
    let [client_data, authenticator_data, signature] = key.sign(challenge);
    let handle = account.map(|account| hex::decode(account).unwrap());
    let asked = Use {
        challenge,
        credential_id: &key.credential_id,
        user_handle: handle.as_deref(),
        assertion: Assertion {
            client_data: &client_data,
            authenticator_data: &authenticator_data,
            signature: &signature,
        },
    };
    let address = Address::of(&HeaderMap::new());
    let entered = now(sign_in(&it.desk(), &url(), asked, &address, (None, None), draw()));
    entered.map(|(signed_in, _)| signed_in.account.username)
}

fn enter(it: &Fixture, key: &Authenticator) -> Result<String, Problem> {
    enter_with(it, Some(ALICE), key, &challenge_for(it, None, it.guard.now_ms.get()))
}

fn again(it: &Fixture, account: &str, key: &Authenticator) -> Result<(), Problem> {
    let challenge = challenge_for(it, None, T0_MS);
    let [client_data, authenticator_data, signature] = key.sign(&challenge);
    let handle = hex::decode(ALICE).unwrap();
    let asked = Use {
        challenge: &challenge,
        credential_id: &key.credential_id,
        user_handle: Some(&handle),
        assertion: Assertion {
            client_data: &client_data,
            authenticator_data: &authenticator_data,
            signature: &signature,
        },
    };
    now(reauthenticate(&it.desk(), &url(), &caller(account), asked))
}

#[test]
fn a_passkey_signs_its_own_account_in_and_is_given_with_its_blob() {
    let (it, key) = fixture();
    assert_eq!(enter(&it, &key).unwrap(), "alice");
    let passkey = it.store.passkeys.borrow()[0].clone();
    assert_eq!((passkey.owner_blob.as_deref(), passkey.last_used_at_ms), (Some("sealed"), Some(T0_MS)));
}

#[test]
fn a_challenge_is_good_for_one_try_and_for_five_minutes() {
    let (it, key) = fixture();
    let challenge = challenge_for(&it, None, T0_MS);
    assert!(enter_with(&it, Some(ALICE), &key, &challenge).is_ok());
    assert_eq!(code(enter_with(&it, Some(ALICE), &key, &challenge)), "passkey_refused");
    // A failed try spends it too.
    let challenge = challenge_for(&it, None, T0_MS);
    assert_eq!(code(enter_with(&it, Some(BOB), &key, &challenge)), "passkey_refused");
    assert_eq!(code(enter_with(&it, Some(ALICE), &key, &challenge)), "passkey_refused");
    let challenge = challenge_for(&it, None, T0_MS);
    it.guard.now_ms.set(T0_MS + CHALLENGE_LIFETIME_MS);
    assert_eq!(code(enter_with(&it, Some(ALICE), &key, &challenge)), "passkey_refused");
}

#[test]
fn attack_20_a_strangers_guess_does_not_use_up_anybodys_challenge() {
    let (it, key) = fixture();
    let challenge = challenge_for(&it, None, T0_MS);
    for guess in ["", "AAAA", &challenge[1..], &challenge.to_lowercase()] {
        assert_eq!(code(enter_with(&it, Some(ALICE), &key, guess)), "passkey_refused");
    }
    assert!(enter_with(&it, Some(ALICE), &key, &challenge).is_ok());
}

#[test]
fn challenges_of_one_kind_are_of_no_use_for_the_other() {
    let (it, key) = fixture();
    let for_new = challenge_for(&it, Some(ALICE), T0_MS);
    assert_eq!(code(enter_with(&it, Some(ALICE), &key, &for_new)), "passkey_refused");
    let mut other = Authenticator::es256();
    other.credential_id = vec![0xc2; 16];
    let for_use = challenge_for(&it, None, T0_MS);
    let problem = add_with(&it, ALICE, &other, &for_use).unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.code()), (403, "passkey_refused"));
    let of_bob = challenge_for(&it, Some(BOB), T0_MS);
    assert_eq!(code(add_with(&it, ALICE, &other, &of_bob)), "passkey_refused");
    assert_eq!(it.store.passkeys.borrow().len(), 1);
}

#[test]
fn a_passkey_never_opens_another_account() {
    let (it, key) = fixture();
    for handle in [Some(BOB), None] {
        let challenge = challenge_for(&it, None, T0_MS);
        assert_eq!(code(enter_with(&it, handle, &key, &challenge)), "passkey_refused");
    }
    let problem = again(&it, BOB, &key).unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.code()), (403, "passkey_refused"));
    assert!(again(&it, ALICE, &key).is_ok());
}

#[test]
fn a_copy_of_a_passkey_that_counts_is_noticed() {
    let (it, mut key) = fixture();
    key.sign_count = 5;
    assert!(enter(&it, &key).is_ok());
    assert_eq!(code(enter(&it, &key)), "passkey_refused");
    key.sign_count = 4;
    assert_eq!(code(enter(&it, &key)), "passkey_refused");
    key.sign_count = 6;
    assert!(enter(&it, &key).is_ok());
}

#[test]
fn nobody_registers_a_credential_twice_or_under_another_id_or_too_many() {
    let (it, key) = fixture();
    assert_eq!(code(add(&it, ALICE, &key)), "passkey_exists");
    assert_eq!(code(add(&it, BOB, &key)), "passkey_exists");
    for n in 1..PASSKEYS_MAX {
        let mut other = Authenticator::es256();
        other.credential_id = vec![u8::try_from(n).unwrap(); 16];
        add(&it, ALICE, &other).unwrap();
    }
    let mut other = Authenticator::es256();
    other.credential_id = vec![0xff; 16];
    assert_eq!(code(add(&it, ALICE, &other)), "passkey_limit_reached");
    assert!(add(&it, BOB, &other).is_ok());
}

#[test]
fn a_removed_passkey_opens_nothing() {
    let (it, key) = fixture();
    let id = it.store.passkeys.borrow()[0].passkey.clone();
    assert!(!now(it.store.remove_passkey(BOB, &id)).unwrap());
    assert!(now(it.store.remove_passkey(ALICE, &id)).unwrap());
    assert_eq!(code(enter(&it, &key)), "passkey_refused");
}
