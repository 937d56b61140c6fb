//! The account behind a request, from its access token and the session's row.

use axum::extract::FromRequestParts;
use bunker_core::keys::PublicKey;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use worker::send::SendFuture;

use super::sessions;
use super::username::Username;
use crate::http::chronicle::Subject;
use crate::platform::now_ms;
use crate::problem::Problem;
use crate::router::{App, Database};
use crate::storage::D1Store;

/// A caller whose access token is good and whose session still stands.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Account id, 32 hex digits.
    pub account: String,
    /// Login name.
    pub username: Username,
    /// The only key whose statements this account may deliver.
    pub owner: PublicKey,
    /// The session, 32 hex digits.
    pub session: String,
    /// When the person last showed a password or a passkey in this session, unix milliseconds.
    pub authenticated_at_ms: u64,
}

/// A caller who showed a password or a passkey within [`REAUTHENTICATION_MAX_AGE_MS`]: who may do what a stolen
/// access token or an unlocked screen must not be enough for.
#[derive(Debug, Clone)]
pub struct RecentCaller(pub Caller);

/// How long an authentication counts as recent, in milliseconds: time to read what one is about to delete.
pub const REAUTHENTICATION_MAX_AGE_MS: u64 = 10 * 60 * 1000;

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    fn from_request_parts(parts: &mut Parts, app: &App) -> impl Future<Output = Result<Self, Problem>> + Send {
        SendFuture::new(async move {
            let token = bearer(&parts.headers).ok_or_else(sessions::access_token_invalid)?;
            let Database(store) = Database::of(parts)?;
            let caller = Self::of_token(&store, app, token).await?;
            Subject::of(parts).is(&caller.username);
            Ok(caller)
        })
    }
}

impl Caller {
    /// Who an access token speaks for, wherever it was carried.
    ///
    /// # Errors
    /// `access_token_invalid`, or why the store could not be asked.
    pub async fn of_token(store: &D1Store, app: &App, token: &str) -> Result<Self, Problem> {
        let (account, session) = sessions::authenticate(store, app.auth(), token, now_ms()).await?;
        let corrupt = |what: &str| Problem::internal(format!("storage is corrupt: accounts.{what}"));
        Ok(Self {
            account: account.account,
            username: Username::parse(&account.username).map_err(|_| corrupt("username"))?,
            owner: account.owner_pubkey.parse().map_err(|_| corrupt("owner_pubkey"))?,
            session: session.session,
            authenticated_at_ms: session.authenticated_at_ms,
        })
    }

    /// Lets through who has authenticated recently.
    ///
    /// # Errors
    /// `reauthentication_required`
    pub fn recent(self, now_ms: u64) -> Result<RecentCaller, Problem> {
        if now_ms.saturating_sub(self.authenticated_at_ms) < REAUTHENTICATION_MAX_AGE_MS {
            Ok(RecentCaller(self))
        } else {
            Err(Problem::forbidden(
                "reauthentication_required",
                "Show your password or a passkey again with POST /auth/reauthenticate, then repeat this.",
            ))
        }
    }
}

impl FromRequestParts<App> for RecentCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, app).await?.recent(now_ms())
    }
}

/// The token of `Authorization: Bearer …`; `None` without exactly one such header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let plain = !token.is_empty() && token.bytes().all(|c| c.is_ascii_graphic());
    let only = values.next().is_none();
    (only && plain && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_old_sign_in_is_not_enough_for_what_is_sensitive() {
        const T0_MS: u64 = 1_800_000_000_000;
        let caller = Caller {
            account: "a1".repeat(16),
            username: Username::parse("alice").unwrap(),
            owner: "02".repeat(32).parse().unwrap(),
            session: "5e".repeat(16),
            authenticated_at_ms: T0_MS,
        };
        assert!(caller.clone().recent(T0_MS + REAUTHENTICATION_MAX_AGE_MS - 1).is_ok());
        let problem = caller.recent(T0_MS + REAUTHENTICATION_MAX_AGE_MS).unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (403, "reauthentication_required"));
    }

    #[test]
    fn only_one_bearer_header_with_one_token_is_read() {
        let with = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(with(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(with(&["bearer abc"]).as_deref(), Some("abc"));
        for bad in [&["Basic abc"][..], &["Bearer"], &["Bearer "], &["Bearer a b"], &[]] {
            assert_eq!(with(bad), None, "{bad:?}");
        }
        assert_eq!(with(&["Bearer abc", "Bearer def"]), None);
    }
}
