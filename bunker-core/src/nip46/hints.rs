//! What a client says of itself and wishes for.
//!
//! Unauthenticated: any program can claim any name. It is shown to a person and decides nothing, so
//! what is malformed or too long is dropped instead of failing a session.

use core::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::method::Method;
use crate::limits::{
    MAX_CLIENT_METADATA_BYTES, MAX_CLIENT_NAME_BYTES, MAX_CLIENT_URL_BYTES, MAX_METHOD_BYTES, MAX_REQUESTED_PERMISSIONS,
};

/// A client's name, address and image, as it claims them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMetadata {
    /// At most [`MAX_CLIENT_NAME_BYTES`], without control or direction-changing characters.
    #[serde(default)]
    pub name: Option<String>,
    /// An `https://` address of at most [`MAX_CLIENT_URL_BYTES`].
    #[serde(default)]
    pub url: Option<String>,
    /// An `https://` address of at most [`MAX_CLIENT_URL_BYTES`].
    #[serde(default)]
    pub image: Option<String>,
}

impl ClientMetadata {
    /// Keeps of each field what may be shown.
    pub fn from_hints(name: Option<&str>, url: Option<&str>, image: Option<&str>) -> Self {
        Self { name: name.and_then(shown_name), url: url.and_then(shown_url), image: image.and_then(shown_url) }
    }

    /// Reads the stringified object that `connect` carries; nothing usable gives nothing.
    pub fn from_json(json: &str) -> Self {
        if json.len() > MAX_CLIENT_METADATA_BYTES {
            return Self::default();
        }
        serde_json::from_str(json).map(|object| Self::from_object(&object)).unwrap_or_default()
    }

    pub(super) fn from_object(object: &Map<String, Value>) -> Self {
        let text = |field| object.get(field).and_then(Value::as_str);
        Self::from_hints(text("name"), text("url"), text("image"))
    }
}

/// One permission asked for: a method, for `sign_event` optionally with a kind.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Permission {
    /// The method, known or not.
    pub method: Method,
    /// The kind, only with `sign_event`.
    pub kind: Option<u16>,
}

/// Why a permission could not be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum PermissionError {
    /// The method's name is empty, too long, or has other characters than `a-z`, `0-9` and `_`.
    #[error("permission has no valid method")]
    Method,
    /// The part after the colon is no kind, or the method takes none.
    #[error("permission has an invalid parameter")]
    Parameter,
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        let (name, parameter) = match text.split_once(':') {
            Some((name, parameter)) => (name, Some(parameter)),
            None => (text, None),
        };
        let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=MAX_METHOD_BYTES).contains(&name.len()) || !name.bytes().all(named) {
            return Err(PermissionError::Method);
        }
        let method = Method::from_name(name);
        let kind = match (&method, parameter) {
            (_, None) => None,
            (Method::SignEvent, Some(kind)) => Some(kind_from(kind)?),
            (_, Some(_)) => return Err(PermissionError::Parameter),
        };
        Ok(Self { method, kind })
    }
}

/// Reads a comma-separated list such as `nip44_encrypt,sign_event:4`. Items that are malformed, and
/// those after the first [`MAX_REQUESTED_PERMISSIONS`], are dropped.
pub fn requested_permissions(list: &str) -> Vec<Permission> {
    list.split(',').take(MAX_REQUESTED_PERMISSIONS).filter_map(|item| item.trim().parse().ok()).collect()
}

fn kind_from(text: &str) -> Result<u16, PermissionError> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PermissionError::Parameter);
    }
    text.parse().map_err(|_| PermissionError::Parameter)
}

fn shown_name(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control() && !redirects(*c)).collect();
    let name = name.trim();
    (1..=MAX_CLIENT_NAME_BYTES).contains(&name.len()).then(|| name.to_owned())
}

/// Invisible characters and those that change the direction of text: with them a name can be made to
/// read as another.
fn redirects(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn shown_url(url: &str) -> Option<String> {
    let host = url.strip_prefix("https://")?;
    let fits = url.len() <= MAX_CLIENT_URL_BYTES && !host.is_empty() && !host.starts_with('/');
    let plain = url.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>\\`".contains(&b));
    (fits && plain).then(|| url.to_owned())
}
