//! What a deployment remembers of its operators and seals, and the only way to change it.

use std::collections::BTreeMap;

use bunker_core::audit::AuditHead;
use serde::{Deserialize, Serialize};

use crate::{
    audit::{DeploymentRecord, RefusalClass},
    command::SeenCommand,
    ids::{CommandId, OperatorId, ProposalId, UnsealingId},
    lease::Lease,
    operator::{Operator, Scope},
    proposal::Proposal,
    rotation::Rotation,
    seal::{Seal, Target, Unsealing},
};

/// What holds for the whole deployment, since its operators were set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// When the operators were set up, Unix milliseconds.
    pub set_up_at_ms: u64,
    /// How many words open a seal.
    pub unseal_threshold: u32,
    /// Shortest delay of an export, in seconds; `None` for what is configured.
    pub export_delay_s: Option<u64>,
}

/// Refusals of one class in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The minute, counted from the Unix epoch.
    pub minute: u64,
    /// How many have records of their own.
    pub recorded: u32,
    /// How many were only counted.
    pub counted: u64,
}

/// One durable change; also one row of storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// What holds for the whole deployment changed.
    Policy(Policy),
    /// An operator is new or changed.
    Operator(Box<Operator>),
    /// An operator is gone.
    OperatorRemoved(OperatorId),
    /// A seal was closed.
    Sealed(Box<Seal>),
    /// A seal was opened.
    Unsealed(Target),
    /// An unsealing began or got a word.
    Unsealing(Box<Unsealing>),
    /// An unsealing is over.
    UnsealingEnded(UnsealingId),
    /// A change waits.
    Proposal(Box<Proposal>),
    /// A change waits no more.
    ProposalEnded(ProposalId),
    /// A command was seen.
    Seen(CommandId, SeenCommand),
    /// A command is too old to come again.
    Forgotten(CommandId),
    /// Refusals were counted.
    Tally(RefusalClass, Tally),
    /// A minute's refusals are in the chain.
    TallyDone(RefusalClass),
    /// A rotation began or went on.
    Rotation(Box<Rotation>),
    /// A record of the audit chain.
    Audit(Box<DeploymentRecord>),
    /// Records up to this one are no longer kept.
    Checkpoint(AuditHead),
}

/// The deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeploymentState {
    pub(crate) policy: Option<Policy>,
    pub(crate) operators: BTreeMap<OperatorId, Operator>,
    pub(crate) seals: BTreeMap<Target, Seal>,
    pub(crate) unsealings: BTreeMap<UnsealingId, Unsealing>,
    pub(crate) proposals: BTreeMap<ProposalId, Proposal>,
    pub(crate) seen: BTreeMap<CommandId, SeenCommand>,
    pub(crate) tallies: BTreeMap<RefusalClass, Tally>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) audit: AuditHead,
    pub(crate) checkpoint: AuditHead,
}

impl DeploymentState {
    /// Applies one change. Total: every check was made by the step or on reading the row. Rows of different keys
    /// may come in any order.
    pub fn apply(&mut self, mutation: &Mutation) {
        match mutation {
            Mutation::Policy(policy) => self.policy = Some(*policy),
            Mutation::Operator(operator) => {
                self.operators.insert(operator.id, Operator::clone(operator));
            }
            Mutation::OperatorRemoved(operator) => {
                self.operators.remove(operator);
            }
            Mutation::Sealed(seal) => {
                self.seals.insert(seal.target, Seal::clone(seal));
            }
            Mutation::Unsealed(target) => {
                self.seals.remove(target);
            }
            Mutation::Unsealing(unsealing) => {
                self.unsealings.insert(unsealing.id, Unsealing::clone(unsealing));
            }
            Mutation::UnsealingEnded(unsealing) => {
                self.unsealings.remove(unsealing);
            }
            Mutation::Proposal(proposal) => {
                self.proposals.insert(proposal.id, Proposal::clone(proposal));
            }
            Mutation::ProposalEnded(proposal) => {
                self.proposals.remove(proposal);
            }
            Mutation::Seen(command, seen) => {
                self.seen.insert(*command, *seen);
            }
            Mutation::Forgotten(command) => {
                self.seen.remove(command);
            }
            Mutation::Tally(class, tally) => {
                self.tallies.insert(*class, *tally);
            }
            Mutation::TallyDone(class) => {
                self.tallies.remove(class);
            }
            Mutation::Rotation(rotation) => self.rotation = Some(Rotation::clone(rotation)),
            Mutation::Audit(record) if record.n > self.audit.n => self.audit = record.head(),
            Mutation::Audit(_) => {}
            Mutation::Checkpoint(head) => {
                self.checkpoint = *head;
                if head.n > self.audit.n {
                    self.audit = *head;
                }
            }
        }
    }

    /// Whether there are operators.
    pub fn is_set_up(&self) -> bool {
        self.policy.is_some()
    }

    /// The end of the audit chain.
    pub fn audit_head(&self) -> AuditHead {
        self.audit
    }

    /// Where verification of the audit chain begins: records up to there are no longer kept.
    pub fn audit_checkpoint(&self) -> AuditHead {
        self.checkpoint
    }

    /// The rotation under way.
    pub fn rotation_next(&self) -> Option<&Rotation> {
        self.rotation.as_ref().filter(|rotation| rotation.finished_at_ms.is_none())
    }

    /// What holders may do, as of now: seals close and open by commands alone, so no time is needed.
    pub fn lease(&self) -> Lease {
        Lease {
            sealed: self.seals.contains_key(&Target::Deployment),
            sealed_owners: self.seals.keys().filter_map(Target::owner).collect(),
            export_delay_s: self.policy.and_then(|policy| policy.export_delay_s),
        }
    }

    pub(crate) fn count_who_may(&self, scope: Scope, now_ms: u64) -> usize {
        self.operators.values().filter(|operator| operator.may(scope, now_ms)).count()
    }

    /// How many words open a seal; more than there can be before the operators are set up.
    pub(crate) fn unseal_threshold(&self) -> usize {
        self.policy.map_or(usize::MAX, |policy| usize::try_from(policy.unseal_threshold).unwrap_or(usize::MAX))
    }
}
