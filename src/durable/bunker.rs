//! The bunker object: one group's relay, and the one that answers its requests.
//!
//! A frame goes through in one pass: the relay's checks, the session machine's step, its mutations committed, OK
//! sent, and then the effect. Between reading the state and committing there is no wait, so no other request can
//! come between. Only the cosigner's contribution is waited for; what waits (the nonces) is in memory alone and is
//! gone if the object is evicted, and the client's next attempt begins with fresh ones.

#![allow(missing_docs)] // of the functions that the object's macro makes

mod devices;
mod queries;
mod requests;

use self::requests::Settled;
use bunker_core::{
    relay::{self, Incoming},
    session::Custody,
    statement::{Statement, Verb},
};
use frost_wasm_core::group::HolderRole;
use std::{cell::Cell, rc::Rc};
use worker::{
    DurableObject, Env, Method, Request, Response, State, WebSocket, WebSocketIncomingMessage, durable_object,
};

use super::{
    holder::{Holder, Slot},
    lease,
    opened::Opened,
    party::PartySlot,
    problems::{DAMAGED, DELETED, failed},
    rpc::{self, CosignerClient, PartyReply, Route, ShareDelivery, ShareOrigin},
    sockets::{self, Purpose},
};
use crate::{
    http::dto::{
        ProvisionReply, ProvisionRequest, ReleaseReply, ReleasedPackages, SharePackages, SharesOrigin,
        StatementDelivery, StatementReply,
    },
    metrics,
    problem::Problem,
    storage::D1Store,
    telemetry,
};

/// One group's bunker.
#[durable_object]
pub struct Bunker {
    state: State,
    env: Env,
    slot: Slot,
    party: PartySlot,
    in_flight: requests::InFlight,
    offers: devices::Offers,
    /// The epoch whose people are known to be listed.
    listed: Cell<Option<u32>>,
}

// A panic leaves the cells of the slot as they were between two steps.
impl std::panic::RefUnwindSafe for Bunker {}

impl DurableObject for Bunker {
    fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            slot: Slot::default(),
            party: PartySlot::default(),
            in_flight: requests::InFlight::default(),
            offers: devices::Offers::default(),
            listed: Cell::default(),
        }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let path = request.path();
        if matches!(request.method(), Method::Get | Method::Head) {
            let opened = match path.starts_with("/relay/") {
                true => self.open_relay(&request).await,
                false => self.open_events(&path).await,
            };
            return opened.or_else(|problem| rpc::answer::<()>(Err(problem)));
        }
        match Route::of(&path) {
            Some(Route::Provision) => rpc::answer(self.provision(&mut request).await),
            Some(Route::Deliver) => rpc::answer(self.deliver(&mut request).await),
            Some(Route::Describe) => rpc::answer(self.describe().await),
            Some(Route::Connections) => rpc::answer(self.connections().await),
            Some(Route::Activity) => rpc::answer(self.activity(&mut request).await),
            Some(Route::Requests) => rpc::answer(self.requests().await),
            Some(Route::Export) => rpc::answer(self.export().await),
            Some(Route::Release) => rpc::answer(self.release().await),
            Some(Route::TakePart) => rpc::answer(self.take_part(&mut request).await),
            Some(Route::Offer) => rpc::answer(self.offer(&mut request).await),
            Some(Route::Accept) => rpc::answer(self.accept(&mut request).await),
            Some(Route::Rewrap) => rpc::answer(self.rewrap().await),
            Some(Route::Contribute) | None => rpc::answer::<()>(Err(Problem::not_found("A bunker has no such route."))),
        }
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> worker::Result<()> {
        if !sockets::is_of_relay(&self.state, &socket) {
            return Ok(()); // a page has nothing to say here
        }
        let WebSocketIncomingMessage::String(frame) = message else {
            sockets::send(&socket, &relay::notice("invalid: this relay reads text frames"));
            return Ok(());
        };
        match relay::receive(&sockets::subscriptions(&socket), &frame) {
            Incoming::Reply(answer) => sockets::send(&socket, &answer),
            Incoming::Subscribed(subscriptions, answer) => {
                let answer = match sockets::keep(&socket, &subscriptions) {
                    Ok(()) => answer,
                    Err(_) => Some(relay::notice("error: these subscriptions are too long to be kept; use fewer")),
                };
                answer.iter().for_each(|answer| sockets::send(&socket, answer));
            }
            Incoming::Event(event) => self.take(&socket, *event).await,
        }
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _: String, _: bool) -> worker::Result<()> {
        let is_of_relay = sockets::is_of_relay(&self.state, &socket);
        sockets::close(&socket, code);
        if is_of_relay {
            sockets::report(&self.state, 1);
            metrics::flush(&self.state, &self.env);
        }
        Ok(())
    }

    async fn websocket_error(&self, _: WebSocket, error: worker::Error) -> worker::Result<()> {
        telemetry::failure("socket_failed", &error.to_string());
        Ok(())
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.tidy_up().await.map_err(failed)?;
        Response::empty()
    }
}

impl Bunker {
    async fn provision(&self, request: &mut Request) -> Result<ProvisionReply, Problem> {
        let asked: ProvisionRequest = rpc::body(request).await?;
        let statement = Statement::verify(asked.statement)?;
        let (own, cosigners) = match asked.shares {
            SharesOrigin::Packages(SharePackages { bunker, cosigner }) => {
                (ShareOrigin::Package(bunker), ShareOrigin::Package(cosigner))
            }
            SharesOrigin::Ceremony(id) => (ShareOrigin::Ceremony(id), ShareOrigin::Ceremony(id)),
        };
        let (object, env, role) = (&self.state, &self.env, HolderRole::Bunker);
        let holder = self.slot.provision(object, env, role, &statement, &own, &self.party).await?;
        if let Some(cosigner) = self.cosigner(&holder)? {
            let delivery = ShareDelivery { statement: statement.event().clone(), share: cosigners };
            cosigner.provision(&delivery).await?;
        }
        self.list_members(&holder).await?;
        let sequence = holder.state().last_statement().seq;
        Ok(ProvisionReply { sequence })
    }

    /// Goes on with the ceremony that makes this group's shares.
    async fn take_part(&self, request: &mut Request) -> Result<PartyReply, Problem> {
        let call = rpc::body(request).await?;
        let reply = self.party.take_part(&self.state, &self.env, HolderRole::Bunker, &self.slot, call).await?;
        if reply.package.is_none()
            && let Some(holder) = self.slot.get(&self.state, &self.env, HolderRole::Bunker)?
        {
            // New shares may be other people's, or a new cosigner's. When this fails, the ceremony asks again.
            self.list_members(&holder).await?;
            self.induct_cosigner(&holder).await?;
        }
        Ok(reply)
    }

    /// Tells a cosigner that is new what it has to know, and takes up what waited for a device until now. Again is no error.
    async fn induct_cosigner(&self, holder: &Holder) -> Result<(), Problem> {
        let (statement, told) = {
            let state = holder.state();
            (state.identity().statement.clone(), state.induction())
        };
        let Some((index, induction)) = told else { return Ok(()) };
        let cosigner = CosignerClient::for_holder(&self.env, holder.state().group(), index)?;
        let share = ShareOrigin::Renewal(Box::new(induction));
        cosigner.provision(&ShareDelivery { statement, share }).await?;
        self.settle(holder, None).await;
        Ok(())
    }

    /// Has the people who hold shares beside the owner listed, so that they find the key.
    async fn list_members(&self, holder: &Holder) -> Result<(), Problem> {
        let (group, epoch, people) = {
            let state = holder.state();
            let identity = state.identity();
            let people: Vec<_> = identity.members.list().iter().map(|member| member.person).collect();
            (identity.public.group, identity.public.epoch, people)
        };
        let is_news = !people.is_empty() && self.listed.get() != Some(epoch);
        if is_news {
            D1Store::open(&self.env)?.set_members(&group, &people).await?;
            self.listed.set(Some(epoch));
        }
        Ok(())
    }

    /// Has every server-side holder apply an owner statement, and takes up what waited for it.
    async fn deliver(&self, request: &mut Request) -> Result<Option<StatementReply>, Problem> {
        let StatementDelivery { statement, transport } = rpc::body(request).await?;
        let statement = Statement::verify(statement)?;
        let fits = match statement.verb() {
            Verb::CreateGroup { .. } => false,
            Verb::DeleteGroup => return self.delete(&statement).await.map(|()| None),
            Verb::Grant(_) => transport.is_some(),
            _ => transport.is_none(),
        };
        if !fits {
            return Err(Problem::invalid(
                "statement_invalid",
                "Send a grant with its transport, and no other statement.",
            ));
        }
        let holder = self.holder()?;
        let rules = lease::rules(&self.state, &self.env, &statement).await?;
        // A new connection's secret is sealed; no other statement needs a key, so revoking goes on under a seal.
        let opened = match transport {
            Some(_) => Some(self.open(&holder).await?),
            None => None,
        };
        // This holder first: a revocation holds at once, and the same statement may be sent again for the other.
        let mutations = holder.deliver(&self.env, &statement, rules, transport.as_deref().zip(opened.as_deref()))?;
        sockets::announce(&self.state, &mutations);
        holder.schedule(&self.state).await.map_err(|error| Problem::internal(error.to_string()))?;
        if let Some(cosigner) = self.cosigner(&holder)? {
            match cosigner.deliver(statement.event()).await {
                // The word may be about another one in its place.
                Err(problem) if matches!(statement.verb(), Verb::Reshare { .. }) && is_lost(&problem) => {}
                delivered => delivered?,
            }
        }
        self.hand_over_later(&holder);
        let Some(connection) = statement.verb().connection() else { return Ok(None) };
        self.settle(&holder, Some(connection)).await;
        queries::statement_reply(&holder, connection).map(Some)
    }

    /// Has the second place of records know what the owner said, without making that wait: a revocation holds whatever
    /// else fails, and nothing that is made with a key leaves before its record has got there.
    fn hand_over_later(&self, holder: &Rc<Holder>) {
        let (holder, env) = (holder.clone(), self.env.clone());
        self.state.wait_until(async move {
            // A failure was logged and counted where it happened.
            let _ = holder.hand_over(&env).await;
        });
    }

    /// Wipes every server-side holder, this one last: until then the same statement may be sent again.
    async fn delete(&self, statement: &Statement) -> Result<(), Problem> {
        let holder = match self.holder() {
            Ok(holder) => holder,
            Err(problem) if problem.code() == DELETED => return Ok(()),
            Err(problem) => return Err(problem),
        };
        let rules = lease::rules(&self.state, &self.env, statement).await?;
        let mutations = holder.deletion(statement, rules)?;
        if let Some(cosigner) = self.cosigner(&holder)? {
            cosigner.deliver(statement.event()).await?;
        }
        self.slot.wipe(&self.state, &holder, &mutations, statement.event()).await?;
        self.state.get_websockets().iter().for_each(|socket| {
            // Fails when the client is gone already.
            let _ = socket.close(Some(1001), Some("this identity was deleted by its owner"));
        });
        Ok(())
    }

    /// Hands out the shares of an export whose delay is over, each sealed by its holder.
    async fn release(&self) -> Result<ReleaseReply, Problem> {
        let holder = self.holder()?;
        let cosigner = match self.cosigner(&holder)? {
            Some(cosigner) => Some(cosigner.release().await?),
            None => None,
        };
        let (statement, bunker) = holder.release(&*self.open(&holder).await?)?;
        holder.before_release(&self.state, &self.env).await?;
        if cosigner.as_ref().is_some_and(|released| released.statement != statement.id) {
            return Err(Problem::new(409, "no_export", "The holders know of different exports. Ask for a new one."));
        }
        let cosigner = cosigner.map(|released| released.package);
        Ok(ReleaseReply { statement, packages: ReleasedPackages { bunker, cosigner } })
    }

    /// Wraps the data keys of every server-side holder under the present KEK. No share is opened for it, so it goes on
    /// under a seal.
    async fn rewrap(&self) -> Result<(), Problem> {
        self.party.rewrap(&self.state, &self.env, HolderRole::Bunker).await?;
        let holder = self.holder()?;
        holder.rewrap(&self.env).await?;
        match self.cosigner(&holder)? {
            Some(cosigner) => cosigner.rewrap().await,
            None => Ok(()),
        }
    }

    /// Forgets what can't come again, and answers the apps whose owners did not.
    async fn tidy_up(&self) -> Result<(), Problem> {
        self.party.forget_old(&self.state)?;
        let Some(holder) = self.slot.get(&self.state, &self.env, HolderRole::Bunker)? else { return Ok(()) };
        holder.alarm_rang();
        holder.forget()?;
        self.hand_over_later(&holder);
        self.hand_on_decisions(&holder).await;
        let scheduled = match self.settle(&holder, None).await {
            Settled::Done => holder.schedule(&self.state).await,
            Settled::Sealed => holder.schedule_sealed(&self.state).await,
        };
        scheduled.map_err(|error| Problem::internal(error.to_string()))
    }

    /// A socket for a client, or the relay's information document (NIP-11).
    async fn open_relay(&self, request: &Request) -> Result<Response, Problem> {
        self.holder()?;
        let failed = |error: worker::Error| Problem::internal(error.to_string());
        let header = |name: &str| request.headers().get(name).map(Option::unwrap_or_default).map_err(failed);
        if !header("upgrade")?.eq_ignore_ascii_case("websocket") {
            return queries::information().map_err(failed);
        }
        let opened = sockets::open(&self.state, Purpose::Relay)?;
        sockets::report(&self.state, 0);
        metrics::flush(&self.state, &self.env);
        Ok(opened)
    }

    /// A socket for a page of the owner's.
    async fn open_events(&self, path: &str) -> Result<Response, Problem> {
        if path != rpc::EVENTS {
            return Err(Problem::not_found("A bunker has no such route."));
        }
        self.holder()?;
        sockets::open(&self.state, Purpose::Events)
    }

    fn holder(&self) -> Result<Rc<Holder>, Problem> {
        self.slot.require(&self.state, &self.env, HolderRole::Bunker)
    }

    /// The holder's keys, if they may be used now. When they may not, what was gathered for requests goes too.
    async fn open(&self, holder: &Holder) -> Result<Rc<Opened>, Problem> {
        let opened = holder.open(&self.state, &self.env).await;
        if opened.as_ref().is_err_and(lease::is_seal) {
            self.offers.clear();
        }
        opened
    }

    /// The cosigner, where the bunker acts with one.
    fn cosigner(&self, holder: &Holder) -> Result<Option<CosignerClient>, Problem> {
        let state = holder.state();
        match state.custody() {
            Custody::Hosted { cosigner } => CosignerClient::for_holder(&self.env, state.group(), cosigner).map(Some),
            Custody::Device => Ok(None),
        }
    }
}

/// Whether a holder that ought to be there has nothing any more, or nothing that can be read.
fn is_lost(problem: &Problem) -> bool {
    problem.status() == http::StatusCode::NOT_FOUND || problem.code() == DAMAGED
}
