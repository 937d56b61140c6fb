//! The recovery kit: one file, under one passphrase, with which a person proves ownership, replaces a lost holder or
//! leaves with their key. It holds the owner secret and the recovery share.
//!
//! The group's public facts stand in clear, and are bound to what is sealed: a kit whose group was changed does not
//! open. A wrong passphrase is told apart from an altered file by a check value, which commits to the key.

use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    encoding::{base64_bytes, hex_array},
    group::{GroupPublic, HolderIndex},
    kdf::{KdfError, KdfParams, Stretched},
    point::nonzero_scalar,
    sealed::{AeadKey, NONCE_BYTES, SealError, derive_secret},
    secret::{Secret, Secret32},
    share::{KeyShare, ShareError},
};

/// The version this code writes.
pub const KIT_VERSION: u32 = 1;

const DOMAIN: &str = "passport/v1/recovery-kit";
const CHECK_DOMAIN: &str = "passport/v1/recovery-kit/check";

/// Why a kit was not made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KitError {
    /// A version this code does not know.
    #[error("recovery kit version {0} is unknown")]
    UnknownVersion(u32),
    /// The cost is out of bounds, or the passphrase empty.
    #[error(transparent)]
    Kdf(#[from] KdfError),
    /// The passphrase is not the kit's.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// The passphrase is right, but the file was changed.
    #[error("the recovery kit was altered")]
    Altered,
    /// The kit opened, but its share does not fit its group.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The owner secret is no valid key.
    #[error("the owner secret is not a valid key")]
    NotAKey,
}

impl From<SealError> for KitError {
    fn from(_: SealError) -> Self {
        Self::Altered
    }
}

/// A recovery kit as it stands in its file. An unknown `v` parses and is refused on opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryKit {
    /// Format version.
    pub v: u32,
    /// The group the share belongs to.
    pub public: GroupPublic,
    /// Which holder's share is in the kit.
    pub holder: HolderIndex,
    /// Salt and cost of the key.
    pub kdf: KdfParams,
    /// Tells a wrong passphrase from an altered file.
    #[serde(with = "hex_array")]
    pub check: [u8; 32],
    /// XChaCha20 nonce.
    #[serde(with = "hex_array")]
    pub nonce: [u8; NONCE_BYTES],
    /// Owner secret and share with their tag.
    #[serde(with = "base64_bytes")]
    pub ciphertext: Vec<u8>,
}

impl RecoveryKit {
    /// Makes a kit. `kdf` wants a fresh salt for each kit.
    pub fn create<R: RngCore + CryptoRng>(
        passphrase: &str,
        owner_secret: &Secret32,
        share: &KeyShare,
        kdf: KdfParams,
        rng: &mut R,
    ) -> Result<Self, KitError> {
        Self::create_with(&kdf.stretch(passphrase)?, owner_secret, share, rng)
    }

    /// As [`RecoveryKit::create`], with a passphrase that was stretched before.
    pub fn create_with<R: RngCore + CryptoRng>(
        stretched: &Stretched,
        owner_secret: &Secret32,
        share: &KeyShare,
        rng: &mut R,
    ) -> Result<Self, KitError> {
        nonzero_scalar(owner_secret).ok_or(KitError::NotAKey)?;
        let kdf = *stretched.params();
        let (key, check) = keys(stretched)?;
        let mut plaintext = Secret::<64>::zeroed();
        let (owner, signing_share) = plaintext.expose_mut().split_at_mut(32);
        owner.copy_from_slice(owner_secret.expose_secret());
        signing_share.copy_from_slice(share.expose_signing_share().expose_secret());

        let public = GroupPublic::clone(share.group());
        let aad = aad(KIT_VERSION, &public, share.index(), &kdf);
        let (nonce, ciphertext) = key.seal(&aad, plaintext.expose_secret(), rng)?;
        Ok(Self { v: KIT_VERSION, public, holder: share.index(), kdf, check, nonce, ciphertext })
    }

    /// Opens the kit: the owner secret and the share, which fits the group named in the kit.
    pub fn open(&self, passphrase: &str) -> Result<(Secret32, KeyShare), KitError> {
        self.check_version()?;
        self.open_with(&self.kdf.stretch(passphrase)?)
    }

    /// As [`RecoveryKit::open`], with a passphrase that was stretched before, by this kit's parameters.
    pub fn open_with(&self, stretched: &Stretched) -> Result<(Secret32, KeyShare), KitError> {
        self.check_version()?;
        let (key, check) = keys(stretched)?;
        if *stretched.params() != self.kdf || !bool::from(check.ct_eq(&self.check)) {
            return Err(KitError::WrongPassphrase);
        }
        let aad = aad(self.v, &self.public, self.holder, &self.kdf);
        let plaintext = key.open(&aad, &self.nonce, &self.ciphertext)?;
        let plaintext: Secret<64> = plaintext.into_fixed().ok_or(KitError::Altered)?;
        let (owner, signing_share) = plaintext.expose_secret().split_at(32);
        let owner = Secret32::from_slice(owner).ok_or(KitError::Altered)?;
        let signing_share = Secret32::from_slice(signing_share).ok_or(KitError::Altered)?;
        Ok((owner, KeyShare::new(&self.public, self.holder, signing_share)?))
    }

    fn check_version(&self) -> Result<(), KitError> {
        if self.v == KIT_VERSION { Ok(()) } else { Err(KitError::UnknownVersion(self.v)) }
    }
}

fn keys(stretched: &Stretched) -> Result<(AeadKey, [u8; 32]), KitError> {
    let root = stretched.expose_secret();
    let check = *derive_secret(root, CHECK_DOMAIN)?.expose_secret();
    Ok((AeadKey::derive(root, DOMAIN)?, check))
}

/// Every field has a fixed length; the group goes in as a digest over its own unambiguous encoding.
fn aad(v: u32, public: &GroupPublic, holder: HolderIndex, kdf: &KdfParams) -> Vec<u8> {
    let mut group = Sha256::new();
    group.update(public.group.as_bytes());
    group.update(public.epoch.to_be_bytes());
    group.update(public.threshold.to_be_bytes());
    group.update(public.pubkey.as_bytes());
    for holder in &public.holders {
        group.update(holder.index.get().to_be_bytes());
        group.update(Sha256::digest(holder.role.as_str()));
        group.update(holder.verifying_share.to_bytes());
    }
    [
        DOMAIN.as_bytes(),
        &v.to_be_bytes(),
        group.finalize().as_slice(),
        &holder.get().to_be_bytes(),
        &kdf.salt,
        &[kdf.log_n],
        &kdf.r.to_be_bytes(),
        &kdf.p.to_be_bytes(),
    ]
    .concat()
}
