//! Who is named in which ceremony.

use bunker_core::keys::PublicKey;
use frost_wasm_core::ceremony::CeremonyId;
use serde::Deserialize;
use worker::d1::D1Type;

use super::{D1Store, ms, real};
use crate::storage::StorageError;

/// A ceremony that somebody is named in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub ceremony: CeremonyId,
    /// When nothing of it can be left, Unix milliseconds.
    pub ends_at_ms: u64,
}

#[derive(Deserialize)]
struct NamedRow {
    ceremony_id: String,
    ends_at_ms: f64,
}

impl D1Store {
    /// Names those who may reach a ceremony, unless the account that starts it has `max_open` already.
    ///
    /// # Errors
    /// When the store did not do it.
    pub async fn name_in_ceremony(
        &self,
        named: &Named,
        owners: &[PublicKey],
        account: &str,
        now_ms: u64,
        max_open: u32,
    ) -> Result<bool, StorageError> {
        let id = named.ceremony.to_string();
        let forget = self.prepare("DELETE FROM ceremony_seats WHERE ends_at_ms <= ?1", &[real(now_ms)])?;
        let mut statements = vec![forget];
        for owner in owners {
            let owner = owner.to_hex();
            statements.push(self.prepare(
                "INSERT INTO ceremony_seats (ceremony_id, owner_pubkey, started_by, ends_at_ms) \
                 SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(DISTINCT ceremony_id) FROM ceremony_seats \
                 WHERE started_by = ?3 AND ends_at_ms > ?5 AND ceremony_id <> ?1) < ?6 \
                 ON CONFLICT (ceremony_id, owner_pubkey) DO NOTHING",
                &[
                    D1Type::Text(&id),
                    D1Type::Text(&owner),
                    D1Type::Text(account),
                    real(named.ends_at_ms),
                    real(now_ms),
                    D1Type::Real(f64::from(max_open)),
                ],
            )?);
        }
        let changed = self.batch(statements).await?;
        Ok(changed.last().is_some_and(|rows| *rows == 1))
    }

    /// Whether a ceremony names this owner key.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn is_named(&self, ceremony: &CeremonyId, owner: &PublicKey) -> Result<bool, StorageError> {
        let sql = "SELECT ceremony_id, ends_at_ms FROM ceremony_seats WHERE ceremony_id = ?1 AND owner_pubkey = ?2";
        let (ceremony, owner) = (ceremony.to_string(), owner.to_hex());
        let row: Option<NamedRow> = self.first(sql, &[D1Type::Text(&ceremony), D1Type::Text(&owner)]).await?;
        Ok(row.is_some())
    }

    /// The ceremonies that name this owner key, the newest last.
    ///
    /// # Errors
    /// When the store did not answer.
    pub async fn ceremonies_of(&self, owner: &PublicKey, now_ms: u64) -> Result<Vec<Named>, StorageError> {
        let sql = "SELECT ceremony_id, ends_at_ms FROM ceremony_seats WHERE owner_pubkey = ?1 AND ends_at_ms > ?2 \
                   ORDER BY ends_at_ms, ceremony_id LIMIT 200";
        let owner = owner.to_hex();
        let rows: Vec<NamedRow> = self.all(sql, &[D1Type::Text(&owner), real(now_ms)]).await?;
        rows.into_iter().map(Named::try_from).collect()
    }

    /// Forgets who was named in a ceremony of which nothing is left.
    ///
    /// # Errors
    /// When the store did not do it.
    pub async fn forget_ceremony(&self, ceremony: &CeremonyId) -> Result<(), StorageError> {
        let sql = "DELETE FROM ceremony_seats WHERE ceremony_id = ?1";
        self.run(sql, &[D1Type::Text(&ceremony.to_string())]).await.map(|_| ())
    }
}

impl TryFrom<NamedRow> for Named {
    type Error = StorageError;

    fn try_from(row: NamedRow) -> Result<Self, StorageError> {
        let corrupt = StorageError::Corrupt { what: "ceremony_seats.ceremony_id" };
        Ok(Self {
            ceremony: row.ceremony_id.parse().map_err(|_| corrupt)?,
            ends_at_ms: ms(row.ends_at_ms, "ceremony_seats.ends_at_ms")?,
        })
    }
}
