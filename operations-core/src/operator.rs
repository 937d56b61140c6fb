//! Operators: who they are, what they may do and for how long.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{ids::OperatorId, text::OperatorName, token::TokenMac};

/// How long a token is good for when nothing else is asked for, in seconds: 90 days.
pub const DEFAULT_LIFETIME_S: u64 = 90 * 24 * 60 * 60;
/// Longest lifetime of a token, in seconds: 365 days. Nobody notices who left later than that.
pub const MAX_LIFETIME_S: u64 = 365 * 24 * 60 * 60;
/// Most operators of a deployment.
pub const MAX_OPERATORS: usize = 20;
/// Fewest words that open a seal.
pub const MIN_UNSEAL_THRESHOLD: u32 = 2;
/// Fewest operators who may change who the operators are: one proposes, another approves.
pub const MIN_OPERATORS_OF_OPERATORS: usize = 2;

/// One thing that an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See the deployment's status.
    Read,
    /// Stop all signing, or one account's.
    Seal,
    /// Say one word of those that open a seal.
    Unseal,
    /// Change who the operators are.
    Operators,
    /// Change what holds for the whole deployment.
    Policy,
    /// Wrap all keys anew.
    Rotate,
    /// Read the audit chain.
    Audit,
    /// Read the metrics.
    Metrics,
    /// Make backups.
    Backup,
}

impl Scope {
    /// As it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Seal => "seal",
            Self::Unseal => "unseal",
            Self::Operators => "operators",
            Self::Policy => "policy",
            Self::Rotate => "rotate",
            Self::Audit => "audit",
            Self::Metrics => "metrics",
            Self::Backup => "backup",
        }
    }
}

/// What an operator may do: at least one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = Vec<Scope>))]
#[serde(try_from = "BTreeSet<Scope>", into = "BTreeSet<Scope>")]
pub struct Scopes(BTreeSet<Scope>);

/// An operator who may do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an operator has at least one scope")]
pub struct NoScopes;

impl Scopes {
    /// Whether a scope is among them.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
}

impl TryFrom<BTreeSet<Scope>> for Scopes {
    type Error = NoScopes;

    fn try_from(scopes: BTreeSet<Scope>) -> Result<Self, NoScopes> {
        if scopes.is_empty() { Err(NoScopes) } else { Ok(Self(scopes)) }
    }
}

impl From<Scopes> for BTreeSet<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.0
    }
}

/// An operator, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The id.
    pub id: OperatorId,
    /// The name, unlike every other's.
    pub name: OperatorName,
    /// What they may do.
    pub scopes: Scopes,
    /// Since when there is this operator, Unix milliseconds.
    pub created_at_ms: u64,
    /// How long each of their tokens is good for, in seconds.
    pub lifetime_s: u64,
    /// When the present token ends, Unix milliseconds.
    pub expires_at_ms: u64,
    /// When they last did something, Unix milliseconds, to the minute.
    pub last_used_at_ms: Option<u64>,
    /// The present token's MAC.
    pub token_mac: TokenMac,
}

impl Operator {
    /// Whether the token is still good.
    pub fn is_valid(&self, now_ms: u64) -> bool {
        now_ms < self.expires_at_ms
    }

    /// Whether they may do a thing now.
    pub fn may(&self, scope: Scope, now_ms: u64) -> bool {
        self.is_valid(now_ms) && self.scopes.has(scope)
    }
}
