//! The way of one request: frame, relay, bunker, cosigner, bunker, reply. As the shell walks it, with storage
//! between every step and its effect.

use bunker_core::{
    audit::Happening,
    event::{Event, EventError, VerifiedEvent},
    joint::{self, ContributeError, ContributionReply, ContributionRequest, Pending, WireError},
    keys::EventId,
    nip44::ConversationKey,
    relay::{self, Incoming, NotTaken, Subscriptions},
    session::{Admission, BunkerEffect, CosignerEffect, Ctx, Failure, Received, Unreadable},
};
use frost_wasm_core::{
    frost::sign::{self, Commitment},
    group::HolderIndex,
};
use serde_json::json;

use super::{App, World};

/// What came of a published event.
#[derive(Debug)]
pub(crate) enum Outcome {
    NotTaken(NotTaken),
    Unreadable(Unreadable),
    Reply(Box<Event>),
    /// The request waits for the owner; with the auth challenge, if one was sent.
    Held(Option<Box<Event>>),
    /// Storage failed, so nothing was released.
    Silence,
}

/// Why a cosigner gave nothing at all.
#[derive(Debug, PartialEq)]
pub(crate) enum Uncontributed {
    Wire(WireError),
    Event(EventError),
    Unreadable(Unreadable),
    Storage,
    Failed(ContributeError),
}

/// A request that the bunker admitted and began.
pub(crate) struct Begun {
    pub(crate) event: VerifiedEvent,
    pub(crate) admission: Box<Admission>,
    pub(crate) pending: Result<Pending, Failure>,
    pub(crate) commitments: Vec<(HolderIndex, Commitment)>,
    /// The body of the call to the cosigner.
    pub(crate) body: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn reply(self) -> Event {
        match self {
            Self::Reply(reply) => *reply,
            other => panic!("no reply: {other:?}"),
        }
    }

    /// The auth challenge of a request that must be held, if one was sent.
    #[track_caller]
    pub(crate) fn held(self) -> Option<Event> {
        match self {
            Self::Held(challenge) => challenge.map(|challenge| *challenge),
            other => panic!("not held: {other:?}"),
        }
    }
}

impl World {
    /// Publishes an event at the group's relay.
    pub(crate) fn submit(&mut self, event: &Event) -> Outcome {
        self.submit_through(event, Self::call_cosigner)
    }

    /// The same with something between the bunker and its cosigner.
    pub(crate) fn submit_through(
        &mut self,
        event: &Event,
        wire: impl FnOnce(&mut Self, &str) -> Result<ContributionReply, Uncontributed>,
    ) -> Outcome {
        match self.begin(event) {
            Ok(begun) => self.finish(begun, wire),
            Err(outcome) => outcome,
        }
    }

    /// Gives a request that waits to the bunker again, past the relay, as the shell does after a statement about
    /// its connection and when its time is over.
    pub(crate) fn judge_again(&mut self, request: &EventId) -> Outcome {
        let pending = self.bunker.state.pending_request(request).expect("it waits");
        let event = pending.event.clone().into_verified().unwrap();
        self.judge_again_through(event, Self::call_cosigner)
    }

    pub(crate) fn judge_again_through(
        &mut self,
        event: VerifiedEvent,
        wire: impl FnOnce(&mut Self, &str) -> Result<ContributionReply, Uncontributed>,
    ) -> Outcome {
        match self.take(event) {
            Ok(begun) => self.finish(begun, wire),
            Err(outcome) => outcome,
        }
    }

    /// As far as the bunker's own contribution. Dropping what this gives is an eviction.
    pub(crate) fn begin(&mut self, event: &Event) -> Result<Box<Begun>, Outcome> {
        let event = self.admit(event).map_err(Outcome::NotTaken)?;
        self.take(event)
    }

    /// The same past the relay's checks.
    pub(crate) fn take(&mut self, event: VerifiedEvent) -> Result<Box<Begun>, Outcome> {
        let transport = &self.transports[&relay::recipient(&event).unwrap()];
        let conversation = transport.conversation_key(&event.pubkey).unwrap();
        let received = Received {
            event: &event,
            transport,
            conversation: &conversation,
            approve_at: &self.approve_at,
            device_is_here: self.device_is_here,
        };
        let ctx = &mut Ctx { now_ms: self.now_ms, rng: &mut self.rng };
        let step = self.bunker.state.receive(received, ctx).map_err(Outcome::Unreadable)?;
        let is_silent = self.bunker.commit(&step.mutations).is_err();
        if is_silent {
            return Err(Outcome::Silence);
        }
        let (admission, operation) = match step.effect {
            BunkerEffect::Send(reply) => return Err(self.release(event.id, *reply)),
            BunkerEffect::Resend(id) => {
                let reply = self.bunker.replies[&id].clone();
                return Err(self.release(id, reply));
            }
            BunkerEffect::Hold(challenge) => return Err(self.release_challenge(event.id, challenge)),
            BunkerEffect::Perform(admission, operation) => (admission, operation),
        };
        let share = &self.bunker.share;
        let (pending, commitments) = match joint::begin(operation, &event.id, share, &mut self.rng) {
            Ok((pending, commitments)) => (Ok(pending), commitments),
            Err(failure) => (Err(failure), Vec::new()),
        };
        let body = body(&event, &conversation, share.group().epoch, &commitments);
        Ok(Box::new(Begun { event, admission, pending, commitments, body }))
    }

    pub(crate) fn finish(
        &mut self,
        begun: Box<Begun>,
        wire: impl FnOnce(&mut Self, &str) -> Result<ContributionReply, Uncontributed>,
    ) -> Outcome {
        let event = begun.event;
        let outcome = match begun.pending {
            Ok(pending) => match wire(self, &begun.body) {
                Ok(reply) => {
                    let reply = through_the_wire(&reply);
                    joint::finish(pending, &self.bunker.share, vec![reply], &mut self.rng)
                }
                Err(error) => Err(Failure::new("holder_unavailable:cosigner", format_args!("{error:?}"))),
            },
            Err(failure) => Err(failure),
        };
        let transport = &self.transports[&relay::recipient(&event).unwrap()];
        let conversation = transport.conversation_key(&event.pubkey).unwrap();
        let ctx = &mut Ctx { now_ms: self.now_ms, rng: &mut self.rng };
        let state = &self.bunker.state;
        let step = state.complete(*begun.admission, outcome, transport, &conversation, ctx).unwrap();
        match (self.bunker.commit(&step.mutations), step.effect) {
            (Err(_), _) => Outcome::Silence,
            (Ok(()), BunkerEffect::Send(reply)) => self.release(event.id, *reply),
            (Ok(()), other) => panic!("complete gives a reply, not {other:?}"),
        }
    }

    /// A body of the cosigner's call that honestly forwards `request` under `app`'s conversation key, with a fresh
    /// commitment of the bunker's share.
    pub(crate) fn forwarded(&mut self, app: &App, request: &Event) -> String {
        let (_, commitment) = sign::commit(&self.bunker.share, &mut self.rng).unwrap();
        let commitments = [(self.bunker.share.index(), commitment)];
        body(request, &app.conversation(), self.public.epoch, &commitments)
    }

    /// The code with which the cosigner refuses `request`, as a bunker forwards it that says nothing of its own.
    #[track_caller]
    pub(crate) fn cosigner_refuses(&mut self, app: &App, request: &Event) -> String {
        let call = self.forwarded(app, request);
        refusal_code(self.call_cosigner(&call))
    }

    /// What the cosigner's object does with the body of a call.
    pub(crate) fn call_cosigner(&mut self, body: &str) -> Result<ContributionReply, Uncontributed> {
        let request = ContributionRequest::decode(body).map_err(Uncontributed::Wire)?;
        let event = request.event.into_verified().map_err(Uncontributed::Event)?;
        let step = self
            .cosigner
            .state
            .contribute(&event, &request.conversation, self.now_ms)
            .map_err(Uncontributed::Unreadable)?;
        self.cosigner.commit(&step.mutations).map_err(|_| Uncontributed::Storage)?;
        match step.effect {
            CosignerEffect::Refuse(refusal) => {
                Ok(ContributionReply::Refused { code: refusal.code().to_owned(), text: refusal.to_string() })
            }
            CosignerEffect::Contribute(operation) => joint::contribute(
                &operation,
                &event.id,
                &self.cosigner.share,
                request.epoch,
                &request.commitments,
                &mut self.rng,
            )
            .map_err(Uncontributed::Failed),
        }
    }

    /// The relay's own checks on a published event.
    pub(crate) fn admit(&self, event: &Event) -> Result<VerifiedEvent, NotTaken> {
        let frame = json!(["EVENT", event]).to_string();
        let Incoming::Event(event) = relay::receive(&Subscriptions::default(), &frame) else {
            panic!("an EVENT frame with an event is an event");
        };
        let is_ours = |key: &_| self.bunker.state.connection_of(key).is_some();
        relay::admit(*event, self.now_s(), is_ours)
    }

    /// What leaves here is no answer, but must be recorded too.
    fn release_challenge(&self, request: EventId, challenge: Option<Box<Event>>) -> Outcome {
        assert!(self.bunker.state.pending_request(&request).is_some(), "held, and not in the queue");
        let is_recorded =
            self.bunker.audit().iter().any(|record| {
                record.entry.happening == Happening::RequestHeld && record.entry.request == Some(request)
            });
        assert!(is_recorded, "held before it was recorded");
        Outcome::Held(challenge)
    }

    /// The socket. What leaves here must be recorded.
    fn release(&self, request: EventId, reply: Event) -> Outcome {
        assert_eq!(self.bunker.replies.get(&request), Some(&reply), "released before it was stored");
        let is_recorded = self.bunker.audit().iter().any(|record| {
            let is_an_end = match record.entry.happening {
                Happening::RequestAnswered { .. }
                | Happening::RequestRefused { .. }
                | Happening::RequestFailed { .. } => true,
                Happening::StatementApplied { .. }
                | Happening::RequestAdmitted
                | Happening::RequestHeld
                | Happening::Contributed
                | Happening::ShareReleased { .. }
                | Happening::EpochEntered { .. } => false,
            };
            is_an_end && record.entry.request == Some(request)
        });
        assert!(is_recorded, "released before it was recorded");
        Outcome::Reply(Box::new(reply))
    }
}

/// The body of a call to the cosigner, true or invented.
pub(crate) fn body(
    event: &Event,
    conversation: &ConversationKey,
    epoch: u32,
    commitments: &[(HolderIndex, Commitment)],
) -> String {
    let body = ContributionRequest::encode(event, conversation, epoch, commitments);
    body.as_str().to_owned()
}

#[track_caller]
pub(crate) fn refusal_code(reply: Result<ContributionReply, Uncontributed>) -> String {
    match reply {
        Ok(ContributionReply::Refused { code, .. }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn through_the_wire(reply: &ContributionReply) -> ContributionReply {
    let text = serde_json::to_string(reply).unwrap();
    serde_json::from_str(&text).unwrap()
}
