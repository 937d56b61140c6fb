//! The deployment's own object: its operators, its seals, and the chain of what they did.
//!
//! One object, and one step at a time: a call's body is read, the machine of `operations-core` decides, its mutations
//! are written, and only then anything is answered. Between reading the state and writing there is no wait. Every
//! use of a share anywhere asks it for a lease (see [`super::lease`]); a lease is read from memory.

#![allow(missing_docs)] // of the functions that the object's macro makes

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use bunker_core::audit::{AuditHead, verify_chain};
use frost_wasm_core::secret::{Secret32, SecretString};
use operations_core::{
    audit::{DeploymentEntry, DeploymentRecord, Retention},
    command::{Command, Issued},
    lease::Lease,
    machine::{Caller, Ctx, Due, Refused, Step},
    operator::Scope,
    refusal::Refusal,
    rotation::{Batch, NotThisBatch},
    rows::{self as machine_rows, RowChange},
    state::{DeploymentState, Mutation},
    text::{BadText, Code, RequestId},
    token::OperatorToken,
    wire::SetUpRequest,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, Value};
use worker::{DurableObject, Env, Request, Response, SqlStorageValue, State, durable_object};

use super::{
    canary,
    holder::config,
    problems, rows,
    rpc::{self, BunkerClient},
    sink::{self, Outbox},
};
use crate::{
    auth::keys::operators_key,
    http::dto::OperatorAuditPage,
    metrics::{
        self, Counter, Gauge, Source,
        labels::{CanaryKind, SealScope},
    },
    platform,
    problem::Problem,
    storage::D1Store,
    telemetry,
};

/// Binding of the deployment's objects; there is one.
const BINDING: &str = "DEPLOYMENT";
const NAME: &str = "deployment";
const LEASE: &str = "/lease";
const ASK: &str = "/ask";
const RECORD: &str = "/record";
const CANARY: &str = "/canary";
/// Who seals when a canary was touched, in the status and the record.
const CANARY_NAME: &str = "a canary";
const CANARY_REASON: &str = "a canary was touched, and CANARY_ACTION is `seal`";

/// How long audit records are kept, in days.
const RETENTION_DAYS: u32 = 400;
/// Most records that are looked at for being too old at one time, and how often in a row.
const PRUNED_AT_ONCE: u32 = 500;
const PRUNED_BATCHES: u32 = 100;
/// How often records are looked at for being too old, in milliseconds.
const PRUNED_EVERY_MS: u64 = 24 * 60 * 60 * 1000;

/// Groups whose keys are wrapped anew in one batch.
const ROTATED_AT_ONCE: u32 = 10;
/// Pause between two batches, in milliseconds: leases and operators come first.
const BETWEEN_BATCHES_MS: u64 = 100;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS record (kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, \
    PRIMARY KEY (kind, key)) WITHOUT ROWID";

/// Up to where the second place of records has the chain.
const MARK_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS sink (name TEXT NOT NULL PRIMARY KEY, n TEXT NOT NULL) WITHOUT ROWID";

/// What is asked of the deployment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Asked {
    /// Set the first operators up.
    SetUp(SetUpRequest),
    /// Carry a command out.
    Command { issued: Issued, command: Command },
    /// Say how it stands.
    Status,
    /// Say whether this may be read.
    Authorise(Scope),
    /// Give records of the audit chain.
    Audit { after: u64, limit: u32 },
}

/// A canary that was touched.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Touched {
    /// Its name in the configuration.
    pub(super) name: Code,
    /// What it is.
    pub(super) kind: CanaryKind,
}

/// By whom, and in which request.
#[derive(Debug, Serialize, Deserialize)]
struct Call {
    /// The token that was shown.
    token: SecretText,
    request_id: Option<RequestId>,
    asked: Asked,
}

/// A token on its way between the Worker and its object.
#[derive(Debug)]
struct SecretText(Arc<SecretString>);

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose_secret())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Arc::new(SecretString::from(text))))
    }
}

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
            LEASE => rpc::answer(self.with(DeploymentState::lease)),
            ASK => rpc::answer(self.ask(&mut request).await),
            RECORD => rpc::answer(self.record(&mut request).await),
            CANARY => rpc::answer(self.canary(&mut request).await),
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

    /// Somebody touched what nobody has reason to touch. It is recorded and, where that is configured, the deployment
    /// seals itself; who is told is told behind the answer.
    async fn canary(&self, request: &mut Request) -> Result<bool, Problem> {
        let touched: Touched = rpc::body(request).await?;
        let config = config(&self.env)?;
        let seal = config.canaries.seals.then(|| Ok::<_, BadText>((CANARY_NAME.parse()?, CANARY_REASON.parse()?)));
        let seal = seal.transpose().map_err(|error| Problem::internal(error.to_string()))?;
        metrics::count(Counter::CanaryUses { canary_kind: touched.kind });
        let kind = Code::new(touched.kind.as_str());
        let Step { mutations, reply: is_sealed } =
            self.with(|state| state.canary(&touched.name, &kind, seal, platform::now_ms()))?;
        self.commit(&mutations)?;
        let env = self.env.clone();
        self.state.wait_until(async move { canary::tell(&env, &touched).await });
        self.hand_over().await;
        self.schedule().await?;
        Ok(is_sealed)
    }

    /// Has the second place of records know, where there is one. What operators do and who logs in does not wait for it:
    /// a seal has to close, and its owner to get in and revoke, whatever else fails. The next call tries again.
    async fn hand_over(&self) {
        // A failure was logged and counted where it happened.
        let _ = sink::hand_over(&self.env, self).await;
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
                Mutation::Audit(record) => telemetry::audited(&outside(record)?),
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
            for (kind, body) in self.run(text, vec![machine_rows::AUDIT.to_owned()])? {
                state.apply(&Mutation::read(&kind, &body).map_err(problems::damaged)?);
            }
        }
        Ok(state)
    }

    /// Records after a position, held against the chain.
    fn audit(&self, after: u64, limit: u32) -> Result<OperatorAuditPage, Problem> {
        let (head, checkpoint) = self.with(|state| (state.audit_head(), state.audit_checkpoint()))?;
        let after = after.max(checkpoint.n);
        let records = self.records(after, limit)?;
        let before = match after {
            n if n == checkpoint.n => checkpoint,
            n => self.records(n.saturating_sub(1), 1)?.first().map_or(AuditHead::default(), DeploymentRecord::head),
        };
        verify_chain(before, &records, None).map_err(problems::damaged)?;
        let next = records.last().map(|record| record.n).filter(|n| *n < head.n);
        Ok(OperatorAuditPage { records, head, next })
    }

    fn records(&self, after: u64, limit: u32) -> Result<Vec<DeploymentRecord>, Problem> {
        let values = vec![machine_rows::AUDIT.to_owned(), machine_rows::audit_key(after), limit.to_string()];
        let text = "SELECT key, body FROM record WHERE kind = ? AND key > ? ORDER BY key LIMIT CAST(? AS INTEGER)";
        let rows = self.run(text, values)?;
        rows.iter().map(|(_, body)| serde_json::from_str(body).map_err(problems::damaged)).collect()
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

    /// Drops records that are older than is kept, and no more than a day's alarm can bear at one time.
    fn prune(&self, now_ms: u64) -> Result<(), Problem> {
        let retention = Retention::days(RETENTION_DAYS).map_err(|error| Problem::internal(error.to_string()))?;
        for _ in 0..PRUNED_BATCHES {
            let oldest = self.records(self.with(DeploymentState::audit_checkpoint)?.n, PRUNED_AT_ONCE)?;
            let pruned = self.with(|state| state.prune(&oldest, retention, now_ms))?.map_err(problems::damaged)?;
            if pruned.mutations.is_empty() {
                break;
            }
            self.commit(&pruned.mutations)?;
        }
        Ok(())
    }

    /// Has the next groups wrap their data keys under the present KEKs, if a rotation is under way. A crash costs a batch
    /// that is done again, which changes nothing where it was done.
    async fn rotate(&self) -> Result<(), Problem> {
        let Some(from) = self.with(|state| state.rotation_next().map(|rotation| rotation.cursor.clone()))? else {
            return Ok(());
        };
        let store = D1Store::open(&self.env)?;
        let total = store.count_groups().await?;
        let groups = store.groups_after(from.as_deref(), ROTATED_AT_ONCE).await?;
        let (mut done, mut failed) = (0, 0);
        for group in &groups {
            match BunkerClient::for_group(&self.env, group)?.rewrap().await {
                Ok(()) => done += 1,
                // It was deleted, or never came to be.
                Err(problem) if matches!(problem.status().as_u16(), 404 | 410) => done += 1,
                Err(problem) => {
                    telemetry::failure(problem.code(), problem.cause().unwrap_or(problem.detail()));
                    failed += 1;
                }
            }
        }
        let is_last = groups.len() < usize::try_from(ROTATED_AT_ONCE).unwrap_or(usize::MAX);
        let next = groups.last().filter(|_| !is_last).map(ToString::to_string);
        let batch = Batch { from, next, total, done, failed };
        match self.with(|state| state.rotation_progress(&batch, platform::now_ms()))? {
            Ok(Step { mutations, reply: () }) => self.commit(&mutations),
            // Another alarm was faster.
            Err(NotThisBatch) => Ok(()),
        }
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

impl Outbox for Deployment {
    fn folder(&self) -> String {
        NAME.to_owned()
    }

    fn last(&self) -> Result<u64, Problem> {
        self.with(|state| state.audit_head().n)
    }

    fn mark(&self) -> Result<u64, Problem> {
        self.run(MARK_TABLE, Vec::new())?;
        let rows = self.run("SELECT name, n FROM sink WHERE name = ?", vec![NAME.to_owned()])?;
        rows.first().map_or(Ok(0), |(_, n)| n.parse().map_err(problems::damaged))
    }

    fn set_mark(&self, n: u64) -> Result<(), Problem> {
        let values = vec![NAME.to_owned(), n.to_string()];
        self.run("INSERT OR REPLACE INTO sink (name, n) VALUES (?, ?)", values).map(|_| ())
    }

    fn lines(&self, after: u64, limit: u32) -> Result<Vec<(u64, Value)>, Problem> {
        self.records(after, limit)?.iter().map(|record| Ok((record.n, outside(record)?))).collect()
    }
}

fn outside(record: &DeploymentRecord) -> Result<Value, Problem> {
    let record = serde_json::to_value(record).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(sink::line(NAME, None, &record))
}

fn encode(reply: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    serde_json::value::to_raw_value(reply).map_err(|error| Problem::internal(error.to_string()))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let mut detail = refusal.to_string();
        if let Some(first) = detail.get(..1).map(str::to_uppercase) {
            detail.replace_range(..1, &first);
        }
        Self::new(refusal.status(), refusal.code(), detail + ".")
    }
}

/// The deployment's object, as the Worker and the holders ask it.
#[derive(Debug)]
pub struct DeploymentClient(worker::Stub);

/// Who asks, by what was shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The bearer token.
    pub token: Arc<SecretString>,
    /// The request, as it stands in the logs.
    pub request_id: Option<RequestId>,
}

impl DeploymentClient {
    /// Over the bindings.
    ///
    /// # Errors
    /// When the binding is missing.
    pub fn new(env: &Env) -> Result<Self, Problem> {
        rpc::stub(env, BINDING, NAME).map(Self)
    }

    /// What holders may do now.
    ///
    /// # Errors
    /// When the object can't be reached, or its storage fails.
    pub async fn lease(&self) -> Result<Lease, Problem> {
        rpc::post_to(&self.0, LEASE, "null").await
    }

    /// Sets the first operators up.
    ///
    /// # Errors
    /// Why not.
    pub async fn set_up(&self, shown: Shown, request: SetUpRequest) -> Result<Box<RawValue>, Problem> {
        self.ask(shown, Asked::SetUp(request)).await
    }

    /// Carries a command out.
    ///
    /// # Errors
    /// Why not.
    pub async fn command(&self, shown: Shown, issued: Issued, command: Command) -> Result<Box<RawValue>, Problem> {
        self.ask(shown, Asked::Command { issued, command }).await
    }

    /// How the deployment stands.
    ///
    /// # Errors
    /// Why it is not told.
    pub async fn status(&self, shown: Shown) -> Result<Box<RawValue>, Problem> {
        self.ask(shown, Asked::Status).await
    }

    /// Whether this may be read.
    ///
    /// # Errors
    /// Why not.
    pub async fn authorise(&self, shown: Shown, scope: Scope) -> Result<(), Problem> {
        self.ask::<Box<RawValue>>(shown, Asked::Authorise(scope)).await.map(|_| ())
    }

    /// Audit records after a position.
    ///
    /// # Errors
    /// Why they are not given.
    pub async fn audit(&self, shown: Shown, after: u64, limit: u32) -> Result<OperatorAuditPage, Problem> {
        self.ask(shown, Asked::Audit { after, limit }).await
    }

    /// Somebody touched what nobody has reason to touch. Gives whether the deployment is sealed now.
    ///
    /// # Errors
    /// When it may not have been recorded.
    pub async fn canary(&self, name: &Code, kind: CanaryKind) -> Result<bool, Problem> {
        let touched = Touched { name: name.clone(), kind };
        let body = serde_json::to_string(&touched).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&self.0, CANARY, &body).await
    }

    /// Has the audit chain know of something that is no operator's doing.
    ///
    /// # Errors
    /// When it may not have been written.
    pub async fn record(&self, entry: &DeploymentEntry) -> Result<(), Problem> {
        let body = serde_json::to_string(entry).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&self.0, RECORD, &body).await
    }

    async fn ask<R: DeserializeOwned>(&self, shown: Shown, asked: Asked) -> Result<R, Problem> {
        let Shown { token, request_id } = shown;
        let call = Call { token: SecretText(token), request_id, asked };
        let body = serde_json::to_string(&call).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&self.0, ASK, &body).await
    }
}
