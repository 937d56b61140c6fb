//! Bodies of sign-in and sessions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::passkeys::AssertionJson;
use crate::auth::password::LoginSecret;

/// `POST /auth/token`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Login name.
    pub username: String,
    /// The login secret derived on the device.
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 256)]
    pub password: LoginSecret,
    /// What the device calls itself, for the list of sessions.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub device: Option<String>,
    /// What this device got at an earlier sign-in to this account: its failures are counted apart from strangers'.
    #[serde(default)]
    pub device_token: Option<String>,
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
    /// The session, 32 hex digits.
    pub session: String,
    /// Login name.
    pub username: String,
    /// The account's owner key, x-only, 64 hex digits.
    pub owner_pubkey: String,
    /// The owner secret as the device encrypted it.
    pub owner_blob: Option<String>,
    /// To send with the next sign-in from this device. Opens nothing.
    pub device_token: String,
}

/// `POST /auth/reauthenticate`: a password, or a passkey's answer to a challenge of `POST /auth/passkeys/challenge`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ReauthenticateRequest {
    /// With the password.
    Password(ReauthenticateByPassword),
    /// With a passkey.
    Passkey(Box<ReauthenticateByPasskey>),
}

/// The password again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReauthenticateByPassword {
    /// The login secret.
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 256)]
    pub password: LoginSecret,
}

/// A passkey again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReauthenticateByPasskey {
    /// From `POST /auth/passkeys/challenge`.
    pub challenge: String,
    /// `PublicKeyCredential.toJSON()`
    pub credential: AssertionJson,
}

/// A session of the account.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// 32 hex digits.
    pub session: String,
    /// What the device called itself.
    pub device: Option<String>,
    /// Sign-in, unix seconds.
    pub created_at: u64,
    /// Sign-in or the last refresh, unix seconds.
    pub last_used_at: u64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Answer to `GET /auth/sessions`, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionList {
    /// Those that still stand.
    pub sessions: Vec<SessionView>,
}
