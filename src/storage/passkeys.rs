//! Passkeys and their challenges.

use super::StorageError;

/// A stored passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRecord {
    /// Our id of it, 32 hex digits.
    pub passkey: String,
    /// Account id, 32 hex digits.
    pub account: String,
    /// The authenticator's id of it, base64url.
    pub credential_id: String,
    /// [`crate::auth::webauthn::PasskeyPublicKey`] as text.
    pub public_key: String,
    /// The authenticator's counter at the last use; 0 for those that don't count.
    pub sign_count: u32,
    /// The person's name for it.
    pub label: String,
    /// The owner secret, encrypted on the device under the passkey's PRF output.
    pub owner_blob: Option<String>,
    /// Unix milliseconds.
    pub created_at_ms: u64,
    /// Unix milliseconds.
    pub last_used_at_ms: Option<u64>,
}

/// A challenge that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeRecord {
    /// 32 random bytes, base64url.
    pub challenge: String,
    /// Whose new passkey it is for; `None` for one that signs in.
    pub account: Option<String>,
    /// Unix milliseconds.
    pub expires_at_ms: u64,
}

/// What became of a new passkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyInserted {
    /// Written.
    New,
    /// Some account has that credential.
    Exists,
    /// The account has as many as it may have.
    LimitReached,
}

/// Passkeys and challenges.
///
/// Futures need not be `Send`: an isolate has one thread.
#[allow(async_fn_in_trait)]
pub trait PasskeyStore {
    /// Writes a challenge, and forgets those that have expired by `now_ms`.
    async fn put_challenge(&self, challenge: &ChallengeRecord, now_ms: u64) -> Result<(), StorageError>;

    /// Takes a challenge out: nobody else gets it.
    async fn take_challenge(&self, challenge: &str) -> Result<Option<ChallengeRecord>, StorageError>;

    /// Writes a new passkey unless the credential is known or the account has `max` of them.
    async fn insert_passkey(&self, passkey: &PasskeyRecord, max: u32) -> Result<PasskeyInserted, StorageError>;

    /// The passkey of that credential id.
    async fn passkey_by_credential(&self, credential_id: &str) -> Result<Option<PasskeyRecord>, StorageError>;

    /// An account's passkeys, oldest first.
    async fn passkeys_of(&self, account: &str) -> Result<Vec<PasskeyRecord>, StorageError>;

    /// Notes a use with the authenticator's new counter; `false` if the counter is another by now (compare-and-set),
    /// or the passkey is gone.
    async fn use_passkey(&self, passkey: &PasskeyRecord, sign_count: u32, now_ms: u64) -> Result<bool, StorageError>;

    /// Replaces a passkey's encrypted owner secret; `false` if the account has no such passkey.
    async fn set_passkey_blob(&self, account: &str, passkey: &str, owner_blob: &str) -> Result<bool, StorageError>;

    /// Removes a passkey; `false` if the account has no such passkey.
    async fn remove_passkey(&self, account: &str, passkey: &str) -> Result<bool, StorageError>;
}
