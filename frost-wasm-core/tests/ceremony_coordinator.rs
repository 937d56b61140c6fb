//! The coordinator's own promises: who may speak, deadlines, ends that are final, and replay.
#![allow(missing_docs)]

mod cast;
mod common;

use cast::Cast;
use common::rng;
use frost_wasm_core::ceremony::{
    Memory, Package, Refused,
    coordinator::{Coordinator, CoordinatorRefused, End, Limits, Mutation},
};

const LIMITS: Limits = Limits { round_ms: 1_000, kept_ms: 5_000 };

struct Run<'a> {
    cast: &'a Cast,
    coordinator: Coordinator,
    log: Vec<Mutation>,
    memories: Vec<Memory>,
}

impl<'a> Run<'a> {
    fn new(cast: &'a Cast) -> Self {
        let coordinator = Coordinator::start(cast.terms.clone(), LIMITS, 0);
        Self { cast, coordinator, log: Vec::new(), memories: cast.keys.iter().map(|_| Memory::default()).collect() }
    }

    fn says(&mut self, number: u16) -> Option<Package> {
        let memory = &mut self.memories[usize::from(number) - 1];
        let transcript = self.coordinator.transcript();
        self.cast.participant(number).answer(transcript, memory, &mut rng(u64::from(number))).unwrap()
    }

    fn submit(&mut self, sender: u16, package: &Package, now_ms: u64) -> Result<usize, CoordinatorRefused> {
        let mutations = self.coordinator.submit(sender, package, now_ms)?;
        self.apply(&mutations);
        Ok(mutations.len())
    }

    fn apply(&mut self, mutations: &[Mutation]) {
        mutations.iter().for_each(|mutation| self.coordinator.apply(mutation));
        self.log.extend_from_slice(mutations);
    }

    /// One round by everybody, at one time.
    fn round(&mut self, now_ms: u64) {
        for number in self.cast.numbers() {
            let package = self.says(number).unwrap();
            assert_eq!(self.submit(number, &package, now_ms), Ok(1));
        }
    }
}

impl Drop for Run<'_> {
    /// Replaying what was stored, as it was stored, gives the live state.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut again = Coordinator::start(self.cast.terms.clone(), LIMITS, 0);
        for mutation in &self.log {
            let stored = serde_json::to_string(mutation).unwrap();
            again.apply(&serde_json::from_str(&stored).unwrap());
        }
        assert_eq!(format!("{again:?}"), format!("{:?}", self.coordinator));
    }
}

#[test]
fn attack_13_who_speaks_is_said_by_the_token_and_not_by_the_package() {
    let cast = Cast::keygen(2, 3, 1);
    let mut run = Run::new(&cast);
    let package = run.says(2).unwrap();
    assert_eq!(run.submit(1, &package, 1), Err(CoordinatorRefused::OtherSender { sender: 1, party: 2 }));
    assert_eq!(run.submit(2, &package, 1), Ok(1));
}

#[test]
fn the_same_bytes_get_the_same_answer_and_others_are_refused_also_when_it_is_over() {
    let cast = Cast::keygen(2, 2, 1);
    let mut run = Run::new(&cast);
    let first = run.says(1).unwrap();
    assert_eq!(run.submit(1, &first, 1), Ok(1));
    assert_eq!(run.submit(1, &first, 2), Ok(0));
    let other = cast.forge_text(1, 1, &first.body);
    assert_eq!(run.submit(1, &other, 3), Err(CoordinatorRefused::Package(Refused::Altered(1))));
    let cancelled = run.coordinator.cancel(2, 4).unwrap();
    run.apply(&cancelled);
    assert_eq!(run.submit(1, &first, 5), Ok(0));
    let late = run.says(2).unwrap();
    assert_eq!(run.submit(2, &late, 6), Err(CoordinatorRefused::Over));
}

#[test]
fn each_round_has_its_own_time_and_the_silent_are_named() {
    let cast = Cast::keygen(2, 3, 1);
    let mut run = Run::new(&cast);
    run.round(900);
    assert_eq!(run.coordinator.due_ms(), 1_900);
    let package = run.says(2).unwrap();
    run.submit(2, &package, 1_800).unwrap();
    assert_eq!(run.coordinator.tick(1_899), []);
    let late = run.says(1).unwrap();
    assert_eq!(run.submit(1, &late, 1_900), Err(CoordinatorRefused::Over), "late, though nobody has looked yet");
    let expired = run.coordinator.tick(1_900);
    run.apply(&expired);
    assert_eq!(run.coordinator.end(), Some(End::Expired { silent: vec![1, 3] }));
    assert_eq!(run.coordinator.tick(9_999), [], "final");
    assert_eq!(run.coordinator.cancel(1, 9_999), Err(CoordinatorRefused::Over));
}

#[test]
fn a_result_is_readable_for_its_time_and_then_to_be_wiped() {
    let cast = Cast::keygen(2, 3, 1);
    let mut run = Run::new(&cast);
    for round in 0..5 {
        assert_eq!(run.coordinator.end(), None);
        run.round(round * 100);
    }
    assert_eq!(run.coordinator.end(), Some(End::Verified));
    assert_eq!(run.coordinator.cancel(1, 500), Err(CoordinatorRefused::Over), "what is verified stays so");
    assert_eq!(run.coordinator.due_ms(), 5_400);
    assert!(!run.coordinator.is_to_be_wiped(5_399));
    assert!(run.coordinator.is_to_be_wiped(5_400));
}
