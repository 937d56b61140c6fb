//! Ceremonies under everything that a network and a machine do: packages lost, doubled and out of order, parties and
//! the coordinator killed between any two steps. Each seed is one history; a failure names its seed, and
//! `CEREMONY_SEED=…` runs that one alone.
#![allow(missing_docs)]

mod cast;
mod common;

use std::collections::{BTreeMap, BTreeSet};

use cast::{Cast, body};
use frost_wasm_core::{
    ceremony::{Body, Failure, Memory, Package, Refused, Step, Transcript},
    group::GroupPublic,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Histories in one run of continuous integration, and in a developer's.
const SEEDS: [u64; 2] = [10_000, 500];
/// Steps after which everything works, so that each history ends.
const QUIET_AFTER: usize = 400;

/// One party: what it has seen, and the nonces that a crash takes.
struct Node {
    number: u16,
    transcript: Transcript,
    memory: Memory,
}

struct World<'a> {
    cast: &'a Cast,
    rng: ChaCha20Rng,
    coordinator: Transcript,
    nodes: Vec<Node>,
    /// On the way to the coordinator, and from it to a node.
    up: Vec<Package>,
    down: Vec<(usize, Package)>,
    /// The one answer of each party in each round that the coordinator holds.
    answers: BTreeMap<(u16, u16), Package>,
    /// What was signed with the nonces behind each commitment.
    signed: BTreeMap<String, Package>,
    steps: usize,
    /// Every signature is checked by everybody and after every crash, which takes ten times as long.
    thorough: bool,
}

impl<'a> World<'a> {
    fn new(cast: &'a Cast, seed: u64) -> Self {
        let fresh = || Transcript::new(cast.terms.clone());
        let node = |number| Node { number, transcript: fresh(), memory: Memory::default() };
        Self {
            cast,
            rng: ChaCha20Rng::seed_from_u64(seed),
            coordinator: fresh(),
            nodes: cast.numbers().into_iter().map(node).collect(),
            up: Vec::new(),
            down: Vec::new(),
            answers: BTreeMap::new(),
            signed: BTreeMap::new(),
            steps: 0,
            thorough: seed.is_multiple_of(15),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.rng.next_u64() % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.steps < QUIET_AFTER && self.below(n) == 0
    }

    fn run(mut self) -> Self {
        while !self.nodes.iter().all(|node| node.transcript.is_over()) {
            self.steps += 1;
            assert!(self.steps < 20_000, "it neither ends nor fails");
            match self.below(5) {
                0 | 1 => self.speak(),
                2 => self.arrive(),
                3 => self.hear(),
                _ if self.one_in(20) => self.crash(),
                _ => self.fetch(),
            }
        }
        self
    }

    /// A party looks at what it has seen and says what is due. It may be killed before or after it was sent.
    fn speak(&mut self) {
        let at = self.below(self.nodes.len());
        let node = &mut self.nodes[at];
        let participant = self.cast.participant(node.number);
        let said = participant.answer(&node.transcript, &mut node.memory, &mut self.rng).unwrap();
        let Some(package) = said else { return };
        self.note_signatures(&package, at);
        if self.one_in(40) {
            self.crash_node(at);
            return;
        }
        let copies = if self.one_in(6) { 2 } else { 1 };
        self.up.extend(std::iter::repeat_n(package, copies));
    }

    /// No nonce signs two messages: the commitment behind a given share is never behind another one.
    fn note_signatures(&mut self, package: &Package, at: usize) {
        let Body::Prove { shares } = body(package) else { return };
        let seen = &self.nodes[at].transcript;
        let committed = seen.packages().filter(|it| it.party == package.party);
        let newest = committed.filter_map(|it| match body(it) {
            Body::Confirm { commitments, .. } | Body::Commit { commitments } => Some(commitments),
            _ => None,
        });
        let newest = newest.last().unwrap();
        assert_eq!(newest.len(), shares.len());
        for commitment in newest {
            let before = self.signed.insert(commitment.to_string(), package.clone());
            assert!(before.is_none_or(|before| before == *package), "one nonce signed twice");
        }
    }

    /// A package arrives at the coordinator, in any order, or is lost.
    fn arrive(&mut self) {
        if self.up.is_empty() {
            return;
        }
        let at = self.below(self.up.len());
        let package = self.up.swap_remove(at);
        if self.one_in(5) {
            return;
        }
        let key = (package.round, package.party);
        match self.coordinator.take(&package) {
            Ok(new) => {
                let held = self.answers.entry(key).or_insert_with(|| package.clone());
                assert_eq!(*held, package, "one answer per round");
                if new && self.thorough {
                    for node in 0..self.nodes.len() {
                        self.down.push((node, package.clone()));
                    }
                }
            }
            // A party that lost its nonces says another thing than before it was killed.
            Err(Refused::Altered(_)) => assert_ne!(self.answers.get(&key), Some(&package)),
            Err(Refused::Round { .. } | Refused::Over) => {}
            Err(other) => panic!("an honest package was refused: {other}"),
        }
    }

    /// News reach a party, in any order, or are lost.
    fn hear(&mut self) {
        if self.down.is_empty() {
            return;
        }
        let at = self.below(self.down.len());
        let (node, package) = self.down.swap_remove(at);
        if !self.one_in(5) {
            let _ = self.nodes[node].transcript.take(&package);
        }
    }

    /// A party asks for everything that it has missed: then it has what the coordinator has. In some histories it
    /// reads each package itself.
    fn fetch(&mut self) {
        let at = self.below(self.nodes.len());
        if self.thorough {
            for package in self.coordinator.packages() {
                self.nodes[at].transcript.take(package).unwrap();
            }
        } else {
            self.nodes[at].transcript = self.coordinator.clone();
        }
    }

    fn crash(&mut self) {
        let at = self.below(self.nodes.len() + 1);
        if at < self.nodes.len() {
            self.crash_node(at);
        } else if self.thorough {
            self.coordinator = self.read_again(&self.coordinator);
        }
    }

    fn crash_node(&mut self, at: usize) {
        self.nodes[at].memory = Memory::default();
        if self.thorough {
            self.nodes[at].transcript = self.read_again(&self.nodes[at].transcript);
        }
    }

    /// What was stored gives the state that was lost.
    fn read_again(&self, from: &Transcript) -> Transcript {
        let mut again = Transcript::new(self.cast.terms.clone());
        for package in from.packages() {
            again.take(package).unwrap();
        }
        assert_eq!((again.step(), again.round()), (from.step(), from.round()));
        assert_eq!(again.waits_for(), from.waits_for());
        again
    }
}

fn check(world: &World<'_>) {
    if world.thorough {
        world.read_again(&world.coordinator);
    }
    let steps: BTreeSet<_> = world.nodes.iter().map(|node| format!("{:?}", node.transcript.step())).collect();
    assert_eq!(steps.len(), 1, "all come to the same end");
    match world.coordinator.step() {
        Step::Verified => {
            let public: &GroupPublic = world.coordinator.group().unwrap();
            let accepted = world.coordinator.packages().filter(|it| matches!(body(it), Body::Accept { .. }));
            assert_eq!(accepted.count(), public.holders.len(), "verified by every holder's check");
            for node in &world.nodes {
                let seat = world.cast.terms.party(node.number).unwrap().receives;
                let share = world.cast.participant(node.number).take_share(&node.transcript);
                assert_eq!(share.is_ok(), seat.is_some());
            }
        }
        Step::Failed => assert_eq!(world.coordinator.failure(), Some(&Failure::Tries), "nobody is blamed"),
        other => panic!("ended at {other:?}"),
    }
}

/// Few parties, so that many histories are run: the machines are the same for ten.
fn cast_of(seed: u64) -> Cast {
    match seed % 8 {
        0 => Cast::keygen(2, 3, seed),
        1..=4 => Cast::keygen(2, 2, seed),
        5 => {
            let (from, shares) = common::group(2, 3, seed);
            Cast::reshare(&from, shares, &[1, 2], &[1, 2, 3], 2, seed)
        }
        _ => {
            let (from, shares) = common::group(2, 2, seed);
            Cast::reshare(&from, shares, &[1, 2], &[2, 3], 2, seed)
        }
    }
}

#[test]
fn every_history_ends_with_one_group_that_all_have_checked_or_with_nobody_blamed() {
    let only = std::env::var("CEREMONY_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let [many, few] = SEEDS;
    let count = if std::env::var_os("CI").is_some() { many } else { few };
    let seeds = only.map_or(0..count, |seed| seed..seed + 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut verified = 0;
    std::thread::scope(|scope| {
        let part = |of: u64| {
            let seeds = seeds.clone().filter(move |seed| seed % threads == of);
            move || seeds.map(run_one).filter(|step| *step == Step::Verified).count()
        };
        let runs: Vec<_> = (0..threads).map(|of| scope.spawn(part(of))).collect();
        verified = runs.into_iter().map(|run| run.join().unwrap()).sum();
    });
    let all = seeds.end - seeds.start;
    assert!(only.is_some() || verified as u64 > all * 9 / 10, "{verified} of {all} were verified");
}

fn run_one(seed: u64) -> Step {
    let outcome = std::panic::catch_unwind(|| {
        let cast = cast_of(seed);
        let world = World::new(&cast, seed).run();
        check(&world);
        world.coordinator.step()
    });
    outcome.unwrap_or_else(|_| panic!("CEREMONY_SEED={seed} replays it"))
}
