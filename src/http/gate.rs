//! What a route that anybody may try asks before it works: who is at the door, and how often they were there.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::auth::address::Address;
use crate::auth::guard::{Attempt, Route, admit};
use crate::auth::sign_in::Desk;
use crate::durable::guard::GuardClient;
use crate::platform::now_ms;
use crate::problem::Problem;
use crate::router::{App, Bindings};

/// The guard, and the address of this request.
#[derive(Debug)]
pub struct Gate {
    guard: GuardClient,
    address: Address,
}

impl Gate {
    /// Counts a try of this address.
    ///
    /// # Errors
    /// `too_many_attempts`, or that the guard did not answer.
    pub async fn admit(&self, app: &App, route: Route) -> Result<(), Problem> {
        let ticket = Attempt::From(&self.address, route).ticket(app.auth(), app.config().login_limits);
        admit(&self.guard, &ticket).await
    }

    /// Where the request comes from.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What sign-in works with.
    pub fn desk<'a, S>(&'a self, app: &'a App, store: &'a S) -> Desk<'a, S, GuardClient> {
        let limits = app.config().login_limits;
        Desk { store, guard: &self.guard, keys: app.auth(), limits, now_ms: now_ms() }
    }
}

impl<S: Sync> FromRequestParts<S> for Gate {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Bindings(env) = Bindings::of(&parts.extensions)?;
        Ok(Self { guard: GuardClient::new(env), address: Address::of(&parts.headers) })
    }
}
