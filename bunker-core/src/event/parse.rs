//! Reading events and templates field by field, with an error that names the field and quotes nothing.

use serde_json::{Map, Value};

use super::EventError;
use crate::keys::lowercase_hex;
use crate::limits::{MAX_EVENT_JSON_BYTES, MAX_TAG_ITEM_BYTES, MAX_TAG_ITEMS, MAX_TAGS};

pub(super) fn object_from_text(json: &str) -> Result<Map<String, Value>, EventError> {
    if json.len() > MAX_EVENT_JSON_BYTES {
        return Err(EventError::TooLarge(json.len()));
    }
    match serde_json::from_str(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(EventError::NotAnObject),
        Err(_) => Err(EventError::NotJson),
    }
}

pub(super) fn take(object: &mut Map<String, Value>, field: &'static str) -> Result<Value, EventError> {
    object.remove(field).ok_or(EventError::Missing(field))
}

pub(super) fn take_string(object: &mut Map<String, Value>, field: &'static str) -> Result<String, EventError> {
    match take(object, field)? {
        Value::String(text) => Ok(text),
        _ => Err(EventError::Invalid(field)),
    }
}

pub(super) fn take_hex<const N: usize>(
    object: &mut Map<String, Value>,
    field: &'static str,
) -> Result<[u8; N], EventError> {
    lowercase_hex(&take_string(object, field)?).map_err(|_| EventError::Invalid(field))
}

pub(super) fn tags_from(value: Value) -> Result<Vec<Vec<String>>, EventError> {
    let Value::Array(tags) = value else {
        return Err(EventError::Invalid("tags"));
    };
    if tags.len() > MAX_TAGS {
        return Err(EventError::TagLimit);
    }
    tags.into_iter().map(tag_from).collect()
}

fn tag_from(value: Value) -> Result<Vec<String>, EventError> {
    match value {
        Value::Array(items) if items.is_empty() => Err(EventError::Invalid("tags")),
        Value::Array(items) if items.len() > MAX_TAG_ITEMS => Err(EventError::TagLimit),
        Value::Array(items) => items.into_iter().map(tag_item_from).collect(),
        _ => Err(EventError::Invalid("tags")),
    }
}

fn tag_item_from(value: Value) -> Result<String, EventError> {
    match value {
        Value::String(text) if text.len() > MAX_TAG_ITEM_BYTES => Err(EventError::TagLimit),
        Value::String(text) => Ok(text),
        _ => Err(EventError::Invalid("tags")),
    }
}
