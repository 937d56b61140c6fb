//! Commands of operators, and why none of them works twice: each has an id and a time, and the id is remembered for
//! as long as the time is fresh.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CommandId, OperatorId, ProposalId, UnsealingId},
    operator::Scope,
    proposal::Change,
    seal::Target,
    text::{Code, Reason},
};

/// How old a command may be, in seconds.
pub const MAX_AGE_S: u64 = 300;
/// How far in the future a command's time may lie, in seconds: clocks of different machines.
pub const MAX_AHEAD_S: u64 = 60;
/// Most commands of one operator that are remembered at once; about 40 a minute.
pub const MAX_REMEMBERED_PER_OPERATOR: usize = 256;

/// What tells a command from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The id, drawn by the client.
    pub command: CommandId,
    /// When, Unix seconds by the client's clock.
    pub issued_at: u64,
}

impl Issued {
    /// Whether it is neither too old nor of the future.
    pub fn is_fresh(&self, now_ms: u64) -> bool {
        let now_s = now_ms / 1000;
        self.issued_at.saturating_add(MAX_AGE_S) >= now_s && self.issued_at <= now_s.saturating_add(MAX_AHEAD_S)
    }
}

/// A command that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCommand {
    /// Its time, Unix seconds.
    pub issued_at: u64,
    /// Whose it was.
    pub by: OperatorId,
}

impl SeenCommand {
    /// From when on it is too old to come again, Unix milliseconds.
    pub fn ends_at_ms(&self) -> u64 {
        self.issued_at.saturating_add(MAX_AGE_S + 1).saturating_mul(1000)
    }
}

/// What an operator wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
pub enum Command {
    /// Close a seal.
    Seal {
        /// Of what.
        target: Target,
        /// Why.
        reason: Reason,
    },
    /// Say a word that opens a seal.
    Unseal {
        /// Of what.
        target: Target,
        /// Why.
        reason: Reason,
        /// The unsealing under way; `None` begins one.
        unsealing: Option<UnsealingId>,
    },
    /// Propose a change.
    Propose {
        /// Which.
        what: Change,
    },
    /// Approve somebody else's proposal.
    Approve {
        /// Which.
        proposal: ProposalId,
    },
    /// Remove another operator.
    RemoveOperator {
        /// Whom.
        operator: OperatorId,
    },
    /// Replace the own token.
    RotateToken {},
}

impl Command {
    /// The verb, as it stands in records.
    pub fn verb(&self) -> Code {
        Code::new(match self {
            Self::Seal { .. } => "seal",
            Self::Unseal { .. } => "unseal",
            Self::Propose { .. } => "propose",
            Self::Approve { .. } => "approve",
            Self::RemoveOperator { .. } => "remove_operator",
            Self::RotateToken {} => "rotate_token",
        })
    }

    /// The scope that is needed, as far as the command alone tells. An approval needs its proposal's.
    pub fn scope(&self) -> Option<Scope> {
        match self {
            Self::Seal { .. } => Some(Scope::Seal),
            Self::Unseal { .. } => Some(Scope::Unseal),
            Self::Propose { what } => Some(what.scope()),
            Self::RemoveOperator { .. } => Some(Scope::Operators),
            Self::Approve { .. } | Self::RotateToken {} => None,
        }
    }
}
