//! The bunker's side: it judges, records its intent, has the operation done, records the outcome and replies.

use super::{
    Ctx, Mutation, Operation, Refusal, Step,
    judgement::{Allowed, Judgement, Subject, Task, Unreadable},
    state::{Custody, HolderState},
};
use crate::{
    audit::{Entry, Happening},
    event::{Event, VerifiedEvent},
    grant::{ConnectionId, Standing},
    keys::{EventId, PublicKey, TransportSecret},
    nip44::ConversationKey,
    nip46::{Response, SealError, seal_response},
    replay::{Progress, Seen},
};
use rand_core::{CryptoRng, RngCore};

/// A request event with the keys of its connection.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// The client's event.
    pub event: &'a VerifiedEvent,
    /// The connection's key, to sign the reply.
    pub transport: &'a TransportSecret,
    /// The key between connection and client, to read and to encrypt.
    pub conversation: &'a ConversationKey,
    /// Address of the page where the owner approves, up to the request's id: `https://HOST/approve/`.
    pub approve_at: &'a str,
    /// Whether a device of the owner's contributes now. Where the group needs one, the request waits without it.
    pub device_is_here: bool,
}

/// What the bunker does after its record is committed.
#[derive(Debug)]
pub enum BunkerEffect {
    /// Send this reply.
    Send(Box<Event>),
    /// Send the reply that is stored for this request.
    Resend(EventId),
    /// The request waits for the owner. Send the app this auth challenge, if there is one.
    Hold(Option<Box<Event>>),
    /// Do the operation with the other holders, then call [`HolderState::complete`].
    Perform(Box<Admission>, Operation),
}

/// A request that was let through.
#[derive(Debug)]
pub struct Admission {
    /// The request event.
    pub event: EventId,
    connection: ConnectionId,
    client: PublicKey,
    created_at_s: u64,
    request_id: String,
    subject: Subject,
}

/// What an operation gave.
#[derive(Debug)]
pub struct Answer {
    /// The reply's result.
    pub result: zeroize::Zeroizing<String>,
    /// The id of the event that was signed.
    pub signed: Option<EventId>,
}

/// Why an operation gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable code for the record; names the holder where one is to blame.
    pub code: String,
    /// What the app is told.
    pub text: String,
    /// For the log only, where the fault is ours.
    pub cause: Option<String>,
}

impl HolderState {
    /// Takes a request event.
    ///
    /// # Errors
    /// When there is nothing to reply under; the relay says so in OK false.
    pub fn receive<R: RngCore + CryptoRng>(
        &self,
        received: Received<'_>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<BunkerEffect>, Unreadable> {
        let event = received.event;
        if self.replay.get(&event.id).is_some_and(|seen| seen.progress == Progress::Answered) {
            return Ok(Step { mutations: Vec::new(), effect: BunkerEffect::Resend(event.id) });
        }
        let held = self.pending.get(&event.id);
        if let Some(pending) = held
            && pending.is_over(ctx.now_s())
        {
            return Ok(self.given_up(pending, received, ctx)?);
        }
        let judgement = self.judge(event, received.conversation, ctx.now_s())?;
        let waits = match &judgement.verdict {
            Ok(allowed) => self.needs_device(allowed) && !received.device_is_here,
            Err(refusal) => *refusal == Refusal::NeedsApproval,
        };
        let verdict = match (waits, held) {
            (true, Some(_)) => return Ok(Step { mutations: Vec::new(), effect: BunkerEffect::Hold(None) }),
            (true, None) => match self.pending_of_judgement(&judgement, event, ctx.now_s()) {
                Ok(pending) => return Ok(self.held(pending, &judgement, received, ctx)?),
                Err(refusal) => Err(refusal),
            },
            (false, _) => judgement.verdict,
        };
        let Judgement { connection, request_id, subject, .. } = judgement;
        let id = connection.grant().connection;
        let mut mutations: Vec<_> = held.map(|_| Mutation::Settled(event.id)).into_iter().collect();
        let allowed = match verdict {
            Ok(allowed) => allowed,
            Err(refusal) => {
                let happening = Happening::RequestRefused { reason: refusal.code().to_owned() };
                let response = Response::error(request_id, refusal.to_string());
                let audit = self.audit_request(ctx.now_ms, happening, id, event.id, subject);
                return Ok(self.replied(mutations, audit, response, received, ctx)?);
            }
        };
        if let Some(standing) = allowed.standing {
            mutations.push(Mutation::Connection(Box::new(connection.with_standing(standing))));
        }
        if !allowed.is_counted {
            mutations.push(Mutation::Usage(id, self.usage_of(&id).counted(ctx.now_s(), allowed.rule)));
        }
        match allowed.task {
            Task::Local(result) => {
                let happening = Happening::RequestAnswered { signed: None };
                let audit = self.audit_request(ctx.now_ms, happening, id, event.id, subject);
                Ok(self.replied(mutations, audit, Response::ok(request_id, result), received, ctx)?)
            }
            Task::Joint(operation) => {
                let progress = Progress::Admitted { attempts: allowed.attempt, terms: connection.terms_seq() };
                mutations.push(Mutation::Seen(event.id, Seen { created_at_s: event.created_at, progress }));
                let happening = Happening::RequestAdmitted;
                mutations.push(self.audit_request(ctx.now_ms, happening, id, event.id, subject.clone()));
                let admission = Admission {
                    event: event.id,
                    connection: id,
                    client: event.pubkey,
                    created_at_s: event.created_at,
                    request_id,
                    subject,
                };
                Ok(Step { mutations, effect: BunkerEffect::Perform(Box::new(admission), operation) })
            }
        }
    }

    /// What a device of the owner's is to contribute to, while the request waits for one.
    ///
    /// # Errors
    /// When the request can't be read; and inside, why nothing is to be contributed to now.
    pub fn offer(
        &self,
        event: &VerifiedEvent,
        conversation: &ConversationKey,
        now_s: u64,
    ) -> Result<Result<Operation, Refusal>, Unreadable> {
        let verdict = self.judge(event, conversation, now_s)?.verdict;
        Ok(verdict.and_then(|allowed| match allowed.task {
            Task::Joint(operation) if self.custody() == Custody::Device => Ok(operation),
            Task::Joint(_) | Task::Local(_) => Err(Refusal::NothingToContribute),
        }))
    }

    fn needs_device(&self, allowed: &Allowed) -> bool {
        self.custody() == Custody::Device && matches!(allowed.task, Task::Joint(_))
    }

    /// Takes the outcome of an admitted request.
    ///
    /// # Errors
    /// When the reply can't be sealed at all; the request stays admitted and may be sent again.
    pub fn complete<R: RngCore + CryptoRng>(
        &self,
        admission: Admission,
        outcome: Result<Answer, Failure>,
        transport: &TransportSecret,
        conversation: &ConversationKey,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<BunkerEffect>, SealError> {
        let outcome = outcome.and_then(|answer| self.still_allowed(&admission.connection).map(|()| answer));
        let id = admission.request_id;
        let mut reply = |response| seal(&response, transport, conversation, admission.client, ctx);
        let (happening, reply) = match outcome {
            Ok(mut answer) => {
                let result = std::mem::take(&mut *answer.result);
                match reply(Response::ok(id.clone(), result)) {
                    Ok(sealed) => (Happening::RequestAnswered { signed: answer.signed }, sealed),
                    Err(SealError::Encrypt(_)) => {
                        let text = "the result is too long to be sent";
                        (failed("result_too_long"), reply(Response::error(id, text))?)
                    }
                    Err(error @ SealError::Key(_)) => return Err(error),
                }
            }
            Err(failure) => (failed(&failure.code), reply(Response::error(id, failure.text))?),
        };
        let audit = self.audit_request(ctx.now_ms, happening, admission.connection, admission.event, admission.subject);
        Ok(answered(Vec::new(), audit, admission.event, admission.created_at_s, reply))
    }

    /// What the owner ended while the holders worked is not answered any more.
    fn still_allowed(&self, connection: &ConnectionId) -> Result<(), Failure> {
        let refusal = match self.connection(connection).map(|it| (it.standing(), it.is_paused())) {
            Some((Standing::Revoked { .. }, _)) | None => Refusal::Revoked,
            Some((_, true)) => Refusal::Paused,
            Some((Standing::AwaitingClient | Standing::Connected { .. } | Standing::LoggedOut { .. }, false)) => {
                return Ok(());
            }
        };
        Err(Failure::new(refusal.code(), refusal))
    }

    pub(super) fn replied<R: RngCore + CryptoRng>(
        &self,
        mutations: Vec<Mutation>,
        audit: Mutation,
        response: Response,
        received: Received<'_>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<BunkerEffect>, SealError> {
        let event = received.event;
        let reply = seal(&response, received.transport, received.conversation, event.pubkey, ctx)?;
        Ok(answered(mutations, audit, event.id, event.created_at, reply))
    }

    pub(super) fn audit_request(
        &self,
        at_ms: u64,
        happening: Happening,
        connection: ConnectionId,
        request: EventId,
        subject: Subject,
    ) -> Mutation {
        let Subject { method, kind, peer } = subject;
        let entry = Entry { happening, connection: Some(connection), request: Some(request), method, kind, peer };
        self.audit_entry(at_ms, entry)
    }
}

fn answered(
    mut mutations: Vec<Mutation>,
    audit: Mutation,
    request: EventId,
    created_at_s: u64,
    reply: Event,
) -> Step<BunkerEffect> {
    mutations.push(Mutation::Seen(request, Seen { created_at_s, progress: Progress::Answered }));
    mutations.push(audit);
    mutations.push(Mutation::Reply(request, Box::new(reply.clone())));
    Step { mutations, effect: BunkerEffect::Send(Box::new(reply)) }
}

fn failed(code: &str) -> Happening {
    Happening::RequestFailed { reason: code.to_owned() }
}

pub(super) fn seal<R: RngCore + CryptoRng>(
    response: &Response,
    transport: &TransportSecret,
    conversation: &ConversationKey,
    client: PublicKey,
    ctx: &mut Ctx<'_, R>,
) -> Result<Event, SealError> {
    let now_s = ctx.now_s();
    seal_response(response, transport, conversation, client, now_s, ctx.rng)
}
