//! A request's way through the bunker, from the published event to the reply.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use bunker_core::{
    event::{Event, VerifiedEvent},
    joint::{self, ContributionRequest},
    keys::{EventId, TransportSecret},
    nip44::ConversationKey,
    relay,
    session::{Answer, BunkerEffect, Ctx, Failure, Operation, Received, Step},
};
use tokio::sync::Semaphore;
use worker::WebSocket;

use super::Bunker;
use crate::{
    durable::{holder::Holder, sockets},
    platform,
    problem::Problem,
    telemetry,
};

/// Operations that run at once. An app that opens its messages sends hundreds of requests, and gives up on those
/// that are not OKed within seconds: so taking requests goes before working on them.
const MAX_PERFORMING: usize = 4;

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
struct Landing<'a>(&'a InFlight, EventId);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.ids.borrow_mut().remove(&self.1);
    }
}

/// A request with the keys of its connection.
struct Request {
    event: VerifiedEvent,
    transport: Rc<TransportSecret>,
    conversation: Rc<ConversationKey>,
}

impl Bunker {
    /// Takes a published event: OK at once, true or false, and the reply when there is one.
    pub(super) async fn take(&self, socket: &WebSocket, event: Event) {
        let id = event.id;
        let ok = |accepted, text: &str| sockets::send(socket, &relay::ok(&id, accepted, text));
        let holder = match self.holder().await {
            Ok(holder) => holder,
            Err(problem) => return ok(false, &refusal(&problem)),
        };
        let _landing = match self.in_flight.take_off(id) {
            Some(landing) => landing,
            None => return ok(true, "duplicate: this request is being answered"),
        };
        let (request, step) = match admit(&holder, event) {
            Ok(admitted) => admitted,
            Err(text) => return ok(false, &text),
        };
        if let Err(error) = holder.commit(&step.mutations, Vec::new()) {
            return ok(false, &refusal(&Problem::from(error)));
        }
        // Before the threshold work: clients give up on a relay that is silent for a few seconds.
        ok(true, "");
        if let Err(problem) = self.run(&holder, &request, step.effect).await {
            // The client's next attempt, by the same event or a new one, is admitted again.
            telemetry::failure(problem.code(), problem.cause().unwrap_or(problem.detail()));
        }
        if let Err(error) = holder.schedule_forgetting(&self.state).await {
            telemetry::failure("alarm_not_set", &error.to_string());
        }
    }

    async fn run(&self, holder: &Holder, request: &Request, effect: BunkerEffect) -> Result<(), Problem> {
        match effect {
            BunkerEffect::Send(reply) => sockets::publish(&self.state, &reply),
            BunkerEffect::Resend(id) => {
                let reply = holder.store().reply(&id)?;
                let reply = reply.ok_or_else(|| Problem::internal("an answered request has no stored reply"))?;
                sockets::publish(&self.state, &reply);
            }
            BunkerEffect::Hold(challenge) => challenge.iter().for_each(|it| sockets::publish(&self.state, it)),
            BunkerEffect::Perform(admission, operation) => {
                let outcome = self.perform(holder, request, operation).await;
                if let Err(Failure { cause: Some(cause), code, .. }) = &outcome {
                    telemetry::failure(code, cause);
                }
                let mut rng = platform::rng();
                let ctx = &mut Ctx { now_ms: platform::now_ms(), rng: &mut rng };
                let (transport, conversation) = (&request.transport, &request.conversation);
                let step = holder.state().complete(*admission, outcome, transport, conversation, ctx);
                let step = step.map_err(|error| Problem::internal(error.to_string()))?;
                holder.commit(&step.mutations, Vec::new())?;
                if let BunkerEffect::Send(reply) = step.effect {
                    sockets::publish(&self.state, &reply);
                }
            }
        }
        Ok(())
    }

    async fn perform(&self, holder: &Holder, request: &Request, operation: Operation) -> Result<Answer, Failure> {
        let _turn = self.in_flight.turns.acquire().await.map_err(|_| Failure::new("internal", "shutting down"))?;
        #[cfg(feature = "fault-injection")]
        crate::durable::faults::panic_if_arranged();
        let share = holder.share();
        let (pending, commitments) = joint::begin(operation, &request.event.id, share, &mut platform::rng())?;
        let event: &Event = &request.event;
        #[cfg(feature = "fault-injection")]
        let invented = crate::durable::faults::invented(event, &request.transport, &request.conversation);
        #[cfg(feature = "fault-injection")]
        let event = invented.as_ref().unwrap_or(event);
        let body = ContributionRequest::encode(event, &request.conversation, share.group().epoch, &commitments);
        let contributed = match self.cosigner(holder) {
            Ok(cosigner) => cosigner.contribute(&body).await,
            Err(problem) => Err(problem),
        };
        let reply = contributed.map_err(|problem| {
            telemetry::failure(problem.code(), problem.cause().unwrap_or(problem.detail()));
            Failure::new("holder_unavailable:cosigner", "holder cosigner could not be reached; try again")
        })?;
        joint::finish(pending, share, reply, &mut platform::rng())
    }
}

/// The relay's checks and the machine's step, without a wait.
fn admit(holder: &Holder, event: Event) -> Result<(Request, Step<BunkerEffect>), String> {
    let state = holder.state();
    let is_ours = |key: &_| state.connection_of(key).is_some();
    let event = relay::admit(event, platform::now_s(), is_ours).map_err(|error| error.to_string())?;
    let connection = relay::recipient(&event).and_then(|key| state.connection_of(&key));
    let connection = connection.ok_or_else(|| relay::NotTaken::UnknownRecipient.to_string())?.grant().connection;
    let transport = holder.transport(&connection).map_err(|problem| refusal(&problem))?;
    let conversation =
        holder.conversation(&connection, &transport, &event.pubkey).map_err(|problem| refusal(&problem))?;
    let mut rng = platform::rng();
    let ctx = &mut Ctx { now_ms: platform::now_ms(), rng: &mut rng };
    // An address that is not https is not sent: no challenge until the configured one is passed here.
    let received = Received { event: &event, transport: &transport, conversation: &conversation, approve_at: "" };
    let step = state.receive(received, ctx).map_err(|error| error.to_string())?;
    Ok((Request { event, transport, conversation }, step))
}

/// A problem in the form of OK's message.
fn refusal(problem: &Problem) -> String {
    telemetry::failure(problem.code(), problem.cause().unwrap_or(problem.detail()));
    format!("error: {}", problem.detail())
}

impl InFlight {
    fn take_off(&self, id: EventId) -> Option<Landing<'_>> {
        self.ids.borrow_mut().insert(id).then(|| Landing(self, id))
    }
}
