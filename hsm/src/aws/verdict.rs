//! What a refusal of KMS means. Only its type is read, and of its message the words that tell a clock or a state apart.

use serde::Deserialize;

use crate::{HsmError, HttpResponse};

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// The error of an answer that is no 200.
pub(super) fn refusal(response: &HttpResponse) -> HsmError {
    let Ok(Refusal { kind, message }) = response.json() else {
        // Not KMS's own words, but those of something before it.
        return match response.status {
            401 | 403 => HsmError::CredentialsRefused,
            429 => HsmError::Throttled,
            500.. => HsmError::Unavailable,
            _ => HsmError::BadResponse,
        };
    };
    let kind = kind.rsplit('#').next().unwrap_or_default();
    match kind {
        "InvalidSignatureException" | "SignatureDoesNotMatch" if is_clock(&message) => HsmError::ClockSkew,
        "RequestTimeTooSkewed" | "RequestExpired" => HsmError::ClockSkew,
        "AccessDeniedException"
        | "AccessDenied"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => HsmError::CredentialsRefused,
        "DisabledException" => HsmError::KeyDisabled,
        "KMSInvalidStateException" if message.contains("pending deletion") => HsmError::KeyPendingDeletion,
        "KMSInvalidStateException" if message.contains("disabled") => HsmError::KeyDisabled,
        "NotFoundException" => HsmError::KeyMissing,
        "InvalidCiphertextException" => HsmError::DoesNotOpen,
        "IncorrectKeyException" => HsmError::OtherKek,
        "InvalidKeyUsageException" => HsmError::WrongKey,
        "LimitExceededException"
        | "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => HsmError::Throttled,
        "CloudHsmClusterNotActiveException"
        | "DependencyTimeoutException"
        | "InternalFailure"
        | "KMSInternalException"
        | "KMSInvalidStateException"
        | "KeyUnavailableException"
        | "ServiceUnavailable" => HsmError::Unavailable,
        _ => match response.status {
            401 | 403 => HsmError::CredentialsRefused,
            429 => HsmError::Throttled,
            500.. => HsmError::Unavailable,
            _ => HsmError::BadResponse,
        },
    }
}

fn is_clock(message: &str) -> bool {
    message.contains("Signature expired") || message.contains("Signature not yet current")
}
