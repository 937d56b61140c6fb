//! The same counts for the platform's own analytics, where a deployment has bound a data set.
//!
//! A point is one series' growth: index the family's name, blobs the labels' values in their order, doubles the growth
//! (of a duration: how many, and their sum in milliseconds). Without the binding nothing is written.

use worker::{AnalyticsEngineDataPointBuilder, AnalyticsEngineDataset, Env};

use super::registry::Registry;
use super::series::{Family, Labels};
use crate::telemetry;

/// Binding of the data set. Optional.
const BINDING: &str = "ANALYTICS";
/// Points that the platform takes from one invocation (250), less some room.
const MAX_POINTS: usize = 200;

/// Writes what happened.
pub(super) fn write(env: &Env, registry: &Registry) {
    let Ok(dataset) = env.analytics_engine(BINDING) else { return };
    for point in points(registry).take(MAX_POINTS) {
        if let Err(error) = point.write(&dataset) {
            return telemetry::failure("analytics_failed", &error.to_string());
        }
    }
}

struct Point {
    family: Family,
    labels: Labels,
    doubles: Vec<f64>,
}

impl Point {
    fn write(self, dataset: &AnalyticsEngineDataset) -> worker::Result<()> {
        AnalyticsEngineDataPointBuilder::new()
            .indexes([self.family.name])
            .blobs(self.labels.into_iter().map(|(_, value)| value.into_owned()))
            .doubles(self.doubles)
            .write_to(dataset)
    }
}

#[allow(clippy::cast_precision_loss)] // growth of seconds: far from 2^53
fn points(registry: &Registry) -> impl Iterator<Item = Point> {
    let counters = registry.counters.iter().map(|(counter, n)| Point {
        family: counter.family(),
        labels: counter.labels(),
        doubles: vec![*n as f64],
    });
    let timings = registry.timings.iter().map(|(timing, histogram)| Point {
        family: timing.family(),
        labels: timing.labels(),
        doubles: vec![histogram.count() as f64, histogram.sum_ms as f64],
    });
    counters.chain(timings)
}
