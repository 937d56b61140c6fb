//! What goes to the server and comes back, as far as this client uses it. The server's `/openapi.json` is the
//! reference; fields that are not known here are ignored.

use bunker_core::{
    audit::{AuditHead, AuditRecord},
    event::{Event, Template},
    grant::ConnectionId,
    joint::ContributionReply,
    keys::{EventId, PublicKey},
    members::Member,
    nip46::ClientMetadata,
    policy::{Permission, Policy},
};
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, GroupPublic, HolderIndex},
    kdf::KdfParams,
};
use passport_device::split::SharePackages;
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
    /// The owner key agrees to all of it.
    pub(crate) proof: Event,
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
    /// What this device calls itself.
    pub(crate) device: &'a str,
    /// From an earlier sign-in of this device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) device_token: Option<&'a str>,
}

/// `POST /auth/reauthenticate`
#[derive(Serialize)]
pub(crate) struct ReauthenticateRequest<'a> {
    /// The login secret.
    pub(crate) password: &'a str,
}

/// `POST /auth/password`
#[derive(Serialize)]
pub(crate) struct PasswordRequest<'a> {
    /// The present login secret.
    pub(crate) current: &'a str,
    /// The new one.
    pub(crate) password: &'a str,
    /// The owner secret, sealed under the new password.
    pub(crate) owner_blob: &'a str,
    /// How the new login secret is derived.
    pub(crate) kdf: KdfParams,
}

/// `POST /auth/recover/challenge`
#[derive(Serialize)]
pub(crate) struct ChallengeRequest {
    /// The kit's owner key.
    pub(crate) owner_pubkey: PublicKey,
}

/// Answer to `POST /auth/recover/challenge`
#[derive(Deserialize)]
pub(crate) struct ChallengeReply {
    /// Goes into the proof.
    pub(crate) challenge: String,
}

/// `POST /auth/recover`
#[derive(Serialize)]
pub(crate) struct RecoverRequest<'a> {
    /// The kit's owner key.
    pub(crate) owner_pubkey: PublicKey,
    /// The server's challenge.
    pub(crate) challenge: &'a str,
    /// The new login secret.
    pub(crate) password: &'a str,
    /// The owner secret, sealed under the new password.
    pub(crate) owner_blob: &'a str,
    /// How the new login secret is derived.
    pub(crate) kdf: KdfParams,
    /// The owner key agrees to all of it.
    pub(crate) proof: Event,
}

/// Answer to `POST /auth/recover`
#[derive(Deserialize)]
pub(crate) struct RecoverReply {
    /// The account's name.
    pub(crate) username: String,
}

/// Answer to `GET /auth/sessions`
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionList {
    /// Newest first.
    pub(crate) sessions: Vec<SessionView>,
}

/// Where the account is signed in.
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionView {
    /// Its id.
    pub(crate) session: String,
    /// What the device calls itself.
    pub(crate) device: Option<String>,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// Unix seconds.
    pub(crate) last_used_at: u64,
    /// True for this device's.
    pub(crate) current: bool,
}

/// Answer to `GET /auth/passkeys`
#[derive(Serialize, Deserialize)]
pub(crate) struct PasskeyList {
    /// All of the account's.
    pub(crate) passkeys: Vec<PasskeyView>,
}

/// A passkey.
#[derive(Serialize, Deserialize)]
pub(crate) struct PasskeyView {
    /// Its id.
    pub(crate) passkey: String,
    /// The person's name for it.
    pub(crate) label: String,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// Unix seconds.
    pub(crate) last_used_at: Option<u64>,
    /// Whether it opens the owner key, too.
    pub(crate) unlocks: bool,
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
    /// For the next sign-in of this device.
    pub(crate) device_token: String,
}

/// `POST /keys`
#[derive(Serialize)]
pub(crate) struct CreateKeyRequest<'a> {
    /// The `create_group` statement.
    pub(crate) statement: &'a Event,
    /// How the holders get their shares.
    #[serde(flatten)]
    pub(crate) shares: &'a HolderShares,
    /// The person's name for the key.
    pub(crate) label: &'a str,
}

/// How the server's holders get their shares of a new key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HolderShares {
    /// From the device that split the key, sealed to each.
    Packages(SharePackages),
    /// From the ceremony that made the key, in which they took part.
    Ceremony(CeremonyId),
}

/// `POST /ceremony/{id}/round/{n}`
#[derive(Serialize)]
pub(crate) struct RoundRequest<'a, T> {
    /// What this device has to say.
    pub(crate) participant_data: &'a T,
}

/// Answer to `GET /ceremony`
#[derive(Deserialize)]
pub(crate) struct CeremonyList {
    /// Those the account is named in.
    pub(crate) ceremonies: Vec<CeremonyEntry>,
}

/// A ceremony the account is named in.
#[derive(Deserialize)]
pub(crate) struct CeremonyEntry {
    /// Its id.
    pub(crate) operation_id: CeremonyId,
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
    /// The owner key of whoever shares it with this account; none for the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<PublicKey>,
}

/// Answer to `GET /keys`
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyList {
    /// Oldest first.
    pub(crate) keys: Vec<KeyView>,
    /// Those of others who share them with this account.
    #[serde(default)]
    pub(crate) shared: Vec<KeyView>,
}

/// Answer to `GET /keys/{group}`
#[derive(Deserialize)]
pub(crate) struct KeyDetail {
    /// Number of the last statement.
    pub(crate) sequence: u64,
    /// The group's public facts.
    pub(crate) public: GroupPublic,
    /// When the present shares were asked for, Unix seconds.
    pub(crate) shares_since: u64,
    /// Who beside the owner holds shares.
    #[serde(default)]
    pub(crate) members: Vec<Member>,
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

/// Whatever the owner says about a key that exists.
#[derive(Serialize)]
pub(crate) struct OwnerStatement<'a> {
    /// Signed.
    pub(crate) statement: &'a Event,
}

/// Answer to `PATCH` and `DELETE /keys/{group}/connections/{id}`
#[derive(Serialize, Deserialize)]
pub(crate) struct ChangeReply {
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
    /// The owner stopped it for a while.
    Paused,
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
    /// Whether the app is sent the address of the page to approve at.
    #[serde(default = "yes")]
    pub(crate) auth_url: bool,
    /// What the owner allowed when approving.
    #[serde(default)]
    pub(crate) allowances: Vec<AllowanceView>,
    /// Unix seconds.
    pub(crate) created_at: u64,
    /// Unix seconds; none is without end.
    pub(crate) expires_at: Option<u64>,
    /// Unix seconds of its last request.
    pub(crate) last_seen_at: Option<u64>,
    /// Requests that were answered.
    pub(crate) uses: u64,
}

fn yes() -> bool {
    true
}

/// Something that the owner allowed from then on when approving.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AllowanceView {
    /// The method.
    pub(crate) method: Permission,
    /// The kind, for `sign_event`.
    pub(crate) kind: Option<u16>,
    /// Unix seconds; none is always.
    pub(crate) until: Option<u64>,
}

/// Answer to `GET /keys/{group}/requests`
#[derive(Deserialize)]
pub(crate) struct RequestList {
    /// Oldest first.
    pub(crate) requests: Vec<RequestView>,
}

/// A request that waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequestView {
    /// The request event.
    pub(crate) request: EventId,
    /// The connection it came by.
    pub(crate) connection: ConnectionId,
    /// The person's name for the app.
    pub(crate) label: String,
    /// What the app says of itself.
    pub(crate) client: Option<ClientMetadata>,
    /// The method.
    pub(crate) method: Permission,
    /// The kind of the event to be signed.
    pub(crate) kind: Option<u16>,
    /// The other party of an encryption or decryption.
    pub(crate) peer: Option<PublicKey>,
    /// The event to be signed.
    pub(crate) template: Option<Template>,
    /// The text to be encrypted.
    pub(crate) plaintext: Option<String>,
    /// What is to be decrypted.
    pub(crate) ciphertext: Option<String>,
    /// What it waits for, in this order.
    pub(crate) waits_for: Vec<Awaited>,
    /// Where devices contribute: how many have to, and which are at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signers: Option<Signers>,
    /// Unix seconds.
    pub(crate) held_at: u64,
    /// Unix seconds.
    pub(crate) expires_at: u64,
}

impl RequestView {
    /// Whether the owner's device has to contribute, too.
    pub(crate) fn needs_device(&self) -> bool {
        self.waits_for.contains(&Awaited::Device)
    }

    /// Whether its rules allow it, so that it waits for nothing but the owner's device.
    pub(crate) fn is_allowed(&self) -> bool {
        self.waits_for == [Awaited::Device]
    }
}

/// The devices that contribute to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signers {
    /// How many have to.
    pub(crate) needed: usize,
    /// The numbers of the shares that are at it.
    pub(crate) given: Vec<HolderIndex>,
}

/// What a waiting request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Awaited {
    /// The owner's word.
    Approval,
    /// A contribution of the owner's device, which holds a share.
    Device,
}

/// `POST /keys/{group}/requests/{request}/contribution`
#[derive(Serialize)]
pub(crate) struct ContributeRequest<'a> {
    /// The device's part.
    pub(crate) reply: &'a ContributionReply,
    /// The offer's, for which it was made.
    pub(crate) round: u32,
}

/// Answer to `POST /keys/{group}/requests/{request}/contribution`
#[derive(Deserialize)]
pub(crate) struct ContributeReply {
    /// The request.
    pub(crate) request: EventId,
    /// How it stands.
    #[serde(default)]
    pub(crate) status: ContributionStatus,
}

/// How a request stands after a contribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ContributionStatus {
    /// The app has its answer.
    #[default]
    Answered,
    /// Others have to contribute, too.
    Waiting,
}

/// Answer to `POST /keys/{group}/requests/{request}/approve` and `…/deny`
#[derive(Serialize, Deserialize)]
pub(crate) struct DecideReply {
    /// The request.
    pub(crate) request: EventId,
    /// `approved` or `denied`
    pub(crate) status: String,
}

/// Answer to `POST` and `GET /keys/{group}/export`
#[derive(Serialize, Deserialize)]
pub(crate) struct ExportView {
    /// How it stands.
    pub(crate) state: ExportState,
    /// When the holders release their shares, Unix seconds.
    pub(crate) ready_at: Option<u64>,
}

/// How an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportState {
    /// None was asked for.
    None,
    /// Its delay is running.
    Waiting,
    /// The shares can be had.
    Ready,
}

/// `POST /keys/{group}/export/release`
#[derive(Serialize)]
pub(crate) struct ReleaseRequest {}

/// Answer to `POST /keys/{group}/export/release`. The packages are sealed to this device.
#[derive(Deserialize)]
pub(crate) struct ReleaseReply {
    /// The owner's `export` statement.
    pub(crate) statement: Event,
    /// The shares.
    pub(crate) packages: ReleasedPackages,
}

/// The shares of the server's holders.
#[derive(Deserialize)]
pub(crate) struct ReleasedPackages {
    /// The bunker's.
    #[serde(rename = "1")]
    pub(crate) bunker: String,
    /// The cosigner's; none in device custody.
    #[serde(rename = "2")]
    pub(crate) cosigner: Option<String>,
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

#[cfg(test)]
mod tests {
    use bunker_core::statement::Verb;
    use passport_device::owner::OwnerKey;

    use super::*;
    use crate::platform;

    #[test]
    fn a_new_key_names_either_its_packages_or_its_ceremony() {
        let mut rng = platform::rng();
        let owner = OwnerKey::fresh(&mut rng);
        let statement = owner.sign(GroupId::from_bytes([1; 16]), 1, &Verb::DeleteGroup, 1, &mut rng).unwrap();
        let sent = |shares| {
            let request = CreateKeyRequest { statement: &statement, shares: &shares, label: "Me" };
            let mut sent = serde_json::to_value(&request).unwrap();
            sent.as_object_mut().unwrap().remove("statement");
            sent
        };
        let packages = SharePackages { bunker: "a".into(), cosigner: "b".into() };
        let split = sent(HolderShares::Packages(packages));
        assert_eq!(split, serde_json::json!({"packages": {"1": "a", "2": "b"}, "label": "Me"}));
        let made = sent(HolderShares::Ceremony(CeremonyId::from_bytes([2; 16])));
        assert_eq!(made, serde_json::json!({"ceremony": "02".repeat(16), "label": "Me"}));
    }
}
