//! Bodies of `/auth/*`.

use frost_wasm_core::kdf::KdfParams;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::KdfParamsSchema;
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

/// `POST /auth/token`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Login name.
    pub username: String,
    /// The login secret derived on the device.
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 256)]
    pub password: LoginSecret,
}

/// A signed-in client's tokens. Answer to `POST /auth/refresh`
#[derive(Serialize, ToSchema)]
pub struct TokenReply {
    /// Compact JWS, for `Authorization: Bearer`.
    pub access_token: String,
    /// `Bearer`
    pub token_type: &'static str,
    /// Seconds the access token is good for.
    pub expires_in: u64,
    /// Good once, for `POST /auth/refresh`.
    pub refresh_token: String,
}

/// Answer to `POST /auth/token`
#[derive(Serialize, ToSchema)]
pub struct SignInReply {
    /// The tokens.
    #[serde(flatten)]
    pub tokens: TokenReply,
    /// The account's owner key, x-only, 64 hex digits.
    pub owner_pubkey: String,
    /// The owner secret as the device encrypted it.
    pub owner_blob: Option<String>,
}
