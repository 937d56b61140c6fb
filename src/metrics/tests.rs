//! The promises of the counts, against whole batches and against the text that Prometheus reads.

use bunker_core::policy;
use bunker_core::session::Refusal;

use super::accumulator::Accumulator;
use super::labels::*;
use super::registry::{Registry, Source};
use super::series::{Counter, Gauge, Route, Timing};
use super::{Batch, Build, Totals, exposition};

/// The text as a whole, so that a change of it is seen.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/metrics/golden.txt");
const NOW_MS: u64 = 1_000_000_000;

/// Small and repeatable: what comes out depends on the seed alone.
struct Seed(u64);

impl Seed {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn registry(&mut self) -> Registry {
        let mut registry = Registry::default();
        for _ in 0..self.below(20) {
            registry.count(Counter::Refusals { reason: self.of(Reason::ALL) }, self.below(5));
            registry.count(Counter::AuditSinkFailures, 1);
            let operation = self.of(HsmOperation::ALL);
            registry.observe(Timing::Hsm { operation }, self.below(40_000));
            let source = Source::object(self.of(&["a", "b", "c"]));
            registry.report(Gauge::RelaySockets, source, self.below(9), NOW_MS + self.below(9));
        }
        registry
    }
}

fn build(version: &str) -> Build {
    Build { version: version.to_owned(), wasm_sha256: Some("ab".repeat(32)) }
}

fn sample() -> Totals {
    let mut registry = Registry::default();
    let (method, outcome) = (RequestMethod::SignEvent, RequestOutcome::Answered);
    registry.count(Counter::SignRequests { method, outcome }, 7);
    registry.count(Counter::HttpRequests { route: Route::of(None), status_class: StatusClass::of(404) }, 2);
    for duration_ms in [3, 5, 6, 1_500, 31_000] {
        registry.observe(Timing::Request { outcome }, duration_ms);
    }
    registry.report(Gauge::RelaySockets, Source::object("one"), 2, NOW_MS);
    registry.report(Gauge::RelaySockets, Source::object("two"), 3, NOW_MS);
    registry.report(Gauge::Sealed { scope: SealScope::Deployment }, Source::DEPLOYMENT, 0, NOW_MS);
    registry.report(Gauge::BackupMadeAt, Source::DEPLOYMENT, NOW_MS - 90_500, NOW_MS);
    let mut totals = Totals::default();
    totals.add(Batch { id: 1, build: build("1.0 \"quoted\\\""), registry }, NOW_MS);
    totals
}

/// Run with `UPDATE_GOLDEN=1` to write it anew.
#[test]
fn the_text_is_the_one_that_prometheus_own_parser_has_read() {
    let text = sample().text(NOW_MS);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &text).unwrap();
    }
    assert!(std::fs::read_to_string(GOLDEN).unwrap() == text, "see {GOLDEN}; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn a_duration_counts_in_its_bucket_and_in_every_larger_one() {
    let text = sample().text(NOW_MS);
    let line = |le: &str, n: u64| {
        let line = format!("passport_request_duration_seconds_bucket{{outcome=\"answered\",le=\"{le}\"}} {n}\n");
        assert!(text.contains(&line), "{line}");
    };
    // A bound is inclusive: 5 ms is under 0.005.
    [("0.005", 2), ("0.01", 3), ("1", 3), ("2.5", 4), ("30", 4), ("+Inf", 5)]
        .into_iter()
        .for_each(|(le, n)| line(le, n));
    assert!(text.contains("passport_request_duration_seconds_sum{outcome=\"answered\"} 32.514\n"));
    assert!(text.contains("passport_request_duration_seconds_count{outcome=\"answered\"} 5\n"));
}

#[test]
fn what_is_counted_is_there_at_zero_before_it_happens_and_what_is_not_is_not() {
    let text = Totals::default().text(NOW_MS);
    for line in [
        "passport_sign_requests_total{method=\"sign_event\",outcome=\"failed\"} 0\n",
        "passport_refusals_total{reason=\"revoked\"} 0\n",
        "passport_failures_total{code=\"internal\"} 0\n",
        "passport_hsm_calls_total{role=\"cosigner\",operation=\"unwrap\",outcome=\"key_disabled\"} 0\n",
        "passport_logins_total{method=\"passkey\",outcome=\"refused\"} 0\n",
        "passport_ceremonies_total{kind=\"reshare\",outcome=\"failed\"} 0\n",
        "passport_audit_sink_failures_total 0\n",
        "passport_canary_uses_total{canary_kind=\"token\"} 0\n",
    ] {
        assert!(text.contains(line), "{line}");
    }
    for family in ["backup", "sealed", "relay_sockets"] {
        assert!(!text.contains(&format!("passport_{family}")), "a zero of what nobody counts: {family}");
    }
}

#[test]
fn batches_give_the_same_totals_in_every_order_and_in_every_grouping() {
    for seed in 0..200 {
        let mut seed_of = Seed(seed);
        let parts: Vec<Registry> = (0..6).map(|_| seed_of.registry()).collect();
        let sum = |parts: &mut dyn Iterator<Item = Registry>| {
            parts.fold(Registry::default(), |mut sum, part| {
                sum.add(part);
                sum
            })
        };
        let forwards = sum(&mut parts.clone().into_iter());
        let backwards = sum(&mut parts.clone().into_iter().rev());
        let (left, right) = parts.split_at(3);
        let halves = [sum(&mut left.iter().cloned()), sum(&mut right.iter().cloned())];
        assert_eq!(forwards, backwards, "seed {seed}");
        assert_eq!(forwards, sum(&mut halves.into_iter()), "seed {seed}");
        let read: Registry = serde_json::from_str(&serde_json::to_string(&forwards).unwrap()).unwrap();
        assert_eq!(read, forwards, "seed {seed}: stored and read again");
    }
}

#[test]
fn a_batch_that_arrives_twice_is_counted_once() {
    let mut registry = Registry::default();
    registry.count(Counter::AuditSinkFailures, 1);
    let batch = Batch { id: 9, build: build("1"), registry };
    let mut totals = Totals::default();
    assert!(totals.add(batch.clone(), NOW_MS));
    let mut totals: Totals = serde_json::from_str(&serde_json::to_string(&totals).unwrap()).unwrap();
    assert!(!totals.add(batch, NOW_MS), "also after the meter was evicted");
    assert!(totals.text(NOW_MS).contains("passport_audit_sink_failures_total 1\n"));
}

#[test]
fn a_label_that_no_list_has_costs_its_own_count_and_nothing_else() {
    let sent = r#"{"counters":[[{"refusals":{"reason":"made_up"}},5],[{"refusals":{"reason":"revoked"}},2]],
        "timings":[],"gauges":[[{"nobody":{}},1,{"at_ms":1,"value":1}]]}"#;
    let mut expected = Registry::default();
    expected.count(Counter::Refusals { reason: Reason::Revoked }, 2);
    assert_eq!(serde_json::from_str::<Registry>(sent).unwrap(), expected);
}

#[test]
fn a_bunker_that_was_not_heard_of_for_an_hour_has_no_sockets_and_a_seal_stays() {
    let totals = sample();
    let text = totals.text(NOW_MS + 60 * 60 * 1000);
    assert!(totals.text(NOW_MS).contains("passport_relay_sockets 5\n"));
    assert!(!text.contains("passport_relay_sockets 5\n"));
    assert!(text.contains("passport_sealed{scope=\"deployment\"} 0\n"));
}

#[test]
fn every_refusal_of_the_bunker_has_a_reason_of_its_own() {
    use Refusal::*;
    let all = [
        BadRequest(String::new()),
        UnknownMethod(String::new()),
        NotConnected,
        SecretMissing,
        SecretWrong,
        SecretSpent,
        OtherClient,
        LoggedOut,
        Revoked,
        Expired,
        Paused,
        Denied(policy::Denied::Forbidden),
        Denied(policy::Denied::NotGranted),
        Denied(policy::Denied::UsedUp),
        NeedsApproval,
        DeniedByOwner,
        NotApprovedInTime,
        TooManyPending,
        StaleAuth,
        TooManyAttempts,
        NothingToContribute,
    ];
    for refusal in &all {
        assert_eq!(Reason::of_code(refusal.code()).as_str(), refusal.code());
    }
    // Beside the seal, of which the bunker's machine knows nothing, and `other`.
    assert_eq!(all.len() + 2, Reason::ALL.len());
    assert_eq!(Reason::of_code("of another version"), Reason::Other);
    assert_eq!(FailureCode::of_code("cosigner_refused:not_granted"), FailureCode::CosignerRefused);
}

#[test]
fn one_flush_is_under_way_at_a_time_and_one_begins_every_two_seconds_at_most() {
    let mut it = Accumulator::default();
    assert_eq!(it.plan(NOW_MS), None, "nothing to tell");
    it.fresh.count(Counter::AuditSinkFailures, 1);
    assert_eq!(it.plan(NOW_MS), Some(0));
    assert_eq!(it.plan(NOW_MS), None, "one is coming");
    let batch = it.next(NOW_MS, empty).unwrap();
    it.fresh.count(Counter::AuditSinkFailures, 1);
    assert_eq!(it.plan(NOW_MS + 10), None, "one is under way");
    assert!(it.settle(batch.id, true));
    assert_eq!(it.plan(NOW_MS + 10), Some(1_990));
    // The platform cut that one off: after a while another one goes.
    assert_eq!(it.plan(NOW_MS + 10_000), None);
    assert_eq!(it.plan(NOW_MS + 20_000), Some(0));
}

#[test]
fn a_batch_that_may_have_arrived_is_sent_again_as_it_was_and_nothing_is_lost() {
    let mut it = Accumulator::default();
    it.fresh.count(Counter::AuditSinkFailures, 1);
    let first = it.next(NOW_MS, empty).unwrap();
    it.fresh.count(Counter::AuditSinkFailures, 2);
    assert!(!it.settle(first.id, false));
    let again = it.next(NOW_MS + 2_000, || panic!("a new batch instead of the old one")).unwrap();
    assert_eq!((again.id, &again.registry), (first.id, &first.registry));
    assert!(it.settle(again.id, true));
    let second = it.next(NOW_MS + 4_000, empty).unwrap();
    let mut expected = Registry::default();
    expected.count(Counter::AuditSinkFailures, 2);
    assert_eq!(second.registry, expected);
}

fn empty() -> Batch {
    Batch { id: 4, build: build("1"), registry: Registry::default() }
}

#[test]
fn counts_of_this_isolate_can_be_made_anywhere() {
    super::count(Counter::AuditSinkFailures);
    super::observe(Timing::Hsm { operation: HsmOperation::Wrap }, 4);
    super::report(Gauge::RelaySockets, Source::DEPLOYMENT, 1);
    assert!(exposition::CONTENT_TYPE.contains("version=0.0.4"));
}
