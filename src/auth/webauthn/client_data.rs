//! `clientDataJSON`: what the browser says it was asked for, and by which page.
//!
//! <https://www.w3.org/TR/webauthn-3/#dictionary-client-data>

use serde::Deserialize;

use super::{Expected, WebauthnError};

/// Which of the two ceremonies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ceremony {
    Create,
    Get,
}

/// Browsers may write further fields, and some do to keep servers from comparing texts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
    #[serde(default)]
    top_origin: Option<serde_json::Value>,
}

pub(super) fn check(json: &[u8], ceremony: Ceremony, expected: &Expected<'_>) -> Result<(), WebauthnError> {
    let data: ClientData = serde_json::from_slice(json).map_err(|_| WebauthnError::ClientData)?;
    let wanted = match ceremony {
        Ceremony::Create => "webauthn.create",
        Ceremony::Get => "webauthn.get",
    };
    if data.r#type != wanted {
        return Err(WebauthnError::OtherCeremony);
    }
    if data.challenge != expected.challenge {
        return Err(WebauthnError::OtherChallenge);
    }
    if data.origin != expected.origin || data.cross_origin || data.top_origin.is_some() {
        return Err(WebauthnError::OtherOrigin);
    }
    Ok(())
}
