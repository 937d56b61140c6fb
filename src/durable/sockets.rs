//! The object's sockets, while it is awake and while it hibernates: those of the relay, each with its own
//! subscriptions, and those over which the owner's pages hear that they should look again.

use bunker_core::{
    event::Event,
    relay::{Subscriptions, event_for},
    session::Mutation,
};
use worker::{Response, State, WebSocket, WebSocketPair};

use crate::{
    metrics::{self, Gauge, Source},
    platform,
    problem::Problem,
};

/// What a socket is for. It stays with the socket for its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An app on the relay.
    Relay,
    /// A page of the owner's.
    Events,
}

impl Purpose {
    /// Sockets of one object. Each app of a person has one, on each of their devices; each page too.
    fn most(self) -> usize {
        match self {
            Self::Relay => 256,
            Self::Events => 32,
        }
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Events => "events",
        }
    }
}

/// Hint that what waits is to be looked at again.
pub(super) const REQUESTS: &str = r#"{"type":"requests"}"#;
/// How long a page's socket lives, in seconds: as long as the access token that opened it, at most.
const EVENTS_LIFETIME_S: u64 = crate::auth::access_token::ACCESS_TOKEN_LIFETIME_S;
/// Close code of a socket whose time is over: come again with a fresh token.
const TOKEN_EXPIRED: u16 = 4401;

/// Opens a socket.
///
/// # Errors
/// When there are too many.
pub(super) fn open(object: &State, purpose: Purpose) -> Result<Response, Problem> {
    let failed = |error: worker::Error| Problem::internal(error.to_string());
    if object.get_websockets_with_tag(purpose.tag()).len() >= purpose.most() {
        return Err(Problem::new(503, "too_many_sockets", "Too many apps are connected. Close some and try again."));
    }
    let WebSocketPair { client, server } = WebSocketPair::new().map_err(failed)?;
    object.accept_websocket_with_tags(&server, &[purpose.tag()]);
    if purpose == Purpose::Events {
        server.serialize_attachment(platform::now_s() + EVENTS_LIFETIME_S).map_err(failed)?;
    }
    Response::from_websocket(client).map_err(failed)
}

/// Tells how many apps' sockets are open. `ending` is how many of them the platform still lists that are about to go.
pub(super) fn report(object: &State, ending: usize) {
    let open = object.get_websockets_with_tag(Purpose::Relay.tag()).len().saturating_sub(ending);
    let source = Source::object(&object.id().to_string());
    metrics::report(Gauge::RelaySockets, source, u64::try_from(open).unwrap_or(u64::MAX));
}

/// Whether a socket is an app's.
pub(super) fn is_of_relay(object: &State, socket: &WebSocket) -> bool {
    object.get_tags(socket).iter().any(|tag| tag == Purpose::Relay.tag())
}

/// Tells the owner's pages what they should look at again after these changes.
pub(super) fn announce(object: &State, mutations: &[Mutation]) {
    tell(object, &hints(mutations));
}

/// Sends hints to those who listen for them, while their tokens last.
pub(super) fn tell(object: &State, hints: &[String]) {
    for socket in object.get_websockets_with_tag(Purpose::Events.tag()) {
        let ends_at_s: Option<u64> = socket.deserialize_attachment().ok().flatten();
        if ends_at_s.is_some_and(|end_s| platform::now_s() < end_s) {
            hints.iter().for_each(|hint| send(&socket, hint));
        } else {
            // Fails when the page is gone already.
            let _ = socket.close(Some(TOKEN_EXPIRED), Some("open again with a fresh access token"));
        }
    }
}

fn hints(mutations: &[Mutation]) -> Vec<String> {
    let any = |is: fn(&Mutation) -> bool| mutations.iter().any(is);
    let mut hints = Vec::new();
    if any(|it| matches!(it, Mutation::Pending(..) | Mutation::Settled(_) | Mutation::Decision(..))) {
        hints.push(REQUESTS.to_owned());
    }
    if any(|it| matches!(it, Mutation::Connection(_))) {
        hints.push(r#"{"type":"connections"}"#.to_owned());
    }
    let last = mutations.iter().rev().find_map(|it| match it {
        Mutation::Audit(record) => Some(record.n),
        _ => None,
    });
    hints.extend(last.map(|n| format!(r#"{{"type":"activity","n":{n}}}"#)));
    hints
}

/// Ends a socket that its client is ending.
pub(super) fn close(socket: &WebSocket, code: usize) {
    // 1005, 1006 and 1015 report how a socket ended and may not be sent.
    let code = u16::try_from(code).ok().filter(|code| !matches!(code, 1005 | 1006 | 1015));
    // Fails when the client is gone already, which is what closing is for.
    let _ = socket.close(code, None::<&str>);
}

/// What a socket subscribes to.
pub(super) fn subscriptions(socket: &WebSocket) -> Subscriptions {
    let kept: Option<String> = socket.deserialize_attachment().ok().flatten();
    kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Keeps what a socket subscribes to.
///
/// # Errors
/// When it is more than the platform keeps with a socket.
pub(super) fn keep(socket: &WebSocket, subscriptions: &Subscriptions) -> worker::Result<()> {
    socket.serialize_attachment(serde_json::to_string(subscriptions)?)
}

/// Sends an event to every subscription that names its recipient.
pub(super) fn publish(object: &State, event: &Event) {
    for socket in object.get_websockets_with_tag(Purpose::Relay.tag()) {
        for subscription in subscriptions(&socket).matching(event) {
            send(&socket, &event_for(subscription, event));
        }
    }
}

/// Sends a frame. A socket that closed meanwhile misses it; the reply is kept for when its client asks again.
pub(super) fn send(socket: &WebSocket, frame: &str) {
    if let Err(error) = socket.send_with_str(frame) {
        crate::telemetry::failure("socket_closed", &error.to_string());
    }
}
