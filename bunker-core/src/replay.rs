//! The replay window of one holder: which request events it has seen, for as long as they are fresh.
//!
//! A request whose `created_at` is outside the window is stale and refused unread, so an id may be forgotten
//! once its time is past. Inside the window an answered request is answered with the reply that was sent; one
//! that was admitted and then lost (an evicted object) may be tried again a few times, with fresh nonces and
//! counted as one use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::keys::EventId;

/// How far in the past a request's `created_at` may lie, in seconds. Covers phones whose clocks are off.
pub const MAX_AGE_S: u64 = 15 * 60;
/// How far in the future a request's `created_at` may lie, in seconds.
pub const MAX_AHEAD_S: u64 = 15 * 60;
/// How often one request may be admitted. Attempts end without an answer only when the object was evicted.
pub const MAX_ATTEMPTS: u8 = 3;

/// How a request's time compares with the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Inside the window.
    Fresh,
    /// Older than [`MAX_AGE_S`].
    Stale,
    /// More than [`MAX_AHEAD_S`] ahead.
    Ahead,
}

/// Compares a request's `created_at` with the holder's clock; both in Unix seconds.
pub fn freshness(created_at_s: u64, now_s: u64) -> Freshness {
    if created_at_s.saturating_add(MAX_AGE_S) < now_s {
        Freshness::Stale
    } else if created_at_s > now_s.saturating_add(MAX_AHEAD_S) {
        Freshness::Ahead
    } else {
        Freshness::Fresh
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Progress {
    /// Let through, and not known to be answered.
    Admitted {
        /// Admissions so far, at most [`MAX_ATTEMPTS`].
        attempts: u8,
        /// Number of the statement that made the terms under which it was counted; 0 for the grant's.
        #[serde(default)]
        terms: u64,
    },
    /// Answered: the reply is kept.
    Answered,
}

/// A request that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The request's own time, Unix seconds.
    pub created_at_s: u64,
    /// What became of it.
    #[serde(flatten)]
    pub progress: Progress,
}

impl Seen {
    /// From when on the request can no longer be replayed, Unix seconds.
    pub fn ends_at_s(&self) -> u64 {
        self.created_at_s.saturating_add(MAX_AGE_S + 1)
    }
}

/// The requests seen within the window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplayWindow {
    seen: BTreeMap<EventId, Seen>,
}

impl ReplayWindow {
    /// What is known of a request.
    pub fn get(&self, request: &EventId) -> Option<Seen> {
        self.seen.get(request).copied()
    }

    /// Requests that can no longer be replayed, because their time is outside the window.
    pub fn expired(&self, now_s: u64) -> Vec<EventId> {
        let is_past = |seen: &Seen| freshness(seen.created_at_s, now_s) == Freshness::Stale;
        self.seen.iter().filter(|(_, seen)| is_past(seen)).map(|(id, _)| *id).collect()
    }

    /// From when on the first of them can be forgotten, Unix seconds.
    pub fn next_expiry_s(&self) -> Option<u64> {
        self.seen.values().map(Seen::ends_at_s).min()
    }

    /// True when nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    pub(crate) fn remember(&mut self, request: EventId, seen: Seen) {
        self.seen.insert(request, seen);
    }

    pub(crate) fn forget(&mut self, request: &EventId) {
        self.seen.remove(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_forgotten_only_when_it_is_too_old_to_be_accepted() {
        let mut window = ReplayWindow::default();
        let request = EventId::from_bytes([7; 32]);
        window.remember(request, Seen { created_at_s: 1_000, progress: Progress::Answered });
        for now_s in [0, 1_000, 1_000 + MAX_AGE_S] {
            assert_ne!(freshness(1_000, now_s), Freshness::Stale);
            assert!(window.expired(now_s).is_empty());
        }
        assert_eq!(freshness(1_000, 1_001 + MAX_AGE_S), Freshness::Stale);
        assert_eq!(window.expired(1_001 + MAX_AGE_S), vec![request]);
    }

    #[test]
    fn a_request_from_the_far_future_is_not_fresh() {
        assert_eq!(freshness(1_000 + MAX_AHEAD_S, 1_000), Freshness::Fresh);
        assert_eq!(freshness(1_001 + MAX_AHEAD_S, 1_000), Freshness::Ahead);
        assert_eq!(freshness(u64::MAX, u64::MAX), Freshness::Fresh);
    }
}
