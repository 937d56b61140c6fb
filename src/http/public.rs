//! What anybody may ask: the holders' receiving keys, the token key, the build, the document.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use frost_wasm_core::group::HolderRole;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use super::dto::{HolderEntry, HolderList};
use crate::auth::access_token::JwkSet;
use crate::problem::Problem;
use crate::router::App;

/// The holders on the server, with their FROST identifiers in hosted groups.
const SERVER_HOLDERS: [(u16, HolderRole); 2] = [(1, HolderRole::Bunker), (2, HolderRole::Cosigner)];
/// Keys change with a deployment at most.
const CACHE_SHORTLY: [(http::HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];

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
