//! Leaving with one's key: the owner asks, waits, and each holder seals its share to the owner's device.
//!
//! The delay is each holder's own and starts when it takes the statement, so that an owner whose device was taken
//! over has time to notice and to cancel. After it the share can be fetched for a week; then the owner asks again.
//!
//! Out of scope: sealing. A holder's shell does that, to exactly the receiver of the statement.

use frost_wasm_core::{group::GroupId, provision::ReceivingPublic};
use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    keys::PublicKey,
    statement::{Statement, StoredError, Verb},
};

/// How long shares can be fetched once the delay is over, in milliseconds.
pub const EXPORT_OPEN_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// An export as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// The `export` statement as the owner signed it.
    pub statement: Event,
    /// When this holder's delay is over, Unix milliseconds.
    pub ready_at_ms: u64,
}

/// An export that the owner asked for, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    record: ExportRecord,
    receiver: ReceivingPublic,
}

/// Why no share is released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExportRefused {
    /// No export was asked for, or it was cancelled, or its week is over.
    #[error("no export of this key is under way")]
    NotRequested,
    /// The delay is not over.
    #[error("the delay of this export is not over yet")]
    TooEarly {
        /// When it is, Unix milliseconds.
        ready_at_ms: u64,
    },
}

impl Export {
    pub(crate) fn asked(statement: &Statement, receiver: ReceivingPublic, ready_at_ms: u64) -> Self {
        Self { record: ExportRecord { statement: statement.event().clone(), ready_at_ms }, receiver }
    }

    /// Reads a stored export, checking the owner's signature again.
    ///
    /// # Errors
    /// When the statement is not the owner's wish to export this group's key.
    pub fn restore(record: ExportRecord, owner: &PublicKey, group: &GroupId) -> Result<Self, StoredError> {
        match Statement::restore(record.statement.clone(), owner, group)?.into_verb() {
            Verb::Export { receiver } => Ok(Self { record, receiver }),
            _ => Err(StoredError::Foreign),
        }
    }

    /// What is stored.
    pub fn record(&self) -> &ExportRecord {
        &self.record
    }

    /// The owner's statement, whose id every package is bound to.
    pub fn statement(&self) -> &Event {
        &self.record.statement
    }

    /// The key of the owner's device to seal to.
    pub fn receiver(&self) -> &ReceivingPublic {
        &self.receiver
    }

    /// When this holder's delay is over, Unix milliseconds.
    pub fn ready_at_ms(&self) -> u64 {
        self.record.ready_at_ms
    }

    /// When the share can no longer be fetched, Unix milliseconds.
    pub fn ends_at_ms(&self) -> u64 {
        self.record.ready_at_ms.saturating_add(EXPORT_OPEN_MS)
    }

    /// True when its week is over.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.ends_at_ms() <= now_ms
    }
}
