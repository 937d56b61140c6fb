//! Passkeys and their challenges in D1.

use serde::Deserialize;
use worker::d1::D1Type;

use super::{D1Store, ms, optional, real};
use crate::storage::{ChallengeRecord, PasskeyInserted, PasskeyRecord, PasskeyStore, StorageError};

const PASSKEY: &str = "SELECT passkey_id, account_id, credential_id, public_key, sign_count, label, owner_blob, \
     created_at_ms, last_used_at_ms FROM passkeys";

#[derive(Deserialize)]
struct PasskeyRow {
    passkey_id: String,
    account_id: String,
    credential_id: String,
    public_key: String,
    sign_count: f64,
    label: String,
    owner_blob: Option<String>,
    created_at_ms: f64,
    last_used_at_ms: Option<f64>,
}

#[derive(Deserialize)]
struct ChallengeRow {
    challenge: String,
    account_id: Option<String>,
    expires_at_ms: f64,
}

impl PasskeyStore for D1Store {
    async fn put_challenge(&self, challenge: &ChallengeRecord, now_ms: u64) -> Result<(), StorageError> {
        self.batch(vec![
            self.prepare("DELETE FROM passkey_challenges WHERE expires_at_ms <= ?1", &[real(now_ms)])?,
            self.prepare(
                "INSERT INTO passkey_challenges (challenge, account_id, expires_at_ms) VALUES (?1, ?2, ?3)",
                &[
                    D1Type::Text(&challenge.challenge),
                    optional(challenge.account.as_deref()),
                    real(challenge.expires_at_ms),
                ],
            )?,
        ])
        .await
        .map(|_| ())
    }

    async fn take_challenge(&self, challenge: &str) -> Result<Option<ChallengeRecord>, StorageError> {
        let row: Option<ChallengeRow> = self
            .first(
                "DELETE FROM passkey_challenges WHERE challenge = ?1 RETURNING challenge, account_id, expires_at_ms",
                &[D1Type::Text(challenge)],
            )
            .await?;
        row.map(ChallengeRecord::try_from).transpose()
    }

    async fn insert_passkey(&self, passkey: &PasskeyRecord, max: u32) -> Result<PasskeyInserted, StorageError> {
        let changed = self
            .run(
                "INSERT INTO passkeys (passkey_id, account_id, credential_id, public_key, sign_count, label, \
                 owner_blob, created_at_ms, last_used_at_ms) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL \
                 WHERE (SELECT count(*) FROM passkeys WHERE account_id = ?2) < ?9 \
                 ON CONFLICT (credential_id) DO NOTHING",
                &[
                    D1Type::Text(&passkey.passkey),
                    D1Type::Text(&passkey.account),
                    D1Type::Text(&passkey.credential_id),
                    D1Type::Text(&passkey.public_key),
                    D1Type::Real(f64::from(passkey.sign_count)),
                    D1Type::Text(&passkey.label),
                    optional(passkey.owner_blob.as_deref()),
                    real(passkey.created_at_ms),
                    D1Type::Real(f64::from(max)),
                ],
            )
            .await?;
        if changed == 1 {
            return Ok(PasskeyInserted::New);
        }
        Ok(match self.passkey_by_credential(&passkey.credential_id).await? {
            Some(_) => PasskeyInserted::Exists,
            None => PasskeyInserted::LimitReached,
        })
    }

    async fn passkey_by_credential(&self, credential_id: &str) -> Result<Option<PasskeyRecord>, StorageError> {
        let sql = format!("{PASSKEY} WHERE credential_id = ?1");
        let row: Option<PasskeyRow> = self.first(&sql, &[D1Type::Text(credential_id)]).await?;
        row.map(PasskeyRecord::try_from).transpose()
    }

    async fn passkeys_of(&self, account: &str) -> Result<Vec<PasskeyRecord>, StorageError> {
        let sql = format!("{PASSKEY} WHERE account_id = ?1 ORDER BY created_at_ms, passkey_id");
        let rows: Vec<PasskeyRow> = self.all(&sql, &[D1Type::Text(account)]).await?;
        rows.into_iter().map(PasskeyRecord::try_from).collect()
    }

    async fn use_passkey(&self, passkey: &PasskeyRecord, sign_count: u32, now_ms: u64) -> Result<bool, StorageError> {
        let changed = self
            .run(
                "UPDATE passkeys SET sign_count = ?3, last_used_at_ms = ?4 WHERE passkey_id = ?1 AND sign_count = ?2",
                &[
                    D1Type::Text(&passkey.passkey),
                    D1Type::Real(f64::from(passkey.sign_count)),
                    D1Type::Real(f64::from(sign_count)),
                    real(now_ms),
                ],
            )
            .await?;
        Ok(changed == 1)
    }

    async fn set_passkey_blob(&self, account: &str, passkey: &str, owner_blob: &str) -> Result<bool, StorageError> {
        let changed = self
            .run(
                "UPDATE passkeys SET owner_blob = ?3 WHERE passkey_id = ?1 AND account_id = ?2",
                &[D1Type::Text(passkey), D1Type::Text(account), D1Type::Text(owner_blob)],
            )
            .await?;
        Ok(changed == 1)
    }

    async fn remove_passkey(&self, account: &str, passkey: &str) -> Result<bool, StorageError> {
        let changed = self
            .run(
                "DELETE FROM passkeys WHERE passkey_id = ?1 AND account_id = ?2",
                &[D1Type::Text(passkey), D1Type::Text(account)],
            )
            .await?;
        Ok(changed == 1)
    }
}

impl TryFrom<PasskeyRow> for PasskeyRecord {
    type Error = StorageError;

    fn try_from(row: PasskeyRow) -> Result<Self, StorageError> {
        let corrupt = StorageError::Corrupt { what: "passkeys.sign_count" };
        Ok(Self {
            passkey: row.passkey_id,
            account: row.account_id,
            credential_id: row.credential_id,
            public_key: row.public_key,
            sign_count: u32::try_from(ms(row.sign_count, "passkeys.sign_count")?).map_err(|_| corrupt)?,
            label: row.label,
            owner_blob: row.owner_blob,
            created_at_ms: ms(row.created_at_ms, "passkeys.created_at_ms")?,
            last_used_at_ms: row.last_used_at_ms.map(|at| ms(at, "passkeys.last_used_at_ms")).transpose()?,
        })
    }
}

impl TryFrom<ChallengeRow> for ChallengeRecord {
    type Error = StorageError;

    fn try_from(row: ChallengeRow) -> Result<Self, StorageError> {
        Ok(Self {
            challenge: row.challenge,
            account: row.account_id,
            expires_at_ms: ms(row.expires_at_ms, "passkey_challenges.expires_at_ms")?,
        })
    }
}
