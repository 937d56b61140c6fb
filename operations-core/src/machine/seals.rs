//! Closing and opening seals: one person closes, several open.

use std::collections::BTreeSet;

use frost_wasm_core::secret::Secret32;
use rand_core::{CryptoRng, RngCore};

use super::{Ctx, draft::Draft};
use crate::{
    audit::{AuditTarget, DeploymentHappening},
    ids::{Blinded, OperatorId, UnsealingId, random_bytes},
    operator::{Operator, Scope},
    refusal::Refusal,
    seal::{MAX_SEALED_ACCOUNTS, Seal, Target, UNSEALING_LIFETIME_MS, Unsealing},
    state::{DeploymentState, Mutation},
    text::Reason,
    wire::{SealReply, UnsealReply},
};

impl DeploymentState {
    /// Whose words count: those of operators who are there, in time, and may unseal, now.
    pub(super) fn words<'a>(&'a self, unsealing: &'a Unsealing, now_ms: u64) -> impl Iterator<Item = &'a Operator> {
        let speakers = unsealing.words.iter().filter_map(|word| self.operators.get(word));
        speakers.filter(move |operator| operator.may(Scope::Unseal, now_ms))
    }
}

impl Draft {
    pub(super) fn seal<R: RngCore + CryptoRng>(
        &mut self,
        by: OperatorId,
        target: Target,
        reason: &Reason,
        ctx: &Ctx<'_, R>,
    ) -> Result<SealReply, Refusal> {
        let name = self.name_of(by)?;
        let as_recorded = audit_target(target, ctx.mac_key);
        self.end_unsealing(target, as_recorded, reason);
        if let Some(seal) = self.state.seals.get(&target) {
            return Ok(SealReply { sealed_at: seal.since_ms / 1000 });
        }
        let accounts = self.state.seals.keys().filter(|it| it.owner().is_some()).count();
        if target.owner().is_some() && accounts >= MAX_SEALED_ACCOUNTS {
            return Err(Refusal::TooManySealedAccounts);
        }
        let since_ms = self.now_ms;
        self.push(Mutation::Sealed(Box::new(Seal { target, since_ms, by: name, reason: reason.clone() })));
        self.record(DeploymentHappening::Sealed { target: as_recorded, reason: reason.clone() });
        Ok(SealReply { sealed_at: since_ms / 1000 })
    }

    /// A new seal ends what would have opened the old one.
    pub(super) fn end_unsealing(&mut self, target: Target, as_recorded: AuditTarget, reason: &Reason) {
        let running = self.state.unsealings.values().find(|it| it.target == target).map(|it| it.id);
        if let Some(unsealing) = running {
            self.push(Mutation::UnsealingEnded(unsealing));
            let reason = reason.clone();
            self.record(DeploymentHappening::UnsealEnded { target: as_recorded, unsealing, reason });
        }
    }

    pub(super) fn unseal<R: RngCore + CryptoRng>(
        &mut self,
        by: OperatorId,
        target: Target,
        reason: &Reason,
        named: Option<UnsealingId>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<UnsealReply, Refusal> {
        let unsealing = match named {
            Some(id) => self.add_word(by, target, reason, id)?,
            None => self.begin_unsealing(by, target, reason, ctx)?,
        };
        let words: Vec<_> = self.state.words(&unsealing, self.now_ms).cloned().collect();
        let unsealed = words.len() >= self.state.unseal_threshold();
        if unsealed {
            self.push(Mutation::Unsealed(target));
            self.push(Mutation::UnsealingEnded(unsealing.id));
            self.record(DeploymentHappening::Unsealed {
                target: unsealing.audit_target,
                unsealing: unsealing.id,
                words: words.iter().map(|operator| operator.id).collect(),
            });
        }
        Ok(UnsealReply {
            unsealing: unsealing.id,
            words: words.into_iter().map(|operator| operator.name).collect(),
            needed: self.state.policy.map_or(u32::MAX, |policy| policy.unseal_threshold),
            deadline: unsealing.deadline_ms / 1000,
            unsealed,
        })
    }

    fn begin_unsealing<R: RngCore + CryptoRng>(
        &mut self,
        by: OperatorId,
        target: Target,
        reason: &Reason,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Unsealing, Refusal> {
        if !self.state.seals.contains_key(&target) {
            return Err(Refusal::NotSealed);
        }
        if self.state.unsealings.values().any(|it| it.target == target) {
            return Err(Refusal::UnsealingRunning);
        }
        let unsealing = Unsealing {
            id: UnsealingId::from_bytes(random_bytes(ctx.rng)),
            target,
            audit_target: audit_target(target, ctx.mac_key),
            begun_by: self.name_of(by)?,
            deadline_ms: self.now_ms.saturating_add(UNSEALING_LIFETIME_MS),
            reason: reason.clone(),
            words: BTreeSet::from([by]),
        };
        let (target, reason) = (unsealing.audit_target, reason.clone());
        self.push(Mutation::Unsealing(Box::new(unsealing.clone())));
        self.record(DeploymentHappening::UnsealBegun { target, unsealing: unsealing.id, reason });
        Ok(unsealing)
    }

    fn add_word(
        &mut self,
        by: OperatorId,
        target: Target,
        reason: &Reason,
        id: UnsealingId,
    ) -> Result<Unsealing, Refusal> {
        let unsealing = self.state.unsealings.get(&id).filter(|it| it.target == target);
        let mut unsealing = unsealing.cloned().ok_or(Refusal::UnsealingUnknown)?;
        if unsealing.words.insert(by) {
            self.push(Mutation::Unsealing(Box::new(unsealing.clone())));
            let (target, reason) = (unsealing.audit_target, reason.clone());
            self.record(DeploymentHappening::UnsealWord { target, unsealing: id, reason });
        }
        Ok(unsealing)
    }
}

fn audit_target(target: Target, key: &Secret32) -> AuditTarget {
    target.owner().map_or(AuditTarget::Deployment, |owner| AuditTarget::Account(Blinded::of_owner(key, &owner)))
}
