//! Where the owner's device holds the other share: a waiting request is offered to it with all that it judges over,
//! and answered with its contribution. The bunker's nonces for an offer are in memory alone; after an eviction the
//! device asks for another offer.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use bunker_core::{
    joint::{self, ContributionReply, ContributionRequest},
    keys::EventId,
    nip44,
    session::{BunkerEffect, Evidence, Refusal},
};
use frost_wasm_core::share::KeyShare;
use worker::Request;

use super::{
    Bunker,
    requests::{self, keys_of},
};
use crate::{
    durable::{holder::Holder, rpc},
    http::{
        dto::{DeviceContribution, OfferReply},
        requests::no_such_request,
    },
    platform,
    problem::Problem,
};

/// Offers that were made and not taken up, at most one for each waiting request, with the share that each was made
/// with: one of an epoch that is over is gone.
#[derive(Default)]
pub(super) struct Offers(RefCell<BTreeMap<EventId, (joint::Pending, Rc<KeyShare>)>>);

impl Bunker {
    pub(super) async fn offer(&self, request: &mut Request) -> Result<OfferReply, Problem> {
        let id: EventId = rpc::body(request).await?;
        let holder = self.holder().await?;
        let request = waiting(&holder, &id)?;
        let operation = {
            let offered = holder.state().offer(&request.event, &request.conversation, platform::now_s());
            offered.map_err(|error| Problem::internal(error.to_string()))?.map_err(|refusal| not_offered(&refusal))?
        };
        let share = holder.share();
        let (pending, commitments) = joint::begin(operation, &id, &share, &mut platform::rng())
            .map_err(|failure| Problem::new(409, "request_refused", failure.text))?;
        let state = holder.state();
        let mut offers = self.offers.0.borrow_mut();
        offers.retain(|offered, _| state.pending_request(offered).is_some());
        offers.insert(id, (pending, share.clone()));
        let connection = state.pending_request(&id).and_then(|pending| state.connection(&pending.connection));
        let connection = connection.ok_or_else(no_such_request)?;
        let evidence = Evidence {
            created: state.identity().statement.clone(),
            connection: connection.record().clone(),
            decision: state.decision(&id).map(|decision| decision.record().clone()),
        };
        let epoch = share.group().epoch;
        let contribution = ContributionRequest::encode(&request.event, &request.conversation, epoch, &commitments);
        // To the owner key: it holds what opens all of the connection's traffic, and a token must not be enough for that.
        let to_owner = request.transport.conversation_key(&state.identity().owner);
        let to_owner = to_owner.map_err(|error| Problem::internal(error.to_string()))?;
        let contribution = nip44::encrypt_random(&to_owner, &contribution, &mut platform::rng());
        let contribution = contribution.map_err(|error| Problem::new(409, "request_refused", error.to_string()))?;
        Ok(OfferReply { evidence, contribution })
    }

    pub(super) async fn accept(&self, request: &mut Request) -> Result<(), Problem> {
        let DeviceContribution { request: id, reply } = rpc::body(request).await?;
        let holder = self.holder().await?;
        let request = waiting(&holder, &id)?;
        let _landing = self.in_flight.take_off(id).ok_or_else(no_such_request)?;
        let share = holder.share();
        let offered = self.offers.0.borrow_mut().remove(&id).filter(|(_, of)| Rc::ptr_eq(of, &share));
        let (pending, _) = offered.ok_or_else(|| {
            let detail =
                "This offer is not there any more, and its nonces are gone. Ask for another and contribute to that.";
            Problem::new(409, "offer_gone", detail)
        })?;
        if let ContributionReply::Refused { text, .. } = &reply {
            // The request goes on waiting: its owner may deny it, or approve it elsewhere.
            return Err(Problem::new(409, "request_refused", format!("Your device contributed nothing: {text}.")));
        }
        let step = requests::step(&holder, &request, &self.approve_at()?, true);
        let step = step.map_err(|error| Problem::internal(error.to_string()))?;
        self.commit(&holder, &step.mutations)?;
        match step.effect {
            BunkerEffect::Perform(admission, _) => {
                let outcome = joint::finish(pending, &share, reply, &mut platform::rng());
                let refused = outcome.as_ref().err().map(|failure| failure.text.clone());
                self.complete(&holder, &request, *admission, outcome)?;
                refused.map_or(Ok(()), |text| Err(Problem::new(422, "contribution_refused", text)))
            }
            effect @ (BunkerEffect::Send(_) | BunkerEffect::Resend(_) | BunkerEffect::Hold(_)) => {
                // Revoked, paused or run out since the offer: the app hears that, and the contribution is dropped.
                self.carry_out(&holder, &request, effect).await;
                Err(no_such_request())
            }
        }
    }
}

fn waiting(holder: &Holder, id: &EventId) -> Result<requests::Request, Problem> {
    let event = holder.state().pending_request(id).map(|pending| pending.event.clone()).ok_or_else(no_such_request)?;
    keys_of(holder, event.into_verified().map_err(|error| Problem::internal(error.to_string()))?)
}

fn not_offered(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::NeedsApproval => Problem::new(
            409,
            "approval_needed",
            "This app's rules ask for your word first. Approve the request, then contribute to it.",
        ),
        refusal => Problem::new(409, "request_refused", format!("Nothing is to be contributed to: {refusal}.")),
    }
}
