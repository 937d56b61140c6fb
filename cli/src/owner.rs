//! The owner key: made on this device at registration, the only authority over the account's groups.
//!
//! It exists in the clear only while a command that signs runs. On the server and in this device's files it is
//! sealed under the password.

use bunker_core::{
    event::Event,
    keys::{PublicKey, TransportSecret},
    statement::{Statement, Verb},
};
use frost_wasm_core::{
    group::GroupId,
    kdf::KdfParams,
    login::{LoginError, LoginKeys},
    point::XOnlyKey,
    secret::{Secret32, SecretString},
};
use serde::{Deserialize, Serialize};

use crate::{failure::Failure, platform};

/// The owner key in the clear. An ordinary BIP-340 key, signed with as such.
pub(crate) struct OwnerKey(TransportSecret);

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

impl OwnerKey {
    /// Makes one.
    pub(crate) fn fresh() -> Self {
        Self(TransportSecret::random(&mut platform::rng()))
    }

    /// The public key.
    pub(crate) fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    /// The secret, for the recovery kit and the sealed blob.
    pub(crate) fn expose_secret(&self) -> Secret32 {
        self.0.expose_secret()
    }

    /// Seals it under a password's keys.
    pub(crate) fn seal(&self, keys: &LoginKeys, kdf: KdfParams) -> Result<SealedOwner, Failure> {
        let blob = keys
            .seal_owner_blob(&self.expose_secret(), &mut platform::rng())
            .map_err(|error| Failure::stopped("owner_key_unsealable", format!("{error}.")))?;
        Ok(SealedOwner { pubkey: self.public_key(), blob: Some(blob), kdf })
    }

    /// Signs what the owner says about a group. What no holder would accept is refused here already.
    pub(crate) fn sign(&self, group: GroupId, seq: u64, verb: &Verb) -> Result<Event, Failure> {
        let unacceptable = |why: String| Failure::stopped("statement_unacceptable", format!("Cannot be: {why}."));
        let event = Statement::template(group, seq, verb, platform::now_s())
            .sign_with(&self.0, &mut platform::rng())
            .map_err(|error| unacceptable(error.to_string()))?;
        let checked = Statement::verify(event).map_err(|error| unacceptable(error.to_string()))?;
        Ok(checked.event().clone())
    }
}

impl SealedOwner {
    /// Opens it with the password: about half a second and 128 MiB.
    pub(crate) fn unlock(&self, password: &SecretString) -> Result<OwnerKey, Failure> {
        let keys = derive(password, &self.kdf)?;
        self.open(&keys)
    }

    /// Opens it with a password's keys.
    pub(crate) fn open(&self, keys: &LoginKeys) -> Result<OwnerKey, Failure> {
        let blob = self.blob.as_deref().ok_or_else(|| {
            Failure::stopped(
                "owner_key_absent",
                "This account's owner key is not kept on the server, so this device can't sign for it.",
            )
        })?;
        let owner = XOnlyKey::from_bytes(*self.pubkey.as_bytes());
        let secret = keys.open_owner_blob(&owner, blob).map_err(|error| match error {
            LoginError::DoesNotOpen => {
                Failure::stopped("wrong_password", "The owner key does not open. Is the password right?")
            }
            LoginError::Kdf(_) | LoginError::UnknownVersion(_) | LoginError::Malformed | LoginError::NotAKey => {
                Failure::stopped("owner_key_damaged", format!("{error}."))
            }
        })?;
        TransportSecret::from_secret(&secret)
            .map(OwnerKey)
            .map_err(|error| Failure::stopped("owner_key_damaged", format!("{error}.")))
    }
}

/// What a password gives, at a cost within the bounds that the core sets.
pub(crate) fn derive(password: &SecretString, kdf: &KdfParams) -> Result<LoginKeys, Failure> {
    LoginKeys::derive(password.expose_secret(), kdf).map_err(|error| {
        Failure::stopped("kdf_refused", format!("The password can't be used as the server asks: {error}."))
    })
}
