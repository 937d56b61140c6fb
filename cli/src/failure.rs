//! Why a command did not do what it was asked: the server refused, could not be reached, or this device stopped.
//!
//! No text here quotes a secret or what a person typed.

use std::process::ExitCode;

/// Why a command ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The server answered with a problem (RFC 9457).
    #[error("{detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable code.
        code: String,
        /// What to do next, in the server's words.
        detail: String,
        /// Names the request in the server's log.
        request_id: Option<String>,
    },
    /// No whole answer came: what was asked may have happened or not.
    #[error("{0}")]
    Unreachable(String),
    /// This device would not, or could not, go on.
    #[error("{detail}")]
    Stopped {
        /// Stable code.
        code: &'static str,
        /// What to do next.
        detail: String,
    },
    /// The command line does not make sense.
    #[error("{0}")]
    Usage(String),
}

impl From<passport_device::Failure> for Failure {
    fn from(failure: passport_device::Failure) -> Self {
        Self::stopped(failure.code(), failure.to_string())
    }
}

impl Failure {
    /// A stop of our own.
    pub(crate) fn stopped(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Stopped { code, detail: detail.into() }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Unreachable(_) => "server_unreachable",
            Self::Stopped { code, .. } => code,
            Self::Usage(_) => "usage",
        }
    }

    /// True when nobody knows whether the request was carried out.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Stopped { .. } | Self::Usage(_) => false,
        }
    }

    /// True when the server does not take our token.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }

    /// 2 for wrong usage, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Refused { .. } | Self::Unreachable(_) | Self::Stopped { .. } => ExitCode::FAILURE,
        }
    }
}
