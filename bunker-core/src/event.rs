//! Nostr events: parsing, ids, signatures.
//!
//! Guards that an event's id is the hash of exactly what it says and that its signature is BIP-340
//! under exactly the key it names. A [`Template`] keeps what an app asked to have signed byte for
//! byte, so that nothing is signed that nobody asked for. Out of scope: what a kind means.
//!
//! NIP-01 lists seven characters to escape and wants all others verbatim; for the remaining control
//! characters every client and relay follows `JSON.stringify`, which writes them as `\u00xx`, and a
//! signature over anything else verifies nowhere. [`compute_id`] does the same.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/01.md>

mod parse;
mod serial;
mod template;

use core::ops::Deref;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::keys::{EventId, PublicKey};
use parse::{object_from_text, take_hex};
use serial::{push_string, push_tags};
pub use template::Template;

/// Why an event or a template was refused. The texts are stable and quote no input.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EventError {
    /// The text is longer than [`MAX_EVENT_JSON_BYTES`](crate::limits::MAX_EVENT_JSON_BYTES).
    #[error("event is too large: {0} bytes")]
    TooLarge(usize),
    /// Not JSON.
    #[error("event is not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("event is not an object")]
    NotAnObject,
    /// A field is missing.
    #[error("event has no {0}")]
    Missing(&'static str),
    /// A field has the wrong type, or a value outside its range.
    #[error("event has an invalid {0}")]
    Invalid(&'static str),
    /// More than [`MAX_TAGS`](crate::limits::MAX_TAGS) tags, [`MAX_TAG_ITEMS`](crate::limits::MAX_TAG_ITEMS) strings in one, or [`MAX_TAG_ITEM_BYTES`](crate::limits::MAX_TAG_ITEM_BYTES) bytes
    /// in one string.
    #[error("event has too many or too long tags")]
    TagLimit,
    /// The id is not the hash of the event.
    #[error("event id does not match its content")]
    IdMismatch,
    /// The signature is not BIP-340 over the id under the event's public key.
    #[error("event signature is invalid")]
    BadSignature,
}

/// A signed event, parsed but not verified.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Event {
    /// SHA-256 of the serialisation.
    pub id: EventId,
    /// Who claims to have signed.
    pub pubkey: PublicKey,
    /// Seconds since 1970, at most [`MAX_CREATED_AT_S`](crate::limits::MAX_CREATED_AT_S).
    pub created_at: u64,
    /// What the content means.
    pub kind: u16,
    /// Each tag has one string or more.
    pub tags: Vec<Vec<String>>,
    /// Anything.
    pub content: String,
    /// BIP-340 signature over the id.
    #[serde(serialize_with = "serialize_hex")]
    pub sig: [u8; 64],
}

impl Event {
    /// Parses the JSON of one event. Fields that NIP-01 does not name are ignored.
    pub fn parse(json: &str) -> Result<Self, EventError> {
        Self::from_object(object_from_text(json)?)
    }

    /// Takes an event that is already a JSON value, such as the second element of `["EVENT", …]`.
    pub fn from_value(value: Value) -> Result<Self, EventError> {
        match value {
            Value::Object(object) => Self::from_object(object),
            _ => Err(EventError::NotAnObject),
        }
    }

    /// Checks that the id is the hash of this event.
    pub fn check_id(&self) -> Result<(), EventError> {
        if hash(&self.pubkey, self.created_at, self.kind, &self.tags, &self.content) == self.id {
            Ok(())
        } else {
            Err(EventError::IdMismatch)
        }
    }

    /// Checks the id, then the signature.
    pub fn verify(&self) -> Result<(), EventError> {
        self.check_id()?;
        self.pubkey.verify(self.id.as_bytes(), &self.sig).map_err(|_| EventError::BadSignature)
    }

    /// Verifies, and keeps the fact in the type.
    pub fn into_verified(self) -> Result<VerifiedEvent, EventError> {
        self.verify()?;
        Ok(VerifiedEvent(self))
    }

    /// The second string of every tag whose first is `name`.
    pub fn tag_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.tags.iter().filter_map(move |tag| match tag.as_slice() {
            [first, second, ..] if first == name => Some(second.as_str()),
            _ => None,
        })
    }

    /// The event's JSON on one line, fields in NIP-01's order.
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(self.content.len() + 512);
        json.push_str("{\"id\":\"");
        json.push_str(&self.id.to_hex());
        json.push_str("\",\"pubkey\":\"");
        json.push_str(&self.pubkey.to_hex());
        json.push_str("\",\"created_at\":");
        json.push_str(&self.created_at.to_string());
        json.push_str(",\"kind\":");
        json.push_str(&self.kind.to_string());
        json.push_str(",\"tags\":");
        push_tags(&mut json, &self.tags);
        json.push_str(",\"content\":");
        push_string(&mut json, &self.content);
        json.push_str(",\"sig\":\"");
        json.push_str(&hex::encode(self.sig));
        json.push_str("\"}");
        json
    }

    fn from_object(mut object: Map<String, Value>) -> Result<Self, EventError> {
        let id = take_hex(&mut object, "id").map(EventId::from_bytes)?;
        let pubkey = take_hex(&mut object, "pubkey").map(PublicKey::from_bytes)?;
        let sig = take_hex(&mut object, "sig")?;
        let Template { created_at, kind, tags, content } = Template::from_object(object)?;
        Ok(Self { id, pubkey, created_at, kind, tags, content, sig })
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// An event whose id and signature hold. Only [`Event::into_verified`] makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedEvent(Event);

impl VerifiedEvent {
    /// The event.
    pub fn event(&self) -> &Event {
        &self.0
    }

    /// The event, no longer known to be verified.
    pub fn into_event(self) -> Event {
        self.0
    }
}

impl Deref for VerifiedEvent {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.0
    }
}

/// The id of `template` when signed by `pubkey`: SHA-256 of
/// `[0,<pubkey>,<created_at>,<kind>,<tags>,<content>]` without white space.
pub fn compute_id(pubkey: &PublicKey, template: &Template) -> EventId {
    let Template { created_at, kind, tags, content } = template;
    hash(pubkey, *created_at, *kind, tags, content)
}

fn hash(pubkey: &PublicKey, created_at: u64, kind: u16, tags: &[Vec<String>], content: &str) -> EventId {
    let mut text = String::with_capacity(content.len() + 128);
    text.push_str("[0,\"");
    text.push_str(&pubkey.to_hex());
    text.push_str("\",");
    text.push_str(&created_at.to_string());
    text.push(',');
    text.push_str(&kind.to_string());
    text.push(',');
    push_tags(&mut text, tags);
    text.push(',');
    push_string(&mut text, content);
    text.push(']');
    EventId::from_bytes(Sha256::digest(text.as_bytes()).into())
}

fn serialize_hex<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}
