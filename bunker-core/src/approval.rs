//! Asking the owner: requests that wait, the owner's word about one of them, and what is allowed from then on.
//!
//! An approval names the request event, its connection, its method and its kind. A holder takes it only for a
//! request that it decrypted itself and that is all four, so an approval can't be moved to another request. What
//! is kept is the owner's statement, verified again whenever it is loaded.

use frost_wasm_core::group::GroupId;
use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    grant::ConnectionId,
    keys::{EventId, PublicKey},
    policy::{Ask, Permission},
    replay::{MAX_AGE_S, MAX_AHEAD_S},
    statement::{Statement, StoredError, Verb},
};

/// How long a request waits for the owner at most, in seconds.
pub const MAX_HOLD_S: u64 = 10 * 60;
/// What is left of a request's freshness when the owner's time is over, in seconds: enough to carry it out.
pub const HOLD_MARGIN_S: u64 = 30;
/// Requests of one connection that wait at the same time.
pub const MAX_PENDING: usize = 64;
/// Bytes of the waiting requests of one connection: a holder keeps them in memory.
pub const MAX_PENDING_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of all waiting requests of a group.
pub const MAX_GROUP_PENDING_BYTES: usize = 16 * 1024 * 1024;
/// Allowances of one connection that are remembered and not over.
pub const MAX_ALLOWANCES: usize = 64;

/// What the owner says when approving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// The connection that the request came through.
    pub connection: ConnectionId,
    /// The request event.
    pub request: EventId,
    /// Its method.
    pub method: Permission,
    /// Its template's kind, for `sign_event` and only there.
    pub kind: Option<u16>,
    /// Whether requests like it are allowed from now on.
    pub remember: Option<Remember>,
}

/// Requests of the same method and kind are not asked about again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remember {
    /// When that ends, Unix seconds; `None` is without end.
    pub until: Option<u64>,
}

/// What the owner allowed a connection while approving a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The method.
    pub method: Permission,
    /// The kind, for `sign_event`.
    pub kind: Option<u16>,
    /// When it ends, Unix seconds; `None` is without end.
    pub until: Option<u64>,
}

impl Allowance {
    /// What an approval allows beyond its request.
    pub(crate) fn of(approval: &Approval) -> Option<Self> {
        let Approval { method, kind, remember, .. } = *approval;
        remember.map(|Remember { until }| Self { method, kind, until })
    }

    /// True when its time is over.
    pub fn is_over(&self, now_s: u64) -> bool {
        self.until.is_some_and(|until_s| until_s <= now_s)
    }

    pub(crate) fn covers(&self, ask: &Ask, now_s: u64) -> bool {
        self.method == ask.permission && self.kind == ask.kind && !self.is_over(now_s)
    }
}

/// A request that waits for the owner, at the bunker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The connection it came through.
    pub connection: ConnectionId,
    /// The client's event, as it came.
    pub event: Event,
    /// NIP-46's id, chosen by the client.
    pub request_id: String,
    /// Its method.
    pub method: Permission,
    /// Its template's kind, for `sign_event`.
    pub kind: Option<u16>,
    /// The other party of an encryption or decryption.
    pub peer: Option<PublicKey>,
    /// Since when it waits, Unix seconds.
    pub held_at_s: u64,
    /// When it is answered with an error, Unix seconds.
    pub expires_at_s: u64,
}

impl Pending {
    /// True when the owner's time is over.
    pub fn is_over(&self, now_s: u64) -> bool {
        self.expires_at_s <= now_s
    }

    pub(crate) fn bytes(&self) -> usize {
        let tags: usize = self.event.tags.iter().flatten().map(String::len).sum();
        self.event.content.len().saturating_add(tags)
    }

    pub(crate) fn is_as(&self, approval: &Approval) -> bool {
        (self.connection, self.method, self.kind) == (approval.connection, approval.method, approval.kind)
    }
}

/// The owner's word about one request, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The `approve` or `deny` statement as the owner signed it.
    pub statement: Event,
    /// When this holder took it, Unix seconds.
    pub decided_at_s: u64,
}

/// The owner's word about one request, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    record: DecisionRecord,
    verdict: Verdict,
}

/// What the owner decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The request that is all of this may be carried out.
    Approved(Approval),
    /// The request is not carried out.
    Denied {
        /// The connection it came through.
        connection: ConnectionId,
        /// The request event.
        request: EventId,
    },
}

impl Decision {
    pub(crate) fn made(statement: &Statement, verdict: Verdict, now_s: u64) -> Self {
        Self { record: DecisionRecord { statement: statement.event().clone(), decided_at_s: now_s }, verdict }
    }

    /// Reads a stored decision, checking the owner's signature again.
    ///
    /// # Errors
    /// When the statement is not the owner's word about a request of this group.
    pub fn restore(record: DecisionRecord, owner: &PublicKey, group: &GroupId) -> Result<Self, StoredError> {
        let verdict = match Statement::restore(record.statement.clone(), owner, group)?.into_verb() {
            Verb::Approve(approval) => Verdict::Approved(approval),
            Verb::Deny { connection, request } => Verdict::Denied { connection, request },
            _ => return Err(StoredError::Foreign),
        };
        Ok(Self { record, verdict })
    }

    /// What is stored.
    pub fn record(&self) -> &DecisionRecord {
        &self.record
    }

    /// What the owner decided.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The request event it is about.
    pub fn request(&self) -> &EventId {
        match &self.verdict {
            Verdict::Approved(approval) => &approval.request,
            Verdict::Denied { request, .. } => request,
        }
    }

    /// From when on no request that it could be about is fresh, Unix seconds.
    pub(crate) fn ends_at_s(&self) -> u64 {
        self.record.decided_at_s.saturating_add(MAX_AGE_S + MAX_AHEAD_S + 1)
    }
}
