//! What the stateless half keeps: accounts, sessions, refresh tokens, passkeys and who owns which group.
//! Never a share, a nonce or a token in clear.
//!
//! Missing, failed and corrupt are three different things here: `Ok(None)`,
//! [`StorageError::Failed`] and [`StorageError::Corrupt`]. A failed read is never an empty one.

pub mod accounts;
pub mod d1;
pub mod keys;
#[cfg(test)]
pub(crate) mod memory;
pub mod passkeys;

use thiserror::Error;

pub use accounts::{AccountRecord, AccountStore, Credentials, Deleted, Inserted, Replacing};
pub use d1::{D1Store, Named, SharedKey};
pub use keys::{Claim, KeyRecord, KeyStatus, KeyStore};
pub use passkeys::{ChallengeRecord, PasskeyInserted, PasskeyRecord, PasskeyStore};

use crate::problem::Problem;

/// Why the store gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StorageError {
    /// It did not answer, or refused the statement.
    #[error("storage failed: {0}")]
    Failed(String),
    /// It answered something that was never written by us.
    #[error("storage is corrupt: {what}")]
    Corrupt {
        /// Table and column.
        what: &'static str,
    },
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        let cause = error.to_string();
        match error {
            StorageError::Failed(_) => Self::unavailable(cause),
            StorageError::Corrupt { .. } => Self::internal(cause),
        }
    }
}
