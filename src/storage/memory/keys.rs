//! Keys in memory.

use frost_wasm_core::group::GroupId;

use super::MemoryStore;
use crate::storage::{Claim, KeyRecord, KeyStatus, KeyStore, StorageError};

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

    async fn remove_key(&self, account: &str, group: &GroupId) -> Result<(), StorageError> {
        self.call()?;
        let gone = |row: &KeyRecord| row.account == account && row.group == *group && row.status == KeyStatus::Active;
        self.keys.borrow_mut().retain(|_, row| !gone(row));
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
