//! What is written into the audit chain, and that no flood of refusals fills it.
//!
//! Of each class of refusals a minute has at most [`MAX_REFUSALS_PER_MINUTE`] records; the rest is counted in one row
//! that is overwritten, and the count becomes one record when the minute is over. Strangers, operators and logins
//! are classes of their own, so that a flood of one hides nothing of another.

use bunker_core::audit::{AuditHead, ChainError};

use super::Step;
use crate::{
    audit::{DeploymentEntry, DeploymentHappening, DeploymentRecord, RefusalClass, Retention},
    state::{DeploymentState, Mutation, Tally},
};

/// Most records of one class of refusals in one minute.
pub const MAX_REFUSALS_PER_MINUTE: u32 = 30;

impl DeploymentState {
    /// Records something that happened. Refusals beyond a minute's limit are counted only.
    pub fn record(&self, entry: DeploymentEntry, now_ms: u64) -> Vec<Mutation> {
        let Some(class) = entry.refusal_class() else {
            return vec![audit(self.audit, now_ms, entry).1];
        };
        let minute = now_ms / 60_000;
        let mut mutations = Vec::new();
        let mut head = self.audit;
        let mut tally = Tally { minute, recorded: 0, counted: 0 };
        match self.tallies.get(&class) {
            Some(present) if present.minute == minute => tally = *present,
            Some(past) => {
                if let Some((next, record)) = count(head, now_ms, class, past) {
                    head = next;
                    mutations.push(record);
                }
            }
            None => {}
        }
        if tally.recorded < MAX_REFUSALS_PER_MINUTE {
            tally.recorded += 1;
            mutations.push(audit(head, now_ms, entry).1);
        } else {
            tally.counted = tally.counted.saturating_add(1);
        }
        mutations.push(Mutation::Tally(class, tally));
        mutations
    }

    /// Drops records that are older than is kept. `oldest` are the first that are kept, in order; a part of them will
    /// do. The checkpoint that verification then goes on from is stored, and recorded in the chain itself.
    ///
    /// # Errors
    /// Where the chain is broken: a broken one is kept.
    pub fn prune<'a>(
        &self,
        oldest: impl IntoIterator<Item = &'a DeploymentRecord>,
        retention: Retention,
        now_ms: u64,
    ) -> Result<Step<()>, ChainError> {
        let last = retention.last_to_drop(self.checkpoint, oldest, now_ms)?;
        let mutations = last.map_or_else(Vec::new, |last| {
            let pruned = DeploymentHappening::AuditPruned { through: last.n, hash: last.hash };
            vec![Mutation::Checkpoint(last), audit(self.audit, now_ms, DeploymentEntry::of(pruned)).1]
        });
        Ok(Step { mutations, reply: () })
    }
}

/// The record of a minute's refusals that have none of their own.
pub(super) fn count(head: AuditHead, now_ms: u64, class: RefusalClass, past: &Tally) -> Option<(AuditHead, Mutation)> {
    let happening = DeploymentHappening::RefusalsCounted { class, count: past.counted };
    (past.counted > 0).then(|| audit(head, now_ms, DeploymentEntry::of(happening)))
}

fn audit(head: AuditHead, now_ms: u64, entry: DeploymentEntry) -> (AuditHead, Mutation) {
    let record = head.append(now_ms, entry);
    (record.head(), Mutation::Audit(Box::new(record)))
}
