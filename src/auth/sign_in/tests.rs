use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::auth::guard::tests::MemoryGuard;
use crate::auth::keys::for_tests;
use crate::platform::random_bytes;
use crate::storage::memory::MemoryStore;

pub(crate) const T0_MS: u64 = 1_800_000_000_000;
pub(crate) const ALICE: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
pub(crate) const PASSWORD: &str = "correct horse battery";
const WRONG: &str = "incorrect horse battery";

/// The fakes never wait, so one poll is enough.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a fake waited"),
    }
}

pub(crate) fn secret(text: &str) -> LoginSecret {
    LoginSecret::parse(text.to_owned()).unwrap()
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
    result.expect_err("must be refused").code().to_owned()
}

pub(crate) fn draw() -> Draw {
    let session = Fresh { session: random_bytes(), token: random_bytes() };
    Draw { session, device: random_bytes(), salt: random_bytes() }
}

pub(crate) struct Fixture {
    pub(crate) store: MemoryStore,
    pub(crate) guard: MemoryGuard,
    pub(crate) keys: AuthKeys,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let store = MemoryStore::default();
        store.accounts.borrow_mut().push(AccountRecord {
            account: ALICE.to_owned(),
            username: "alice".to_owned(),
            password_hash: PasswordHash::make(&secret(PASSWORD), [1; 16]).to_string(),
            owner_pubkey: "02".repeat(32),
            owner_blob: None,
            kdf: None,
            created_at_ms: T0_MS,
        });
        Self { store, guard: MemoryGuard::new(T0_MS), keys: for_tests() }
    }

    pub(crate) fn desk(&self) -> Desk<'_, MemoryStore, MemoryGuard> {
        let limits = LoginLimits::Standard;
        Desk { store: &self.store, guard: &self.guard, keys: &self.keys, limits, now_ms: self.guard.now_ms.get() }
    }

    fn try_from(
        &self,
        address: &'static str,
        name: &str,
        password: &str,
        token: Option<&str>,
    ) -> Result<SignedIn, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert("cf-connecting-ip", HeaderValue::from_static(address));
        let (username, secret) = (Username::parse(name).ok(), secret(password));
        let asked = SignIn {
            username: username.as_ref(),
            secret: &secret,
            device_token: token,
            device: Some("phone".to_owned()),
            address: &Address::of(&headers),
        };
        now(sign_in(&self.desk(), asked, draw()))
    }

    fn stranger(&self, name: &str, password: &str) -> Result<SignedIn, Problem> {
        self.try_from("203.0.113.7", name, password, None)
    }

    pub(crate) fn alice(&self) -> SignedIn {
        self.try_from("198.51.100.1", "alice", PASSWORD, None).unwrap()
    }

    fn hash(&self) -> PasswordHash {
        PasswordHash::parse(&self.store.accounts.borrow()[0].password_hash).unwrap()
    }
}

#[test]
fn an_unknown_name_and_a_wrong_password_are_answered_alike() {
    let it = Fixture::new();
    let wrong = it.stranger("alice", WRONG).unwrap_err();
    let unknown = it.stranger("mallory", PASSWORD).unwrap_err();
    let impossible = it.stranger("NOT A NAME", PASSWORD).unwrap_err();
    assert_eq!(wrong, unknown);
    assert_eq!(wrong, impossible);
    assert_eq!((wrong.status().as_u16(), wrong.code()), (401, "credentials_invalid"));
}

#[test]
fn attack_22_an_unknown_name_and_a_wrong_password_take_the_same_steps() {
    let it = Fixture::new();
    let token = it.alice().device_token;
    let steps = |name: &str, token: Option<&str>| {
        it.guard.calls.take();
        it.store.calls.set(0);
        it.try_from("203.0.113.7", name, WRONG, token).unwrap_err();
        (it.guard.calls.take(), it.store.calls.get())
    };
    let wrong = steps("alice", None);
    assert_eq!(wrong.0, ["take sign_in", "take strangers"]);
    assert_eq!(steps("mallory", None), wrong);
    // A token for somebody else tells nothing either.
    assert_eq!(steps("mallory", Some(&token)), wrong);
    let forged = token.replace("pdt_", "pdt_AAAA");
    assert_eq!(steps("alice", Some(&forged)), wrong);
}

#[test]
fn attack_22_strangers_are_told_to_wait_alike_whether_or_not_the_account_exists() {
    let it = Fixture::new();
    let fail = |name: &str| (0..12).map(|_| it.stranger(name, WRONG).unwrap_err()).collect::<Vec<_>>();
    let known = fail("alice");
    assert_eq!(known, fail("mallory"));
    assert_eq!((known[9].code(), known[10].code()), ("credentials_invalid", "too_many_attempts"));
    assert_eq!(known[10], known[11], "asking again does not make the wait longer");
}

#[test]
fn attack_20_strangers_who_guess_never_lock_the_owner_out_of_a_known_device() {
    let it = Fixture::new();
    let token = it.alice().device_token;
    for _ in 0..50 {
        it.stranger("alice", WRONG).unwrap_err();
    }
    assert_eq!(code(it.try_from("198.51.100.1", "alice", PASSWORD, None)), "too_many_attempts");
    let again = it.try_from("198.51.100.1", "alice", PASSWORD, Some(&token)).unwrap();
    assert_eq!(again.device_token, token, "a known device stays the same one");
    // And a stranger gets in with the right password as soon as one refill has passed.
    it.guard.now_ms.set(T0_MS + 60_000);
    assert!(it.try_from("198.51.100.1", "alice", PASSWORD, None).is_ok());
}

#[test]
fn a_known_device_has_a_limit_too_and_of_its_own() {
    let it = Fixture::new();
    let (stolen, other) = (it.alice().device_token, it.alice().device_token);
    let from = |token: &str, password| it.try_from("198.51.100.2", "alice", password, Some(token));
    for _ in 0..10 {
        assert_eq!(code(from(&stolen, WRONG)), "credentials_invalid");
    }
    assert_eq!(code(from(&stolen, PASSWORD)), "too_many_attempts");
    assert!(from(&other, PASSWORD).is_ok());
    assert!(it.alice().device_token != stolen);
}

#[test]
fn a_device_token_of_another_account_is_a_strangers() {
    let it = Fixture::new();
    let bob = DeviceId::from_random([7; 16]).token(&it.keys, &"b2".repeat(16));
    it.guard.calls.take();
    it.try_from("203.0.113.7", "alice", WRONG, Some(&bob)).unwrap_err();
    assert_eq!(it.guard.calls.take()[1], "take strangers");
}

#[test]
fn a_device_token_signs_nobody_in() {
    let it = Fixture::new();
    let token = it.alice().device_token;
    assert_eq!(code(it.try_from("203.0.113.7", "alice", WRONG, Some(&token))), "credentials_invalid");
    assert_eq!(code(it.try_from("203.0.113.7", "alice", &token, None)), "credentials_invalid");
}

#[test]
fn success_costs_nothing_however_often() {
    let it = Fixture::new();
    for _ in 0..11 {
        it.alice();
    }
    assert!(it.stranger("alice", WRONG).is_err_and(|problem| problem.code() == "credentials_invalid"));
}

#[test]
fn guesses_are_counted_before_they_are_checked() {
    // Fifty at once are fifty takes before the first give-back: the guard is asked first in every one.
    let it = Fixture::new();
    it.guard.calls.take();
    it.alice();
    assert_eq!(it.guard.calls.take(), ["take sign_in", "take strangers", "give back strangers"]);
}

#[test]
fn one_address_can_not_try_the_whole_world() {
    let it = Fixture::new();
    let mut headers = HeaderMap::new();
    headers.insert("cf-connecting-ip", HeaderValue::from_static("203.0.113.7"));
    let here = Address::of(&headers);
    let sign_in = Attempt::From(&here, Route::SignIn).ticket(&it.keys, LoginLimits::Standard);
    for _ in 0..59 {
        now(admit(&it.guard, &sign_in)).unwrap();
    }
    assert_eq!(code(it.stranger("user-59", WRONG)), "credentials_invalid");
    let problem = it.stranger("user-60", WRONG).unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.code()), (429, "too_many_attempts"));
    // Everybody else goes on, and so does this one after a refill.
    it.alice();
    it.guard.now_ms.set(T0_MS + 2_000);
    assert_eq!(code(it.stranger("user-60", WRONG)), "credentials_invalid");
}

#[test]
fn without_the_guard_nobody_gets_in() {
    let it = Fixture::new();
    it.guard.is_down.set(true);
    assert_eq!(code(it.stranger("alice", PASSWORD)), "unavailable");
    assert!(it.store.sessions.borrow().is_empty());
}

#[test]
fn a_store_that_fails_anywhere_gives_no_entry() {
    for fails_after in 0..2 {
        let it = Fixture::new();
        it.store.fails_after.set(Some(fails_after));
        assert_eq!(code(it.stranger("alice", PASSWORD)), "unavailable");
    }
}

#[test]
fn a_corrupt_password_hash_is_a_failure_and_not_a_wrong_password() {
    let it = Fixture::new();
    it.store.accounts.borrow_mut()[0].password_hash = "$scrypt$".to_owned();
    assert_eq!(code(it.stranger("alice", PASSWORD)), "internal");
}

#[test]
fn a_hash_of_an_older_version_is_upgraded_by_the_right_password_and_by_no_other() {
    let it = Fixture::new();
    let weak = PasswordHash::make_weak(&secret(PASSWORD), [2; 16]);
    it.store.accounts.borrow_mut()[0].password_hash = weak.to_string();
    it.stranger("alice", WRONG).unwrap_err();
    assert!(it.hash() == weak);
    it.alice();
    assert!(!it.hash().is_weak());
    let upgraded = it.hash();
    it.alice();
    assert!(it.hash() == upgraded, "a hash of today's cost stays as it is");
}

#[test]
fn session_fixation_the_id_of_a_new_session_is_always_a_fresh_one() {
    let it = Fixture::new();
    let sessions: std::collections::BTreeSet<_> = (0..5).map(|_| it.alice().session).collect();
    assert_eq!(sessions.len(), 5);
}

#[test]
fn guesses_within_a_session_lock_out_that_session_and_nobody_else() {
    let it = Fixture::new();
    let alice = Username::parse("alice").unwrap();
    let account = it.store.accounts.borrow()[0].clone();
    let check = |session: &str, password| now(check_again(&it.desk(), &account, &alice, session, &secret(password)));
    for _ in 0..10 {
        let problem = check("s1", WRONG).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (403, "credentials_invalid"));
    }
    assert_eq!(code(check("s1", PASSWORD)), "too_many_attempts");
    check("s2", PASSWORD).unwrap();
    it.alice();
}
