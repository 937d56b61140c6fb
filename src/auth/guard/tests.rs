use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::*;
use crate::auth::keys::for_tests;

const T0_MS: u64 = 1_800_000_000_000;

/// Buckets in memory, by a clock that tests set.
pub(crate) struct MemoryGuard {
    pub(crate) now_ms: Cell<u64>,
    pub(crate) buckets: RefCell<BTreeMap<(String, String), u64>>,
    /// Every call, in order, by bucket.
    pub(crate) calls: RefCell<Vec<String>>,
    /// Whether it answers at all.
    pub(crate) is_down: Cell<bool>,
}

impl MemoryGuard {
    pub(crate) fn new(now_ms: u64) -> Self {
        let (buckets, calls) = (RefCell::default(), RefCell::default());
        Self { now_ms: Cell::new(now_ms), buckets, calls, is_down: Cell::new(false) }
    }

    fn call(&self, what: &str, ticket: &Ticket) -> Result<(String, String), Problem> {
        self.calls.borrow_mut().push(format!("{what} {}", ticket.bucket));
        if self.is_down.get() {
            return Err(Problem::unavailable("told to fail"));
        }
        Ok((ticket.object.clone(), ticket.bucket.clone()))
    }
}

impl Guard for MemoryGuard {
    async fn take(&self, ticket: &Ticket) -> Result<Result<(), u64>, Problem> {
        let key = self.call("take", ticket)?;
        let mut buckets = self.buckets.borrow_mut();
        let full_at_ms = buckets.get(&key).copied().unwrap_or_default();
        Ok(ticket.limit.take(full_at_ms, self.now_ms.get()).map(|full_at_ms| {
            buckets.insert(key, full_at_ms);
        }))
    }

    async fn give_back(&self, ticket: &Ticket) -> Result<(), Problem> {
        let key = self.call("give back", ticket)?;
        if let Some(full_at_ms) = self.buckets.borrow_mut().get_mut(&key) {
            *full_at_ms = ticket.limit.give_back(*full_at_ms);
        }
        Ok(())
    }
}

const LIMIT: Limit = Limit::new(3, 1_000);

/// Takes until the bucket refuses; gives how many there were and the bucket's time.
fn drain(limit: Limit, mut full_at_ms: u64, now_ms: u64) -> (u32, u64) {
    let mut taken = 0;
    while let Ok(next) = limit.take(full_at_ms, now_ms) {
        (full_at_ms, taken) = (next, taken + 1);
    }
    (taken, full_at_ms)
}

#[test]
fn a_bucket_gives_its_burst_and_then_one_for_each_refill() {
    let (taken, full_at_ms) = drain(LIMIT, 0, T0_MS);
    assert_eq!(taken, 3);
    assert_eq!(LIMIT.take(full_at_ms, T0_MS), Err(1_000));
    assert_eq!(LIMIT.take(full_at_ms, T0_MS + 999), Err(1));
    assert_eq!(drain(LIMIT, full_at_ms, T0_MS + 1_000).0, 1);
    assert_eq!(drain(LIMIT, full_at_ms, T0_MS + 2_500).0, 2);
    assert_eq!(drain(LIMIT, full_at_ms, T0_MS + 3_000).0, 3);
    assert_eq!(drain(LIMIT, full_at_ms, T0_MS + 3_600_000).0, 3, "it holds no more than its burst");
}

#[test]
fn attack_21_refused_tries_never_make_the_wait_longer() {
    let (_, mut full_at_ms) = drain(LIMIT, 0, T0_MS);
    for at_ms in 0..999 {
        match LIMIT.take(full_at_ms, T0_MS + at_ms) {
            Ok(next) => full_at_ms = next,
            Err(wait_ms) => assert_eq!(wait_ms, 1_000 - at_ms),
        }
    }
    assert!(LIMIT.take(full_at_ms, T0_MS + 1_000).is_ok());
}

#[test]
fn what_is_given_back_can_be_taken_again_and_never_more() {
    let (_, full_at_ms) = drain(LIMIT, 0, T0_MS);
    assert_eq!(drain(LIMIT, LIMIT.give_back(full_at_ms), T0_MS).0, 1);
    let many = (0..100).fold(full_at_ms, |full_at_ms, _| LIMIT.give_back(full_at_ms));
    assert_eq!(drain(LIMIT, many, T0_MS).0, 3);
    assert_eq!(LIMIT.give_back(0), 0);
}

#[test]
fn a_clock_that_was_ahead_locks_nobody_out_for_longer_than_an_empty_bucket() {
    let ahead_ms = T0_MS + 365 * 86_400_000;
    assert_eq!(LIMIT.take(ahead_ms, T0_MS), Err(1_000));
    assert_eq!(drain(Limit::new(1, 1_000), ahead_ms, T0_MS + 1_000).0, 0);
}

#[test]
fn attack_18_no_text_of_a_callers_choosing_names_an_object() {
    let keys = for_tests();
    let ticket = |attempt: Attempt<'_>| attempt.ticket(&keys, LoginLimits::Standard);
    let (alice, bob) = (Username::parse("alice").unwrap(), Username::parse("bob").unwrap());
    let address = Address::of(&http::HeaderMap::new());
    let device = DeviceId::from_random([7; 16]);
    let tickets = [
        ticket(Attempt::Stranger(Some(&alice))),
        ticket(Attempt::Stranger(Some(&bob))),
        ticket(Attempt::Stranger(None)),
        ticket(Attempt::From(&address, Route::SignIn)),
    ];
    for (at, one) in tickets.iter().enumerate() {
        assert!(one.object.len() == 64 && one.object.bytes().all(|c| c.is_ascii_hexdigit()));
        assert!(tickets[at + 1..].iter().all(|other| other.object != one.object));
    }
    // The name is of no use to whoever can list objects.
    assert_ne!(tickets[0].object, Attempt::Stranger(Some(&alice)).ticket(&for_tests(), LoginLimits::Standard).object);
    // An account's buckets are in one object, each under its own name.
    let own = [ticket(Attempt::Device(&alice, &device)), ticket(Attempt::Session(&alice, "5e"))];
    assert!(own.iter().all(|ticket| ticket.object == tickets[0].object && ticket.bucket != tickets[0].bucket));
}

#[test]
fn wide_limits_are_the_same_limits_with_more_room() {
    let keys = for_tests();
    let address = Address::of(&http::HeaderMap::new());
    let of = |limits| Attempt::From(&address, Route::Register).ticket(&keys, limits);
    let (standard, wide) = (of(LoginLimits::Standard), of(LoginLimits::Wide));
    assert_eq!(wide.limit.burst, standard.limit.burst * WIDE_FACTOR);
    assert_eq!(Ticket { limit: standard.limit, ..wide }, standard);
}
