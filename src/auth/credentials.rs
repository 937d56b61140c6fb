//! What a signed-in person does to their own account: a new password, and the end of it.

use super::guard::Guard;
use super::password::{LoginSecret, PasswordHash};
use super::sign_in::{Desk, check_again};
use super::{Caller, RecentCaller, kdf};
use crate::problem::Problem;
use crate::storage::{AccountRecord, AccountStore, Credentials, Deleted, Replacing};
use frost_wasm_core::kdf::KdfParams;

/// How long a key that was claimed and never confirmed keeps its account from being deleted, in milliseconds: far
/// longer than any request runs.
const CLAIM_MAX_AGE_MS: u64 = 10 * 60 * 1000;

/// A new password, as the device derived it.
#[derive(Debug)]
pub struct NewPassword<'a> {
    /// The present login secret.
    pub current: &'a LoginSecret,
    /// The new one.
    pub secret: &'a LoginSecret,
    /// The owner secret, encrypted under the new password.
    pub owner_blob: String,
    /// How the device derives the new login secret.
    pub kdf: &'a KdfParams,
}

/// Replaces the password and ends every other session.
///
/// # Errors
/// `credentials_invalid` for a wrong present password, `kdf_invalid`, `too_many_attempts`, or `password_changed` when
/// another request was first.
pub async fn change_password<S: AccountStore, G: Guard>(
    desk: &Desk<'_, S, G>,
    caller: &Caller,
    asked: NewPassword<'_>,
    salt: [u8; 16],
) -> Result<(), Problem> {
    let kdf = kdf::stored(asked.kdf)?;
    let account = own(desk.store, caller).await?;
    check_again(desk, &account, &caller.username, &caller.session, asked.current).await?;
    let credentials = Credentials {
        password_hash: PasswordHash::make(asked.secret, salt).to_string(),
        owner_blob: Some(asked.owner_blob),
        kdf: Some(kdf),
    };
    let replacing = Replacing::Change { session: &caller.session };
    if desk.store.replace_credentials(&account, &credentials, replacing, desk.now_ms).await? {
        Ok(())
    } else {
        Err(Problem::new(
            409,
            "password_changed",
            "The password was changed by another request in this moment. Sign in with the one you know to be newest.",
        ))
    }
}

/// Checks the present password and notes when.
///
/// # Errors
/// `credentials_invalid` or `too_many_attempts`.
pub async fn reauthenticate<S: AccountStore, G: Guard>(
    desk: &Desk<'_, S, G>,
    caller: &Caller,
    secret: &LoginSecret,
) -> Result<(), Problem> {
    let account = own(desk.store, caller).await?;
    check_again(desk, &account, &caller.username, &caller.session, secret).await?;
    desk.store.reauthenticated(&caller.session, desk.now_ms).await?;
    Ok(())
}

/// Deletes an account that has no keys, with its sessions and passkeys.
///
/// # Errors
/// `account_has_keys`
pub async fn delete(store: &impl AccountStore, caller: &RecentCaller, now_ms: u64) -> Result<(), Problem> {
    let RecentCaller(caller) = caller;
    match store.delete_account(&caller.account, now_ms.saturating_sub(CLAIM_MAX_AGE_MS)).await? {
        Deleted::Gone => Ok(()),
        Deleted::HasKeys => Err(Problem::new(
            409,
            "account_has_keys",
            "Delete this account's keys first, or wait ten minutes if one is just being made.",
        )),
    }
}

/// The caller's own account.
///
/// # Errors
/// `access_token_invalid` if it was deleted in this moment.
pub async fn own(store: &impl AccountStore, caller: &Caller) -> Result<AccountRecord, Problem> {
    store.account(&caller.account).await?.ok_or_else(super::sessions::access_token_invalid)
}

#[cfg(test)]
mod tests;
