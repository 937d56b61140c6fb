//! What signers tell one another, parsed into points and scalars at the edge.

use std::{fmt, str::FromStr};

use frost_secp256k1_tr::{
    Error as FrostError,
    round1::{NonceCommitment, SigningCommitments},
    round2,
};
use serde::{Deserialize, Serialize};

use crate::{
    encoding::{EncodingError, decode_hex, text_form},
    group::HolderIndex,
};

/// A holder's public commitment to its two nonces: two compressed points, 132 characters of lowercase hex.
/// Neither point is ever the identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Commitment {
    hiding: [u8; 33],
    binding: [u8; 33],
    inner: SigningCommitments,
}

impl Commitment {
    pub(super) fn new(inner: SigningCommitments) -> Result<Self, FrostError> {
        let point = |c: &NonceCommitment| -> Result<[u8; 33], FrostError> {
            c.serialize()?.try_into().map_err(|_| FrostError::SerializationError)
        };
        Ok(Self { hiding: point(inner.hiding())?, binding: point(inner.binding())?, inner })
    }

    /// Parses the hiding and the binding point, 33 bytes each.
    pub fn from_bytes(bytes: &[u8; 66]) -> Result<Self, EncodingError> {
        let (hiding, binding) = bytes.split_at(33);
        let parse = |b: &[u8]| NonceCommitment::deserialize(b).map_err(|_| EncodingError::NotAPoint);
        let inner = SigningCommitments::new(parse(hiding)?, parse(binding)?);
        Self::new(inner).map_err(|_| EncodingError::NotAPoint)
    }

    pub(crate) fn points(&self) -> [[u8; 33]; 2] {
        [self.hiding, self.binding]
    }

    pub(super) fn inner(&self) -> SigningCommitments {
        self.inner
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", hex::encode(self.hiding), hex::encode(self.binding))
    }
}

impl FromStr for Commitment {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(&decode_hex(text)?)
    }
}

text_form!(Commitment);

/// A holder's share of one signature: a scalar, 64 characters of lowercase hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureShare(round2::SignatureShare);

impl SignatureShare {
    pub(super) fn new(inner: round2::SignatureShare) -> Self {
        Self(inner)
    }

    pub(super) fn inner(&self) -> round2::SignatureShare {
        self.0
    }

    /// Parses a scalar below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, EncodingError> {
        round2::SignatureShare::deserialize(bytes).map(Self).map_err(|_| EncodingError::NotAScalar)
    }
}

impl fmt::Display for SignatureShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.serialize()))
    }
}

impl FromStr for SignatureShare {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(&decode_hex(text)?)
    }
}

text_form!(SignatureShare);

/// All that a holder which signs last gives: its commitment and its share of the signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contribution {
    /// The contributing holder.
    pub index: HolderIndex,
    /// The commitment made in the same call.
    pub commitment: Commitment,
    /// The share of the signature.
    pub share: SignatureShare,
}
