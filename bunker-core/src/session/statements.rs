//! Owner statements at a holder: made once, in order, by the owner that came with the share.

use frost_wasm_core::group::{GroupPublic, HolderIndex, HolderRole};

use super::{
    Mutation,
    state::{HolderState, Identity, LastStatement},
};
use crate::{
    approval::{Approval, Decision, MAX_ALLOWANCES, Pending, Verdict},
    audit::{Entry, Happening},
    export::Export,
    grant::{Connection, ConnectionId, MAX_CONNECTIONS, Standing},
    keys::{EventId, PublicKey},
    members::MembersError,
    reshare::Reshare,
    statement::{Statement, Verb},
};

/// What a deployment has decided about statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long an export waits, in milliseconds, so that it can be cancelled.
    pub export_delay_ms: u64,
}

/// Why a holder does not apply a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementRefused {
    /// It is signed by another key than the group's owner.
    #[error("the statement is not signed by this group's owner key")]
    NotTheOwner,
    /// It is about another group.
    #[error("the statement is about another group")]
    OtherGroup,
    /// Its sequence number is not above the last one.
    #[error("the statement's sequence number {seq} is not above {last}, the last one; sign it again with a higher one")]
    NotNewer {
        /// The statement's number.
        seq: u64,
        /// The last number that was applied.
        last: u64,
    },
    /// A `create_group` for a holder that has its group already, or another verb before it.
    #[error("a group is created once, by its first statement")]
    WrongMoment,
    /// The group does not list this holder.
    #[error("the statement's group has no such holder")]
    NotAHolder,
    /// The owner key, or a connection's transport key, is the group's own or one of its shares'.
    #[error("an owner or transport key is a key of its own: never the group's, and never a share")]
    KeyOfTheGroup,
    /// The people who share the key can't be these.
    #[error("the statement's members are wrong: {0}")]
    Members(#[from] MembersError),
    /// The connection exists.
    #[error("a connection with this id or transport key exists already; make a new one")]
    ConnectionExists,
    /// No such connection.
    #[error("this group has no such connection")]
    NoSuchConnection,
    /// [`MAX_CONNECTIONS`] reached.
    #[error("a group has at most {MAX_CONNECTIONS} connections, those that ended included")]
    TooManyConnections,
    /// The connection was revoked, or its client logged out.
    #[error("this connection has ended; grant a new one")]
    ConnectionEnded,
    /// The request does not wait for the owner, or does no more.
    #[error("no such request waits for you; it may have been answered meanwhile")]
    NoSuchRequest,
    /// The request that waits is another's, or of another method or kind, than the statement says.
    #[error("the request that waits is another than the statement says")]
    OtherRequest,
    /// [`MAX_ALLOWANCES`] reached.
    #[error("a connection has at most {MAX_ALLOWANCES} remembered approvals; allow it in its policy instead")]
    TooManyAllowances,
    /// An export is under way.
    #[error("an export is under way already; cancel it first")]
    ExportPending,
    /// There is no export to cancel.
    #[error("no export is under way")]
    NoExport,
    /// The group was deleted.
    #[error("this group was deleted by its owner")]
    Deleted,
}

impl HolderState {
    /// The first state of a holder, from the owner's `create_group` statement.
    ///
    /// # Errors
    /// When the statement is another, or does not list the holder.
    pub fn create(
        statement: &Statement,
        holder: HolderIndex,
        now_ms: u64,
    ) -> Result<(Self, Vec<Mutation>), StatementRefused> {
        let Verb::CreateGroup { public, members } = statement.verb() else {
            return Err(StatementRefused::WrongMoment);
        };
        if !public.holders.iter().any(|listed| listed.index == holder) {
            return Err(StatementRefused::NotAHolder);
        }
        // An app that may sign anything could otherwise sign statements.
        if is_key_of(public, statement.owner()) {
            return Err(StatementRefused::KeyOfTheGroup);
        }
        if !members.is_empty() {
            members.check(statement.owner(), public)?;
        }
        let mut state = Self::new(Identity {
            statement: statement.event().clone(),
            owner: *statement.owner(),
            members: members.clone(),
            public: public.clone(),
            holder,
        });
        let mutations = state.applied(statement, Vec::new(), now_ms);
        mutations.iter().for_each(|mutation| state.apply(mutation));
        Ok((state, mutations))
    }

    /// Applies a later statement. The same statement delivered again changes nothing.
    ///
    /// # Errors
    /// Why it is not applied.
    pub fn deliver(&self, statement: &Statement, rules: Rules, now_ms: u64) -> Result<Vec<Mutation>, StatementRefused> {
        if *statement.owner() != self.identity.owner {
            return Err(StatementRefused::NotTheOwner);
        }
        if statement.group() != self.group() {
            return Err(StatementRefused::OtherGroup);
        }
        if *statement.id() == self.last_statement.id {
            return Ok(Vec::new());
        }
        if self.deleted().is_some() {
            return Err(StatementRefused::Deleted);
        }
        let (seq, last) = (statement.seq(), self.last_statement.seq);
        if seq <= last {
            return Err(StatementRefused::NotNewer { seq, last });
        }
        let now_s = now_ms / 1000;
        let changed = |connection| vec![Mutation::Connection(Box::new(connection))];
        let changes = match statement.verb() {
            Verb::CreateGroup { .. } => return Err(StatementRefused::WrongMoment),
            Verb::Grant(grant) => {
                let is_taken = self.connections.contains_key(&grant.connection)
                    || self.connection_of(&grant.transport_pubkey).is_some();
                if is_taken {
                    return Err(StatementRefused::ConnectionExists);
                }
                // A share as transport key: a partial ECDH would be its own transport secret.
                if is_key_of(&self.identity.public, &grant.transport_pubkey) {
                    return Err(StatementRefused::KeyOfTheGroup);
                }
                if self.connections.len() >= MAX_CONNECTIONS {
                    return Err(StatementRefused::TooManyConnections);
                }
                changed(Connection::granted(statement, grant))
            }
            Verb::Edit { connection, terms } => {
                let next = self.living(connection)?.with_terms(statement, terms.clone());
                let usage = self.usage_of(connection).under_new_terms();
                vec![Mutation::Connection(Box::new(next)), Mutation::Usage(*connection, usage)]
            }
            Verb::Pause { connection } => changed(self.living(connection)?.with_pause(Some(statement))),
            Verb::Resume { connection } => changed(self.living(connection)?.with_pause(None)),
            Verb::Revoke { connection } => changed(self.revoked(connection, statement)?),
            Verb::Approve(approval) => self.approve(statement, approval, now_s)?,
            Verb::Deny { connection, request } => {
                self.living(connection)?;
                if let Some(pending) = self.waiting(request, now_s)?
                    && pending.connection != *connection
                {
                    return Err(StatementRefused::OtherRequest);
                }
                let verdict = Verdict::Denied { connection: *connection, request: *request };
                vec![Mutation::Decision(*request, Box::new(Decision::made(statement, verdict, now_s)))]
            }
            Verb::Export { receiver } => {
                if self.export(now_ms).is_some() {
                    return Err(StatementRefused::ExportPending);
                }
                let ready_at_ms = now_ms.saturating_add(rules.export_delay_ms);
                vec![Mutation::Export(Some(Box::new(Export::asked(statement, *receiver, ready_at_ms))))]
            }
            Verb::CancelExport => {
                self.export(now_ms).ok_or(StatementRefused::NoExport)?;
                vec![Mutation::Export(None)]
            }
            // One at a time: the newest counts.
            Verb::Reshare { terms } => vec![Mutation::Reshare(Some(Box::new(Reshare::said(statement, *terms))))],
            Verb::DeleteGroup => vec![Mutation::Deleted(Box::new(statement.event().clone()))],
        };
        Ok(self.applied(statement, changes, now_ms))
    }

    fn approve(
        &self,
        statement: &Statement,
        approval: &Approval,
        now_s: u64,
    ) -> Result<Vec<Mutation>, StatementRefused> {
        let connection = self.living(&approval.connection)?;
        if self.waiting(&approval.request, now_s)?.is_some_and(|pending| !pending.is_as(approval)) {
            return Err(StatementRefused::OtherRequest);
        }
        let mut changes = Vec::new();
        if let Some(next) = connection.with_allowance(statement, approval, now_s) {
            if next.allowances(now_s).count() > MAX_ALLOWANCES {
                return Err(StatementRefused::TooManyAllowances);
            }
            changes.push(Mutation::Connection(Box::new(next)));
        }
        let decision = Decision::made(statement, Verdict::Approved(*approval), now_s);
        changes.push(Mutation::Decision(approval.request, Box::new(decision)));
        Ok(changes)
    }

    /// The request that waits at the bunker. Other holders have no queue and learn of a request when they are
    /// asked to contribute to it.
    fn waiting(&self, request: &EventId, now_s: u64) -> Result<Option<&Pending>, StatementRefused> {
        let own = self.identity.public.holder(self.identity.holder);
        if own.is_none_or(|own| own.role != HolderRole::Bunker) {
            return Ok(None);
        }
        let pending = self.pending.get(request).filter(|pending| !pending.is_over(now_s));
        pending.ok_or(StatementRefused::NoSuchRequest).map(Some)
    }

    fn living(&self, id: &ConnectionId) -> Result<&Connection, StatementRefused> {
        let connection = self.connections.get(id).ok_or(StatementRefused::NoSuchConnection)?;
        if connection.has_ended() { Err(StatementRefused::ConnectionEnded) } else { Ok(connection) }
    }

    fn revoked(&self, id: &ConnectionId, statement: &Statement) -> Result<Connection, StatementRefused> {
        let connection = self.connections.get(id).ok_or(StatementRefused::NoSuchConnection)?;
        let client = connection.client().copied();
        Ok(connection.with_standing(Standing::Revoked { statement: Box::new(statement.event().clone()), client }))
    }

    fn applied(&self, statement: &Statement, changes: Vec<Mutation>, now_ms: u64) -> Vec<Mutation> {
        let verb = statement.verb();
        let happening = Happening::StatementApplied {
            verb: verb.name().to_owned(),
            seq: statement.seq(),
            statement: *statement.id(),
        };
        let (request, method, kind) = match verb {
            Verb::Approve(it) => (Some(it.request), Some(it.method.name().to_owned()), it.kind),
            Verb::Deny { request, .. } => (Some(*request), None, None),
            _ => (None, None, None),
        };
        let connection = verb.connection().copied();
        let entry = Entry { happening, connection, request, method, kind, peer: None };
        let mut mutations = vec![Mutation::LastStatement(LastStatement { seq: statement.seq(), id: *statement.id() })];
        mutations.extend(changes);
        mutations.push(self.audit_entry(now_ms, entry));
        mutations
    }
}

fn is_key_of(public: &GroupPublic, key: &PublicKey) -> bool {
    let is_share =
        public.holders.iter().any(|holder| holder.verifying_share.to_bytes().get(1..) == Some(key.as_bytes()));
    is_share || public.pubkey.as_bytes() == key.as_bytes()
}
