//! Bodies of accounts: registration, key-derivation parameters, password, recovery, the account itself.

use bunker_core::event::Event;
use frost_wasm_core::kdf::KdfParams;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::{KdfParamsSchema, SignedEventSchema};
use crate::auth::password::LoginSecret;

/// `POST /auth/register`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// 3 to 32 characters out of a-z, 0-9, `_`, `.` and `-`.
    #[schema(min_length = 3, max_length = 32, pattern = "^[a-z0-9_.-]{3,32}$")]
    pub username: String,
    /// The login secret derived on the device, 16 to 256 characters.
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 256)]
    pub password: LoginSecret,
    /// The owner key, x-only, 64 hex digits.
    #[schema(min_length = 64, max_length = 64)]
    pub owner_pubkey: String,
    /// The owner secret, encrypted on the device; at most 4096 bytes.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub owner_blob: Option<String>,
    /// How the device derives the login secret.
    #[serde(default)]
    #[schema(value_type = Option<KdfParamsSchema>)]
    pub kdf: Option<KdfParams>,
    /// The owner key's word for all of it: an event of kind 27434 with the verb `register`.
    #[schema(value_type = SignedEventSchema)]
    pub proof: Event,
}

/// Answer to `POST /auth/register`
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterReply {
    /// The name as stored.
    pub username: String,
}

/// `POST /auth/params`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ParamsRequest {
    /// Login name.
    pub username: String,
}

/// Answer to `POST /auth/params`. A name that nobody has gets one too, always the same.
#[derive(Debug, Serialize, ToSchema)]
pub struct KdfReply {
    /// How the device derives the login secret.
    #[schema(value_type = KdfParamsSchema)]
    pub kdf: KdfParams,
}

/// `POST /auth/password`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    /// The present login secret.
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 256)]
    pub current: LoginSecret,
    /// The new login secret.
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 256)]
    pub password: LoginSecret,
    /// The owner secret, encrypted on the device under the new password; at most 4096 bytes.
    #[schema(max_length = 4096)]
    pub owner_blob: String,
    /// How the device derives the new login secret.
    #[schema(value_type = KdfParamsSchema)]
    pub kdf: KdfParams,
}

/// `POST /auth/recover/challenge`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryChallengeRequest {
    /// The owner key, x-only, 64 hex digits.
    #[schema(min_length = 64, max_length = 64)]
    pub owner_pubkey: String,
}

/// Answer to `POST /auth/recover/challenge`. An owner key that no account has gets one too.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoveryChallengeReply {
    /// Goes into the proof and back with it. Good for one recovery.
    pub challenge: String,
    /// Seconds it is good for.
    pub expires_in: u64,
}

/// `POST /auth/recover`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoverRequest {
    /// The owner key, x-only, 64 hex digits.
    #[schema(min_length = 64, max_length = 64)]
    pub owner_pubkey: String,
    /// From `POST /auth/recover/challenge`.
    pub challenge: String,
    /// The new login secret.
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 256)]
    pub password: LoginSecret,
    /// The owner secret, encrypted on the device under the new password; at most 4096 bytes.
    #[schema(max_length = 4096)]
    pub owner_blob: String,
    /// How the device derives the new login secret.
    #[schema(value_type = KdfParamsSchema)]
    pub kdf: KdfParams,
    /// The owner key's word for all of it: an event of kind 27434 with the verb `recover`.
    #[schema(value_type = SignedEventSchema)]
    pub proof: Event,
}

/// Answer to `POST /auth/recover`
#[derive(Debug, Serialize, ToSchema)]
pub struct RecoverReply {
    /// The account's login name, to sign in with.
    pub username: String,
}

/// Answer to `GET /account`
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// Login name.
    pub username: String,
    /// The owner key, x-only, 64 hex digits.
    pub owner_pubkey: String,
    /// The owner secret as the device encrypted it.
    pub owner_blob: Option<String>,
    /// How the device derives the login secret.
    #[schema(value_type = KdfParamsSchema)]
    pub kdf: KdfParams,
    /// Unix seconds.
    pub created_at: u64,
    /// How many passkeys the account has.
    pub passkeys: u32,
}
