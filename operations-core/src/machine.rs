//! The machine that decides about a deployment.
//!
//! Every way in knows its caller by the token alone. What is over by time goes first, then the caller, the command's
//! freshness and its id are judged, then the command itself, on a copy: a refused one changes nothing but what is
//! recorded of it.

mod canaries;
mod chronicle;
mod draft;
mod housekeeping;
mod operators;
mod proposals;
mod seals;
mod set_up;
mod status;

use frost_wasm_core::secret::Secret32;
use rand_core::{CryptoRng, RngCore};
use subtle::{Choice, ConditionallySelectable};

use self::draft::Draft;
pub use self::{chronicle::MAX_REFUSALS_PER_MINUTE, housekeeping::Due};
use crate::{
    audit::{DeploymentEntry, DeploymentHappening},
    command::{Command, Issued, MAX_REMEMBERED_PER_OPERATOR, SeenCommand},
    ids::OperatorId,
    operator::{Operator, Scope},
    refusal::Refusal,
    state::{DeploymentState, Mutation},
    text::{Code, RequestId},
    token::OperatorToken,
    wire::Reply,
};

/// How often the time of an operator's last use is written, in milliseconds.
const LAST_USED_STEP_MS: u64 = 60_000;

/// What a step may use of the world.
#[derive(Debug)]
pub struct Ctx<'a, R: RngCore + CryptoRng> {
    /// The clock, Unix milliseconds.
    pub now_ms: u64,
    /// Randomness for ids and tokens.
    pub rng: &'a mut R,
    /// The key of tokens' MACs and blinded values, used for nothing else.
    pub mac_key: &'a Secret32,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The token; `None` when there is none or it can't be one.
    pub token: Option<&'a OperatorToken>,
    /// The request, as it stands in the logs.
    pub request_id: Option<&'a RequestId>,
}

/// What a step decided.
#[derive(Debug)]
#[must_use = "mutations have to be committed before the reply is sent"]
pub struct Step<T> {
    /// To be committed together, in order.
    pub mutations: Vec<Mutation>,
    /// To be sent afterwards.
    pub reply: T,
}

/// What a step refused.
#[derive(Debug)]
#[must_use = "a refusal is recorded, too"]
pub struct Refused {
    /// To be committed together, in order.
    pub mutations: Vec<Mutation>,
    /// Why.
    pub reason: Refusal,
}

impl DeploymentState {
    /// Judges a command and, if it is allowed, says what it changes.
    ///
    /// # Errors
    /// The refusal, with what has to be committed all the same.
    pub fn command<R: RngCore + CryptoRng>(
        &self,
        caller: Caller<'_>,
        issued: Issued,
        command: &Command,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<Reply>, Refused> {
        let refused = |reason: Refusal| DeploymentHappening::CommandRefused {
            command: command.verb(),
            reason: Code::new(reason.code()),
            id: Some(issued.command),
        };
        let Some(operator) = self.authenticate(caller.token, ctx.now_ms, ctx.mac_key) else {
            return Err(self.refuse_stranger(refused(Refusal::OperatorTokenInvalid), caller, ctx.now_ms));
        };
        let mut draft = self.draft(operator, caller, ctx.now_ms);
        let judged = draft.admit(issued, operator.id).and_then(|()| {
            // On a copy: a command that is refused half-way leaves nothing.
            let mut tried = draft.clone();
            tried.require(operator.id, command.scope())?;
            let reply = tried.carry_out(operator.id, command, ctx)?;
            draft = tried;
            Ok(reply)
        });
        match judged {
            Ok(reply) => Ok(Step { mutations: draft.into_mutations(), reply }),
            Err(reason) => {
                draft.record(refused(reason));
                Err(Refused { mutations: draft.into_mutations(), reason })
            }
        }
    }

    /// Judges whether the caller may read something that a scope stands for: metrics, the audit chain, a backup.
    ///
    /// # Errors
    /// The refusal, with what has to be committed all the same.
    pub fn authorise<R: RngCore + CryptoRng>(
        &self,
        caller: Caller<'_>,
        scope: Scope,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<OperatorId>, Refused> {
        let refused = |reason: Refusal| DeploymentHappening::CommandRefused {
            command: Code::new(scope.as_str()),
            reason: Code::new(reason.code()),
            id: None,
        };
        let Some(operator) = self.authenticate(caller.token, ctx.now_ms, ctx.mac_key) else {
            return Err(self.refuse_stranger(refused(Refusal::OperatorTokenInvalid), caller, ctx.now_ms));
        };
        let mut draft = self.draft(operator, caller, ctx.now_ms);
        match draft.require(operator.id, Some(scope)) {
            Ok(()) => Ok(Step { mutations: draft.into_mutations(), reply: operator.id }),
            Err(reason) => {
                draft.record(refused(reason));
                Err(Refused { mutations: draft.into_mutations(), reason })
            }
        }
    }

    /// The operator of a token that is good. Every operator's MAC is compared, so time tells neither who it is nor
    /// how near a wrong one came.
    fn authenticate(&self, token: Option<&OperatorToken>, now_ms: u64, mac_key: &Secret32) -> Option<&Operator> {
        let mac = token?.mac(mac_key);
        let (mut place, mut found) = (0_u32, Choice::from(0));
        for (at, operator) in (0_u32..).zip(self.operators.values()) {
            let is_it = operator.token_mac.ct_eq(&mac);
            place.conditional_assign(&at, is_it);
            found |= is_it;
        }
        let operator = self.operators.values().nth(usize::try_from(place).ok()?)?;
        (bool::from(found) && operator.is_valid(now_ms)).then_some(operator)
    }

    fn draft(&self, operator: &Operator, caller: Caller<'_>, now_ms: u64) -> Draft {
        let mut draft = Draft::new(self, now_ms);
        draft.end_what_is_due();
        draft.speak_for(Some(operator.id), caller.request_id.cloned());
        if operator.last_used_at_ms.is_none_or(|at_ms| now_ms.abs_diff(at_ms) >= LAST_USED_STEP_MS) {
            draft.push(Mutation::Operator(Box::new(Operator { last_used_at_ms: Some(now_ms), ..operator.clone() })));
        }
        draft
    }

    /// A flood of strangers costs no copy of the state.
    fn refuse_stranger(&self, happening: DeploymentHappening, caller: Caller<'_>, now_ms: u64) -> Refused {
        let entry = DeploymentEntry { happening, by: None, request_id: caller.request_id.cloned() };
        Refused { mutations: self.record(entry, now_ms), reason: Refusal::OperatorTokenInvalid }
    }
}

impl Draft {
    /// Lets a command through that is fresh and new, and remembers it, whatever becomes of it.
    fn admit(&mut self, issued: Issued, by: OperatorId) -> Result<(), Refusal> {
        if !issued.is_fresh(self.now_ms) {
            return Err(Refusal::CommandStale);
        }
        if self.state.seen.contains_key(&issued.command) {
            return Err(Refusal::CommandReplayed);
        }
        if self.state.seen.values().filter(|seen| seen.by == by).count() >= MAX_REMEMBERED_PER_OPERATOR {
            return Err(Refusal::TooManyCommands);
        }
        self.push(Mutation::Seen(issued.command, SeenCommand { issued_at: issued.issued_at, by }));
        Ok(())
    }

    fn require(&self, operator: OperatorId, scope: Option<Scope>) -> Result<(), Refusal> {
        let Some(scope) = scope else { return Ok(()) };
        let may = self.state.operators.get(&operator).is_some_and(|it| it.may(scope, self.now_ms));
        if may { Ok(()) } else { Err(Refusal::ScopeMissing(scope)) }
    }

    fn carry_out<R: RngCore + CryptoRng>(
        &mut self,
        by: OperatorId,
        command: &Command,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Reply, Refusal> {
        match command {
            Command::Seal { target, reason } => self.seal(by, *target, reason, ctx).map(Reply::Sealed),
            Command::Unseal { target, reason, unsealing } => {
                self.unseal(by, *target, reason, *unsealing, ctx).map(Reply::Unseal)
            }
            Command::Propose { what } => self.propose(by, what, ctx).map(Reply::Proposed),
            Command::Approve { proposal } => self.approve(by, *proposal, ctx).map(Reply::Approved),
            Command::RemoveOperator { operator } => self.remove_operator(by, *operator).map(Reply::Removed),
            Command::RotateToken {} => self.rotate_token(by, ctx).map(Reply::TokenRotated),
        }
    }
}
