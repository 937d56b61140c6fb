//! Why a command of an operator is refused: a stable code, and words that say what to do.

use crate::operator::Scope;

/// A command that is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says itself what it is")]
pub enum Refusal {
    #[error("the operator's token is wrong or has expired")]
    OperatorTokenInvalid,
    #[error("this needs the scope `{}`", .0.as_str())]
    ScopeMissing(Scope),
    #[error("this deployment has no set-up token: set OPERATOR_SETUP_TOKEN first")]
    SetupTokenNotSet,
    #[error("the set-up token is wrong")]
    SetupTokenInvalid,
    #[error("operators were set up already: they change who the operators are, as long as two of them can")]
    AlreadySetUp,
    #[error("a deployment has at most 20 operators")]
    TooManyOperators,
    #[error("at least two operators with the scope `operators` are needed")]
    TooFewOperators,
    #[error("fewer operators could unseal than the number of words that is needed")]
    TooFewUnsealers,
    #[error("the number of words that open a seal is at least 2, and no more than the operators who may unseal")]
    UnsealThresholdInvalid,
    #[error("another operator has this name")]
    OperatorNameTaken,
    #[error("a token is good for between 1 second and 365 days")]
    LifetimeInvalid,
    #[error("the delay of exports is at most 30 days")]
    ExportDelayInvalid,
    #[error("the command is too old or of the future: look at the clock and send a new one")]
    CommandStale,
    #[error("this command was sent before: send a new one")]
    CommandReplayed,
    #[error("too many commands within five minutes: wait")]
    TooManyCommands,
    #[error("too many accounts are sealed one by one: seal the deployment")]
    TooManySealedAccounts,
    #[error("it is not sealed")]
    NotSealed,
    #[error("an unsealing is under way already: name it")]
    UnsealingRunning,
    #[error("there is no such unsealing: it is over, or of something else")]
    UnsealingUnknown,
    #[error("there is no such proposal: it is over, or was approved")]
    ProposalUnknown,
    #[error("who proposed a change can't approve it")]
    SecondOperatorNeeded,
    #[error("who proposed this is no longer allowed to: propose it again")]
    ProposerGone,
    #[error("too many proposals wait already")]
    TooManyProposals,
    #[error("there is no such operator")]
    OperatorUnknown,
    #[error("operators can't remove themselves: another one has to")]
    CannotRemoveOneself,
    #[error("a rotation is under way already")]
    RotationRunning,
}

impl Refusal {
    /// Stable code, for records and the API.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OperatorTokenInvalid => "operator_token_invalid",
            Self::ScopeMissing(_) => "scope_missing",
            Self::SetupTokenNotSet => "setup_token_not_set",
            Self::SetupTokenInvalid => "setup_token_invalid",
            Self::AlreadySetUp => "already_set_up",
            Self::TooManyOperators => "too_many_operators",
            Self::TooFewOperators => "too_few_operators",
            Self::TooFewUnsealers => "too_few_unsealers",
            Self::UnsealThresholdInvalid => "unseal_threshold_invalid",
            Self::OperatorNameTaken => "operator_name_taken",
            Self::LifetimeInvalid => "lifetime_invalid",
            Self::ExportDelayInvalid => "export_delay_invalid",
            Self::CommandStale => "command_stale",
            Self::CommandReplayed => "command_replayed",
            Self::TooManyCommands => "too_many_commands",
            Self::TooManySealedAccounts => "too_many_sealed_accounts",
            Self::NotSealed => "not_sealed",
            Self::UnsealingRunning => "unsealing_running",
            Self::UnsealingUnknown => "unsealing_unknown",
            Self::ProposalUnknown => "proposal_unknown",
            Self::SecondOperatorNeeded => "second_operator_needed",
            Self::ProposerGone => "proposer_gone",
            Self::TooManyProposals => "too_many_proposals",
            Self::OperatorUnknown => "operator_unknown",
            Self::CannotRemoveOneself => "cannot_remove_oneself",
            Self::RotationRunning => "rotation_running",
        }
    }

    /// The HTTP status that goes with it.
    pub fn status(&self) -> u16 {
        match self {
            Self::OperatorTokenInvalid | Self::SetupTokenInvalid => 401,
            Self::ScopeMissing(_) | Self::SecondOperatorNeeded => 403,
            Self::UnsealingUnknown | Self::ProposalUnknown | Self::OperatorUnknown => 404,
            Self::UnsealThresholdInvalid | Self::LifetimeInvalid | Self::ExportDelayInvalid | Self::CommandStale => 422,
            Self::TooManyCommands => 429,
            Self::SetupTokenNotSet
            | Self::AlreadySetUp
            | Self::TooManyOperators
            | Self::TooFewOperators
            | Self::TooFewUnsealers
            | Self::OperatorNameTaken
            | Self::CommandReplayed
            | Self::TooManySealedAccounts
            | Self::NotSealed
            | Self::UnsealingRunning
            | Self::ProposerGone
            | Self::TooManyProposals
            | Self::CannotRemoveOneself
            | Self::RotationRunning => 409,
        }
    }
}
