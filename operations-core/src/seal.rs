//! The seal: a state in which no share is used, of the whole deployment or of one account; and how it is opened.
//!
//! One operator seals, several open. Each opening is a ceremony of its own with an id, so that a word for one can't
//! be counted in another, and ends by itself.

use std::collections::BTreeSet;

use bunker_core::keys::PublicKey;
use serde::{Deserialize, Serialize};

use crate::{
    audit::AuditTarget,
    ids::{OperatorId, UnsealingId},
    text::{OperatorName, Reason},
};

/// How long an unsealing waits for all words, in milliseconds: 15 minutes.
pub const UNSEALING_LIFETIME_MS: u64 = 15 * 60 * 1000;
/// Most accounts that are sealed one by one. Who has to seal more seals the deployment.
pub const MAX_SEALED_ACCOUNTS: usize = 1000;

/// What is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Everything.
    Deployment,
    /// All identities of the account that belongs to an owner key.
    Account(PublicKey),
}

impl Target {
    /// The account of an owner key, or the deployment when none is named.
    pub fn of(owner: Option<PublicKey>) -> Self {
        owner.map_or(Self::Deployment, Self::Account)
    }

    /// The owner key, unless it is the deployment.
    pub fn owner(&self) -> Option<PublicKey> {
        match self {
            Self::Deployment => None,
            Self::Account(owner) => Some(*owner),
        }
    }
}

/// A seal that is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// What is sealed.
    pub target: Target,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// Who sealed it, by the name at that time.
    pub by: OperatorName,
    /// Why.
    pub reason: Reason,
}

/// An unsealing under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsealing {
    /// The ceremony.
    pub id: UnsealingId,
    /// What it would open.
    pub target: Target,
    /// The same as records say it.
    pub audit_target: AuditTarget,
    /// Who began it, by the name at that time.
    pub begun_by: OperatorName,
    /// When it ends, Unix milliseconds.
    pub deadline_ms: u64,
    /// Why it was begun.
    pub reason: Reason,
    /// Who said their word, the beginner too. Who of them counts is decided when the last word is said.
    pub words: BTreeSet<OperatorId>,
}
