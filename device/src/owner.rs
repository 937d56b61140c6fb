//! The owner key: made on a person's device at registration, the only authority over the account's groups.
//!
//! It exists in the clear only on the device. On the server and in files it is sealed under the password or under a
//! passkey.

use bunker_core::{
    event::{Event, Template},
    keys::{PublicKey, TransportSecret},
    nip44,
    statement::{Statement, Verb},
};
use frost_wasm_core::{
    group::GroupId,
    login::{LoginError, OwnerBlobKey},
    point::XOnlyKey,
    secret::Secret32,
};
use rand_core::{CryptoRng, RngCore};

use crate::Failure;

/// Highest sequence number signed: 2^53 - 1, the last that every JSON reader has exactly.
pub const SEQ_MAX: u64 = (1 << 53) - 1;

/// The owner key in the clear. An ordinary BIP-340 key, signed with as such.
#[derive(Debug)]
pub struct OwnerKey(TransportSecret);

impl OwnerKey {
    /// Makes one.
    pub fn fresh<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        Self(TransportSecret::random(rng))
    }

    /// Takes the secret out of a kit.
    pub fn from_secret(secret: &Secret32) -> Result<Self, Failure> {
        TransportSecret::from_secret(secret).map(Self).map_err(|error| damaged(&error.to_string()))
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.0.public_key()
    }

    /// The secret, for the recovery kit. The caller answers for every copy.
    #[must_use]
    pub fn expose_secret(&self) -> Secret32 {
        self.0.expose_secret()
    }

    /// Seals it for the server to keep.
    pub fn seal<R: RngCore + CryptoRng>(&self, key: &OwnerBlobKey, rng: &mut R) -> Result<String, Failure> {
        key.seal(&self.expose_secret(), rng)
            .map_err(|error| Failure::new("owner_key_unsealable", format!("The owner key was not encrypted: {error}.")))
    }

    /// Opens what the server kept.
    pub fn open(owner: &PublicKey, blob: &str, key: &OwnerBlobKey) -> Result<Self, Failure> {
        let secret = key.open(&XOnlyKey::from_bytes(*owner.as_bytes()), blob).map_err(|error| match error {
            LoginError::DoesNotOpen => Failure::new(
                "blob_does_not_open",
                "Your owner key does not open with this. Sign in again; if it stays so, recover with your kit.",
            ),
            LoginError::Kdf(_) | LoginError::UnknownVersion(_) | LoginError::Malformed | LoginError::NotAKey => {
                damaged(&error.to_string())
            }
        })?;
        Self::from_secret(&secret)
    }

    /// Signs what the owner says about a group. What no holder would accept is refused here already.
    pub fn sign<R: RngCore + CryptoRng>(
        &self,
        group: GroupId,
        seq: u64,
        verb: &Verb,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        if seq == 0 || seq > SEQ_MAX {
            return Err(sequence_exhausted());
        }
        let unacceptable =
            |why: String| Failure::new("statement_unacceptable", format!("This can't be signed: {why}."));
        let event = self.sign_template(Statement::template(group, seq, verb, now_s), rng)?;
        let checked = Statement::verify(event).map_err(|error| unacceptable(error.to_string()))?;
        Ok(checked.event().clone())
    }

    /// Opens what a connection's key, or another owner key, encrypted to this one (NIP-44).
    pub(crate) fn open_from(&self, sender: &PublicKey, payload: &str) -> Result<String, Failure> {
        let opened = self.0.conversation_key(sender).ok().and_then(|key| nip44::decrypt(&key, payload).ok());
        opened.ok_or_else(|| {
            Failure::new(
                "request_misled",
                "Nothing was signed: what the server offers is not for your owner key. Sign in again and try once more.",
            )
        })
    }

    /// Encrypts to another owner key (NIP-44), which sees that it comes from this one.
    pub(crate) fn seal_to<R: RngCore + CryptoRng>(
        &self,
        receiver: &PublicKey,
        text: &str,
        rng: &mut R,
    ) -> Result<String, Failure> {
        let sealed = self.0.conversation_key(receiver).ok().and_then(|key| nip44::encrypt_random(&key, text, rng).ok());
        sealed
            .ok_or_else(|| Failure::new("not_sealed", "Nothing was written: it can't be encrypted for this owner key."))
    }

    pub(crate) fn sign_template<R: RngCore + CryptoRng>(
        &self,
        template: Template,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        template
            .sign_with(&self.0, rng)
            .map_err(|error| Failure::new("not_signed", format!("Nothing was signed: {error}.")))
    }
}

/// The number of the statement that follows.
pub fn next_seq(last_seq: u64) -> Result<u64, Failure> {
    last_seq.checked_add(1).filter(|seq| *seq <= SEQ_MAX).ok_or_else(sequence_exhausted)
}

fn sequence_exhausted() -> Failure {
    Failure::new("sequence_exhausted", "The server names an impossible last statement. Nothing was signed.")
}

fn damaged(why: &str) -> Failure {
    Failure::new("owner_key_damaged", format!("The owner key can't be used: {why}. Recover with your kit."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::rng;

    #[test]
    fn an_impossible_sequence_number_is_not_signed() {
        assert_eq!(next_seq(0).unwrap(), 1);
        for last in [SEQ_MAX, u64::MAX] {
            assert_eq!(next_seq(last).unwrap_err().code(), "sequence_exhausted");
        }
        let owner = OwnerKey::fresh(&mut rng(1));
        for seq in [0, SEQ_MAX + 1, u64::MAX] {
            let signed = owner.sign(GroupId::from_bytes([1; 16]), seq, &Verb::DeleteGroup, 1, &mut rng(2));
            assert_eq!(signed.unwrap_err().code(), "sequence_exhausted");
        }
    }

    #[test]
    fn what_the_server_kept_opens_with_the_passkey_it_was_sealed_for_and_for_its_owner() {
        let owner = OwnerKey::fresh(&mut rng(1));
        let key = |byte| OwnerBlobKey::from_passkey(&Secret32::from_bytes([byte; 32])).unwrap();
        let blob = owner.seal(&key(1), &mut rng(2)).unwrap();
        let opened = OwnerKey::open(&owner.public_key(), &blob, &key(1)).unwrap();
        assert!(opened.expose_secret().ct_eq(&owner.expose_secret()));
        let wrong = OwnerKey::open(&owner.public_key(), &blob, &key(2)).unwrap_err();
        assert_eq!(wrong.code(), "blob_does_not_open");
        let other = OwnerKey::fresh(&mut rng(3)).public_key();
        assert_eq!(OwnerKey::open(&other, &blob, &key(1)).unwrap_err().code(), "blob_does_not_open");
        for blob in ["", "no base64", "AgAA"] {
            let damaged = OwnerKey::open(&owner.public_key(), blob, &key(1)).unwrap_err();
            assert_eq!(damaged.code(), "owner_key_damaged", "{blob}");
        }
    }
}
