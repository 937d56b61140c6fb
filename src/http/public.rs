//! What anybody may ask: whether it runs and is ready, the holders' receiving keys, the token key, the build, the document.

use std::cell::RefCell;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use frost_wasm_core::group::HolderRole;
use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use super::dto::{HolderEntry, HolderList};
use crate::auth::access_token::JwkSet;
use crate::config::Config;
use crate::durable::lease;
use crate::hsm::{self, Hsm};
use crate::platform::now_ms;
use crate::problem::Problem;
use crate::router::{App, Bindings};
use crate::storage::D1Store;

/// The holders on the server, with their FROST identifiers in hosted groups.
const SERVER_HOLDERS: [(u16, HolderRole); 2] = [(1, HolderRole::Bunker), (2, HolderRole::Cosigner)];
/// Keys change with a deployment at most.
const CACHE_SHORTLY: [(http::HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];

/// How long an isolate answers with what it last found, in milliseconds: strangers can't have us ask the HSM for each
/// of their questions.
const READINESS_KEPT_MS: u64 = 10_000;

thread_local! {
    static FOUND: RefCell<Option<(u64, Checks)>> = const { RefCell::new(None) };
}

/// Answer to `GET /healthz`
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`
    pub status: &'static str,
}

/// Answer to `GET /version`
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// `passport`
    pub name: &'static str,
    /// Version of the Worker.
    pub version: &'static str,
    /// SHA-256 of the deployed WASM, where the build told it.
    pub wasm_sha256: Option<String>,
}

/// Says that the Worker runs. Looks at nothing else.
#[utoipa::path(
    get, path = "/healthz", tag = "public", operation_id = "health",
    responses((status = 200, body = Health))
)]
pub async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Answer to `GET /readyz`
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether requests can be answered.
    pub ready: bool,
    /// What was looked at, not longer than ten seconds ago.
    pub checks: Checks,
}

/// What readiness depends on
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Checks {
    /// Accounts.
    pub database: Check,
    /// The bunkers' HSM.
    pub hsm_bunker: Check,
    /// The cosigners' HSM.
    pub hsm_cosigner: Check,
    /// The seal of the whole deployment.
    pub seal: Check,
}

/// How one of them stands
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It works.
    Ok,
    /// It does not.
    Failed,
    /// The operators sealed the deployment.
    Sealed,
}

impl Checks {
    /// Whether all is well.
    pub fn are_ok(self) -> bool {
        let Self { database, hsm_bunker, hsm_cosigner, seal } = self;
        [database, hsm_bunker, hsm_cosigner, seal].iter().all(|check| *check == Check::Ok)
    }
}

impl<T, E> From<Result<T, E>> for Check {
    fn from(result: Result<T, E>) -> Self {
        if result.is_ok() { Self::Ok } else { Self::Failed }
    }
}

/// Says whether requests can be answered: database, HSM and seal. Not asked more often than each ten seconds.
#[utoipa::path(
    get, path = "/readyz", tag = "public", operation_id = "ready",
    responses((status = 200, body = Readiness), (status = 503, description = "Not ready", body = Readiness))
)]
#[worker::send]
pub async fn readyz(State(app): State<App>, Bindings(env): Bindings) -> Response {
    let checks = match kept(now_ms()) {
        Some(checks) => checks,
        None => {
            let checks = look(app.config(), &env).await;
            FOUND.set(Some((now_ms(), checks)));
            checks
        }
    };
    let ready = checks.are_ok();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], Json(Readiness { ready, checks })).into_response()
}

/// What was found last, unless it is too old. Whoever is told that has to look; others who ask meanwhile are answered
/// with the old.
fn kept(now_ms: u64) -> Option<Checks> {
    FOUND.with_borrow_mut(|found| {
        let (at_ms, checks) = found.as_mut()?;
        if now_ms < at_ms.saturating_add(READINESS_KEPT_MS) {
            return Some(*checks);
        }
        *at_ms = now_ms;
        None
    })
}

async fn look(config: &Config, env: &worker::Env) -> Checks {
    let database = match D1Store::open(env) {
        Ok(store) => store.answers().await.into(),
        Err(_) => Check::Failed,
    };
    let hsm_bunker = hsm_of(config, HolderRole::Bunker).await;
    let hsm_cosigner = hsm_of(config, HolderRole::Cosigner).await;
    let seal = match lease::is_sealed(env).await {
        Ok(false) => Check::Ok,
        Ok(true) => Check::Sealed,
        Err(_) => Check::Failed,
    };
    Checks { database, hsm_bunker, hsm_cosigner, seal }
}

async fn hsm_of(config: &Config, role: HolderRole) -> Check {
    match hsm::for_holder(config, role) {
        Ok(hsm) => hsm.health().await.into(),
        Err(_) => Check::Failed,
    }
}

/// Names the build.
#[utoipa::path(
    get, path = "/version", tag = "public", operation_id = "version",
    responses((status = 200, body = Version))
)]
pub async fn version(State(app): State<App>) -> Json<Version> {
    Json(Version {
        name: "passport",
        version: env!("CARGO_PKG_VERSION"),
        wasm_sha256: app.config().wasm_sha256.clone(),
    })
}

/// Lists the keys to which a device seals shares.
#[utoipa::path(
    get, path = "/holders", tag = "public", operation_id = "holders",
    responses((status = 200, body = HolderList))
)]
pub async fn holders(State(app): State<App>) -> Result<Response, Problem> {
    let entry = |(index, role)| {
        let keys = app.config().party_public(role);
        let (signing, receiving) = keys.ok_or_else(|| Problem::internal("a receiving key is unusable"))?;
        let (receiving_key, signing_key) = (receiving.to_string(), signing.to_string());
        Ok(HolderEntry { role, index, receiving_key, signing_key })
    };
    let holders = SERVER_HOLDERS.into_iter().map(entry).collect::<Result<_, Problem>>()?;
    Ok((CACHE_SHORTLY, Json(HolderList { holders })).into_response())
}

/// The key that signs access tokens.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "public", operation_id = "jwks",
    responses((status = 200, body = JwkSet))
)]
pub async fn jwks(State(app): State<App>) -> Response {
    (CACHE_SHORTLY, Json(app.auth().access.jwks())).into_response()
}
