//! Why a holder refuses a request: a stable code for records, and words for the person behind the app.

use crate::policy::Denied;

/// A request that was understood and is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Parameters, JSON or template are wrong.
    #[error("{0}")]
    BadRequest(String),
    /// A method that is not NIP-46's.
    #[error("unknown method: {0}")]
    UnknownMethod(String),
    /// Nobody has connected yet.
    #[error("not connected: send connect with the secret of the bunker URL first")]
    NotConnected,
    /// `connect` without the secret.
    #[error("connect needs the secret of the bunker URL")]
    SecretMissing,
    /// `connect` with another secret than the grant's.
    #[error("the secret is wrong: copy the bunker URL again")]
    SecretWrong,
    /// The secret was used by another client.
    #[error("the secret was used already by another client: ask the owner for a new bunker URL")]
    SecretSpent,
    /// A client that is not the one that connected.
    #[error("another client holds this connection: ask the owner for a new bunker URL")]
    OtherClient,
    /// The client has logged out.
    #[error("logged out: ask the owner for a new bunker URL")]
    LoggedOut,
    /// The owner revoked the connection.
    #[error("this connection was revoked by its owner")]
    Revoked,
    /// The grant is over.
    #[error("this connection has expired: ask the owner for a new bunker URL")]
    Expired,
    /// The owner has paused the connection.
    #[error("this connection is paused by its owner: try again later")]
    Paused,
    /// The policy says no.
    #[error("not allowed: {0}")]
    Denied(#[from] Denied),
    /// The policy says that the owner has to be asked, and the owner has not approved.
    #[error("the owner has not approved this request")]
    NeedsApproval,
    /// The owner was asked and said no.
    #[error("the owner said no to this request")]
    DeniedByOwner,
    /// The owner was asked and the time is over.
    #[error("the owner did not answer in time: try again")]
    NotApprovedInTime,
    /// Too many requests of the connection wait for the owner.
    #[error("too many requests wait for the owner already: try again later")]
    TooManyPending,
    /// An HTTP authentication event (NIP-98) that no server would take.
    #[error("this HTTP authentication is not of this minute: try again")]
    StaleAuth,
    /// Admitted too often without an answer.
    #[error("this request was tried too often: send it again as a new event")]
    TooManyAttempts,
    /// A request that needs no other holder was sent to one.
    #[error("this request needs no contribution")]
    NothingToContribute,
}

impl Refusal {
    /// Stable code, for records and between holders.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::UnknownMethod(_) => "unknown_method",
            Self::NotConnected => "not_connected",
            Self::SecretMissing => "secret_missing",
            Self::SecretWrong => "secret_wrong",
            Self::SecretSpent => "secret_spent",
            Self::OtherClient => "other_client",
            Self::LoggedOut => "logged_out",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Denied(Denied::Forbidden) => "forbidden",
            Self::Denied(Denied::NotGranted) => "not_granted",
            Self::Denied(Denied::UsedUp) => "used_up",
            Self::Paused => "paused",
            Self::NeedsApproval => "needs_approval",
            Self::DeniedByOwner => "denied_by_owner",
            Self::NotApprovedInTime => "not_approved_in_time",
            Self::TooManyPending => "too_many_pending",
            Self::StaleAuth => "stale_auth",
            Self::TooManyAttempts => "too_many_attempts",
            Self::NothingToContribute => "nothing_to_contribute",
        }
    }
}
