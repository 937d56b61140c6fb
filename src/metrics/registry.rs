//! Totals, and how they come together.
//!
//! A registry is a sum. Each isolate sums what happens in it since it last told; that sum is a batch on its way, and
//! the meter adds it to the deployment's. Everything is whole numbers, so that the order in which batches arrive does
//! not matter. The number of series is bounded by their types (see [`super::labels`]), and so is a registry's size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::series::{Counter, Gauge, Timing};

/// Upper bounds of the buckets, in milliseconds. Signing takes tens, a slow HSM seconds; a call gives up after 30 s.
pub(super) const BUCKETS_MS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
/// Sources of one gauge that are kept: each takes some 60 bytes in the meter's row. Further ones are not counted.
const MAX_SOURCES: usize = 4_096;

/// Durations, by how many fell under which bound.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Histogram {
    /// How many were in each bucket, not counting smaller ones; the last are those above every bound.
    pub(super) buckets: [u64; BUCKETS_MS.len() + 1],
    /// All durations together, in milliseconds.
    pub(super) sum_ms: u64,
}

impl Histogram {
    fn observe(&mut self, duration_ms: u64) {
        let at = BUCKETS_MS.partition_point(|bound| *bound < duration_ms);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket = bucket.saturating_add(1);
        }
        self.sum_ms = self.sum_ms.saturating_add(duration_ms);
    }

    fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket = bucket.saturating_add(more);
        }
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, bucket| sum.saturating_add(*bucket))
    }
}

/// Who tells a gauge's value. Not given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source(u64);

impl Source {
    /// The deployment: there is one.
    pub const DEPLOYMENT: Self = Self(0);

    /// An object, by the id that the platform gave it.
    pub fn object(id: &str) -> Self {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(id.as_bytes());
        let short = digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
        Self(short)
    }
}

/// A value with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Reading {
    pub(super) at_ms: u64,
    pub(super) value: u64,
}

/// Totals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    pub(super) counters: BTreeMap<Counter, u64>,
    pub(super) timings: BTreeMap<Timing, Histogram>,
    pub(super) gauges: BTreeMap<Gauge, BTreeMap<Source, Reading>>,
}

impl Registry {
    /// Counts `n` more.
    pub fn count(&mut self, counter: Counter, n: u64) {
        let total = self.counters.entry(counter).or_default();
        *total = total.saturating_add(n);
    }

    /// Takes a duration in, in milliseconds.
    pub fn observe(&mut self, timing: Timing, duration_ms: u64) {
        self.timings.entry(timing).or_default().observe(duration_ms);
    }

    /// Takes a source's value in, unless a later one is known. Of two at the same time the larger stays.
    pub fn report(&mut self, gauge: Gauge, source: Source, value: u64, at_ms: u64) {
        let sources = self.gauges.entry(gauge).or_default();
        let reading = Reading { at_ms, value };
        let has_room = sources.len() < MAX_SOURCES;
        match sources.get_mut(&source) {
            Some(known) => *known = reading.max(*known),
            None if has_room => drop(sources.insert(source, reading)),
            None => {}
        }
    }

    /// Adds what another one has.
    pub fn add(&mut self, other: Self) {
        for (counter, n) in other.counters {
            self.count(counter, n);
        }
        for (timing, histogram) in other.timings {
            self.timings.entry(timing).or_default().add(&histogram);
        }
        for (gauge, sources) in other.gauges {
            for (source, Reading { at_ms, value }) in sources {
                self.report(gauge, source, value, at_ms);
            }
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.timings.is_empty() && self.gauges.is_empty()
    }

    /// Drops readings of sources that were not heard of for too long.
    pub fn forget(&mut self, now_ms: u64) {
        for (gauge, sources) in &mut self.gauges {
            let Some(lifetime_ms) = gauge.expires_after_ms() else { continue };
            sources.retain(|_, reading| reading.at_ms.saturating_add(lifetime_ms) > now_ms);
        }
    }
}

/// A registry as it is sent and stored: lists of pairs. Each pair is read for itself, so that an object of another
/// version loses what it does not know and nothing else.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Wire {
    counters: Vec<serde_json::Value>,
    timings: Vec<serde_json::Value>,
    gauges: Vec<serde_json::Value>,
}

impl Serialize for Registry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let readings = self
            .gauges
            .iter()
            .flat_map(|(gauge, sources)| sources.iter().map(move |(source, reading)| (gauge, source, reading)));
        Wire { counters: write(self.counters.iter()), timings: write(self.timings.iter()), gauges: write(readings) }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Registry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let mut registry = Self { counters: read(wire.counters).collect(), ..Self::default() };
        registry.timings = read(wire.timings).collect();
        for (gauge, source, Reading { at_ms, value }) in read::<(Gauge, Source, Reading)>(wire.gauges) {
            registry.report(gauge, source, value, at_ms);
        }
        Ok(registry)
    }
}

fn write<T: Serialize>(items: impl Iterator<Item = T>) -> Vec<serde_json::Value> {
    // Words and numbers: always serialise.
    items.filter_map(|item| serde_json::to_value(item).ok()).collect()
}

fn read<T: DeserializeOwned>(items: Vec<serde_json::Value>) -> impl Iterator<Item = T> {
    items.into_iter().filter_map(|item| serde_json::from_value(item).ok())
}
