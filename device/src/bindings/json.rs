//! The shapes in which the page writes and reads. They are those of `public/src/vault/types.ts`.

use bunker_core::{
    audit::{AuditHead, AuditRecord},
    event::Event,
    grant::{ConnectionId, Terms},
    keys::{EventId, PublicKey},
    policy::{Permission, Policy},
    session::DeviceMemory,
};
use frost_wasm_core::{
    ceremony::{CeremonyId, Package},
    group::{GroupId, GroupPublic},
    kdf::KdfParams,
};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use crate::{
    ceremony::{CeremonyView, Custody, OtherDevices, StartRequest},
    connection::NewConnection,
    contribution::{Offer, ShownRequest},
    enrolment,
    holders::HolderList,
    shares::SealedShares,
    split::SharePackages,
    vault::{self, Place, PreparedIdentity},
};

#[derive(Serialize)]
pub(super) struct Thrown<'a> {
    pub(super) code: &'static str,
    pub(super) message: &'a str,
}

#[derive(Serialize)]
pub(super) struct SecretKind {
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log_n: Option<u8>,
}

#[derive(Deserialize)]
pub(super) struct Register {
    pub(super) origin: String,
    pub(super) username: String,
    pub(super) kdf: KdfParams,
}

#[derive(Deserialize)]
pub(super) struct Recover {
    pub(super) origin: String,
    pub(super) challenge: String,
    pub(super) kit: String,
    pub(super) kdf: KdfParams,
}

#[derive(Serialize)]
pub(super) struct Credentials<'a> {
    password: &'a str,
    owner_blob: &'a str,
    kdf: KdfParams,
}

impl<'a> Credentials<'a> {
    pub(super) fn of(made: &'a enrolment::Credentials) -> Self {
        Self { password: made.login_secret().expose_secret(), owner_blob: &made.owner_blob, kdf: made.kdf }
    }
}

#[derive(Serialize)]
pub(super) struct Enrolment<'a> {
    owner_pubkey: PublicKey,
    #[serde(flatten)]
    credentials: Credentials<'a>,
    proof: &'a Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupId>,
}

impl<'a> Enrolment<'a> {
    pub(super) fn of(made: &'a vault::Enrolment, group: Option<GroupId>) -> Self {
        let credentials = Credentials::of(&made.credentials);
        Self { owner_pubkey: made.owner_pubkey, credentials, proof: &made.proof, group }
    }
}

#[derive(Deserialize)]
pub(super) struct SealedOwner {
    pub(super) owner_pubkey: PublicKey,
    pub(super) owner_blob: String,
}

#[derive(Serialize)]
pub(super) struct LookedInto {
    pub(super) owner_pubkey: PublicKey,
    pub(super) group: GroupId,
    pub(super) epoch: u32,
    pub(super) npub: String,
}

#[derive(Serialize)]
pub(super) struct Draft {
    pub(super) npub: String,
    pub(super) kind: &'static str,
}

#[derive(Deserialize)]
pub(super) struct Prepare {
    pub(super) holders: HolderList,
}

#[derive(Deserialize)]
pub(super) struct BeginKeygen {
    pub(super) holders: HolderList,
    pub(super) custody: CustodyName,
}

/// Who holds the shares, beside the recovery kit.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CustodyName {
    Hosted,
    Device,
}

impl From<CustodyName> for Custody {
    fn from(name: CustodyName) -> Self {
        match name {
            CustodyName::Hosted => Self::Hosted,
            CustodyName::Device => Self::Device,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct BeginRenewal {
    pub(super) public: GroupPublic,
    pub(super) holders: HolderList,
    pub(super) custody: CustodyName,
    #[serde(default)]
    pub(super) others: OthersArgs,
    /// As this device keeps them.
    pub(super) shares: Option<String>,
    pub(super) kit: Option<String>,
}

/// What becomes of the person's other devices: said where there are any.
#[derive(Default, Deserialize)]
pub(super) struct OthersArgs {
    leave: bool,
    add: bool,
}

impl From<OthersArgs> for OtherDevices {
    fn from(OthersArgs { leave, add }: OthersArgs) -> Self {
        Self { leave, add }
    }
}

#[derive(Serialize)]
pub(super) struct RenewalBegun<'a> {
    request: &'a StartRequest,
    needs_export: bool,
    waits_for: usize,
}

impl<'a> RenewalBegun<'a> {
    pub(super) fn of(begun: &'a vault::RenewalBegun) -> Self {
        let vault::RenewalBegun { request, needs_export, waits_for } = begun;
        Self { request, needs_export: *needs_export, waits_for: *waits_for }
    }
}

#[derive(Deserialize)]
pub(super) struct JoinRenewal {
    pub(super) public: GroupPublic,
    pub(super) holders: HolderList,
    /// As this device keeps them.
    pub(super) shares: Option<String>,
    pub(super) view: CeremonyView,
}

#[derive(Deserialize)]
pub(super) struct Numbered {
    pub(super) seq: u64,
}

#[derive(Serialize)]
pub(super) struct NewShares<'a> {
    npub: &'a str,
    public: &'a GroupPublic,
    /// What this device is to keep.
    shares: Option<String>,
}

impl<'a> NewShares<'a> {
    pub(super) fn of(made: &'a vault::NewShares) -> Result<Self, JsValue> {
        let vault::NewShares { npub, public, shares } = made;
        Ok(Self { npub, public, shares: text(shares.as_ref())? })
    }
}

fn text(shares: Option<&SealedShares>) -> Result<Option<String>, JsValue> {
    shares.map(SealedShares::to_text).transpose().map_err(super::thrown)
}

#[derive(Deserialize)]
pub(super) struct Contribute {
    /// As this device keeps them.
    pub(super) shares: String,
    /// As it was shown.
    pub(super) request: ShownRequest,
    pub(super) offer: Offer,
    pub(super) memory: Option<DeviceMemory>,
}

#[derive(Deserialize)]
pub(super) struct LeaveWithKit {
    pub(super) shares: String,
    pub(super) kit: String,
}

#[derive(Serialize)]
pub(super) struct Prepared<'a> {
    npub: &'a str,
    public: &'a GroupPublic,
    statement: &'a Event,
    packages: &'a SharePackages,
}

impl<'a> Prepared<'a> {
    pub(super) fn of(made: &'a PreparedIdentity) -> Self {
        Self { npub: &made.npub, public: &made.public, statement: &made.statement, packages: &made.packages }
    }
}

#[derive(Deserialize)]
pub(super) struct TakeCeremony {
    pub(super) view: CeremonyView,
}

#[derive(Serialize)]
pub(super) struct CeremonyStand<'a> {
    packages: &'a [Package],
    next: u64,
    round: u16,
    keeps: bool,
    verified: bool,
}

impl<'a> CeremonyStand<'a> {
    pub(super) fn of(stand: &'a vault::CeremonyStand) -> Self {
        let vault::CeremonyStand { packages, next, round, keeps, verified } = stand;
        Self { packages, next: *next, round: *round, keeps: *keeps, verified: *verified }
    }
}

#[derive(Serialize)]
pub(super) struct MadeIdentity<'a> {
    npub: &'a str,
    public: &'a GroupPublic,
    statement: &'a Event,
    ceremony: CeremonyId,
    /// What this device is to keep.
    shares: Option<String>,
}

impl<'a> MadeIdentity<'a> {
    pub(super) fn of(made: &'a vault::MadeIdentity) -> Result<Self, JsValue> {
        let vault::MadeIdentity { npub, public, statement, ceremony, shares } = made;
        Ok(Self { npub, public, statement, ceremony: *ceremony, shares: text(shares.as_ref())? })
    }
}

#[derive(Serialize)]
pub(super) struct File {
    pub(super) file: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct GivenKit {
    pub(super) kit: String,
    /// The shares that it has to go with.
    pub(super) public: GroupPublic,
}

#[derive(Deserialize)]
pub(super) struct PlaceArgs {
    group: GroupId,
    seq: u64,
}

impl From<PlaceArgs> for Place {
    fn from(PlaceArgs { group, seq }: PlaceArgs) -> Self {
        Self { group, seq }
    }
}

#[derive(Deserialize)]
pub(super) struct TermsArgs {
    label: String,
    policy: Policy,
    expires_at: Option<u64>,
    auth_url: bool,
}

impl From<TermsArgs> for Terms {
    fn from(TermsArgs { label, policy, expires_at, auth_url }: TermsArgs) -> Self {
        Self { label, policy, expires_at, auth_url }
    }
}

#[derive(Deserialize)]
pub(super) struct GrantArgs {
    #[serde(flatten)]
    pub(super) place: PlaceArgs,
    #[serde(flatten)]
    pub(super) terms: TermsArgs,
    pub(super) holders: HolderList,
}

#[derive(Serialize)]
pub(super) struct Granted<'a> {
    statement: &'a Event,
    transport: &'a str,
    connection: ConnectionId,
    secret: &'a str,
}

impl<'a> Granted<'a> {
    pub(super) fn of(made: &'a NewConnection) -> Self {
        let NewConnection { statement, transport, id, .. } = made;
        Self { statement, transport, connection: *id, secret: made.secret().expose_secret() }
    }
}

#[derive(Deserialize)]
pub(super) struct EditArgs {
    #[serde(flatten)]
    pub(super) place: PlaceArgs,
    #[serde(flatten)]
    pub(super) terms: TermsArgs,
    pub(super) connection: ConnectionId,
}

#[derive(Deserialize)]
pub(super) struct ConnectionArgs {
    #[serde(flatten)]
    pub(super) place: PlaceArgs,
    pub(super) connection: ConnectionId,
}

#[derive(Deserialize)]
pub(super) struct ApproveArgs {
    #[serde(flatten)]
    pub(super) place: PlaceArgs,
    pub(super) connection: ConnectionId,
    pub(super) request: EventId,
    pub(super) method: Permission,
    pub(super) kind: Option<u16>,
    pub(super) remember: Option<RememberArgs>,
}

#[derive(Deserialize)]
pub(super) struct RememberArgs {
    pub(super) until: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct DenyArgs {
    #[serde(flatten)]
    pub(super) place: PlaceArgs,
    pub(super) connection: ConnectionId,
    pub(super) request: EventId,
}

#[derive(Deserialize)]
pub(super) struct FinishArgs {
    pub(super) group: GroupId,
    pub(super) statement: Event,
    pub(super) public: GroupPublic,
    pub(super) packages: SharePackages,
}

#[derive(Deserialize)]
pub(super) struct FinishWithKit {
    pub(super) group: GroupId,
    pub(super) statement: Event,
    pub(super) public: GroupPublic,
    pub(super) bunker: String,
    pub(super) kit: String,
}

#[derive(Serialize)]
pub(super) struct Exported<'a> {
    pub(super) nsec: &'a str,
    pub(super) npub: &'a str,
}

#[derive(Deserialize)]
pub(super) struct ChainArgs {
    pub(super) records: Vec<AuditRecord>,
    pub(super) head: AuditHead,
    pub(super) previous: Option<AuditHead>,
}

#[derive(Serialize)]
pub(super) struct Verdict {
    pub(super) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}
