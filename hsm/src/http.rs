//! Requests and answers as the providers see them, and the machine that carries them.
//!
//! Bodies and header values may be secret (a key to wrap, a token), so neither type shows them and bodies are wiped.
//! A carrier must not follow redirects: tokens and keys would go along.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::HsmError;

/// Longest answer that is read. The longest in use, a key's description, is below 4 KiB.
pub const RESPONSE_MAX_BYTES: usize = 64 * 1024;
/// Room for a request's body, so that it does not grow and leave copies behind: the longest is about 1 KiB.
const BODY_ROOM_BYTES: usize = 8 * 1024;

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
}

impl Method {
    /// As in a request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One request.
pub struct HttpRequest {
    /// What is done.
    pub method: Method,
    /// Absolute.
    pub url: String,
    /// Names in lower case. `host` and `content-length` are the carrier's.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// Empty for none.
    pub body: Zeroizing<Vec<u8>>,
}

/// One answer.
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most [`RESPONSE_MAX_BYTES`].
    pub body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportError {
    /// The time was over.
    TimedOut,
    /// Not reached, broken off, or no TLS.
    Failed,
    /// Longer than [`RESPONSE_MAX_BYTES`].
    TooLong,
}

/// Carries requests, and knows the time.
#[allow(async_fn_in_trait)]
pub trait Transport {
    /// Sends one request; gives up after `timeout_ms`.
    async fn send(&self, request: &HttpRequest, timeout_ms: u64) -> Result<HttpResponse, TransportError>;
    /// Waits.
    async fn sleep(&self, ms: u64);
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;
    /// Random bytes from a cryptographic source.
    fn fill_random(&self, bytes: &mut [u8]);
}

impl HttpRequest {
    /// Reads `url`.
    #[must_use]
    pub fn get(url: String) -> Self {
        Self { method: Method::Get, url, headers: Vec::new(), body: Zeroizing::new(Vec::new()) }
    }

    /// Sends a JSON body to `url`.
    ///
    /// # Errors
    /// [`HsmError::BadResponse`] never in practice: the bodies in use have a JSON form.
    pub fn post_json(url: String, body: &impl Serialize) -> Result<Self, HsmError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_ROOM_BYTES));
        serde_json::to_writer(&mut *bytes, body).map_err(|_| HsmError::BadResponse)?;
        let request = Self { method: Method::Post, url, headers: Vec::new(), body: bytes };
        Ok(request.header("content-type", "application/json"))
    }

    /// Sends a form to `url`.
    #[must_use]
    pub fn post_form(url: String, fields: &[(&str, &str)]) -> Self {
        let mut body = Zeroizing::new(Vec::with_capacity(BODY_ROOM_BYTES));
        for (at, (name, value)) in fields.iter().enumerate() {
            if at > 0 {
                body.push(b'&');
            }
            form_encode(&mut body, name);
            body.push(b'=');
            form_encode(&mut body, value);
        }
        let request = Self { method: Method::Post, url, headers: Vec::new(), body };
        request.header("content-type", "application/x-www-form-urlencoded")
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, Zeroizing::new(value.into())));
        self
    }
}

impl HttpResponse {
    /// A header by its lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The body, if it is JSON of that shape.
    ///
    /// # Errors
    /// [`HsmError::BadResponse`] otherwise.
    pub fn json<A: DeserializeOwned>(&self) -> Result<A, HsmError> {
        serde_json::from_slice(&self.body).map_err(|_| HsmError::BadResponse)
    }

    /// How long the provider asks to wait, in milliseconds. The form with a date is not in use and is not read.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        seconds.checked_mul(1000)
    }
}

impl From<TransportError> for HsmError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::TimedOut => Self::TimedOut,
            TransportError::Failed => Self::Unavailable,
            TransportError::TooLong => Self::BadResponse,
        }
    }
}

/// Text of an answer that may be a key or a token: wiped, never shown.
pub(crate) struct SecretText(pub(crate) Zeroizing<String>);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

fn form_encode(out: &mut Vec<u8>, text: &str) {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or(b'0', |digit| *digit as u8);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte),
            _ => out.extend([b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_field_can_not_add_another_field() {
        let form = HttpRequest::post_form(String::new(), &[("a", "x&b=y z/+"), ("c", "é")]);
        assert_eq!(form.body.as_slice(), b"a=x%26b%3Dy%20z%2F%2B&c=%C3%A9");
    }

    #[test]
    fn neither_requests_nor_answers_show_what_is_in_them() {
        let request = HttpRequest::post_form("https://host/secret-path".into(), &[("a", "secret-body")])
            .header("authorization", "secret-token");
        let response = HttpResponse {
            status: 200,
            headers: vec![("a".into(), "secret-header".into())],
            body: Zeroizing::new(b"secret".to_vec()),
        };
        assert!(!format!("{request:?} {response:?}").contains("secret"));
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_nonsense_is_none() {
        let asked = |value: &str| {
            let headers = vec![("retry-after".to_owned(), value.to_owned())];
            HttpResponse { status: 429, headers, body: Zeroizing::new(Vec::new()) }.retry_after_ms()
        };
        assert_eq!(asked("2"), Some(2000));
        assert_eq!(asked(&u64::MAX.to_string()), None);
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }
}
