//! Accounts and sessions in memory.

use super::MemoryStore;
use crate::auth::refresh::{RefreshRecord, SessionRecord};
use crate::auth::username::Username;
use crate::storage::{AccountRecord, AccountStore, Credentials, Deleted, Inserted, KeyStatus, Replacing, StorageError};

impl MemoryStore {
    fn exchange(&self, mac: &str, successor: &RefreshRecord, now_ms: u64) -> bool {
        let mut tokens = self.tokens.borrow_mut();
        let Some(token) = tokens.get_mut(mac).filter(|token| token.rotated_at_ms.is_none()) else {
            return false;
        };
        token.rotated_at_ms = Some(now_ms);
        tokens.entry(successor.mac.clone()).or_insert_with(|| successor.clone());
        true
    }

    fn find(&self, wanted: impl Fn(&AccountRecord) -> bool) -> Result<Option<AccountRecord>, StorageError> {
        self.call()?;
        Ok(self.accounts.borrow().iter().find(|row| wanted(row)).cloned())
    }

    /// Changes the account if it still has that hash.
    fn compare_and_set(&self, account: &AccountRecord, change: impl FnOnce(&mut AccountRecord)) -> bool {
        let mut accounts = self.accounts.borrow_mut();
        let same =
            |row: &&mut AccountRecord| row.account == account.account && row.password_hash == account.password_hash;
        accounts.iter_mut().find(same).map(change).is_some()
    }

    fn end_sessions(&self, account: &str, except: &str, now_ms: u64) {
        for session in self.sessions.borrow_mut().values_mut() {
            if session.account == account && session.session != except {
                session.revoked_at_ms.get_or_insert(now_ms);
            }
        }
    }
}

impl AccountStore for MemoryStore {
    async fn insert_account(&self, new: &AccountRecord) -> Result<Inserted, StorageError> {
        self.call()?;
        let mut accounts = self.accounts.borrow_mut();
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
        self.find(|row| row.username == username.as_str())
    }

    async fn account_by_owner(&self, owner_pubkey: &str) -> Result<Option<AccountRecord>, StorageError> {
        self.find(|row| row.owner_pubkey == owner_pubkey)
    }

    async fn account(&self, account: &str) -> Result<Option<AccountRecord>, StorageError> {
        self.find(|row| row.account == account)
    }

    async fn upgrade_hash(&self, account: &AccountRecord, password_hash: &str) -> Result<bool, StorageError> {
        self.call()?;
        Ok(self.compare_and_set(account, |row| row.password_hash = password_hash.to_owned()))
    }

    async fn replace_credentials(
        &self,
        account: &AccountRecord,
        credentials: &Credentials,
        replacing: Replacing<'_>,
        now_ms: u64,
    ) -> Result<bool, StorageError> {
        self.call()?;
        let Credentials { password_hash, owner_blob, kdf } = credentials.clone();
        let changed = self.compare_and_set(account, |row| {
            (row.password_hash, row.owner_blob, row.kdf) = (password_hash, owner_blob, kdf);
        });
        if changed {
            let id = account.account.as_str();
            match replacing {
                Replacing::Change { session } => self.end_sessions(id, session, now_ms),
                Replacing::Recovery => {
                    self.end_sessions(id, "", now_ms);
                    self.passkeys.borrow_mut().retain(|row| row.account != id);
                    self.challenges.borrow_mut().retain(|_, row| row.account.as_deref() != Some(id));
                }
            }
        }
        Ok(changed)
    }

    async fn delete_account(&self, account: &str, stale_before_ms: u64) -> Result<Deleted, StorageError> {
        self.call()?;
        let mut keys = self.keys.borrow_mut();
        keys.retain(|_, row| {
            row.account != account || row.status != KeyStatus::Creating || row.created_at_ms >= stale_before_ms
        });
        if keys.values().any(|row| row.account == account) {
            return Ok(Deleted::HasKeys);
        }
        self.accounts.borrow_mut().retain(|row| row.account != account);
        self.sessions.borrow_mut().retain(|_, row| row.account != account);
        self.passkeys.borrow_mut().retain(|row| row.account != account);
        self.challenges.borrow_mut().retain(|_, row| row.account.as_deref() != Some(account));
        let sessions = self.sessions.borrow();
        self.tokens.borrow_mut().retain(|_, row| sessions.contains_key(&row.session));
        Ok(Deleted::Gone)
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

    async fn sessions_of(&self, account: &str) -> Result<Vec<SessionRecord>, StorageError> {
        self.call()?;
        let sessions = self.sessions.borrow();
        let own = |row: &&SessionRecord| row.account == account && row.revoked_at_ms.is_none();
        let mut own: Vec<_> = sessions.values().filter(own).cloned().collect();
        own.sort_by_key(|row| std::cmp::Reverse(row.created_at_ms));
        Ok(own)
    }

    async fn reauthenticated(&self, session: &str, now_ms: u64) -> Result<(), StorageError> {
        self.call()?;
        if let Some(session) = self.sessions.borrow_mut().get_mut(session) {
            session.authenticated_at_ms = now_ms;
        }
        Ok(())
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
        if let Some(session) = self.sessions.borrow_mut().get_mut(&successor.session) {
            session.last_used_at_ms = session.last_used_at_ms.max(now_ms);
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

    async fn revoke_sessions(&self, account: &str, now_ms: u64) -> Result<(), StorageError> {
        self.call()?;
        self.end_sessions(account, "", now_ms);
        Ok(())
    }
}
