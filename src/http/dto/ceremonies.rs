//! Bodies of `/ceremony`.

use bunker_core::keys::PublicKey;
use frost_wasm_core::ceremony::{CeremonyId, Package, Proof, Terms};
use frost_wasm_core::group::{GroupId, GroupPublic, HolderIndex, HolderRole};
use frost_wasm_core::provision::ReceivingPublic;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schema::GroupPublicSchema;

/// What a ceremony is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CeremonyKind {
    /// A new key that nobody ever has whole (DKG).
    Keygen,
    /// New shares of a key in use, for the same holders or others. Ends the present epoch.
    Reshare,
}

/// `POST /ceremony/start`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartCeremonyRequest {
    /// What it is for.
    pub kind: CeremonyKind,
    /// The group that it makes, a fresh random id, or that gets new shares: 32 hex digits.
    #[schema(value_type = String, min_length = 32, max_length = 32)]
    pub group: GroupId,
    /// How many holders act together afterwards; the deployment's `FROST_THRESHOLD` where nothing is said.
    #[serde(default)]
    pub threshold: Option<u16>,
    /// How long each round waits for everybody, in seconds.
    #[serde(default = "StartCeremonyRequest::default_round_seconds")]
    #[schema(minimum = 30, maximum = 86400, default = 600)]
    pub round_seconds: u32,
    /// In a reshare: the group as it is.
    #[serde(default)]
    #[schema(value_type = Option<GroupPublicSchema>)]
    pub present: Option<GroupPublic>,
    /// Who takes part. A participant's number is its place in this list, from 1; in a keygen it is its holder's index,
    /// too.
    pub participants: Vec<ParticipantRequest>,
}

impl StartCeremonyRequest {
    /// Shortest and longest time for a round, in seconds.
    pub const ROUND_SECONDS: std::ops::RangeInclusive<u32> = 30..=24 * 60 * 60;

    fn default_round_seconds() -> u32 {
        600
    }
}

/// One who is to take part.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParticipantRequest {
    /// `bunker` or `cosigner` for this server's own holders, `device` or `recovery` for a person's.
    #[schema(value_type = String, example = "device")]
    pub role: HolderRole,
    /// The person's owner key, 64 hex digits: who may join, read and speak for this place. Not for the server's own.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub owner: Option<PublicKey>,
    /// The key to which values for this place are sealed, where it is the caller's own: 64 hex digits.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub receiving_key: Option<ReceivingPublic>,
    /// In a reshare: the present holder as which it deals. Exactly as many deal as act together now.
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1)]
    pub deals: Option<HolderIndex>,
    /// In a reshare: the holder's index for which it gets a share.
    #[serde(default)]
    #[schema(value_type = Option<u16>, minimum = 1)]
    pub receives: Option<HolderIndex>,
}

/// `POST /ceremony/{operation_id}/round/{n}`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundRequest {
    /// In round 0 `{"keys": [{"number", "receiving_key"}]}`; afterwards one signed package.
    #[schema(value_type = Object)]
    pub participant_data: serde_json::Value,
}

/// `participant_data` of round 0.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinData {
    /// One for each place of the caller's.
    pub keys: Vec<SeatKey>,
}

/// A place and its key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatKey {
    /// The participant's number.
    pub number: u16,
    /// The key to which its values are sealed.
    pub receiving_key: ReceivingPublic,
}

/// Query of a ceremony's routes.
#[derive(Debug, Clone, Copy, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CeremonyQuery {
    /// Leave out so many packages, which the caller has already: `next` of the last answer.
    #[serde(default)]
    pub after: u64,
}

/// How a ceremony stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CeremonyStatus {
    /// Not everybody has come with a key.
    Joining,
    /// Rounds are going on.
    Running,
    /// Every holder has checked and accepted what came out.
    Verified,
    /// Somebody broke the rules. Final.
    Failed,
    /// A participant ended it. Final.
    Cancelled,
    /// Somebody was silent for too long. Final.
    Expired,
}

/// A ceremony as its participants see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CeremonyView {
    /// The ceremony, 32 hex digits.
    #[schema(value_type = String)]
    pub operation_id: CeremonyId,
    /// What it is for.
    pub kind: CeremonyKind,
    /// How it stands.
    pub status: CeremonyStatus,
    /// The group that it makes, 32 hex digits.
    #[schema(value_type = String)]
    pub group: GroupId,
    /// In a reshare: the group that it goes on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<GroupPublicSchema>)]
    pub present: Option<GroupPublic>,
    /// How many holders act together afterwards.
    pub threshold: u16,
    /// The round that is due; 0 while not everybody has joined.
    pub round: u16,
    /// The numbers of those who are awaited.
    pub waits_for: Vec<u16>,
    /// When the round is over, or after the end the result goes: unix seconds.
    pub due_at: u64,
    /// Who takes part, by number.
    pub participants: Vec<ParticipantView>,
    /// What every package is signed over, once everybody has joined.
    #[schema(value_type = Option<Object>)]
    pub terms: Option<Terms>,
    /// What was said, without the first `after`.
    #[schema(value_type = Vec<Object>)]
    pub packages: Vec<Package>,
    /// `after` for the next question.
    pub next: u64,
    /// Why it ended without a key: `two_faced`, `sharing`, `bad_signature`, `no_group`, `interrupted`, `cancelled` or
    /// `silent`.
    pub reason: Option<String>,
    /// The numbers of those who are to blame for that.
    pub culprits: Vec<u16>,
    /// The group that came out, once it is verified.
    #[schema(value_type = Option<GroupPublicSchema>)]
    pub public: Option<GroupPublic>,
    /// A message that names ceremony and group, with each set of holders and its BIP-340 signature: every set of
    /// `threshold`, or a sample where there are more than a hundred. Once it is verified.
    #[schema(value_type = Option<Object>)]
    pub proof: Option<Proof>,
}

/// One who takes part.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ParticipantView {
    /// Its number.
    pub number: u16,
    /// What it will hold a share as.
    #[schema(value_type = String)]
    pub role: HolderRole,
    /// The person's owner key; none for this server's own holders.
    #[schema(value_type = Option<String>)]
    pub owner: Option<PublicKey>,
    /// Whether it has come with a key.
    pub joined: bool,
    /// The holder as which it deals.
    #[schema(value_type = Option<u16>)]
    pub deals: Option<HolderIndex>,
    /// The holder's index for which it gets a share.
    #[schema(value_type = Option<u16>)]
    pub receives: Option<HolderIndex>,
}

/// Answer to `GET /ceremony`
#[derive(Debug, Serialize, ToSchema)]
pub struct CeremonyList {
    /// Those that name the caller, oldest first.
    pub ceremonies: Vec<NamedCeremony>,
}

/// A ceremony that names the caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedCeremony {
    /// The ceremony, 32 hex digits.
    pub operation_id: String,
    /// When nothing of it can be left: unix seconds.
    pub ends_at: u64,
}
