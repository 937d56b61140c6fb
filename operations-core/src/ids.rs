//! Ids, digests and blinded values: each has exactly one spelling, lowercase hex of one length.

use bunker_core::keys::PublicKey;
use frost_wasm_core::secret::Secret32;
use rand_core::{CryptoRng, RngCore};

use crate::token::keyed;

/// The text is not the lowercase hex of the length that this type has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} lowercase hex characters")]
pub struct BadHex(usize);

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                crate::openapi::hex($bytes)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_hex(&String::deserialize(deserializer)?).map(Self).map_err(serde::de::Error::custom)
            }
        }
    };
}

macro_rules! open_id {
    ($($name:ident, $bytes:literal;)*) => {$(
        impl $name {
            /// From its bytes.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadHex;

            fn from_str(text: &str) -> Result<Self, BadHex> {
                read_hex(text).map(Self)
            }
        }
    )*};
}

hex_id!(
    /// An operator: 8 random bytes, 16 lowercase hex characters in JSON.
    OperatorId, 8
);
hex_id!(
    /// One ceremony that opens a seal: 8 random bytes, 16 lowercase hex characters in JSON.
    UnsealingId, 8
);
hex_id!(
    /// A change that waits for a second person: 8 random bytes, 16 lowercase hex characters in JSON.
    ProposalId, 8
);
hex_id!(
    /// A command, chosen at random by the client: 16 bytes, 32 lowercase hex characters in JSON.
    CommandId, 16
);
hex_id!(
    /// SHA-256 of something that was made, such as a backup: 64 lowercase hex characters in JSON.
    Digest32, 32
);
hex_id!(
    /// A personal value as it may stand in a record: 16 bytes of an HMAC-SHA256, 32 lowercase hex characters in JSON.
    ///
    /// The same value gives the same text under one key, so records about one account can be found together by who
    /// has the key. There is no way to make one from clear text but [`Blinded::of`].
    Blinded, 16
);
open_id!(OperatorId, 8; UnsealingId, 8; ProposalId, 8; CommandId, 16; Digest32, 32;);

impl Blinded {
    /// Blinds a value, such as an account id or a username.
    pub fn of(key: &Secret32, value: &str) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(keyed(key, b"passport/v1/blinded", value.as_bytes())) {
            *to = from;
        }
        Self(bytes)
    }

    /// Blinds the owner key of an account.
    pub fn of_owner(key: &Secret32, owner: &PublicKey) -> Self {
        Self::of(key, &owner.to_hex())
    }
}

pub(crate) fn random_bytes<const N: usize, R: RngCore + CryptoRng>(rng: &mut R) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn read_hex<const N: usize>(text: &str) -> Result<[u8; N], BadHex> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| BadHex(2 * N))?;
    if hex::encode(bytes) == text { Ok(bytes) } else { Err(BadHex(2 * N)) }
}
