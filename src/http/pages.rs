//! The web front end: the files of `public/dist`, as the platform keeps them with the Worker.
//!
//! Every address that is no route of the API ends here. The pages are one document that finds its way by the
//! address, so each page's address answers with it; an address that is neither page nor file is not found, for
//! people as a page, for programs as a problem. Every answer goes through the Worker, so that none leaves without
//! its policy: scripts, styles and connections of this origin only, nothing inline, nothing framed.

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use crate::problem::Problem;
use crate::router::Bindings;

/// Binding of the built files.
const ASSETS_BINDING: &str = "ASSETS";
/// Host of the internal calls to that binding.
const INTERNAL: &str = "https://assets.internal";

/// What a page may do. `wasm-unsafe-eval` lets it compile the threshold core and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Asked for again each time, and answered in brief while it is the same: a new build is seen at once.
const REVALIDATED: &str = "no-cache";
/// Files whose names have the hash of their content.
const HASHED: &str = "public, max-age=31536000, immutable";

/// The first segments of the pages' addresses. The page itself knows what comes after.
const PAGES: [&str; 10] =
    ["", "register", "sign-in", "recover", "identity", "apps", "approvals", "approve", "activity", "security"];
/// Files outside `assets/`.
const FILES: [&str; 4] = ["/favicon.svg", "/apple-touch-icon.png", "/manifest.webmanifest", "/robots.txt"];

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    /// A page of the front end.
    Page,
    /// A file whose name changes with its content.
    HashedFile,
    /// Another file.
    File,
    /// Nothing of ours.
    Unknown,
}

impl Address {
    fn of(path: &str) -> Self {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if path.starts_with("/assets/") && !path.contains("..") {
            Self::HashedFile
        } else if FILES.contains(&path) {
            Self::File
        } else if PAGES.contains(&first) {
            Self::Page
        } else {
            Self::Unknown
        }
    }
}

/// Answers whatever is no route of the API.
#[worker::send]
pub async fn pages(request: Request) -> Result<Response, Problem> {
    let nothing = || Problem::not_found("There is nothing at this address. /openapi.json lists what there is.");
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (path, status) = match Address::of(request.uri().path()) {
        Address::HashedFile | Address::File => (request.uri().path(), None),
        Address::Page => ("/index.html", None),
        Address::Unknown if is_read && wants_html(request.headers()) => ("/index.html", Some(StatusCode::NOT_FOUND)),
        Address::Unknown => return Err(nothing()),
    };
    if !is_read {
        return Err(Problem::new(405, "method_not_allowed", "A page is only read: use GET."));
    }
    let Bindings(env) = Bindings::of(request.extensions())?;
    let assets = env.assets(ASSETS_BINDING).map_err(|error| Problem::internal(error.to_string()))?;
    let mut init = worker::RequestInit::new();
    let headers = worker::Headers::new();
    if let Some(known) = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) {
        headers.set("if-none-match", known).map_err(|error| Problem::internal(error.to_string()))?;
    }
    init.with_headers(headers);
    let answer = assets.fetch(format!("{INTERNAL}{path}"), Some(init)).await;
    let mut answer = answer.map_err(|error| Problem::unavailable(error.to_string()))?.map(axum::body::Body::new);
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(nothing());
    }
    if let Some(status) = status.filter(|_| answer.status() == StatusCode::OK) {
        *answer.status_mut() = status;
    }
    finish(answer.headers_mut(), request.uri());
    Ok(answer)
}

fn finish(headers: &mut HeaderMap, uri: &Uri) {
    let kept = if Address::of(uri.path()) == Address::HashedFile { HASHED } else { REVALIDATED };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|part| part.trim().starts_with("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_run_nothing_inline_and_nothing_of_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        finish(&mut headers, &Uri::from_static("/"));
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"));
        for opening in ["unsafe-inline", "'unsafe-eval'", "http:", "https:", "data:", "blob:", "*"] {
            assert!(!policy.contains(opening), "{opening} in {policy}");
        }
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn the_document_is_asked_for_each_time_and_hashed_files_are_kept() {
        let kept = |path: &'static str| {
            let mut headers = HeaderMap::new();
            finish(&mut headers, &Uri::from_static(path));
            headers[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert_eq!(kept("/"), "no-cache");
        assert_eq!(kept("/apps/new"), "no-cache");
        assert_eq!(kept("/assets/index-abc123.js"), HASHED);
    }

    #[test]
    fn addresses_of_the_api_are_no_pages() {
        for path in ["/", "/register", "/sign-in", "/apps/new", "/approve/abc", "/identity/new", "/security"] {
            assert_eq!(Address::of(path), Address::Page, "{path}");
        }
        for path in ["/keys", "/auth/token", "/account", "/relay/x", "/fault", "/index.html", "/.dev.vars", "/appsx"] {
            assert_eq!(Address::of(path), Address::Unknown, "{path}");
        }
        assert_eq!(Address::of("/assets/../.dev.vars"), Address::Unknown);
        assert_eq!(Address::of("/favicon.svg"), Address::File);
    }
}
