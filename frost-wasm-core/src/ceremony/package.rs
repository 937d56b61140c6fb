//! What one party says in one round, signed under its ceremony key (BIP-340 over a tagged hash of terms, party,
//! round and body). The coordinator can neither alter it nor move it to another round, ceremony or epoch.

use k256::schnorr::{Signature, SigningKey, VerifyingKey};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::terms::{CeremonyId, ValidTerms};
use crate::{
    encoding::hex_bytes,
    frost::{
        dealing::{DealingProof, DealtCommitment},
        sign::{Commitment, SignatureShare},
    },
    hash::tagged,
    point::XOnlyKey,
    provision::{ReceivingKey, ReceivingPublic},
    secret::Secret32,
};

hex_bytes!(
    /// A BIP-340 signature, 128 characters of lowercase hex.
    PackageSignature,
    64
);

hex_bytes!(
    /// SHA-256 of something agreed upon, 64 characters of lowercase hex.
    Digest32,
    32
);

/// One party's word in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The ceremony it belongs to.
    pub ceremony: CeremonyId,
    /// Who says it.
    pub party: u16,
    /// The round, from 1.
    pub round: u16,
    /// JSON of a [`Body`], exactly as it was signed.
    pub body: String,
    /// Over all of the above and the ceremony's terms.
    pub signature: PackageSignature,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    /// A dealer commits to its polynomial and proves that it knows the constant term.
    Deal {
        /// Commitments to the coefficients.
        commitment: DealtCommitment,
        /// Bound to this ceremony and dealer.
        proof: DealingProof,
    },
    /// A dealer hands out its values, and shows which deals it saw.
    Share {
        /// All deals of the first round, by ascending party.
        seen: Vec<Package>,
        /// For every receiver but itself: its number, and the value sealed to it.
        sealed: Vec<(u16, String)>,
    },
    /// A receiver has a share that fits, and commits to nonces for each set of holders that it is in.
    Confirm {
        /// Digest of the group that came out.
        public: Digest32,
        /// One for each set, in the sets' order.
        commitments: Vec<Commitment>,
    },
    /// A receiver got no value that fits from these dealers.
    Complain {
        /// The dealers' numbers.
        against: Vec<u16>,
    },
    /// An accused dealer shows what it handed to those who complained. They know it already, if it is honest.
    Answer {
        /// By ascending receiver.
        values: Vec<Shown>,
    },
    /// Fresh nonces, after somebody lost theirs.
    Commit {
        /// As in `Confirm`.
        commitments: Vec<Commitment>,
    },
    /// Signature shares for each set of holders that this one is in.
    Prove {
        /// In the sets' order.
        shares: Vec<SignatureShare>,
    },
    /// This party was restarted: its nonces are gone and are not made again.
    Lost,
    /// All signatures verify: the group may be used.
    Accept {
        /// Digest of the group that came out.
        public: Digest32,
    },
}

/// One value in public, with what shows that it is the one that was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The receiver's number.
    pub receiver: u16,
    /// The value, 64 characters of lowercase hex.
    pub value: String,
    /// The seed from which it was sealed, 64 characters of lowercase hex.
    pub seed: String,
}

/// Why a package was not taken for what it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// Of another ceremony.
    #[error("the package is of another ceremony")]
    OtherCeremony,
    /// The ceremony has no such party.
    #[error("the ceremony has no party {0}")]
    UnknownParty(u16),
    /// Not signed by the party under these terms, or for another round.
    #[error("the package of party {0} is not signed by it for this ceremony and round")]
    Signature(u16),
    /// The body is not what this version says.
    #[error("the package of party {0} says something that this version does not know")]
    Body(u16),
}

/// A party's secrets for one ceremony.
pub struct PartyKeys {
    pub(super) signing: SigningKey,
    pub(super) receiving: ReceivingKey,
    pub(super) seed: Secret32,
}

impl PartyKeys {
    /// From a key to speak under, a key to receive under, and the seed of what is drawn in this ceremony.
    ///
    /// # Security
    /// Give each ceremony a fresh seed.
    #[must_use]
    pub fn new(signing: &Secret32, receiving: ReceivingKey, seed: Secret32) -> Option<Self> {
        let signing = SigningKey::from_bytes(signing.expose_secret()).ok()?;
        Some(Self { signing, receiving, seed })
    }

    /// Those of a holder that lives on a server: it speaks under a key that follows from the secret under which it
    /// receives, so that people know both from one place.
    #[must_use]
    pub fn of_holder(receiving: &Secret32, seed: Secret32) -> Option<Self> {
        let hash = tagged("passport/v1/holder/signing").chain_update(receiving.expose_secret());
        let signing = Secret32::from_bytes(hash.finalize().into());
        Self::new(&signing, ReceivingKey::from_secret(receiving).ok()?, seed)
    }

    /// Draws all of them, for a party that has no key of its own yet.
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Option<Self> {
        let receiving = ReceivingKey::from_secret(&Secret32::random(rng)).ok()?;
        Self::new(&Secret32::random(rng), receiving, Secret32::random(rng))
    }

    /// The key under which this party speaks.
    #[must_use]
    pub fn signing_public(&self) -> XOnlyKey {
        XOnlyKey::from_bytes(self.signing.verifying_key().to_bytes().into())
    }

    /// The key to which values for this party are sealed.
    #[must_use]
    pub fn receiving_public(&self) -> ReceivingPublic {
        self.receiving.public()
    }
}

impl std::fmt::Debug for PartyKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartyKeys").field("signing", &self.signing_public()).finish_non_exhaustive()
    }
}

impl Package {
    /// Signs what a party says.
    pub(super) fn sign(
        terms: &ValidTerms,
        keys: &PartyKeys,
        party: u16,
        round: u16,
        body: &Body,
        aux: &Secret32,
    ) -> Option<Self> {
        let body = serde_json::to_string(body).ok()?;
        let message = message(terms, party, round, &body);
        let signature = keys.signing.sign_raw(&message, aux.expose_secret()).ok()?;
        let signature = PackageSignature::from_bytes(signature.to_bytes());
        Some(Self { ceremony: terms.ceremony, party, round, body, signature })
    }

    /// Checks who said it and reads it.
    pub fn open(&self, terms: &ValidTerms) -> Result<Body, PackageError> {
        if self.ceremony != terms.ceremony {
            return Err(PackageError::OtherCeremony);
        }
        let party = terms.party(self.party).ok_or(PackageError::UnknownParty(self.party))?;
        let wrong = PackageError::Signature(self.party);
        let key = VerifyingKey::from_bytes(party.signing.as_bytes()).map_err(|_| wrong)?;
        let signature = Signature::try_from(self.signature.as_bytes().as_slice()).map_err(|_| wrong)?;
        key.verify_raw(&message(terms, self.party, self.round, &self.body), &signature).map_err(|_| wrong)?;
        serde_json::from_str(&self.body).map_err(|_| PackageError::Body(self.party))
    }
}

fn message(terms: &ValidTerms, party: u16, round: u16, body: &str) -> [u8; 32] {
    tagged("passport/v1/ceremony/package")
        .chain_update(terms.digest())
        .chain_update(party.to_be_bytes())
        .chain_update(round.to_be_bytes())
        .chain_update(body.as_bytes())
        .finalize()
        .into()
}
