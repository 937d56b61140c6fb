//! Strict text forms: lowercase hex of one exact length, base64 with padding.
//!
//! A parser that also took uppercase or other lengths would let one value have several spellings, and a list that
//! compares spellings could then be passed by.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Why a text form was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// Another length than the one this type has.
    #[error("expected {expected} characters, got {got}")]
    Length {
        /// Characters the type has.
        expected: usize,
        /// Characters given.
        got: usize,
    },
    /// A character outside `0-9a-f`.
    #[error("expected lowercase hex")]
    NotLowercaseHex,
    /// Not base64 with padding (RFC 4648 section 4).
    #[error("expected base64 with padding")]
    NotBase64,
    /// The bytes are no non-identity point of secp256k1.
    #[error("not a point on secp256k1")]
    NotAPoint,
    /// The bytes are no scalar below the group order, or zero where zero is refused.
    #[error("not a scalar of secp256k1")]
    NotAScalar,
}

/// Decodes exactly `N` bytes of lowercase hex.
pub(crate) fn decode_hex<const N: usize>(text: &str) -> Result<[u8; N], EncodingError> {
    if text.len() != N * 2 {
        return Err(EncodingError::Length { expected: N * 2, got: text.len() });
    }
    if !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(EncodingError::NotLowercaseHex);
    }
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).map_err(|_| EncodingError::NotLowercaseHex)?;
    Ok(out)
}

pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn decode_base64(text: &str) -> Result<Vec<u8>, EncodingError> {
    STANDARD.decode(text).map_err(|_| EncodingError::NotBase64)
}

/// Serde form of a byte array: lowercase hex.
pub(crate) mod hex_array {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<const N: usize, S: Serializer>(bytes: &[u8; N], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(d: D) -> Result<[u8; N], D::Error> {
        super::decode_hex(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// Serde form of a ciphertext: base64 with padding.
pub(crate) mod base64_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&super::encode_base64(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        super::decode_base64(&String::deserialize(d)?).map_err(D::Error::custom)
    }
}

/// Gives a type whose `Display` and `FromStr` are its one text form the same form in serde and in `Debug`.
macro_rules! text_form {
    ($type:ty) => {
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($type))
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_form;

/// A fixed number of public bytes written as lowercase hex.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $type:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type([u8; $len]);

        impl $type {
            /// Takes the raw bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::encoding::EncodingError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::encoding::decode_hex(text).map(Self)
            }
        }

        $crate::encoding::text_form!($type);
    };
}
pub(crate) use hex_bytes;
