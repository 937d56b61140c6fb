use bunker_core::keys::PublicKey;
use frost_wasm_core::group::GroupId;
use frost_wasm_core::kdf::SALT_BYTES;

use super::*;
use crate::auth::sign_in::tests::{ALICE, Fixture, PASSWORD, T0_MS, code, now, secret};
use crate::auth::username::Username;
use crate::platform::{random_bytes, rng};
use crate::storage::{KeyRecord, KeyStatus};

const NEW: &str = "incorrect horse battery";

fn caller(session: &str) -> Caller {
    Caller {
        account: ALICE.to_owned(),
        username: Username::parse("alice").unwrap(),
        owner: PublicKey::from_bytes([2; 32]),
        session: session.to_owned(),
        authenticated_at_ms: T0_MS,
    }
}

fn change(it: &Fixture, session: &str, current: &str, log_n: u8) -> Result<(), Problem> {
    let kdf = KdfParams { log_n, ..KdfParams::with_salt([3; SALT_BYTES]) };
    let asked = NewPassword {
        current: &secret(current),
        secret: &secret(NEW),
        owner_blob: "sealed anew".to_owned(),
        kdf: &kdf,
    };
    now(change_password(&it.desk(), &caller(session), asked, random_bytes()))
}

fn live(it: &Fixture) -> Vec<String> {
    let sessions = it.store.sessions.borrow();
    sessions.values().filter(|row| row.revoked_at_ms.is_none()).map(|row| row.session.clone()).collect()
}

#[test]
fn a_new_password_ends_every_other_session() {
    let it = Fixture::new();
    let (here, _there) = (it.alice().session, it.alice().session);
    change(&it, &here, PASSWORD, 17).unwrap();
    assert_eq!(live(&it), std::slice::from_ref(&here));
    let account = it.store.accounts.borrow()[0].clone();
    let hash = PasswordHash::parse(&account.password_hash).unwrap();
    assert!(hash.matches(&secret(NEW)) && !hash.matches(&secret(PASSWORD)));
    assert_eq!(account.owner_blob.as_deref(), Some("sealed anew"));
    assert!(account.kdf.unwrap().contains("03030303"));
}

#[test]
fn without_the_present_password_nothing_changes() {
    let it = Fixture::new();
    let (here, _there) = (it.alice().session, it.alice().session);
    let before = it.store.accounts.borrow().clone();
    let problem = change(&it, &here, NEW, 17).unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.code()), (403, "credentials_invalid"));
    assert_eq!(code(change(&it, &here, PASSWORD, 16)), "kdf_invalid");
    assert_eq!(*it.store.accounts.borrow(), before);
    assert_eq!(live(&it).len(), 2);
}

#[test]
fn authenticating_again_makes_a_session_recent_and_no_other() {
    let it = Fixture::new();
    let (here, there) = (it.alice().session, it.alice().session);
    it.guard.now_ms.set(T0_MS + 3_600_000);
    assert_eq!(code(now(reauthenticate(&it.desk(), &caller(&here), &secret(NEW)))), "credentials_invalid");
    let at = |session: &str| it.store.sessions.borrow()[session].authenticated_at_ms;
    assert_eq!(at(&here), T0_MS);
    now(reauthenticate(&it.desk(), &caller(&here), &secret(PASSWORD))).unwrap();
    assert_eq!((at(&here), at(&there)), (T0_MS + 3_600_000, T0_MS));
}

#[test]
fn an_account_with_a_key_or_one_in_the_making_stays() {
    let it = Fixture::new();
    let session = it.alice().session;
    let recent = RecentCaller(caller(&session));
    let key = |status, created_at_ms| KeyRecord {
        group: GroupId::random(&mut rng()),
        account: ALICE.to_owned(),
        pubkey: "02".repeat(32),
        label: "me".to_owned(),
        statement: "57".repeat(32),
        status,
        created_at_ms,
    };
    for row in [key(KeyStatus::Active, 0), key(KeyStatus::Creating, T0_MS - CLAIM_MAX_AGE_MS)] {
        let group = row.group;
        it.store.keys.borrow_mut().insert(group, row);
        assert_eq!(code(now(delete(&it.store, &recent, T0_MS))), "account_has_keys");
        it.store.keys.borrow_mut().remove(&group);
    }
    let stale = key(KeyStatus::Creating, T0_MS - CLAIM_MAX_AGE_MS - 1);
    it.store.keys.borrow_mut().insert(stale.group, stale);
    now(delete(&it.store, &recent, T0_MS)).unwrap();
    assert!(it.store.accounts.borrow().is_empty() && it.store.sessions.borrow().is_empty());
    assert!(it.store.tokens.borrow().is_empty() && it.store.keys.borrow().is_empty());
}
