//! The deployment's totals, as the meter keeps them.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::registry::Registry;
use super::{Batch, Build, exposition};

/// Batches whose ids are remembered: an isolate sends one again within seconds or never.
const MAX_REMEMBERED: usize = 1_024;
/// How long a build counts as in use after it was heard of, in milliseconds.
const BUILD_LIFETIME_MS: u64 = 10 * 60 * 1000;
/// Builds that are kept: more than two at once are a mistake already.
const MAX_BUILDS: usize = 16;

/// Everything that was told, each batch once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    registry: Registry,
    builds: Vec<(Build, u64)>,
    seen: VecDeque<u64>,
}

impl Totals {
    /// Adds a batch. Gives whether it was new.
    pub fn add(&mut self, batch: Batch, now_ms: u64) -> bool {
        if self.seen.contains(&batch.id) {
            return false;
        }
        if self.seen.len() >= MAX_REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(batch.id);
        self.registry.add(batch.registry);
        self.registry.forget(now_ms);
        self.heard_of(batch.build, now_ms);
        true
    }

    /// In Prometheus' text format.
    pub fn text(&self, now_ms: u64) -> String {
        let mut registry = self.registry.clone();
        registry.forget(now_ms);
        exposition::text(&registry, self.builds.iter().map(|(build, _)| build), now_ms)
    }

    fn heard_of(&mut self, build: Build, now_ms: u64) {
        let mut builds: BTreeMap<Build, u64> = self.builds.drain(..).collect();
        builds.retain(|_, at_ms| at_ms.saturating_add(BUILD_LIFETIME_MS) > now_ms);
        if builds.len() < MAX_BUILDS || builds.contains_key(&build) {
            builds.insert(build, now_ms);
        }
        self.builds = builds.into_iter().collect();
    }
}
