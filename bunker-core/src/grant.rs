//! A grant and the connection that lives under it.
//!
//! The grant is the owner's word and never changes; later words of the owner (new terms, a pause, what was allowed
//! while approving) and what happens to the connection (the client that bound it, its end) stand beside it in the
//! holder's record. A holder keeps the signed statements themselves and checks them again whenever it loads, so
//! that an edit in storage is found.
//!
//! Out of scope: use counts and last-seen times change with every request and are kept apart, in [`Usage`].

mod connection;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

pub use self::connection::{Connection, ConnectionRecord, Standing};
use crate::{keys::PublicKey, policy::Policy};

/// Connections of one group, those that ended included. Keeps a holder's state small enough to load at once.
pub const MAX_CONNECTIONS: usize = 256;
/// Length of a label in bytes.
pub const MAX_LABEL_BYTES: usize = 128;

/// Identifies a connection: 16 random bytes from the owner's device, 32 lowercase hex characters in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId([u8; 16]);

/// The text is not 32 lowercase hex characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a connection id is 32 lowercase hex characters")]
pub struct BadConnectionId;

impl ConnectionId {
    /// From 16 random bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, for binding data to this connection.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::str::FromStr for ConnectionId {
    type Err = BadConnectionId;

    fn from_str(text: &str) -> Result<Self, BadConnectionId> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadConnectionId)?;
        let id = Self(bytes);
        if id.to_string() == text { Ok(id) } else { Err(BadConnectionId) }
    }
}

impl Serialize for ConnectionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// SHA-256 of a connection secret. The secret itself is known to the owner's device and the app only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Hashes a secret as it stands in the bunker URL.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    pub(crate) fn matches(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }
}

impl Serialize for SecretHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        match hex::decode_to_slice(&text, &mut bytes) {
            Ok(()) if hex::encode(bytes) == text => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("a secret's hash is 64 lowercase hex characters")),
        }
    }
}

/// What the owner lets one app do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The connection that it makes.
    pub connection: ConnectionId,
    /// NIP-46's remote-signer key of this connection.
    pub transport_pubkey: PublicKey,
    /// Hash of the secret that the first `connect` must show.
    pub secret_sha256: SecretHash,
    /// The owner's name for the app.
    pub label: String,
    /// What is allowed.
    pub policy: Policy,
    /// When it ends, Unix seconds; `None` is without end.
    pub expires_at: Option<u64>,
    /// Whether the app is sent the address of the page where the owner approves.
    pub auth_url: bool,
}

/// The part of a grant that the owner can change later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The owner's name for the app.
    pub label: String,
    /// What is allowed.
    pub policy: Policy,
    /// When it ends, Unix seconds; `None` is without end.
    pub expires_at: Option<u64>,
    /// Whether the app is sent the address of the page where the owner approves.
    pub auth_url: bool,
}

impl Grant {
    /// The terms that hold until the owner changes them.
    pub fn terms(&self) -> Terms {
        Terms {
            label: self.label.clone(),
            policy: self.policy.clone(),
            expires_at: self.expires_at,
            auth_url: self.auth_url,
        }
    }
}

/// What changes with every request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// When the last request was admitted, Unix seconds.
    pub last_seen_s: u64,
    /// Requests admitted in all.
    pub requests: u64,
    /// Uses of each rule of the policy, by position.
    pub rules: Vec<u32>,
}

impl Usage {
    /// Counts of rules begin again, because there are new rules.
    pub(crate) fn under_new_terms(&self) -> Self {
        Self { rules: Vec::new(), ..self.clone() }
    }

    pub(crate) fn counted(&self, now_s: u64, rule: Option<usize>) -> Self {
        let mut next = self.clone();
        next.last_seen_s = now_s;
        next.requests = next.requests.saturating_add(1);
        if let Some(rule) = rule {
            if next.rules.len() <= rule {
                next.rules.resize(rule.saturating_add(1), 0);
            }
            if let Some(count) = next.rules.get_mut(rule) {
                *count = count.saturating_add(1);
            }
        }
        next
    }
}
