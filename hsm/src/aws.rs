//! AWS KMS: `Encrypt`, `Decrypt` and `DescribeKey` of its [JSON 1.1 interface], signed with Signature Version 4.
//!
//! The encryption context names the holder, and KMS authenticates it: a key that the bunker wrapped does not open for
//! the cosigner even under one KEK. Every answer has to name the configured key. Before the first wrap the key itself
//! is looked at: enabled, for encryption, and held where the configuration says.
//!
//! [JSON 1.1 interface]: https://docs.aws.amazon.com/kms/latest/APIReference/Welcome.html

mod arn;
pub mod sign;
mod verdict;

use std::{cell::Cell, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use frost_wasm_core::{
    group::HolderRole,
    sealed::Dek,
    secret::{SecretBytes, SecretString},
};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    Hsm, HsmDescription, HsmError, HttpRequest, Transport, WrappedDek,
    http::SecretText,
    retry::{self, Deadline},
};
pub use arn::KeyArn;
use sign::Signing;

const ALGORITHM: &str = "SYMMETRIC_DEFAULT";
/// Longest ciphertext that KMS makes of any plaintext, in bytes.
const CIPHERTEXT_MAX_BYTES: usize = 6144;

/// Where KMS has to keep the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStore {
    /// In the HSMs of KMS itself.
    Kms,
    /// In a CloudHSM cluster of the account's own.
    CloudHsm,
}

/// Which key, and as whom.
#[derive(Debug)]
pub struct Settings {
    /// The key, in full: an alias could be pointed to another one.
    pub key: KeyArn,
    /// Where it has to be kept.
    pub key_store: KeyStore,
    /// Id of the access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: SecretString,
    /// Of temporary credentials.
    pub session_token: Option<SecretString>,
    /// Scheme and host instead of the region's own, without a path.
    pub endpoint: Option<String>,
}

/// AWS KMS for one holder.
pub struct Aws<T> {
    settings: Arc<Settings>,
    role: HolderRole,
    kek_id: String,
    transport: T,
    /// Whether the key was looked at since this isolate began.
    is_checked: Cell<bool>,
}

#[derive(Serialize)]
struct Context {
    #[serde(rename = "passport:purpose")]
    purpose: &'static str,
    #[serde(rename = "passport:holder")]
    holder: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EncryptRequest<'a> {
    encryption_algorithm: &'static str,
    encryption_context: Context,
    key_id: &'a str,
    plaintext: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DecryptRequest<'a> {
    ciphertext_blob: String,
    encryption_algorithm: &'static str,
    encryption_context: Context,
    key_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeRequest<'a> {
    key_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
    encryption_algorithm: Option<String>,
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Decrypted {
    plaintext: SecretText,
    encryption_algorithm: Option<String>,
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    key_metadata: KeyMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyMetadata {
    arn: String,
    key_state: String,
    key_usage: String,
    key_spec: String,
    origin: String,
}

impl<T: Transport> Aws<T> {
    /// For one holder.
    #[must_use]
    pub fn new(settings: Arc<Settings>, role: HolderRole, transport: T) -> Self {
        let kek_id = format!("aws:{role}:{}", settings.key);
        Self { settings, role, kek_id, transport, is_checked: Cell::new(false) }
    }

    pub(crate) fn kek_id(&self) -> &str {
        &self.kek_id
    }

    fn context(&self) -> Context {
        Context { purpose: "passport/v1/dek", holder: self.role.as_str() }
    }

    /// Holds the key against the configuration.
    async fn check_key(&self, deadline: Deadline) -> Result<(), HsmError> {
        let body = DescribeRequest { key_id: self.settings.key.as_str() };
        let Described { key_metadata: key } = self.call(deadline, "DescribeKey", &body).await?;
        self.is_configured(&key.arn)?;
        match key.key_state.as_str() {
            "Enabled" => {}
            "Disabled" => return Err(HsmError::KeyDisabled),
            "PendingDeletion" | "PendingReplicaDeletion" => return Err(HsmError::KeyPendingDeletion),
            _ => return Err(HsmError::Unavailable),
        }
        if key.key_usage != "ENCRYPT_DECRYPT" || key.key_spec != ALGORITHM {
            return Err(HsmError::WrongKey);
        }
        let demanded = match self.settings.key_store {
            KeyStore::Kms => "AWS_KMS",
            KeyStore::CloudHsm => "AWS_CLOUDHSM",
        };
        if key.origin == demanded { Ok(()) } else { Err(HsmError::NotHardware) }
    }

    fn is_configured(&self, key_id: &str) -> Result<(), HsmError> {
        if key_id == self.settings.key.as_str() { Ok(()) } else { Err(HsmError::WrongKey) }
    }

    async fn call<A: DeserializeOwned>(
        &self,
        deadline: Deadline,
        operation: &str,
        body: &impl Serialize,
    ) -> Result<A, HsmError> {
        let make = || self.request(operation, body);
        retry::send(&self.transport, deadline, make, |response| match response.status {
            200 => response.json(),
            _ => Err(verdict::refusal(response)),
        })
        .await
    }

    fn request(&self, operation: &str, body: &impl Serialize) -> Result<HttpRequest, HsmError> {
        let settings = &*self.settings;
        let endpoint = settings.endpoint.clone().unwrap_or_else(|| settings.key.endpoint());
        let host = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, host)| host).to_owned();
        let mut request = HttpRequest::post_json(format!("{endpoint}/"), body)?;
        request.headers.clear();
        let mut request = request
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{operation}"));
        let signing = Signing {
            access_key_id: &settings.access_key_id,
            secret_access_key: settings.secret_access_key.expose_secret(),
            session_token: settings.session_token.as_ref().map(SecretString::expose_secret),
            region: settings.key.region(),
            service: "kms",
            now_ms: self.transport.now_ms(),
        };
        signing.sign(&mut request, &host);
        Ok(request)
    }
}

impl<T: Transport> Hsm for Aws<T> {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, _: &mut R) -> Result<WrappedDek, HsmError> {
        let deadline = Deadline::start(&self.transport);
        if !self.is_checked.get() {
            self.check_key(deadline).await?;
            self.is_checked.set(true);
        }
        let plaintext = Zeroizing::new(STANDARD.encode(dek.expose_for_wrapping().expose_secret()));
        let body = EncryptRequest {
            encryption_algorithm: ALGORITHM,
            encryption_context: self.context(),
            key_id: self.settings.key.as_str(),
            plaintext: &plaintext,
        };
        let answer: Encrypted = self.call(deadline, "Encrypt", &body).await?;
        self.is_configured(&answer.key_id)?;
        is_algorithm(answer.encryption_algorithm.as_deref())?;
        let wrapped = STANDARD.decode(&answer.ciphertext_blob).map_err(|_| HsmError::BadResponse)?;
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
            ciphertext_blob: STANDARD.encode(&wrapped.wrapped),
            encryption_algorithm: ALGORITHM,
            encryption_context: self.context(),
            key_id: self.settings.key.as_str(),
        };
        let answer: Decrypted = self.call(Deadline::start(&self.transport), "Decrypt", &body).await?;
        self.is_configured(&answer.key_id)?;
        is_algorithm(answer.encryption_algorithm.as_deref())?;
        let opened = STANDARD.decode(answer.plaintext.0.as_bytes()).map_err(|_| HsmError::BadResponse)?;
        let secret = SecretBytes::from(opened).into_fixed().ok_or(HsmError::BadResponse)?;
        Ok(Dek::from_secret(secret))
    }

    fn describe(&self) -> HsmDescription {
        HsmDescription { provider: "aws", kek_id: self.kek_id.clone(), hardware: true }
    }

    async fn health(&self) -> Result<(), HsmError> {
        self.check_key(Deadline::start(&self.transport)).await?;
        crate::probe(self, &self.transport).await
    }
}

impl<T> std::fmt::Debug for Aws<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws").field("kek_id", &self.kek_id).finish_non_exhaustive()
    }
}

/// Answers of some endpoints leave the algorithm out; none may name another.
fn is_algorithm(named: Option<&str>) -> Result<(), HsmError> {
    if named.is_none_or(|it| it == ALGORITHM) { Ok(()) } else { Err(HsmError::WrongKey) }
}
