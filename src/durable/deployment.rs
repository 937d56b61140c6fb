//! The deployment's own object: its operators, its seals, and the chain of what they did.
//!
//! One object, and one step at a time: a call's body is read, the machine of `operations-core` decides, its mutations
//! are written, and only then anything is answered. Between reading the state and writing there is no wait. Every
//! use of a share anywhere asks it for a lease (see [`super::lease`]); a lease is read from memory.

#![allow(missing_docs)] // of the functions that the object's macro makes

mod calls;
mod canaries;
mod records;
mod rotation;

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use frost_wasm_core::secret::Secret32;
use operations_core::{
    audit::DeploymentEntry,
    machine::{Caller, Ctx, Due, Refused, Step},
    operator::Scope,
    refusal::Refusal,
    rows::{AUDIT, RowChange},
    state::{DeploymentState, Mutation},
    text::RequestId,
    token::OperatorToken,
};
use serde::Serialize;
use serde_json::value::RawValue;
use worker::{DurableObject, Env, Request, Response, SqlStorageValue, State, durable_object};

use self::calls::{Asked, Call};
pub use self::calls::{DeploymentClient, Shown};
use super::{holder::config, problems, rows, rpc, sink};
use crate::{
    auth::keys::operators_key,
    metrics::{self, Gauge, Source, labels::SealScope},
    platform,
    problem::Problem,
    telemetry,
};

const NAME: &str = "deployment";

/// How often records are looked at for being too old, in milliseconds.
const PRUNED_EVERY_MS: u64 = 24 * 60 * 60 * 1000;

/// Pause between two batches, in milliseconds: leases and operators come first.
const BETWEEN_BATCHES_MS: u64 = 100;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS record (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, \
    PRIMARY KEY (kind, key)) WITHOUT ROWID";

/// The deployment.
#[durable_object]
pub struct Deployment {
    state: State,
    env: Env,
    machine: RefCell<Option<DeploymentState>>,
    /// When the alarm is set to, Unix milliseconds.
    alarm_at_ms: Cell<Option<u64>>,
}

// A panic leaves the machine as it was before the step.
impl std::panic::RefUnwindSafe for Deployment {}

impl DurableObject for Deployment {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, machine: RefCell::default(), alarm_at_ms: Cell::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let answer = match request.path().as_str() {
            calls::LEASE => rpc::answer(self.with(DeploymentState::lease)),
            calls::ASK => rpc::answer(self.ask(&mut request).await),
            calls::RECORD => rpc::answer(self.record(&mut request).await),
            calls::CANARY => rpc::answer(self.canary(&mut request).await),
            _ => rpc::answer::<()>(Err(Problem::not_found("The deployment has no such route."))),
        };
        metrics::flush(&self.state, &self.env);
        answer
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.tidy_up().await.map_err(problems::failed)?;
        Response::ok("")
    }
}

impl Deployment {
    async fn ask(&self, request: &mut Request) -> Result<Box<RawValue>, Problem> {
        let Call { token, request_id, asked } = rpc::body(request).await?;
        let answered = self.decide(token.0.expose_secret(), request_id.as_ref(), asked);
        self.hand_over().await;
        self.schedule().await?;
        answered
    }

    async fn record(&self, request: &mut Request) -> Result<(), Problem> {
        let entry: DeploymentEntry = rpc::body(request).await?;
        self.commit(&self.with(|state| state.record(entry, platform::now_ms()))?)?;
        self.hand_over().await;
        self.schedule().await
    }

    fn decide(&self, token: &str, request_id: Option<&RequestId>, asked: Asked) -> Result<Box<RawValue>, Problem> {
        let config = config(&self.env)?;
        let mac_key = operators_key(&config);
        let ctx = &mut Ctx { now_ms: platform::now_ms(), rng: &mut platform::rng(), mac_key: &mac_key };
        let operator_token = OperatorToken::parse(token);
        let caller = Caller { token: operator_token.as_ref(), request_id };
        match asked {
            Asked::SetUp(request) => {
                let presented = Secret32::from_hex(token).ok();
                let configured = config.operator_setup_token();
                self.settle(self.with(|state| state.set_up(presented.as_ref(), configured, &request, request_id, ctx))?)
            }
            Asked::Command { issued, command } => {
                self.settle(self.with(|state| state.command(caller, issued, &command, ctx))?)
            }
            Asked::Status => self.settle(self.with(|state| state.status(caller, ctx))?),
            Asked::Authorise(scope) => self.settle(self.with(|state| state.authorise(caller, scope, ctx))?),
            Asked::Audit { after, limit } => {
                self.settle(self.with(|state| state.authorise(caller, Scope::Audit, ctx))?)?;
                encode(&self.audit(after, limit)?)
            }
        }
    }

    /// Commits what a step changed or a refusal recorded, and only then gives the answer.
    fn settle<T: Serialize>(&self, decided: Result<Step<T>, Refused>) -> Result<Box<RawValue>, Problem> {
        match decided {
            Ok(Step { mutations, reply }) => {
                self.commit(&mutations)?;
                encode(&reply)
            }
            Err(Refused { mutations, reason }) => {
                self.commit(&mutations)?;
                Err(reason.into())
            }
        }
    }

    fn commit(&self, mutations: &[Mutation]) -> Result<(), Problem> {
        let mut changes = mutations.iter().flat_map(Mutation::rows);
        let written = changes.try_for_each(|change| self.write(change));
        if let Err(problem) = written {
            // What stands in memory may be other than what is stored: the next call reads it anew.
            self.machine.borrow_mut().take();
            return Err(problem);
        }
        self.with(|_| ())?;
        if let Some(machine) = self.machine.borrow_mut().as_mut() {
            mutations.iter().for_each(|mutation| machine.apply(mutation));
        }
        for mutation in mutations {
            match mutation {
                Mutation::Audit(record) => telemetry::audited(&records::outside(record)?),
                Mutation::Sealed(_) | Mutation::Unsealed(_) => self.report()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn report(&self) -> Result<(), Problem> {
        let lease = self.with(DeploymentState::lease)?;
        let accounts = u64::try_from(lease.sealed_owners.len()).unwrap_or(u64::MAX);
        let sealed = [(SealScope::Deployment, u64::from(lease.sealed)), (SealScope::Accounts, accounts)];
        for (scope, value) in sealed {
            metrics::report(Gauge::Sealed { scope }, Source::DEPLOYMENT, value);
        }
        Ok(())
    }

    fn write(&self, change: RowChange) -> Result<(), Problem> {
        let (text, values) = match change {
            RowChange::Put { kind, key, body } => {
                ("INSERT OR REPLACE INTO record (kind, key, body) VALUES (?, ?, ?)", vec![kind.to_owned(), key, body])
            }
            RowChange::Remove { kind, key } => {
                ("DELETE FROM record WHERE kind = ? AND key = ?", vec![kind.to_owned(), key])
            }
            RowChange::RemoveThrough { kind, key } => {
                ("DELETE FROM record WHERE kind = ? AND key <= ?", vec![kind.to_owned(), key])
            }
        };
        self.run(text, values).map(|_| ())
    }

    /// What the machine is, read from the store if need be.
    fn with<T>(&self, read: impl FnOnce(&DeploymentState) -> T) -> Result<T, Problem> {
        let mut machine = self.machine.borrow_mut();
        let machine = match machine.as_mut() {
            Some(machine) => machine,
            None => machine.insert(self.load()?),
        };
        Ok(read(machine))
    }

    fn load(&self) -> Result<DeploymentState, Problem> {
        self.run(TABLE, Vec::new())?;
        let mut state = DeploymentState::default();
        let last = "SELECT kind, body FROM record WHERE kind = ? ORDER BY key DESC LIMIT 1";
        let others = "SELECT kind, body FROM record WHERE kind <> ?";
        for text in [others, last] {
            for (kind, body) in self.run(text, vec![AUDIT.to_owned()])? {
                state.apply(&Mutation::read(&kind, &body).map_err(problems::damaged)?);
            }
        }
        Ok(state)
    }

    /// Ends what is over, and drops records that are older than is kept.
    async fn tidy_up(&self) -> Result<(), Problem> {
        self.alarm_at_ms.set(None);
        let now_ms = platform::now_ms();
        let Step { mutations, reply: _ } = self.with(|state| state.tick(now_ms))?;
        self.commit(&mutations)?;
        self.prune(now_ms)?;
        self.rotate().await?;
        self.hand_over().await;
        self.schedule().await
    }

    async fn schedule(&self) -> Result<(), Problem> {
        let after = |wait_ms| Due(platform::now_ms().saturating_add(wait_ms));
        let soon = self.with(|state| state.rotation_next().is_some().then(|| after(BETWEEN_BATCHES_MS)))?;
        let due = self.with(DeploymentState::next_due)?;
        let Due(at_ms) = due.into_iter().chain(soon).fold(after(PRUNED_EVERY_MS), Due::min);
        if self.alarm_at_ms.get().is_none_or(|set_ms| at_ms < set_ms) {
            self.alarm_at_ms.set(Some(at_ms));
            let wait = Duration::from_millis(at_ms.saturating_sub(platform::now_ms()));
            let set = self.state.storage().set_alarm(wait).await;
            set.map_err(|error| Problem::internal(error.to_string()))?;
        }
        Ok(())
    }

    fn run(&self, text: &str, values: Vec<String>) -> Result<Vec<(String, String)>, Problem> {
        let values = values.into_iter().map(SqlStorageValue::String).collect();
        Ok(rows::run(&self.state.storage().sql(), text, values)?)
    }
}

fn encode(reply: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    serde_json::value::to_raw_value(reply).map_err(|error| Problem::internal(error.to_string()))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.code(), problems::sentence(&refusal))
    }
}
