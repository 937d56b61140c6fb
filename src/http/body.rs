//! Request bodies: JSON of at most 64 KiB, counted on the bytes that really arrive.
//!
//! What is wrong with a body is told without quoting it: bodies carry login secrets.

use axum::extract::{FromRequest, Request};
use bunker_core::nip19::decode_nsec;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::problem::Problem;

/// Longest body, in bytes. The largest of ours is a `POST /keys` with ten holders: under 8 KiB.
pub const BODY_MAX_BYTES: usize = 64 * 1024;

/// Length of an nsec: prefix, separator, 32 bytes in base 32, checksum (NIP-19).
const NSEC_CHARS: usize = 63;

/// A JSON body, parsed into `T`.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                415,
                "content_type_unsupported",
                "Send the body as JSON with `Content-Type: application/json`.",
            ));
        }
        if announced_bytes(request.headers()).is_some_and(|bytes| bytes > BODY_MAX_BYTES as u64) {
            return Err(too_large());
        }
        // A body that breaks off mid-way is told from one that is too long by what was announced
        // only; both end here before anything is parsed.
        let bytes = axum::body::to_bytes(request.into_body(), BODY_MAX_BYTES).await.map_err(|_| too_large())?;
        if holds_secret_key(&bytes) {
            return Err(Problem::new(
                422,
                "secret_key_refused",
                "There is a secret key (nsec) in this request. It was not read or kept, but treat the key as shown to a server. Keys are split on your device: use the passport client.",
            ));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| not_as_expected(&error))
    }
}

/// Whether an nsec stands anywhere in a body: pasted into a label or a password field by mistake. It protects
/// people, not the server: whoever means to send a key can spell it differently.
fn holds_secret_key(body: &[u8]) -> bool {
    body.windows(NSEC_CHARS).any(|window| {
        let looks_like_one = window.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"nsec1"));
        looks_like_one && std::str::from_utf8(window).is_ok_and(|text| decode_nsec(&text.to_ascii_lowercase()).is_ok())
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large() -> Problem {
    Problem::new(413, "body_too_large", "The body was not received whole within 65536 bytes. Send a shorter one.")
}

fn not_as_expected(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => Problem::new(
            400,
            "json_malformed",
            format!("The body is not JSON ({place}). Correct it and send it again."),
        ),
        Category::Data => {
            let text = error.to_string();
            // serde names fields in these and quotes values in others.
            let names_a_field =
                ["missing field", "unknown field", "duplicate field"].iter().any(|start| text.starts_with(start));
            let what = match text.split_once(" at line ") {
                Some((what, _)) if names_a_field => what,
                _ => "a value is not of the form this field has",
            };
            Problem::new(
                422,
                "body_invalid",
                format!("The body does not fit this route: {what} ({place}). See /openapi.json."),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dto::{RegisterRequest, TokenRequest};

    fn refusal(json: &str) -> Problem {
        not_as_expected(&serde_json::from_str::<TokenRequest>(json).unwrap_err())
    }

    #[test]
    fn an_nsec_is_found_anywhere_in_a_body_and_an_npub_is_none() {
        let nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
        for body in [nsec.to_owned(), nsec.to_uppercase(), format!(r#"{{"label":"my key {nsec}."}}"#)] {
            assert!(holds_secret_key(body.as_bytes()), "{body}");
        }
        let npub = "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg";
        for body in [npub, "", "nsec1", &nsec.replace("vl0", "vl9"), &nsec[..62]] {
            assert!(!holds_secret_key(body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn no_value_of_a_refused_body_is_quoted() {
        for json in [
            r#"{"username":"alice","password":["hunter2-hunter2-hunter2"]}"#,
            r#"{"username":{"hunter2":1},"password":"x"}"#,
            r#"{"username":"alice","password":"hunter2"}"#,
            r#"{"username":"alice","password":hunter2}"#,
        ] {
            assert!(!refusal(json).detail().contains("hunter2"), "{json}");
        }
    }

    #[test]
    fn a_value_in_the_place_of_an_object_is_not_quoted() {
        for kdf in [r#""hunter2""#, r#"{"salt":"hunter2","log_n":17,"r":8,"p":1}"#, r#"{"log_n":"hunter2"}"#] {
            let json = format!(r#"{{"username":"alice","password":"0123456789abcdef","kdf":{kdf}}}"#);
            let refused = not_as_expected(&serde_json::from_str::<RegisterRequest>(&json).unwrap_err());
            assert!(!refused.detail().contains("hunter2"), "{}", refused.detail());
        }
    }

    #[test]
    fn a_missing_or_unknown_field_is_named() {
        assert!(refusal(r#"{"username":"alice"}"#).detail().contains("`password`"));
        let unknown = r#"{"username":"alice","password":"0123456789abcdef","admin":true}"#;
        assert!(refusal(unknown).detail().contains("`admin`"));
        assert_eq!(refusal("{").code(), "json_malformed");
    }

    fn receive(body: Vec<u8>, length: Option<usize>) -> Result<serde_json::Value, Problem> {
        let mut request = Request::new(axum::body::Body::from(body));
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        let future = std::pin::pin!(JsonBody::from_request(request, &()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(result) => result.map(|JsonBody(value)| value),
            std::task::Poll::Pending => panic!("a body in memory made us wait"),
        }
    }

    #[test]
    fn a_body_is_measured_by_its_bytes_and_not_by_what_it_says() {
        let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2)).into_bytes();
        assert!(receive(text(BODY_MAX_BYTES), None).is_ok());
        for said in [None, Some(10)] {
            let problem = receive(text(BODY_MAX_BYTES + 1), said).unwrap_err();
            assert_eq!(problem.status(), http::StatusCode::PAYLOAD_TOO_LARGE);
        }
        let problem = receive(text(10), Some(BODY_MAX_BYTES + 1)).unwrap_err();
        assert_eq!(problem.code(), "body_too_large");
    }

    #[test]
    fn only_json_is_taken_for_json() {
        let mut headers = HeaderMap::new();
        assert!(!is_json(&headers));
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/json-patch+json", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(is_json(&headers), expected, "{value}");
        }
    }
}
