//! Where a request comes from, in the one form in which it is counted.
//!
//! Only the platform's own header is read: `X-Forwarded-For` is written by whoever likes. An IPv6 subscriber has a
//! whole /64, so that is what counts as one address.

use std::net::{IpAddr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

/// Set by the platform on every request from outside.
const CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
/// The one bucket of requests without an address, as on a developer's machine.
const UNKNOWN: &str = "unknown";

/// An address, or the first half of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// The address of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let text = headers.get(CONNECTING_IP).and_then(|value| value.to_str().ok());
        let parsed = text.and_then(|text| text.trim().parse::<IpAddr>().ok());
        Self(parsed.map_or_else(|| UNKNOWN.to_owned(), |address| counted(address.to_canonical())))
    }

    /// The form that is counted.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn counted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            format!("{}/64", Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(value: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTING_IP, HeaderValue::from_static(value));
        Address::of(&headers).0
    }

    #[test]
    fn an_address_has_one_form() {
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("2001:db8::1"), "2001:db8::/64");
        assert_eq!(of("2001:0DB8:0:0:ffff::2"), "2001:db8::/64");
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
    }

    #[test]
    fn what_is_no_address_names_nothing_of_its_own() {
        for text in ["", "evil", "203.0.113.7, 198.51.100.1", "203.0.113.7:80"] {
            assert_eq!(of(text), UNKNOWN, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
        assert_eq!(Address::of(&headers).as_str(), UNKNOWN);
    }
}
