//! Ownership of groups in D1.

use frost_wasm_core::group::GroupId;
use serde::Deserialize;
use worker::d1::D1Type;

use super::{D1Store, ms, real};
use crate::storage::{Claim, KeyRecord, KeyStatus, KeyStore, StorageError};

const KEY: &str = "SELECT group_id, account_id, pubkey, label, statement_id, status, created_at_ms FROM keys";

#[derive(Deserialize)]
pub(super) struct KeyRow {
    group_id: String,
    account_id: String,
    pubkey: String,
    label: String,
    statement_id: String,
    status: String,
    created_at_ms: f64,
}

#[derive(Deserialize)]
struct GroupRow {
    group_id: String,
}

#[derive(Deserialize)]
struct CountRow {
    count: f64,
}

impl D1Store {
    /// The groups after one, in the order of their ids: whoever goes through all of them can stop and go on.
    ///
    /// # Errors
    /// When the store did not answer, or holds what can't be one.
    pub async fn groups_after(&self, after: Option<&str>, limit: u32) -> Result<Vec<GroupId>, StorageError> {
        let sql = "SELECT group_id FROM keys WHERE group_id > ?1 ORDER BY group_id LIMIT ?2";
        let values = [D1Type::Text(after.unwrap_or_default()), D1Type::Real(f64::from(limit))];
        let rows: Vec<GroupRow> = self.all(sql, &values).await?;
        let corrupt = |_| StorageError::Corrupt { what: "keys.group_id" };
        rows.iter().map(|row| row.group_id.parse().map_err(corrupt)).collect()
    }

    /// How many groups there are.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn count_groups(&self) -> Result<u64, StorageError> {
        let row: Option<CountRow> = self.first("SELECT count(*) AS count FROM keys", &[]).await?;
        Ok(row.map_or(0, |row| row.count as u64))
    }
}

impl KeyStore for D1Store {
    async fn claim_key(&self, key: &KeyRecord, max_keys: u32) -> Result<Claim, StorageError> {
        let group = key.group.to_string();
        let changed = self
            .run(
                "INSERT INTO keys (group_id, account_id, pubkey, label, statement_id, status, \
                 created_at_ms) SELECT ?1, ?2, ?3, ?4, ?5, 'creating', ?6 \
                 WHERE (SELECT count(*) FROM keys WHERE account_id = ?2) < ?7 \
                 ON CONFLICT (group_id) DO NOTHING",
                &[
                    D1Type::Text(&group),
                    D1Type::Text(&key.account),
                    D1Type::Text(&key.pubkey),
                    D1Type::Text(&key.label),
                    D1Type::Text(&key.statement),
                    real(key.created_at_ms),
                    D1Type::Real(f64::from(max_keys)),
                ],
            )
            .await?;
        if changed == 1 {
            return Ok(Claim::New);
        }
        let sql = format!("{KEY} WHERE group_id = ?1");
        let row: Option<KeyRow> = self.first(&sql, &[D1Type::Text(&group)]).await?;
        match row {
            Some(row) => Ok(Claim::Exists(row.try_into()?)),
            None => Ok(Claim::LimitReached),
        }
    }

    async fn replace_claim(&self, key: &KeyRecord) -> Result<bool, StorageError> {
        let changed = self
            .run(
                "UPDATE keys SET pubkey = ?3, label = ?4, statement_id = ?5, created_at_ms = ?6 \
                 WHERE group_id = ?1 AND account_id = ?2 AND status = 'creating'",
                &[
                    D1Type::Text(&key.group.to_string()),
                    D1Type::Text(&key.account),
                    D1Type::Text(&key.pubkey),
                    D1Type::Text(&key.label),
                    D1Type::Text(&key.statement),
                    real(key.created_at_ms),
                ],
            )
            .await?;
        Ok(changed == 1)
    }

    async fn release_claim(&self, key: &KeyRecord) -> Result<(), StorageError> {
        self.run(
            "DELETE FROM keys WHERE group_id = ?1 AND account_id = ?2 AND statement_id = ?3 \
             AND status = 'creating'",
            &[D1Type::Text(&key.group.to_string()), D1Type::Text(&key.account), D1Type::Text(&key.statement)],
        )
        .await
        .map(|_| ())
    }

    async fn activate_key(&self, group: &GroupId) -> Result<(), StorageError> {
        self.run("UPDATE keys SET status = 'active' WHERE group_id = ?1", &[D1Type::Text(&group.to_string())])
            .await
            .map(|_| ())
    }

    async fn remove_key(&self, account: &str, group: &GroupId) -> Result<(), StorageError> {
        self.run(
            "DELETE FROM keys WHERE group_id = ?1 AND account_id = ?2 AND status = 'active'",
            &[D1Type::Text(&group.to_string()), D1Type::Text(account)],
        )
        .await
        .map(|_| ())
    }

    async fn keys_of(&self, account: &str) -> Result<Vec<KeyRecord>, StorageError> {
        let sql = format!("{KEY} WHERE account_id = ?1 AND status = 'active' ORDER BY created_at_ms, group_id");
        let rows: Vec<KeyRow> = self.all(&sql, &[D1Type::Text(account)]).await?;
        rows.into_iter().map(KeyRecord::try_from).collect()
    }

    async fn key_of(&self, account: &str, group: &GroupId) -> Result<Option<KeyRecord>, StorageError> {
        let sql = format!("{KEY} WHERE account_id = ?1 AND group_id = ?2 AND status = 'active'");
        let group = group.to_string();
        let values = [account, &group].map(D1Type::Text);
        let row: Option<KeyRow> = self.first(&sql, &values).await?;
        row.map(KeyRecord::try_from).transpose()
    }
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = StorageError;

    fn try_from(row: KeyRow) -> Result<Self, StorageError> {
        let corrupt = |what| move || StorageError::Corrupt { what };
        Ok(Self {
            group: row.group_id.parse().ok().ok_or_else(corrupt("keys.group_id"))?,
            account: row.account_id,
            pubkey: row.pubkey,
            label: row.label,
            statement: row.statement_id,
            status: KeyStatus::parse(&row.status).ok_or_else(corrupt("keys.status"))?,
            created_at_ms: ms(row.created_at_ms, "keys.created_at_ms")?,
        })
    }
}
