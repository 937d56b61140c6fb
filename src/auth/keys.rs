//! The keys of the login half, each derived from its own root for one purpose.

use frost_wasm_core::secret::Secret32;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use super::access_token::AccessTokens;
use crate::config::{Config, secrets::SecretName};

/// Everything that signs or authenticates logins. One per isolate.
#[derive(Debug)]
pub struct AuthKeys {
    /// Signs and checks access tokens.
    pub access: AccessTokens,
    /// Turns a refresh token into the value that is stored for it.
    pub(super) refresh_mac: Secret32,
    /// Turns a refresh token into its successor.
    pub(super) refresh_successor: Secret32,
    /// Makes up KDF salts for names that nobody has.
    pub(super) fake_kdf: Secret32,
    /// Names guard objects.
    pub(super) guard_name: Secret32,
    /// Binds a device token to its account.
    pub(super) device_token: Secret32,
    /// Binds a recovery challenge to the credentials it may replace.
    pub(super) recovery: Secret32,
}

impl AuthKeys {
    /// Derives them from `TOKEN_KEY` and the signing keys of access tokens.
    pub fn derive(config: &Config) -> Self {
        let root = config.secret(SecretName::TokenKey);
        Self {
            access: AccessTokens::new(
                config.secret(SecretName::JwtSigningKey),
                config.jwt_signing_key_previous(),
                config.public_url.origin(),
            ),
            refresh_mac: derive(root, b"passport/v1/refresh-token/mac"),
            refresh_successor: derive(root, b"passport/v1/refresh-token/successor"),
            fake_kdf: derive(root, b"passport/v1/fake-kdf"),
            guard_name: derive(root, b"passport/v1/guard-name"),
            device_token: derive(root, b"passport/v1/device-token"),
            recovery: derive(root, b"passport/v1/recovery-challenge"),
        }
    }
}

/// The key of operators' tokens and of blinded values in the deployment's audit chain.
pub fn operators_key(config: &Config) -> Secret32 {
    derive(config.secret(SecretName::TokenKey), b"passport/v1/operators")
}

/// HMAC-SHA256 over length-prefixed parts, so that no two lists of parts collide.
pub fn mac(key: &Secret32, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key.expose_secret());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of every length"),
    }
}

/// HKDF-SHA256 (RFC 5869) without salt: the root is uniformly random.
fn derive(root: &Secret32, info: &[u8]) -> Secret32 {
    let mut key = [0; 32];
    if Hkdf::<Sha256>::new(None, root.expose_secret()).expand(info, &mut key).is_err() {
        unreachable!("HKDF-SHA256 gives up to 8160 bytes");
    }
    let secret = Secret32::from_bytes(key);
    key.zeroize();
    secret
}

#[cfg(test)]
pub(crate) fn for_tests() -> AuthKeys {
    let vars = crate::config::tests::valid();
    AuthKeys::derive(&crate::config::tests::parse(&vars).unwrap())
}
