//! Bodies of passkeys. What browsers make has WebAuthn's own field names, and fields of later versions are let pass.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use super::sessions::SignInReply;

/// Bytes as WebAuthn's JSON has them: base64url without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Base64Url(pub Vec<u8>);

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        URL_SAFE_NO_PAD.decode(text).map(Self).map_err(|_| de::Error::custom("not base64url"))
    }
}

impl fmt::Debug for Base64Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64Url({} bytes)", self.0.len())
    }
}

/// `RegistrationResponseJSON`, as `PublicKeyCredential.toJSON()` makes it, without PRF results.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationJson {
    /// The credential's id, base64url.
    #[schema(value_type = String)]
    pub raw_id: Base64Url,
    /// `public-key`
    pub r#type: String,
    /// What the authenticator answered.
    pub response: AttestationJson,
    /// What extensions answered. PRF results are secret and refused here: take them out before sending.
    #[serde(default)]
    pub client_extension_results: ExtensionResultsJson,
}

/// `AuthenticatorAttestationResponseJSON`, as far as it is read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttestationJson {
    /// base64url
    #[serde(rename = "clientDataJSON")]
    #[schema(value_type = String)]
    pub client_data_json: Base64Url,
    /// base64url
    #[schema(value_type = String)]
    pub attestation_object: Base64Url,
}

/// `AuthenticationResponseJSON`, as `PublicKeyCredential.toJSON()` makes it, without PRF results.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssertionJson {
    /// The credential's id, base64url.
    #[schema(value_type = String)]
    pub raw_id: Base64Url,
    /// `public-key`
    pub r#type: String,
    /// What the authenticator answered.
    pub response: AssertionResponseJson,
    /// What extensions answered. PRF results are secret and refused here: take them out before sending.
    #[serde(default)]
    pub client_extension_results: ExtensionResultsJson,
}

/// `AuthenticatorAssertionResponseJSON`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssertionResponseJson {
    /// base64url
    #[serde(rename = "clientDataJSON")]
    #[schema(value_type = String)]
    pub client_data_json: Base64Url,
    /// base64url
    #[schema(value_type = String)]
    pub authenticator_data: Base64Url,
    /// base64url
    #[schema(value_type = String)]
    pub signature: Base64Url,
    /// The account, base64url.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub user_handle: Option<Base64Url>,
}

/// `AuthenticationExtensionsClientOutputsJSON`, as far as it is looked at.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct ExtensionResultsJson {
    /// The PRF extension.
    #[serde(default)]
    pub prf: Option<PrfResultsJson>,
}

/// `AuthenticationExtensionsPRFOutputsJSON`
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PrfResultsJson {
    /// Whether the authenticator can do it.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Must not be sent: the owner key is encrypted under these.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub results: Option<serde::de::IgnoredAny>,
}

/// Empty object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmptyRequest {}

/// Answer to `POST /auth/passkeys/options` and `POST /auth/passkeys/challenge`
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeyOptions {
    /// To send back with the credential. Good once.
    pub challenge: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    #[schema(value_type = Object)]
    pub public_key: serde_json::Value,
}

/// `POST /auth/passkeys`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePasskeyRequest {
    /// From `POST /auth/passkeys/options`.
    pub challenge: String,
    /// `PublicKeyCredential.toJSON()`
    pub credential: RegistrationJson,
    /// The person's name for it.
    #[schema(min_length = 1, max_length = 64)]
    pub label: String,
    /// The owner secret, encrypted on the device under the passkey's PRF output; at most 4096 bytes.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub owner_blob: Option<String>,
}

/// Answer to `POST /auth/passkeys`
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatePasskeyReply {
    /// 32 hex digits.
    pub passkey: String,
}

/// `PUT /auth/passkeys/{passkey}/owner_blob`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyBlobRequest {
    /// The owner secret, encrypted on the device under the passkey's PRF output; at most 4096 bytes.
    #[schema(max_length = 4096)]
    pub owner_blob: String,
}

/// `POST /auth/passkeys/token`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyTokenRequest {
    /// From `POST /auth/passkeys/challenge`.
    pub challenge: String,
    /// `PublicKeyCredential.toJSON()`
    pub credential: AssertionJson,
    /// What the device calls itself, for the list of sessions.
    #[serde(default)]
    #[schema(max_length = 64)]
    pub device: Option<String>,
    /// What this device got at an earlier sign-in to this account.
    #[serde(default)]
    pub device_token: Option<String>,
}

/// Answer to `POST /auth/passkeys/token`. Its `owner_blob` is the passkey's own.
#[derive(Serialize, ToSchema)]
pub struct PasskeySignInReply {
    /// As for a password.
    #[serde(flatten)]
    pub signed_in: SignInReply,
    /// The passkey that was used, 32 hex digits.
    pub passkey: String,
}

/// A passkey of the account.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeyView {
    /// 32 hex digits.
    pub passkey: String,
    /// The person's name for it.
    pub label: String,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub last_used_at: Option<u64>,
    /// Whether it opens the owner key.
    pub unlocks: bool,
}

/// Answer to `GET /auth/passkeys`, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct PasskeyList {
    /// The account's passkeys.
    pub passkeys: Vec<PasskeyView>,
}
