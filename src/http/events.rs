//! `GET /keys/{group}/events`: a socket over which a signed-in page hears that it should look again.
//!
//! What is sent are hints without content; what they point to is fetched over the routes that check the caller.
//! A browser can't set a header on a web socket, so the access token comes as a subprotocol: in a header of the
//! request, and in no address.

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};

use super::keys::reachable;
use super::path::GroupPath;
use crate::auth::Caller;
use crate::durable::rpc::BunkerClient;
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Bindings, Database};
use crate::storage::D1Store;

/// The protocol of the socket; the one that the answer names.
const PROTOCOL: &str = "passport.events.v1";
/// What stands before the access token in the list of protocols.
const TOKEN_PREFIX: &str = "token.";

/// Opens the socket. Its messages are `{"type":"requests"}`, `{"type":"connections"}` and
/// `{"type":"activity","n":…}`. It closes with 4401 when an access token's life is over.
#[utoipa::path(
    get, path = "/keys/{group}/events", tag = "keys", operation_id = "events",
    security(("access_token" = [])),
    params(
        ("group" = String, Path, description = "32 hex digits"),
        ("sec-websocket-protocol" = String, Header, description = "`passport.events.v1, token.<access token>`"),
    ),
    responses(
        (status = 101, description = "Web socket"),
        (status = 401, description = "`access_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn events(
    State(app): State<App>,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller_of(&store, &app, &request).await?;
    reachable(&store, &caller, &group).await?;
    open_socket(&request, || async { BunkerClient::for_group(&env, &group)?.events().await }).await
}

/// Who opens a socket.
pub(super) async fn caller_of(store: &D1Store, app: &App, request: &Request) -> Result<Caller, Problem> {
    let token = offered_token(request.headers()).unwrap_or_default();
    Caller::of_token(store, app, token).await
}

/// Has an object open a socket for a request that asks for one.
pub(super) async fn open_socket<F>(request: &Request, open: impl FnOnce() -> F) -> Result<Response, Problem>
where
    F: Future<Output = Result<worker::Response, Problem>>,
{
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err(Problem::new(426, "upgrade_required", "Open this address as a web socket."));
    }
    let mut response: Response = open().await?.into();
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    Ok(response)
}

/// The token among the offered protocols, if ours is offered too.
fn offered_token(headers: &HeaderMap) -> Option<&str> {
    let offered = || {
        let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
    };
    let token = offered().find_map(|name| name.strip_prefix(TOKEN_PREFIX));
    token.filter(|_| offered().any(|name| name == PROTOCOL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_read_beside_our_own_protocol_only() {
        let read = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(value))]);
            offered_token(&headers).map(str::to_owned)
        };
        assert_eq!(read("passport.events.v1, token.a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(read("token.a.b.c"), None);
        assert_eq!(read("passport.events.v1"), None);
        assert_eq!(offered_token(&HeaderMap::new()), None);
    }
}
