//! Headers on every answer. Those of the API are data: nothing in them may run, frame, be sniffed into
//! another type or be kept by a cache. The pages set a policy of their own ([`super::pages`]). No CORS
//! header is ever set.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::Environment;

const ALWAYS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// What an answer may do that set no policy of its own: nothing.
const INERT: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One year, in seconds, as the preload lists want it.
const HSTS: &str = "max-age=31536000; includeSubDomains";

/// Sets them. A route that may be cached has set its own `Cache-Control`.
pub fn secure(headers: &mut HeaderMap, environment: Option<Environment>) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(INERT));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if environment == Some(Environment::Production) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_inert_and_kept_by_no_cache() {
        let mut headers = HeaderMap::new();
        secure(&mut headers, Some(Environment::Production));
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let csp = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"));
        assert!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
        let cors = headers.keys().any(|name| name.as_str().starts_with("access-control-"));
        assert!(!cors);
    }

    #[test]
    fn a_developers_machine_is_not_pinned_to_https() {
        let mut headers = HeaderMap::new();
        secure(&mut headers, Some(Environment::Development));
        assert!(!headers.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
