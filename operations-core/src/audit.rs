//! What stands in the deployment's audit chain, and how long.
//!
//! The chain is the one of `bunker_core::audit` with another domain. Personal values are blinded, codes are the
//! program's own; the only free text is the reason that an operator gives. JSON: the happening's fields beside
//! `what`, `by` (the operator who did it) and `request_id`.

use bunker_core::audit::{AuditHash, AuditHead, AuditRecord, ChainEntry, ChainError};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{Blinded, CommandId, Digest32, OperatorId, ProposalId, UnsealingId},
    operator::Scopes,
    proposal::Change,
    text::{Code, Reason, RequestId},
};

/// One link of the deployment's chain.
pub type DeploymentRecord = AuditRecord<DeploymentEntry>;

/// What was sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditTarget {
    /// Everything.
    Deployment,
    /// The account of a blinded owner key.
    Account(Blinded),
}

/// A proposed change without the names in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[allow(missing_docs, reason = "as in `Change`")]
pub enum AuditChange {
    AddOperator { scopes: Scopes, lifetime_s: Option<u64> },
    SetUnsealThreshold { k: u32 },
    SetExportDelay { seconds: Option<u64> },
    BeginRotation {},
}

impl From<&Change> for AuditChange {
    fn from(change: &Change) -> Self {
        match change {
            Change::AddOperator { name: _, scopes, lifetime_s } => {
                Self::AddOperator { scopes: scopes.clone(), lifetime_s: *lifetime_s }
            }
            Change::SetUnsealThreshold { k } => Self::SetUnsealThreshold { k: *k },
            Change::SetExportDelay { seconds } => Self::SetExportDelay { seconds: *seconds },
            Change::BeginRotation {} => Self::BeginRotation {},
        }
    }
}

/// How a login ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginOutcome {
    /// Somebody is logged in.
    Ok,
    /// Nobody is, for this reason.
    Refused(Code),
}

/// With what somebody logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each says itself what it is")]
pub enum LoginMethod {
    Password,
    Passkey,
    Recovery,
    Refresh,
}

/// Of what many refusals were counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalClass {
    /// Commands of nobody who is an operator.
    Stranger,
    /// Commands of operators.
    Operator,
    /// Logins.
    Login,
    /// Canaries: who has found one can touch it all day.
    Canary,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
#[allow(missing_docs, reason = "the fields are the types' own words")]
pub enum DeploymentHappening {
    /// The first operators were set up.
    OperatorsSetUp { operators: Vec<OperatorId>, unseal_threshold: u32 },
    /// An operator was added, by two.
    OperatorAdded { operator: OperatorId, scopes: Scopes },
    /// An operator was removed.
    OperatorRemoved { operator: OperatorId },
    /// An operator has a new token.
    OperatorTokenRotated { operator: OperatorId },
    /// A seal was closed.
    Sealed { target: AuditTarget, reason: Reason },
    /// An unsealing began; its beginner's word counts.
    UnsealBegun { target: AuditTarget, unsealing: UnsealingId, reason: Reason },
    /// One more operator said their word.
    UnsealWord { target: AuditTarget, unsealing: UnsealingId, reason: Reason },
    /// A seal was opened. Whose words counted.
    Unsealed { target: AuditTarget, unsealing: UnsealingId, words: Vec<OperatorId> },
    /// An unsealing was not completed in time.
    UnsealExpired { target: AuditTarget, unsealing: UnsealingId, reason: Reason },
    /// An unsealing was ended by a new seal, whose reason this is.
    UnsealEnded { target: AuditTarget, unsealing: UnsealingId, reason: Reason },
    /// A change was proposed.
    Proposed { proposal: ProposalId, change: AuditChange },
    /// A change was approved and made.
    Approved { proposal: ProposalId, change: AuditChange },
    /// Nobody approved a change in time.
    ProposalExpired { proposal: ProposalId, change: AuditChange },
    /// A command was refused.
    CommandRefused {
        command: Code,
        reason: Code,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<CommandId>,
    },
    /// So many more were refused in one minute, and have no records of their own.
    RefusalsCounted { class: RefusalClass, count: u64 },
    /// Somebody logged in, or tried to.
    Login { outcome: LoginOutcome, method: LoginMethod, who: Option<Blinded> },
    /// An account was made.
    AccountCreated { who: Blinded },
    /// An account was deleted.
    AccountDeleted { who: Blinded },
    /// An account has another password, passkey or recovery.
    CredentialsChanged { who: Blinded },
    /// A session was ended, or all of an account's. Whose is not known where a token alone ended it.
    SessionRevoked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        who: Option<Blinded>,
    },
    /// Something was touched that nobody has reason to touch.
    Canary { name: Code, touched: Code },
    /// All keys are being wrapped anew.
    RotationBegun {},
    /// So far.
    RotationProgress { done: u64, total: u64, failed: u64 },
    /// All were tried.
    RotationDone { done: u64, total: u64, failed: u64 },
    /// A backup was made.
    BackupMade { groups: u64, digest: Digest32 },
    /// Records up to this one were dropped, because they were older than is kept.
    AuditPruned { through: u64, hash: AuditHash },
}

/// What happened, by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentEntry {
    /// The happening.
    #[serde(flatten)]
    pub happening: DeploymentHappening,
    /// The operator who did it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub by: Option<OperatorId>,
    /// The request that brought it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<RequestId>,
}

impl ChainEntry for DeploymentEntry {
    const DOMAIN: &'static [u8] = b"passport/v1/deployment-audit";
}

impl DeploymentEntry {
    /// Something that happened without an operator.
    pub fn of(happening: DeploymentHappening) -> Self {
        Self { happening, by: None, request_id: None }
    }

    /// Of what it is a refusal that a flood could bring.
    pub(crate) fn refusal_class(&self) -> Option<RefusalClass> {
        match (&self.happening, self.by) {
            (DeploymentHappening::Login { outcome: LoginOutcome::Refused(_), .. }, _) => Some(RefusalClass::Login),
            (DeploymentHappening::Canary { .. }, _) => Some(RefusalClass::Canary),
            (DeploymentHappening::CommandRefused { .. }, None) => Some(RefusalClass::Stranger),
            (DeploymentHappening::CommandRefused { .. }, Some(_)) => Some(RefusalClass::Operator),
            _ => None,
        }
    }
}

/// How long records are kept: never less than 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retention {
    days: u32,
}

/// A retention of less than [`Retention::MIN_DAYS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("audit records are kept for at least 90 days")]
pub struct RetentionTooShort;

impl Retention {
    /// Shortest retention, in days.
    pub const MIN_DAYS: u32 = 90;

    /// So many days.
    ///
    /// # Errors
    /// Fewer than [`Self::MIN_DAYS`].
    pub fn days(days: u32) -> Result<Self, RetentionTooShort> {
        if days < Self::MIN_DAYS { Err(RetentionTooShort) } else { Ok(Self { days }) }
    }

    /// Records from before this time may go, Unix milliseconds.
    pub fn cutoff_ms(self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(u64::from(self.days) * 24 * 60 * 60 * 1000)
    }

    /// The last record that may go, of the oldest ones that are kept, in order after `from`. Verification goes on
    /// from there. `None` when none may.
    ///
    /// # Errors
    /// Where the chain is broken: a broken one is kept.
    pub fn last_to_drop<'a>(
        self,
        from: AuditHead,
        oldest: impl IntoIterator<Item = &'a DeploymentRecord>,
        now_ms: u64,
    ) -> Result<Option<AuditHead>, ChainError> {
        let cutoff_ms = self.cutoff_ms(now_ms);
        let old = oldest.into_iter().take_while(|record| record.at_ms < cutoff_ms);
        let last = old.into_iter().try_fold(from, |head, record| head.follow(record))?;
        Ok((last != from).then_some(last))
    }
}
