//! A passkey's public key: read from COSE (RFC 9052, RFC 9053), kept as text, checks signatures.

use std::fmt;
use std::str::FromStr;

use ciborium::Value;
use ed25519_dalek::VerifyingKey as Ed25519Key;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature as P256Signature, VerifyingKey as P256Key};

use super::WebauthnError;

/// COSE's number for ECDSA with SHA-256, here over P-256.
const ES256: i64 = -7;
/// COSE's number for EdDSA, here over Ed25519.
const EDDSA: i64 = -8;
/// What is asked of an authenticator, in order of preference.
pub const ALGORITHMS: [i64; 2] = [ES256, EDDSA];

// Labels and values of COSE keys (RFC 9053 section 7).
const KTY: i64 = 1;
const ALG: i64 = 3;
const CRV: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;
const KTY_OKP: i64 = 1;
const KTY_EC2: i64 = 2;
const CRV_P256: i64 = 1;
const CRV_ED25519: i64 = 6;

/// Words before the key in its text.
const ES256_WORD: &str = "es256:";
const EDDSA_WORD: &str = "eddsa:";

/// One of the two kinds that passkeys have here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasskeyPublicKey {
    /// ECDSA over P-256 with SHA-256.
    Es256(P256Key),
    /// Ed25519.
    EdDsa(Ed25519Key),
}

impl PasskeyPublicKey {
    pub(super) fn from_cose(key: &Value) -> Result<Self, WebauthnError> {
        let entries = key.as_map().ok_or(WebauthnError::PublicKey)?;
        let value = |label: i64| {
            let mut found = entries.iter().filter(|(name, _)| integer(name) == Some(label)).map(|(_, value)| value);
            // A label that stands twice says nothing.
            found.next().filter(|_| found.next().is_none())
        };
        let number = |label| value(label).and_then(integer);
        let coordinate = |label| value(label).and_then(Value::as_bytes).map(Vec::as_slice);
        match (number(KTY), number(ALG), number(CRV)) {
            (Some(KTY_EC2), Some(ES256), Some(CRV_P256)) => {
                let (x, y) = (coordinate(X).and_then(to_32), coordinate(Y).and_then(to_32));
                let (x, y) = x.zip(y).ok_or(WebauthnError::PublicKey)?;
                p256(&[&[4], &x[..], &y[..]].concat())
            }
            (Some(KTY_OKP), Some(EDDSA), Some(CRV_ED25519)) => {
                ed25519(coordinate(X).and_then(to_32).ok_or(WebauthnError::PublicKey)?)
            }
            _ => Err(WebauthnError::PublicKey),
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), WebauthnError> {
        let holds = match self {
            Self::Es256(key) => {
                P256Signature::from_der(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            Self::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        };
        if holds { Ok(()) } else { Err(WebauthnError::Signature) }
    }
}

impl fmt::Display for PasskeyPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Es256(key) => write!(f, "{ES256_WORD}{}", hex::encode(key.to_encoded_point(true).as_bytes())),
            Self::EdDsa(key) => write!(f, "{EDDSA_WORD}{}", hex::encode(key.as_bytes())),
        }
    }
}

impl FromStr for PasskeyPublicKey {
    type Err = WebauthnError;

    fn from_str(text: &str) -> Result<Self, WebauthnError> {
        let bytes = |digits: &str| hex::decode(digits).map_err(|_| WebauthnError::PublicKey);
        if let Some(digits) = text.strip_prefix(ES256_WORD) {
            p256(&bytes(digits)?)
        } else if let Some(digits) = text.strip_prefix(EDDSA_WORD) {
            ed25519(to_32(&bytes(digits)?).ok_or(WebauthnError::PublicKey)?)
        } else {
            Err(WebauthnError::PublicKey)
        }
    }
}

fn p256(point: &[u8]) -> Result<PasskeyPublicKey, WebauthnError> {
    P256Key::from_sec1_bytes(point).map(PasskeyPublicKey::Es256).map_err(|_| WebauthnError::PublicKey)
}

fn ed25519(bytes: [u8; 32]) -> Result<PasskeyPublicKey, WebauthnError> {
    let key = Ed25519Key::from_bytes(&bytes).ok().filter(|key| !key.is_weak());
    key.map(PasskeyPublicKey::EdDsa).ok_or(WebauthnError::PublicKey)
}

fn to_32(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

fn integer(value: &Value) -> Option<i64> {
    value.as_integer().and_then(|integer| i64::try_from(integer).ok())
}
