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
    /// Kinds that may be signed without asking, as long as uses are left.
    kinds: &'static [u16],
    /// Kinds that the owner is asked about.
    asks: &'static [u16],
    encrypts: bool,
    asks_to_encrypt: bool,
    uses: u32,
}

impl Rules {
    const NONE: Self =
        Self { json: r#"{"rules":[]}"#, kinds: &[], asks: &[], encrypts: false, asks_to_encrypt: false, uses: 0 };
}

pub(super) const RULES: [Rules; 8] = [
    Rules::NONE,
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[1],"uses":2}]}"#,
        kinds: &[1],
        uses: 2,
        ..Rules::NONE
    },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":"all"}]}"#,
        kinds: &[0, 1, 7],
        encrypts: true,
        uses: u32::MAX,
        ..Rules::NONE
    },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":"all"},{"effect":"deny","methods":["sign_event"],"kinds":[0]}]}"#,
        kinds: &[1, 7],
        encrypts: true,
        uses: u32::MAX,
        ..Rules::NONE
    },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":["sign_event","nip44_encrypt"],"uses":3}]}"#,
        kinds: &[0, 1, 7],
        encrypts: true,
        uses: 3,
        ..Rules::NONE
    },
    Rules {
        json: r#"{"rules":[{"effect":"ask","methods":"all"}]}"#,
        asks: &[0, 1, 7],
        asks_to_encrypt: true,
        ..Rules::NONE
    },
    Rules {
        json: r#"{"rules":[{"effect":"deny","methods":["sign_event"],"kinds":[0]},{"effect":"ask","methods":["sign_event"],"kinds":[0,1]},{"effect":"allow","methods":"all"}]}"#,
        kinds: &[7],
        asks: &[1],
        encrypts: true,
        uses: u32::MAX,
        ..Rules::NONE
    },
    Rules {
        json: r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":1},{"effect":"ask","methods":["sign_event"],"kinds":[1,7]}]}"#,
        kinds: &[0, 1, 7],
        asks: &[1, 7],
        uses: 1,
        ..Rules::NONE
    },
];

/// What the owner said last about what a connection may do.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) rules: usize,
    pub(super) expires_at: Option<u64>,
    /// Which of the owner's words it was.
    pub(super) seq: u64,
}

/// A request as its sender means it.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) id: EventId,
    pub(super) connection: ConnectionId,
    pub(super) client: PublicKey,
    pub(super) what: Ask,
}

/// What the owner said about one request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Approved(ConnectionId, Ask),
    Denied(ConnectionId),
}

/// What the holder has to do about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    GoAlong,
    AskTheOwner,
    Refuse,
}

#[derive(Default)]
pub(super) struct Ledger {
    /// The last statement that was heard.
    pub(super) heard: u64,
    terms: BTreeMap<ConnectionId, Terms>,
    paused: BTreeSet<ConnectionId>,
    revoked: BTreeSet<ConnectionId>,
    bound: BTreeMap<ConnectionId, PublicKey>,
    left: BTreeSet<ConnectionId>,
    used: BTreeMap<ConnectionId, u32>,
    attempts: BTreeMap<EventId, u8>,
    /// Under which terms a request was counted.
    counted: BTreeMap<EventId, u64>,
    words: BTreeMap<EventId, Word>,
    allowances: BTreeMap<(ConnectionId, Ask), Option<u64>>,
}

impl Ledger {
    /// Of a holder that heard how its group was created.
    pub(super) fn new() -> Self {
        Self { heard: 1, ..Self::default() }
    }

    /// New terms, of a new connection or of one that is there.
    pub(super) fn agree(&mut self, connection: ConnectionId, terms: Terms) {
        self.terms.insert(connection, terms);
        self.used.remove(&connection);
        self.allowances.retain(|(of, _), _| *of != connection);
    }

    pub(super) fn pause(&mut self, connection: ConnectionId, is_paused: bool) {
        if is_paused {
            self.paused.insert(connection);
        } else {
            self.paused.remove(&connection);
        }
    }

    pub(super) fn revoke(&mut self, connection: ConnectionId) {
        self.revoked.insert(connection);
    }

    pub(super) fn is_revoked(&self, connection: &ConnectionId) -> bool {
        self.revoked.contains(connection)
    }

    /// Nothing brings it back.
    pub(super) fn has_ended(&self, connection: &ConnectionId) -> bool {
        self.revoked.contains(connection) || self.left.contains(connection)
    }

    /// The owner's word about a request; `remember`: until when others like it are allowed.
    pub(super) fn decide(&mut self, request: EventId, word: Word, remember: Option<Option<u64>>) {
        self.words.insert(request, word);
        if let (Word::Approved(connection, what), Some(until)) = (word, remember) {
            self.allowances.insert((connection, what), until);
        }
    }

    /// What the holder has to do about this request.
    pub(super) fn duty(&self, asked: &Asked, now_s: u64) -> Duty {
        let id = &asked.connection;
        let attempts = self.attempts.get(&asked.id).copied().unwrap_or(0);
        let when = |is_right: bool| if is_right { Duty::GoAlong } else { Duty::Refuse };
        let Some(terms) = self.terms.get(id) else { return Duty::Refuse };
        if self.revoked.contains(id) || attempts >= MAX_ATTEMPTS {
            return Duty::Refuse;
        }
        let bound = self.bound.get(id);
        if self.left.contains(id) {
            let is_his = asked.what == Ask::Logout && bound == Some(&asked.client);
            return when(is_his && !self.paused.contains(id));
        }
        if terms.expires_at.is_some_and(|end_s| now_s >= end_s) {
            return Duty::Refuse;
        }
        if self.paused.contains(id) {
            return when(asked.what == Ask::Ping && bound == Some(&asked.client));
        }
        let Some(bound) = bound else {
            return when(asked.what == Ask::Connect(Offer::Right));
        };
        if *bound != asked.client {
            return Duty::Refuse;
        }
        let rules = &RULES[terms.rules];
        let is_counted = self.counted.get(&asked.id) == Some(&terms.seq);
        let is_left = is_counted || self.used.get(id).copied().unwrap_or(0) < rules.uses;
        let (allows, asks) = match asked.what {
            Ask::Connect(offer) => return when(offer != Offer::Wrong),
            Ask::Ping | Ask::Logout => return Duty::GoAlong,
            Ask::Sign(kind) => (rules.kinds.contains(&kind), rules.asks.contains(&kind)),
            Ask::Encrypt => (rules.encrypts, rules.asks_to_encrypt),
        };
        match self.words.get(&asked.id) {
            // Whatever the owner allows later.
            Some(Word::Denied(of)) if of == id => Duty::Refuse,
            _ if allows && is_left => Duty::GoAlong,
            _ if !asks => Duty::Refuse,
            Some(word) if *word == Word::Approved(*id, asked.what) => Duty::GoAlong,
            _ => match self.allowances.get(&(*id, asked.what)) {
                Some(until) if until.is_none_or(|until| now_s < until) => Duty::GoAlong,
                Some(_) | None => Duty::AskTheOwner,
            },
        }
    }

    /// Whether the holder went along with this request before.
    pub(super) fn went_along(&self, request: &EventId) -> bool {
        self.attempts.contains_key(request)
    }

    /// The holder went along with it.
    pub(super) fn record(&mut self, asked: &Asked) {
        let id = asked.connection;
        *self.attempts.entry(asked.id).or_default() += 1;
        let terms = self.terms[&id];
        let is_counted = self.counted.insert(asked.id, terms.seq) == Some(terms.seq);
        let rules = &RULES[terms.rules];
        match asked.what {
            Ask::Connect(_) => {
                self.bound.entry(id).or_insert(asked.client);
            }
            Ask::Logout => {
                self.left.insert(id);
            }
            Ask::Sign(kind) if !is_counted && rules.kinds.contains(&kind) => self.count(id, rules.uses),
            Ask::Encrypt if !is_counted && rules.encrypts => self.count(id, rules.uses),
            Ask::Sign(_) | Ask::Encrypt | Ask::Ping => {}
        }
    }

    /// One use of what needs no asking. Beyond the limit it was the owner who was asked.
    fn count(&mut self, connection: ConnectionId, limit: u32) {
        let used = self.used.entry(connection).or_default();
        *used = limit.min(*used + 1);
    }

    /// Compares with what the holder believes.
    pub(super) fn check(&self, holder: &TestHolder, now_s: u64) {
        assert_eq!(holder.state.last_statement().seq, self.heard);
        for (id, terms) in &self.terms {
            let connection = holder.connection(id);
            assert_eq!(connection.client(), self.bound.get(id));
            match connection.standing() {
                Standing::Revoked { .. } => assert!(self.revoked.contains(id)),
                Standing::LoggedOut { .. } => assert!(self.left.contains(id)),
                Standing::Connected { .. } => assert!(self.bound.contains_key(id) && !self.left.contains(id)),
                Standing::AwaitingClient => assert!(!self.bound.contains_key(id)),
            }
            assert_eq!(self.revoked.contains(id), matches!(connection.standing(), Standing::Revoked { .. }));
            if !self.has_ended(id) {
                assert_eq!(connection.is_paused(), self.paused.contains(id));
                let is_living = |until: &Option<u64>| until.is_none_or(|until| now_s < until);
                let remembered = self.allowances.iter().filter(|((of, _), until)| of == id && is_living(until));
                assert_eq!(connection.allowances(now_s).count(), remembered.count());
            }
            assert_eq!(connection.terms().expires_at, terms.expires_at);
            let used: u32 = holder.usage(id).rules.iter().sum();
            assert_eq!(used, self.used.get(id).copied().unwrap_or(0));
            assert!(used <= RULES[terms.rules].uses, "a rule was used more often than granted");
        }
    }
}
