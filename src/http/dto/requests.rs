//! Bodies of `/keys/{group}/requests`.

use bunker_core::event::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::connections::ClientInfo;
use super::schema::SignedEventSchema;

/// Answer to `GET /keys/{group}/requests`
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RequestList {
    /// Oldest first.
    pub requests: Vec<RequestView>,
}

/// A request of an app that waits for the owner.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RequestView {
    /// Id of the app's request event, 64 hex digits; an approval names it.
    pub request: String,
    /// The connection it came by, 32 hex digits.
    pub connection: String,
    /// The owner's name for the app.
    pub label: String,
    /// What the app says of itself. Never verified.
    pub client: Option<ClientInfo>,
    /// The NIP-46 method, as an approval names it.
    pub method: String,
    /// The kind of the event to be signed.
    pub kind: Option<u16>,
    /// The other party of an encryption or decryption, 64 hex digits.
    pub peer: Option<String>,
    /// The event to be signed.
    pub template: Option<TemplateView>,
    /// The text to be encrypted.
    pub plaintext: Option<String>,
    /// What is to be decrypted. The text in it is known to the app alone, once this is approved.
    pub ciphertext: Option<String>,
    /// Unix seconds.
    pub held_at: u64,
    /// Unix seconds; the app then gets an error.
    pub expires_at: u64,
}

/// An event before it is signed (NIP-01).
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TemplateView {
    /// The event's kind.
    pub kind: u16,
    /// Its text.
    pub content: String,
    /// Its tags.
    pub tags: Vec<Vec<String>>,
    /// Unix seconds.
    pub created_at: u64,
}

/// `POST /keys/{group}/requests/{request}/approve` and `…/deny`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    /// The owner's `approve` or `deny` statement.
    #[schema(value_type = SignedEventSchema)]
    pub statement: Event,
}

/// Answer to `POST /keys/{group}/requests/{request}/approve` and `…/deny`
#[derive(Debug, Serialize, ToSchema)]
pub struct DecideReply {
    /// The request, 64 hex digits.
    pub request: String,
    /// What every holder has recorded.
    pub status: DecisionStatus,
}

/// What the owner decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionStatus {
    /// The holders work on it now.
    Approved,
    /// The app gets an error.
    Denied,
}
