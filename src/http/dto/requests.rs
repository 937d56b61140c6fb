//! Bodies of `/keys/{group}/requests`.

use bunker_core::event::Event;
use bunker_core::joint::ContributionReply;
use bunker_core::keys::{EventId, PublicKey};
use bunker_core::session::Evidence;
use frost_wasm_core::group::HolderIndex;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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
    /// Where devices contribute: how many have to, and which are at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signers: Option<Signers>,
    /// Unix seconds.
    pub held_at: u64,
    /// Unix seconds; the app then gets an error.
    pub expires_at: u64,
}

/// The devices that contribute to a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Signers {
    /// How many have to.
    pub needed: usize,
    /// The numbers of the shares that have begun to, in ascending order.
    #[schema(value_type = Vec<u16>)]
    pub given: Vec<HolderIndex>,
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

/// Query of `POST /keys/{group}/requests/{request}/offer`
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OfferQuery {
    /// The number of the share that the caller contributes with. Needed by who holds several, where more than one device
    /// has to contribute.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1)]
    pub holder: Option<HolderIndex>,
}

/// Worker to Bunker object: who wants to contribute to what.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferRequest {
    /// The waiting request.
    pub request: EventId,
    /// Owner key of the account that asks.
    pub by: PublicKey,
    /// The share.
    pub holder: Option<HolderIndex>,
}

/// Answer to `POST /keys/{group}/requests/{request}/offer`: what a device judges over before it contributes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferReply {
    /// The owner's own statements that bear on the request.
    #[schema(value_type = Object)]
    pub evidence: Evidence,
    /// The app's signed event, the key that it decrypts under, and the commitments of who signs, the bunker first: a JSON
    /// text, encrypted (NIP-44) from the connection's key to the caller's owner key.
    pub contribution: String,
    /// State of the commitments; the contribution names it.
    pub round: u32,
}

/// `POST /keys/{group}/requests/{request}/contribution`
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContributeRequest {
    /// The device's part.
    #[schema(value_type = Object)]
    pub reply: ContributionReply,
    /// The offer's.
    pub round: u32,
}

/// Worker to Bunker object: a device's part.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceContribution {
    /// The waiting request.
    pub request: EventId,
    /// Owner key of the account that it comes from.
    pub by: PublicKey,
    /// The device's part.
    pub reply: ContributionReply,
    /// State of the commitments that it was made for.
    pub round: u32,
}

/// Answer to `POST /keys/{group}/requests/{request}/contribution`
#[derive(Debug, Serialize, ToSchema)]
pub struct ContributeReply {
    /// The request, 64 hex digits.
    pub request: String,
    /// How it stands.
    pub status: ContributionStatus,
}

/// How a request stands after a contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContributionStatus {
    /// The app has its answer.
    Answered,
    /// Other devices have to contribute, too.
    Waiting,
}

/// What a waiting request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// The owner's signed word, because the connection's rules ask for it.
    Approval,
    /// Contributions of devices that hold a share.
    Device,
}
