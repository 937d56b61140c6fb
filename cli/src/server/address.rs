//! The address of a server: `https://`, and `http://` to this very machine only.

use std::{fmt, net::IpAddr, str::FromStr};

use ureq::http::Uri;

/// Scheme and authority of a server, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    text: String,
    is_loopback: bool,
}

/// Why a text is no address of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// Not an absolute `http` or `https` address.
    #[error("write the server as https://host or http://127.0.0.1:8787")]
    Form,
    /// Unencrypted, to another machine.
    #[error("http:// would send your secrets in the clear: use https:// (http:// is for this machine only)")]
    InTheClear,
    /// Something after the host.
    #[error("write only the server's origin, without a path")]
    NotAnOrigin,
}

impl Address {
    /// True for this very machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri: Uri = text.parse().map_err(|_| AddressError::Form)?;
        let scheme = uri.scheme_str().ok_or(AddressError::Form)?;
        let authority = uri.authority().ok_or(AddressError::Form)?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(AddressError::Form);
        }
        if uri.path() != "/" || uri.query().is_some() || text.contains('#') {
            return Err(AddressError::NotAnOrigin);
        }
        let is_loopback = is_loopback(authority.host());
        match scheme {
            "https" => {}
            "http" if is_loopback => {}
            "http" => return Err(AddressError::InTheClear),
            _ => return Err(AddressError::Form),
        }
        Ok(Self { text: format!("{scheme}://{authority}"), is_loopback })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// RFC 6761 for the name; a name that only resolves to this machine is not enough.
fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_in_the_clear_to_this_machine_only() {
        for text in [
            "http://127.0.0.1:8787",
            "http://localhost:8787/",
            "http://[::1]:8787",
            "https://passport.example",
            "https://passport.example:8443/",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
        }
        for text in [
            "http://passport.example",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://10.0.0.1:8787",
            "http://0.0.0.0:8787",
        ] {
            assert_eq!(text.parse::<Address>(), Err(AddressError::InTheClear), "{text}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "passport.example",
            "ftp://a.example",
            "https://",
            "https://me@a.example",
            "https://a.example/api",
            "https://a.example/?x=1",
            "http://127.0.0.1@evil.example",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
