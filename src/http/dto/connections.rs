//! Bodies of `/keys/{group}/connections`.

use bunker_core::event::Event;
use bunker_core::policy::{Permission, Policy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::{PolicySchema, SignedEventSchema};

/// `POST /keys/{group}/connections`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConnectionRequest {
    /// The owner's `grant` statement.
    #[schema(value_type = SignedEventSchema)]
    pub statement: Event,
    /// The connection's transport secret, HPKE-sealed to the bunker holder, base64. Purpose
    /// `passport/v1/transport`, associated data: statement id.
    pub transport: String,
}

/// Answer to `POST /keys/{group}/connections`
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateConnectionReply {
    /// The connection, 32 hex digits.
    pub connection: String,
    /// `bunker://…?relay=…` without the secret, which only the device knows; it appends
    /// `&secret=…`.
    pub bunker_url: String,
}

/// `DELETE /keys/{group}/connections/{id}`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeConnectionRequest {
    /// The owner's `revoke` statement.
    #[schema(value_type = SignedEventSchema)]
    pub statement: Event,
}

/// `PATCH /keys/{group}/connections/{id}`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeConnectionRequest {
    /// The owner's `edit`, `pause` or `resume` statement.
    #[schema(value_type = SignedEventSchema)]
    pub statement: Event,
}

/// Answer to `PATCH` and `DELETE /keys/{group}/connections/{id}`
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeConnectionReply {
    /// The connection, 32 hex digits.
    pub connection: String,
    /// How it stands now.
    pub status: ConnectionStatus,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    /// Its secret is unspent.
    AwaitingClient,
    /// One client is bound.
    Connected,
    /// The client ended it.
    LoggedOut,
    /// The owner stopped it for a while.
    Paused,
    /// The owner ended it.
    Revoked,
    /// Its time is over.
    Expired,
}

/// What a client says of itself. Shown, never trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientInfo {
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub url: Option<String>,
    /// A picture.
    pub image: Option<String>,
}

/// A connection as the owner sees it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ConnectionView {
    /// 32 hex digits.
    pub connection: String,
    /// The owner's name for it.
    pub label: String,
    /// How it stands.
    pub status: ConnectionStatus,
    /// NIP-46's remote-signer key of this connection.
    pub transport_pubkey: String,
    /// The bound client's key.
    pub client_pubkey: Option<String>,
    /// What the client says of itself.
    pub client: Option<ClientInfo>,
    /// What it may do.
    #[schema(value_type = PolicySchema)]
    pub policy: Policy,
    /// Whether an app that has to wait for the owner is sent the address of the page to approve at.
    pub auth_url: bool,
    /// What the owner allowed when approving, over and above the policy.
    pub allowances: Vec<AllowanceView>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds; null for without end.
    pub expires_at: Option<u64>,
    /// Unix seconds of its last request.
    pub last_seen_at: Option<u64>,
    /// Requests that were answered.
    pub uses: u64,
}

/// Something that the owner allowed from then on when approving a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AllowanceView {
    /// The method.
    #[schema(value_type = String, example = "sign_event")]
    pub method: Permission,
    /// The kind, for `sign_event`.
    pub kind: Option<u16>,
    /// Unix seconds; null for always.
    pub until: Option<u64>,
}

/// Answer to `GET /keys/{group}/connections`
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConnectionList {
    /// Oldest first, ended ones included.
    pub connections: Vec<ConnectionView>,
}

/// Worker to Bunker object: a statement of an owner about a group that exists.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementDelivery {
    /// Any verb but `create_group`.
    pub statement: Event,
    /// The transport secret's package; with a grant only.
    pub transport: Option<String>,
}

/// Bunker object to Worker: applied, now or before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementReply {
    /// The connection it was about, 32 hex digits.
    pub connection: String,
    /// That connection's transport key, 64 hex digits.
    pub transport_pubkey: String,
    /// How the connection stands now.
    pub status: ConnectionStatus,
}
