//! Wrapping all data keys anew under the present KEKs, a batch at a time.

use operations_core::{
    ids::Blinded,
    machine::Step,
    rotation::{Batch, NotThisBatch},
};

use super::{Deployment, config, rpc::BunkerClient};
use crate::{auth::keys::operators_key, platform, problem::Problem, storage::D1Store, telemetry};

/// Groups whose keys are wrapped anew in one batch.
const ROTATED_AT_ONCE: u32 = 10;

impl Deployment {
    /// Has the next groups wrap their data keys under the present KEKs, if a rotation is under way. A crash costs a batch
    /// that is done again, which changes nothing where it was done.
    pub(super) async fn rotate(&self) -> Result<(), Problem> {
        let Some(from) = self.with(|state| state.rotation_next().map(|rotation| rotation.cursor.clone()))? else {
            return Ok(());
        };
        let store = D1Store::open(&self.env)?;
        let total = store.count_groups().await?;
        let groups = store.groups_after(from.as_deref(), ROTATED_AT_ONCE).await?;
        let blinding = operators_key(&*config(&self.env)?);
        let (mut done, mut failed) = (0, 0);
        for group in &groups {
            match BunkerClient::for_group(&self.env, group)?.rewrap().await {
                Ok(()) => done += 1,
                // It was deleted, or never came to be.
                Err(problem) if matches!(problem.status().as_u16(), 404 | 410) => done += 1,
                // Why, the holder has logged; which, only this knows.
                Err(problem) => {
                    let group = Blinded::of(&blinding, &group.to_string());
                    telemetry::failure("rotation_failed", &format!("group {group}: {}", problem.code()));
                    failed += 1;
                }
            }
        }
        let is_last = groups.len() < usize::try_from(ROTATED_AT_ONCE).unwrap_or(usize::MAX);
        let next = groups.last().filter(|_| !is_last).map(ToString::to_string);
        let batch = Batch { from, next, total, done, failed };
        match self.with(|state| state.rotation_progress(&batch, platform::now_ms()))? {
            Ok(Step { mutations, reply: () }) => self.commit(&mutations),
            // Another alarm was faster.
            Err(NotThisBatch) => Ok(()),
        }
    }
}
