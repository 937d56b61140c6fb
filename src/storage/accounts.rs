//! Accounts and sessions: what the login half reads and writes.

use super::StorageError;
use crate::auth::refresh::{RefreshRecord, SessionRecord};
use crate::auth::username::Username;

/// A stored account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Account id, 32 hex digits.
    pub account: String,
    /// Login name.
    pub username: String,
    /// PHC-like string of the login secret.
    pub password_hash: String,
    /// The owner key, x-only hex.
    pub owner_pubkey: String,
    /// The owner secret, encrypted on the person's device.
    pub owner_blob: Option<String>,
    /// KDF parameters of the person's device, as JSON.
    pub kdf: Option<String>,
    /// Unix milliseconds.
    pub created_at_ms: u64,
}

/// What opens an account and its owner key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// PHC-like string of the login secret.
    pub password_hash: String,
    /// The owner secret, encrypted on the person's device.
    pub owner_blob: Option<String>,
    /// KDF parameters of the person's device, as JSON.
    pub kdf: Option<String>,
}

/// Why credentials are replaced, and with it what else ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacing<'a> {
    /// The person changed the password in this session: every other one ends.
    Change {
        /// The session, 32 hex digits.
        session: &'a str,
    },
    /// The owner key vouched for new ones: every session ends and no passkey stays.
    Recovery,
}

/// What became of a new account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// Written.
    New,
    /// Somebody has that name.
    UsernameTaken,
    /// Some account has that owner key.
    OwnerKeyTaken,
}

/// What became of the wish to delete an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, with its sessions and passkeys.
    Gone,
    /// It has keys, or one is being made.
    HasKeys,
}

/// Accounts, sessions and refresh tokens.
///
/// Futures need not be `Send`: an isolate has one thread.
#[allow(async_fn_in_trait)]
pub trait AccountStore {
    /// Writes a new account unless its name or owner key is taken.
    async fn insert_account(&self, account: &AccountRecord) -> Result<Inserted, StorageError>;

    /// The account of that name.
    async fn account_by_username(&self, username: &Username) -> Result<Option<AccountRecord>, StorageError>;

    /// The account of that owner key, x-only hex.
    async fn account_by_owner(&self, owner_pubkey: &str) -> Result<Option<AccountRecord>, StorageError>;

    /// The account of that id.
    async fn account(&self, account: &str) -> Result<Option<AccountRecord>, StorageError>;

    /// Puts a stronger hash of the same secret in place; `false` if the hash is another by now.
    async fn upgrade_hash(&self, account: &AccountRecord, password_hash: &str) -> Result<bool, StorageError>;

    /// Replaces credentials and ends what ends with them, all or nothing; `false` if the account's hash is another
    /// by now (compare-and-set).
    async fn replace_credentials(
        &self,
        account: &AccountRecord,
        credentials: &Credentials,
        replacing: Replacing<'_>,
        now_ms: u64,
    ) -> Result<bool, StorageError>;

    /// Deletes an account that has no keys. Claims of keys from before `stale_before_ms` that were never confirmed go
    /// with it; a younger one may still become a key.
    async fn delete_account(&self, account: &str, stale_before_ms: u64) -> Result<Deleted, StorageError>;

    /// Writes a session and its first refresh token, both or neither.
    async fn open_session(&self, session: &SessionRecord, first: &RefreshRecord) -> Result<(), StorageError>;

    /// The session of that id.
    async fn session(&self, session: &str) -> Result<Option<SessionRecord>, StorageError>;

    /// An account's sessions that were not ended, newest first.
    async fn sessions_of(&self, account: &str) -> Result<Vec<SessionRecord>, StorageError>;

    /// Notes that the person has just authenticated again.
    async fn reauthenticated(&self, session: &str, now_ms: u64) -> Result<(), StorageError>;

    /// The refresh token with that MAC.
    async fn refresh_token(&self, mac: &str) -> Result<Option<RefreshRecord>, StorageError>;

    /// Marks a token as exchanged, writes its successor and notes the use of the session, all or nothing; `false` if
    /// it was exchanged before (compare-and-set).
    async fn rotate(&self, mac: &str, successor: &RefreshRecord, now_ms: u64) -> Result<bool, StorageError>;

    /// Ends a session. Keeps the time of the first end.
    async fn revoke_session(&self, session: &str, now_ms: u64) -> Result<(), StorageError>;

    /// Ends all sessions of an account.
    async fn revoke_sessions(&self, account: &str, now_ms: u64) -> Result<(), StorageError>;
}
