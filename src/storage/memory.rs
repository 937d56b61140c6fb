//! A store in memory that can be told to fail, for tests of what stands above it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::{AccountRecord, AccountStore, Inserted, NewAccount, StorageError};
use crate::auth::refresh::{RefreshRecord, SessionRecord};
use crate::auth::username::Username;

/// Accounts and sessions as D1 would keep them.
#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) accounts: RefCell<Vec<AccountRecord>>,
    pub(crate) sessions: RefCell<BTreeMap<String, SessionRecord>>,
    pub(crate) tokens: RefCell<BTreeMap<String, RefreshRecord>>,
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
