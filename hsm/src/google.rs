//! Google Cloud KMS: `encrypt`, `decrypt` and `get` of a crypto key over [REST].
//!
//! The associated data names the holder, and KMS authenticates it. Checksums (CRC-32C) go with everything that is sent
//! and come with everything that is answered, as Google asks for; one that is missing or wrong is a bad answer. An
//! answer has to come from an HSM and, where it has a name, from a version of the configured key.
//!
//! [REST]: https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys

mod account;
mod resource;
mod verdict;
mod wire;

use std::{cell::Cell, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use frost_wasm_core::{
    group::HolderRole,
    sealed::Dek,
    secret::{SecretBytes, SecretString},
};
use rand_core::{CryptoRng, RngCore};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::{
    Hsm, HsmDescription, HsmError, HttpRequest, HttpResponse, Transport, WrappedDek,
    retry::{self, Deadline},
    token::{TokenCache, granted},
};
pub use account::{JwtSigner, ServiceAccount};
pub use resource::CryptoKey;
use wire::{CryptoKeyAnswer, DecryptRequest, Decrypted, EncryptRequest, Encrypted, crc32c};

const ENDPOINT: &str = "https://cloudkms.googleapis.com";
const TOKEN_ENDPOINT: &str = "https://oauth2.googleapis.com";
/// Longest ciphertext of a 32-byte key that is believed, in bytes. It is about 110.
const CIPHERTEXT_MAX_BYTES: usize = 1024;

/// Which key, and as whom.
#[derive(Debug)]
pub struct Settings {
    /// The key, without a version: KMS wraps with the primary one and finds the right one to unwrap.
    pub key: CryptoKey,
    /// Who uses it.
    pub account: ServiceAccount,
    /// Scheme and host instead of Google's own, without a path.
    pub endpoint: Option<String>,
    /// Scheme and host that give out tokens instead of Google's own, without a path.
    pub token_endpoint: Option<String>,
}

/// Google Cloud KMS for one holder.
pub struct Google<P> {
    settings: Arc<Settings>,
    kek_id: String,
    aad: Vec<u8>,
    platform: P,
    token: TokenCache,
    /// Whether the key was looked at since this isolate began.
    is_checked: Cell<bool>,
}

impl<P: Transport + JwtSigner> Google<P> {
    /// For one holder.
    #[must_use]
    pub fn new(settings: Arc<Settings>, role: HolderRole, platform: P) -> Self {
        let kek_id = format!("google:{role}:{}", settings.key);
        let aad = format!("passport/v1/dek:{role}").into_bytes();
        Self { settings, kek_id, aad, platform, token: TokenCache::default(), is_checked: Cell::new(false) }
    }

    pub(crate) fn kek_id(&self) -> &str {
        &self.kek_id
    }

    /// Holds the key against the configuration.
    async fn check_key(&self, deadline: Deadline) -> Result<(), HsmError> {
        let make = |url: &str| Ok(HttpRequest::get(url.to_owned()));
        let key: CryptoKeyAnswer = self.call(deadline, "", false, make).await?;
        key.check(&self.settings.key)
    }

    async fn call<A: DeserializeOwned>(
        &self,
        deadline: Deadline,
        operation: &str,
        opens: bool,
        make: impl Fn(&str) -> Result<HttpRequest, HsmError>,
    ) -> Result<A, HsmError> {
        let endpoint = self.settings.endpoint.as_deref().unwrap_or(ENDPOINT);
        let url = format!("{endpoint}/v1/{}{operation}", self.settings.key);
        let token = self.token(deadline).await?;
        let judge = |response: &HttpResponse| match response.status {
            200 => response.json(),
            _ => Err(verdict::refusal(response, opens)),
        };
        self.token.send(&token, &self.platform, deadline, || make(&url), judge).await
    }

    async fn token(&self, deadline: Deadline) -> Result<Zeroizing<String>, HsmError> {
        if let Some(token) = self.token.get(self.platform.now_ms()) {
            return Ok(token);
        }
        let url = format!("{}/token", self.settings.token_endpoint.as_deref().unwrap_or(TOKEN_ENDPOINT));
        let assertion: SecretString = self.settings.account.assertion(&url, &self.platform).await?;
        let make = || {
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            let fields = [("grant_type", grant), ("assertion", assertion.expose_secret())];
            Ok(HttpRequest::post_form(url.clone(), &fields))
        };
        let judge = |response: &_| granted(response, verdict::is_clock);
        let (token, lifetime_s) = retry::send(&self.platform, deadline, make, judge).await?;
        self.token.keep(token.clone(), lifetime_s, self.platform.now_ms());
        Ok(token)
    }
}

impl<P: Transport + JwtSigner> Hsm for Google<P> {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, _: &mut R) -> Result<WrappedDek, HsmError> {
        let deadline = Deadline::start(&self.platform);
        if !self.is_checked.get() {
            self.check_key(deadline).await?;
            self.is_checked.set(true);
        }
        let plaintext = dek.expose_for_wrapping().expose_secret();
        let encoded = Zeroizing::new(STANDARD.encode(plaintext));
        let body = EncryptRequest {
            plaintext: &encoded,
            plaintext_crc32c: crc32c(plaintext).to_string(),
            additional_authenticated_data: STANDARD.encode(&self.aad),
            additional_authenticated_data_crc32c: crc32c(&self.aad).to_string(),
        };
        let make = |url: &str| HttpRequest::post_json(url.to_owned(), &body);
        let answer: Encrypted = self.call(deadline, ":encrypt", false, make).await?;
        let wrapped = answer.check(&self.settings.key)?;
        if wrapped.is_empty() || wrapped.len() > CIPHERTEXT_MAX_BYTES {
            return Err(HsmError::BadResponse);
        }
        Ok(WrappedDek { kek_id: self.kek_id.clone(), wrapped })
    }

    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError> {
        if wrapped.kek_id != self.kek_id {
            return Err(HsmError::OtherKek);
        }
        if wrapped.wrapped.is_empty() || wrapped.wrapped.len() > CIPHERTEXT_MAX_BYTES {
            return Err(HsmError::DoesNotOpen);
        }
        let body = DecryptRequest {
            ciphertext: STANDARD.encode(&wrapped.wrapped),
            ciphertext_crc32c: crc32c(&wrapped.wrapped).to_string(),
            additional_authenticated_data: STANDARD.encode(&self.aad),
            additional_authenticated_data_crc32c: crc32c(&self.aad).to_string(),
        };
        let make = |url: &str| HttpRequest::post_json(url.to_owned(), &body);
        let answer: Decrypted = self.call(Deadline::start(&self.platform), ":decrypt", true, make).await?;
        let opened: SecretBytes = answer.check()?;
        Ok(Dek::from_secret(opened.into_fixed().ok_or(HsmError::BadResponse)?))
    }

    fn describe(&self) -> HsmDescription {
        HsmDescription { provider: "google", kek_id: self.kek_id.clone(), hardware: true }
    }

    async fn health(&self) -> Result<(), HsmError> {
        self.check_key(Deadline::start(&self.platform)).await?;
        crate::probe(self, &self.platform).await
    }
}

impl<P> std::fmt::Debug for Google<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Google").field("kek_id", &self.kek_id).finish_non_exhaustive()
    }
}
