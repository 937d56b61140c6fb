//! The deployment's audit chain: how it is read, handed over to the second place of records, and shortened at last.

use bunker_core::audit::{AuditHead, verify_chain};
use operations_core::{
    audit::{DeploymentRecord, Retention},
    rows::{AUDIT, audit_key},
    state::DeploymentState,
};
use serde_json::Value;

use super::{Deployment, NAME, problems, sink};
use crate::{http::dto::OperatorAuditPage, problem::Problem};

/// How long audit records are kept, in days.
const RETENTION_DAYS: u32 = 400;
/// Most records that are looked at for being too old at one time, and how often in a row.
const PRUNED_AT_ONCE: u32 = 500;
const PRUNED_BATCHES: u32 = 100;

/// Up to where the second place of records has the chain.
const MARK_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS sink (name TEXT NOT NULL PRIMARY KEY, n TEXT NOT NULL) WITHOUT ROWID";

impl Deployment {
    /// Records after a position, held against the chain.
    pub(super) fn audit(&self, after: u64, limit: u32) -> Result<OperatorAuditPage, Problem> {
        let (head, checkpoint) = self.with(|state| (state.audit_head(), state.audit_checkpoint()))?;
        let after = after.max(checkpoint.n);
        let records = self.records(after, limit)?;
        let before = match after {
            n if n == checkpoint.n => checkpoint,
            n => self.records(n.saturating_sub(1), 1)?.first().map_or(AuditHead::default(), DeploymentRecord::head),
        };
        verify_chain(before, &records, None).map_err(problems::damaged)?;
        let next = records.last().map(|record| record.n).filter(|n| *n < head.n);
        Ok(OperatorAuditPage { records, head, next })
    }

    fn records(&self, after: u64, limit: u32) -> Result<Vec<DeploymentRecord>, Problem> {
        let values = vec![AUDIT.to_owned(), audit_key(after), limit.to_string()];
        let text = "SELECT key, body FROM record WHERE kind = ? AND key > ? ORDER BY key LIMIT CAST(? AS INTEGER)";
        let rows = self.run(text, values)?;
        rows.iter().map(|(_, body)| serde_json::from_str(body).map_err(problems::damaged)).collect()
    }

    /// Drops records that are older than is kept, and no more than a day's alarm can bear at one time.
    pub(super) fn prune(&self, now_ms: u64) -> Result<(), Problem> {
        let retention = Retention::days(RETENTION_DAYS).map_err(|error| Problem::internal(error.to_string()))?;
        for _ in 0..PRUNED_BATCHES {
            let oldest = self.records(self.with(DeploymentState::audit_checkpoint)?.n, PRUNED_AT_ONCE)?;
            let pruned = self.with(|state| state.prune(&oldest, retention, now_ms))?.map_err(problems::damaged)?;
            if pruned.mutations.is_empty() {
                break;
            }
            self.commit(&pruned.mutations)?;
        }
        Ok(())
    }

    /// Has the second place of records know, where there is one. What operators do and who logs in does not wait for it:
    /// a seal has to close, and its owner to get in and revoke, whatever else fails. The next call tries again.
    pub(super) async fn hand_over(&self) {
        // A failure was logged and counted where it happened.
        let _ = sink::hand_over(&self.env, self).await;
    }
}

impl sink::Outbox for Deployment {
    fn folder(&self) -> String {
        NAME.to_owned()
    }

    fn last(&self) -> Result<u64, Problem> {
        self.with(|state| state.audit_head().n)
    }

    fn mark(&self) -> Result<u64, Problem> {
        self.run(MARK_TABLE, Vec::new())?;
        let rows = self.run("SELECT name, n FROM sink WHERE name = ?", vec![NAME.to_owned()])?;
        rows.first().map_or(Ok(0), |(_, n)| n.parse().map_err(problems::damaged))
    }

    fn set_mark(&self, n: u64) -> Result<(), Problem> {
        let values = vec![NAME.to_owned(), n.to_string()];
        self.run("INSERT OR REPLACE INTO sink (name, n) VALUES (?, ?)", values).map(|_| ())
    }

    fn lines(&self, after: u64, limit: u32) -> Result<Vec<(u64, Value)>, Problem> {
        self.records(after, limit)?.iter().map(|record| Ok((record.n, outside(record)?))).collect()
    }
}

pub(super) fn outside(record: &DeploymentRecord) -> Result<Value, Problem> {
    let record = serde_json::to_value(record).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(sink::line(NAME, None, &record))
}
