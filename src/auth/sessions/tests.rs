use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::auth::keys::for_tests;
use crate::auth::refresh::{RETRY_WINDOW_MS, SESSION_LIFETIME_MS};
use crate::storage::memory::MemoryStore;

const T0_MS: u64 = 1_800_000_000_000;

/// The fake never waits, so one poll is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the fake store waited"),
    }
}

struct Fixture {
    store: MemoryStore,
    keys: AuthKeys,
}

impl Fixture {
    fn new() -> Self {
        let store = MemoryStore::default();
        store.accounts.borrow_mut().push(AccountRecord {
            account: "a1".repeat(16),
            username: "alice".to_owned(),
            password_hash: "$scrypt$".to_owned(),
            owner_pubkey: "02".repeat(32),
            owner_blob: None,
            kdf: None,
            created_at_ms: T0_MS,
        });
        Self { store, keys: for_tests() }
    }

    fn open(&self) -> Result<(SessionRecord, TokenPair), Problem> {
        let fresh = Fresh { session: crate::platform::random_bytes(), token: crate::platform::random_bytes() };
        now(open(&self.store, &self.keys, &"a1".repeat(16), Some("phone".to_owned()), fresh, T0_MS))
    }

    fn alice(&self) -> TokenPair {
        self.open().unwrap().1
    }

    fn refresh(&self, token: &str, now_ms: u64) -> Result<TokenPair, Problem> {
        now(refresh(&self.store, &self.keys, token, now_ms))
    }

    fn authenticate(&self, token: &str, now_ms: u64) -> Result<AccountRecord, Problem> {
        now(authenticate(&self.store, &self.keys, token, now_ms)).map(|(account, _)| account)
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Problem>) -> String {
    result.expect_err("must be refused").code().to_owned()
}

#[test]
fn a_signed_in_client_is_who_it_says_and_can_go_on() {
    let it = Fixture::new();
    let first = it.alice();
    assert_eq!(it.authenticate(&first.access, T0_MS).unwrap().username, "alice");
    let second = it.refresh(&first.refresh.expose_text(), T0_MS + 60_000).unwrap();
    assert!(it.authenticate(&second.access, T0_MS + 60_000).is_ok());
}

#[test]
fn a_retry_within_ten_seconds_gets_the_very_same_answer() {
    let it = Fixture::new();
    let token = it.alice().refresh.expose_text();
    let first = it.refresh(&token, T0_MS + 5_000).unwrap();
    let again = it.refresh(&token, T0_MS + 5_000 + RETRY_WINDOW_MS - 1).unwrap();
    assert_eq!(first.access, again.access);
    assert_eq!(first.refresh.expose_text(), again.refresh.expose_text());
}

#[test]
fn a_refresh_token_used_twice_ends_its_whole_family() {
    let it = Fixture::new();
    let first = it.alice();
    let old = first.refresh.expose_text();
    let second = it.refresh(&old, T0_MS).unwrap();
    assert_eq!(code(it.refresh(&old, T0_MS + RETRY_WINDOW_MS)), "refresh_token_reused");
    let newest = second.refresh.expose_text();
    assert_eq!(code(it.refresh(&newest, T0_MS + RETRY_WINDOW_MS)), "refresh_token_invalid");
    let access = it.authenticate(&second.access, T0_MS + RETRY_WINDOW_MS);
    assert_eq!(code(access), "access_token_invalid");
}

#[test]
fn the_loser_of_a_race_gets_what_the_winner_got() {
    let it = Fixture::new();
    let token = it.alice().refresh.expose_text();
    it.store.rival_at_ms.set(Some(T0_MS + 1_000));
    let loser = it.refresh(&token, T0_MS + 3_000).unwrap();
    let winner = it.refresh(&token, T0_MS + 4_000).unwrap();
    assert_eq!(loser.access, winner.access);
    assert_eq!(loser.refresh.expose_text(), winner.refresh.expose_text());
}

#[test]
fn nothing_of_a_session_works_after_logout_by_either_token() {
    for by_access in [true, false] {
        let it = Fixture::new();
        let pair = it.alice();
        let refresh_text = pair.refresh.expose_text();
        let token = if by_access { &pair.access } else { &refresh_text };
        now(sign_out(&it.store, &it.keys, token, T0_MS)).unwrap();
        now(sign_out(&it.store, &it.keys, token, T0_MS + 1)).unwrap();
        assert_eq!(code(it.authenticate(&pair.access, T0_MS)), "access_token_invalid");
        assert_eq!(code(it.refresh(&refresh_text, T0_MS)), "refresh_token_invalid");
    }
}

#[test]
fn a_token_of_one_type_is_refused_where_the_other_is_asked_for() {
    let it = Fixture::new();
    let pair = it.alice();
    assert_eq!(code(it.refresh(&pair.access, T0_MS)), "refresh_token_invalid");
    let as_access = it.authenticate(&pair.refresh.expose_text(), T0_MS);
    assert_eq!(code(as_access), "access_token_invalid");
}

#[test]
fn one_session_ends_without_the_other() {
    let it = Fixture::new();
    let (phone, laptop) = (it.alice(), it.alice());
    now(sign_out(&it.store, &it.keys, &phone.access, T0_MS)).unwrap();
    assert!(it.authenticate(&laptop.access, T0_MS).is_ok());
}

#[test]
fn no_session_outlives_its_longest_life_however_often_it_is_refreshed() {
    let it = Fixture::new();
    let mut token = it.alice().refresh.expose_text();
    let mut at_ms = T0_MS;
    while at_ms + 6 * 86_400_000 < T0_MS + SESSION_LIFETIME_MS {
        at_ms += 6 * 86_400_000;
        token = it.refresh(&token, at_ms).unwrap().refresh.expose_text();
    }
    let late = it.refresh(&token, T0_MS + SESSION_LIFETIME_MS);
    assert_eq!(code(late), "refresh_token_invalid");
}

#[test]
fn tokens_in_clear_are_never_stored() {
    let it = Fixture::new();
    let pair = it.alice();
    let next = it.refresh(&pair.refresh.expose_text(), T0_MS).unwrap();
    let stored = format!("{:?} {:?}", it.store.tokens.borrow(), it.store.sessions.borrow());
    for token in [&pair.refresh, &next.refresh] {
        let text = token.expose_text();
        assert!(!stored.contains(text.trim_start_matches("prt_")));
    }
}

#[test]
fn a_store_that_fails_anywhere_gives_no_token_and_no_entry() {
    for fails_after in 0..3 {
        let it = Fixture::new();
        let pair = it.alice();
        it.store.fails_after.set(Some(fails_after));
        let refused = it.refresh(&pair.refresh.expose_text(), T0_MS);
        assert_eq!(code(refused), "unavailable");
    }
    for fails_after in 0..2 {
        let it = Fixture::new();
        let pair = it.alice();
        it.store.fails_after.set(Some(fails_after));
        assert_eq!(code(it.authenticate(&pair.access, T0_MS)), "unavailable");
    }
    let it = Fixture::new();
    it.store.fails_after.set(Some(0));
    assert_eq!(code(it.open()), "unavailable");
}

fn sessions_of(it: &Fixture, now_ms: u64) -> Vec<String> {
    let sessions = now(list(&it.store, &"a1".repeat(16), now_ms)).unwrap();
    sessions.into_iter().map(|session| session.session).collect()
}

#[test]
fn the_list_has_the_sessions_that_stand_and_says_when_each_was_used() {
    let it = Fixture::new();
    let (phone, laptop) = (it.open().unwrap(), it.open().unwrap());
    now(sign_out(&it.store, &it.keys, &laptop.1.access, T0_MS)).unwrap();
    assert_eq!(sessions_of(&it, T0_MS), std::slice::from_ref(&phone.0.session));
    it.refresh(&phone.1.refresh.expose_text(), T0_MS + 60_000).unwrap();
    let seen = now(list(&it.store, &"a1".repeat(16), T0_MS + 60_000)).unwrap();
    assert_eq!((seen[0].last_used_at_ms, seen[0].created_at_ms), (T0_MS + 60_000, T0_MS));
    assert_eq!(seen[0].device.as_deref(), Some("phone"));
    assert_eq!(seen[0].authenticated_at_ms, T0_MS, "a refresh is no authentication");
    assert!(sessions_of(&it, T0_MS + SESSION_LIFETIME_MS).is_empty());
}

#[test]
fn nobody_ends_the_session_of_another_account() {
    let it = Fixture::new();
    let (session, pair) = it.open().unwrap();
    for (account, id) in [("b2".repeat(16), session.session.as_str()), ("a1".repeat(16), "x"), ("a1".repeat(16), "")] {
        assert_eq!(code(now(revoke(&it.store, &account, id, T0_MS))), "not_found");
    }
    assert!(it.authenticate(&pair.access, T0_MS).is_ok());
    now(revoke(&it.store, &"a1".repeat(16), &session.session, T0_MS)).unwrap();
    now(revoke(&it.store, &"a1".repeat(16), &session.session, T0_MS)).unwrap();
    assert_eq!(code(it.authenticate(&pair.access, T0_MS)), "access_token_invalid");
}

#[test]
fn a_token_of_an_account_that_was_deleted_opens_nothing() {
    let it = Fixture::new();
    let pair = it.alice();
    it.store.accounts.borrow_mut().clear();
    assert_eq!(code(it.authenticate(&pair.access, T0_MS)), "access_token_invalid");
}
