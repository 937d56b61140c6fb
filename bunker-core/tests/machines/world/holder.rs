//! One holder with its storage: a log of committed mutations, and storage that can be told to fail.

use std::collections::BTreeMap;

use bunker_core::{
    approval::{Decision, DecisionRecord, Pending},
    audit::{AuditHead, AuditRecord, verify_chain},
    event::Event,
    export::{Export, ExportRecord},
    grant::{Connection, ConnectionId, ConnectionRecord, Usage},
    keys::EventId,
    replay::Seen,
    reshare::{Epoch, EpochRecord, Reshare},
    session::{HolderState, LastStatement, Mutation, Rules, StatementRefused},
    statement::Statement,
};
use frost_wasm_core::share::KeyShare;
use serde::{Serialize, de::DeserializeOwned};

/// What the deployment of these tests has decided.
pub(crate) const RULES: Rules = Rules { export_delay_ms: 24 * 60 * 60 * 1000 };

/// A commit that did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StorageFailed;

/// Why a holder has not applied a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undelivered {
    Refused(StatementRefused),
    Storage,
}

pub(crate) struct TestHolder {
    pub(crate) state: HolderState,
    pub(crate) share: KeyShare,
    pub(crate) log: Vec<Mutation>,
    pub(crate) replies: BTreeMap<EventId, Event>,
    commits_until_failure: Option<usize>,
}

impl TestHolder {
    pub(crate) fn create(statement: &Statement, share: KeyShare, now_ms: u64) -> Self {
        let (state, log) = HolderState::create(statement, share.index(), now_ms).unwrap();
        Self::of(state, log, share)
    }

    pub(crate) fn of(state: HolderState, log: Vec<Mutation>, share: KeyShare) -> Self {
        Self { state, share, log, replies: BTreeMap::new(), commits_until_failure: None }
    }

    /// All of a step's mutations, or none.
    pub(crate) fn commit(&mut self, mutations: &[Mutation]) -> Result<(), StorageFailed> {
        if mutations.is_empty() {
            return Ok(());
        }
        match self.commits_until_failure {
            Some(0) => return Err(StorageFailed),
            Some(left) => self.commits_until_failure = Some(left - 1),
            None => {}
        }
        for mutation in mutations {
            self.state.apply(mutation);
            match mutation {
                Mutation::Reply(request, reply) => {
                    self.replies.insert(*request, Event::clone(reply));
                }
                Mutation::Forget(request) => {
                    self.replies.remove(request);
                }
                _ => {}
            }
        }
        self.log.extend_from_slice(mutations);
        Ok(())
    }

    /// From the `n`-th commit on, counted from 0, storage fails.
    pub(crate) fn fail_storage_after(&mut self, n: usize) {
        self.commits_until_failure = Some(n);
    }

    pub(crate) fn heal_storage(&mut self) {
        self.commits_until_failure = None;
    }

    pub(crate) fn deliver(&mut self, statement: &Statement, now_ms: u64) -> Result<(), Undelivered> {
        let mutations = self.state.deliver(statement, RULES, now_ms).map_err(Undelivered::Refused)?;
        self.commit(&mutations).map_err(|_| Undelivered::Storage)
    }

    /// Sleeps and wakes: all it knows afterwards comes from its rows.
    pub(crate) fn wake(&mut self) {
        let identity = self.state.identity().clone();
        let mut woken = HolderState::new(identity.clone());
        for mutation in &self.log {
            woken.apply(&through_storage(mutation, &identity.owner, &identity.public.group));
        }
        self.state = woken;
    }

    pub(crate) fn connection(&self, id: &ConnectionId) -> &Connection {
        self.state.connection(id).unwrap()
    }

    pub(crate) fn usage(&self, id: &ConnectionId) -> Usage {
        self.state.connections().find(|(connection, _)| connection.grant().connection == *id).unwrap().1
    }

    pub(crate) fn audit(&self) -> Vec<AuditRecord> {
        self.log
            .iter()
            .filter_map(|mutation| match mutation {
                Mutation::Audit(record) => Some(AuditRecord::clone(record)),
                _ => None,
            })
            .collect()
    }

    /// Everything this holder ever stored, as it stands in storage, except its sealed share.
    pub(crate) fn rows(&self) -> String {
        self.log.iter().map(row).collect::<Vec<_>>().join("\n")
    }

    /// What must hold of every holder at the end of every test.
    pub(crate) fn check(&self) {
        let identity = self.state.identity().clone();
        let mut woken = HolderState::new(identity.clone());
        for mutation in &self.log {
            let stored = through_storage(mutation, &identity.owner, &identity.public.group);
            assert_eq!(stored, *mutation, "a row reads back as another mutation");
            woken.apply(&stored);
        }
        assert!(woken == self.state, "the log does not give the live state");
        let head = verify_chain(AuditHead::default(), &self.audit(), Some(self.state.audit_head()));
        head.expect("the audit chain verifies");
    }
}

fn row(mutation: &Mutation) -> String {
    fn text(row: &impl Serialize) -> String {
        serde_json::to_string(row).unwrap()
    }
    match mutation {
        Mutation::LastStatement(last) => text(last),
        Mutation::Connection(connection) => text(connection.record()),
        Mutation::Usage(connection, usage) => text(&(connection, usage)),
        Mutation::Seen(request, seen) => text(&(request, seen)),
        Mutation::Reply(request, reply) => text(&(request, reply)),
        Mutation::Pending(request, pending) => text(&(request, pending)),
        Mutation::Decision(request, decision) => text(&(request, decision.record())),
        Mutation::Export(export) => text(&export.as_deref().map(Export::record)),
        Mutation::Reshare(reshare) => text(&reshare.as_deref().map(Reshare::statement)),
        Mutation::Epoch(epoch) => text(epoch.record()),
        Mutation::Deleted(statement) => text(statement),
        Mutation::Settled(request) | Mutation::Forget(request) => text(request),
        Mutation::Audit(record) => text(record),
    }
}

fn through_storage(
    mutation: &Mutation,
    owner: &bunker_core::keys::PublicKey,
    group: &frost_wasm_core::group::GroupId,
) -> Mutation {
    fn read<T: DeserializeOwned>(row: &str) -> T {
        serde_json::from_str(row).unwrap()
    }
    let row = row(mutation);
    match mutation {
        Mutation::LastStatement(_) => Mutation::LastStatement(read::<LastStatement>(&row)),
        Mutation::Connection(_) => {
            let record = read::<ConnectionRecord>(&row);
            Mutation::Connection(Box::new(Connection::restore(record, owner, group).unwrap()))
        }
        Mutation::Usage(..) => {
            let (connection, usage) = read::<(ConnectionId, Usage)>(&row);
            Mutation::Usage(connection, usage)
        }
        Mutation::Seen(..) => {
            let (request, seen) = read::<(EventId, Seen)>(&row);
            Mutation::Seen(request, seen)
        }
        Mutation::Reply(..) => {
            let (request, reply) = read::<(EventId, Event)>(&row);
            Mutation::Reply(request, Box::new(reply))
        }
        Mutation::Pending(..) => {
            let (request, pending) = read::<(EventId, Pending)>(&row);
            pending.event.verify().unwrap();
            Mutation::Pending(request, Box::new(pending))
        }
        Mutation::Settled(_) => Mutation::Settled(read::<EventId>(&row)),
        Mutation::Decision(..) => {
            let (request, record) = read::<(EventId, DecisionRecord)>(&row);
            let decision = Decision::restore(record, owner, group).unwrap();
            assert_eq!(*decision.request(), request);
            Mutation::Decision(request, Box::new(decision))
        }
        Mutation::Export(_) => {
            let export = read::<Option<ExportRecord>>(&row);
            Mutation::Export(export.map(|record| Box::new(Export::restore(record, owner, group).unwrap())))
        }
        Mutation::Reshare(_) => {
            let reshare = read::<Option<Event>>(&row);
            Mutation::Reshare(reshare.map(|it| Box::new(Reshare::restore(it, owner, group).unwrap())))
        }
        Mutation::Epoch(_) => {
            let record = read::<EpochRecord>(&row);
            Mutation::Epoch(Box::new(Epoch::restore(record, owner, group).unwrap()))
        }
        Mutation::Deleted(_) => Mutation::Deleted(Box::new(read::<Event>(&row))),
        Mutation::Forget(_) => Mutation::Forget(read::<EventId>(&row)),
        Mutation::Audit(_) => Mutation::Audit(Box::new(read::<AuditRecord>(&row))),
    }
}
