//! `GET /relay/{bunker_id}`: the door to a group's own relay.
//!
//! Only the name is judged here, before any object is touched. Everything said through the socket
//! is for the object, which holds the protocol.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, header};

use super::bunker_id::group_of;
use crate::config::secrets::SecretName;
use crate::durable::rpc::BunkerClient;
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Bindings};

/// The media type under which a relay describes itself (NIP-11).
const NIP11: &str = "application/nostr+json";

/// Opens the relay's web socket (NIP-01), or describes the relay (NIP-11) on
/// `Accept: application/nostr+json`.
#[utoipa::path(
    get, path = "/relay/{bunker_id}", tag = "relay", operation_id = "relay",
    params(("bunker_id" = String, Path, description = "48 hex digits, as in the bunker URL")),
    responses(
        (status = 101, description = "Web socket, NIP-01"),
        (status = 200, description = "NIP-11 document", content_type = "application/nostr+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn relay(
    State(app): State<App>,
    bunker_id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let routing_key = app.config().secret(SecretName::RoutingKey);
    let group = bunker_id
        .ok()
        .and_then(|Path(bunker_id)| group_of(routing_key, &bunker_id))
        .ok_or_else(|| Problem::not_found("There is no such relay. Copy the bunker URL again."))?;
    if !is_for_the_relay(request.headers()) {
        return Err(Problem::new(
            426,
            "upgrade_required",
            "This is a Nostr relay: open it as a web socket, or ask for application/nostr+json.",
        ));
    }
    let Bindings(env) = Bindings::of(request.extensions())?;
    let request = worker::Request::try_from(request.map(|_: Body| worker::Body::empty()))
        .map_err(|error| Problem::internal(format!("the request could not be passed on: {error}")))?;
    Ok(BunkerClient::for_group(&env, &group)?.relay(request).await?.into())
}

fn is_for_the_relay(headers: &HeaderMap) -> bool {
    let has = |name, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']))
            .any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    has(header::UPGRADE, "websocket") || has(header::ACCEPT, NIP11)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_sockets_and_nip_11_pass_to_the_object() {
        let passes = |name: http::HeaderName, value: &str| {
            let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
            is_for_the_relay(&headers)
        };
        assert!(passes(header::UPGRADE, "WebSocket"));
        assert!(passes(header::ACCEPT, "text/html, application/nostr+json;q=0.9"));
        assert!(!passes(header::ACCEPT, "*/*"));
        assert!(!passes(header::UPGRADE, "h2c"));
        assert!(!is_for_the_relay(&HeaderMap::new()));
    }
}
