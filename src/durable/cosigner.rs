//! The cosigner object: one share of one group, which contributes only to what it judged itself.
//!
//! A coordinator hands over the client's own signed event and the key that it decrypts under. Everything else is
//! decided here, from the owner's statements that this holder has, so a coordinator that is taken over can have
//! nothing signed that no app asked for. The record is committed before the contribution leaves. Judging and
//! committing happen without a wait in between.

#![allow(missing_docs)] // of the functions that the object's macro makes

use bunker_core::{
    event::Event,
    joint::{self, ContributionReply, ContributionRequest},
    session::CosignerEffect,
    statement::{Statement, Verb},
};
use frost_wasm_core::{group::HolderRole, share::KeyShare};
use std::rc::Rc;
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::{
    holder::{Holder, Slot},
    lease,
    party::PartySlot,
    problems::{DELETED, failed},
    rpc::{self, PartyReply, ReleasedShare, Route, ShareDelivery},
};
use crate::{metrics, platform, problem::Problem};

/// One holder of one group, under its own KEK.
#[durable_object]
pub struct Cosigner {
    state: State,
    env: Env,
    slot: Slot,
    party: PartySlot,
}

// A panic leaves the cells of the slot as they were between two steps.
impl std::panic::RefUnwindSafe for Cosigner {}

impl DurableObject for Cosigner {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, slot: Slot::default(), party: PartySlot::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let answered = match Route::of(&request.path()) {
            Some(Route::Provision) => rpc::answer(self.provision(&mut request).await),
            Some(Route::Deliver) => rpc::answer(self.deliver(&mut request).await),
            Some(Route::Contribute) => rpc::answer(self.contribute(&mut request).await),
            Some(Route::Release) => rpc::answer(self.release().await),
            Some(Route::TakePart) => rpc::answer(self.take_part(&mut request).await),
            Some(Route::Rewrap) => rpc::answer(self.rewrap().await),
            Some(
                Route::Describe
                | Route::Connections
                | Route::Activity
                | Route::Requests
                | Route::Export
                | Route::Offer
                | Route::Accept,
            )
            | None => rpc::answer::<()>(Err(Problem::not_found("A cosigner has no such route."))),
        };
        metrics::flush(&self.state, &self.env);
        answered
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.tidy_up().await.map_err(failed)?;
        Response::empty()
    }
}

impl Cosigner {
    async fn provision(&self, request: &mut Request) -> Result<(), Problem> {
        let ShareDelivery { statement, share } = rpc::body(request).await?;
        let statement = Statement::verify(statement)?;
        let (object, env, role) = (&self.state, &self.env, HolderRole::Cosigner);
        self.slot.provision(object, env, role, &statement, &share, &self.party).await.map(|_| ())
    }

    async fn take_part(&self, request: &mut Request) -> Result<PartyReply, Problem> {
        let call = rpc::body(request).await?;
        self.party.take_part(&self.state, &self.env, HolderRole::Cosigner, &self.slot, call).await
    }

    async fn deliver(&self, request: &mut Request) -> Result<(), Problem> {
        let statement = Statement::verify(rpc::body::<Event>(request).await?)?;
        let rules = lease::rules(&self.state, &self.env, &statement).await?;
        let holder = match (self.holder(), statement.verb()) {
            (Err(problem), Verb::DeleteGroup) if problem.code() == DELETED => return Ok(()),
            (holder, _) => holder?,
        };
        if matches!(statement.verb(), Verb::DeleteGroup) {
            let mutations = holder.deletion(&statement, rules)?;
            return self.slot.wipe(&self.state, &holder, &mutations, statement.event()).await;
        }
        holder.deliver(&self.env, &statement, rules, None)?;
        holder.schedule(&self.state).await.map_err(|error| Problem::internal(error.to_string()))
    }

    async fn release(&self) -> Result<ReleasedShare, Problem> {
        let holder = self.holder()?;
        let (statement, package) = holder.release(&*holder.open(&self.state, &self.env).await?)?;
        holder.before_release(&self.state, &self.env).await?;
        Ok(ReleasedShare { statement: statement.id, package })
    }

    async fn rewrap(&self) -> Result<(), Problem> {
        self.party.rewrap(&self.state, &self.env, HolderRole::Cosigner).await?;
        self.holder()?.rewrap(&self.env).await
    }

    async fn tidy_up(&self) -> Result<(), Problem> {
        self.party.forget_old(&self.state)?;
        let Some(holder) = self.slot.get(&self.state, &self.env, HolderRole::Cosigner)? else { return Ok(()) };
        holder.alarm_rang();
        holder.forget()?;
        holder.schedule(&self.state).await.map_err(|error| Problem::internal(error.to_string()))
    }

    async fn contribute(&self, request: &mut Request) -> Result<ContributionReply, Problem> {
        let body = request.text().await.map_err(|error| Problem::internal(error.to_string()))?;
        let request = ContributionRequest::decode(&body).map_err(|error| Problem::internal(error.to_string()))?;
        let holder = self.holder()?;
        let opened = match holder.open(&self.state, &self.env).await {
            Err(problem) if lease::is_seal(&problem) => {
                let (code, text) = (problem.code().to_owned(), problem.detail().to_owned());
                return Ok(ContributionReply::Refused { code, text });
            }
            opened => opened?,
        };
        let reply = judge_and_contribute(&holder, &opened.share(), request)?;
        holder.before_release(&self.state, &self.env).await?;
        holder.schedule(&self.state).await.map_err(|error| Problem::internal(error.to_string()))?;
        #[cfg(feature = "fault-injection")]
        let reply = super::faults::contribution(reply);
        Ok(reply)
    }

    fn holder(&self) -> Result<Rc<Holder>, Problem> {
        self.slot.require(&self.state, &self.env, HolderRole::Cosigner)
    }
}

fn judge_and_contribute(
    holder: &Holder,
    share: &KeyShare,
    request: ContributionRequest,
) -> Result<ContributionReply, Problem> {
    let refused = |code: &str, text: String| ContributionReply::Refused { code: code.to_owned(), text };
    let event = match request.event.into_verified() {
        Ok(event) => event,
        Err(error) => return Ok(refused("not_signed", error.to_string())),
    };
    let step = match holder.state().contribute(&event, &request.conversation, platform::now_ms()) {
        Ok(step) => step,
        Err(error) => return Ok(refused("not_a_request", error.to_string())),
    };
    holder.commit(&step.mutations, Vec::new())?;
    match step.effect {
        CosignerEffect::Refuse(refusal) => Ok(refused(refusal.code(), refusal.to_string())),
        CosignerEffect::Contribute(operation) => {
            let rng = &mut platform::rng();
            joint::contribute(&operation, &event.id, share, request.epoch, &request.commitments, rng)
                .or_else(|error| Ok(refused(error.code(), error.to_string())))
        }
    }
}
