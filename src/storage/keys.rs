//! Which account owns which group. The group itself lives in its Durable Object.

use frost_wasm_core::group::GroupId;

use super::StorageError;

/// Whether a group's object is known to hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// The row is written, the object has not confirmed.
    Creating,
    /// The object holds the group.
    Active,
}

impl KeyStatus {
    /// The word in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
        }
    }

    /// Reads the word in the table.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "creating" => Some(Self::Creating),
            "active" => Some(Self::Active),
            _ => None,
        }
    }
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The group.
    pub group: GroupId,
    /// Owning account, 32 hex digits.
    pub account: String,
    /// The group's public key, x-only hex.
    pub pubkey: String,
    /// The person's name for it.
    pub label: String,
    /// Id of the statement that creates it, hex.
    pub statement: String,
    /// Whether the object confirmed.
    pub status: KeyStatus,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// What became of the wish to own a group id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The row is new.
    New,
    /// There is a row for this group: perhaps this very wish, sent again.
    Exists(KeyRecord),
    /// The account has as many keys as it may have.
    LimitReached,
}

/// Ownership of groups.
///
/// Futures need not be `Send`: an isolate has one thread.
#[allow(async_fn_in_trait)]
pub trait KeyStore {
    /// Writes the row unless the group has one or the account has `max_keys`.
    async fn claim_key(&self, key: &KeyRecord, max_keys: u32) -> Result<Claim, StorageError>;

    /// Lets a row that is still `creating` stand for another statement of its account.
    async fn replace_claim(&self, key: &KeyRecord) -> Result<bool, StorageError>;

    /// Takes back a row that is still `creating` for this statement.
    async fn release_claim(&self, key: &KeyRecord) -> Result<(), StorageError>;

    /// Marks a row active.
    async fn activate_key(&self, group: &GroupId) -> Result<(), StorageError>;

    /// Removes an active key: its group was deleted.
    async fn remove_key(&self, account: &str, group: &GroupId) -> Result<(), StorageError>;

    /// The active keys of an account, oldest first.
    async fn keys_of(&self, account: &str) -> Result<Vec<KeyRecord>, StorageError>;

    /// The active key of that group if this account owns it.
    async fn key_of(&self, account: &str, group: &GroupId) -> Result<Option<KeyRecord>, StorageError>;
}
