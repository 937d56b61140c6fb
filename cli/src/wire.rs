//! What goes to the server and comes back, as far as this client uses it. The server's `/openapi.json` is the
//! reference; fields that are not known here are ignored.

use bunker_core::{
    audit::{AuditHead, AuditRecord},
    event::Event,
    grant::ConnectionId,
    keys::PublicKey,
    nip46::ClientMetadata,
    policy::Policy,
};
use frost_wasm_core::{
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    kdf::KdfParams,
    provision::ReceivingPublic,
};
use serde::{Deserialize, Serialize};

/// `POST /auth/register`
#[derive(Serialize)]
pub(crate) struct RegisterRequest<'a> {
    /// Login name.
    pub(crate) username: &'a str,
    /// The login secret.
    pub(crate) password: &'a str,
    /// The owner key.
    pub(crate) owner_pubkey: PublicKey,
    /// The owner secret, sealed under the password.
    pub(crate) owner_blob: &'a str,
    /// How the login secret is derived.
    pub(crate) kdf: KdfParams,
}

/// Answer to `POST /auth/register`
#[derive(Deserialize)]
pub(crate) struct RegisterReply {
    /// The name as stored.
    pub(crate) username: String,
}

/// `POST /auth/params`
#[derive(Serialize)]
pub(crate) struct ParamsRequest<'a> {
    /// Login name.
    pub(crate) username: &'a str,
}

/// Answer to `POST /auth/params`
#[derive(Deserialize)]
pub(crate) struct ParamsReply {
    /// How to derive the login secret.
    pub(crate) kdf: KdfParams,
}

/// `POST /auth/token`
#[derive(Serialize)]
pub(crate) struct TokenRequest<'a> {
    /// Login name.
    pub(crate) username: &'a str,
    /// The login secret.
    pub(crate) password: &'a str,
}

/// Answer to `POST /auth/refresh`, and part of the one to `POST /auth/token`. Not `Debug`.
#[derive(Deserialize)]
pub(crate) struct TokenReply {
    /// For `Authorization: Bearer`.
    pub(crate) access_token: String,
    /// Seconds the access token is good for.
    pub(crate) expires_in: u64,
    /// Good once.
    pub(crate) refresh_token: String,
}

/// Answer to `POST /auth/token`. Not `Debug`.
#[derive(Deserialize)]
pub(crate) struct SignInReply {
    /// The tokens.
    #[serde(flatten)]
    pub(crate) tokens: TokenReply,
    /// The account's owner key.
    pub(crate) owner_pubkey: PublicKey,
    /// The owner secret, sealed under the password.
    pub(crate) owner_blob: Option<String>,
}

/// Answer to `GET /holders`
#[derive(Deserialize)]
pub(crate) struct HolderList {
    /// The holders on the server.
    pub(crate) holders: Vec<HolderEntry>,
}

/// A holder and its receiving key.
#[derive(Deserialize)]
pub(crate) struct HolderEntry {
    /// Its role.
    pub(crate) role: HolderRole,
    /// Its FROST identifier.
    pub(crate) index: HolderIndex,
    /// Where to seal to.
    pub(crate) receiving_key: ReceivingPublic,
}

/// `POST /keys`
#[derive(Serialize)]
pub(crate) struct CreateKeyRequest<'a> {
    /// The `create_group` statement.
    pub(crate) statement: &'a Event,
    /// The shares, sealed.
    pub(crate) packages: &'a SharePackages,
    /// The person's name for the key.
    pub(crate) label: &'a str,
}

/// Each server-side holder's share, sealed to it.
#[derive(Serialize)]
pub(crate) struct SharePackages {
    /// For the bunker.
    #[serde(rename = "1")]
    pub(crate) bunker: String,
    /// For the cosigner.
    #[serde(rename = "2")]
    pub(crate) cosigner: String,
}

/// A key as the server lists it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyView {
    /// The group.
    pub(crate) group: GroupId,
    /// The Nostr key.
    pub(crate) pubkey: PublicKey,
    /// The Nostr key as NIP-19 text.
    pub(crate) npub: String,
    /// The group's own relay.
    pub(crate) relay: String,
    /// The person's name for it.
    pub(crate) label: String,
    /// Unix seconds.
    pub(crate) created_at: u64,
}

/// Answer to `GET /keys`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyList {
    /// Oldest first.
    pub(crate) keys: Vec<KeyView>,
}

/// Answer to `GET /keys/{group}`
#[derive(Deserialize)]
pub(crate) struct KeyDetail {
    /// Number of the last statement.
    pub(crate) sequence: u64,
    /// The group's public facts.
    pub(crate) public: GroupPublic,
}

/// `POST /keys/{group}/connections`
#[derive(Serialize)]
pub(crate) struct CreateConnectionRequest<'a> {
    /// The `grant` statement.
    pub(crate) statement: &'a Event,
    /// The transport secret, sealed to the bunker.
    pub(crate) transport: &'a str,
}

/// Answer to `POST /keys/{group}/connections`
#[derive(Deserialize)]
pub(crate) struct CreateConnectionReply {
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// The link without its secret.
    pub(crate) bunker_url: String,
}

/// `DELETE /keys/{group}/connections/{id}`
#[derive(Serialize)]
pub(crate) struct RevokeRequest<'a> {
    /// The `revoke` statement.
    pub(crate) statement: &'a Event,
}

/// Answer to `DELETE /keys/{group}/connections/{id}`
#[derive(Serialize, Deserialize)]
pub(crate) struct RevokeReply {
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// How it stands.
    pub(crate) status: ConnectionStatus,
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ConnectionStatus {
    /// Its link was not used yet.
    AwaitingClient,
    /// One app is bound.
    Connected,
    /// The app ended it.
    LoggedOut,
    /// The owner ended it.
    Revoked,
    /// Its time is over.
    Expired,
}

/// A connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConnectionView {
    /// Its id.
    pub(crate) connection: ConnectionId,
    /// The person's name for it.
    pub(crate) label: String,
    /// How it stands.
    pub(crate) status: ConnectionStatus,
    /// NIP-46's remote-signer key of this connection.
    pub(crate) transport_pubkey: PublicKey,
    /// The bound app's key.
    pub(crate) client_pubkey: Option<PublicKey>,
    /// What the app says of itself.
    pub(crate) client: Option<ClientMetadata>,
    /// What it may do.
    pub(crate) policy: Policy,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// Unix seconds; none is without end.
    pub(crate) expires_at: Option<u64>,
    /// Unix seconds of its last request.
    pub(crate) last_seen_at: Option<u64>,
    /// Requests that were answered.
    pub(crate) uses: u64,
}

/// Answer to `GET /keys/{group}/connections`
#[derive(Deserialize)]
pub(crate) struct ConnectionList {
    /// Oldest first.
    pub(crate) connections: Vec<ConnectionView>,
}

/// Answer to `GET /keys/{group}/activity`
#[derive(Deserialize)]
pub(crate) struct ActivityPage {
    /// Oldest first.
    pub(crate) records: Vec<AuditRecord>,
    /// The end of the chain.
    pub(crate) head: AuditHead,
    /// `after` of the next page.
    pub(crate) next: Option<u64>,
}
