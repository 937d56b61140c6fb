//! What makes an account, takes one back, or gives it another password: the login secret, the owner key sealed under
//! the password, and the owner key's proof that it agrees to exactly that.

use bunker_core::{
    event::Event,
    keys::PublicKey,
    proof::{AccountProof, Body, ProofVerb},
};
use frost_wasm_core::{
    kdf::{KdfError, KdfParams, Stretched},
    login::{LoginError, LoginKeys},
    secret::SecretString,
};
use rand_core::{CryptoRng, RngCore};

use crate::{Failure, owner::OwnerKey};

/// An account's way in under one password.
#[derive(Debug)]
pub struct Credentials {
    /// The two keys that the password gives.
    pub keys: LoginKeys,
    /// The owner key, sealed under the password.
    pub owner_blob: String,
    /// How the password is derived.
    pub kdf: KdfParams,
}

impl Credentials {
    /// Seals an owner key under a password.
    pub fn new<R: RngCore + CryptoRng>(stretched: &Stretched, owner: &OwnerKey, rng: &mut R) -> Result<Self, Failure> {
        let keys = keys(stretched)?;
        let owner_blob = owner.seal(keys.blob_key(), rng)?;
        Ok(Self { keys, owner_blob, kdf: *stretched.params() })
    }

    /// What is sent in place of the password.
    #[must_use]
    pub fn login_secret(&self) -> &SecretString {
        self.keys.login_secret()
    }

    /// The owner's proof for a new account of that name on the server at `origin`.
    pub fn register_proof<R: RngCore + CryptoRng>(
        &self,
        owner: &OwnerKey,
        origin: &str,
        username: &str,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        let pubkey = owner.public_key();
        let body = self.body(username, &pubkey);
        owner.sign_template(AccountProof::template(ProofVerb::Register, origin, None, &body, now_s), rng)
    }

    /// The owner's proof for taking the account back, for the server's challenge.
    pub fn recover_proof<R: RngCore + CryptoRng>(
        &self,
        owner: &OwnerKey,
        origin: &str,
        challenge: &str,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        let pubkey = owner.public_key();
        let body = self.body("", &pubkey);
        owner.sign_template(AccountProof::template(ProofVerb::Recover, origin, Some(challenge), &body, now_s), rng)
    }

    fn body<'a>(&'a self, username: &'a str, owner_pubkey: &'a PublicKey) -> Body<'a> {
        Body {
            username,
            password: self.login_secret().expose_secret(),
            owner_pubkey,
            owner_blob: Some(&self.owner_blob),
            kdf: Some(&self.kdf),
        }
    }
}

/// The costly part: from a password, at a cost within the bounds that the core sets.
pub fn stretch(password: &str, kdf: &KdfParams) -> Result<Stretched, Failure> {
    kdf.stretch(password).map_err(kdf_refused)
}

/// What a stretched password gives.
pub fn keys(stretched: &Stretched) -> Result<LoginKeys, Failure> {
    LoginKeys::from_stretched(stretched).map_err(|error| match error {
        LoginError::Kdf(error) => kdf_refused(error),
        LoginError::UnknownVersion(_) | LoginError::Malformed | LoginError::DoesNotOpen | LoginError::NotAKey => {
            Failure::new("kdf_refused", format!("The password can't be used: {error}."))
        }
    })
}

pub(crate) fn kdf_refused(error: KdfError) -> Failure {
    match error {
        KdfError::Empty => Failure::new("nothing_typed", "Nothing was typed."),
        KdfError::CostOutOfBounds { .. } => {
            Failure::new("kdf_refused", format!("The password can't be used as it is asked for: {error}."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{NOW_S, rng};

    const ORIGIN: &str = "https://passport.example";

    #[test]
    fn a_proof_is_for_what_is_sent_and_for_nothing_else() {
        let mut rng = rng(1);
        let owner = OwnerKey::fresh(&mut rng);
        let stretched = stretch("correct horse battery", &KdfParams::with_salt([1; 16])).unwrap();
        let made = Credentials::new(&stretched, &owner, &mut rng).unwrap();
        let pubkey = owner.public_key();
        let register = made.register_proof(&owner, ORIGIN, "alice", NOW_S, &mut rng).unwrap();
        let check = |event: &Event, verb, challenge: Option<&str>, username: &str, origin: &str| {
            AccountProof::verify(event, verb, origin, challenge, &made.body(username, &pubkey), NOW_S)
        };
        check(&register, ProofVerb::Register, None, "alice", ORIGIN).unwrap();
        assert!(check(&register, ProofVerb::Register, None, "bob", ORIGIN).is_err());
        assert!(check(&register, ProofVerb::Register, None, "alice", "https://other.example").is_err());
        let recover = made.recover_proof(&owner, ORIGIN, "c1", NOW_S, &mut rng).unwrap();
        check(&recover, ProofVerb::Recover, Some("c1"), "", ORIGIN).unwrap();
        assert!(check(&recover, ProofVerb::Recover, Some("c2"), "", ORIGIN).is_err());
        assert!(check(&recover, ProofVerb::Register, None, "alice", ORIGIN).is_err());

        let opened = OwnerKey::open(&pubkey, &made.owner_blob, made.keys.blob_key()).unwrap();
        assert_eq!(opened.public_key(), pubkey);
    }

    #[test]
    fn a_cheap_cost_and_an_empty_password_are_refused() {
        let cheap = KdfParams { log_n: 10, ..KdfParams::with_salt([1; 16]) };
        assert_eq!(stretch("correct horse", &cheap).unwrap_err().code(), "kdf_refused");
        assert_eq!(stretch("", &KdfParams::with_salt([1; 16])).unwrap_err().code(), "nothing_typed");
    }
}
