//! What one holder must believe and may do, by the design: the other side of the book.

use std::collections::{BTreeMap, BTreeSet};

use bunker_core::{
    grant::{ConnectionId, Standing},
    keys::{EventId, PublicKey},
    replay::MAX_ATTEMPTS,
};

use super::{Ask, Offer};
use crate::world::TestHolder;

/// A policy in words of its own.
pub(super) struct Rules {
    pub(super) json: &'static str,
    kinds: &'static [u16],
    encrypts: bool,
    uses: u32,
}

pub(super) const RULES: [Rules; 5] = [
    Rules { json: r#"{"rules":[]}"#, kinds: &[], encrypts: false, uses: 0 },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[1],"uses":2}]}"#,
        kinds: &[1],
        encrypts: false,
        uses: 2,
    },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":"all"}]}"#,
        kinds: &[0, 1, 7],
        encrypts: true,
        uses: u32::MAX,
    },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":"all"},{"effect":"deny","methods":["sign_event"],"kinds":[0]}]}"#,
        kinds: &[1, 7],
        encrypts: true,
        uses: u32::MAX,
    },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":["sign_event","nip44_encrypt"],"uses":3}]}"#,
        kinds: &[0, 1, 7],
        encrypts: true,
        uses: 3,
    },
];

/// A connection as the owner granted it.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) connection: ConnectionId,
    pub(super) rules: usize,
    pub(super) expires_at: Option<u64>,
}

/// A request as its sender means it.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) id: EventId,
    pub(super) line: Line,
    pub(super) client: PublicKey,
    pub(super) what: Ask,
}

#[derive(Default)]
pub(super) struct Ledger {
    granted: BTreeSet<ConnectionId>,
    revoked: BTreeSet<ConnectionId>,
    bound: BTreeMap<ConnectionId, PublicKey>,
    left: BTreeSet<ConnectionId>,
    used: BTreeMap<ConnectionId, u32>,
    attempts: BTreeMap<EventId, u8>,
}

impl Ledger {
    pub(super) fn grant(&mut self, connection: ConnectionId) {
        self.granted.insert(connection);
    }

    pub(super) fn revoke(&mut self, connection: ConnectionId) {
        self.revoked.insert(connection);
    }

    pub(super) fn is_revoked(&self, connection: &ConnectionId) -> bool {
        self.revoked.contains(connection)
    }

    /// Whether the holder has to go along with this request.
    pub(super) fn permits(&self, asked: &Asked, now_s: u64) -> bool {
        let id = &asked.line.connection;
        let attempts = self.attempts.get(&asked.id).copied().unwrap_or(0);
        if !self.granted.contains(id) || self.revoked.contains(id) || attempts >= MAX_ATTEMPTS {
            return false;
        }
        let bound = self.bound.get(id);
        if self.left.contains(id) {
            return asked.what == Ask::Logout && bound == Some(&asked.client);
        }
        if asked.line.expires_at.is_some_and(|end_s| now_s >= end_s) {
            return false;
        }
        let Some(bound) = bound else {
            return asked.what == Ask::Connect(Offer::Right);
        };
        let rules = &RULES[asked.line.rules];
        let is_left = attempts > 0 || self.used.get(id).copied().unwrap_or(0) < rules.uses;
        *bound == asked.client
            && match asked.what {
                Ask::Connect(offer) => offer != Offer::Wrong,
                Ask::Ping | Ask::Logout => true,
                Ask::Sign(kind) => rules.kinds.contains(&kind) && is_left,
                Ask::Encrypt => rules.encrypts && is_left,
            }
    }

    /// The holder went along with it.
    pub(super) fn record(&mut self, asked: &Asked) {
        let id = asked.line.connection;
        let attempts = self.attempts.entry(asked.id).or_default();
        *attempts += 1;
        match asked.what {
            Ask::Connect(_) => {
                self.bound.entry(id).or_insert(asked.client);
            }
            Ask::Logout => {
                self.left.insert(id);
            }
            Ask::Sign(_) | Ask::Encrypt if *attempts == 1 => *self.used.entry(id).or_default() += 1,
            Ask::Sign(_) | Ask::Encrypt | Ask::Ping => {}
        }
    }

    /// Compares with what the holder believes.
    pub(super) fn check(&self, holder: &TestHolder, lines: impl Iterator<Item = Line>) {
        for line in lines.filter(|line| self.granted.contains(&line.connection)) {
            let id = &line.connection;
            let connection = holder.connection(id);
            assert_eq!(connection.client(), self.bound.get(id));
            match connection.standing() {
                Standing::Revoked { .. } => assert!(self.revoked.contains(id)),
                Standing::LoggedOut { .. } => assert!(self.left.contains(id)),
                Standing::Connected { .. } => assert!(self.bound.contains_key(id) && !self.left.contains(id)),
                Standing::AwaitingClient => assert!(!self.bound.contains_key(id)),
            }
            assert_eq!(self.revoked.contains(id), matches!(connection.standing(), Standing::Revoked { .. }));
            let used: u32 = holder.usage(id).rules.iter().sum();
            assert_eq!(used, self.used.get(id).copied().unwrap_or(0));
            assert!(used <= RULES[line.rules].uses, "a rule was used more often than granted");
        }
    }
}
