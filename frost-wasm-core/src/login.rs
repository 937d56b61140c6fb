//! What a person's device makes of the password, so that the server never sees it.
//!
//! scrypt, then HKDF into two independent keys: the login secret, which is sent in the password's place, and the key
//! of the owner blob, which is not sent. Whoever has the server's database has neither the password nor the owner
//! secret. A passkey's PRF output gives the key of a blob of its own.

use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::{
    encoding::{decode_base64, encode_base64},
    kdf::{KdfError, KdfParams, Stretched},
    point::{Point, XOnlyKey, nonzero_scalar},
    sealed::{AeadKey, NONCE_BYTES, SealError, derive_secret},
    secret::{Secret32, SecretString},
};

const LOGIN_DOMAIN: &str = "passport/v1/login-secret";
const BLOB_DOMAIN: &str = "passport/v1/owner-blob";
const PASSKEY_DOMAIN: &str = "passport/v1/passkey-blob";

/// First byte of an owner blob.
const BLOB_VERSION: u8 = 1;

/// Why the password led to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The cost is out of bounds, or the password empty.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// A version this code does not know.
    #[error("owner blob version {0} is unknown")]
    UnknownVersion(u8),
    /// Not base64, or too short.
    #[error("the owner blob is malformed")]
    Malformed,
    /// Another password's blob, another owner's, or altered.
    #[error("the owner blob does not open")]
    DoesNotOpen,
    /// The owner secret is no valid key.
    #[error("the owner secret is not a valid key")]
    NotAKey,
}

impl From<SealError> for LoginError {
    fn from(_: SealError) -> Self {
        Self::DoesNotOpen
    }
}

/// A key under which the owner secret is sealed, for the server to keep.
pub struct OwnerBlobKey {
    key: AeadKey,
    domain: &'static str,
}

impl OwnerBlobKey {
    /// The key of a passkey's blob, from the output of the passkey's PRF.
    pub fn from_passkey(prf: &Secret32) -> Result<Self, LoginError> {
        Self::derive(prf, PASSKEY_DOMAIN)
    }

    /// Seals the owner secret: base64 of version, nonce and ciphertext.
    pub fn seal<R: RngCore + CryptoRng>(&self, owner_secret: &Secret32, rng: &mut R) -> Result<String, LoginError> {
        let owner = public_key(owner_secret).ok_or(LoginError::NotAKey)?;
        let (nonce, ciphertext) = self.key.seal(&self.aad(&owner), owner_secret.expose_secret(), rng)?;
        Ok(encode_base64(&[&[BLOB_VERSION], nonce.as_slice(), &ciphertext].concat()))
    }

    /// Opens the blob of this owner.
    pub fn open(&self, owner: &XOnlyKey, blob: &str) -> Result<Secret32, LoginError> {
        let bytes = decode_base64(blob).map_err(|_| LoginError::Malformed)?;
        let (version, rest) = bytes.split_first().ok_or(LoginError::Malformed)?;
        if *version != BLOB_VERSION {
            return Err(LoginError::UnknownVersion(*version));
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(LoginError::Malformed)?;
        let opened = self.key.open(&self.aad(owner), nonce, ciphertext)?;
        let secret: Secret32 = opened.into_fixed().ok_or(LoginError::DoesNotOpen)?;
        if public_key(&secret) == Some(*owner) { Ok(secret) } else { Err(LoginError::DoesNotOpen) }
    }

    fn derive(root: &Secret32, domain: &'static str) -> Result<Self, LoginError> {
        Ok(Self { key: AeadKey::derive(root, domain)?, domain })
    }

    fn aad(&self, owner: &XOnlyKey) -> Vec<u8> {
        [self.domain.as_bytes(), &[BLOB_VERSION], owner.as_bytes()].concat()
    }
}

impl std::fmt::Debug for OwnerBlobKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnerBlobKey(<redacted>)")
    }
}

/// The two keys that a password gives.
pub struct LoginKeys {
    login_secret: SecretString,
    blob_key: OwnerBlobKey,
}

impl LoginKeys {
    /// Derives both. Takes the memory and time that `params` ask for.
    pub fn derive(password: &str, params: &KdfParams) -> Result<Self, LoginError> {
        Self::from_stretched(&params.stretch(password)?)
    }

    /// Derives both from a password that was stretched before.
    pub fn from_stretched(stretched: &Stretched) -> Result<Self, LoginError> {
        let root = stretched.expose_secret();
        let login_secret = derive_secret(root, LOGIN_DOMAIN)?.to_hex();
        Ok(Self { login_secret, blob_key: OwnerBlobKey::derive(root, BLOB_DOMAIN)? })
    }

    /// What is sent in place of the password: 64 characters of lowercase hex.
    #[must_use]
    pub fn login_secret(&self) -> &SecretString {
        &self.login_secret
    }

    /// The key of the owner blob, which is not sent.
    #[must_use]
    pub fn blob_key(&self) -> &OwnerBlobKey {
        &self.blob_key
    }

    /// Seals the owner secret for the server to keep: base64 of version, nonce and ciphertext.
    pub fn seal_owner_blob<R: RngCore + CryptoRng>(
        &self,
        owner_secret: &Secret32,
        rng: &mut R,
    ) -> Result<String, LoginError> {
        self.blob_key.seal(owner_secret, rng)
    }

    /// Opens the blob of this owner.
    pub fn open_owner_blob(&self, owner: &XOnlyKey, blob: &str) -> Result<Secret32, LoginError> {
        self.blob_key.open(owner, blob)
    }
}

impl std::fmt::Debug for LoginKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginKeys(<redacted>)")
    }
}

fn public_key(secret: &Secret32) -> Option<XOnlyKey> {
    let scalar = Zeroizing::new(nonzero_scalar(secret)?);
    let point = Point::of_scalar(&scalar)?;
    Some(XOnlyKey::from_bytes(point.x_bytes()))
}
