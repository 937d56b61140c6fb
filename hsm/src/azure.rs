//! Azure Key Vault and Managed HSM: `wrapKey`, `unwrapKey` and `get` of a key's version over [REST].
//!
//! There is no associated data, and an RSA key can be wrapped under by anybody who has its public half. So the binding
//! is made here: a wrapped key carries a MAC of holder, key and ciphertext under the very key that is wrapped. Before
//! each wrap the key itself is looked at: enabled, allowed to wrap, and of a kind that never leaves hardware. Each,
//! because a vault [wraps] under a disabled RSA key too, and only then refuses to unwrap.
//!
//! [REST]: https://learn.microsoft.com/rest/api/keyvault/
//! [wraps]: https://github.com/Azure/azure-sdk-for-python/issues/45342

mod access;
mod key_id;
mod verdict;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frost_wasm_core::{
    group::HolderRole,
    sealed::Dek,
    secret::{Secret32, SecretBytes, SecretString},
};
use hmac::{Hmac, Mac};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Hsm, HsmDescription, HsmError, HttpRequest, HttpResponse, Transport, WrappedDek, http::SecretText, retry::Deadline,
    token::TokenCache,
};
pub use key_id::KeyId;

const API: &str = "api-version=7.4";
/// The one format of wrapped keys: version, MAC, and what the vault made.
const VERSION: u8 = 1;
const MAC_BYTES: usize = 16;
const DOMAIN: &str = "passport/v1/hsm-azure/dek";
/// Longest ciphertext, in bytes: that of an RSA key of 4096 bits.
const CIPHERTEXT_MAX_BYTES: usize = 512;

/// How the key wraps; follows from its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// For keys of kind `RSA-HSM`.
    RsaOaep256,
    /// For keys of kind `oct-HSM`, which only Managed HSM has. It wraps a key the same way each time.
    A256Kw,
}

/// Which key, and as whom.
#[derive(Debug)]
pub struct Settings {
    /// The key with its version.
    pub key: KeyId,
    /// How it wraps.
    pub algorithm: Algorithm,
    /// Directory of the application.
    pub tenant_id: String,
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// Scheme and host that give out tokens, without a path.
    pub authority: String,
}

/// Azure Key Vault or Managed HSM for one holder.
pub struct Azure<T> {
    settings: Arc<Settings>,
    kek_id: String,
    transport: T,
    token: TokenCache,
}

#[derive(Serialize)]
struct Operation<'a> {
    alg: &'static str,
    value: &'a str,
}

#[derive(Deserialize)]
struct Done {
    kid: String,
    value: SecretText,
}

#[derive(Deserialize)]
struct Bundle {
    key: Key,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Key {
    kid: String,
    kty: String,
    #[serde(default)]
    key_ops: Vec<String>,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    enabled: bool,
    /// Seconds since the Unix epoch from when it may wrap.
    nbf: Option<u64>,
    /// And until when. What it wrapped before, it unwraps for ever.
    exp: Option<u64>,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::RsaOaep256 => "RSA-OAEP-256",
            Self::A256Kw => "A256KW",
        }
    }

    const fn key_kind(self) -> &'static str {
        match self {
            Self::RsaOaep256 => "RSA-HSM",
            Self::A256Kw => "oct-HSM",
        }
    }
}

impl<T: Transport> Azure<T> {
    /// For one holder.
    #[must_use]
    pub fn new(settings: Arc<Settings>, role: HolderRole, transport: T) -> Self {
        let kek_id = format!("azure:{role}:{}", settings.key);
        Self { settings, kek_id, transport, token: TokenCache::default() }
    }

    pub(crate) fn kek_id(&self) -> &str {
        &self.kek_id
    }

    /// Holds the key against the configuration.
    async fn check_key(&self, deadline: Deadline) -> Result<(), HsmError> {
        let Bundle { key, attributes } = self.call(deadline, "", false, |url| Ok(HttpRequest::get(url.into()))).await?;
        self.is_configured(&key.kid)?;
        if !key.kty.ends_with("-HSM") {
            return Err(HsmError::NotHardware);
        }
        let can = |operation: &str| key.key_ops.iter().any(|it| it == operation);
        if key.kty != self.settings.algorithm.key_kind() || !can("wrapKey") || !can("unwrapKey") {
            return Err(HsmError::WrongKey);
        }
        let now_s = self.transport.now_ms() / 1000;
        let is_in_time = attributes.nbf.is_none_or(|from| from <= now_s) && attributes.exp.is_none_or(|to| now_s < to);
        if attributes.enabled && is_in_time { Ok(()) } else { Err(HsmError::KeyDisabled) }
    }

    fn is_configured(&self, kid: &str) -> Result<(), HsmError> {
        if kid == self.settings.key.as_str() { Ok(()) } else { Err(HsmError::WrongKey) }
    }

    async fn operate(&self, deadline: Deadline, operation: &str, value: &[u8]) -> Result<SecretBytes, HsmError> {
        let value = Zeroizing::new(URL_SAFE_NO_PAD.encode(value));
        let body = Operation { alg: self.settings.algorithm.name(), value: &value };
        let make = |url: &str| HttpRequest::post_json(url.to_owned(), &body);
        let Done { kid, value } = self.call(deadline, operation, operation == "/unwrapkey", make).await?;
        self.is_configured(&kid)?;
        let value = value.0.trim_end_matches('=');
        URL_SAFE_NO_PAD.decode(value).map(SecretBytes::from).map_err(|_| HsmError::BadResponse)
    }

    async fn call<A: DeserializeOwned>(
        &self,
        deadline: Deadline,
        operation: &str,
        opens: bool,
        make: impl Fn(&str) -> Result<HttpRequest, HsmError>,
    ) -> Result<A, HsmError> {
        let url = format!("{}{operation}?{API}", self.settings.key);
        let token = self.token(deadline).await?;
        let judge = |response: &HttpResponse| match response.status {
            200 => response.json(),
            _ => Err(verdict::refusal(response, opens)),
        };
        self.token.send(&token, &self.transport, deadline, || make(&url), judge).await
    }

    /// The MAC that binds a wrapped key to its holder and KEK.
    fn mac(&self, dek: &Secret32, ciphertext: &[u8]) -> Result<Hmac<Sha256>, HsmError> {
        let mac = Hmac::<Sha256>::new_from_slice(dek.expose_secret()).map_err(|_| HsmError::DoesNotOpen)?;
        Ok(mac.chain_update(format!("{DOMAIN}\n{VERSION}\n{}\n", self.kek_id)).chain_update(ciphertext))
    }
}

impl<T: Transport> Hsm for Azure<T> {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, _: &mut R) -> Result<WrappedDek, HsmError> {
        let deadline = Deadline::start(&self.transport);
        self.check_key(deadline).await?;
        let secret = dek.expose_for_wrapping();
        let ciphertext = self.operate(deadline, "/wrapkey", secret.expose_secret()).await?;
        let ciphertext = ciphertext.expose_secret();
        if ciphertext.len() <= 32 || ciphertext.len() > CIPHERTEXT_MAX_BYTES {
            return Err(HsmError::BadResponse);
        }
        let mac = self.mac(secret, ciphertext)?.finalize().into_bytes();
        let mac = mac.get(..MAC_BYTES).ok_or(HsmError::BadResponse)?;
        Ok(WrappedDek { kek_id: self.kek_id.clone(), wrapped: [&[VERSION], mac, ciphertext].concat() })
    }

    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError> {
        if wrapped.kek_id != self.kek_id {
            return Err(HsmError::OtherKek);
        }
        let (version, rest) = wrapped.wrapped.split_first().ok_or(HsmError::DoesNotOpen)?;
        let (mac, ciphertext) = rest.split_at_checked(MAC_BYTES).ok_or(HsmError::DoesNotOpen)?;
        if *version != VERSION || ciphertext.len() <= 32 || ciphertext.len() > CIPHERTEXT_MAX_BYTES {
            return Err(HsmError::DoesNotOpen);
        }
        let opened = self.operate(Deadline::start(&self.transport), "/unwrapkey", ciphertext).await?;
        let secret: Secret32 = opened.into_fixed().ok_or(HsmError::BadResponse)?;
        self.mac(&secret, ciphertext)?.verify_truncated_left(mac).map_err(|_| HsmError::DoesNotOpen)?;
        Ok(Dek::from_secret(secret))
    }

    fn describe(&self) -> HsmDescription {
        HsmDescription { provider: "azure", kek_id: self.kek_id.clone(), hardware: true }
    }

    async fn health(&self) -> Result<(), HsmError> {
        self.check_key(Deadline::start(&self.transport)).await?;
        crate::probe(self, &self.transport).await
    }
}

impl<T> std::fmt::Debug for Azure<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Azure").field("kek_id", &self.kek_id).finish_non_exhaustive()
    }
}
