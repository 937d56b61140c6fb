//! Public keys, event ids, and the transport secret of one connection.
//!
//! Guards that a key or an id has exactly one spelling: 64 lowercase hex characters ([NIP-01]). A
//! transport secret is an ordinary secp256k1 key and never a share of a group's key: whoever holds a
//! share as transport key would hand out its shared secret with every partial ECDH.
//!
//! [NIP-01]: https://github.com/nostr-protocol/nips/blob/master/01.md#events-and-signatures

use core::fmt;
use core::str::FromStr;

use frost_wasm_core::secret::Secret32;
use k256::elliptic_curve::point::AffineCoordinates;
use k256::schnorr::signature::hazmat::PrehashVerifier;
use k256::schnorr::{Signature, SigningKey, VerifyingKey};
use rand_core::{CryptoRng, RngCore};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::nip44::ConversationKey;

/// Why a key or an id was refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeyError {
    /// Not 64 characters long.
    #[error("expected 64 hex characters, got {0} bytes")]
    WrongLength(usize),
    /// A character outside `0-9a-f`.
    #[error("expected lowercase hex")]
    NotLowercaseHex,
    /// No point of the curve has this x coordinate.
    #[error("public key is not on the curve")]
    NotOnCurve,
    /// The secret is zero or not below the group's order.
    #[error("secret key is out of range")]
    SecretOutOfRange,
    /// The signature does not hold.
    #[error("signature is invalid")]
    BadSignature,
    /// A signature could not be made; with a valid key this needs a hash of zero.
    #[error("signing failed")]
    SigningFailed,
}

/// Reads exactly `N` bytes from exactly `2 * N` lowercase hex characters.
pub(crate) fn lowercase_hex<const N: usize>(text: &str) -> Result<[u8; N], KeyError> {
    if text.len() != 2 * N {
        return Err(KeyError::WrongLength(text.len()));
    }
    if !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err(KeyError::NotLowercaseHex);
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError::NotLowercaseHex)?;
    Ok(bytes)
}

macro_rules! hex_32 {
    ($name:ident) => {
        impl $name {
            /// Wraps the 32 bytes as they are.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The 64 lowercase hex characters.
            pub fn to_hex(self) -> String {
                hex::encode(self.0)
            }
        }

        impl FromStr for $name {
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, KeyError> {
                lowercase_hex(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x}…)"), a, b, c, d)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_hex())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

/// A BIP-340 public key: the x coordinate, 32 bytes, 64 lowercase hex characters as text.
///
/// Whether a point of the curve has this coordinate is checked by [`PublicKey::validate`], and by
/// every operation that uses the key; reading one from a message does not pay for it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicKey([u8; 32]);
hex_32!(PublicKey);

impl PublicKey {
    /// Checks that a point of the curve has this x coordinate.
    pub fn validate(&self) -> Result<(), KeyError> {
        self.verifying_key().map(|_| ())
    }

    /// Checks a BIP-340 signature over a 32-byte digest.
    pub fn verify(&self, digest: &[u8; 32], signature: &[u8; 64]) -> Result<(), KeyError> {
        let signature = Signature::try_from(&signature[..]).map_err(|_| KeyError::BadSignature)?;
        self.verifying_key()?.verify_prehash(digest, &signature).map_err(|_| KeyError::BadSignature)
    }

    fn verifying_key(&self) -> Result<VerifyingKey, KeyError> {
        VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::NotOnCurve)
    }
}

/// The id of an event: SHA-256 of its NIP-01 serialisation, 64 lowercase hex characters as text.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventId([u8; 32]);
hex_32!(EventId);

/// The secret key of one connection's transport key pair (NIP-46's remote-signer key).
///
/// # Security
///
/// An ordinary key of its own, drawn at random. Never build one from a holder's share. Zeroized on
/// drop, not `Clone`, prints as `<redacted>`.
pub struct TransportSecret(SigningKey);

impl TransportSecret {
    /// Takes the 32-byte secret; refuses zero and what is not below the group's order.
    pub fn from_secret(secret: &Secret32) -> Result<Self, KeyError> {
        SigningKey::from_bytes(secret.expose_secret()).map(Self).map_err(|_| KeyError::SecretOutOfRange)
    }

    /// Draws a fresh key.
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        Self(SigningKey::random(rng))
    }

    /// The public key that clients address and that replies are signed under.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes().into())
    }

    /// The x coordinate shared with `peer`, not hashed. NIP-04 uses it as it is.
    pub fn shared_x(&self, peer: &PublicKey) -> Result<Secret32, KeyError> {
        let peer = peer.verifying_key()?;
        let point =
            Zeroizing::new((k256::ProjectivePoint::from(*peer.as_affine()) * **self.0.as_nonzero_scalar()).to_affine());
        let x = Zeroizing::new(<[u8; 32]>::from(point.x()));
        Ok(Secret32::from_bytes(*x))
    }

    /// The NIP-44 conversation key with `peer`.
    pub fn conversation_key(&self, peer: &PublicKey) -> Result<ConversationKey, KeyError> {
        Ok(ConversationKey::from_shared_x(&self.shared_x(peer)?))
    }

    /// BIP-340 over a 32-byte digest, with fresh auxiliary randomness.
    pub fn sign<R: RngCore + CryptoRng>(&self, digest: &[u8; 32], rng: &mut R) -> Result<[u8; 64], KeyError> {
        let mut aux = Zeroizing::new([0; 32]);
        rng.fill_bytes(aux.as_mut());
        self.0
            .sign_prehash_with_aux_rand(digest, &aux)
            .map(|signature| signature.to_bytes())
            .map_err(|_| KeyError::SigningFailed)
    }

    /// A copy of the secret, to be sealed at rest. It is the key's even-Y form, which has the same
    /// public key and the same shared secrets.
    pub fn expose_secret(&self) -> Secret32 {
        let bytes = Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        Secret32::from_bytes(*bytes)
    }
}

impl fmt::Debug for TransportSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportSecret(<redacted>)")
    }
}
