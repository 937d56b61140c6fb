//! What ends by time. Decided at every use, and by the shell's alarm so that the record does not wait for a use.

use super::{Step, chronicle, draft::Draft};
use crate::{
    audit::DeploymentHappening,
    rotation::{Batch, NotThisBatch},
    state::{DeploymentState, Mutation},
};

/// When something ends next, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due(pub u64);

impl DeploymentState {
    /// Ends what is over, and says when something ends next.
    pub fn tick(&self, now_ms: u64) -> Step<Option<Due>> {
        let mut draft = Draft::new(self, now_ms);
        draft.end_what_is_due();
        let next = draft.state.next_due();
        Step { mutations: draft.into_mutations(), reply: next }
    }

    /// When [`Self::tick`] has something to do next.
    pub fn next_due(&self) -> Option<Due> {
        let unsealings = self.unsealings.values().map(|it| it.deadline_ms);
        let proposals = self.proposals.values().map(|it| it.deadline_ms);
        let commands = self.seen.values().map(|it| it.ends_at_ms());
        let tallies = self.tallies.values().map(|it| it.minute.saturating_add(1).saturating_mul(60_000));
        unsealings.chain(proposals).chain(commands).chain(tallies).min().map(Due)
    }

    /// Takes note of what a batch of a rotation did. It is recorded in tenths, and at the end.
    ///
    /// # Errors
    /// The batch was reported before, or no rotation is under way.
    pub fn rotation_progress(&self, batch: &Batch, now_ms: u64) -> Result<Step<()>, NotThisBatch> {
        let rotation = self.rotation.as_ref().ok_or(NotThisBatch)?;
        let next = rotation.after(batch, now_ms)?;
        let (done, total, failed) = (next.done, next.total, next.failed);
        let mut draft = Draft::new(self, now_ms);
        if next.finished_at_ms.is_some() {
            draft.record(DeploymentHappening::RotationDone { done, total, failed });
        } else if next.tenths() > rotation.tenths() {
            draft.record(DeploymentHappening::RotationProgress { done, total, failed });
        }
        draft.push(Mutation::Rotation(Box::new(next)));
        Ok(Step { mutations: draft.into_mutations(), reply: () })
    }
}

impl Draft {
    /// Ends what is over.
    pub(super) fn end_what_is_due(&mut self) {
        let now_ms = self.now_ms;
        let unsealings: Vec<_> =
            self.state.unsealings.values().filter(|it| it.deadline_ms <= now_ms).cloned().collect();
        for it in unsealings {
            self.push(Mutation::UnsealingEnded(it.id));
            let target = it.audit_target;
            self.record(DeploymentHappening::UnsealExpired { target, unsealing: it.id, reason: it.reason });
        }
        let proposals: Vec<_> = self.state.proposals.values().filter(|it| it.deadline_ms <= now_ms).cloned().collect();
        for it in proposals {
            self.push(Mutation::ProposalEnded(it.id));
            self.record(DeploymentHappening::ProposalExpired { proposal: it.id, change: (&it.what).into() });
        }
        let commands: Vec<_> =
            self.state.seen.iter().filter(|(_, seen)| seen.ends_at_ms() <= now_ms).map(|(id, _)| *id).collect();
        for id in commands {
            self.push(Mutation::Forgotten(id));
        }
        let tallies: Vec<_> = self.state.tallies.iter().map(|(class, tally)| (*class, *tally)).collect();
        for (class, tally) in tallies.into_iter().filter(|(_, tally)| tally.minute < now_ms / 60_000) {
            if let Some((_, record)) = chronicle::count(self.state.audit, now_ms, class, &tally) {
                self.push(record);
            }
            self.push(Mutation::TallyDone(class));
        }
    }
}
