//! Filters of a subscription.
//!
//! Guards that a subscription means what it says: a field that is unknown, empty or of the wrong type
//! refuses the filter and names the field, where guessing would show an app events it did not ask for
//! or keep it waiting for some that never come.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/01.md#from-client-to-relay-sending-events-and-creating-subscriptions>

use core::fmt;
use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::event::Event;
use crate::keys::{EventId, PublicKey, lowercase_hex};
use crate::limits::{MAX_CREATED_AT_S, MAX_FILTER_VALUE_BYTES, MAX_FILTER_VALUES};

/// Why a filter was refused. The texts are stable and quote no input but a tag's letter.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FilterError {
    /// Not JSON.
    #[error("filter is not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("filter is not an object")]
    NotAnObject,
    /// A field NIP-01 does not name. Its meaning could only narrow the filter, so it is not skipped.
    #[error("filter contains unknown elements")]
    UnknownField,
    /// A field has the wrong type, or a value outside its range.
    #[error("filter has an invalid {0}")]
    Invalid(Field),
    /// A list is empty: NIP-01 asks for one value or more.
    #[error("filter has an empty {0}")]
    Empty(Field),
    /// A list has more than [`MAX_FILTER_VALUES`] values, or one of them is longer than
    /// [`MAX_FILTER_VALUE_BYTES`].
    #[error("filter has too many or too long values in {0}")]
    TooMany(Field),
}

/// A field of a filter, for errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Field {
    /// `ids`
    Ids,
    /// `authors`
    Authors,
    /// `kinds`
    Kinds,
    /// `#` and a letter
    Tag(char),
    /// `since`
    Since,
    /// `until`
    Until,
    /// `limit`
    Limit,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ids => f.write_str("ids"),
            Self::Authors => f.write_str("authors"),
            Self::Kinds => f.write_str("kinds"),
            Self::Tag(letter) => write!(f, "#{letter}"),
            Self::Since => f.write_str("since"),
            Self::Until => f.write_str("until"),
            Self::Limit => f.write_str("limit"),
        }
    }
}

/// What a subscription asks for. All conditions that are set must hold; a list holds if one of its
/// values does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Ids of events.
    pub ids: Option<Vec<EventId>>,
    /// Keys of their signers.
    pub authors: Option<Vec<PublicKey>>,
    /// Kinds.
    pub kinds: Option<Vec<u16>>,
    /// Values of single-letter tags.
    pub tags: BTreeMap<char, Vec<String>>,
    /// Seconds since 1970, inclusive.
    pub since: Option<u64>,
    /// Seconds since 1970, inclusive.
    pub until: Option<u64>,
    /// Stored events to send at most; no condition.
    pub limit: Option<u64>,
}

impl Filter {
    /// Parses the JSON of one filter.
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        Self::from_value(serde_json::from_str(json).map_err(|_| FilterError::NotJson)?)
    }

    /// Takes a filter that is already a JSON value, such as those behind `["REQ", <id>, …]`.
    pub fn from_value(value: Value) -> Result<Self, FilterError> {
        let Value::Object(object) = value else {
            return Err(FilterError::NotAnObject);
        };
        Self::from_object(object)
    }

    /// The values asked for in the tag called `letter`.
    pub fn tag(&self, letter: char) -> Option<&[String]> {
        self.tags.get(&letter).map(Vec::as_slice)
    }

    /// Whether `event` meets every condition. `limit` is none.
    pub fn matches(&self, event: &Event) -> bool {
        fn any_of<T: PartialEq>(list: Option<&Vec<T>>, value: &T) -> bool {
            list.is_none_or(|list| list.contains(value))
        }
        any_of(self.ids.as_ref(), &event.id)
            && any_of(self.authors.as_ref(), &event.pubkey)
            && any_of(self.kinds.as_ref(), &event.kind)
            && self.since.is_none_or(|since| event.created_at >= since)
            && self.until.is_none_or(|until| event.created_at <= until)
            && self.tags.iter().all(|(letter, wanted)| {
                let mut name = [0; 4];
                event.tag_values(letter.encode_utf8(&mut name)).any(|value| wanted.iter().any(|wanted| wanted == value))
            })
    }

    fn from_object(object: Map<String, Value>) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (name, value) in object {
            match name.as_str() {
                "ids" => {
                    let id = |value: &Value| hex_32(value).map(EventId::from_bytes);
                    filter.ids = Some(list(Field::Ids, value, id)?);
                }
                "authors" => {
                    let author = |value: &Value| hex_32(value).map(PublicKey::from_bytes);
                    filter.authors = Some(list(Field::Authors, value, author)?);
                }
                "kinds" => filter.kinds = Some(list(Field::Kinds, value, kind)?),
                "since" => filter.since = Some(seconds(Field::Since, &value)?),
                "until" => filter.until = Some(seconds(Field::Until, &value)?),
                "limit" => {
                    let limit = value.as_u64().ok_or(FilterError::Invalid(Field::Limit))?;
                    filter.limit = Some(limit);
                }
                _ => {
                    let letter = tag_letter(&name).ok_or(FilterError::UnknownField)?;
                    let values = list(Field::Tag(letter), value, |value| tag_value(letter, value))?;
                    filter.tags.insert(letter, values);
                }
            }
        }
        Ok(filter)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(ids) = &self.ids {
            map.serialize_entry("ids", ids)?;
        }
        if let Some(authors) = &self.authors {
            map.serialize_entry("authors", authors)?;
        }
        if let Some(kinds) = &self.kinds {
            map.serialize_entry("kinds", kinds)?;
        }
        for (letter, values) in &self.tags {
            map.serialize_entry(&format!("#{letter}"), values)?;
        }
        for (name, value) in [("since", self.since), ("until", self.until), ("limit", self.limit)] {
            if let Some(value) = value {
                map.serialize_entry(name, &value)?;
            }
        }
        map.end()
    }
}

fn list<T>(field: Field, value: Value, item: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, FilterError> {
    let Value::Array(values) = value else {
        return Err(FilterError::Invalid(field));
    };
    let too_long = |value: &Value| value.as_str().is_some_and(|text| text.len() > MAX_FILTER_VALUE_BYTES);
    if values.is_empty() {
        return Err(FilterError::Empty(field));
    }
    if values.len() > MAX_FILTER_VALUES || values.iter().any(too_long) {
        return Err(FilterError::TooMany(field));
    }
    values.iter().map(|value| item(value).ok_or(FilterError::Invalid(field))).collect()
}

fn hex_32(value: &Value) -> Option<[u8; 32]> {
    lowercase_hex(value.as_str()?).ok()
}

fn kind(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?).ok()
}

/// `e` and `p` name events and keys: NIP-01 wants exactly 64 lowercase hex characters there.
fn tag_value(letter: char, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    if matches!(letter, 'e' | 'p') {
        lowercase_hex::<32>(text).ok()?;
    }
    Some(text.to_owned())
}

fn tag_letter(name: &str) -> Option<char> {
    let mut chars = name.strip_prefix('#')?.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    chars.next().is_none().then_some(letter)
}

fn seconds(field: Field, value: &Value) -> Result<u64, FilterError> {
    value.as_u64().filter(|seconds| *seconds <= MAX_CREATED_AT_S).ok_or(FilterError::Invalid(field))
}
