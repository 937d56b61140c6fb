//! The life of a session: its opening, refresh, logout, and the check before every request.
//!
//! Works over [`AccountStore`], so that the same code runs against D1 and against the faulty fake
//! of the tests. Each step writes before it answers; a write that fails is a failure, never an
//! empty success. Two refreshes at once are settled by the store's compare-and-set.

use super::access_token::ACCESS_TOKEN_LIFETIME_S;
use super::keys::AuthKeys;
use super::refresh::{REFRESH_TOKEN_LIFETIME_MS, RefreshRecord, RefreshToken, SessionRecord, Verdict, judge};
use crate::problem::Problem;
use crate::storage::{AccountRecord, AccountStore};

/// A signed-in client's two tokens.
#[derive(Debug)]
pub struct TokenPair {
    /// Compact JWS.
    pub access: String,
    /// Replaces the one that was presented.
    pub refresh: RefreshToken,
    /// How long the access token is good for, in seconds.
    pub expires_in_s: u64,
}

/// Random bytes that a new session is made of.
pub struct Fresh {
    /// The session's id.
    pub session: [u8; 16],
    /// Its first refresh token.
    pub token: [u8; 32],
}

/// Opens a session for somebody who has just authenticated. Its id is ours and fresh: none can be brought along.
///
/// # Errors
/// That the store failed.
pub async fn open(
    store: &impl AccountStore,
    keys: &AuthKeys,
    account: &str,
    device: Option<String>,
    fresh: Fresh,
    now_ms: u64,
) -> Result<(SessionRecord, TokenPair), Problem> {
    let session = SessionRecord {
        session: hex::encode(fresh.session),
        account: account.to_owned(),
        device,
        created_at_ms: now_ms,
        last_used_at_ms: now_ms,
        authenticated_at_ms: now_ms,
        revoked_at_ms: None,
    };
    let refresh = RefreshToken::from_random(fresh.token);
    store.open_session(&session, &record(&refresh, keys, &session.session, now_ms)).await?;
    let pair = pair(keys, &session, refresh, now_ms);
    Ok((session, pair))
}

/// Exchanges a refresh token for a new pair.
///
/// # Errors
/// `refresh_token_invalid`, or `refresh_token_reused` after which the family is revoked.
pub async fn refresh(
    store: &impl AccountStore,
    keys: &AuthKeys,
    presented: &str,
    now_ms: u64,
) -> Result<TokenPair, Problem> {
    let token = RefreshToken::parse(presented).ok_or_else(refresh_token_invalid)?;
    let mac = token.stored_mac(keys);
    let successor = token.successor(keys);
    // Twice at most: whoever loses the compare-and-set finds the winner's record and repeats it.
    for _ in 0..2 {
        let (stored, session) = find(store, &mac).await?;
        let next = store.refresh_token(&successor.stored_mac(keys)).await?;
        match judge(&stored, &session, next.as_ref(), now_ms) {
            Verdict::Rotate => {
                let next = record(&successor, keys, &session.session, now_ms);
                if store.rotate(&mac, &next, now_ms).await? {
                    return Ok(pair(keys, &session, successor, now_ms));
                }
            }
            Verdict::Repeat { rotated_at_ms } => {
                return Ok(pair(keys, &session, successor, rotated_at_ms));
            }
            Verdict::Reused => {
                store.revoke_session(&session.session, now_ms).await?;
                return Err(Problem::unauthorized(
                    "refresh_token_reused",
                    "This refresh token was used before, so its session is ended. Sign in again; \
                     if you did not use it twice, someone else has a copy.",
                ));
            }
            Verdict::Dead => return Err(refresh_token_invalid()),
        }
    }
    Err(Problem::unavailable("a refresh token was neither exchanged nor found exchanged"))
}

/// Ends the session that an access or refresh token belongs to. Ending it again changes nothing.
///
/// # Errors
/// As for a use of the token.
pub async fn sign_out(store: &impl AccountStore, keys: &AuthKeys, presented: &str, now_ms: u64) -> Result<(), Problem> {
    let session = if RefreshToken::is_one(presented) {
        let token = RefreshToken::parse(presented).ok_or_else(refresh_token_invalid)?;
        find(store, &token.stored_mac(keys)).await?.0.session
    } else {
        let claims = keys.access.verify(presented, now_ms / 1000);
        claims.map_err(|_| access_token_invalid())?.sid
    };
    store.revoke_session(&session, now_ms).await?;
    Ok(())
}

/// Checks an access token and that its session still stands.
///
/// # Errors
/// `access_token_invalid` for every reason.
pub async fn authenticate(
    store: &impl AccountStore,
    keys: &AuthKeys,
    presented: &str,
    now_ms: u64,
) -> Result<(AccountRecord, SessionRecord), Problem> {
    let claims = keys.access.verify(presented, now_ms / 1000);
    let claims = claims.map_err(|_| access_token_invalid())?;
    let session = store.session(&claims.sid).await?.ok_or_else(access_token_invalid)?;
    if !session.is_live(now_ms) || session.account != claims.sub {
        return Err(access_token_invalid());
    }
    // An account that was deleted in this moment took its sessions along.
    let account = store.account(&session.account).await?.ok_or_else(access_token_invalid)?;
    Ok((account, session))
}

/// An account's sessions that still stand, newest first.
///
/// # Errors
/// That the store failed.
pub async fn list(store: &impl AccountStore, account: &str, now_ms: u64) -> Result<Vec<SessionRecord>, Problem> {
    let mut sessions = store.sessions_of(account).await?;
    sessions.retain(|session| session.is_live(now_ms));
    Ok(sessions)
}

/// Ends one of an account's sessions. Ending it again changes nothing.
///
/// # Errors
/// `not_found` for a session that the account never had.
pub async fn revoke(store: &impl AccountStore, account: &str, session: &str, now_ms: u64) -> Result<(), Problem> {
    let found = store.session(session).await?;
    if found.is_none_or(|found| found.account != account) {
        return Err(Problem::not_found("This account has no such session. GET /auth/sessions lists those it has."));
    }
    store.revoke_session(session, now_ms).await?;
    Ok(())
}

async fn find(store: &impl AccountStore, mac: &str) -> Result<(RefreshRecord, SessionRecord), Problem> {
    let stored = store.refresh_token(mac).await?.ok_or_else(refresh_token_invalid)?;
    let session = store.session(&stored.session).await?;
    let session = session.ok_or_else(|| Problem::internal("a refresh token without its session"))?;
    Ok((stored, session))
}

fn record(token: &RefreshToken, keys: &AuthKeys, session: &str, now_ms: u64) -> RefreshRecord {
    RefreshRecord {
        mac: token.stored_mac(keys),
        session: session.to_owned(),
        expires_at_ms: now_ms.saturating_add(REFRESH_TOKEN_LIFETIME_MS),
        rotated_at_ms: None,
    }
}

fn pair(keys: &AuthKeys, session: &SessionRecord, refresh: RefreshToken, issued_at_ms: u64) -> TokenPair {
    TokenPair {
        access: keys.access.issue(&session.account, &session.session, issued_at_ms / 1000),
        refresh,
        expires_in_s: ACCESS_TOKEN_LIFETIME_S,
    }
}

fn refresh_token_invalid() -> Problem {
    Problem::unauthorized(
        "refresh_token_invalid",
        "Send the newest refresh token as `Authorization: Bearer prt_…`, or sign in again.",
    )
}

/// The one answer to every access token that is not taken.
pub fn access_token_invalid() -> Problem {
    Problem::unauthorized(
        "access_token_invalid",
        "Send a valid access token as `Authorization: Bearer …`; get one with /auth/refresh or /auth/token.",
    )
}

#[cfg(test)]
mod tests;
