//! The guard objects: where attempts to log in are counted.
//!
//! One object for each address and each account name, so that counting is exact: an object is one thread, and between
//! reading a bucket and writing it there is no wait. A bucket that is full again says nothing and is forgotten, and an
//! object whose buckets are all full keeps nothing at all. What is counted where is decided in [`crate::auth::guard`].

#![allow(missing_docs)] // of the functions that the object's macro makes

use std::time::Duration;

use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Request, Response, SqlStorageValue, State, durable_object};

use super::{problems, rpc};
use crate::{
    auth::guard::{Guard as Attempts, Limit, Ticket},
    platform::now_ms,
    problem::Problem,
};

/// Binding of the guard objects.
const BINDING: &str = "GUARD";
const TAKE: &str = "/take";
const GIVE_BACK: &str = "/give-back";

/// How long after its buckets are full an object is looked at, so that it wakes for this once and not for each.
const FORGET_AFTER: Duration = Duration::from_secs(60);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS bucket (name TEXT NOT NULL PRIMARY KEY, full_at_ms TEXT NOT NULL) \
    WITHOUT ROWID";

/// A bucket of an object, as it is asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    bucket: String,
    limit: Limit,
}

/// What became of a wish to take.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    /// How long until there is one, in milliseconds; none when one was taken.
    wait_ms: Option<u64>,
}

/// One address's or one account's buckets.
#[durable_object]
pub struct Guard {
    state: State,
}

// A panic leaves nothing between two steps: there is no state but the rows.
impl std::panic::RefUnwindSafe for Guard {}

impl DurableObject for Guard {
    fn new(state: State, _: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        match request.path().as_str() {
            TAKE => rpc::answer(self.take(&mut request).await),
            GIVE_BACK => rpc::answer(self.give_back(&mut request).await),
            _ => rpc::answer::<()>(Err(Problem::not_found("A guard has no such route."))),
        }
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.forget().await.map_err(problems::failed)?;
        Response::ok("")
    }
}

impl Guard {
    async fn take(&self, request: &mut Request) -> Result<Taken, Problem> {
        let Asked { bucket, limit } = rpc::body(request).await?;
        let now_ms = now_ms();
        let full_at_ms = self.full_at_ms(&bucket)?;
        match limit.take(full_at_ms, now_ms) {
            Ok(full_at_ms) => {
                self.keep(&bucket, full_at_ms)?;
                self.schedule_forgetting(full_at_ms).await?;
                Ok(Taken { wait_ms: None })
            }
            Err(wait_ms) => Ok(Taken { wait_ms: Some(wait_ms) }),
        }
    }

    async fn give_back(&self, request: &mut Request) -> Result<(), Problem> {
        let Asked { bucket, limit } = rpc::body(request).await?;
        match self.full_at_ms(&bucket)? {
            0 => Ok(()),
            full_at_ms => self.keep(&bucket, limit.give_back(full_at_ms)),
        }
    }

    /// When a bucket is full again; 0 for one that nobody took from.
    fn full_at_ms(&self, bucket: &str) -> Result<u64, Problem> {
        self.run(TABLE, Vec::new())?;
        let found = self.run("SELECT name, full_at_ms FROM bucket WHERE name = ?", vec![bucket.into()])?;
        found.first().map_or(Ok(0), |(_, full_at_ms)| Ok(*full_at_ms))
    }

    fn keep(&self, bucket: &str, full_at_ms: u64) -> Result<(), Problem> {
        let values = vec![bucket.into(), full_at_ms.to_string().into()];
        self.run("INSERT OR REPLACE INTO bucket (name, full_at_ms) VALUES (?, ?)", values).map(|_| ())
    }

    /// Forgets the buckets that are full, and everything once all are.
    async fn forget(&self) -> Result<(), Problem> {
        let now_ms = now_ms();
        self.run(TABLE, Vec::new())?;
        let mut latest_ms = 0;
        for (bucket, full_at_ms) in self.run("SELECT name, full_at_ms FROM bucket", Vec::new())? {
            if full_at_ms <= now_ms {
                self.run("DELETE FROM bucket WHERE name = ?", vec![bucket.into()])?;
            }
            latest_ms = latest_ms.max(full_at_ms);
        }
        if latest_ms <= now_ms {
            self.state.storage().delete_all().await.map_err(failed)
        } else {
            self.schedule_forgetting(latest_ms).await
        }
    }

    async fn schedule_forgetting(&self, at_ms: u64) -> Result<(), Problem> {
        let storage = self.state.storage();
        if storage.get_alarm().await.map_err(failed)?.is_none() {
            let wait_ms = at_ms.saturating_sub(now_ms());
            storage.set_alarm(Duration::from_millis(wait_ms) + FORGET_AFTER).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Runs a statement and reads its rows of a name and a time. Times are text: SQL numbers pass through f64.
    fn run(&self, text: &str, values: Vec<SqlStorageValue>) -> Result<Vec<(String, u64)>, Problem> {
        let cursor = self.state.storage().sql().exec(text, values).map_err(failed)?;
        cursor
            .raw()
            .map(|row| match <[SqlStorageValue; 2]>::try_from(row.map_err(failed)?) {
                Ok([SqlStorageValue::String(name), SqlStorageValue::String(at)]) => {
                    at.parse().map(|at| (name, at)).map_err(|_| problems::damaged("bucket: no time"))
                }
                Ok(_) | Err(_) => Err(problems::damaged("bucket: a row of another shape")),
            })
            .collect()
    }
}

fn failed(error: worker::Error) -> Problem {
    Problem::unavailable(format!("a guard's storage failed: {error}"))
}

/// The guard objects, as the Worker asks them.
#[derive(Debug)]
pub struct GuardClient(Env);

impl GuardClient {
    /// Over a request's bindings.
    pub fn new(env: Env) -> Self {
        Self(env)
    }

    async fn ask<R: serde::de::DeserializeOwned>(&self, path: &str, ticket: &Ticket) -> Result<R, Problem> {
        let stub = rpc::stub(&self.0, BINDING, &ticket.object)?;
        let asked = Asked { bucket: ticket.bucket.clone(), limit: ticket.limit };
        let body = serde_json::to_string(&asked).map_err(|error| Problem::internal(error.to_string()))?;
        rpc::post_to(&stub, path, &body).await
    }
}

impl Attempts for GuardClient {
    async fn take(&self, ticket: &Ticket) -> Result<Result<(), u64>, Problem> {
        let Taken { wait_ms } = self.ask(TAKE, ticket).await?;
        Ok(wait_ms.map_or(Ok(()), Err))
    }

    async fn give_back(&self, ticket: &Ticket) -> Result<(), Problem> {
        self.ask(GIVE_BACK, ticket).await
    }
}
