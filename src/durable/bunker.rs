//! The bunker object: one group's relay, and the one that answers its requests.
//!
//! A frame goes through in one pass: the relay's checks, the session machine's step, its mutations committed, OK
//! sent, and then the effect. Between reading the state and committing there is no wait, so no other request can
//! come between. Only the cosigner's contribution is waited for; what waits (the nonces) is in memory alone and is
//! gone if the object is evicted, and the client's next attempt begins with fresh ones.

#![allow(missing_docs)] // of the functions that the object's macro makes

mod queries;
mod requests;

use bunker_core::{
    relay::{self, Incoming},
    statement::{Statement, Verb},
};
use frost_wasm_core::group::HolderRole;
use std::rc::Rc;
use worker::{
    DurableObject, Env, Method, Request, Response, State, WebSocket, WebSocketIncomingMessage, WebSocketPair,
    durable_object,
};

use super::{
    holder::{Holder, Slot, index_of},
    rpc::{self, CosignerClient, Route, ShareDelivery},
    sockets,
};
use crate::{
    http::dto::{ProvisionReply, ProvisionRequest, StatementDelivery, StatementReply},
    problem::Problem,
    telemetry,
};

/// One group's bunker.
#[durable_object]
pub struct Bunker {
    state: State,
    env: Env,
    slot: Slot,
    in_flight: requests::InFlight,
}

// A panic leaves the cells of the slot as they were between two steps.
impl std::panic::RefUnwindSafe for Bunker {}

impl DurableObject for Bunker {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, slot: Slot::default(), in_flight: requests::InFlight::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let path = request.path();
        if path.starts_with("/relay/") && matches!(request.method(), Method::Get | Method::Head) {
            return match self.open_relay(&request).await {
                Ok(response) => Ok(response),
                Err(problem) => rpc::answer::<()>(Err(problem)),
            };
        }
        match Route::of(&path) {
            Some(Route::Provision) => rpc::answer(self.provision(&mut request).await),
            Some(Route::Deliver) => rpc::answer(self.deliver(&mut request).await),
            Some(Route::Describe) => rpc::answer(self.describe().await),
            Some(Route::Connections) => rpc::answer(self.connections().await),
            Some(Route::Activity) => rpc::answer(self.activity(&mut request).await),
            Some(Route::Contribute) | None => rpc::answer::<()>(Err(Problem::not_found("A bunker has no such route."))),
        }
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> worker::Result<()> {
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
        // 1005, 1006 and 1015 report how a socket ended and may not be sent.
        let code = u16::try_from(code).ok().filter(|code| !matches!(code, 1005 | 1006 | 1015));
        // Fails when the client is gone already, which is what closing is for.
        let _ = socket.close(code, None::<&str>);
        Ok(())
    }

    async fn websocket_error(&self, _: WebSocket, error: worker::Error) -> worker::Result<()> {
        telemetry::failure("socket_failed", &error.to_string());
        Ok(())
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.slot.forget(&self.state, &self.env, HolderRole::Bunker).await
    }
}

impl Bunker {
    async fn provision(&self, request: &mut Request) -> Result<ProvisionReply, Problem> {
        let asked: ProvisionRequest = rpc::body(request).await?;
        let statement = Statement::verify(asked.statement)?;
        let (object, env, role) = (&self.state, &self.env, HolderRole::Bunker);
        let holder = self.slot.provision(object, env, role, &statement, &asked.packages.bunker).await?;
        let delivery = ShareDelivery { statement: statement.event().clone(), package: asked.packages.cosigner };
        self.cosigner(&holder)?.provision(&delivery).await?;
        let sequence = holder.state().last_statement().seq;
        Ok(ProvisionReply { sequence })
    }

    async fn deliver(&self, request: &mut Request) -> Result<StatementReply, Problem> {
        let StatementDelivery { statement, transport } = rpc::body(request).await?;
        let statement = Statement::verify(statement)?;
        let connection = match (statement.verb(), &transport) {
            (Verb::Grant(grant), Some(_)) => grant.connection,
            (Verb::Revoke { connection }, None) => *connection,
            _ => {
                return Err(Problem::invalid("statement_invalid", "Send a grant with its transport, or a revocation."));
            }
        };
        let holder = self.holder().await?;
        // This holder first: a revocation holds at once, and the same statement may be sent again for the other.
        holder.deliver(&self.env, &statement, transport.as_deref())?;
        self.cosigner(&holder)?.deliver(statement.event()).await?;
        queries::statement_reply(&holder, &connection)
    }

    /// A socket for a client, or the relay's information document (NIP-11).
    async fn open_relay(&self, request: &Request) -> Result<Response, Problem> {
        self.holder().await?;
        let failed = |error: worker::Error| Problem::internal(error.to_string());
        let header = |name: &str| request.headers().get(name).map(Option::unwrap_or_default).map_err(failed);
        if !header("upgrade")?.eq_ignore_ascii_case("websocket") {
            return queries::information().map_err(failed);
        }
        if self.state.get_websockets().len() >= sockets::MAX_SOCKETS {
            return Err(Problem::new(
                503,
                "too_many_sockets",
                "Too many apps are connected. Close some and try again.",
            ));
        }
        let WebSocketPair { client, server } = WebSocketPair::new().map_err(failed)?;
        self.state.accept_web_socket(&server);
        Response::from_websocket(client).map_err(failed)
    }

    async fn holder(&self) -> Result<Rc<Holder>, Problem> {
        self.slot.require(&self.state, &self.env, HolderRole::Bunker).await
    }

    fn cosigner(&self, holder: &Holder) -> Result<CosignerClient, Problem> {
        let state = holder.state();
        let public = &state.identity().public;
        CosignerClient::for_holder(&self.env, &public.group, index_of(public, HolderRole::Cosigner)?)
    }
}
