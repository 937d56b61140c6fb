//! A store in memory that can be told to fail, for tests of what stands above it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use frost_wasm_core::group::GroupId;

use super::{AccountRecord, AccountStore, Claim, Inserted, KeyRecord, KeyStatus, KeyStore, NewAccount, StorageError};
use crate::auth::refresh::{RefreshRecord, SessionRecord};
use crate::auth::username::Username;

/// Accounts, sessions and keys as D1 would keep them.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) accounts: RefCell<Vec<AccountRecord>>,
    pub(crate) sessions: RefCell<BTreeMap<String, SessionRecord>>,
    pub(crate) tokens: RefCell<BTreeMap<String, RefreshRecord>>,
    pub(crate) keys: RefCell<BTreeMap<GroupId, KeyRecord>>,
    /// Calls until one fails; `None` never fails.
    pub(crate) fails_after: Cell<Option<u32>>,
    /// A rival that exchanges this token just before our compare-and-set.
    pub(crate) rival_at_ms: Cell<Option<u64>>,
}

impl MemoryStore {
    fn call(&self) -> Result<(), StorageError> {
        match self.fails_after.get() {
            None => Ok(()),
            Some(0) => Err(StorageError::Failed("told to fail".to_owned())),
            Some(left) => {
                self.fails_after.set(Some(left - 1));
                Ok(())
            }
        }
    }

    fn exchange(&self, mac: &str, successor: &RefreshRecord, now_ms: u64) -> bool {
        let mut tokens = self.tokens.borrow_mut();
        let Some(token) = tokens.get_mut(mac).filter(|token| token.rotated_at_ms.is_none()) else {
            return false;
        };
        token.rotated_at_ms = Some(now_ms);
        tokens.entry(successor.mac.clone()).or_insert_with(|| successor.clone());
        true
    }
}

impl AccountStore for MemoryStore {
    async fn insert_account(&self, account: &NewAccount) -> Result<Inserted, StorageError> {
        self.call()?;
        let mut accounts = self.accounts.borrow_mut();
        let new = &account.record;
        if accounts.iter().any(|old| old.username == new.username) {
            return Ok(Inserted::UsernameTaken);
        }
        if accounts.iter().any(|old| old.owner_pubkey == new.owner_pubkey) {
            return Ok(Inserted::OwnerKeyTaken);
        }
        accounts.push(new.clone());
        Ok(Inserted::New)
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<AccountRecord>, StorageError> {
        self.call()?;
        let accounts = self.accounts.borrow();
        Ok(accounts.iter().find(|account| account.username == username.as_str()).cloned())
    }

    async fn account(&self, account: &str) -> Result<Option<AccountRecord>, StorageError> {
        self.call()?;
        Ok(self.accounts.borrow().iter().find(|row| row.account == account).cloned())
    }

    async fn open_session(&self, session: &SessionRecord, first: &RefreshRecord) -> Result<(), StorageError> {
        self.call()?;
        self.sessions.borrow_mut().insert(session.session.clone(), session.clone());
        self.tokens.borrow_mut().insert(first.mac.clone(), first.clone());
        Ok(())
    }

    async fn session(&self, session: &str) -> Result<Option<SessionRecord>, StorageError> {
        self.call()?;
        Ok(self.sessions.borrow().get(session).cloned())
    }

    async fn refresh_token(&self, mac: &str) -> Result<Option<RefreshRecord>, StorageError> {
        self.call()?;
        Ok(self.tokens.borrow().get(mac).cloned())
    }

    async fn rotate(&self, mac: &str, successor: &RefreshRecord, now_ms: u64) -> Result<bool, StorageError> {
        self.call()?;
        if let Some(rival_ms) = self.rival_at_ms.take() {
            self.exchange(mac, successor, rival_ms);
        }
        Ok(self.exchange(mac, successor, now_ms))
    }

    async fn revoke_session(&self, session: &str, now_ms: u64) -> Result<(), StorageError> {
        self.call()?;
        if let Some(session) = self.sessions.borrow_mut().get_mut(session) {
            session.revoked_at_ms.get_or_insert(now_ms);
        }
        Ok(())
    }
}

impl KeyStore for MemoryStore {
    async fn claim_key(&self, key: &KeyRecord, max_keys: u32) -> Result<Claim, StorageError> {
        self.call()?;
        let mut keys = self.keys.borrow_mut();
        if let Some(found) = keys.get(&key.group) {
            return Ok(Claim::Exists(found.clone()));
        }
        let owned = keys.values().filter(|row| row.account == key.account).count();
        if owned >= max_keys as usize {
            return Ok(Claim::LimitReached);
        }
        keys.insert(key.group, key.clone());
        Ok(Claim::New)
    }

    async fn replace_claim(&self, key: &KeyRecord) -> Result<bool, StorageError> {
        self.call()?;
        let mut keys = self.keys.borrow_mut();
        let own = |row: &&mut KeyRecord| row.account == key.account && row.status == KeyStatus::Creating;
        let Some(row) = keys.get_mut(&key.group).filter(own) else {
            return Ok(false);
        };
        *row = key.clone();
        Ok(true)
    }

    async fn release_claim(&self, key: &KeyRecord) -> Result<(), StorageError> {
        self.call()?;
        self.keys.borrow_mut().retain(|_, row| {
            row.account != key.account || row.statement != key.statement || row.status != KeyStatus::Creating
        });
        Ok(())
    }

    async fn activate_key(&self, group: &GroupId) -> Result<(), StorageError> {
        self.call()?;
        if let Some(row) = self.keys.borrow_mut().get_mut(group) {
            row.status = KeyStatus::Active;
        }
        Ok(())
    }

    async fn keys_of(&self, account: &str) -> Result<Vec<KeyRecord>, StorageError> {
        self.call()?;
        let keys = self.keys.borrow();
        let active = |row: &&KeyRecord| row.account == account && row.status == KeyStatus::Active;
        Ok(keys.values().filter(active).cloned().collect())
    }

    async fn key_of(&self, account: &str, group: &GroupId) -> Result<Option<KeyRecord>, StorageError> {
        let keys = self.keys_of(account).await?;
        Ok(keys.into_iter().find(|row| row.group == *group))
    }
}
