//! The second place of audit records: lines in an R2 bucket, where `AUDIT_SINK` says so.
//!
//! A chain is handed over from where the bucket has it, before anything that it records leaves: when the bucket does
//! not take it, nothing leaves. A batch that was taken and not noted is handed over again as it was, so a record may
//! stand there twice and never not at all. Beyond the platform's own log this is the copy that an operator may keep
//! in another account's bucket, under a lock (R2's bucket locks).

use serde_json::{Value, json};
use worker::Env;

use super::holder::config;
use crate::{
    config::AuditSink,
    metrics::{self, Counter},
    platform::random_bytes,
    problem::Problem,
    telemetry,
};

/// Binding of the bucket.
const BINDING: &str = "AUDIT_BUCKET";
/// Records of one object of the bucket at most.
const MAX_RECORDS: u32 = 500;

/// Code of an audit trail that can't be kept.
pub(super) const UNAVAILABLE: &str = "audit_unavailable";

/// A chain with a mark up to where the bucket has it.
pub(super) trait Outbox {
    /// Which chain, as a folder of the bucket's: letters, digits, `-` and `/`.
    fn folder(&self) -> String;

    /// Position of the last record.
    fn last(&self) -> Result<u64, Problem>;

    /// The mark.
    fn mark(&self) -> Result<u64, Problem>;

    /// Moves the mark on.
    fn set_mark(&self, n: u64) -> Result<(), Problem>;

    /// Records after a position, each with its own and as it is handed over.
    fn lines(&self, after: u64, limit: u32) -> Result<Vec<(u64, Value)>, Problem>;
}

/// Hands over what the bucket does not have. Gives whether there was a wait.
///
/// # Errors
/// `audit_unavailable`, and what was not handed over stays to be.
pub(super) async fn hand_over(env: &Env, outbox: &impl Outbox) -> Result<bool, Problem> {
    match config(env)?.audit_sink {
        AuditSink::None => Ok(false),
        AuditSink::R2 => put_all(env, outbox).await.map_err(|problem| {
            metrics::count(Counter::AuditSinkFailures);
            telemetry::failure(UNAVAILABLE, problem.cause().unwrap_or(problem.detail()));
            unavailable()
        }),
    }
}

async fn put_all(env: &Env, outbox: &impl Outbox) -> Result<bool, Problem> {
    let mut has_waited = false;
    loop {
        let after = outbox.mark()?;
        if after >= outbox.last()? {
            return Ok(has_waited);
        }
        let lines = outbox.lines(after, MAX_RECORDS)?;
        let (Some((first, _)), Some((last, _))) = (lines.first(), lines.last()) else { return Ok(has_waited) };
        // Never the name of an object that is there: where a bucket is locked, nothing can be put in its place.
        let name = format!("{}/{first:016}-{last:016}-{}.jsonl", outbox.folder(), hex::encode(random_bytes::<4>()));
        let body: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        put(env, name, body).await?;
        has_waited = true;
        // Another one may have been faster, and further.
        outbox.set_mark((*last).max(outbox.mark()?))?;
    }
}

async fn put(env: &Env, name: String, body: String) -> Result<(), Problem> {
    #[cfg(feature = "fault-injection")]
    super::faults::sink()?;
    let failed = |error: worker::Error| Problem::unavailable(format!("the audit bucket: {error}"));
    env.bucket(BINDING).map_err(failed)?.put(name, body).execute().await.map_err(failed)?;
    Ok(())
}

fn unavailable() -> Problem {
    Problem::new(
        503,
        UNAVAILABLE,
        "The record of what this server does can't be kept now, so nothing is signed or handed out. Nothing is lost; try \
         again later.",
    )
}

/// A record with where it stands, as it is handed over and logged.
pub(super) fn line(chain: &str, of: Option<&str>, record: &Value) -> Value {
    json!({ "chain": chain, "of": of, "record": record })
}
