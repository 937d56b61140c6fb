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
}

/// An account to be written.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The row.
    pub record: AccountRecord,
    /// Unix milliseconds.
    pub created_at_ms: u64,
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

/// Accounts, sessions and refresh tokens.
///
/// Futures need not be `Send`: an isolate has one thread.
#[allow(async_fn_in_trait)]
pub trait AccountStore {
    /// Writes a new account unless its name or owner key is taken.
    async fn insert_account(&self, account: &NewAccount) -> Result<Inserted, StorageError>;

    /// The account of that name.
    async fn account_by_username(&self, username: &Username) -> Result<Option<AccountRecord>, StorageError>;

    /// The account of that id.
    async fn account(&self, account: &str) -> Result<Option<AccountRecord>, StorageError>;

    /// Writes a session and its first refresh token, both or neither.
    async fn open_session(&self, session: &SessionRecord, first: &RefreshRecord) -> Result<(), StorageError>;

    /// The session of that id.
    async fn session(&self, session: &str) -> Result<Option<SessionRecord>, StorageError>;

    /// The refresh token with that MAC.
    async fn refresh_token(&self, mac: &str) -> Result<Option<RefreshRecord>, StorageError>;

    /// Marks a token as exchanged and writes its successor, both or neither; `false` if it was
    /// exchanged before (compare-and-set).
    async fn rotate(&self, mac: &str, successor: &RefreshRecord, now_ms: u64) -> Result<bool, StorageError>;

    /// Ends a session. Keeps the time of the first end.
    async fn revoke_session(&self, session: &str, now_ms: u64) -> Result<(), StorageError>;
}
