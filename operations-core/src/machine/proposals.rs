//! Changes by two people. What would change is judged when it is proposed, and again when it is made.

use rand_core::{CryptoRng, RngCore};

use super::{Ctx, draft::Draft};
use crate::{
    audit::DeploymentHappening,
    ids::{OperatorId, ProposalId, random_bytes},
    operator::{MIN_UNSEAL_THRESHOLD, Scope},
    proposal::{Change, MAX_EXPORT_DELAY_S, MAX_PROPOSALS, PROPOSAL_LIFETIME_MS, Proposal},
    refusal::Refusal,
    rotation::Rotation,
    state::{Mutation, Policy},
    wire::{ApproveReply, ProposalReply},
};

impl Draft {
    pub(super) fn propose<R: RngCore + CryptoRng>(
        &mut self,
        by: OperatorId,
        what: &Change,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<ProposalReply, Refusal> {
        self.judge_change(what)?;
        if self.state.proposals.len() >= MAX_PROPOSALS {
            return Err(Refusal::TooManyProposals);
        }
        let proposal = Proposal {
            id: ProposalId::from_bytes(random_bytes(ctx.rng)),
            what: what.clone(),
            by,
            by_name: self.name_of(by)?,
            deadline_ms: self.now_ms.saturating_add(PROPOSAL_LIFETIME_MS),
        };
        let reply = ProposalReply::from(&proposal);
        self.record(DeploymentHappening::Proposed { proposal: proposal.id, change: what.into() });
        self.push(Mutation::Proposal(Box::new(proposal)));
        Ok(reply)
    }

    pub(super) fn approve<R: RngCore + CryptoRng>(
        &mut self,
        by: OperatorId,
        id: ProposalId,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<ApproveReply, Refusal> {
        let proposal = self.state.proposals.get(&id).cloned().ok_or(Refusal::ProposalUnknown)?;
        let scope = proposal.what.scope();
        self.require(by, Some(scope))?;
        if proposal.by == by {
            return Err(Refusal::SecondOperatorNeeded);
        }
        self.require(proposal.by, Some(scope)).map_err(|_| Refusal::ProposerGone)?;
        self.judge_change(&proposal.what)?;
        self.push(Mutation::ProposalEnded(id));
        self.record(DeploymentHappening::Approved { proposal: id, change: (&proposal.what).into() });
        let mut reply = ApproveReply { proposal: id, operator: None, token: None, expires_at: None };
        match &proposal.what {
            Change::AddOperator { name, scopes, lifetime_s } => {
                let (operator, token) = self.enlist(name, scopes, *lifetime_s, ctx)?;
                reply.operator = Some(operator.id);
                reply.expires_at = Some(operator.expires_at_ms / 1000);
                reply.token = Some(token);
                let (operator, scopes) = (operator.id, scopes.clone());
                self.record(DeploymentHappening::OperatorAdded { operator, scopes });
            }
            Change::SetUnsealThreshold { k } => self.change_policy(|policy| policy.unseal_threshold = *k),
            Change::SetExportDelay { seconds } => self.change_policy(|policy| policy.export_delay_s = *seconds),
            Change::BeginRotation {} => {
                self.push(Mutation::Rotation(Box::new(Rotation::begun(self.now_ms))));
                self.record(DeploymentHappening::RotationBegun {});
            }
        }
        Ok(reply)
    }

    fn judge_change(&self, what: &Change) -> Result<(), Refusal> {
        match what {
            Change::AddOperator { name, scopes: _, lifetime_s } => self.judge_new(name, *lifetime_s).map(|_| ()),
            Change::SetUnsealThreshold { k } => {
                let unsealers = self.state.count_who_may(Scope::Unseal, self.now_ms);
                let fits = *k >= MIN_UNSEAL_THRESHOLD && usize::try_from(*k).is_ok_and(|k| k <= unsealers);
                if fits { Ok(()) } else { Err(Refusal::UnsealThresholdInvalid) }
            }
            Change::SetExportDelay { seconds: Some(seconds) } if *seconds > MAX_EXPORT_DELAY_S => {
                Err(Refusal::ExportDelayInvalid)
            }
            Change::SetExportDelay { .. } => Ok(()),
            Change::BeginRotation {} if self.state.rotation_next().is_some() => Err(Refusal::RotationRunning),
            Change::BeginRotation {} => Ok(()),
        }
    }

    fn change_policy(&mut self, change: impl FnOnce(&mut Policy)) {
        if let Some(mut policy) = self.state.policy {
            change(&mut policy);
            self.push(Mutation::Policy(policy));
        }
    }
}
