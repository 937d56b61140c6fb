//! A service account, and the signed word with which it asks for tokens (RFC 7523).

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use frost_wasm_core::secret::{SecretBytes, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{HsmError, Transport, http::SecretText};

const SCOPE: &str = "https://www.googleapis.com/auth/cloudkms";
/// How long a signed word is good for, in seconds. It is used at once.
const LIFETIME_S: u64 = 600;

/// Signs with RSA (PKCS #1 v1.5, SHA-256). The platform does it, so that no RSA code is in the Worker.
#[allow(async_fn_in_trait)]
pub trait JwtSigner {
    /// The signature of `message` under a key in PKCS #8 form.
    ///
    /// # Errors
    /// [`HsmError::CredentialsRefused`] for a key that can't be used.
    async fn sign_rs256(&self, pkcs8: &SecretBytes, message: &[u8]) -> Result<Vec<u8>, HsmError>;
}

/// A service account with its private key.
pub struct ServiceAccount {
    email: String,
    key_id: String,
    pkcs8: SecretBytes,
}

/// The file that Google gives out for an account.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key_id: String,
    private_key: SecretText,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl ServiceAccount {
    /// Reads the JSON key file of an account; `None` for anything else.
    #[must_use]
    pub fn from_key_file(json: &str) -> Option<Self> {
        let file: KeyFile = serde_json::from_str(json).ok()?;
        let pem = file.private_key.0.trim();
        let body = pem.strip_prefix("-----BEGIN PRIVATE KEY-----")?.strip_suffix("-----END PRIVATE KEY-----")?;
        let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
        packed.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        let pkcs8 = SecretBytes::from(STANDARD.decode(&*packed).ok()?);
        let is_there = !file.client_email.is_empty() && !pkcs8.expose_secret().is_empty();
        is_there.then_some(Self { email: file.client_email, key_id: file.private_key_id, pkcs8 })
    }

    /// The signed word for a token endpoint.
    pub(super) async fn assertion<P: Transport + JwtSigner>(
        &self,
        audience: &str,
        platform: &P,
    ) -> Result<SecretString, HsmError> {
        let iat = platform.now_ms() / 1000;
        let header = Header { alg: "RS256", kid: &self.key_id, typ: "JWT" };
        let claims = Claims { iss: &self.email, scope: SCOPE, aud: audience, iat, exp: iat + LIFETIME_S };
        let signed = format!("{}.{}", part(&header)?, part(&claims)?);
        let signature = platform.sign_rs256(&self.pkcs8, signed.as_bytes()).await?;
        Ok(SecretString::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

fn part(value: &impl Serialize) -> Result<String, HsmError> {
    serde_json::to_vec(value).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| HsmError::CredentialsRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_whole_or_not_at_all_and_never_shown() {
        let file = r#"{"client_email":"a@b","private_key_id":"k","private_key":"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"}"#;
        let account = ServiceAccount::from_key_file(file).unwrap();
        assert_eq!(account.pkcs8.expose_secret(), b"secret");
        assert!(!format!("{account:?}").contains("secret"));
        for bad in [
            "",
            "{}",
            &file.replace("c2VjcmV0", "?"),
            &file.replace("a@b", ""),
            &file.replace("BEGIN P", "BEGIN RSA P"),
        ] {
            assert!(ServiceAccount::from_key_file(bad).is_none(), "{bad}");
        }
    }
}
