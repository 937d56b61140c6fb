//! A store in memory that can be told to fail, for tests of what stands above it.

mod accounts;
mod keys;
mod passkeys;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use frost_wasm_core::group::GroupId;

use super::{AccountRecord, ChallengeRecord, KeyRecord, PasskeyRecord, StorageError};
use crate::auth::refresh::{RefreshRecord, SessionRecord};

/// Accounts, sessions, passkeys and keys as D1 would keep them.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) accounts: RefCell<Vec<AccountRecord>>,
    pub(crate) sessions: RefCell<BTreeMap<String, SessionRecord>>,
    pub(crate) tokens: RefCell<BTreeMap<String, RefreshRecord>>,
    pub(crate) keys: RefCell<BTreeMap<GroupId, KeyRecord>>,
    pub(crate) passkeys: RefCell<Vec<PasskeyRecord>>,
    pub(crate) challenges: RefCell<BTreeMap<String, ChallengeRecord>>,
    /// Calls so far.
    pub(crate) calls: Cell<u32>,
    /// Calls until one fails; `None` never fails.
    pub(crate) fails_after: Cell<Option<u32>>,
    /// A rival that exchanges this token just before our compare-and-set.
    pub(crate) rival_at_ms: Cell<Option<u64>>,
}

impl MemoryStore {
    fn call(&self) -> Result<(), StorageError> {
        self.calls.set(self.calls.get() + 1);
        match self.fails_after.get() {
            None => Ok(()),
            Some(0) => Err(StorageError::Failed("told to fail".to_owned())),
            Some(left) => {
                self.fails_after.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
