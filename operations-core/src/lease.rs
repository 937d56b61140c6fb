//! What a holder may do for the next few seconds.
//!
//! Holders can't be told of a seal all at once: they are many, and some sleep. So each use of a share needs a
//! lease, which a holder asks the deployment's object for, and which is good for [`Lease::LEASE_MS`] from
//! *before* it was asked for. A seal is durable before any later lease is given. So the newest lease without it was
//! asked for before the seal, and is over [`Lease::LEASE_MS`] later; a seal call that returns after
//! [`Lease::SEAL_SETTLES_MS`] returns when no share can be used any more. The second between the two is for a use
//! that was begun with the last of a lease.

use bunker_core::keys::PublicKey;
use serde::{Deserialize, Serialize};

/// The seals at one time, and what else holders keep for the whole deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lease {
    /// Whether the whole deployment is sealed.
    pub sealed: bool,
    /// Owner keys whose accounts are sealed.
    pub sealed_owners: Vec<PublicKey>,
    /// Shortest delay of an export, in seconds; `None` for what is configured.
    pub export_delay_s: Option<u64>,
}

/// A share may not be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Sealed {
    /// None of the deployment may.
    #[error("this server is sealed by its operators: nothing is signed until they open it")]
    Deployment,
    /// None of this account's may.
    #[error("this account is sealed by the server's operators: ask them")]
    Account,
}

impl Sealed {
    /// Stable code, for records and the API.
    pub const CODE: &'static str = "sealed";
}

impl Lease {
    /// How long a lease is good for, counted from before it was asked for, in milliseconds.
    pub const LEASE_MS: u64 = 3_000;
    /// How long after the seal is stored a seal call returns, in milliseconds.
    pub const SEAL_SETTLES_MS: u64 = 4_000;

    /// Whether a share of an identity that belongs to `owner` may be used.
    ///
    /// # Errors
    /// What is sealed.
    pub fn judge(&self, owner: &PublicKey) -> Result<(), Sealed> {
        if self.sealed {
            Err(Sealed::Deployment)
        } else if self.sealed_owners.contains(owner) {
            Err(Sealed::Account)
        } else {
            Ok(())
        }
    }

    /// Whether a lease that was asked for at `asked_at_ms` is still good. Both by the holder's own clock; one that
    /// was set back ends the lease.
    pub fn is_good(asked_at_ms: u64, now_ms: u64) -> bool {
        now_ms.checked_sub(asked_at_ms).is_some_and(|age_ms| age_ms < Self::LEASE_MS)
    }
}
