//! Where devices hold the other shares: a waiting request is offered to each with all that it judges over, and answered
//! when as many have contributed as have to. The bunker's nonces and what came so far are in memory alone; after an
//! eviction the devices ask for other offers.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
};

use bunker_core::{
    joint::{Asked, ContributionReply, ContributionRequest, Gathering, NotTaken, Taken},
    keys::{EventId, PublicKey},
    nip44,
    session::{BunkerEffect, Evidence, HolderState, Refusal},
};
use frost_wasm_core::{group::HolderIndex, share::KeyShare};
use worker::Request;

use super::{
    Bunker,
    requests::{self, keys_of},
};
use crate::{
    durable::{holder::Holder, opened::Opened, rpc, sockets},
    http::{
        dto::{ContributionStatus, DeviceContribution, OfferReply, OfferRequest, Signers},
        requests::no_such_request,
    },
    platform,
    problem::Problem,
};

/// What is being gathered, at most once for each waiting request, with the epoch of the share that it was begun with: one
/// of an epoch that is over is gone.
#[derive(Default)]
pub(super) struct Offers(RefCell<BTreeMap<EventId, (Gathering, u32)>>);

impl Offers {
    /// Forgets everything, as an eviction would.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Bunker {
    pub(super) async fn offer(&self, request: &mut Request) -> Result<OfferReply, Problem> {
        let OfferRequest { request: id, by, holder: index } = rpc::body(request).await?;
        let holder = self.holder()?;
        let opened = self.open(&holder).await?;
        let request = waiting(&holder, &opened, &id)?;
        let index = share_of(&holder.state(), &by, index)?;
        let operation = {
            let offered = holder.state().offer(&request.event, &request.conversation, platform::now_s());
            offered.map_err(|error| Problem::internal(error.to_string()))?.map_err(|refusal| not_offered(&refusal))?
        };
        let (share, state) = (opened.share(), holder.state());
        let epoch = share.group().epoch;
        let mut offers = self.offers.0.borrow_mut();
        offers.retain(|offered, (_, of)| state.pending_request(offered).is_some() && *of == epoch);
        let (gathering, _) = match offers.entry(id) {
            Entry::Occupied(begun) => begun.into_mut(),
            Entry::Vacant(place) => {
                let begun = Gathering::begin(operation, &id, &share, &mut platform::rng());
                let begun = begun.map_err(|failure| Problem::new(409, "request_refused", failure.text))?;
                place.insert((begun, epoch))
            }
        };
        let (round, commitments) = match gathering.asked(index, platform::now_ms()) {
            Asked::Contribute { round, commitments } => (round, commitments),
            Asked::Given => {
                let detail =
                    "Your part is here. Others have to give theirs: ask again, in case one of them begins anew.";
                return Err(Problem::new(409, "already_contributed", detail));
            }
            Asked::Enough => {
                let detail = "As many as have to are contributing already. Ask again, in case one of them leaves.";
                return Err(Problem::new(409, "enough_contributions", detail));
            }
        };
        let connection = state.pending_request(&id).and_then(|pending| state.connection(&pending.connection));
        let connection = connection.ok_or_else(no_such_request)?;
        let evidence = Evidence {
            created: state.identity().statement.clone(),
            connection: connection.record().clone(),
            decision: state.decision(&id).map(|decision| decision.record().clone()),
        };
        let contribution = ContributionRequest::encode(&request.event, &request.conversation, epoch, &commitments);
        // To the owner key of who asks: it holds what opens all of the connection's traffic, and a token must not be
        // enough for that.
        let to_asker = request.transport.conversation_key(&by);
        let to_asker = to_asker.map_err(|error| Problem::internal(error.to_string()))?;
        let contribution = nip44::encrypt_random(&to_asker, &contribution, &mut platform::rng());
        let contribution = contribution.map_err(|error| Problem::new(409, "request_refused", error.to_string()))?;
        Ok(OfferReply { evidence, contribution, round })
    }

    pub(super) async fn accept(&self, request: &mut Request) -> Result<ContributionStatus, Problem> {
        let DeviceContribution { request: id, by, reply, round } = rpc::body(request).await?;
        let holder = self.holder()?;
        let opened = self.open(&holder).await?;
        let request = waiting(&holder, &opened, &id)?;
        if let ContributionReply::Refused { text, .. } = &reply {
            // The request goes on waiting: its owner may deny it, or approve it elsewhere.
            return Err(Problem::new(409, "request_refused", format!("Your device contributed nothing: {text}.")));
        }
        if let Some(index) = reply.index() {
            share_of(&holder.state(), &by, Some(index))?;
        }
        let share = opened.share();
        let taken = {
            let mut offers = self.offers.0.borrow_mut();
            let gathering = offers.get_mut(&id).filter(|(_, of)| *of == share.group().epoch);
            let (gathering, _) = gathering.ok_or_else(gone)?;
            gathering.take(reply, round, &share, platform::now_ms())
        };
        match taken {
            Ok(Taken::Complete) => self.finish(&holder, &request, &share).await.map(|()| ContributionStatus::Answered),
            Ok(Taken::Waiting) => {
                sockets::tell(&self.state, &[sockets::REQUESTS.to_owned()]);
                Ok(ContributionStatus::Waiting)
            }
            Err(NotTaken::Outdated) => Err(gone()),
            Err(error @ NotTaken::Unfit) => {
                Err(Problem::invalid("contribution_unfit", format!("The contribution was not taken: {error}.")))
            }
        }
    }

    /// As many have contributed as have to.
    async fn finish(&self, holder: &Holder, request: &requests::Request, share: &KeyShare) -> Result<(), Problem> {
        let id = request.event.id;
        let _landing = self.in_flight.take_off(id).ok_or_else(no_such_request)?;
        let (gathering, _) = self.offers.0.borrow_mut().remove(&id).ok_or_else(gone)?;
        let step = requests::step(holder, request, &self.approve_at()?, true);
        let step = step.map_err(|error| Problem::internal(error.to_string()))?;
        self.commit(holder, &step.mutations)?;
        match step.effect {
            BunkerEffect::Perform(admission, _) => {
                let outcome = gathering.finish(share, &mut platform::rng());
                let refused = outcome.as_ref().err().map(|failure| failure.text.clone());
                self.complete(holder, request, *admission, outcome).await?;
                refused.map_or(Ok(()), |text| Err(Problem::new(422, "contribution_refused", text)))
            }
            effect @ (BunkerEffect::Send(_) | BunkerEffect::Resend(_) | BunkerEffect::Hold(_)) => {
                // Revoked, paused or run out since the offer: the app hears that, and the contributions are dropped.
                self.carry_out(holder, request, effect).await;
                Err(no_such_request())
            }
        }
    }

    /// Who contributes to a request, where devices do.
    pub(super) fn signers(&self, holder: &Holder, request: &EventId) -> Option<Signers> {
        let needed = holder.state().devices_needed();
        let offers = self.offers.0.borrow();
        let given = offers.get(request).map(|(gathering, _)| gathering.contributors().collect()).unwrap_or_default();
        (needed > 0).then_some(Signers { needed, given })
    }
}

fn waiting(holder: &Holder, opened: &Opened, id: &EventId) -> Result<requests::Request, Problem> {
    let event = holder.state().pending_request(id).map(|pending| pending.event.clone()).ok_or_else(no_such_request)?;
    keys_of(holder, opened, event.into_verified().map_err(|error| Problem::internal(error.to_string()))?)
}

/// The share with which a person contributes: the one that is named, or the first.
fn share_of(state: &HolderState, by: &PublicKey, index: Option<HolderIndex>) -> Result<HolderIndex, Problem> {
    let mut shares = state.devices_of(by);
    let share = shares.find(|share| index.is_none_or(|index| index == *share));
    share.ok_or_else(|| {
        let detail = "No such share of this key is yours. It may have ended when the shares were renewed: answer with one of \
                      the new ones, or take part in the next renewal.";
        Problem::forbidden("not_your_share", detail)
    })
}

fn gone() -> Problem {
    let detail = "This offer is not there any more, and its nonces are gone. Ask for another and contribute to that.";
    Problem::new(409, "offer_gone", detail)
}

fn not_offered(refusal: &Refusal) -> Problem {
    match refusal {
        Refusal::NeedsApproval => Problem::new(
            409,
            "approval_needed",
            "This app's rules ask for the owner's word first. Approve the request, then contribute to it.",
        ),
        refusal => Problem::new(409, "request_refused", format!("Nothing is to be contributed to: {refusal}.")),
    }
}
