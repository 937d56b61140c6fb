//! One JSON line per request, and one per failure of ours.
//!
//! A line has the route's template and never the address itself, because relay addresses are
//! unguessable names and queries may carry anything. It has no header, body or cause that came from
//! outside. Request ids are drawn here and not taken from the caller.

use std::future::Future;

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use http::{HeaderName, HeaderValue, Method};
use serde::Serialize;

use crate::config::Environment;
use crate::http::headers;
use crate::metrics::labels::{FailureCode, StatusClass};
use crate::metrics::{self, Counter, Route};
use crate::platform::{now_ms, random_bytes};
use crate::problem::Problem;

/// Tells a caller under which id the server logged the request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Serialize)]
struct RequestLine<'a> {
    level: &'static str,
    event: &'static str,
    method: &'a str,
    route: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    request_id: &'a str,
    duration_ms: u64,
}

/// Under which id a request is logged; handlers find it among the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestId(String);

impl RequestId {
    /// The same as it stands in the deployment's audit records.
    pub fn in_records(&self) -> Option<operations_core::text::RequestId> {
        self.0.parse().ok()
    }
}

/// Runs a request, finishes its answer (request id, headers) and logs it once.
pub async fn observe<F: Future<Output = Response>>(
    mut request: Request,
    environment: Option<Environment>,
    run: impl FnOnce(Request) -> F,
) -> Response {
    let started_ms = now_ms();
    let request_id = hex::encode(random_bytes::<16>());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let mut response = run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        response = problem.clone().into_response_for(Some(&request_id));
    }
    headers::secure(response.headers_mut(), environment);
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    count(route.as_ref(), response.status().as_u16(), problem.as_ref());
    let line = RequestLine {
        level: level(response.status().as_u16()),
        event: "request",
        method: known_method(&method),
        route: route.as_ref().map_or("unmatched", MatchedPath::as_str),
        status: response.status().as_u16(),
        code: problem.as_ref().map(Problem::code),
        cause: problem.as_ref().and_then(Problem::cause),
        request_id: &request_id,
        duration_ms: now_ms().saturating_sub(started_ms),
    };
    log(&line);
    response
}

/// Counts an answer, and a failure of ours with it. What an object failed at comes without a cause, and was counted there.
fn count(route: Option<&MatchedPath>, status: u16, problem: Option<&Problem>) {
    metrics::count(Counter::HttpRequests { route: Route::of(route), status_class: StatusClass::of(status) });
    if let Some(problem) = problem.filter(|problem| problem.cause().is_some()) {
        metrics::count(Counter::Failures { code: FailureCode::of_code(problem.code()) });
    }
}

#[derive(Serialize)]
struct FailureLine<'a> {
    level: &'static str,
    event: &'static str,
    code: &'a str,
    cause: &'a str,
}

/// Logs a failure of ours inside an object, where no request of the outside is at hand.
pub fn failure(code: &str, cause: &str) {
    metrics::count(Counter::Failures { code: FailureCode::of_code(code) });
    log(&FailureLine { level: "error", event: "failure", code, cause });
}

/// Logs a problem where nobody waits for an answer that would say it.
pub fn unanswered(problem: &Problem) {
    failure(problem.code(), problem.cause().unwrap_or(problem.detail()));
}

#[derive(Serialize)]
struct AuditLine<'a, R> {
    level: &'static str,
    event: &'static str,
    target: &'static str,
    #[serde(flatten)]
    line: &'a R,
}

/// Copies a record of an audit chain into the log, where a Logpush job finds it by its target.
pub fn audited(line: &impl Serialize) {
    log(&AuditLine { level: "info", event: "audit", target: "audit", line });
}

/// Writes one line of JSON to the platform's log.
pub fn log(line: &impl Serialize) {
    let Ok(line) = serde_json::to_string(line) else {
        return;
    };
    #[cfg(target_arch = "wasm32")]
    worker::console_log!("{line}");
    #[cfg(all(not(target_arch = "wasm32"), test))]
    captured::LINES.with_borrow_mut(|lines| lines.push(line));
    #[cfg(all(not(target_arch = "wasm32"), not(test)))]
    drop(line);
}

/// Method names are free text in HTTP; only the known ones are logged.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn level(status: u16) -> &'static str {
    match status {
        500.. => "error",
        _ => "info",
    }
}

#[cfg(test)]
pub(crate) mod captured {
    thread_local! {
        pub(crate) static LINES: std::cell::RefCell<Vec<String>> = const {
            std::cell::RefCell::new(Vec::new())
        };
    }
}
