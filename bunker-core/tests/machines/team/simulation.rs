//! Random histories of requests that people contribute to, one after the other: they ask, commit and sign in any order, what they say comes
//! late, twice or never, devices lose their nonces, the bunker loses what it gathered, and time passes.
//!
//! In each of them no nonce signs twice, nobody who is honest is blamed, and when those who have to are there at last the
//! app gets what it asked for. `TEAM_SEED=…` runs one of them alone.

use std::collections::BTreeSet;

use bunker_core::{
    event::Event,
    joint::{ContributionReply, Taken},
    session::Operation,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use serde_json::json;

use super::{Team, correspondent, operation};
use crate::{
    judge::assert_signed,
    world::{App, EVERYTHING, Person, World, copy, template},
};

/// Seeds when `CI` is set, and for a developer.
const SEEDS: [u64; 2] = [1_000, 100];
/// Histories of each.
const HISTORIES: usize = 10;
/// Random steps of one history, before those who have to are there.
const STEPS: u32 = 40;
const PEOPLE: u16 = 4;

struct History {
    team: Team,
    operation: Operation,
    is_signing: bool,
    signers: usize,
    /// What people have said and the bunker has not heard.
    on_the_way: Vec<(ContributionReply, u32)>,
    /// Commitments that were signed with.
    used: BTreeSet<String>,
    is_complete: bool,
    dice: ChaCha20Rng,
}

impl History {
    fn begin(team: Team, is_signing: bool, dice: ChaCha20Rng) -> Self {
        let signers = usize::from(team.world.public.threshold) - 1;
        let operation = operation(&team);
        let (on_the_way, used) = (Vec::new(), BTreeSet::new());
        Self { team, operation, is_signing, signers, on_the_way, used, is_complete: false, dice }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.dice.next_u32() as usize % below
    }

    /// A person's device asks, and says something if it has something to say.
    fn speaks(&mut self, person: usize) {
        // Judged once for all: what is explored here comes after that.
        let Some(said) = self.team.contributes_to(&self.operation, person) else { return };
        if let ContributionReply::Signed(contribution) = &said.0 {
            assert!(self.used.insert(contribution.commitment.to_string()), "a nonce signed twice");
        }
        self.on_the_way.push(said);
    }

    fn arrives(&mut self, at: usize, is_kept: bool) {
        let said = if is_kept { self.on_the_way[at].clone() } else { self.on_the_way.swap_remove(at) };
        self.is_complete |= self.team.take(said) == Ok(Taken::Complete);
    }

    fn step(&mut self) {
        match self.pick(16) {
            0..6 => {
                let person = self.pick(usize::from(PEOPLE));
                self.speaks(person);
            }
            6..12 if !self.on_the_way.is_empty() => {
                let (at, is_kept) = (self.pick(self.on_the_way.len()), self.pick(4) == 0);
                self.arrives(at, is_kept);
            }
            12 if !self.on_the_way.is_empty() => {
                let at = self.pick(self.on_the_way.len());
                self.on_the_way.swap_remove(at);
            }
            13 => {
                let person = self.pick(usize::from(PEOPLE));
                self.team.people[person].nonces = None;
            }
            14 if self.pick(4) == 0 => self.team.evict(),
            15 => self.team.world.now_ms += self.dice.next_u64() % 30_000,
            _ => {}
        }
    }

    /// Exactly those who have to are there, and whatever they say arrives.
    fn everybody_is_there(&mut self) {
        self.on_the_way.clear();
        for _ in 0..8 {
            for person in 0..self.signers {
                self.speaks(person);
                while !self.on_the_way.is_empty() && !self.is_complete {
                    self.arrives(0, false);
                }
                if self.is_complete {
                    return;
                }
            }
            // Others may have committed and left.
            self.team.world.now_ms += 30_000;
        }
        panic!("they did not come to an end");
    }

    /// Goes on to the end, and gives what is there afterwards.
    fn run(mut self) -> (World, App, Vec<Person>, ChaCha20Rng) {
        for _ in 0..STEPS {
            if self.is_complete {
                break;
            }
            self.step();
        }
        if !self.is_complete {
            self.everybody_is_there();
        }
        let Self { team: Team { mut world, app, people, gathering, .. }, is_signing, dice, .. } = self;
        let answer = gathering.finish(&copy(&world.bunker.share), &mut world.rng);
        let result = answer.unwrap().result;
        if is_signing {
            assert_signed(&Event::parse(&result).unwrap(), &world.npub());
        } else {
            assert_eq!(correspondent().reads_nip44(&world.npub(), &result), "whatever happens");
        }
        (world, app, people, dice)
    }
}

fn histories(seed: u64) {
    let mut dice = ChaCha20Rng::seed_from_u64(seed);
    let signers = 1 + (dice.next_u32() % 3) as u16;
    let (mut world, mut people) = World::with_people_from(seed, PEOPLE, signers);
    let mut app = world.connected(EVERYTHING);
    for _ in 0..HISTORIES {
        let is_signing = !dice.next_u32().is_multiple_of(4);
        let team = match is_signing {
            true => Team::asking(world, app, people, "sign_event", &|_| json!([template(1, "whatever happens")])),
            false => {
                let params = |_: &mut World| json!([correspondent().hex(), "whatever happens"]);
                Team::asking(world, app, people, "nip44_encrypt", &params)
            }
        };
        (world, app, people, dice) = History::begin(team, is_signing, dice).run();
        people.iter_mut().for_each(|person| person.nonces = None);
    }
}

#[test]
fn whatever_happens_those_who_come_at_last_sign_and_no_nonce_signs_twice() {
    let only = std::env::var("TEAM_SEED").ok().map(|text| text.parse::<u64>().unwrap());
    let [in_ci, here] = SEEDS;
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None if std::env::var_os("CI").is_some() => 0..in_ci,
        None => 0..here,
    };
    // Half of them on each of two threads.
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let seeds = seeds.clone().filter(move |seed| seed % 2 == half);
            scope.spawn(move || {
                for seed in seeds {
                    let run = std::panic::catch_unwind(|| histories(seed));
                    run.unwrap_or_else(|_| panic!("TEAM_SEED={seed} replays it"));
                }
            });
        }
    });
}
