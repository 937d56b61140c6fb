//! A request's way through the bunker, from the published event to the reply.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};

use bunker_core::{
    approval::Pending,
    event::{Event, VerifiedEvent},
    grant::ConnectionId,
    joint::{self, ContributionRequest},
    keys::{EventId, TransportSecret},
    nip44::ConversationKey,
    relay,
    session::{Admission, Answer, BunkerEffect, Ctx, Failure, Mutation, Operation, Received, Step, Unreadable},
};
use operations_core::lease::Sealed;
use tokio::sync::Semaphore;
use worker::WebSocket;

use super::Bunker;
use crate::{
    durable::{
        deployment::DeploymentClient,
        holder::{Holder, config},
        lease,
        opened::Opened,
        sink, sockets,
    },
    metrics::{
        self, Timing,
        labels::{CanaryKind, RequestOutcome},
    },
    platform,
    problem::Problem,
    telemetry,
};

/// Operations that run at once. An app that opens its messages sends hundreds of requests, and gives up on those
/// that are not OKed within seconds: so taking requests goes before working on them.
const MAX_PERFORMING: usize = 4;
/// Pause before a request is tried again that came while the holders changed over to new shares. It is tried twice more:
/// longer than a ceremony waits before it asks a holder again.
const BETWEEN_EPOCHS: Duration = Duration::from_millis(1_500);

/// Requests that are being answered now. In memory only: after an eviction none is.
pub(super) struct InFlight {
    ids: RefCell<BTreeSet<EventId>>,
    turns: Semaphore,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { ids: RefCell::default(), turns: Semaphore::new(MAX_PERFORMING) }
    }
}

/// Takes a request out of flight when it ends, however it ends.
pub(super) struct Landing<'a>(&'a InFlight, EventId);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.ids.borrow_mut().remove(&self.1);
    }
}

/// What became of those that waited.
pub(super) enum Settled {
    /// Each was taken up.
    Done,
    /// A seal keeps the keys closed.
    Sealed,
}

/// A request with the keys of its connection.
pub(super) struct Request {
    /// When it was taken, or taken up again, Unix milliseconds.
    taken_at_ms: u64,
    pub(super) event: VerifiedEvent,
    pub(super) transport: Rc<TransportSecret>,
    pub(super) conversation: Rc<ConversationKey>,
}

impl Bunker {
    /// Takes a published event: OK at once, true or false, and the reply when there is one.
    pub(super) async fn take(&self, socket: &WebSocket, event: Event) {
        let id = event.id;
        let ok = |accepted, text: &str| sockets::send(socket, &relay::ok(&id, accepted, text));
        let opened = match self.holder() {
            Ok(holder) => self.open(&holder).await.map(|opened| (holder, opened)),
            Err(problem) => Err(problem),
        };
        let (holder, opened) = match opened {
            Ok(opened) => opened,
            Err(problem) => return ok(false, &refusal(&problem)),
        };
        let Some(_landing) = self.in_flight.take_off(id) else {
            return ok(true, "duplicate: this request is being answered");
        };
        let (request, step) = match self.admit(&holder, &opened, event) {
            Ok(admitted) => admitted,
            Err(text) => return ok(false, &text),
        };
        if let Err(problem) = self.commit(&holder, &step.mutations) {
            return ok(false, &refusal(&problem));
        }
        if let Err(problem) = self.look_out(&holder).await {
            return ok(false, &refusal(&problem));
        }
        // Before the threshold work: clients give up on a relay that is silent for a few seconds.
        ok(true, "");
        self.carry_out(&holder, &request, step.effect).await;
    }

    /// An app of an identity that nobody has reason to use: whoever has to know hears of it before anything is done, and
    /// where that seals, nothing is.
    async fn look_out(&self, holder: &Holder) -> Result<(), Problem> {
        let config = config(&self.env)?;
        let owner = holder.state().identity().owner;
        let Some(name) = config.canaries.owner(&owner) else { return Ok(()) };
        if DeploymentClient::new(&self.env)?.canary(name, CanaryKind::Key).await? {
            return Err(Sealed::Deployment.into());
        }
        Ok(())
    }

    /// Takes up again what waits for the owner, after a word of the owner's or when its time is over. Under a seal it
    /// goes on waiting.
    pub(super) async fn settle(&self, holder: &Holder, of: Option<&ConnectionId>) -> Settled {
        let mut waiting: Vec<(u64, Event)> = {
            let state = holder.state();
            let asked = state.pending().filter(|it| of.is_none_or(|id| it.connection == *id));
            asked.map(|it| (it.held_at_s, it.event.clone())).collect()
        };
        // In the order in which the app asked.
        waiting.sort_by_key(|(held_at_s, event)| (*held_at_s, event.created_at));
        for (_, event) in waiting {
            let opened = match self.open(holder).await {
                Ok(opened) => opened,
                Err(problem) if lease::is_seal(&problem) => return Settled::Sealed,
                Err(problem) => {
                    telemetry::unanswered(&problem);
                    continue;
                }
            };
            let Some(_landing) = self.in_flight.take_off(event.id) else { continue };
            let taken = self.take_up(holder, &opened, event).and_then(|(request, step)| {
                self.commit(holder, &step.mutations)?;
                Ok((request, step.effect))
            });
            match taken {
                Ok((request, effect)) => self.carry_out(holder, &request, effect).await,
                // It still waits, and the alarm takes it up again.
                Err(problem) => telemetry::unanswered(&problem),
            }
        }
        Settled::Done
    }

    /// Sees to it that the cosigner knows each decision about what still waits: an eviction may have come between.
    pub(super) async fn hand_on_decisions(&self, holder: &Holder) {
        let statements: Vec<Event> = {
            let state = holder.state();
            let decided = |it: &Pending| state.decision(&it.event.id).map(|it| it.record().statement.clone());
            state.pending().filter_map(decided).collect()
        };
        for statement in statements {
            let Ok(Some(cosigner)) = self.cosigner(holder) else { continue };
            match cosigner.deliver(&statement).await {
                Ok(()) => {}
                // It has heard a later word already, and with it this one or none.
                Err(problem) if problem.status() == http::StatusCode::CONFLICT => {}
                Err(problem) => telemetry::unanswered(&problem),
            }
        }
    }

    /// Commits a step and tells the owner's pages.
    pub(super) fn commit(&self, holder: &Holder, mutations: &[Mutation]) -> Result<(), Problem> {
        holder.commit(mutations, Vec::new())?;
        metrics::recorded(mutations);
        sockets::announce(&self.state, mutations);
        Ok(())
    }

    pub(super) async fn carry_out(&self, holder: &Holder, request: &Request, effect: BunkerEffect) {
        if let Err(problem) = self.run(holder, request, effect).await {
            // The client's next attempt, by the same event or a new one, is admitted again.
            telemetry::unanswered(&problem);
        }
        if let Err(error) = holder.schedule(&self.state).await {
            telemetry::failure("alarm_not_set", &error.to_string());
        }
        metrics::flush(&self.state, &self.env);
    }

    async fn run(&self, holder: &Holder, request: &Request, effect: BunkerEffect) -> Result<(), Problem> {
        match effect {
            BunkerEffect::Send(reply) => sockets::publish(&self.state, &reply),
            BunkerEffect::Resend(id) => {
                holder.before_release(&self.state, &self.env).await?;
                let reply = holder.store().reply(&id)?;
                let reply = reply.ok_or_else(|| Problem::internal("an answered request has no stored reply"))?;
                sockets::publish(&self.state, &reply);
            }
            BunkerEffect::Hold(challenge) => challenge.iter().for_each(|it| sockets::publish(&self.state, it)),
            BunkerEffect::Perform(admission, operation) => {
                let outcome = self.perform(holder, request, operation).await;
                if outcome.as_ref().is_err_and(is_between_epochs) {
                    // One holder has its new share and the other soon will: judged anew then, as after an eviction.
                    worker::Delay::from(BETWEEN_EPOCHS).await;
                    let step = step(holder, request, &self.approve_at()?, false);
                    let step = step.map_err(|error| Problem::internal(error.to_string()))?;
                    self.commit(holder, &step.mutations)?;
                    return Box::pin(self.run(holder, request, step.effect)).await;
                }
                self.complete(holder, request, *admission, self.still_open(holder, outcome).await).await?;
            }
        }
        Ok(())
    }

    /// Nothing that was made with a share leaves after a seal was closed, however long it took.
    async fn still_open(&self, holder: &Holder, outcome: Result<Answer, Failure>) -> Result<Answer, Failure> {
        let answer = outcome?;
        holder.judge(&self.state, &self.env).await.map(|()| answer).map_err(closed)
    }

    /// Records how an admitted request ended, and replies.
    pub(super) async fn complete(
        &self,
        holder: &Holder,
        request: &Request,
        admission: Admission,
        outcome: Result<Answer, Failure>,
    ) -> Result<(), Problem> {
        if let Err(Failure { cause: Some(cause), code, .. }) = &outcome {
            telemetry::failure(code, cause);
        }
        let is_answer = outcome.is_ok();
        let counted_as = if is_answer { RequestOutcome::Answered } else { RequestOutcome::Failed };
        let step = {
            let mut rng = platform::rng();
            let ctx = &mut Ctx { now_ms: platform::now_ms(), rng: &mut rng };
            let (transport, conversation) = (&request.transport, &request.conversation);
            holder.state().complete(admission, outcome, transport, conversation, ctx)
        };
        let step = step.map_err(|error| Problem::internal(error.to_string()))?;
        self.commit(holder, &step.mutations)?;
        if is_answer {
            // When it can't leave now, the client's next attempt by the same event gets it.
            holder.before_release(&self.state, &self.env).await?;
        }
        if let BunkerEffect::Send(reply) = step.effect {
            sockets::publish(&self.state, &reply);
        }
        let took_ms = platform::now_ms().saturating_sub(request.taken_at_ms);
        metrics::observe(Timing::Request { outcome: counted_as }, took_ms);
        Ok(())
    }

    async fn perform(&self, holder: &Holder, request: &Request, operation: Operation) -> Result<Answer, Failure> {
        let _turn = self.in_flight.turns.acquire().await.map_err(|_| Failure::new("internal", "shutting down"))?;
        if holder.is_deleted() {
            return Err(Failure::new("group_deleted", "this identity was deleted by its owner"));
        }
        #[cfg(feature = "fault-injection")]
        crate::durable::faults::panic_if_arranged();
        holder.hand_over(&self.env).await.map_err(closed)?;
        let share = self.open(holder).await.map_err(closed)?.share();
        let (pending, commitments) = joint::begin(operation, &request.event.id, &share, &mut platform::rng())?;
        let event: &Event = &request.event;
        #[cfg(feature = "fault-injection")]
        let invented = crate::durable::faults::invented(event, &request.transport, &request.conversation);
        #[cfg(feature = "fault-injection")]
        let event = invented.as_ref().unwrap_or(event);
        let body = ContributionRequest::encode(event, &request.conversation, share.group().epoch, &commitments);
        let contributed = match self.cosigner(holder) {
            Ok(Some(cosigner)) => cosigner.contribute(&body).await,
            Ok(None) => Err(Problem::internal("a device's part was asked of a cosigner")),
            Err(problem) => Err(problem),
        };
        #[cfg(feature = "fault-injection")]
        crate::durable::faults::pause_if_arranged().await;
        let reply = contributed.map_err(|problem| {
            telemetry::unanswered(&problem);
            Failure::new("holder_unavailable:cosigner", "holder cosigner could not be reached; try again")
        })?;
        joint::finish(pending, &share, vec![reply], &mut platform::rng())
    }

    /// The relay's checks and the machine's step, without a wait.
    fn admit(&self, holder: &Holder, opened: &Opened, event: Event) -> Result<(Request, Step<BunkerEffect>), String> {
        let event = {
            let state = holder.state();
            let is_ours = |key: &_| state.connection_of(key).is_some();
            relay::admit(event, platform::now_s(), is_ours).map_err(|error| error.to_string())?
        };
        let approve_at = self.approve_at().map_err(|problem| refusal(&problem))?;
        let request = keys_of(holder, opened, event).map_err(|problem| refusal(&problem))?;
        let step = step(holder, &request, &approve_at, false).map_err(|error| error.to_string())?;
        Ok((request, step))
    }

    /// The same for an event that was let in before and waits.
    fn take_up(
        &self,
        holder: &Holder,
        opened: &Opened,
        event: Event,
    ) -> Result<(Request, Step<BunkerEffect>), Problem> {
        let event = event.into_verified().map_err(|error| Problem::internal(error.to_string()))?;
        let request = keys_of(holder, opened, event)?;
        let step = step(holder, &request, &self.approve_at()?, false);
        let step = step.map_err(|error| Problem::internal(error.to_string()))?;
        Ok((request, step))
    }

    /// Where the owner decides, up to the request's id.
    pub(super) fn approve_at(&self) -> Result<String, Problem> {
        Ok(format!("{}/approve/", config(&self.env)?.public_url.origin()))
    }
}

pub(super) fn keys_of(holder: &Holder, opened: &Opened, event: VerifiedEvent) -> Result<Request, Problem> {
    let connection = {
        let state = holder.state();
        let connection = relay::recipient(&event).and_then(|key| state.connection_of(&key));
        connection.ok_or_else(|| Problem::not_found("There is no such connection."))?.grant().connection
    };
    let transport = opened.transport(holder.store(), &connection)?;
    let conversation = opened.conversation(&connection, &transport, &event.pubkey)?;
    Ok(Request { taken_at_ms: platform::now_ms(), event, transport, conversation })
}

/// The machine's step. `device_is_here` when a device of the owner's contributes now.
pub(super) fn step(
    holder: &Holder,
    request: &Request,
    approve_at: &str,
    device_is_here: bool,
) -> Result<Step<BunkerEffect>, Unreadable> {
    let Request { event, transport, conversation, .. } = request;
    let mut rng = platform::rng();
    let ctx = &mut Ctx { now_ms: platform::now_ms(), rng: &mut rng };
    holder.state().receive(Received { event, transport, conversation, approve_at, device_is_here }, ctx)
}

/// Whether the cosigner's share is of another epoch than the bunker's.
fn is_between_epochs(failure: &Failure) -> bool {
    failure.code.strip_prefix("cosigner_refused:") == Some(joint::OTHER_EPOCH)
}

/// Keys that can't be used, in the form of a reply's error.
fn closed(problem: Problem) -> Failure {
    if lease::is_seal(&problem) || problem.code() == sink::UNAVAILABLE {
        return Failure::new(problem.code(), problem.detail());
    }
    telemetry::unanswered(&problem);
    Failure::new("holder_unavailable:bunker", "the bunker's keys can't be opened now; try again")
}

/// A problem in the form of OK's message.
fn refusal(problem: &Problem) -> String {
    if lease::is_seal(problem) {
        return format!("restricted: {}", problem.detail());
    }
    telemetry::unanswered(problem);
    format!("error: {}", problem.detail())
}

impl InFlight {
    pub(super) fn take_off(&self, id: EventId) -> Option<Landing<'_>> {
        self.ids.borrow_mut().insert(id).then(|| Landing(self, id))
    }
}
