//! Replies.
//!
//! Clients disagree on what they accept, so there is one form per outcome: `result` is always a string;
//! success has no `error`; failure has the result `"error"` and the text in `error`.

use core::fmt;

use serde_json::{Value, json};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::MAX_ERROR_TEXT_BYTES;

/// Bytes of an address sent in an auth challenge.
const MAX_AUTH_URL_BYTES: usize = 2048;

/// The address a client opens for its person, `https` only; `http` for this machine's own address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthUrl(String);

/// Why an address may not be sent in an auth challenge.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("an auth url must be https and plain ASCII of at most 2048 bytes")]
pub struct AuthUrlError;

impl AuthUrl {
    /// Takes an absolute address.
    pub fn new(url: &str) -> Result<Self, AuthUrlError> {
        let local = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
        let is_local = local.iter().any(|host| {
            url.strip_prefix(host)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']) && !rest.contains('@'))
        });
        let is_https = url.strip_prefix("https://").is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
        let plain = url.bytes().all(|b| b.is_ascii_graphic());
        if (is_https || is_local) && plain && url.len() <= MAX_AUTH_URL_BYTES {
            Ok(Self(url.to_owned()))
        } else {
            Err(AuthUrlError)
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A reply to one request. A result may be a decrypted message, so it is zeroized on drop and prints
/// as `<redacted>`.
pub struct Response {
    id: String,
    body: Body,
}

enum Body {
    Ok(Zeroizing<String>),
    Error(String),
    AuthUrl(AuthUrl),
}

impl Response {
    /// Success. Every call's result is a string.
    pub fn ok(id: impl Into<String>, result: impl Into<String>) -> Self {
        Self { id: id.into(), body: Body::Ok(Zeroizing::new(result.into())) }
    }

    /// Failure, with a text for a person. What is over [`MAX_ERROR_TEXT_BYTES`] is cut off; an empty
    /// text would read as success to some clients and becomes `"error"`.
    pub fn error(id: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(MAX_ERROR_TEXT_BYTES));
        if text.is_empty() {
            text.push_str("error");
        }
        Self { id: id.into(), body: Body::Error(text) }
    }

    /// An auth challenge. One per request id: clients take a second for a refusal.
    pub fn auth_url(id: impl Into<String>, url: AuthUrl) -> Self {
        Self { id: id.into(), body: Body::AuthUrl(url) }
    }

    /// The id of the request this answers.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The result, if this is a success.
    ///
    /// # Security
    ///
    /// May be a decrypted private message.
    pub fn expose_result(&self) -> Option<&str> {
        match &self.body {
            Body::Ok(result) => Some(result),
            Body::Error(_) | Body::AuthUrl(_) => None,
        }
    }

    /// The text, if this is a failure.
    pub fn error_text(&self) -> Option<&str> {
        match &self.body {
            Body::Error(text) => Some(text),
            Body::Ok(_) | Body::AuthUrl(_) => None,
        }
    }

    /// The JSON that is encrypted to the client.
    pub fn to_json(&self) -> String {
        let id = &self.id;
        match &self.body {
            Body::Ok(result) => json!({ "id": id, "result": result.as_str() }),
            Body::Error(text) => json!({ "id": id, "result": "error", "error": text }),
            Body::AuthUrl(url) => json!({ "id": id, "result": "auth_url", "error": url.as_str() }),
        }
        .to_string()
    }

    /// Reads a reply as a client does.
    pub fn parse(json: &str) -> Result<Self, ResponseParseError> {
        let Ok(Value::Object(mut object)) = serde_json::from_str(json) else {
            return Err(ResponseParseError);
        };
        let (Some(Value::String(id)), Some(Value::String(result))) = (object.remove("id"), object.remove("result"))
        else {
            return Err(ResponseParseError);
        };
        match object.remove("error") {
            None | Some(Value::Null) => Ok(Self::ok(id, result)),
            Some(Value::String(url)) if result == "auth_url" => {
                let url = AuthUrl::new(&url).map_err(|_| ResponseParseError)?;
                Ok(Self::auth_url(id, url))
            }
            Some(Value::String(text)) => Ok(Self::error(id, text)),
            Some(_) => Err(ResponseParseError),
        }
    }
}

/// A reply that is not of NIP-46's form.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("not a NIP-46 response")]
pub struct ResponseParseError;

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Response");
        out.field("id", &self.id);
        match &self.body {
            Body::Ok(_) => out.field("result", &"<redacted>"),
            Body::Error(text) => out.field("error", text),
            Body::AuthUrl(url) => out.field("auth_url", &url.as_str()),
        };
        out.finish()
    }
}
