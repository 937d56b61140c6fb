//! Bodies of `/operator/…`. What the machine answers stands in `operations-core`, which the CLI reads it with.

use bunker_core::audit::AuditHead;
use bunker_core::keys::PublicKey;
use operations_core::audit::DeploymentRecord;
use operations_core::command::Issued;
use operations_core::ids::{CommandId, UnsealingId};
use operations_core::proposal::Change;
use operations_core::text::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::AuditHeadSchema;

/// What every command has: it works once, and only while it is fresh.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainCommand {
    /// 16 random bytes of the client's choosing, 32 hex digits.
    pub command: CommandId,
    /// Unix seconds by the client's clock: not older than five minutes.
    pub issued_at: u64,
}

impl PlainCommand {
    /// What tells it from every other.
    pub const fn issued(self) -> Issued {
        Issued { command: self.command, issued_at: self.issued_at }
    }
}

/// Body of `POST /operator/seal`. The whole deployment, unless an account is named.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SealRequest {
    /// As in every command.
    pub command: CommandId,
    /// As in every command.
    pub issued_at: u64,
    /// Why; it is kept in clear.
    pub reason: Reason,
    /// The owner key of one account, 64 hex digits.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub owner_pubkey: Option<PublicKey>,
    /// The same by the login name.
    #[serde(default)]
    pub username: Option<String>,
}

/// Body of `POST /operator/unseal`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnsealRequest {
    /// As in every command.
    pub command: CommandId,
    /// As in every command.
    pub issued_at: u64,
    /// Why; it is kept in clear.
    pub reason: Reason,
    /// The owner key of one account, 64 hex digits.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub owner_pubkey: Option<PublicKey>,
    /// The same by the login name.
    #[serde(default)]
    pub username: Option<String>,
    /// The unsealing under way, 16 hex digits; without it, one begins.
    #[serde(default)]
    pub unsealing: Option<UnsealingId>,
}

/// Body of `POST /operator/proposals`
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposeRequest {
    /// As in every command.
    pub command: CommandId,
    /// As in every command.
    pub issued_at: u64,
    /// What would change.
    pub what: Change,
}

/// Answer to `GET /operator/audit`
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OperatorAuditPage {
    /// Oldest first. Each has `n`, `at_ms`, `prev`, `hash` and the entry.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<DeploymentRecord>,
    /// The end of the chain, to hold the pages against.
    #[schema(value_type = AuditHeadSchema)]
    pub head: AuditHead,
    /// `after` of the next page, if there is one.
    pub next: Option<u64>,
}
