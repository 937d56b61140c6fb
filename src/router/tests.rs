use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::*;
use crate::config::secrets::SecretName;
use crate::config::tests::{parse, valid};
use crate::http::bunker_id::bunker_id;
use crate::telemetry::captured::LINES;

/// Nothing here waits: there is no platform.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("waited for a platform that is not there"),
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

fn app() -> App {
    App::new(Arc::new(parse(&valid()).unwrap()))
}

fn ask_of(app: &App, request: http::request::Builder) -> Answer {
    // Without bindings: whatever goes on to the store or an object fails as `internal`.
    let request = request.body(Body::empty()).unwrap();
    let response = now(build(app.clone()).call(request)).unwrap();
    let (parts, body) = response.into_parts();
    let body = now(axum::body::to_bytes(body, usize::MAX)).unwrap();
    Answer { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&body).unwrap_or_default() }
}

fn ask(method: &str, path: &str) -> Answer {
    ask_of(&app(), http::Request::builder().method(method).uri(path))
}

#[test]
fn every_route_of_the_service_is_in_the_document() {
    let document = ask("GET", "/openapi.json").body;
    let listed: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .collect();
    for route in [
        "get /healthz",
        "get /readyz",
        "get /version",
        "get /metrics",
        "get /holders",
        "get /.well-known/jwks.json",
        "post /ceremony/start",
        "get /ceremony",
        "get /ceremony/{operation_id}",
        "delete /ceremony/{operation_id}",
        "post /ceremony/{operation_id}/round/{n}",
        "get /ceremony/{operation_id}/events",
        "post /auth/register",
        "post /auth/params",
        "post /auth/token",
        "post /auth/refresh",
        "post /auth/logout",
        "post /auth/reauthenticate",
        "post /auth/password",
        "post /auth/recover/challenge",
        "post /auth/recover",
        "get /auth/sessions",
        "delete /auth/sessions",
        "delete /auth/sessions/{session}",
        "get /auth/passkeys",
        "post /auth/passkeys",
        "delete /auth/passkeys/{passkey}",
        "put /auth/passkeys/{passkey}/owner_blob",
        "post /auth/passkeys/options",
        "post /auth/passkeys/challenge",
        "post /auth/passkeys/token",
        "get /account",
        "delete /account",
        "post /keys",
        "get /keys",
        "get /keys/{group}",
        "post /keys/{group}/connections",
        "get /keys/{group}/connections",
        "delete /keys/{group}",
        "patch /keys/{group}/connections/{connection}",
        "delete /keys/{group}/connections/{connection}",
        "get /keys/{group}/requests",
        "post /keys/{group}/requests/{request}/approve",
        "post /keys/{group}/requests/{request}/deny",
        "post /keys/{group}/requests/{request}/offer",
        "post /keys/{group}/requests/{request}/contribution",
        "post /keys/{group}/export",
        "get /keys/{group}/export",
        "delete /keys/{group}/export",
        "post /keys/{group}/export/release",
        "post /keys/{group}/reshare",
        "get /keys/{group}/events",
        "get /keys/{group}/activity",
        "get /relay/{bunker_id}",
    ] {
        assert!(listed.iter().any(|it| it == route), "{route} is not in {listed:?}");
    }
    assert_eq!(listed.len(), 63);
}

/// The page's types are made from this file, where no server runs yet.
#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let served = format!("{:#}\n", ask("GET", "/openapi.json").body);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(file, &served).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed == served,
        "run `UPDATE_OPENAPI=1 cargo test -p passport-worker the_committed` and commit {file}"
    );
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = ask("GET", "/openapi.json").body;
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn routes_that_take_a_token_refuse_everyone_without_one() {
    let group = "00112233445566778899aabbccddeeff";
    for (method, path) in [
        ("POST", "/keys".to_owned()),
        ("GET", "/keys".to_owned()),
        ("GET", format!("/keys/{group}")),
        ("POST", format!("/keys/{group}/connections")),
        ("GET", format!("/keys/{group}/connections")),
        ("DELETE", format!("/keys/{group}/connections/{group}")),
        ("GET", format!("/keys/{group}/activity")),
        ("POST", "/auth/reauthenticate".to_owned()),
        ("POST", "/auth/password".to_owned()),
        ("GET", "/auth/sessions".to_owned()),
        ("DELETE", "/auth/sessions".to_owned()),
        ("DELETE", format!("/auth/sessions/{group}")),
        ("GET", "/auth/passkeys".to_owned()),
        ("POST", "/auth/passkeys".to_owned()),
        ("POST", "/auth/passkeys/options".to_owned()),
        ("DELETE", format!("/auth/passkeys/{group}")),
        ("PUT", format!("/auth/passkeys/{group}/owner_blob")),
        ("GET", "/account".to_owned()),
        ("DELETE", "/account".to_owned()),
        // One answer whatever the path says: it tells nobody which ids have the right form.
        ("GET", "/keys/x".to_owned()),
    ] {
        let answer = ask(method, &path);
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
        assert_eq!(answer.body["code"], "access_token_invalid");
    }
}

#[test]
fn nobody_reads_the_metrics_without_their_token() {
    let answer = ask("GET", "/metrics");
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::UNAUTHORIZED, &"metrics_token_invalid".into()));
}

#[test]
fn an_unknown_address_and_a_wrong_method_are_problems_with_a_request_id() {
    for path in ["/", "/apps/new", "/assets/index.js"] {
        assert_eq!(ask("POST", path).status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let nowhere = ask("GET", "/internal/provision");
    assert_eq!((nowhere.status, &nowhere.body["code"]), (StatusCode::NOT_FOUND, &"not_found".into()));
    let wrong = ask("DELETE", "/keys");
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    for answer in [nowhere, wrong] {
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body["request_id"], answer.headers["x-request-id"].to_str().unwrap());
        assert_eq!(answer.body["status"], answer.status.as_u16());
    }
}

#[test]
fn every_answer_is_inert_and_none_opens_the_api_to_other_origins() {
    for path in ["/healthz", "/holders", "/nowhere", "/keys", "/", "/apps/new"] {
        let request = http::Request::builder().uri(path).header("origin", "https://evil.test");
        let headers = ask_of(&app(), request).headers;
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    let preflight = ask("OPTIONS", "/keys");
    assert_eq!(preflight.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn the_holders_keys_are_those_of_the_configured_secrets() {
    let app = app();
    let answer = ask_of(&app, http::Request::builder().uri("/holders")).body;
    for (at, role, name) in
        [(0, "bunker", SecretName::BunkerReceivingKey), (1, "cosigner", SecretName::CosignerReceivingKey)]
    {
        let secret = app.config().secret(name);
        let expected = frost_wasm_core::provision::ReceivingKey::from_secret(secret).unwrap();
        assert_eq!(answer["holders"][at]["role"], role);
        assert_eq!(answer["holders"][at]["index"], at + 1);
        assert_eq!(answer["holders"][at]["receiving_key"], expected.public().to_string());
        assert!(!answer.to_string().contains(&hex::encode(secret.expose_secret())));
    }
}

#[test]
fn no_relay_name_that_we_did_not_give_out_reaches_an_object() {
    let app = app();
    let group = "00112233445566778899aabbccddeeff".parse().unwrap();
    let genuine = bunker_id(app.config().secret(SecretName::RoutingKey), &group);
    let upgrade = |path: String| {
        let request = http::Request::builder().uri(path).header("upgrade", "websocket");
        ask_of(&app, request).status
    };
    let forged = format!("{}{}", &genuine[..47], if genuine.ends_with('0') { '1' } else { '0' });
    for id in [forged.as_str(), &genuine[..32], "x", &genuine.to_uppercase()] {
        assert_eq!(upgrade(format!("/relay/{id}")), StatusCode::NOT_FOUND, "{id}");
    }
    assert_eq!(upgrade(format!("/relay/{genuine}")), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(upgrade(format!("/relay/{genuine}/")), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(upgrade(format!("/relay/{forged}/")), StatusCode::NOT_FOUND);
    // A genuine name that does not ask for the relay stops before the object as well.
    let plain = ask_of(&app, http::Request::builder().uri(format!("/relay/{genuine}")));
    assert_eq!(plain.status, StatusCode::UPGRADE_REQUIRED);
}

#[test]
fn a_log_line_has_the_route_and_neither_address_query_nor_token() {
    LINES.take();
    let group = "00112233445566778899aabbccddeeff";
    let request = http::Request::builder()
        .uri(format!("/keys/{group}/activity?after=4242"))
        .header("authorization", "Bearer prt_c2VjcmV0");
    ask_of(&app(), request);
    ask("GET", "/relay/abcdef?secret=4242");
    ask("GET", "/prt_c2VjcmV0");
    let lines = LINES.take();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("\"route\":\"/keys/{group}/activity\""), "{}", lines[0]);
    assert!(lines[2].contains("\"route\":\"unmatched\""));
    for line in lines {
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["event"], "request");
        for leak in [group, "4242", "c2VjcmV0", "abcdef"] {
            assert!(!line.contains(leak), "{line}");
        }
    }
}

#[test]
fn the_cause_of_a_failure_is_logged_and_not_answered() {
    LINES.take();
    let cause = "binding DB is missing";
    let request = http::Request::new(Body::empty());
    let response = now(telemetry::observe(request, None, |_| async { Problem::internal(cause).into_response() }));
    let body = now(axum::body::to_bytes(response.into_body(), usize::MAX)).unwrap();
    assert!(!String::from_utf8_lossy(&body).contains(cause));
    let lines = LINES.take();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(cause) && lines[0].contains("\"level\":\"error\""));
}
