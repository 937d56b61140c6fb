//! Changes that need two people: one proposes, another one with the same scope approves.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{OperatorId, ProposalId},
    operator::{Scope, Scopes},
    text::OperatorName,
};

/// How long a proposal waits for a second person, in milliseconds: 24 hours.
pub const PROPOSAL_LIFETIME_MS: u64 = 24 * 60 * 60 * 1000;
/// Most proposals that wait at once.
pub const MAX_PROPOSALS: usize = 20;
/// Longest delay of exports that operators can ask for, in seconds: 30 days. Leaving stays possible.
pub const MAX_EXPORT_DELAY_S: u64 = 30 * 24 * 60 * 60;

/// What would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Change {
    /// One more operator. Their token is in the approval's reply, once.
    AddOperator {
        /// The name.
        name: OperatorName,
        /// What they may do.
        scopes: Scopes,
        /// How long their tokens are good for, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lifetime_s: Option<u64>,
    },
    /// Another number of words that open a seal.
    SetUnsealThreshold {
        /// The number.
        k: u32,
    },
    /// Another shortest delay of exports.
    SetExportDelay {
        /// In seconds; `null` for what is configured.
        seconds: Option<u64>,
    },
    /// Wrap all keys anew, under the present key-encryption keys.
    BeginRotation {},
}

impl Change {
    /// The scope that both people need.
    pub fn scope(&self) -> Scope {
        match self {
            Self::AddOperator { .. } | Self::SetUnsealThreshold { .. } => Scope::Operators,
            Self::SetExportDelay { .. } => Scope::Policy,
            Self::BeginRotation {} => Scope::Rotate,
        }
    }
}

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The proposal.
    pub id: ProposalId,
    /// What would change.
    pub what: Change,
    /// Who proposed it.
    pub by: OperatorId,
    /// Their name at that time.
    pub by_name: OperatorName,
    /// When it ends, Unix milliseconds.
    pub deadline_ms: u64,
}
