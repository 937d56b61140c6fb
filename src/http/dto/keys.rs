//! Bodies of `/holders` and `/keys`.

use bunker_core::event::Event;
use bunker_core::keys::PublicKey;
use bunker_core::members::Member;
use frost_wasm_core::ceremony::CeremonyId;
use frost_wasm_core::group::{GroupPublic, HolderRole};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::{GroupPublicSchema, MemberSchema, SignedEventSchema};

/// Answer to `GET /holders`
#[derive(Debug, Serialize, ToSchema)]
pub struct HolderList {
    /// The holders on this server, in the order of their indices.
    pub holders: Vec<HolderEntry>,
}

/// A holder and the key under which it receives packages.
#[derive(Debug, Serialize, ToSchema)]
pub struct HolderEntry {
    /// `bunker` or `cosigner`.
    #[schema(value_type = String, example = "bunker")]
    pub role: HolderRole,
    /// FROST identifier in hosted groups.
    pub index: u16,
    /// X25519 public key, 64 hex digits.
    pub receiving_key: String,
    /// The key under which it speaks in ceremonies, x-only, 64 hex digits.
    pub signing_key: String,
}

/// Shares for the two holders on the server, each HPKE-sealed to its receiving key.
///
/// Purpose `passport/v1/share`, associated data: statement id, then the index as u16 big-endian.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SharePackages {
    /// For the bunker, base64.
    #[serde(rename = "1")]
    pub bunker: String,
    /// For the cosigner, base64.
    #[serde(rename = "2")]
    pub cosigner: String,
}

/// `POST /keys`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKeyRequest {
    /// The owner's `create_group` statement.
    #[schema(value_type = SignedEventSchema)]
    pub statement: Event,
    /// The holders' shares, of a key that was split on the device.
    #[serde(default)]
    pub packages: Option<SharePackages>,
    /// The verified ceremony in which the holders got their shares; either this or `packages`.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 32, max_length = 32)]
    pub ceremony: Option<CeremonyId>,
    /// The person's name for it, 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128)]
    pub label: String,
}

/// A key as the account's lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// The group, 32 hex digits.
    pub group: String,
    /// The Nostr key, x-only, 64 hex digits.
    pub pubkey: String,
    /// The Nostr key as NIP-19 text.
    pub npub: String,
    /// The group's own relay.
    pub relay: String,
    /// The person's name for it.
    pub label: String,
    /// Unix seconds.
    pub created_at: u64,
}

/// Answer to `POST /keys`
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateKeyReply {
    /// The key.
    #[serde(flatten)]
    pub key: KeyView,
    /// Number of the last statement; the next one has to be greater.
    pub sequence: u64,
}

/// Answer to `GET /keys`
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    /// The account's own, oldest first.
    pub keys: Vec<KeyView>,
    /// Keys of others of which the account holds a share, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<SharedKeyView>,
}

/// A key of somebody else's of which the account holds a share.
#[derive(Debug, Serialize, ToSchema)]
pub struct SharedKeyView {
    /// The key. Its label is the owner's.
    #[serde(flatten)]
    pub key: KeyView,
    /// The owner key of whose it is, 64 hex digits.
    pub owner: String,
}

/// Answer to `GET /keys/{group}`
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyDetail {
    /// The key.
    #[serde(flatten)]
    pub key: KeyView,
    /// Number of the last statement; the next one has to be greater.
    pub sequence: u64,
    /// The group's public facts.
    #[schema(value_type = GroupPublicSchema)]
    pub public: GroupPublic,
    /// When the present shares were asked for, by the owner's clock: unix seconds.
    pub shares_since: u64,
    /// Whose word counts: the owner key, 64 hex digits.
    #[schema(value_type = String)]
    pub owner: PublicKey,
    /// Who beside the owner holds shares.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<MemberSchema>)]
    pub members: Vec<Member>,
}

/// Worker to Bunker object: make this group. Idempotent by the statement's id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionRequest {
    /// The owner's `create_group` statement.
    pub statement: Event,
    /// Where the holders' shares come from.
    pub shares: SharesOrigin,
}

/// Where the shares of a new group come from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharesOrigin {
    /// The owner's device sealed one to each holder.
    Packages(SharePackages),
    /// The holders got them in this ceremony.
    Ceremony(CeremonyId),
}

/// Bunker object to Worker: made, now or before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionReply {
    /// Number of the last statement.
    pub sequence: u64,
}

/// Bunker object to Worker: what it holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupDescription {
    /// Number of the last statement.
    pub sequence: u64,
    /// The group's public facts.
    pub public: GroupPublic,
    /// When the present shares were asked for, unix seconds.
    pub shares_since: u64,
    /// Whose word counts.
    pub owner: PublicKey,
    /// Who beside the owner holds shares.
    pub members: Vec<Member>,
}
