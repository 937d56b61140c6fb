//! Operators, strangers and former operators do anything in any order. The machine has to answer as [`crate::model`]
//! does, and whatever was said, a seal opens only when enough people who may have asked for it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use operations_core::{
    command::{Command, Issued},
    ids::{CommandId, OperatorId, ProposalId, UnsealingId},
    machine::{Caller, Ctx},
    operator::{Scope, Scopes},
    proposal::Change,
    refusal::Refusal,
    rotation::Batch,
    seal::Target,
    token::OperatorToken,
    wire::Reply,
};
use proptest::{
    collection::vec,
    sample::Index,
    test_runner::{Config, TestError, TestRunner},
};
use serde_json::json;

use crate::{
    model::{Model, Verdict},
    moves::{Move, What, Who, a_move},
    world::World,
};

/// Runs of moves.
const CASES: u32 = 192;
/// Moves of a run, at most.
const MAX_MOVES: usize = 80;

/// How often something came to pass: a run in which nobody ever unseals proves little.
type Counts = BTreeMap<&'static str, u32>;

struct Run<'a> {
    world: World,
    model: Model,
    /// All that there ever were.
    tokens: Vec<OperatorToken>,
    operators: Vec<OperatorId>,
    unsealings: Vec<(UnsealingId, Target)>,
    proposals: Vec<ProposalId>,
    given: Vec<(Issued, Command)>,
    /// Who asked for what to be opened, as far as the machine took it: kept beside the model.
    asked: BTreeMap<UnsealingId, (Target, u64, BTreeSet<OperatorId>)>,
    replies: Vec<String>,
    told: String,
    counts: &'a RefCell<Counts>,
}

const LIFETIMES_S: [u64; 5] = [365 * 86_400, 365 * 86_400, 40 * 86_400, 1_000, 365 * 86_400];

impl<'a> Run<'a> {
    fn new(k: u32, counts: &'a RefCell<Counts>) -> Self {
        let all = [Scope::Read, Scope::Seal, Scope::Unseal, Scope::Operators, Scope::Policy, Scope::Rotate];
        let scopes: [&[Scope]; 5] = [&all, &all, &all, &all, &[Scope::Read, Scope::Seal]];
        let mut world = World::new();
        world.is_watched = false;
        let named: Vec<_> = (0..5)
            .map(|n| json!({ "name": format!("op{n}"), "scopes": scopes[n], "lifetime_s": LIFETIMES_S[n] }))
            .collect();
        let reply = world.set_up(json!(named), k).unwrap();
        let mut run = Self {
            world,
            model: Model::default(),
            tokens: Vec::new(),
            operators: Vec::new(),
            unsealings: Vec::new(),
            proposals: Vec::new(),
            given: Vec::new(),
            asked: BTreeMap::new(),
            replies: vec![serde_json::to_string(&reply).unwrap()],
            told: format!("{reply:?}"),
            counts,
        };
        run.model.set_up(run.world.now_ms, k);
        for (n, it) in reply.operators.into_iter().enumerate() {
            let about = (it.name.as_str(), scopes[n], LIFETIMES_S[n]);
            run.model.enlist(run.world.now_ms, it.operator, about, n);
            run.operators.push(it.operator);
            run.tokens.push(it.token);
        }
        run
    }

    fn make(&mut self, it: &Move) {
        match it {
            Move::Wait { ms } => self.world.now_ms += ms,
            Move::Give { who, what, shift_s } => {
                let command = self.command(what);
                let mut issued = self.world.fresh();
                issued.issued_at = issued.issued_at.saturating_add_signed(*shift_s);
                self.give(Some(self.pick(who)), issued, command);
            }
            Move::Again { who, which, is_as_of_now } => {
                if !self.given.is_empty() {
                    let (mut issued, command) = self.given[which.index(self.given.len())].clone();
                    if *is_as_of_now {
                        issued.issued_at = self.world.now_ms / 1000;
                    }
                    self.give(Some(self.pick(who)), issued, command);
                }
            }
            Move::Stranger { what } => {
                let (command, issued) = (self.command(what), self.world.fresh());
                self.give(None, issued, command);
            }
            Move::Tick => {
                let step = self.world.state.tick(self.world.now_ms);
                self.world.commit(&step.mutations);
            }
            Move::Batch { is_last } => self.batch(*is_last),
        }
        assert_eq!(self.world.state.lease(), self.model.lease(), "what holders are told");
    }

    fn pick(&self, who: &Who) -> usize {
        let living = (0..self.tokens.len()).filter(|it| self.model.who(*it, self.world.now_ms).is_some());
        let living: Vec<_> = living.collect();
        match who {
            Who::Living(which) if !living.is_empty() => *which.get(&living),
            Who::Living(which) | Who::Any(which) => which.index(self.tokens.len()),
        }
    }

    fn command(&self, what: &What) -> Command {
        let target = |n: usize| match n {
            0 => Target::Deployment,
            n => Target::of(Some(format!("0{n}").repeat(32).parse().unwrap())),
        };
        let reason = || "as it came".parse().unwrap();
        match what {
            What::Seal(of) => Command::Seal { target: target(*of), reason: reason() },
            What::Unseal(of, which) => {
                let target = target(*of);
                let unsealing = which.and_then(|which| {
                    let last = || self.unsealings.iter().rev().find(|(_, of)| *of == target);
                    which.map_or_else(last, |it| (!self.unsealings.is_empty()).then(|| it.get(&self.unsealings)))
                });
                let unsealing = unsealing.map(|(id, _)| *id);
                Command::Unseal { target, reason: reason(), unsealing }
            }
            What::Add { name, scopes, lifetime_s } => {
                let name = ["op1", "OP1", "new", "New", "newer", "newest"][*name].parse().unwrap();
                let scopes = Scopes::try_from(scopes.iter().copied().collect::<BTreeSet<_>>()).unwrap();
                Command::Propose { what: Change::AddOperator { name, scopes, lifetime_s: *lifetime_s } }
            }
            What::Threshold(k) => Command::Propose { what: Change::SetUnsealThreshold { k: *k } },
            What::ExportDelay(seconds) => Command::Propose { what: Change::SetExportDelay { seconds: *seconds } },
            What::Rotation => Command::Propose { what: Change::BeginRotation {} },
            What::Approve(which) => {
                let any = |it: &Index| (!self.proposals.is_empty()).then(|| *it.get(&self.proposals));
                let proposal = which.as_ref().map_or_else(|| self.proposals.last().copied(), any);
                Command::Approve { proposal: proposal.unwrap_or(ProposalId::from_bytes([0; 8])) }
            }
            What::Remove(whom) => Command::RemoveOperator { operator: *whom.get(&self.operators) },
            What::RotateToken => Command::RotateToken {},
        }
    }

    fn give(&mut self, token: Option<usize>, issued: Issued, command: Command) {
        let now_ms = self.world.now_ms;
        let expected = self.model.judge(token, issued, &command, now_ms);
        let speaker = token.and_then(|token| self.model.who(token, now_ms));
        let shown = token.map(|token| &self.tokens[token]);
        let caller = Caller { token: shown, request_id: None };
        let ctx = &mut Ctx { now_ms, rng: &mut self.world.rng, mac_key: &self.world.key };
        let judged = self.world.state.command(caller, issued, &command, ctx);
        self.told += &format!("{judged:?}");
        let judged = self.world.settle(judged);
        let expected = match (expected, &judged) {
            (Ok(it), Ok(_)) => it,
            (Err(expected), Err(refusal)) => {
                assert_eq!(*refusal, expected, "{command:?}");
                self.model.heard(issued, Err(expected), now_ms);
                self.count("refused");
                return;
            }
            (expected, judged) => panic!("{command:?}: expected {expected:?}, and it was {judged:?}"),
        };
        let (reply, (by, verdict)) = (judged.unwrap(), expected);
        assert_eq!(speaker, Some(by));
        match (&reply, &verdict) {
            (Reply::Sealed(it), Verdict::Sealed { sealed_at }) => assert_eq!(it.sealed_at, *sealed_at),
            (Reply::Unseal(it), Verdict::Unseal { words, needed, unsealed }) => {
                let said: BTreeSet<_> = it.words.iter().map(ToString::to_string).collect();
                assert_eq!((&said, it.needed, it.unsealed), (words, *needed, *unsealed));
                self.heard_word(by, &command, it.unsealing, it.unsealed);
            }
            (Reply::Proposed(_) | Reply::Approved(_) | Reply::Removed(_) | Reply::TokenRotated(_), Verdict::Done) => {}
            (reply, verdict) => panic!("expected {verdict:?}, and it was {reply:?}"),
        }
        self.model.heard(issued, Ok(()), now_ms);
        self.model.did(by, &command, &reply, self.tokens.len(), now_ms);
        self.replies.push(serde_json::to_string(&reply).unwrap());
        self.given.push((issued, command));
        self.keep(reply);
    }

    /// What there is to pick from later on.
    fn keep(&mut self, reply: Reply) {
        match reply {
            Reply::Sealed(_) => self.count("sealed"),
            Reply::Unseal(_) => self.count("word"),
            Reply::Proposed(it) => self.proposals.push(it.proposal),
            Reply::Approved(it) => {
                self.operators.extend(it.operator);
                self.tokens.extend(it.token);
                self.count("approved");
            }
            Reply::Removed(_) => self.count("removed"),
            Reply::TokenRotated(it) => {
                self.tokens.push(it.token);
                self.count("replaced");
            }
        }
    }

    /// The promise itself, by what was asked and not by the model: a seal opens when as many people as it takes have asked
    /// for just that, within a quarter of an hour, and each of them may at the end.
    fn heard_word(&mut self, by: OperatorId, command: &Command, unsealing: UnsealingId, unsealed: bool) {
        let Command::Unseal { target, .. } = command else { panic!("{command:?}") };
        let now_ms = self.world.now_ms;
        let (of, since_ms, people) = self.asked.entry(unsealing).or_insert_with(|| (*target, now_ms, BTreeSet::new()));
        people.insert(by);
        assert_eq!(of, target);
        assert!(now_ms - *since_ms < 15 * 60_000);
        if unsealed {
            let who_may = people.iter().filter(|it| self.model.may(**it, Scope::Unseal, now_ms)).count();
            assert!(who_may >= 2 && who_may >= self.model.threshold() as usize, "{who_may} opened a seal");
            self.count("unsealed");
        }
        if !self.unsealings.iter().any(|(id, _)| *id == unsealing) {
            self.unsealings.push((unsealing, *target));
        }
    }

    fn batch(&mut self, is_last: bool) {
        let rotation = self.world.state.rotation_next().cloned();
        assert_eq!(rotation.is_some(), self.model.is_rotating());
        let Some(rotation) = rotation else { return };
        let next = (!is_last).then(|| format!("after {}", rotation.done));
        let batch = Batch { from: rotation.cursor, next, total: 9, done: 1, failed: 0 };
        let step = self.world.state.rotation_progress(&batch, self.world.now_ms).unwrap();
        self.world.commit(&step.mutations);
        if is_last {
            self.model.rotation_is_done(self.world.now_ms);
        }
    }

    fn end(mut self) {
        self.world.check();
        let names: BTreeSet<_> = {
            let reader = (0..self.tokens.len()).find(|token| {
                self.model
                    .who(*token, self.world.now_ms)
                    .is_some_and(|it| self.model.may(it, Scope::Read, self.world.now_ms))
            });
            let Some(reader) = reader else { return };
            let caller = Caller { token: Some(&self.tokens[reader]), request_id: None };
            let ctx = &mut Ctx { now_ms: self.world.now_ms, rng: &mut self.world.rng, mac_key: &self.world.key };
            let status = self.world.state.status(caller, ctx);
            let status = self.world.settle(status).unwrap();
            self.told += &serde_json::to_string(&status).unwrap();
            assert_eq!(status.unseal_threshold, self.model.threshold());
            status.operators.iter().map(|it| it.name.to_string()).collect()
        };
        assert_eq!(names, self.model.names());
        self.told += &format!("{:?}{:?}{:?}", self.world.state, self.world.rows, self.tokens);
        self.told += &serde_json::to_string(&self.world.records).unwrap();
        for token in &self.tokens {
            let text = token.expose_text();
            let secret = text.expose_secret().strip_prefix("pop_").unwrap();
            assert!(!self.told.contains(secret), "a token was told or stored");
            assert_eq!(self.replies.iter().filter(|it| it.contains(secret)).count(), 1, "a token is in one reply");
        }
    }

    fn count(&self, what: &'static str) {
        *self.counts.borrow_mut().entry(what).or_default() += 1;
    }
}

#[test]
fn whatever_is_said_in_any_order_a_seal_opens_by_enough_people_only_and_the_slow_rules_agree() {
    let counts = RefCell::new(Counts::new());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let moves = (2..4_u32, vec(a_move(), 1..MAX_MOVES));
    let outcome = TestRunner::new(config).run(&moves, |(k, moves)| {
        let mut run = Run::new(k, &counts);
        for (n, it) in moves.iter().enumerate() {
            run.make(it);
            if n % 4 == 0 {
                run.world.check();
            }
        }
        run.end();
        Ok(())
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, moves)) => panic!("{why}\nafter {moves:#?}"),
        Err(error) => panic!("{error}"),
    }
    let counts = counts.into_inner();
    for what in ["sealed", "word", "unsealed", "approved", "removed", "replaced", "refused"] {
        assert!(counts.get(what).is_some_and(|n| *n >= 10), "{what} hardly ever happened: {counts:?}");
    }
}

/// The generator is able to repeat an id: otherwise the replays above would prove nothing.
#[test]
fn a_refused_command_is_spent_as_well() {
    let counts = RefCell::new(Counts::new());
    let mut run = Run::new(2, &counts);
    let issued = Issued { command: CommandId::from_bytes([1; 16]), issued_at: run.world.now_ms / 1000 };
    let seal = Command::Seal { target: Target::Deployment, reason: "no".parse().unwrap() };
    let remove = Command::RemoveOperator { operator: OperatorId::from_bytes([9; 8]) };
    run.give(Some(0), issued, remove);
    let replayed = run.world.send(&run.tokens[0], issued, &seal).unwrap_err();
    assert_eq!(replayed, Refusal::CommandReplayed);
    run.end();
}
