//! Totals in Prometheus' text format, version 0.0.4.
//!
//! Every series of a closed list that this version counts is given out from the first scrape on, at zero if need be: a
//! watcher that first sees a count at one can't tell that it rose. What it does not count yet is not there at all, so that
//! no zero says that all is well. Our own writer, because the client library for Rust writes OpenMetrics only and has no
//! histograms that are added up elsewhere.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details>

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::Build;
use super::labels::{
    CanaryKind, CeremonyKind, CeremonyOutcome, FailureCode, HsmOperation, HsmOutcome, HsmRole, LoginMethod,
    LoginOutcome, Reason, RequestMethod, RequestOutcome,
};
use super::registry::{BUCKETS_MS, Histogram, Reading, Registry, Source};
use super::series::{BUILD_INFO, Counter, Family, Gauge, Labels, Timing};

/// The format's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes totals and the builds that were heard of.
pub fn text<'a>(registry: &Registry, builds: impl Iterator<Item = &'a Build>, now_ms: u64) -> String {
    let mut page = Page::default();
    // A string takes everything that is written to it.
    let _ = page.write(registry, builds, now_ms);
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
    family: Option<Family>,
}

impl Page {
    fn write<'a>(&mut self, registry: &Registry, builds: impl Iterator<Item = &'a Build>, now_ms: u64) -> fmt::Result {
        let mut counters = zeroes();
        counters.extend(registry.counters.iter().map(|(counter, n)| (counter.clone(), *n)));
        for (counter, n) in &counters {
            self.series(counter.family(), "", counter.labels(), *n)?;
        }
        for (timing, histogram) in &registry.timings {
            self.histogram(*timing, histogram)?;
        }
        for (gauge, sources) in &registry.gauges {
            if let Some(value) = standing(*gauge, sources, now_ms) {
                self.series(gauge.family(), "", gauge.labels(), value)?;
            }
        }
        for build in builds {
            let wasm = build.wasm_sha256.clone().unwrap_or_else(|| "unknown".to_owned());
            let labels = vec![("version", build.version.clone().into()), ("wasm_sha256", wasm.into())];
            self.series(BUILD_INFO, "", labels, 1)?;
        }
        Ok(())
    }

    /// Cumulative buckets in rising order, the last one for everything, then sum and count.
    fn histogram(&mut self, timing: Timing, histogram: &Histogram) -> fmt::Result {
        let (family, labels) = (timing.family(), timing.labels());
        let bounds = BUCKETS_MS.iter().map(|bound| seconds(*bound)).chain(["+Inf".to_owned()]);
        let mut so_far = 0_u64;
        for (bound, n) in bounds.zip(histogram.buckets) {
            so_far = so_far.saturating_add(n);
            let mut labels = labels.clone();
            labels.push(("le", bound.into()));
            self.series(family, "_bucket", labels, so_far)?;
        }
        self.series(family, "_sum", labels.clone(), seconds(histogram.sum_ms))?;
        self.series(family, "_count", labels, histogram.count())
    }

    /// One line, under its family's heading.
    fn series(&mut self, family: Family, suffix: &str, labels: Labels, value: impl fmt::Display) -> fmt::Result {
        let Family { name, help, kind } = family;
        if self.family != Some(family) {
            self.family = Some(family);
            writeln!(self.text, "# HELP {name} {}", escaped(help, false))?;
            writeln!(self.text, "# TYPE {name} {kind}")?;
        }
        write!(self.text, "{name}{suffix}")?;
        for (n, (label, value)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            write!(self.text, "{before}{label}=\"{}\"", escaped(value, true))?;
        }
        let after = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{after} {value}")
    }
}

/// What a gauge stands at: the sum over its sources, or for a backup its age in seconds.
fn standing(gauge: Gauge, sources: &BTreeMap<Source, Reading>, now_ms: u64) -> Option<String> {
    let values = sources.values().map(|reading| reading.value);
    match gauge {
        Gauge::BackupMadeAt => values.max().map(|made_at_ms| seconds(now_ms.saturating_sub(made_at_ms))),
        Gauge::Sealed { .. } | Gauge::RelaySockets => {
            Some(values.fold(0, |sum: u64, value| sum.saturating_add(value)).to_string())
        }
    }
}

/// Milliseconds as seconds, exactly.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Backslash and line feed are escaped, in a label's value the quote as well.
fn escaped(text: &str, is_label: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if is_label { text.replace('"', "\\\"") } else { text }
}

/// All counters of closed lists that are counted somewhere, at zero.
fn zeroes() -> BTreeMap<Counter, u64> {
    let mut all = Vec::new();
    for method in RequestMethod::ALL.iter().copied() {
        all.extend(RequestOutcome::ALL.iter().map(|outcome| Counter::SignRequests { method, outcome: *outcome }));
    }
    all.extend(Reason::ALL.iter().map(|reason| Counter::Refusals { reason: *reason }));
    for role in HsmRole::ALL.iter().copied() {
        for operation in HsmOperation::ALL.iter().copied() {
            all.extend(HsmOutcome::ALL.iter().map(|outcome| Counter::HsmCalls { role, operation, outcome: *outcome }));
        }
    }
    for method in LoginMethod::ALL.iter().copied() {
        all.extend(LoginOutcome::ALL.iter().map(|outcome| Counter::Logins { method, outcome: *outcome }));
    }
    for kind in CeremonyKind::ALL.iter().copied() {
        all.extend(CeremonyOutcome::ALL.iter().map(|outcome| Counter::Ceremonies { kind, outcome: *outcome }));
    }
    all.push(Counter::AuditSinkFailures);
    all.extend(CanaryKind::ALL.iter().map(|canary_kind| Counter::CanaryUses { canary_kind: *canary_kind }));
    all.extend(FailureCode::ALL.iter().map(|code| Counter::Failures { code: *code }));
    all.into_iter().map(|counter| (counter, 0)).collect()
}
