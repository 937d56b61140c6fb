//! Accounts and sessions in D1.

use serde::Deserialize;
use worker::d1::D1Type;

use super::{D1Store, ms, optional, real};
use crate::auth::refresh::{RefreshRecord, SESSION_LIFETIME_MS, SessionRecord};
use crate::auth::username::Username;
use crate::storage::{AccountRecord, AccountStore, Credentials, Deleted, Inserted, Replacing, StorageError};

const ACCOUNT: &str =
    "SELECT account_id, username, password_hash, owner_pubkey, owner_blob, kdf, created_at_ms FROM accounts";
const SESSION: &str = "SELECT session_id, account_id, device, created_at_ms, last_used_at_ms, \
     authenticated_at_ms, revoked_at_ms FROM sessions";
const INSERT_REFRESH_TOKEN: &str = "INSERT INTO refresh_tokens (token_mac, session_id, \
     expires_at_ms, rotated_at_ms) VALUES (?1, ?2, ?3, NULL) ON CONFLICT (token_mac) DO NOTHING";

#[derive(Deserialize)]
struct AccountRow {
    account_id: String,
    username: String,
    password_hash: String,
    owner_pubkey: String,
    owner_blob: Option<String>,
    kdf: Option<String>,
    created_at_ms: f64,
}

#[derive(Deserialize)]
struct SessionRow {
    session_id: String,
    account_id: String,
    device: Option<String>,
    created_at_ms: f64,
    last_used_at_ms: f64,
    authenticated_at_ms: f64,
    revoked_at_ms: Option<f64>,
}

#[derive(Deserialize)]
struct RefreshRow {
    token_mac: String,
    session_id: String,
    expires_at_ms: f64,
    rotated_at_ms: Option<f64>,
}

impl AccountStore for D1Store {
    async fn insert_account(&self, new: &AccountRecord) -> Result<Inserted, StorageError> {
        let changed = self
            .run(
                "INSERT INTO accounts (account_id, username, password_hash, owner_pubkey, \
                 owner_blob, kdf, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT DO NOTHING",
                &[
                    D1Type::Text(&new.account),
                    D1Type::Text(&new.username),
                    D1Type::Text(&new.password_hash),
                    D1Type::Text(&new.owner_pubkey),
                    optional(new.owner_blob.as_deref()),
                    optional(new.kdf.as_deref()),
                    real(new.created_at_ms),
                ],
            )
            .await?;
        if changed == 1 {
            return Ok(Inserted::New);
        }
        let sql = format!("{ACCOUNT} WHERE username = ?1");
        let same_name: Option<AccountRow> = self.first(&sql, &[D1Type::Text(&new.username)]).await?;
        Ok(match same_name {
            Some(_) => Inserted::UsernameTaken,
            None => Inserted::OwnerKeyTaken,
        })
    }

    async fn account_by_username(&self, username: &Username) -> Result<Option<AccountRecord>, StorageError> {
        let sql = format!("{ACCOUNT} WHERE username = ?1");
        let row: Option<AccountRow> = self.first(&sql, &[D1Type::Text(username.as_str())]).await?;
        row.map(AccountRecord::try_from).transpose()
    }

    async fn account_by_owner(&self, owner_pubkey: &str) -> Result<Option<AccountRecord>, StorageError> {
        let sql = format!("{ACCOUNT} WHERE owner_pubkey = ?1");
        let row: Option<AccountRow> = self.first(&sql, &[D1Type::Text(owner_pubkey)]).await?;
        row.map(AccountRecord::try_from).transpose()
    }

    async fn account(&self, account: &str) -> Result<Option<AccountRecord>, StorageError> {
        let sql = format!("{ACCOUNT} WHERE account_id = ?1");
        let row: Option<AccountRow> = self.first(&sql, &[D1Type::Text(account)]).await?;
        row.map(AccountRecord::try_from).transpose()
    }

    async fn upgrade_hash(&self, account: &AccountRecord, password_hash: &str) -> Result<bool, StorageError> {
        let changed = self
            .run(
                "UPDATE accounts SET password_hash = ?3 WHERE account_id = ?1 AND password_hash = ?2",
                &[D1Type::Text(&account.account), D1Type::Text(&account.password_hash), D1Type::Text(password_hash)],
            )
            .await?;
        Ok(changed == 1)
    }

    async fn replace_credentials(
        &self,
        account: &AccountRecord,
        credentials: &Credentials,
        replacing: Replacing<'_>,
        now_ms: u64,
    ) -> Result<bool, StorageError> {
        let id = || D1Type::Text(&account.account);
        let new_hash = || D1Type::Text(&credentials.password_hash);
        let kept = match replacing {
            Replacing::Change { session } => session,
            Replacing::Recovery => "",
        };
        let mut statements = vec![
            self.prepare(
                "UPDATE accounts SET password_hash = ?3, owner_blob = ?4, kdf = ?5 \
                 WHERE account_id = ?1 AND password_hash = ?2",
                &[
                    id(),
                    D1Type::Text(&account.password_hash),
                    new_hash(),
                    optional(credentials.owner_blob.as_deref()),
                    optional(credentials.kdf.as_deref()),
                ],
            )?,
            // The new hash has a fresh salt: it is there only if the statement before put it there.
            self.prepare(
                "UPDATE sessions SET revoked_at_ms = ?3 WHERE account_id = ?1 AND revoked_at_ms IS NULL \
                 AND session_id <> ?4 \
                 AND EXISTS (SELECT 1 FROM accounts WHERE account_id = ?1 AND password_hash = ?2)",
                &[id(), new_hash(), real(now_ms), D1Type::Text(kept)],
            )?,
        ];
        if replacing == Replacing::Recovery {
            statements.push(self.prepare(
                "DELETE FROM passkeys WHERE account_id = ?1 \
                 AND EXISTS (SELECT 1 FROM accounts WHERE account_id = ?1 AND password_hash = ?2)",
                &[id(), new_hash()],
            )?);
            statements.push(self.prepare(
                "DELETE FROM passkey_challenges WHERE account_id = ?1 \
                 AND EXISTS (SELECT 1 FROM accounts WHERE account_id = ?1 AND password_hash = ?2)",
                &[id(), new_hash()],
            )?);
        }
        Ok(self.batch(statements).await?.first() == Some(&1))
    }

    async fn delete_account(&self, account: &str, stale_before_ms: u64) -> Result<Deleted, StorageError> {
        let id = || D1Type::Text(account);
        let changed = self
            .batch(vec![
                self.prepare(
                    "DELETE FROM keys WHERE account_id = ?1 AND status = 'creating' AND created_at_ms < ?2",
                    &[id(), real(stale_before_ms)],
                )?,
                self.prepare(
                    "DELETE FROM accounts WHERE account_id = ?1 \
                     AND NOT EXISTS (SELECT 1 FROM keys WHERE account_id = ?1)",
                    &[id()],
                )?,
            ])
            .await?;
        // Rows that go along may be counted with it.
        Ok(if changed.get(1).is_some_and(|count| *count > 0) { Deleted::Gone } else { Deleted::HasKeys })
    }

    async fn open_session(&self, session: &SessionRecord, first: &RefreshRecord) -> Result<(), StorageError> {
        let now_ms = session.created_at_ms;
        let over_before_ms = now_ms.saturating_sub(SESSION_LIFETIME_MS);
        self.batch(vec![
            // Sessions that can't be used any more would only pile up.
            self.prepare(
                "DELETE FROM sessions WHERE account_id = ?1 AND created_at_ms <= ?2",
                &[D1Type::Text(&session.account), real(over_before_ms)],
            )?,
            self.prepare(
                "INSERT INTO sessions (session_id, account_id, device, created_at_ms, last_used_at_ms, \
                 authenticated_at_ms, revoked_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)",
                &[
                    D1Type::Text(&session.session),
                    D1Type::Text(&session.account),
                    optional(session.device.as_deref()),
                    real(now_ms),
                    real(session.last_used_at_ms),
                    real(session.authenticated_at_ms),
                ],
            )?,
            self.prepare(
                INSERT_REFRESH_TOKEN,
                &[D1Type::Text(&first.mac), D1Type::Text(&first.session), real(first.expires_at_ms)],
            )?,
        ])
        .await
        .map(|_| ())
    }

    async fn session(&self, session: &str) -> Result<Option<SessionRecord>, StorageError> {
        let sql = format!("{SESSION} WHERE session_id = ?1");
        let row: Option<SessionRow> = self.first(&sql, &[D1Type::Text(session)]).await?;
        row.map(SessionRecord::try_from).transpose()
    }

    async fn sessions_of(&self, account: &str) -> Result<Vec<SessionRecord>, StorageError> {
        let sql = format!(
            "{SESSION} WHERE account_id = ?1 AND revoked_at_ms IS NULL ORDER BY created_at_ms DESC, session_id"
        );
        let rows: Vec<SessionRow> = self.all(&sql, &[D1Type::Text(account)]).await?;
        rows.into_iter().map(SessionRecord::try_from).collect()
    }

    async fn reauthenticated(&self, session: &str, now_ms: u64) -> Result<(), StorageError> {
        self.run(
            "UPDATE sessions SET authenticated_at_ms = ?2 WHERE session_id = ?1 AND revoked_at_ms IS NULL",
            &[D1Type::Text(session), real(now_ms)],
        )
        .await
        .map(|_| ())
    }

    async fn refresh_token(&self, mac: &str) -> Result<Option<RefreshRecord>, StorageError> {
        let row: Option<RefreshRow> = self
            .first(
                "SELECT token_mac, session_id, expires_at_ms, rotated_at_ms FROM refresh_tokens \
                 WHERE token_mac = ?1",
                &[D1Type::Text(mac)],
            )
            .await?;
        row.map(RefreshRecord::try_from).transpose()
    }

    async fn rotate(&self, mac: &str, successor: &RefreshRecord, now_ms: u64) -> Result<bool, StorageError> {
        let changed = self
            .batch(vec![
                self.prepare(
                    "UPDATE refresh_tokens SET rotated_at_ms = ?2 \
                     WHERE token_mac = ?1 AND rotated_at_ms IS NULL",
                    &[D1Type::Text(mac), real(now_ms)],
                )?,
                // The successor is the same for every racer: the loser's insert changes nothing.
                self.prepare(
                    INSERT_REFRESH_TOKEN,
                    &[D1Type::Text(&successor.mac), D1Type::Text(&successor.session), real(successor.expires_at_ms)],
                )?,
                self.prepare(
                    "UPDATE sessions SET last_used_at_ms = ?2 WHERE session_id = ?1 AND last_used_at_ms < ?2",
                    &[D1Type::Text(&successor.session), real(now_ms)],
                )?,
                self.prepare(
                    "DELETE FROM refresh_tokens WHERE session_id = ?1 AND expires_at_ms <= ?2",
                    &[D1Type::Text(&successor.session), real(now_ms)],
                )?,
            ])
            .await?;
        Ok(changed.first() == Some(&1))
    }

    async fn revoke_session(&self, session: &str, now_ms: u64) -> Result<(), StorageError> {
        self.run(
            "UPDATE sessions SET revoked_at_ms = ?2 WHERE session_id = ?1 AND revoked_at_ms IS NULL",
            &[D1Type::Text(session), real(now_ms)],
        )
        .await
        .map(|_| ())
    }

    async fn revoke_sessions(&self, account: &str, now_ms: u64) -> Result<(), StorageError> {
        self.run(
            "UPDATE sessions SET revoked_at_ms = ?2 WHERE account_id = ?1 AND revoked_at_ms IS NULL",
            &[D1Type::Text(account), real(now_ms)],
        )
        .await
        .map(|_| ())
    }
}

impl TryFrom<AccountRow> for AccountRecord {
    type Error = StorageError;

    fn try_from(row: AccountRow) -> Result<Self, StorageError> {
        Ok(Self {
            account: row.account_id,
            username: row.username,
            password_hash: row.password_hash,
            owner_pubkey: row.owner_pubkey,
            owner_blob: row.owner_blob,
            kdf: row.kdf,
            created_at_ms: ms(row.created_at_ms, "accounts.created_at_ms")?,
        })
    }
}

impl TryFrom<SessionRow> for SessionRecord {
    type Error = StorageError;

    fn try_from(row: SessionRow) -> Result<Self, StorageError> {
        Ok(Self {
            session: row.session_id,
            account: row.account_id,
            device: row.device,
            created_at_ms: ms(row.created_at_ms, "sessions.created_at_ms")?,
            last_used_at_ms: ms(row.last_used_at_ms, "sessions.last_used_at_ms")?,
            authenticated_at_ms: ms(row.authenticated_at_ms, "sessions.authenticated_at_ms")?,
            revoked_at_ms: row.revoked_at_ms.map(|at| ms(at, "sessions.revoked_at_ms")).transpose()?,
        })
    }
}

impl TryFrom<RefreshRow> for RefreshRecord {
    type Error = StorageError;

    fn try_from(row: RefreshRow) -> Result<Self, StorageError> {
        Ok(Self {
            mac: row.token_mac,
            session: row.session_id,
            expires_at_ms: ms(row.expires_at_ms, "refresh_tokens.expires_at_ms")?,
            rotated_at_ms: row.rotated_at_ms.map(|at| ms(at, "refresh_tokens.rotated_at_ms")).transpose()?,
        })
    }
}
