//! Passkeys in memory.

use super::MemoryStore;
use crate::storage::{ChallengeRecord, PasskeyInserted, PasskeyRecord, PasskeyStore, StorageError};

impl MemoryStore {
    fn change_passkey(
        &self,
        wanted: impl Fn(&PasskeyRecord) -> bool,
        change: impl FnOnce(&mut PasskeyRecord),
    ) -> Result<bool, StorageError> {
        self.call()?;
        Ok(self.passkeys.borrow_mut().iter_mut().find(|row| wanted(row)).map(change).is_some())
    }
}

impl PasskeyStore for MemoryStore {
    async fn put_challenge(&self, challenge: &ChallengeRecord, now_ms: u64) -> Result<(), StorageError> {
        self.call()?;
        let mut challenges = self.challenges.borrow_mut();
        challenges.retain(|_, row| row.expires_at_ms > now_ms);
        challenges.insert(challenge.challenge.clone(), challenge.clone());
        Ok(())
    }

    async fn take_challenge(&self, challenge: &str) -> Result<Option<ChallengeRecord>, StorageError> {
        self.call()?;
        Ok(self.challenges.borrow_mut().remove(challenge))
    }

    async fn insert_passkey(&self, passkey: &PasskeyRecord, max: u32) -> Result<PasskeyInserted, StorageError> {
        self.call()?;
        let mut passkeys = self.passkeys.borrow_mut();
        if passkeys.iter().any(|row| row.credential_id == passkey.credential_id) {
            return Ok(PasskeyInserted::Exists);
        }
        if passkeys.iter().filter(|row| row.account == passkey.account).count() >= max as usize {
            return Ok(PasskeyInserted::LimitReached);
        }
        passkeys.push(passkey.clone());
        Ok(PasskeyInserted::New)
    }

    async fn passkey_by_credential(&self, credential_id: &str) -> Result<Option<PasskeyRecord>, StorageError> {
        self.call()?;
        Ok(self.passkeys.borrow().iter().find(|row| row.credential_id == credential_id).cloned())
    }

    async fn passkeys_of(&self, account: &str) -> Result<Vec<PasskeyRecord>, StorageError> {
        self.call()?;
        Ok(self.passkeys.borrow().iter().filter(|row| row.account == account).cloned().collect())
    }

    async fn use_passkey(&self, passkey: &PasskeyRecord, sign_count: u32, now_ms: u64) -> Result<bool, StorageError> {
        let same = |row: &PasskeyRecord| row.passkey == passkey.passkey && row.sign_count == passkey.sign_count;
        self.change_passkey(same, |row| {
            row.sign_count = sign_count;
            row.last_used_at_ms = Some(now_ms);
        })
    }

    async fn set_passkey_blob(&self, account: &str, passkey: &str, owner_blob: &str) -> Result<bool, StorageError> {
        let own = |row: &PasskeyRecord| row.account == account && row.passkey == passkey;
        self.change_passkey(own, |row| row.owner_blob = Some(owner_blob.to_owned()))
    }

    async fn remove_passkey(&self, account: &str, passkey: &str) -> Result<bool, StorageError> {
        self.call()?;
        let mut passkeys = self.passkeys.borrow_mut();
        let before = passkeys.len();
        passkeys.retain(|row| row.account != account || row.passkey != passkey);
        Ok(passkeys.len() < before)
    }
}
