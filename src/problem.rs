//! What goes wrong, as the outside sees it: RFC 9457 problem details with a stable `code`.
//!
//! `detail` says what to do next. The cause of an internal error stays in the process: it travels
//! with the problem to the telemetry layer, is logged there once, and is never serialised.
//!
//! <https://www.rfc-editor.org/rfc/rfc9457>

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A refusal or failure on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    cause: Option<String>,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with a `code` clients may branch on and a `detail` for a person.
    ///
    /// A status outside 400..=599 is no error and becomes 500.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self::with_code(status, Cow::Borrowed(code), detail.into())
    }

    /// A failure of ours: opaque outside, `cause` goes to the log.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::new(500, "internal", "Something failed on the server. Try again; if it stays, report the request_id.")
            .caused_by(cause)
    }

    /// A part of the service that should answer soon again did not answer.
    pub fn unavailable(cause: impl Into<String>) -> Self {
        Self::new(
            503,
            "unavailable",
            "A part of the service did not answer. Try again shortly; repeating the request is safe.",
        )
        .caused_by(cause)
    }

    /// Adds what only the log may know.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Nothing here, or nothing that this caller may know of.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "not_found", detail)
    }

    /// A field of the request is not what it has to be.
    pub fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(422, code, detail)
    }

    /// The caller is known and may not do this, or not yet.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(403, code, detail)
    }

    /// Too many tries; the answer says when the next one is taken, in whole seconds.
    pub fn too_many_attempts(retry_after_s: u64) -> Self {
        let detail = format!(
            "There were too many attempts. Wait {retry_after_s} s and try again; trying earlier changes nothing, \
             and nothing is locked for longer than that."
        );
        Self { retry_after_s: Some(retry_after_s), ..Self::new(429, "too_many_attempts", detail) }
    }

    /// No valid credentials of the kind this route takes.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(401, code, detail)
    }

    /// Reads the problem that a Durable Object answered. Anything unreadable is a failure of ours.
    pub fn from_wire(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<WireProblem>(body) {
            Ok(wire) if (400..600).contains(&wire.status) => {
                Self::with_code(wire.status, Cow::Owned(wire.code), wire.detail)
            }
            Ok(_) | Err(_) => Self::internal(format!("an object answered {status} without a problem")),
        }
    }

    /// The form in which Durable Objects hand problems to the Worker: `{status, code, detail}`.
    pub fn to_wire(&self) -> String {
        let wire =
            WireProblem { status: self.status.as_u16(), code: self.code.to_string(), detail: self.detail.clone() };
        // Two strings and a number always serialise.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable word clients branch on.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What to do next, for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// For the log only.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The body for the outside; `request_id` lets a person report an opaque failure.
    pub fn body(&self, request_id: Option<&str>) -> ProblemBody {
        ProblemBody {
            r#type: format!("urn:passport:problem:{}", self.code),
            title: title(self.status).to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_string(),
            request_id: request_id.map(str::to_owned),
        }
    }

    /// The finished answer, with the request id when there is one.
    pub fn into_response_for(self, request_id: Option<&str>) -> Response {
        let body = serde_json::to_vec(&self.body(request_id)).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"passport\""));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }

    fn with_code(status: u16, code: Cow<'static, str>, detail: String) -> Self {
        let status = StatusCode::from_u16(status)
            .ok()
            .filter(|status| status.is_client_error() || status.is_server_error())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, detail, cause: None, retry_after_s: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_response_for(None)
    }
}

/// RFC 9457 problem details.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:passport:problem:<code>`
    pub r#type: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What to do next, for a person.
    pub detail: String,
    /// The stable word clients branch on.
    pub code: String,
    /// Names this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WireProblem {
    status: u16,
    code: String,
    detail: String,
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_an_internal_problem_is_not_in_any_body() {
        let problem = Problem::internal("table refresh_tokens is missing");
        let outside = serde_json::to_string(&problem.body(Some("r1"))).unwrap();
        assert!(!outside.contains("refresh_tokens"));
        assert!(outside.contains("\"request_id\":\"r1\""));
        assert!(!problem.to_wire().contains("refresh_tokens"));
        assert_eq!(problem.cause(), Some("table refresh_tokens is missing"));
    }

    #[test]
    fn a_problem_survives_the_way_from_an_object_to_the_worker() {
        let problem = Problem::new(409, "sequence_stale", "Sign a newer statement.");
        let read = Problem::from_wire(409, problem.to_wire().as_bytes());
        assert_eq!(read, problem);
    }

    #[test]
    fn an_unreadable_answer_of_an_object_is_our_failure_and_no_success() {
        for body in ["", "ok", "{\"status\":200,\"code\":\"a\",\"detail\":\"b\"}"] {
            let problem = Problem::from_wire(200, body.as_bytes());
            assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(problem.code(), "internal");
        }
    }

    #[test]
    fn an_answer_to_too_many_attempts_says_when_to_come_back() {
        let response = Problem::too_many_attempts(7).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    }

    #[test]
    fn an_unauthorized_answer_names_the_scheme() {
        let response = Problem::unauthorized("access_token_invalid", "Sign in again.").into_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
}
