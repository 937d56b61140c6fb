//! A URI's query as `application/x-www-form-urlencoded` text, which clients build with
//! `URLSearchParams`: `+` is a space. Values are wiped on drop, since one of them is a secret.

use core::fmt::Write as _;

use zeroize::Zeroizing;

use super::UriError;

/// Decoded parameters in the order they came.
pub(super) struct Query(Vec<(String, Zeroizing<String>)>);

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, UriError> {
        text.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((unescape(name)?, Zeroizing::new(unescape(value)?)))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn once(&self, name: &'static str) -> Result<Option<&str>, UriError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            (_, Some(_)) => Err(UriError::Repeated(name)),
        }
    }
}

/// Escapes all but RFC 3986's unreserved characters.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

fn unescape(text: &str) -> Result<String, UriError> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = (bytes.next().and_then(hex_digit), bytes.next().and_then(hex_digit));
                let (Some(high), Some(low)) = digits else {
                    return Err(UriError::Encoding);
                };
                out.push(high << 4 | low);
            }
            _ => out.push(b),
        }
    }
    String::from_utf8(out).map_err(|_| UriError::Encoding)
}

fn hex_digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
