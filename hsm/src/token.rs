//! An access token while it lasts.

use std::cell::RefCell;

use zeroize::Zeroizing;

use crate::{
    HsmError, HttpRequest, HttpResponse, Transport,
    http::SecretText,
    retry::{self, Deadline},
};

/// A token is not used in its last minute, so that it does not expire on its way. In milliseconds.
const MARGIN_MS: u64 = 60_000;

/// Holds one token between requests of this isolate.
#[derive(Default)]
pub(crate) struct TokenCache(RefCell<Option<(Zeroizing<String>, u64)>>);

impl TokenCache {
    /// The token, unless it is about to expire.
    pub(crate) fn get(&self, now_ms: u64) -> Option<Zeroizing<String>> {
        let held = self.0.borrow();
        let (token, until_ms) = held.as_ref()?;
        (now_ms < *until_ms).then(|| token.clone())
    }

    /// Keeps a token that lasts for `lifetime_s` seconds from now.
    pub(crate) fn keep(&self, token: Zeroizing<String>, lifetime_s: u64, now_ms: u64) {
        let until_ms = now_ms.saturating_add(lifetime_s.saturating_mul(1000)).saturating_sub(MARGIN_MS);
        *self.0.borrow_mut() = Some((token, until_ms));
    }

    /// Sends under the token, and forgets one that was refused.
    pub(crate) async fn send<T: Transport, A>(
        &self,
        token: &str,
        transport: &T,
        deadline: Deadline,
        make: impl Fn() -> Result<HttpRequest, HsmError>,
        judge: impl Fn(&HttpResponse) -> Result<A, HsmError>,
    ) -> Result<A, HsmError> {
        let authorization = Zeroizing::new(format!("Bearer {token}"));
        let make = || Ok(make()?.header("authorization", authorization.as_str()));
        let answer = retry::send(transport, deadline, make, judge).await;
        if matches!(answer, Err(HsmError::CredentialsRefused)) {
            self.0.borrow_mut().take();
        }
        answer
    }
}

/// The answer of a token endpoint (RFC 6749, section 5.1).
#[derive(serde::Deserialize)]
struct Granted {
    access_token: SecretText,
    expires_in: u64,
    token_type: String,
}

/// The refusal of a token endpoint (RFC 6749, section 5.2).
#[derive(serde::Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Token and lifetime in seconds out of a token endpoint's answer. `is_clock` knows the provider's words for a wrong
/// clock.
pub(crate) fn granted(
    response: &HttpResponse,
    is_clock: impl Fn(&str) -> bool,
) -> Result<(Zeroizing<String>, u64), HsmError> {
    match response.status {
        200 => {
            let granted: Granted = response.json()?;
            let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            if !granted.token_type.eq_ignore_ascii_case("bearer") || !is_token(&granted.access_token.0) {
                return Err(HsmError::BadResponse);
            }
            Ok((granted.access_token.0, granted.expires_in))
        }
        429 => Err(HsmError::Throttled),
        500.. => Err(HsmError::Unavailable),
        _ => {
            let refused: Refused = response.json()?;
            if is_clock(&refused.error_description) {
                return Err(HsmError::ClockSkew);
            }
            if refused.error.is_empty() { Err(HsmError::BadResponse) } else { Err(HsmError::CredentialsRefused) }
        }
    }
}
