//! The JSON of the operators' API. Times are Unix seconds. Field names are a contract with the CLI.

use bunker_core::keys::PublicKey;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{OperatorId, ProposalId, UnsealingId},
    operator::{Operator, Scopes},
    proposal::{Change, Proposal},
    rotation::Rotation,
    text::{OperatorName, Reason},
    token::{OperatorToken, shown_once},
};

/// An operator to be set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as in `Operator`")]
pub struct NewOperator {
    pub name: OperatorName,
    pub scopes: Scopes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_s: Option<u64>,
}

/// `POST /operator/setup`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as in the machine")]
pub struct SetUpRequest {
    pub operators: Vec<NewOperator>,
    pub unseal_threshold: u32,
}

/// An operator who was set up, with the token.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "as in `Operator`")]
pub struct SetUpOperator {
    pub operator: OperatorId,
    pub name: OperatorName,
    pub scopes: Scopes,
    pub expires_at: u64,
    #[serde(with = "shown_once")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: OperatorToken,
}

/// Answer to `POST /operator/setup`. Each token is in here and nowhere else.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "says itself what it is")]
pub struct SetUpReply {
    pub operators: Vec<SetUpOperator>,
}

/// Answer to `POST /operator/seal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "says itself what it is")]
pub struct SealReply {
    pub sealed_at: u64,
}

/// Answer to `POST /operator/unseal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnsealReply {
    /// The ceremony.
    pub unsealing: UnsealingId,
    /// Whose words count.
    pub words: Vec<OperatorName>,
    /// How many words it takes in all.
    pub needed: u32,
    /// When it ends.
    pub deadline: u64,
    /// Whether it is open now.
    pub unsealed: bool,
}

/// A proposal; also the answer to `POST /operator/proposals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "as in `Proposal`")]
pub struct ProposalReply {
    pub proposal: ProposalId,
    pub what: Change,
    pub by: OperatorName,
    pub deadline: u64,
}

/// Answer to `POST /operator/proposals/{id}/approve`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApproveReply {
    /// The proposal.
    pub proposal: ProposalId,
    /// The operator who was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorId>,
    /// Their token; it is in here and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shown_once::optional")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub token: Option<OperatorToken>,
    /// When the token ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
}

/// Answer to `POST /operator/operators/{id}/remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "says itself what it is")]
pub struct RemoveReply {
    pub operator: OperatorId,
}

/// Answer to `POST /operator/token`. The token is in here and nowhere else.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "says itself what it is")]
pub struct TokenReply {
    #[serde(with = "shown_once")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: OperatorToken,
    pub expires_at: u64,
}

/// The answer to a command; in JSON just what is inside.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each says itself what it is")]
pub enum Reply {
    Sealed(SealReply),
    Unseal(UnsealReply),
    Proposed(ProposalReply),
    Approved(ApproveReply),
    Removed(RemoveReply),
    TokenRotated(TokenReply),
}

/// A seal, as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "as in `Seal`")]
pub struct SealStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub owner_pubkey: Option<PublicKey>,
    pub since: u64,
    pub by: OperatorName,
    pub reason: Reason,
}

/// An unsealing, as shown. `target` is `"deployment"` or an owner key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "as in `UnsealReply` and `Unsealing`")]
pub struct UnsealingStatus {
    pub unsealing: UnsealingId,
    pub target: String,
    pub begun_by: OperatorName,
    pub words: Vec<OperatorName>,
    pub needed: u32,
    pub deadline: u64,
    pub reason: Reason,
}

/// An operator, as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "as in `Operator`")]
pub struct OperatorStatus {
    pub operator: OperatorId,
    pub name: OperatorName,
    pub scopes: Scopes,
    pub created_at: u64,
    pub expires_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<u64>,
}

/// A rotation, as shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "as in `Rotation`")]
pub struct RotationStatus {
    pub begun_at: u64,
    pub done: u64,
    pub total: u64,
    pub failed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<u64>,
}

/// Answer to `GET /operator/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[allow(missing_docs, reason = "as in the machine")]
pub struct DeploymentStatus {
    pub set_up: bool,
    pub sealed: Option<SealStatus>,
    pub sealed_accounts: Vec<SealStatus>,
    pub unsealings: Vec<UnsealingStatus>,
    pub unseal_threshold: u32,
    pub operators: Vec<OperatorStatus>,
    pub proposals: Vec<ProposalReply>,
    pub export_delay_s: Option<u64>,
    pub rotation: Option<RotationStatus>,
}

impl From<&Operator> for OperatorStatus {
    fn from(it: &Operator) -> Self {
        Self {
            operator: it.id,
            name: it.name.clone(),
            scopes: it.scopes.clone(),
            created_at: it.created_at_ms / 1000,
            expires_at: it.expires_at_ms / 1000,
            last_used_at: it.last_used_at_ms.map(|at_ms| at_ms / 1000),
        }
    }
}

impl From<&Proposal> for ProposalReply {
    fn from(it: &Proposal) -> Self {
        Self { proposal: it.id, what: it.what.clone(), by: it.by_name.clone(), deadline: it.deadline_ms / 1000 }
    }
}

impl From<&Rotation> for RotationStatus {
    fn from(it: &Rotation) -> Self {
        Self {
            begun_at: it.begun_at_ms / 1000,
            done: it.done,
            total: it.total,
            failed: it.failed,
            finished_at: it.finished_at_ms.map(|at_ms| at_ms / 1000),
        }
    }
}
