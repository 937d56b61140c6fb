//! Who beside its owner has a share of a key.

use bunker_core::keys::PublicKey;
use frost_wasm_core::group::GroupId;
use serde::Deserialize;
use worker::d1::D1Type;

use super::D1Store;
use super::keys::KeyRow;
use crate::storage::{KeyRecord, StorageError};

const SHARED: &str = "SELECT keys.group_id, keys.account_id, keys.pubkey, keys.label, keys.statement_id, keys.status, \
    keys.created_at_ms, accounts.owner_pubkey FROM key_members \
    JOIN keys ON keys.group_id = key_members.group_id JOIN accounts ON accounts.account_id = keys.account_id \
    WHERE key_members.owner_pubkey = ?1 AND keys.status = 'active'";

/// A key of somebody else's of which a person holds a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// The key.
    pub key: KeyRecord,
    /// The owner key of the account that owns it.
    pub owner: PublicKey,
}

#[derive(Deserialize)]
struct SharedRow {
    #[serde(flatten)]
    key: KeyRow,
    owner_pubkey: String,
}

impl D1Store {
    /// Writes who holds shares of a key beside its owner, in the place of what was written before.
    ///
    /// # Errors
    /// When the store did not do it.
    pub async fn set_members(&self, group: &GroupId, people: &[PublicKey]) -> Result<(), StorageError> {
        let group = group.to_string();
        let forget = self.prepare("DELETE FROM key_members WHERE group_id = ?1", &[D1Type::Text(&group)])?;
        let mut statements = vec![forget];
        for person in people {
            statements.push(self.prepare(
                "INSERT INTO key_members (group_id, owner_pubkey) SELECT ?1, ?2 \
                 WHERE EXISTS (SELECT 1 FROM keys WHERE group_id = ?1) ON CONFLICT DO NOTHING",
                &[D1Type::Text(&group), D1Type::Text(&person.to_hex())],
            )?);
        }
        self.batch(statements).await.map(|_| ())
    }

    /// The keys of others of which this person holds a share, oldest first.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn shared_with(&self, person: &PublicKey) -> Result<Vec<SharedKey>, StorageError> {
        let sql = format!("{SHARED} ORDER BY keys.created_at_ms, keys.group_id LIMIT 200");
        let rows: Vec<SharedRow> = self.all(&sql, &[D1Type::Text(&person.to_hex())]).await?;
        rows.into_iter().map(SharedKey::try_from).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn shared_key(&self, person: &PublicKey, group: &GroupId) -> Result<Option<SharedKey>, StorageError> {
        let sql = format!("{SHARED} AND key_members.group_id = ?2");
        let (person, group) = (person.to_hex(), group.to_string());
        let row: Option<SharedRow> = self.first(&sql, &[D1Type::Text(&person), D1Type::Text(&group)]).await?;
        row.map(SharedKey::try_from).transpose()
    }
}

impl TryFrom<SharedRow> for SharedKey {
    type Error = StorageError;

    fn try_from(row: SharedRow) -> Result<Self, StorageError> {
        let owner = row.owner_pubkey.parse();
        let owner = owner.map_err(|_| StorageError::Corrupt { what: "accounts.owner_pubkey" })?;
        Ok(Self { key: row.key.try_into()?, owner })
    }
}
