//! The meter: where the sums of all isolates come together.
//!
//! One object. It keeps the totals in memory and writes them as one row, ten seconds after a change at the latest and
//! before each time that it gives them out. So a count that was once given out never goes back (which Prometheus
//! would take for a restart and count again); lost with a crash are at most the ten seconds that nobody has seen. A
//! row that can't be read is logged and the counts begin anew: nothing is decided by them.

#![allow(missing_docs)] // of the functions that the object's macro makes

use std::cell::{Cell, RefCell};
use std::time::Duration;

use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::{problems, rows, rpc};
use crate::{
    metrics::{Batch, Totals},
    platform::now_ms,
    problem::Problem,
    telemetry,
};

/// Binding of the meter's objects; there is one.
const BINDING: &str = "METER";
const NAME: &str = "meter";
const ADD: &str = "/add";
const READ: &str = "/read";

/// How long totals are in memory only.
const KEEP_AFTER: Duration = Duration::from_secs(10);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS totals (name TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL) \
    WITHOUT ROWID";

/// The deployment's totals.
#[durable_object]
pub struct Meter {
    state: State,
    totals: RefCell<Totals>,
    is_changed: Cell<bool>,
    alarm_is_set: Cell<bool>,
}

// A panic loses what was being added, and nothing is decided by it.
impl std::panic::RefUnwindSafe for Meter {}

impl DurableObject for Meter {
    fn new(state: State, _: Env) -> Self {
        let totals = read(&state).unwrap_or_else(|problem| {
            telemetry::unanswered(&problem);
            Totals::default()
        });
        Self { state, totals: RefCell::new(totals), is_changed: Cell::default(), alarm_is_set: Cell::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        match request.path().as_str() {
            ADD => rpc::answer(self.add(&mut request).await),
            READ => rpc::answer(self.give_out()),
            _ => rpc::answer::<()>(Err(Problem::not_found("The meter has no such route."))),
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.alarm_is_set.set(false);
        self.keep().map_err(problems::failed)?;
        Response::ok("")
    }
}

impl Meter {
    async fn add(&self, request: &mut Request) -> Result<(), Problem> {
        let batch: Batch = rpc::body(request).await?;
        if !self.totals.borrow_mut().add(batch, now_ms()) {
            return Ok(()); // it has arrived before
        }
        self.is_changed.set(true);
        if !self.alarm_is_set.replace(true) {
            let set = self.state.storage().set_alarm(KEEP_AFTER).await;
            set.map_err(|error| {
                self.alarm_is_set.set(false);
                telemetry::failure("alarm_not_set", &error.to_string());
            })
            .ok(); // the batch is counted, and must not be sent again
        }
        Ok(())
    }

    fn give_out(&self) -> Result<String, Problem> {
        self.keep()?;
        Ok(self.totals.borrow().text(now_ms()))
    }

    /// Writes the totals, unless they stand there already.
    fn keep(&self) -> Result<(), Problem> {
        if !self.is_changed.get() {
            return Ok(());
        }
        let body =
            serde_json::to_string(&*self.totals.borrow()).map_err(|error| Problem::internal(error.to_string()))?;
        let sql = self.state.storage().sql();
        rows::run(&sql, TABLE, Vec::new())?;
        let values = vec![NAME.into(), body.into()];
        rows::run(&sql, "INSERT OR REPLACE INTO totals (name, body) VALUES (?, ?)", values)?;
        self.is_changed.set(false);
        Ok(())
    }
}

fn read(state: &State) -> Result<Totals, Problem> {
    let sql = state.storage().sql();
    rows::run(&sql, TABLE, Vec::new())?;
    let found = rows::run(&sql, "SELECT name, body FROM totals WHERE name = ?", vec![NAME.into()])?;
    match found.first() {
        Some((_, body)) => serde_json::from_str(body).map_err(problems::damaged),
        None => Ok(Totals::default()),
    }
}

/// The meter, as the isolates call it.
#[derive(Debug)]
pub struct MeterClient(worker::Stub);

impl MeterClient {
    /// Over the bindings.
    ///
    /// # Errors
    /// When the binding is missing.
    pub fn new(env: &Env) -> Result<Self, Problem> {
        rpc::stub(env, BINDING, NAME).map(Self)
    }

    /// Adds a batch; the same one again is counted once.
    ///
    /// # Errors
    /// When it may not have arrived.
    pub async fn add(&self, batch: &Batch) -> Result<(), Problem> {
        let body = serde_json::to_string(batch).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&self.0, ADD, &body).await
    }

    /// The totals, in Prometheus' text format.
    ///
    /// # Errors
    /// When the meter can't be reached, or its storage fails.
    pub async fn text(&self) -> Result<String, Problem> {
        rpc::post_to(&self.0, READ, "null").await
    }
}
