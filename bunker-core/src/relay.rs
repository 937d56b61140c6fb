//! The embedded relay of one group: NIP-01 over one socket, and NIP-11.
//!
//! Guards what enters: only kind-24133 events for one of the group's own transport keys, with a true id and
//! signature and a fresh time. Nothing is stored and nothing is replayed to a new subscription, as the kind is
//! ephemeral; so every REQ is answered with EOSE at once. A subscription has to name the recipient in `#p`,
//! because otherwise one app could watch the traffic of all others.
//!
//! NIP-42 is not asked for: clients that wait for a challenge before they publish would wait for ever.
//! Out of scope: decryption and all decisions about a request, in `session`.
//!
//! <https://github.com/nostr-protocol/nips/blob/master/01.md>,
//! <https://github.com/nostr-protocol/nips/blob/master/11.md>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    event::{Event, EventError, VerifiedEvent},
    filter::Filter,
    keys::{EventId, PublicKey},
    nip46,
    replay::{Freshness, MAX_AGE_S, MAX_AHEAD_S, freshness},
};

/// Largest frame in bytes. Room for a long article as a NIP-44 payload inside a NIP-44 payload.
pub const MAX_FRAME_BYTES: usize = 512 * 1024;
/// Subscriptions of one socket. Clients open one for each of their connections here.
pub const MAX_SUBSCRIPTIONS: usize = 16;
/// Filters of one REQ.
pub const MAX_FILTERS: usize = 8;
/// Length of a subscription id in characters (NIP-01).
pub const MAX_SUBSCRIPTION_ID_CHARS: usize = 64;

/// The open subscriptions of one socket. Kept with the socket while the object hibernates.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subscriptions(BTreeMap<String, Vec<Interest>>);

/// What of a filter matters here: nothing is stored, so limits and times of the past do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Interest {
    p: Vec<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    authors: Option<Vec<PublicKey>>,
}

/// A frame from a client, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// Put this frame on the socket; nothing else to do.
    Reply(String),
    /// The subscriptions changed: keep them, then send the frame, if any.
    Subscribed(Subscriptions, Option<String>),
    /// An event was published; see [`admit`].
    Event(Box<Event>),
}

/// Reads one text frame of a socket that has `subscriptions`. Total: every frame has an answer.
pub fn receive(subscriptions: &Subscriptions, frame: &str) -> Incoming {
    if frame.len() > MAX_FRAME_BYTES {
        return Incoming::Reply(notice(&format!("invalid: a frame is at most {MAX_FRAME_BYTES} bytes")));
    }
    let Ok(Value::Array(parts)) = serde_json::from_str::<Value>(frame) else {
        return Incoming::Reply(notice("invalid: a message is a JSON array"));
    };
    let mut parts = parts.into_iter();
    match (parts.next().as_ref().and_then(Value::as_str), parts.next()) {
        (Some("EVENT"), Some(event)) => receive_event(event),
        (Some("REQ"), Some(Value::String(id))) => subscribe(subscriptions, id, parts.collect()),
        (Some("CLOSE"), Some(Value::String(id))) => {
            let mut left = subscriptions.clone();
            left.0.remove(&id);
            Incoming::Subscribed(left, None)
        }
        (Some("AUTH"), Some(event)) => {
            let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
            Incoming::Reply(ok_text(id, false, "unsupported: this relay does not ask for AUTH"))
        }
        (Some("EVENT" | "REQ" | "CLOSE" | "AUTH"), _) => {
            Incoming::Reply(notice("invalid: the message lacks its second element or it has the wrong type"))
        }
        (Some(_), _) => Incoming::Reply(notice("unsupported: this relay knows EVENT, REQ and CLOSE")),
        (None, _) => Incoming::Reply(notice("invalid: a message begins with its type")),
    }
}

fn receive_event(event: Value) -> Incoming {
    let id = event.get("id").and_then(Value::as_str).map(str::to_owned);
    match (serde_json::from_value::<Event>(event), id) {
        (Ok(event), _) => Incoming::Event(Box::new(event)),
        (Err(error), Some(id)) if id.len() == 64 => Incoming::Reply(ok_text(&id, false, &format!("invalid: {error}"))),
        (Err(error), _) => Incoming::Reply(notice(&format!("invalid: {error}"))),
    }
}

fn subscribe(subscriptions: &Subscriptions, id: String, filters: Vec<Value>) -> Incoming {
    if id.is_empty() || id.chars().count() > MAX_SUBSCRIPTION_ID_CHARS {
        let text = format!("invalid: a subscription id has 1 to {MAX_SUBSCRIPTION_ID_CHARS} characters");
        return Incoming::Reply(notice(&text));
    }
    let refuse = |reason: &str| Incoming::Reply(closed(&id, reason));
    if filters.is_empty() || filters.len() > MAX_FILTERS {
        return refuse(&format!("invalid: a REQ has 1 to {MAX_FILTERS} filters"));
    }
    let mut interests = Vec::new();
    for filter in filters {
        match serde_json::from_value::<Filter>(filter).map(|filter| Interest::of(&filter)) {
            Ok(Ok(interest)) => interests.extend(interest),
            Ok(Err(NoRecipient)) => return refuse("restricted: name the recipient with #p"),
            Err(error) => return refuse(&format!("invalid: {error}")),
        }
    }
    let mut next = subscriptions.clone();
    next.0.insert(id.clone(), interests);
    if next.0.len() > MAX_SUBSCRIPTIONS {
        return refuse(&format!("rate-limited: at most {MAX_SUBSCRIPTIONS} subscriptions on one socket"));
    }
    Incoming::Subscribed(next, Some(json!(["EOSE", id]).to_string()))
}

struct NoRecipient;

impl Interest {
    /// `None` when the filter can match nothing that this relay carries.
    fn of(filter: &Filter) -> Result<Option<Self>, NoRecipient> {
        if filter.kinds.as_ref().is_some_and(|kinds| !kinds.contains(&nip46::KIND)) {
            return Ok(None);
        }
        let p = filter.tag('p').ok_or(NoRecipient)?;
        let p = p.iter().filter_map(|key| key.parse().ok()).collect();
        Ok(Some(Self { p, authors: filter.authors.clone() }))
    }

    fn matches(&self, event: &Event, recipient: &PublicKey) -> bool {
        let from_author = self.authors.as_ref().is_none_or(|authors| authors.contains(&event.pubkey));
        self.p.contains(recipient) && from_author
    }
}

impl Subscriptions {
    /// The ids of the subscriptions that an event for its `p` key is sent to.
    pub fn matching<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a str> {
        let recipient = recipient(event);
        self.0
            .iter()
            .filter(move |(_, interests)| {
                recipient.is_some_and(|key| interests.iter().any(|interest| interest.matches(event, &key)))
            })
            .map(|(id, _)| id.as_str())
    }
}

/// Why an event is not taken. The text begins with NIP-01's machine-readable prefix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Another kind than NIP-46's.
    #[error("blocked: this relay carries kind {} only", nip46::KIND)]
    Kind,
    /// No `p` tag, or one that is no key.
    #[error("invalid: a request names its recipient in one p tag")]
    NoRecipient,
    /// The recipient is not a connection of this group.
    #[error("blocked: no such connection here; check the bunker URL")]
    UnknownRecipient,
    /// Too old.
    #[error("invalid: created_at is more than {MAX_AGE_S} seconds ago; check the clock of this device")]
    Stale,
    /// Too far ahead.
    #[error("invalid: created_at is more than {MAX_AHEAD_S} seconds ahead; check the clock of this device")]
    Ahead,
    /// Id or signature is wrong.
    #[error("invalid: {0}")]
    Event(#[from] EventError),
}

/// Checks a published event in order of cost; `is_ours` says whether a key is one of the group's transport keys.
///
/// # Errors
/// What OK false says.
pub fn admit(event: Event, now_s: u64, is_ours: impl Fn(&PublicKey) -> bool) -> Result<VerifiedEvent, NotTaken> {
    if event.kind != nip46::KIND {
        return Err(NotTaken::Kind);
    }
    let recipient = recipient(&event).ok_or(NotTaken::NoRecipient)?;
    if !is_ours(&recipient) {
        return Err(NotTaken::UnknownRecipient);
    }
    match freshness(event.created_at, now_s) {
        Freshness::Fresh => Ok(event.into_verified()?),
        Freshness::Stale => Err(NotTaken::Stale),
        Freshness::Ahead => Err(NotTaken::Ahead),
    }
}

/// The key in an event's only `p` tag.
pub fn recipient(event: &Event) -> Option<PublicKey> {
    let mut recipients = event.tags.iter().filter(|tag| tag.first().is_some_and(|name| name == "p"));
    match (recipients.next(), recipients.next()) {
        (Some(tag), None) => tag.get(1)?.parse().ok(),
        _ => None,
    }
}

/// `["OK", id, accepted, message]`
pub fn ok(event: &EventId, accepted: bool, message: &str) -> String {
    ok_text(&event.to_string(), accepted, message)
}

/// `["NOTICE", message]`
pub fn notice(message: &str) -> String {
    json!(["NOTICE", message]).to_string()
}

/// `["CLOSED", id, message]`
pub fn closed(subscription: &str, message: &str) -> String {
    json!(["CLOSED", subscription, message]).to_string()
}

/// `["EVENT", id, event]`
pub fn event_for(subscription: &str, event: &Event) -> String {
    json!(["EVENT", subscription, event]).to_string()
}

fn ok_text(id: &str, accepted: bool, message: &str) -> String {
    json!(["OK", id, accepted, message]).to_string()
}

/// The relay information document (NIP-11).
pub fn information(version: &str) -> Value {
    json!({
        "name": "Passport",
        "description": "The relay of one Nostr identity's bunker. It carries NIP-46 requests and replies of that identity's own connections and stores no events.",
        "software": "passport",
        "version": version,
        "supported_nips": [1, 11, 46],
        "limitation": {
            "max_message_length": MAX_FRAME_BYTES,
            "max_subscriptions": MAX_SUBSCRIPTIONS,
            "max_filters": MAX_FILTERS,
            "max_subid_length": MAX_SUBSCRIPTION_ID_CHARS,
            "max_limit": 0,
            "default_limit": 0,
            "auth_required": false,
            "payment_required": false,
            "restricted_writes": true,
            "created_at_lower_limit": MAX_AGE_S,
            "created_at_upper_limit": MAX_AHEAD_S,
        },
        "retention": [{ "kinds": [nip46::KIND], "time": 0 }],
    })
}
