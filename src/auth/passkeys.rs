//! Passkeys of an account: making, using and removing them.
//!
//! A challenge is a random name that only its asker knows. Naming it uses it up, whatever else the answer says, so one
//! challenge is one try, and a stranger who does not know it can't use up another's.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Caller;
use super::device_token::DeviceId;
use super::guard::{Attempt, Guard, Route, admit};
use super::sessions;
use super::sign_in::{Desk, Draw, SignedIn};
use super::webauthn::{self, Assertion, Expected, WebauthnError};
use crate::config::PublicUrl;
use crate::problem::Problem;
use crate::storage::{AccountStore, ChallengeRecord, PasskeyInserted, PasskeyRecord, PasskeyStore, StorageError};

/// How long a challenge is good for, in milliseconds: browsers give up on their own after about as long.
pub const CHALLENGE_LIFETIME_MS: u64 = 5 * 60 * 1000;
/// Most passkeys of one account: more devices than a person has, few enough to list.
pub const PASSKEYS_MAX: u32 = 16;

/// Gives out a challenge, for a new passkey of an account or for a sign-in.
///
/// # Errors
/// That the store failed.
pub async fn challenge(
    store: &impl PasskeyStore,
    account: Option<&str>,
    random: [u8; 32],
    now_ms: u64,
) -> Result<String, Problem> {
    let record = ChallengeRecord {
        challenge: URL_SAFE_NO_PAD.encode(random),
        account: account.map(str::to_owned),
        expires_at_ms: now_ms.saturating_add(CHALLENGE_LIFETIME_MS),
    };
    store.put_challenge(&record, now_ms).await?;
    Ok(record.challenge)
}

/// A new passkey as the browser hands it over.
#[derive(Debug)]
pub struct Registration<'a> {
    /// From [`challenge`].
    pub challenge: &'a str,
    /// The credential's id.
    pub credential_id: &'a [u8],
    /// `clientDataJSON`
    pub client_data: &'a [u8],
    /// `attestationObject`
    pub attestation_object: &'a [u8],
    /// The person's name for it.
    pub label: String,
    /// The owner secret, encrypted under the passkey's PRF output.
    pub owner_blob: Option<String>,
}

/// Adds a passkey to the caller's account. Gives our id of it.
///
/// # Errors
/// `passkey_refused` as 403, `passkey_exists` or `passkey_limit_reached`.
pub async fn register(
    store: &impl PasskeyStore,
    url: &PublicUrl,
    caller: &Caller,
    asked: Registration<'_>,
    id: [u8; 16],
    now_ms: u64,
) -> Result<String, Problem> {
    let challenge = spend(store, asked.challenge, now_ms).await.map_err(forbidden)?;
    if challenge.account.as_deref() != Some(&caller.account) {
        return Err(forbidden(refused("the challenge is not for a passkey of this account")));
    }
    let expected = Expected { rp_id: url.host(), origin: &url.origin(), challenge: &challenge.challenge };
    let made = webauthn::register(&expected, asked.client_data, asked.attestation_object)
        .map_err(|error| forbidden(not_taken(error)))?;
    if made.credential_id != asked.credential_id {
        return Err(forbidden(refused("the credential's id is not the one in its data")));
    }
    let record = PasskeyRecord {
        passkey: hex::encode(id),
        account: caller.account.clone(),
        credential_id: URL_SAFE_NO_PAD.encode(&made.credential_id),
        public_key: made.public_key.to_string(),
        sign_count: made.sign_count,
        label: asked.label,
        owner_blob: asked.owner_blob,
        created_at_ms: now_ms,
        last_used_at_ms: None,
    };
    match store.insert_passkey(&record, PASSKEYS_MAX).await? {
        PasskeyInserted::New => Ok(record.passkey),
        PasskeyInserted::Exists => {
            Err(Problem::new(409, "passkey_exists", "This passkey is registered already. Use it to sign in."))
        }
        PasskeyInserted::LimitReached => Err(Problem::new(
            409,
            "passkey_limit_reached",
            "An account has at most 16 passkeys. Remove one that you don't use any more.",
        )),
    }
}

/// Use of a passkey as the browser hands it over.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// From [`challenge`].
    pub challenge: &'a str,
    /// The credential's id.
    pub credential_id: &'a [u8],
    /// `userHandle`: the account's id as bytes.
    pub user_handle: Option<&'a [u8]>,
    /// What was signed, and the signature.
    pub assertion: Assertion<'a>,
}

/// Opens a session for whoever holds a passkey. Gives the passkey too.
///
/// # Errors
/// `passkey_refused` or `too_many_attempts`.
pub async fn sign_in<S: AccountStore + PasskeyStore, G: Guard>(
    desk: &Desk<'_, S, G>,
    url: &PublicUrl,
    asked: Use<'_>,
    from: &super::address::Address,
    device: (Option<String>, Option<&str>),
    draw: Draw,
) -> Result<(SignedIn, PasskeyRecord), Problem> {
    let Desk { store, guard, keys, limits, now_ms } = *desk;
    admit(guard, &Attempt::From(from, Route::SignIn).ticket(keys, limits)).await?;
    let passkey = prove(store, url, asked, now_ms).await?;
    let account = store.account(&passkey.account).await?;
    let account = account.ok_or_else(|| refused("the account was deleted in this moment"))?;
    let (label, token) = device;
    let known = token.and_then(|token| DeviceId::of(keys, Some(&account.account), token));
    let device_token = known.unwrap_or_else(|| DeviceId::from_random(draw.device)).token(keys, &account.account);
    let (session, pair) = sessions::open(store, keys, &account.account, label, draw.session, now_ms).await?;
    Ok((SignedIn { account, session: session.session, pair, device_token }, passkey))
}

/// Notes that the caller has shown one of the account's passkeys.
///
/// # Errors
/// `passkey_refused` as 403, because the access token is good; `too_many_attempts`.
pub async fn reauthenticate<S: AccountStore + PasskeyStore, G: Guard>(
    desk: &Desk<'_, S, G>,
    url: &PublicUrl,
    caller: &Caller,
    asked: Use<'_>,
) -> Result<(), Problem> {
    let ticket = Attempt::Session(&caller.username, &caller.session).ticket(desk.keys, desk.limits);
    admit(desk.guard, &ticket).await?;
    let passkey = prove(desk.store, url, asked, desk.now_ms).await.map_err(forbidden)?;
    if passkey.account != caller.account {
        return Err(forbidden(refused("a passkey of another account")));
    }
    desk.guard.give_back(&ticket).await?;
    desk.store.reauthenticated(&caller.session, desk.now_ms).await?;
    Ok(())
}

/// Checks a use of a passkey and notes it.
async fn prove(
    store: &impl PasskeyStore,
    url: &PublicUrl,
    asked: Use<'_>,
    now_ms: u64,
) -> Result<PasskeyRecord, Problem> {
    let challenge = spend(store, asked.challenge, now_ms).await?;
    if challenge.account.is_some() {
        return Err(refused("the challenge is for a new passkey"));
    }
    let passkey = store.passkey_by_credential(&URL_SAFE_NO_PAD.encode(asked.credential_id)).await?;
    let mut passkey = passkey.ok_or_else(|| refused("nobody has such a credential"))?;
    if asked.user_handle.map(hex::encode).as_deref() != Some(&passkey.account) {
        return Err(refused("the user handle is of another account"));
    }
    let corrupt = |_| StorageError::Corrupt { what: "passkeys.public_key" };
    let public_key = passkey.public_key.parse().map_err(corrupt)?;
    let expected = Expected { rp_id: url.host(), origin: &url.origin(), challenge: &challenge.challenge };
    let sign_count =
        webauthn::verify(&expected, &public_key, passkey.sign_count, &asked.assertion).map_err(not_taken)?;
    if !store.use_passkey(&passkey, sign_count, now_ms).await? {
        return Err(refused("the passkey was used or removed in this moment"));
    }
    passkey.sign_count = sign_count;
    Ok(passkey)
}

async fn spend(store: &impl PasskeyStore, challenge: &str, now_ms: u64) -> Result<ChallengeRecord, Problem> {
    let taken = store.take_challenge(challenge).await?;
    let fresh = taken.filter(|taken| now_ms < taken.expires_at_ms);
    fresh.ok_or_else(|| refused("no such challenge, or it was used or has expired"))
}

fn not_taken(error: WebauthnError) -> Problem {
    refused(&error.to_string())
}

/// The same refusal for somebody whose access token is good.
fn forbidden(problem: Problem) -> Problem {
    match problem.code() {
        "passkey_refused" => {
            Problem::forbidden("passkey_refused", problem.detail()).caused_by(problem.cause().unwrap_or_default())
        }
        _ => problem,
    }
}

fn refused(cause: &str) -> Problem {
    Problem::unauthorized(
        "passkey_refused",
        "The passkey was not accepted. Ask for a new challenge and try again; if it stays, sign in with the password.",
    )
    .caused_by(cause)
}

#[cfg(test)]
mod tests;
