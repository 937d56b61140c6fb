//! What this isolate knows of the deployment's seals, and for how long that is good.
//!
//! Every use of a share asks here first. A lease is good for three seconds from before it was asked for
//! ([`operations_core::lease`] says why a seal that has settled then holds everywhere); one that is half over is
//! asked for anew behind the work that still goes on with it. Without an answer of the deployment's object no share
//! is used: a seal that nobody could ask for would be none.

use std::{cell::RefCell, rc::Rc};

use bunker_core::{
    keys::PublicKey,
    session::Rules,
    statement::{Statement, Verb},
};
use operations_core::lease::{Lease, Sealed};
use worker::{Env, State};

use super::{deployment::DeploymentClient, holder::config};
use crate::{
    metrics::{self, Counter, labels::Reason},
    platform::now_ms,
    problem::Problem,
    telemetry,
};

/// At which age a lease is asked for anew while it is still good, in milliseconds.
const RENEWED_AT_MS: u64 = Lease::LEASE_MS / 2;

/// A lease of this isolate.
#[derive(Clone)]
struct Held {
    lease: Rc<Lease>,
    asked_at_ms: u64,
    /// Since when it is being asked for anew.
    renewing_since_ms: Option<u64>,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// Whether a share of an identity of this owner may be used now.
///
/// # Errors
/// `sealed`, or that the deployment's object did not answer.
pub(super) async fn judge(object: &State, env: &Env, owner: &PublicKey) -> Result<(), Problem> {
    get(object, env).await?.judge(owner).map_err(|what| {
        metrics::count(Counter::Refusals { reason: Reason::Sealed });
        Problem::from(what)
    })
}

/// What the deployment adds to what the owner says. Only the delay of an export is the operators' to change.
pub(super) async fn rules(object: &State, env: &Env, statement: &Statement) -> Result<Rules, Problem> {
    let mut export_delay_ms = config(env)?.export_delay_ms;
    if matches!(statement.verb(), Verb::Export { .. }) {
        let least_s = get(object, env).await?.export_delay_s.unwrap_or_default();
        export_delay_ms = export_delay_ms.max(least_s.saturating_mul(1000));
    }
    Ok(Rules { export_delay_ms })
}

/// What the deployment's seals are, for who only wants to say so.
pub async fn is_sealed(env: &Env) -> Result<bool, Problem> {
    let lease = match held(now_ms()) {
        Some(held) => held.lease,
        None => ask(env).await?,
    };
    Ok(lease.sealed)
}

/// The lease of this isolate, while it is good.
fn held(now_ms: u64) -> Option<Held> {
    HELD.with_borrow(Option::clone).filter(|held| Lease::is_good(held.asked_at_ms, now_ms))
}

async fn get(object: &State, env: &Env) -> Result<Rc<Lease>, Problem> {
    let now_ms = now_ms();
    let Some(held) = held(now_ms) else { return ask(env).await };
    let is_old = !is_younger(held.asked_at_ms, now_ms, RENEWED_AT_MS);
    let is_renewed = held.renewing_since_ms.is_some_and(|since_ms| is_younger(since_ms, now_ms, RENEWED_AT_MS));
    if is_old && !is_renewed {
        HELD.with_borrow_mut(|held| {
            if let Some(held) = held {
                held.renewing_since_ms = Some(now_ms);
            }
        });
        let env = env.clone();
        object.wait_until(async move {
            if let Err(problem) = ask(&env).await {
                telemetry::unanswered(&problem);
            }
        });
    }
    Ok(held.lease)
}

async fn ask(env: &Env) -> Result<Rc<Lease>, Problem> {
    let asked_at_ms = now_ms();
    let lease = Rc::new(DeploymentClient::new(env)?.lease().await?);
    HELD.with_borrow_mut(|held| {
        if held.as_ref().is_none_or(|held| held.asked_at_ms <= asked_at_ms) {
            *held = Some(Held { lease: lease.clone(), asked_at_ms, renewing_since_ms: None });
        }
    });
    if Lease::is_good(asked_at_ms, now_ms()) {
        Ok(lease)
    } else {
        Err(Problem::unavailable("the deployment's object took longer to answer than its answer is good for"))
    }
}

fn is_younger(since_ms: u64, now_ms: u64, than_ms: u64) -> bool {
    now_ms.checked_sub(since_ms).is_some_and(|age_ms| age_ms < than_ms)
}

/// Whether a problem is that something is sealed.
pub(super) fn is_seal(problem: &Problem) -> bool {
    problem.code() == Sealed::CODE
}

impl From<Sealed> for Problem {
    fn from(what: Sealed) -> Self {
        let detail = match what {
            Sealed::Deployment => {
                "This server is sealed by its operators: nothing is signed, decrypted or handed out until they open it. \
                 Nothing is lost; try again later."
            }
            Sealed::Account => {
                "This account is sealed by the server's operators: none of its keys is used until they open it. Nothing \
                 is lost; ask them."
            }
        };
        Self::new(503, Sealed::CODE, detail)
    }
}
