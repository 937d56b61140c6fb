//! What an operator watches: counts, durations and states of the whole deployment.
//!
//! A Worker is many isolates and objects, and memory of one is not the deployment's. So what happens is summed in the
//! isolate where it happens ([`count`], [`observe`], [`report`]: cheap, can't fail, callable anywhere), and the sum
//! goes to the one meter object after work is done ([`flush`]), which gives it out in Prometheus' text format. Nothing
//! here decides anything, delays a request or makes it fail.
//!
//! No label says anything of a person: see [`labels`]. Out of scope is what the platform itself measures.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

mod accumulator;
mod analytics;
pub mod exposition;
pub mod labels;
mod recorded;
mod registry;
mod series;
mod totals;

pub use self::accumulator::{Batch, Build, Waits, count, flush, observe, report};
pub use self::recorded::recorded;
pub use self::registry::{Registry, Source};
pub use self::series::{Counter, Gauge, Route, Timing};
pub use self::totals::Totals;

#[cfg(test)]
mod tests;
