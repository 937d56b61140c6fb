//! How far the wrapping of all keys anew has come. The shell does it in batches, and says after each where it is.

use serde::{Deserialize, Serialize};

/// A rotation under way, or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// When it began, Unix milliseconds.
    pub begun_at_ms: u64,
    /// Where the next batch begins: the shell's own mark; `None` at the beginning.
    pub cursor: Option<String>,
    /// How many there are to do, as far as is known.
    pub total: u64,
    /// How many are done.
    pub done: u64,
    /// How many could not be done.
    pub failed: u64,
    /// When it ended, Unix milliseconds.
    pub finished_at_ms: Option<u64>,
}

/// What a batch did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Where it began: a batch that is reported twice counts once.
    pub from: Option<String>,
    /// Where the next one begins; `None` after the last.
    pub next: Option<String>,
    /// How many there are in all, as far as is known.
    pub total: u64,
    /// How many this batch did.
    pub done: u64,
    /// How many it could not do.
    pub failed: u64,
}

/// The batch does not follow: it was reported before, or belongs to another rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no rotation waits for this batch")]
pub struct NotThisBatch;

impl Rotation {
    pub(crate) fn begun(now_ms: u64) -> Self {
        Self { begun_at_ms: now_ms, cursor: None, total: 0, done: 0, failed: 0, finished_at_ms: None }
    }

    /// The tenths that are done, for records now and then.
    pub(crate) fn tenths(&self) -> u64 {
        self.done.saturating_add(self.failed).saturating_mul(10).checked_div(self.total).unwrap_or(0)
    }

    pub(crate) fn after(&self, batch: &Batch, now_ms: u64) -> Result<Self, NotThisBatch> {
        if self.finished_at_ms.is_some() || self.cursor != batch.from {
            return Err(NotThisBatch);
        }
        Ok(Self {
            begun_at_ms: self.begun_at_ms,
            cursor: batch.next.clone(),
            total: batch.total,
            done: self.done.saturating_add(batch.done),
            failed: self.failed.saturating_add(batch.failed),
            finished_at_ms: batch.next.is_none().then_some(now_ms),
        })
    }
}
