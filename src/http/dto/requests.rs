//! Bodies of `/keys/{group}/requests`.

use bunker_core::event::Event;
use bunker_core::joint::ContributionReply;
use bunker_core::keys::EventId;
use bunker_core::session::Evidence;
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
    /// What it waits for.
    pub waits_for: Vec<Awaited>,
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

/// Answer to `POST /keys/{group}/requests/{request}/offer`: what the owner's device judges over before it contributes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferReply {
    /// The owner's own statements that bear on the request.
    #[schema(value_type = Object)]
    pub evidence: Evidence,
    /// The app's signed event, the key that it decrypts under, and the bunker's commitments: a JSON text, encrypted
    /// (NIP-44) from the connection's key to the owner key.
    pub contribution: String,
}

/// `POST /keys/{group}/requests/{request}/contribution`
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContributeRequest {
    /// The device's part.
    #[schema(value_type = Object)]
    pub reply: ContributionReply,
}

/// Worker to Bunker object: a device's part.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceContribution {
    /// The waiting request.
    pub request: EventId,
    /// The device's part.
    pub reply: ContributionReply,
}

/// Answer to `POST /keys/{group}/requests/{request}/contribution`
#[derive(Debug, Serialize, ToSchema)]
pub struct ContributeReply {
    /// The request, which the app has its answer to now.
    pub request: String,
}

/// What a waiting request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// The owner's signed word, because the connection's rules ask for it.
    Approval,
    /// A contribution of the owner's device, which holds a share.
    Device,
}
