//! What a holder remembers of its group, and the only way to change it.

use std::collections::BTreeMap;

use frost_wasm_core::group::{GroupId, GroupPublic, HolderIndex};
use serde::{Deserialize, Serialize};

use crate::{
    audit::{AuditHead, AuditRecord, Entry},
    event::Event,
    grant::{Connection, ConnectionId, Usage},
    keys::{EventId, PublicKey},
    replay::{ReplayWindow, Seen},
};

/// Which group, whose, and which of its holders this is. Fixed for the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The owner's `create_group` statement.
    pub statement: Event,
    /// The owner key: learned with the share, never from a coordinator later.
    pub owner: PublicKey,
    /// The group's public facts.
    pub public: GroupPublic,
    /// This holder.
    pub holder: HolderIndex,
}

/// The newest statement that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastStatement {
    /// Its sequence number.
    pub seq: u64,
    /// Its event id, so that the same statement delivered again is no news and no error.
    pub id: EventId,
}

/// One durable change; also one row of storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// A statement was applied.
    LastStatement(LastStatement),
    /// A connection was made or changed its standing.
    Connection(Box<Connection>),
    /// A request was counted.
    Usage(ConnectionId, Usage),
    /// A request was seen, or made progress.
    Seen(EventId, Seen),
    /// The reply to a request, as it was sent.
    Reply(EventId, Box<Event>),
    /// A request is too old to come again: its row and its reply go.
    Forget(EventId),
    /// A record of the audit chain.
    Audit(Box<AuditRecord>),
}

/// One holder of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderState {
    pub(super) identity: Identity,
    pub(super) last_statement: LastStatement,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    pub(super) usage: BTreeMap<ConnectionId, Usage>,
    pub(super) replay: ReplayWindow,
    pub(super) audit: AuditHead,
}

impl HolderState {
    /// A holder that remembers nothing but who it is. Stored rows are then applied to it.
    pub fn new(identity: Identity) -> Self {
        let last_statement = LastStatement { seq: 0, id: identity.statement.id };
        Self {
            identity,
            last_statement,
            connections: BTreeMap::new(),
            usage: BTreeMap::new(),
            replay: ReplayWindow::default(),
            audit: AuditHead::default(),
        }
    }

    /// Applies one change. Total: every check was made by the step or on reading the row.
    pub fn apply(&mut self, mutation: &Mutation) {
        match mutation {
            Mutation::LastStatement(last) => self.last_statement = *last,
            Mutation::Connection(connection) => {
                self.connections.insert(connection.grant().connection, Connection::clone(connection));
            }
            Mutation::Usage(connection, usage) => {
                self.usage.insert(*connection, usage.clone());
            }
            Mutation::Seen(request, seen) => self.replay.remember(*request, *seen),
            Mutation::Reply(_, _) => {} // kept in storage only, found by the request's id
            Mutation::Forget(request) => self.replay.forget(request),
            Mutation::Audit(record) => self.audit = record.head(),
        }
    }

    /// Who this holder is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The group's id.
    pub fn group(&self) -> &GroupId {
        &self.identity.public.group
    }

    /// The group's key: the npub.
    pub fn pubkey(&self) -> PublicKey {
        PublicKey::from_bytes(*self.identity.public.pubkey.as_bytes())
    }

    /// The newest statement.
    pub fn last_statement(&self) -> LastStatement {
        self.last_statement
    }

    /// The end of the audit chain.
    pub fn audit_head(&self) -> AuditHead {
        self.audit
    }

    /// All connections, with what was used of them.
    pub fn connections(&self) -> impl Iterator<Item = (&Connection, Usage)> {
        self.connections.iter().map(|(id, connection)| (connection, self.usage_of(id)))
    }

    /// One connection.
    pub fn connection(&self, id: &ConnectionId) -> Option<&Connection> {
        self.connections.get(id)
    }

    /// The connection that a transport key belongs to.
    pub fn connection_of(&self, transport: &PublicKey) -> Option<&Connection> {
        self.connections.values().find(|connection| connection.grant().transport_pubkey == *transport)
    }

    /// Forgets requests that can't come again.
    pub fn forget_expired(&self, now_s: u64) -> Vec<Mutation> {
        self.replay.expired(now_s).into_iter().map(Mutation::Forget).collect()
    }

    /// True while requests are remembered that will expire.
    pub fn remembers_requests(&self) -> bool {
        !self.replay.is_empty()
    }

    pub(super) fn usage_of(&self, connection: &ConnectionId) -> Usage {
        self.usage.get(connection).cloned().unwrap_or_default()
    }

    pub(super) fn audit_entry(&self, at_ms: u64, entry: Entry) -> Mutation {
        Mutation::Audit(Box::new(self.audit.append(at_ms, entry)))
    }
}
