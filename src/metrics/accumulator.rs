//! What happened in this isolate and is not at the meter yet.
//!
//! A batch has an id and stays here until the meter has it, so one that may have arrived is sent again as it was, and
//! the meter counts it once. New counts go to the next batch meanwhile. One flush is under way at a time, and one
//! begins every two seconds at most; what falls between waits for the next one after the work, outside any request.
//!
//! Lost is what an isolate had not told when the platform ended it: two seconds' worth, usually.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use worker::{Context, Env, State};

use super::registry::{Registry, Source};
use super::series::{Counter, Gauge, Timing};
use crate::config::Config;
use crate::durable::meter::MeterClient;
use crate::platform::{now_ms, random_bytes};
use crate::telemetry;

/// Time between two flushes of an isolate, in milliseconds.
const BETWEEN_FLUSHES_MS: u64 = 2_000;
/// After this time a flush is taken for one that the platform cut off, and another may begin, in milliseconds.
const GIVEN_UP_AFTER_MS: u64 = 15_000;

thread_local! {
    static ACCUMULATOR: RefCell<Accumulator> = RefCell::default();
}

/// Counts one.
pub fn count(counter: Counter) {
    change(|registry| registry.count(counter, 1));
}

/// Takes a duration in, in milliseconds.
pub fn observe(timing: Timing, duration_ms: u64) {
    change(|registry| registry.observe(timing, duration_ms));
}

/// Tells what stands at a value now.
pub fn report(gauge: Gauge, source: Source, value: u64) {
    let at_ms = now_ms();
    change(|registry| registry.report(gauge, source, value, at_ms));
}

fn change(change: impl FnOnce(&mut Registry)) {
    with(|accumulator| change(&mut accumulator.fresh));
}

/// Never panics: a cell that is borrowed (it is not, for nothing waits or calls back inside) loses a count.
fn with<T: Default>(run: impl FnOnce(&mut Accumulator) -> T) -> T {
    ACCUMULATOR.with(|cell| cell.try_borrow_mut().map(|mut it| run(&mut it)).unwrap_or_default())
}

/// What runs on after an answer: a request's context, or an object.
pub trait Waits {
    /// Keeps the platform from ending this before the work is done.
    fn wait_until(&self, work: impl Future<Output = ()> + 'static);
}

impl Waits for Context {
    fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        Self::wait_until(self, work);
    }
}

impl Waits for State {
    fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        Self::wait_until(self, work);
    }
}

/// Tells the meter what it does not know yet, soon and after the answer. Call it when work is done; when there is
/// nothing to tell, or a flush is coming anyway, it does nothing.
pub fn flush(waits: &impl Waits, env: &Env) {
    let Some(wait_ms) = with(|accumulator| accumulator.plan(now_ms())) else { return };
    let env = env.clone();
    waits.wait_until(async move {
        if wait_ms > 0 {
            worker::Delay::from(Duration::from_millis(wait_ms)).await;
        }
        send(&env).await;
    });
}

async fn send(env: &Env) {
    let batch = with(|accumulator| accumulator.next(now_ms(), || Batch::new(env)));
    let Some(batch) = batch else { return };
    let sent = match MeterClient::new(env) {
        Ok(meter) => meter.add(&batch).await,
        Err(problem) => Err(problem),
    };
    let outcome = with(|accumulator| accumulator.settle(batch.id, sent.is_ok()));
    if let Err(problem) = sent {
        telemetry::failure("metrics_not_told", problem.cause().unwrap_or(problem.detail()));
    } else if outcome {
        super::analytics::write(env, &batch.registry);
    }
}

/// Which build tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Build {
    /// Version of the Worker.
    pub version: String,
    /// SHA-256 of its WASM, where the build told it.
    pub wasm_sha256: Option<String>,
}

/// A sum on its way to the meter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Batch {
    /// Names it, so that it is counted once.
    pub id: u64,
    /// Who made it.
    pub build: Build,
    /// What happened.
    pub registry: Registry,
}

impl Batch {
    fn new(env: &Env) -> Self {
        let wasm_sha256 = Config::from_env(env).ok().and_then(|config| config.wasm_sha256.clone());
        let build = Build { version: env!("CARGO_PKG_VERSION").to_owned(), wasm_sha256 };
        Self { id: u64::from_le_bytes(random_bytes()), build, registry: Registry::default() }
    }
}

#[derive(Default)]
pub(super) struct Accumulator {
    pub(super) fresh: Registry,
    /// Sent, and not known to have arrived.
    unsettled: Option<Batch>,
    /// Until when a flush is under way.
    busy_until_ms: u64,
    /// When the next one may begin.
    next_at_ms: u64,
}

impl Accumulator {
    /// How long to wait before a flush, in milliseconds; `None` when none is needed. The caller has to carry it out.
    pub(super) fn plan(&mut self, now_ms: u64) -> Option<u64> {
        let nothing_to_tell = self.fresh.is_empty() && self.unsettled.is_none();
        if nothing_to_tell || now_ms < self.busy_until_ms {
            return None;
        }
        let wait_ms = self.next_at_ms.saturating_sub(now_ms);
        self.busy_until_ms = now_ms.saturating_add(wait_ms).saturating_add(GIVEN_UP_AFTER_MS);
        Some(wait_ms)
    }

    /// What to send now: what may not have arrived before, or else what is new.
    pub(super) fn next(&mut self, now_ms: u64, new: impl FnOnce() -> Batch) -> Option<Batch> {
        self.next_at_ms = now_ms.saturating_add(BETWEEN_FLUSHES_MS);
        if self.unsettled.is_none() && !self.fresh.is_empty() {
            self.unsettled = Some(Batch { registry: std::mem::take(&mut self.fresh), ..new() });
        }
        if self.unsettled.is_none() {
            self.busy_until_ms = 0;
        }
        self.unsettled.clone()
    }

    /// A batch has arrived, or has not. Gives whether it was settled by this.
    pub(super) fn settle(&mut self, id: u64, arrived: bool) -> bool {
        self.busy_until_ms = 0;
        let is_it = arrived && self.unsettled.as_ref().is_some_and(|batch| batch.id == id);
        if is_it {
            self.unsettled = None;
        }
        is_it
    }
}
