//! A grant and the connection that lives under it.
//!
//! The grant is the owner's word and never changes; what happens to the connection (the client that bound it,
//! its end) is the holder's own record beside it. A holder keeps the signed statements themselves and checks
//! them again whenever it loads, so that an edit in storage is found.
//!
//! Out of scope: use counts and last-seen times change with every request and are kept apart, in [`Usage`].

use frost_wasm_core::group::GroupId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    event::Event,
    keys::PublicKey,
    nip46::ClientMetadata,
    policy::Policy,
    statement::{Statement, StatementError, Verb},
};

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

    fn matches(&self, secret: &str) -> bool {
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// How a connection stands, apart from its expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Standing {
    /// Its secret is not used yet.
    AwaitingClient,
    /// A client has shown the secret, which is spent.
    Connected {
        /// The only key that may use the connection.
        client: PublicKey,
        /// What the client says of itself: a hint for people, never a reason for a decision.
        metadata: Option<ClientMetadata>,
    },
    /// The client said `logout`.
    LoggedOut {
        /// The client that was bound.
        client: PublicKey,
    },
    /// The owner revoked it.
    Revoked {
        /// The owner's statement.
        statement: Box<Event>,
        /// The client that was bound, to whom the end is told.
        client: Option<PublicKey>,
    },
}

/// A connection as it is stored: the owner's statement and the holder's record of what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// The grant statement as the owner signed it.
    pub grant: Event,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
}

/// A connection whose owner statements were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    grant: Grant,
    record: ConnectionRecord,
}

/// A stored connection that is not what the owner signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// A statement does not verify.
    #[error("a stored statement of a connection is damaged: {0}")]
    Statement(#[from] StatementError),
    /// A statement verifies, but is another's, of another group or of another verb.
    #[error("a stored statement of a connection belongs elsewhere")]
    Foreign,
}

impl Connection {
    /// A new connection from the owner's grant.
    pub(crate) fn granted(statement: &Statement, grant: &Grant) -> Self {
        let record = ConnectionRecord { grant: statement.event().clone(), standing: Standing::AwaitingClient };
        Self { grant: grant.clone(), record }
    }

    /// Reads a stored connection, checking the owner's signatures again.
    ///
    /// # Errors
    /// When a statement is not the owner's word about this group.
    pub fn restore(record: ConnectionRecord, owner: &PublicKey, group: &GroupId) -> Result<Self, ConnectionError> {
        let read = |event: &Event| -> Result<Verb, ConnectionError> {
            let statement = Statement::verify(event.clone())?;
            let is_ours = statement.owner() == owner && statement.group() == group;
            if is_ours { Ok(statement.into_verb()) } else { Err(ConnectionError::Foreign) }
        };
        let Verb::Grant(grant) = read(&record.grant)? else {
            return Err(ConnectionError::Foreign);
        };
        if let Standing::Revoked { statement, .. } = &record.standing {
            match read(statement)? {
                Verb::Revoke { connection } if connection == grant.connection => {}
                Verb::Revoke { .. } | Verb::Grant(_) | Verb::CreateGroup(_) => {
                    return Err(ConnectionError::Foreign);
                }
            }
        }
        Ok(Self { grant, record })
    }

    /// The owner's grant.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// When the owner signed the grant, Unix seconds.
    pub fn granted_at_s(&self) -> u64 {
        self.record.grant.created_at
    }

    /// How it stands.
    pub fn standing(&self) -> &Standing {
        &self.record.standing
    }

    /// What is stored.
    pub fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    /// True when the grant's time is over.
    pub fn is_expired(&self, now_s: u64) -> bool {
        self.grant.expires_at.is_some_and(|end_s| end_s <= now_s)
    }

    /// The client that is or was bound.
    pub fn client(&self) -> Option<&PublicKey> {
        match &self.record.standing {
            Standing::AwaitingClient => None,
            Standing::Connected { client, .. } | Standing::LoggedOut { client } => Some(client),
            Standing::Revoked { client, .. } => client.as_ref(),
        }
    }

    /// Whether `secret` is the one of the grant; takes the same time for every wrong one.
    pub fn secret_matches(&self, secret: &str) -> bool {
        self.grant.secret_sha256.matches(secret)
    }

    pub(crate) fn with_standing(&self, standing: Standing) -> Self {
        Self { grant: self.grant.clone(), record: ConnectionRecord { grant: self.record.grant.clone(), standing } }
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
