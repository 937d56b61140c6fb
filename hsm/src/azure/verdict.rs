//! What a refusal of a vault means. Only its codes are read.

use serde::Deserialize;

use crate::{HsmError, HttpResponse};

#[derive(Deserialize)]
struct Answer {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: String,
    #[serde(alias = "innerError")]
    innererror: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    code: String,
}

/// The error of an answer that is no 200. `opens` says that the request was to unwrap.
pub(super) fn refusal(response: &HttpResponse, opens: bool) -> HsmError {
    let Ok(Answer { error }) = response.json() else { return by_status(response.status) };
    let inner = error.innererror.map(|inner| inner.code).unwrap_or_default();
    match (error.code.as_str(), inner.as_str()) {
        (_, "KeyDisabled") => HsmError::KeyDisabled,
        (_, "ObjectIsDeletedButRecoverable" | "ObjectIsBeingDeleted") => HsmError::KeyPendingDeletion,
        ("KeyNotFound", _) => HsmError::KeyMissing,
        ("Throttled", _) => HsmError::Throttled,
        // The vault says no more about a ciphertext of another key or an altered one.
        ("BadParameter", _) if opens => HsmError::DoesNotOpen,
        _ => by_status(response.status),
    }
}

fn by_status(status: u16) -> HsmError {
    match status {
        401 | 403 => HsmError::CredentialsRefused,
        404 => HsmError::KeyMissing,
        408 => HsmError::TimedOut,
        429 => HsmError::Throttled,
        500.. => HsmError::Unavailable,
        _ => HsmError::BadResponse,
    }
}
