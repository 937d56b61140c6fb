//! The account behind a request, from its access token and the session's row.

use axum::extract::FromRequestParts;
use bunker_core::keys::PublicKey;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use worker::send::SendFuture;

use super::sessions;
use crate::platform::now_ms;
use crate::problem::Problem;
use crate::router::{App, Database};

/// A caller whose access token is good and whose session still stands.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Account id, 32 hex digits.
    pub account: String,
    /// The only key whose statements this account may deliver.
    pub owner: PublicKey,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    fn from_request_parts(parts: &mut Parts, app: &App) -> impl Future<Output = Result<Self, Problem>> + Send {
        SendFuture::new(async move {
            let token = bearer(&parts.headers).ok_or_else(sessions::access_token_invalid)?;
            let Database(store) = Database::of(parts)?;
            let account = sessions::authenticate(&store, app.auth(), token, now_ms()).await?;
            let owner = account
                .owner_pubkey
                .parse()
                .map_err(|_| Problem::internal("storage is corrupt: accounts.owner_pubkey"))?;
            Ok(Self { account: account.account, owner })
        })
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
