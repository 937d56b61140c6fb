//! The owner key as this device's files have it: sealed under the password, open only while a command signs.

use bunker_core::keys::PublicKey;
use frost_wasm_core::{kdf::KdfParams, login::LoginKeys, secret::SecretString};
use passport_device::{enrolment, owner::OwnerKey};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The owner key as files and the server have it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SealedOwner {
    /// The public key.
    pub(crate) pubkey: PublicKey,
    /// The secret, sealed under the password; an account made elsewhere may have none.
    pub(crate) blob: Option<String>,
    /// How the password becomes the key of the blob.
    pub(crate) kdf: KdfParams,
}

/// What the password opens.
pub(crate) struct Unlocked {
    /// The owner key in the clear.
    pub(crate) owner: OwnerKey,
    /// What the password gives.
    pub(crate) keys: LoginKeys,
}

impl SealedOwner {
    /// Opens it with the password: about half a second and 128 MiB.
    pub(crate) fn unlock(&self, password: &SecretString) -> Result<Unlocked, Failure> {
        let keys = derive(password, &self.kdf)?;
        Ok(Unlocked { owner: self.open(&keys)?, keys })
    }

    /// Opens it with a password's keys.
    pub(crate) fn open(&self, keys: &LoginKeys) -> Result<OwnerKey, Failure> {
        let blob = self.blob.as_deref().ok_or_else(|| {
            Failure::stopped(
                "owner_key_absent",
                "This account's owner key is not kept on the server, so this device can't sign for it.",
            )
        })?;
        OwnerKey::open(&self.pubkey, blob, keys.blob_key()).map_err(|failure| match failure.code() {
            "blob_does_not_open" => {
                Failure::stopped("wrong_password", "The owner key does not open. Is the password right?")
            }
            _ => failure.into(),
        })
    }
}

/// What a password gives, at a cost within the bounds that the core sets.
pub(crate) fn derive(password: &SecretString, kdf: &KdfParams) -> Result<LoginKeys, Failure> {
    Ok(enrolment::keys(&enrolment::stretch(password.expose_secret(), kdf)?)?)
}
