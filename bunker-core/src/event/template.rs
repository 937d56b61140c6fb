//! What an app asks to have signed.

use rand_core::{CryptoRng, RngCore};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::parse::{object_from_text, tags_from, take, take_string};
use super::{Event, EventError, compute_id};
use crate::keys::{KeyError, PublicKey, TransportSecret};
use crate::limits::MAX_CREATED_AT_S;

/// What an app asks to have signed: an event without key, id and signature.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Template {
    /// Seconds since 1970, at most [`MAX_CREATED_AT_S`].
    pub created_at: u64,
    /// What the content means.
    pub kind: u16,
    /// Each tag has one string or more.
    pub tags: Vec<Vec<String>>,
    /// Anything.
    pub content: String,
}

impl Template {
    /// Parses the JSON of one template. `pubkey`, `id` and `sig`, which some clients send along, are
    /// ignored like every other field.
    pub fn parse(json: &str) -> Result<Self, EventError> {
        Self::from_object(object_from_text(json)?)
    }

    /// Takes a template that is already a JSON value.
    pub fn from_value(value: Value) -> Result<Self, EventError> {
        match value {
            Value::Object(object) => Self::from_object(object),
            _ => Err(EventError::NotAnObject),
        }
    }

    /// Signs with an ordinary key, such as a connection's transport key.
    pub fn sign_with<R: RngCore + CryptoRng>(self, secret: &TransportSecret, rng: &mut R) -> Result<Event, KeyError> {
        let pubkey = secret.public_key();
        let id = compute_id(&pubkey, &self);
        let sig = secret.sign(id.as_bytes(), rng)?;
        Ok(self.into_signed(pubkey, sig))
    }

    /// Joins a signature made elsewhere. Nothing is verified: see [`Event::verify`].
    pub fn into_signed(self, pubkey: PublicKey, sig: [u8; 64]) -> Event {
        let id = compute_id(&pubkey, &self);
        let Self { created_at, kind, tags, content } = self;
        Event { id, pubkey, created_at, kind, tags, content, sig }
    }

    pub(crate) fn from_object(mut object: Map<String, Value>) -> Result<Self, EventError> {
        let created_at = take(&mut object, "created_at")?
            .as_u64()
            .filter(|seconds| *seconds <= MAX_CREATED_AT_S)
            .ok_or(EventError::Invalid("created_at"))?;
        let kind = take(&mut object, "kind")?
            .as_u64()
            .and_then(|kind| u16::try_from(kind).ok())
            .ok_or(EventError::Invalid("kind"))?;
        let tags = tags_from(take(&mut object, "tags")?)?;
        let content = take_string(&mut object, "content")?;
        Ok(Self { created_at, kind, tags, content })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
