//! The rules once more, slowly and without the machine: what happened is a list, and each question reads it from its
//! beginning. Of the product only types are used; every number is written out.

use std::collections::BTreeSet;

use operations_core::{
    command::{Command, Issued},
    ids::{CommandId, OperatorId, ProposalId, UnsealingId},
    lease::Lease,
    operator::Scope,
    proposal::Change,
    refusal::Refusal,
    seal::Target,
    wire::Reply,
};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

/// Something that happened. Tokens are numbers here.
#[derive(Debug, Clone)]
enum Event {
    Spent(CommandId, u64),
    Enlisted { operator: OperatorId, name: String, scopes: Vec<Scope>, lifetime_s: u64 },
    Token { operator: OperatorId, token: usize },
    Removed(OperatorId),
    Sealed(Target),
    Opened(Target),
    Begun(UnsealingId, Target),
    Word(UnsealingId, OperatorId),
    Ended(UnsealingId),
    Proposed(ProposalId, Change, OperatorId),
    Settled(ProposalId),
    Threshold(u32),
    ExportDelay(Option<u64>),
    RotationBegun,
    RotationDone,
}

/// What the machine has to answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Sealed { sealed_at: u64 },
    Unseal { words: BTreeSet<String>, needed: u32, unsealed: bool },
    Done,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    happened: Vec<(u64, Event)>,
}

impl Model {
    pub(crate) fn set_up(&mut self, now_ms: u64, k: u32) {
        self.happened.push((now_ms, Event::Threshold(k)));
    }

    pub(crate) fn enlist(&mut self, now_ms: u64, operator: OperatorId, of: (&str, &[Scope], u64), token: usize) {
        let (name, scopes, lifetime_s) = (of.0.to_owned(), of.1.to_vec(), of.2);
        self.happened.push((now_ms, Event::Enlisted { operator, name, scopes, lifetime_s }));
        self.happened.push((now_ms, Event::Token { operator, token }));
    }

    /// Whose token it is, now.
    pub(crate) fn who(&self, token: usize, now_ms: u64) -> Option<OperatorId> {
        self.present()
            .into_iter()
            .find(|operator| self.token_of(*operator) == token && self.is_in_time(*operator, now_ms))
    }

    /// Whether an operator is there, in time, and may do this.
    pub(crate) fn may(&self, operator: OperatorId, scope: Scope, now_ms: u64) -> bool {
        self.present().contains(&operator)
            && self.is_in_time(operator, now_ms)
            && self.about(operator).1.contains(&scope)
    }

    /// What has to come of a command.
    pub(crate) fn judge(
        &self,
        token: Option<usize>,
        issued: Issued,
        command: &Command,
        now_ms: u64,
    ) -> Result<(OperatorId, Verdict), Refusal> {
        let by = token.and_then(|token| self.who(token, now_ms)).ok_or(Refusal::OperatorTokenInvalid)?;
        let age_s = i128::from(now_ms / 1000) - i128::from(issued.issued_at);
        if !(-60..=300).contains(&age_s) {
            return Err(Refusal::CommandStale);
        }
        if self.is_spent(issued.command, now_ms) {
            return Err(Refusal::CommandReplayed);
        }
        let needs = |scope| if self.may(by, scope, now_ms) { Ok(()) } else { Err(Refusal::ScopeMissing(scope)) };
        let verdict = match command {
            Command::Seal { target, .. } => {
                needs(Scope::Seal)?;
                Verdict::Sealed { sealed_at: self.sealed_at(*target).unwrap_or(now_ms) / 1000 }
            }
            Command::Unseal { target, unsealing, .. } => {
                needs(Scope::Unseal)?;
                self.judge_word(by, *target, *unsealing, now_ms)?
            }
            Command::Propose { what } => {
                needs(scope_of(what))?;
                self.judge_change(what, now_ms)?;
                if self.waiting(now_ms).len() >= 20 {
                    return Err(Refusal::TooManyProposals);
                }
                Verdict::Done
            }
            Command::Approve { proposal } => {
                let waiting = self.waiting(now_ms);
                let (_, what, proposer) =
                    waiting.into_iter().find(|(id, ..)| id == proposal).ok_or(Refusal::ProposalUnknown)?;
                needs(scope_of(&what))?;
                if proposer == by {
                    return Err(Refusal::SecondOperatorNeeded);
                }
                if !self.may(proposer, scope_of(&what), now_ms) {
                    return Err(Refusal::ProposerGone);
                }
                self.judge_change(&what, now_ms)?;
                Verdict::Done
            }
            Command::RemoveOperator { operator } => {
                needs(Scope::Operators)?;
                self.judge_removal(by, *operator, now_ms)?;
                Verdict::Done
            }
            Command::RotateToken {} => Verdict::Done,
        };
        Ok((by, verdict))
    }

    /// Takes note of a command that was heard, whatever came of it.
    pub(crate) fn heard(&mut self, issued: Issued, outcome: Result<(), Refusal>, now_ms: u64) {
        let is_unheard = [Refusal::OperatorTokenInvalid, Refusal::CommandStale, Refusal::CommandReplayed]
            .map(Err)
            .contains(&outcome);
        if !is_unheard {
            self.happened.push((now_ms, Event::Spent(issued.command, issued.issued_at)));
        }
    }

    /// Takes note of what a command did. `token` is the number of the token in the reply, if there is one.
    pub(crate) fn did(&mut self, by: OperatorId, command: &Command, reply: &Reply, token: usize, now_ms: u64) {
        let mut events = Vec::new();
        match (command, reply) {
            (Command::Seal { target, .. }, _) => {
                events.extend(self.running(*target, now_ms).map(Event::Ended));
                if self.sealed_at(*target).is_none() {
                    events.push(Event::Sealed(*target));
                }
            }
            (Command::Unseal { target, unsealing, .. }, Reply::Unseal(reply)) => {
                if unsealing.is_none() {
                    events.push(Event::Begun(reply.unsealing, *target));
                }
                events.push(Event::Word(reply.unsealing, by));
                if reply.unsealed {
                    events.extend([Event::Opened(*target), Event::Ended(reply.unsealing)]);
                }
            }
            (Command::Propose { what }, Reply::Proposed(reply)) => {
                events.push(Event::Proposed(reply.proposal, what.clone(), by));
            }
            (Command::Approve { proposal }, Reply::Approved(reply)) => {
                let waiting = self.waiting(now_ms);
                let (_, what, _) = waiting.into_iter().find(|(id, ..)| id == proposal).unwrap();
                events.push(Event::Settled(*proposal));
                match what {
                    Change::AddOperator { name, scopes, lifetime_s } => {
                        let scopes: BTreeSet<Scope> = scopes.into();
                        let scopes: Vec<_> = scopes.into_iter().collect();
                        let lifetime_s = lifetime_s.unwrap_or(90 * 86_400);
                        self.enlist(now_ms, reply.operator.unwrap(), (name.as_str(), &scopes, lifetime_s), token);
                    }
                    Change::SetUnsealThreshold { k } => events.push(Event::Threshold(k)),
                    Change::SetExportDelay { seconds } => events.push(Event::ExportDelay(seconds)),
                    Change::BeginRotation {} => events.push(Event::RotationBegun),
                }
            }
            (Command::RemoveOperator { operator }, _) => events.push(Event::Removed(*operator)),
            (Command::RotateToken {}, _) => events.push(Event::Token { operator: by, token }),
            (command, reply) => panic!("{reply:?} is no reply to {command:?}"),
        }
        self.happened.extend(events.into_iter().map(|event| (now_ms, event)));
    }

    pub(crate) fn rotation_is_done(&mut self, now_ms: u64) {
        self.happened.push((now_ms, Event::RotationDone));
    }

    pub(crate) fn is_rotating(&self) -> bool {
        let mut rotations = self.events().filter(|it| matches!(it, Event::RotationBegun | Event::RotationDone));
        rotations.next_back().is_some_and(|it| matches!(it, Event::RotationBegun))
    }

    /// What holders have to be told.
    pub(crate) fn lease(&self) -> Lease {
        let targets: BTreeSet<_> =
            self.events().filter_map(|it| if let Event::Sealed(it) = it { Some(*it) } else { None }).collect();
        let sealed: Vec<_> = targets.into_iter().filter(|target| self.sealed_at(*target).is_some()).collect();
        let mut delays = self.events().filter_map(|it| if let Event::ExportDelay(it) = it { Some(*it) } else { None });
        Lease {
            sealed: sealed.contains(&Target::Deployment),
            sealed_owners: sealed.iter().filter_map(Target::owner).collect(),
            export_delay_s: delays.next_back().flatten(),
        }
    }

    pub(crate) fn threshold(&self) -> u32 {
        self.events().filter_map(|it| if let Event::Threshold(k) = it { Some(*k) } else { None }).next_back().unwrap()
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.present().into_iter().map(|operator| self.about(operator).0).collect()
    }

    fn events(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.happened.iter().map(|(_, event)| event)
    }

    fn present(&self) -> Vec<OperatorId> {
        let mut present = Vec::new();
        for event in self.events() {
            match event {
                Event::Enlisted { operator, .. } => present.push(*operator),
                Event::Removed(operator) => present.retain(|it| it != operator),
                _ => {}
            }
        }
        present
    }

    fn about(&self, operator: OperatorId) -> (String, Vec<Scope>, u64) {
        self.events()
            .find_map(|it| match it {
                Event::Enlisted { operator: of, name, scopes, lifetime_s } if *of == operator => {
                    Some((name.clone(), scopes.clone(), *lifetime_s))
                }
                _ => None,
            })
            .unwrap()
    }

    fn newest_token(&self, operator: OperatorId) -> (u64, usize) {
        let mut tokens = self.happened.iter().filter_map(|(at_ms, it)| match it {
            Event::Token { operator: of, token } if *of == operator => Some((*at_ms, *token)),
            _ => None,
        });
        tokens.next_back().unwrap()
    }

    fn token_of(&self, operator: OperatorId) -> usize {
        self.newest_token(operator).1
    }

    fn is_in_time(&self, operator: OperatorId, now_ms: u64) -> bool {
        now_ms < self.newest_token(operator).0 + self.about(operator).2 * 1000
    }

    fn count_who_may(&self, scope: Scope, now_ms: u64) -> usize {
        self.present().into_iter().filter(|operator| self.may(*operator, scope, now_ms)).count()
    }

    fn is_spent(&self, command: CommandId, now_ms: u64) -> bool {
        self.events()
            .any(|it| matches!(it, Event::Spent(id, issued_at) if *id == command && issued_at + 300 >= now_ms / 1000))
    }

    /// Since when a seal is closed.
    fn sealed_at(&self, target: Target) -> Option<u64> {
        let mut of_it = self.happened.iter().filter_map(|(at_ms, it)| match it {
            Event::Sealed(of) if *of == target => Some(Some(*at_ms)),
            Event::Opened(of) if *of == target => Some(None),
            _ => None,
        });
        of_it.next_back().flatten()
    }

    /// The unsealing under way.
    fn running(&self, target: Target, now_ms: u64) -> Option<UnsealingId> {
        let mut begun = self.happened.iter().filter_map(|(at_ms, it)| match it {
            Event::Begun(id, of) if *of == target => Some((*at_ms, *id)),
            _ => None,
        });
        let (at_ms, id) = begun.next_back()?;
        let is_ended = self.events().any(|it| matches!(it, Event::Ended(of) if *of == id));
        (!is_ended && now_ms < at_ms + 15 * MINUTE_MS).then_some(id)
    }

    fn judge_word(
        &self,
        by: OperatorId,
        target: Target,
        named: Option<UnsealingId>,
        now_ms: u64,
    ) -> Result<Verdict, Refusal> {
        let running = self.running(target, now_ms);
        let mut speakers = BTreeSet::from([by]);
        match named {
            Some(id) if running == Some(id) => {
                speakers.extend(self.events().filter_map(|it| match it {
                    Event::Word(of, speaker) if *of == id => Some(*speaker),
                    _ => None,
                }));
            }
            Some(_) => return Err(Refusal::UnsealingUnknown),
            None if self.sealed_at(target).is_none() => return Err(Refusal::NotSealed),
            None if running.is_some() => return Err(Refusal::UnsealingRunning),
            None => {}
        }
        speakers.retain(|speaker| self.may(*speaker, Scope::Unseal, now_ms));
        let needed = self.threshold();
        let unsealed = speakers.len() >= needed as usize;
        let words = speakers.into_iter().map(|speaker| self.about(speaker).0).collect();
        Ok(Verdict::Unseal { words, needed, unsealed })
    }

    /// The proposals that wait.
    fn waiting(&self, now_ms: u64) -> Vec<(ProposalId, Change, OperatorId)> {
        let mut waiting = Vec::new();
        for (at_ms, event) in &self.happened {
            match event {
                Event::Proposed(id, what, by) if now_ms < at_ms + DAY_MS => waiting.push((*id, what.clone(), *by)),
                Event::Settled(id) => waiting.retain(|(it, ..)| it != id),
                _ => {}
            }
        }
        waiting
    }

    fn judge_change(&self, what: &Change, now_ms: u64) -> Result<(), Refusal> {
        let refused = match what {
            Change::AddOperator { name, scopes: _, lifetime_s } => {
                let is_taken = self.names().iter().any(|it| it.to_lowercase() == name.as_str().to_lowercase());
                let is_odd = lifetime_s.is_some_and(|it| it == 0 || it > 365 * 86_400);
                let is_full = self.present().len() >= 20;
                [
                    (is_full, Refusal::TooManyOperators),
                    (is_taken, Refusal::OperatorNameTaken),
                    (is_odd, Refusal::LifetimeInvalid),
                ]
                .into_iter()
                .find_map(|(is_so, refusal)| is_so.then_some(refusal))
            }
            Change::SetUnsealThreshold { k } => {
                let is_odd = *k < 2 || *k as usize > self.count_who_may(Scope::Unseal, now_ms);
                is_odd.then_some(Refusal::UnsealThresholdInvalid)
            }
            Change::SetExportDelay { seconds } => {
                seconds.is_some_and(|it| it > 30 * 86_400).then_some(Refusal::ExportDelayInvalid)
            }
            Change::BeginRotation {} => self.is_rotating().then_some(Refusal::RotationRunning),
        };
        refused.map_or(Ok(()), Err)
    }

    fn judge_removal(&self, by: OperatorId, operator: OperatorId, now_ms: u64) -> Result<(), Refusal> {
        if !self.present().contains(&operator) {
            return Err(Refusal::OperatorUnknown);
        }
        if by == operator {
            return Err(Refusal::CannotRemoveOneself);
        }
        // Only who counts now can be missing afterwards.
        let may = |scope| self.may(operator, scope, now_ms);
        if may(Scope::Unseal) && self.count_who_may(Scope::Unseal, now_ms) <= self.threshold() as usize {
            return Err(Refusal::TooFewUnsealers);
        }
        if may(Scope::Operators) && self.count_who_may(Scope::Operators, now_ms) <= 2 {
            return Err(Refusal::TooFewOperators);
        }
        Ok(())
    }
}

fn scope_of(what: &Change) -> Scope {
    match what {
        Change::AddOperator { .. } | Change::SetUnsealThreshold { .. } => Scope::Operators,
        Change::SetExportDelay { .. } => Scope::Policy,
        Change::BeginRotation {} => Scope::Rotate,
    }
}
