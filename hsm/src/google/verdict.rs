//! What a refusal of Cloud KMS means. Only its status word is read, and of its message the words that tell states apart.

use serde::Deserialize;

use crate::{HsmError, HttpResponse};

#[derive(Deserialize)]
struct Answer {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

/// The error of an answer that is no 200. `opens` says that the request was to decrypt.
pub(super) fn refusal(response: &HttpResponse, opens: bool) -> HsmError {
    let Ok(Answer { error: Refusal { status, message } }) = response.json() else {
        return match response.status {
            401 | 403 => HsmError::CredentialsRefused,
            429 => HsmError::Throttled,
            500.. => HsmError::Unavailable,
            _ => HsmError::BadResponse,
        };
    };
    match status.as_str() {
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => HsmError::CredentialsRefused,
        "NOT_FOUND" => HsmError::KeyMissing,
        "RESOURCE_EXHAUSTED" => HsmError::Throttled,
        "DEADLINE_EXCEEDED" => HsmError::TimedOut,
        "FAILED_PRECONDITION" if message.contains("DESTROY_SCHEDULED") => HsmError::KeyPendingDeletion,
        "FAILED_PRECONDITION" if message.contains("DESTROYED") => HsmError::KeyMissing,
        "FAILED_PRECONDITION" if message.contains("DISABLED") => HsmError::KeyDisabled,
        "FAILED_PRECONDITION" => HsmError::WrongKey,
        // What we sent did not arrive as it was.
        "INVALID_ARGUMENT" if message.contains("checksum") => HsmError::BadResponse,
        // KMS says no more about a ciphertext of another key, with other associated data, or an altered one.
        "INVALID_ARGUMENT" if opens => HsmError::DoesNotOpen,
        _ => match response.status {
            429 => HsmError::Throttled,
            500.. => HsmError::Unavailable,
            _ => HsmError::BadResponse,
        },
    }
}

/// Google's words for a signed word whose times are not those of its own clock.
pub(super) fn is_clock(description: &str) -> bool {
    description.contains("short-lived token") || description.contains("iat and exp")
}
