//! Sign-in with a password, and showing it again.
//!
//! An unknown name and a wrong password take the same steps: the same two questions to the guard, one read, one hash.
//! The guard is asked before the work and gets its token back after a success, so that guesses sent at once are
//! counted like guesses sent one by one.

use super::address::Address;
use super::device_token::DeviceId;
use super::guard::{Attempt, Guard, Route, admit};
use super::keys::AuthKeys;
use super::password::{self, LoginSecret, PasswordHash};
use super::sessions::{self, Fresh, TokenPair};
use super::username::Username;
use crate::config::LoginLimits;
use crate::problem::Problem;
use crate::storage::{AccountRecord, AccountStore, StorageError};

/// What sign-in works with.
#[derive(Debug)]
pub struct Desk<'a, S, G> {
    /// Accounts and sessions.
    pub store: &'a S,
    /// Counts attempts.
    pub guard: &'a G,
    /// The login half's keys.
    pub keys: &'a AuthKeys,
    /// How hard attempts are limited.
    pub limits: LoginLimits,
    /// Unix milliseconds.
    pub now_ms: u64,
}

/// Who wants in, and from where.
#[derive(Debug)]
pub struct SignIn<'a> {
    /// The name, if it is one that an account can have.
    pub username: Option<&'a Username>,
    /// The login secret.
    pub secret: &'a LoginSecret,
    /// What the device got at an earlier sign-in.
    pub device_token: Option<&'a str>,
    /// What the device calls itself.
    pub device: Option<String>,
    /// Where the request comes from.
    pub address: &'a Address,
}

/// Random bytes that a sign-in may need.
pub struct Draw {
    /// For the session.
    pub session: Fresh,
    /// For a device that is not known yet.
    pub device: [u8; 16],
    /// For a stronger hash.
    pub salt: [u8; 16],
}

/// Somebody who is in.
#[derive(Debug)]
pub struct SignedIn {
    /// The account.
    pub account: AccountRecord,
    /// The session's id.
    pub session: String,
    /// The first two tokens.
    pub pair: TokenPair,
    /// Shows at the next sign-in that this device is known.
    pub device_token: String,
}

/// Checks a name and its secret and opens a session.
///
/// # Errors
/// `credentials_invalid`, the same for an unknown name and a wrong secret; `too_many_attempts`.
pub async fn sign_in<S: AccountStore, G: Guard>(
    desk: &Desk<'_, S, G>,
    asked: SignIn<'_>,
    draw: Draw,
) -> Result<SignedIn, Problem> {
    let Desk { store, guard, keys, limits, now_ms } = *desk;
    admit(guard, &Attempt::From(asked.address, Route::SignIn).ticket(keys, limits)).await?;
    let account = match asked.username {
        Some(username) => store.account_by_username(username).await?,
        None => None,
    };
    let known = known_device(keys, account.as_ref(), asked.device_token);
    let attempt = match (asked.username, &known) {
        (Some(username), Some(device)) => Attempt::Device(username, device),
        (username, _) => Attempt::Stranger(username),
    };
    let ticket = attempt.ticket(keys, limits);
    admit(guard, &ticket).await?;
    let hash = account.as_ref().map(stored_hash).transpose()?;
    let matches = password::verify(asked.secret, hash.as_ref());
    let (Some(account), Some(hash), true) = (account, hash, matches) else {
        return Err(credentials_invalid());
    };
    guard.give_back(&ticket).await?;
    if hash.is_weak() {
        // Whoever replaced the hash meanwhile made it at today's cost.
        store.upgrade_hash(&account, &PasswordHash::make(asked.secret, draw.salt).to_string()).await?;
    }
    let device = known.unwrap_or_else(|| DeviceId::from_random(draw.device));
    let device_token = device.token(keys, &account.account);
    let (session, pair) = sessions::open(store, keys, &account.account, asked.device, draw.session, now_ms).await?;
    Ok(SignedIn { account, session: session.session, pair, device_token })
}

/// Checks the secret of somebody who has a session. Counted apart from sign-ins: whoever took over a session can't
/// keep the owner's other devices out by guessing in it.
///
/// # Errors
/// `credentials_invalid` as 403, because the access token is good; `too_many_attempts`.
pub async fn check_again<S: AccountStore, G: Guard>(
    desk: &Desk<'_, S, G>,
    account: &AccountRecord,
    username: &Username,
    session: &str,
    secret: &LoginSecret,
) -> Result<(), Problem> {
    let ticket = Attempt::Session(username, session).ticket(desk.keys, desk.limits);
    admit(desk.guard, &ticket).await?;
    if !password::verify(secret, Some(&stored_hash(account)?)) {
        return Err(not_the_password());
    }
    desk.guard.give_back(&ticket).await
}

/// The device behind a token, if the account knows it. The work is the same without an account.
fn known_device(keys: &AuthKeys, account: Option<&AccountRecord>, token: Option<&str>) -> Option<DeviceId> {
    DeviceId::of(keys, account.map(|account| account.account.as_str()), token?)
}

fn stored_hash(account: &AccountRecord) -> Result<PasswordHash, StorageError> {
    PasswordHash::parse(&account.password_hash).ok_or(StorageError::Corrupt { what: "accounts.password_hash" })
}

fn credentials_invalid() -> Problem {
    Problem::unauthorized("credentials_invalid", "The username or the password is wrong. Check both and try again.")
}

fn not_the_password() -> Problem {
    Problem::forbidden("credentials_invalid", "This is not the account's password. Check it and try again.")
}

#[cfg(test)]
pub(crate) mod tests;
