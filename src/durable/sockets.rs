//! The relay's sockets: each keeps its own subscriptions, also while the object hibernates.

use bunker_core::{
    event::Event,
    relay::{Subscriptions, event_for},
};
use worker::{State, WebSocket};

/// Sockets of one object. Each app of a person has one, on each of their devices.
pub(super) const MAX_SOCKETS: usize = 256;

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
    for socket in object.get_websockets() {
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
