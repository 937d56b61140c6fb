//! Schemas of ids and texts for the HTTP API's document.

use utoipa::openapi::{
    RefOr,
    schema::{ObjectBuilder, Schema, Type},
};

/// Lowercase hex of so many bytes.
pub(crate) fn hex(bytes: usize) -> RefOr<Schema> {
    let pattern = format!("^[0-9a-f]{{{}}}$", 2 * bytes);
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
}

/// One to so many printable characters.
pub(crate) fn text(max_chars: usize) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(max_chars)).into()
}
