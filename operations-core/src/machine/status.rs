//! What operators see of the deployment.

use rand_core::{CryptoRng, RngCore};

use super::{Caller, Ctx, Refused, Step};
use crate::{
    operator::Scope,
    seal::{Seal, Target},
    state::DeploymentState,
    wire::{DeploymentStatus, SealStatus, UnsealingStatus},
};

impl DeploymentState {
    /// The status, for an operator with the scope `read`.
    ///
    /// # Errors
    /// The refusal, with what has to be committed all the same.
    pub fn status<R: RngCore + CryptoRng>(
        &self,
        caller: Caller<'_>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<DeploymentStatus>, Refused> {
        let Step { mutations, reply: _ } = self.authorise(caller, Scope::Read, ctx)?;
        let mut after = self.clone();
        mutations.iter().for_each(|mutation| after.apply(mutation));
        let reply = after.describe(ctx.now_ms);
        Ok(Step { mutations, reply })
    }

    fn describe(&self, now_ms: u64) -> DeploymentStatus {
        let unseal_threshold = self.policy.map_or(0, |policy| policy.unseal_threshold);
        let unsealings = self.unsealings.values().map(|it| UnsealingStatus {
            unsealing: it.id,
            target: it.target.owner().map_or_else(|| "deployment".to_owned(), |owner| owner.to_hex()),
            begun_by: it.begun_by.clone(),
            words: self.words(it, now_ms).map(|operator| operator.name.clone()).collect(),
            needed: unseal_threshold,
            deadline: it.deadline_ms / 1000,
            reason: it.reason.clone(),
        });
        DeploymentStatus {
            set_up: self.is_set_up(),
            sealed: self.seals.get(&Target::Deployment).map(seal_status),
            sealed_accounts: self.seals.values().filter(|it| it.target.owner().is_some()).map(seal_status).collect(),
            unsealings: unsealings.collect(),
            unseal_threshold,
            operators: self.operators.values().map(Into::into).collect(),
            proposals: self.proposals.values().map(Into::into).collect(),
            export_delay_s: self.policy.and_then(|policy| policy.export_delay_s),
            rotation: self.rotation.as_ref().map(Into::into),
        }
    }
}

fn seal_status(seal: &Seal) -> SealStatus {
    SealStatus {
        owner_pubkey: seal.target.owner(),
        since: seal.since_ms / 1000,
        by: seal.by.clone(),
        reason: seal.reason.clone(),
    }
}
