//! A holder's rows in its object's SQLite: every row is one mutation of the session machine, or sealed material.
//!
//! Atomic because each commit is one `INSERT` statement: all of its rows are there or none. The platform holds
//! back every message until the rows before it are on disk, so what is released is recorded. A missing, a failed
//! and a corrupt store are three cases: only a store that answers and is empty means a holder that is not there.
//!
//! SQL integers pass through f64 here, so numbers are kept inside JSON text.

use bunker_core::{
    approval::{Decision, DecisionRecord, Pending},
    audit::{AuditHead, AuditRecord, verify_chain},
    event::Event,
    export::{Export, ExportRecord},
    grant::{Connection, ConnectionId, ConnectionRecord, Usage},
    keys::EventId,
    replay::Seen,
    reshare::{Epoch, EpochRecord, Reshare},
    session::{HolderState, Identity, LastStatement, Mutation},
    statement::{Statement, Verb},
};
use frost_wasm_core::{
    group::HolderIndex,
    sealed::{SealedBytes, SealedShare},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use worker::{SqlStorage, SqlStorageValue, State};

use super::rows::{self, corrupt};

/// Rows of one statement: the platform takes 100 bindings, three for a row.
const MAX_ROWS_PER_COMMIT: usize = 33;
/// Records of the audit chain that are verified whenever the holder loads. All of them are whenever they are read.
const AUDIT_TAIL: u64 = 64;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS record (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID";

/// Why the store can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum StoreError {
    /// The platform's storage failed. It may answer later.
    #[error("storage failed: {0}")]
    Failed(String),
    /// The owner deleted the identity meanwhile.
    #[error("the identity was deleted")]
    Deleted,
    /// A row is not what was written. Nothing is answered until a person has looked.
    #[error("storage is corrupt: {what}: {cause}")]
    Corrupt {
        /// Which row.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// One row to be written.
pub(super) struct Row {
    kind: &'static str,
    key: String,
    body: String,
}

#[derive(Serialize, Deserialize)]
struct IdentityRow {
    statement: Event,
    holder: HolderIndex,
}

pub(super) struct Store {
    sql: SqlStorage,
}

impl Store {
    /// Opens the object's storage, making the table if this is its first use.
    pub(super) fn open(state: &State) -> Result<Self, StoreError> {
        let store = Self { sql: state.storage().sql() };
        store.run(TABLE, Vec::new())?;
        Ok(store)
    }

    /// The holder's sealed share; `None` when nothing was ever stored.
    pub(super) fn share(&self) -> Result<Option<SealedShare>, StoreError> {
        match self.one("share", "")? {
            Some(share) => Ok(Some(share)),
            None if self.run("SELECT key, body FROM record LIMIT 1", Vec::new())?.is_empty() => Ok(None),
            None => Err(corrupt("share", "missing")),
        }
    }

    /// What a holder was when it was last active, every statement verified again.
    pub(super) fn load(&self) -> Result<HolderState, StoreError> {
        let row = self.one::<IdentityRow>("identity", "")?.ok_or_else(|| corrupt("identity", "missing"))?;
        let mut state = HolderState::new(identity(row).map_err(|cause| corrupt("identity", cause))?);
        self.replay(&mut state)?;
        // In the present epoch: it may be newer than the group.
        let Identity { public, holder, .. } = state.identity();
        if public.holder(*holder).is_none() {
            return Err(corrupt("identity", "the group does not list this holder"));
        }
        Ok(state)
    }

    /// Writes the rows of one step, all or none.
    pub(super) fn commit(&self, mutations: &[Mutation], sealed: Vec<Row>) -> Result<(), StoreError> {
        if mutations.iter().any(|it| matches!(it, Mutation::Epoch(_))) {
            // The share of the epoch that ends.
            self.zero("'share'")?;
        }
        let rows: Vec<_> = sealed.into_iter().chain(mutations.iter().flat_map(rows_of)).collect();
        for rows in rows.chunks(MAX_ROWS_PER_COMMIT) {
            let places = vec!["(?, ?, ?)"; rows.len()].join(", ");
            let bindings = rows
                .iter()
                .flat_map(|row| [row.kind.to_owned(), row.key.clone(), row.body.clone()].map(SqlStorageValue::String));
            let statement = format!("INSERT OR REPLACE INTO record (kind, key, body) VALUES {places}");
            self.run(&statement, bindings.collect())?;
        }
        for mutation in mutations {
            let (text, request) = match mutation {
                Mutation::Forget(request) => {
                    ("DELETE FROM record WHERE kind IN ('seen', 'reply', 'decision') AND key = ?", request)
                }
                Mutation::Settled(request) => ("DELETE FROM record WHERE kind = 'pending' AND key = ?", request),
                _ => continue,
            };
            self.run(text, vec![SqlStorageValue::String(request.to_string())])?;
        }
        Ok(())
    }

    /// Up to where the second place of audit records has the chain.
    pub(super) fn sink_mark(&self) -> Result<u64, StoreError> {
        Ok(self.one("sink_mark", "")?.unwrap_or_default())
    }

    /// Moves that mark.
    pub(super) fn set_sink_mark(&self, n: u64) -> Result<(), StoreError> {
        let row = Row::new("sink_mark", String::new(), &n);
        let bindings = [row.kind.to_owned(), row.key, row.body].map(SqlStorageValue::String).to_vec();
        self.run("INSERT OR REPLACE INTO record (kind, key, body) VALUES (?, ?, ?)", bindings).map(|_| ())
    }

    /// Whether the owner deleted what was here.
    pub(super) fn was_deleted(&self) -> Result<bool, StoreError> {
        self.one::<Event>("deleted", "").map(|statement| statement.is_some())
    }

    /// Removes everything but the owner's statement that says so. The platform writes both changes or none, because
    /// nothing is waited for between them.
    pub(super) fn wipe(&self, statement: &Event) -> Result<(), StoreError> {
        self.zero("'share', 'transport'")?;
        self.run("DELETE FROM record", Vec::new())?;
        let row = Row::new("deleted", String::new(), statement);
        let bindings = [row.kind.to_owned(), row.key, row.body].map(SqlStorageValue::String).to_vec();
        self.run("INSERT INTO record (kind, key, body) VALUES (?, ?, ?)", bindings).map(|_| ())
    }

    /// Overwrites rows that are to go, because freed pages keep what stood in them.
    fn zero(&self, kinds: &str) -> Result<(), StoreError> {
        let text = format!("UPDATE record SET body = zeroblob(length(body)) WHERE kind IN ({kinds})");
        self.run(&text, Vec::new()).map(|_| ())
    }

    /// The reply that was sent to a request.
    pub(super) fn reply(&self, request: &EventId) -> Result<Option<Event>, StoreError> {
        self.one("reply", &request.to_string())
    }

    /// A connection's sealed transport secret.
    pub(super) fn transport(&self, connection: &ConnectionId) -> Result<Option<SealedBytes>, StoreError> {
        self.one("transport", &connection.to_string())
    }

    /// Audit records after position `after`, in order, verified as a chain.
    pub(super) fn audit(&self, after: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let bindings = vec![audit_key(after).into(), i64::from(limit).into()];
        let text = "SELECT key, body FROM record WHERE kind = 'audit' AND key > ? ORDER BY key LIMIT ?";
        let records: Vec<AuditRecord> = self.many("audit", text, bindings)?;
        let before = match after {
            0 => AuditHead::default(),
            _ => match self.one::<AuditRecord>("audit", &audit_key(after))? {
                Some(record) => record.head(),
                None if records.is_empty() => return Ok(records),
                None => return Err(corrupt(&format!("audit record {after}"), "missing")),
            },
        };
        verify_chain(before, &records, None).map_err(|error| corrupt("audit", error))?;
        Ok(records)
    }

    fn replay(&self, state: &mut HolderState) -> Result<(), StoreError> {
        let (owner, group) = (state.identity().owner, *state.group());
        if let Some(record) = self.one::<EpochRecord>("epoch", "")? {
            let epoch = Epoch::restore(record, &owner, &group).map_err(|error| corrupt("epoch", error))?;
            if epoch.public().pubkey != state.identity().public.pubkey {
                return Err(corrupt("epoch", "of another key"));
            }
            state.apply(&Mutation::Epoch(Box::new(epoch)));
        }
        if let Some(Some(statement)) = self.one::<Option<Event>>("reshare", "")? {
            let reshare = Reshare::restore(statement, &owner, &group).map_err(|error| corrupt("reshare", error))?;
            state.apply(&Mutation::Reshare(Some(Box::new(reshare))));
        }
        let last = self.one::<LastStatement>("last_statement", "")?;
        state.apply(&Mutation::LastStatement(last.ok_or_else(|| corrupt("last_statement", "missing"))?));
        for (key, record) in self.all::<ConnectionRecord>("connection")? {
            let connection = Connection::restore(record, &owner, &group)
                .map_err(|error| corrupt(&format!("connection {key}"), error))?;
            if connection.grant().connection.to_string() != key {
                return Err(corrupt(&format!("connection {key}"), "stored under another id"));
            }
            state.apply(&Mutation::Connection(Box::new(connection)));
        }
        for (key, usage) in self.all::<Usage>("usage")? {
            let connection = key.parse().map_err(|error| corrupt("usage", error))?;
            state.apply(&Mutation::Usage(connection, usage));
        }
        for (key, seen) in self.all::<Seen>("seen")? {
            let request = key.parse().map_err(|error| corrupt("seen", error))?;
            state.apply(&Mutation::Seen(request, seen));
        }
        for (key, pending) in self.all::<Pending>("pending")? {
            let request: EventId = key.parse().map_err(|error| corrupt("pending", error))?;
            pending.event.verify().map_err(|error| corrupt(&format!("pending {key}"), error))?;
            if pending.event.id != request {
                return Err(corrupt(&format!("pending {key}"), "stored under another id"));
            }
            state.apply(&Mutation::Pending(request, Box::new(pending)));
        }
        for (key, record) in self.all::<DecisionRecord>("decision")? {
            let decision = Decision::restore(record, &owner, &group)
                .map_err(|error| corrupt(&format!("decision {key}"), error))?;
            let request = *decision.request();
            if request.to_string() != key {
                return Err(corrupt(&format!("decision {key}"), "stored under another id"));
            }
            state.apply(&Mutation::Decision(request, Box::new(decision)));
        }
        if let Some(Some(record)) = self.one::<Option<ExportRecord>>("export", "")? {
            let export = Export::restore(record, &owner, &group).map_err(|error| corrupt("export", error))?;
            state.apply(&Mutation::Export(Some(Box::new(export))));
        }
        let head = self.one::<AuditHead>("audit_head", "")?.ok_or_else(|| corrupt("audit_head", "missing"))?;
        let tail = self.audit(head.n.saturating_sub(AUDIT_TAIL), u32::MAX)?;
        let last = tail.into_iter().next_back().filter(|last| last.head() == head);
        let last = last.ok_or_else(|| corrupt("audit", "its end is not where the holder left it"))?;
        state.apply(&Mutation::Audit(Box::new(last)));
        Ok(())
    }

    fn one<T: DeserializeOwned>(&self, kind: &str, key: &str) -> Result<Option<T>, StoreError> {
        let bindings = vec![kind.into(), key.into()];
        let text = "SELECT key, body FROM record WHERE kind = ? AND key = ?";
        Ok(self.many(kind, text, bindings)?.into_iter().next())
    }

    fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<(String, T)>, StoreError> {
        let rows = self.run("SELECT key, body FROM record WHERE kind = ?", vec![kind.into()])?;
        rows.into_iter().map(|(key, body)| Ok((key.clone(), decode(kind, &key, &body)?))).collect()
    }

    fn many<T: DeserializeOwned>(
        &self,
        kind: &str,
        text: &str,
        bindings: Vec<SqlStorageValue>,
    ) -> Result<Vec<T>, StoreError> {
        self.run(text, bindings)?.iter().map(|(key, body)| decode(kind, key, body)).collect()
    }

    fn run(&self, text: &str, bindings: Vec<SqlStorageValue>) -> Result<Vec<(String, String)>, StoreError> {
        rows::run(&self.sql, text, bindings)
    }
}

impl Row {
    /// Who the holder is: its first row.
    pub(super) fn identity(identity: &Identity) -> Self {
        let row = IdentityRow { statement: identity.statement.clone(), holder: identity.holder };
        Self::new("identity", String::new(), &row)
    }

    /// Its sealed share.
    pub(super) fn share(share: &SealedShare) -> Self {
        Self::new("share", String::new(), share)
    }

    /// A connection's sealed transport secret.
    pub(super) fn transport(connection: &ConnectionId, sealed: &SealedBytes) -> Self {
        Self::new("transport", connection.to_string(), sealed)
    }

    fn new<T: Serialize>(kind: &'static str, key: String, body: &T) -> Self {
        // The stored types are plain data, which always encodes.
        Self { kind, key, body: serde_json::to_string(body).unwrap_or_default() }
    }
}

fn rows_of(mutation: &Mutation) -> Vec<Row> {
    let one = |row| vec![row];
    match mutation {
        Mutation::LastStatement(last) => one(Row::new("last_statement", String::new(), last)),
        Mutation::Connection(it) => one(Row::new("connection", it.grant().connection.to_string(), it.record())),
        Mutation::Usage(connection, usage) => one(Row::new("usage", connection.to_string(), usage)),
        Mutation::Seen(request, seen) => one(Row::new("seen", request.to_string(), seen)),
        Mutation::Reply(request, reply) => one(Row::new("reply", request.to_string(), reply)),
        Mutation::Audit(record) => {
            vec![Row::new("audit", audit_key(record.n), record), Row::new("audit_head", String::new(), &record.head())]
        }
        Mutation::Pending(request, pending) => one(Row::new("pending", request.to_string(), pending)),
        Mutation::Decision(request, decision) => one(Row::new("decision", request.to_string(), decision.record())),
        Mutation::Export(export) => one(Row::new("export", String::new(), &export.as_deref().map(Export::record))),
        Mutation::Reshare(reshare) => {
            one(Row::new("reshare", String::new(), &reshare.as_deref().map(Reshare::statement)))
        }
        Mutation::Epoch(epoch) => one(Row::new("epoch", String::new(), epoch.record())),
        // Nothing is left to be a row of: see `Store::wipe`.
        Mutation::Deleted(_) => Vec::new(),
        Mutation::Forget(_) | Mutation::Settled(_) => Vec::new(),
    }
}

fn identity(row: IdentityRow) -> Result<Identity, String> {
    let statement = Statement::verify(row.statement).map_err(|error| error.to_string())?;
    let (owner, event) = (*statement.owner(), statement.event().clone());
    match statement.into_verb() {
        Verb::CreateGroup { public, members } => {
            Ok(Identity { statement: event, owner, members, public, holder: row.holder })
        }
        _ => Err("another statement than create_group".into()),
    }
}

/// Sixteen digits, so that the order of texts is the order of numbers.
fn audit_key(n: u64) -> String {
    format!("{n:016}")
}

fn decode<T: DeserializeOwned>(kind: &str, key: &str, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| corrupt(&format!("{kind} {key}"), error))
}
