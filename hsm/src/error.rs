//! Why a key was not wrapped or unwrapped: one word per remedy. No variant carries anything that came from outside.

use frost_wasm_core::group::HolderRole;
use thiserror::Error;

/// Why a key was not wrapped or unwrapped. The text tells the operator what to do; [`HsmError::code`] is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HsmError {
    /// Holders on a person's device have no HSM here.
    #[error("the {0} holder keeps its share elsewhere")]
    NoSuchHolder(HolderRole),
    /// Wrapped by a KEK that is neither the current nor the previous one.
    #[error("this key was wrapped by another KEK: put the KEK back that it was wrapped by")]
    OtherKek,
    /// The wrapped key was changed, or is not in the provider's format.
    #[error("this wrapped key does not open: the record was altered, or belongs to another holder")]
    DoesNotOpen,
    /// Identity, signature, token or permission.
    #[error(
        "the HSM refused the credentials: check that they are current and that their policy allows use of this key"
    )]
    CredentialsRefused,
    /// The KEK exists and is switched off, or not in its period of validity.
    #[error("the KEK is disabled or out of its time: enable it again at the provider")]
    KeyDisabled,
    /// There is no such KEK.
    #[error("there is no such KEK: check its name, account and region, and whether somebody deleted it")]
    KeyMissing,
    /// The KEK is going to be destroyed.
    #[error("the KEK is scheduled for deletion: cancel that at the provider at once, or what it wraps is lost")]
    KeyPendingDeletion,
    /// Another key, usage or algorithm than the configuration says.
    #[error(
        "the HSM answered with a key other than the configured one, or a key of another use: check the key's settings"
    )]
    WrongKey,
    /// The KEK can leave hardware.
    #[error("the KEK is not held in the hardware that the configuration demands: make one that is")]
    NotHardware,
    /// Too many requests, still after the last attempt.
    #[error("the HSM is throttling: raise the quota at the provider, or wait")]
    Throttled,
    /// No answer in time.
    #[error("the HSM did not answer in time: see the provider's status page")]
    TimedOut,
    /// The provider can't be reached or failed.
    #[error("the HSM can't be reached or failed: see the provider's status page and the endpoint")]
    Unavailable,
    /// An answer that is cut, altered, or does not say what it has to.
    #[error("the HSM's answer was not understood or was altered on its way: nothing of it was used")]
    BadResponse,
    /// The provider's clock and ours disagree.
    #[error("the HSM says that our clock is wrong: set the clock of the machine that runs this")]
    ClockSkew,
}

impl HsmError {
    /// A stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoSuchHolder(_) => "hsm_no_such_holder",
            Self::OtherKek => "hsm_other_kek",
            Self::DoesNotOpen => "hsm_does_not_open",
            Self::CredentialsRefused => "hsm_credentials_refused",
            Self::KeyDisabled => "hsm_key_disabled",
            Self::KeyMissing => "hsm_key_missing",
            Self::KeyPendingDeletion => "hsm_key_pending_deletion",
            Self::WrongKey => "hsm_wrong_key",
            Self::NotHardware => "hsm_not_hardware",
            Self::Throttled => "hsm_throttled",
            Self::TimedOut => "hsm_timed_out",
            Self::Unavailable => "hsm_unavailable",
            Self::BadResponse => "hsm_bad_response",
            Self::ClockSkew => "hsm_clock_skew",
        }
    }

    /// Whether the same request may go through a moment later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Throttled | Self::TimedOut | Self::Unavailable => true,
            Self::NoSuchHolder(_)
            | Self::OtherKek
            | Self::DoesNotOpen
            | Self::CredentialsRefused
            | Self::KeyDisabled
            | Self::KeyMissing
            | Self::KeyPendingDeletion
            | Self::WrongKey
            | Self::NotHardware
            | Self::BadResponse
            | Self::ClockSkew => false,
        }
    }
}
