//! What a holder remembers of its group, and the only way to change it.

use std::collections::BTreeMap;

use frost_wasm_core::group::{GroupId, GroupPublic, HolderIndex, HolderRole};
use serde::{Deserialize, Serialize};

use crate::{
    approval::{Decision, Pending},
    audit::{AuditHead, AuditRecord, Entry},
    event::Event,
    export::Export,
    grant::{Connection, ConnectionId, Usage},
    keys::{EventId, PublicKey},
    members::Members,
    replay::{ReplayWindow, Seen},
    reshare::{Epoch, Reshare},
};

/// Which group, whose, and which of its holders this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The owner's `create_group` statement.
    pub statement: Event,
    /// The owner key: learned with the share, never from a coordinator later.
    pub owner: PublicKey,
    /// Who beside the owner holds shares, in the present epoch.
    pub members: Members,
    /// The group's public facts in the present epoch.
    pub public: GroupPublic,
    /// This holder.
    pub holder: HolderIndex,
}

/// With whom the bunker acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// With a cosigner, whenever the policy says so.
    Hosted {
        /// The cosigner.
        cosigner: HolderIndex,
    },
    /// With a device of the owner's, which has to be there: the server can't act without it.
    Device,
}

impl Custody {
    /// What the group's holders make it.
    pub fn of(public: &GroupPublic) -> Self {
        let cosigner = public.holders.iter().find(|holder| holder.role == HolderRole::Cosigner);
        cosigner.map_or(Self::Device, |holder| Self::Hosted { cosigner: holder.index })
    }
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
    /// A request waits for the owner.
    Pending(EventId, Box<Pending>),
    /// A request waits no more: its row goes.
    Settled(EventId),
    /// The owner decided about a request.
    Decision(EventId, Box<Decision>),
    /// A request is too old to come again: its row, its reply and the owner's decision go.
    Forget(EventId),
    /// An export was asked for, or ended.
    Export(Option<Box<Export>>),
    /// The owner asked for new shares, or has got them.
    Reshare(Option<Box<Reshare>>),
    /// The next epoch began.
    Epoch(Box<Epoch>),
    /// The owner's `delete_group` statement: all else that is stored is wiped.
    Deleted(Box<Event>),
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
    pub(super) pending: BTreeMap<EventId, Pending>,
    pub(super) decisions: BTreeMap<EventId, Decision>,
    pub(super) export: Option<Export>,
    pub(super) reshare: Option<Reshare>,
    /// The present epoch, after the first.
    pub(super) epoch: Option<Epoch>,
    pub(super) deleted: Option<Event>,
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
            pending: BTreeMap::new(),
            decisions: BTreeMap::new(),
            export: None,
            reshare: None,
            epoch: None,
            deleted: None,
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
            Mutation::Pending(request, pending) => {
                self.pending.insert(*request, Pending::clone(pending));
            }
            Mutation::Settled(request) => {
                self.pending.remove(request);
            }
            Mutation::Decision(request, decision) => {
                self.decisions.insert(*request, Decision::clone(decision));
            }
            Mutation::Forget(request) => {
                self.replay.forget(request);
                self.decisions.remove(request);
            }
            Mutation::Export(export) => self.export = export.as_deref().cloned(),
            Mutation::Reshare(reshare) => self.reshare = reshare.as_deref().cloned(),
            Mutation::Epoch(epoch) => {
                self.identity.public = epoch.public().clone();
                self.identity.members = Members::of_terms(&epoch.record().terms, &self.identity.owner);
                self.epoch = Some(Epoch::clone(epoch));
            }
            Mutation::Deleted(statement) => {
                self.connections.clear();
                self.usage.clear();
                self.replay = ReplayWindow::default();
                self.pending.clear();
                self.decisions.clear();
                self.export = None;
                self.reshare = None;
                self.deleted = Some(Event::clone(statement));
            }
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

    /// With whom the bunker acts.
    pub fn custody(&self) -> Custody {
        Custody::of(&self.identity.public)
    }

    /// How many devices contribute to what the bunker does not do alone; none where it has a cosigner.
    pub fn devices_needed(&self) -> usize {
        match self.custody() {
            Custody::Hosted { .. } => 0,
            Custody::Device => usize::from(self.identity.public.threshold).saturating_sub(1),
        }
    }

    /// Who holds this share, if a person does.
    pub fn person_of(&self, holder: HolderIndex) -> Option<&PublicKey> {
        let Identity { owner, members, public, .. } = &self.identity;
        public.holder(holder).filter(|it| !it.role.is_on_server()).map(|_| members.get(holder).unwrap_or(owner))
    }

    /// The shares with which a person can contribute.
    pub fn devices_of<'a>(&'a self, person: &'a PublicKey) -> impl Iterator<Item = HolderIndex> + 'a {
        let devices = self.identity.public.holders.iter().filter(|it| it.role == HolderRole::Device);
        devices.map(|it| it.index).filter(|index| self.person_of(*index) == Some(person))
    }

    /// When the owner asked for the present shares, Unix seconds.
    pub fn shares_since_s(&self) -> u64 {
        let word = self.epoch.as_ref().map_or(&self.identity.statement, |epoch| &epoch.record().statement);
        word.created_at
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

    /// Requests that wait for the owner.
    pub fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.pending.values()
    }

    /// Those of one connection.
    pub fn pending_of(&self, connection: &ConnectionId) -> impl Iterator<Item = &Pending> {
        self.pending.values().filter(move |pending| pending.connection == *connection)
    }

    /// One of them.
    pub fn pending_request(&self, request: &EventId) -> Option<&Pending> {
        self.pending.get(request)
    }

    /// The owner's `delete_group` statement, once it was applied. Such a holder does nothing more.
    pub fn deleted(&self) -> Option<&Event> {
        self.deleted.as_ref()
    }

    /// What the owner said about a request, as long as it can come again.
    pub fn decision(&self, request: &EventId) -> Option<&Decision> {
        self.decisions.get(request)
    }

    /// Forgets requests that can't come again, and an export whose week is over.
    pub fn forget_expired(&self, now_s: u64) -> Vec<Mutation> {
        let seen = self.replay.expired(now_s);
        let unseen = self.unseen_decisions().filter(|decision| decision.ends_at_s() <= now_s);
        let unseen: Vec<_> = unseen.map(|decision| *decision.request()).collect();
        let mut mutations: Vec<_> = seen.into_iter().chain(unseen).map(Mutation::Forget).collect();
        if self.export.as_ref().is_some_and(|export| export.is_over(now_s.saturating_mul(1000))) {
            mutations.push(Mutation::Export(None));
        }
        mutations
    }

    /// True while something is remembered that will be forgotten.
    pub fn remembers_requests(&self) -> bool {
        !self.replay.is_empty() || !self.decisions.is_empty()
    }

    /// When the next thing has to be done by the clock, Unix seconds: a waiting request is answered, or what is
    /// over is forgotten.
    pub fn next_due_s(&self) -> Option<u64> {
        let waiting = self.pending.values().map(|pending| pending.expires_at_s).min();
        let deciding = self.unseen_decisions().map(Decision::ends_at_s).min();
        let leaving = self.export.as_ref().map(|export| export.ends_at_ms().div_ceil(1000));
        [waiting, self.replay.next_expiry_s(), deciding, leaving].into_iter().flatten().min()
    }

    /// Decisions about requests that were not carried out here. The others are forgotten with their requests.
    fn unseen_decisions(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|(request, _)| self.replay.get(request).is_none()).map(|(_, decision)| decision)
    }

    pub(super) fn usage_of(&self, connection: &ConnectionId) -> Usage {
        self.usage.get(connection).cloned().unwrap_or_default()
    }

    pub(super) fn audit_entry(&self, at_ms: u64, entry: Entry) -> Mutation {
        Mutation::Audit(Box::new(self.audit.append(at_ms, entry)))
    }
}
