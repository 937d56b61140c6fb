//! Secrets at rest, sealed with XChaCha20-Poly1305 under a data-encryption key that only the HSM can unwrap.
//!
//! Guards against records that are swapped, moved between holders, or put back from an older epoch: the associated
//! data names group, holder, epoch and version, and is rebuilt from what the opener expects, never read from the
//! record. The binding is made here because not every HSM takes associated data of its own.
//!
//! One data key seals a share and the holder's other secrets under different derived keys (HKDF-SHA256).

mod aead;

use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};

use crate::{
    encoding::{base64_bytes, hex_array},
    group::{GroupError, GroupId, GroupPublic, HolderIndex, ValidGroup},
    secret::{Secret32, SecretBytes},
    share::{KeyShare, ShareError},
};
pub(crate) use aead::{AeadKey, NONCE_BYTES, derive_secret};

/// The version this code writes.
pub const SEALED_VERSION: u32 = 1;

const SHARE_DOMAIN: &str = "passport/v1/sealed-share";
const BYTES_DOMAIN: &str = "passport/v1/sealed-bytes";

/// Why a record was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A version this code does not know. The record is whole; the code is too old for it.
    #[error("sealed record version {0} is unknown")]
    UnknownVersion(u32),
    /// Sealed under another key, for another group, holder, epoch or purpose, or altered.
    #[error("the sealed record does not open here")]
    DoesNotOpen,
    /// It opened, but what was in it does not fit the group.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// A label part is too long to be bound, or the plaintext too long to be sealed.
    #[error("too long to seal")]
    TooLong,
}

impl From<GroupError> for SealError {
    fn from(error: GroupError) -> Self {
        Self::Share(error.into())
    }
}

/// A data-encryption key: the only thing an HSM wraps and unwraps.
pub struct Dek(Secret32);

impl Dek {
    /// Draws a fresh key.
    #[must_use]
    pub fn generate<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        Self(Secret32::random(rng))
    }

    /// Takes a key the HSM has unwrapped.
    #[must_use]
    pub fn from_secret(secret: Secret32) -> Self {
        Self(secret)
    }

    /// The key, for the HSM to wrap and for nothing else.
    #[must_use]
    pub fn expose_for_wrapping(&self) -> &Secret32 {
        &self.0
    }

    fn derive(&self, domain: &str) -> Result<AeadKey, SealError> {
        AeadKey::derive(&self.0, domain)
    }
}

impl std::fmt::Debug for Dek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dek(<redacted>)")
    }
}

/// A sealed share as it is stored. An unknown `v` parses and is refused on opening, by its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedShare {
    /// Format version.
    pub v: u32,
    /// Which key-encryption key wraps the data key.
    pub kek_id: String,
    /// The data key, wrapped by the HSM.
    #[serde(with = "base64_bytes")]
    pub wrapped_dek: Vec<u8>,
    /// XChaCha20 nonce.
    #[serde(with = "hex_array")]
    pub nonce: [u8; NONCE_BYTES],
    /// The share with its tag.
    #[serde(with = "base64_bytes")]
    pub ciphertext: Vec<u8>,
}

impl SealedShare {
    /// Seals a share under a data key that the HSM has wrapped as `wrapped_dek`.
    pub fn seal<R: RngCore + CryptoRng>(
        share: &KeyShare,
        dek: &Dek,
        kek_id: impl Into<String>,
        wrapped_dek: Vec<u8>,
        rng: &mut R,
    ) -> Result<Self, SealError> {
        let group = share.group();
        let aad = share_aad(SEALED_VERSION, group.group, share.index(), group.epoch);
        let secret = share.expose_signing_share();
        let (nonce, ciphertext) = dek.derive(SHARE_DOMAIN)?.seal(&aad, secret.expose_secret(), rng)?;
        Ok(Self { v: SEALED_VERSION, kek_id: kek_id.into(), wrapped_dek, nonce, ciphertext })
    }

    /// Opens the share that `index` holds of `group`, and checks that it fits.
    pub fn open(&self, dek: &Dek, group: &GroupPublic, index: HolderIndex) -> Result<KeyShare, SealError> {
        self.open_in(dek, group.validate()?, index)
    }

    /// As [`SealedShare::open`], for a group that has been validated before.
    pub fn open_in(&self, dek: &Dek, group: ValidGroup, index: HolderIndex) -> Result<KeyShare, SealError> {
        check_version(self.v)?;
        let aad = share_aad(self.v, group.group, index, group.epoch);
        let opened = dek.derive(SHARE_DOMAIN)?.open(&aad, &self.nonce, &self.ciphertext)?;
        let secret = opened.into_fixed().ok_or(SealError::DoesNotOpen)?;
        Ok(KeyShare::in_group(group, index, &secret)?)
    }
}

/// What a sealed secret is, apart from a share: it opens only where all four are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label<'a> {
    /// The group it serves.
    pub group: GroupId,
    /// The holder that keeps it.
    pub holder: HolderIndex,
    /// What it is for, such as `transport`.
    pub purpose: &'a str,
    /// Which one it is, such as a connection's id.
    pub id: &'a [u8],
}

/// A holder's other secret as it is stored. An unknown `v` parses and is refused on opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBytes {
    /// Format version.
    pub v: u32,
    /// XChaCha20 nonce.
    #[serde(with = "hex_array")]
    pub nonce: [u8; NONCE_BYTES],
    /// The secret with its tag.
    #[serde(with = "base64_bytes")]
    pub ciphertext: Vec<u8>,
}

impl SealedBytes {
    /// Seals bytes under the holder's data key.
    pub fn seal<R: RngCore + CryptoRng>(
        dek: &Dek,
        label: &Label<'_>,
        plaintext: &[u8],
        rng: &mut R,
    ) -> Result<Self, SealError> {
        let aad = label_aad(SEALED_VERSION, label)?;
        let (nonce, ciphertext) = dek.derive(BYTES_DOMAIN)?.seal(&aad, plaintext, rng)?;
        Ok(Self { v: SEALED_VERSION, nonce, ciphertext })
    }

    /// Opens what was sealed under this label.
    pub fn open(&self, dek: &Dek, label: &Label<'_>) -> Result<SecretBytes, SealError> {
        check_version(self.v)?;
        dek.derive(BYTES_DOMAIN)?.open(&label_aad(self.v, label)?, &self.nonce, &self.ciphertext)
    }
}

fn check_version(v: u32) -> Result<(), SealError> {
    if v == SEALED_VERSION { Ok(()) } else { Err(SealError::UnknownVersion(v)) }
}

fn share_aad(v: u32, group: GroupId, holder: HolderIndex, epoch: u32) -> Vec<u8> {
    [SHARE_DOMAIN.as_bytes(), &v.to_be_bytes(), group.as_bytes(), &holder.get().to_be_bytes(), &epoch.to_be_bytes()]
        .concat()
}

fn label_aad(v: u32, label: &Label<'_>) -> Result<Vec<u8>, SealError> {
    let purpose_bytes = u8::try_from(label.purpose.len()).map_err(|_| SealError::TooLong)?;
    Ok([
        BYTES_DOMAIN.as_bytes(),
        &v.to_be_bytes(),
        label.group.as_bytes(),
        &label.holder.get().to_be_bytes(),
        &[purpose_bytes],
        label.purpose.as_bytes(),
        label.id,
    ]
    .concat())
}
