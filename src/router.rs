//! The whole surface on one screen. Nothing internal is routed here: Durable Objects are reached
//! through their bindings only.

use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use tower_service::Service;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use worker::Env;

use crate::auth::AuthKeys;
use crate::config::Config;
use crate::http::{
    accounts, ceremonies, chronicle, connections, events, export, keys, metrics, operators, pages, passkeys, public,
    relay, requests, reshare, sessions,
};
use crate::openapi::ApiDocument;
use crate::problem::Problem;
use crate::storage::D1Store;
use crate::telemetry;

/// Every route of the deployment.
pub fn surface() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(ApiDocument::openapi())
        .routes(routes!(public::healthz))
        .routes(routes!(public::readyz))
        .routes(routes!(public::version))
        .routes(routes!(metrics::metrics))
        .routes(routes!(operators::set_up))
        .routes(routes!(operators::status))
        .routes(routes!(operators::seal))
        .routes(routes!(operators::unseal))
        .routes(routes!(operators::propose))
        .routes(routes!(operators::approve))
        .routes(routes!(operators::remove))
        .routes(routes!(operators::rotate_token))
        .routes(routes!(operators::audit))
        .routes(routes!(public::holders))
        .routes(routes!(public::jwks))
        .routes(routes!(accounts::register))
        .routes(routes!(accounts::params))
        .routes(routes!(accounts::change_password))
        .routes(routes!(accounts::recovery_challenge))
        .routes(routes!(accounts::recover))
        .routes(routes!(accounts::account, accounts::delete_account))
        .routes(routes!(sessions::token))
        .routes(routes!(sessions::refresh))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::reauthenticate))
        .routes(routes!(sessions::list, sessions::revoke_all))
        .routes(routes!(sessions::revoke))
        .routes(routes!(passkeys::create, passkeys::list))
        .routes(routes!(passkeys::remove))
        .routes(routes!(passkeys::set_blob))
        .routes(routes!(passkeys::options))
        .routes(routes!(passkeys::challenge))
        .routes(routes!(passkeys::token))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::get, export::delete_key))
        .routes(routes!(ceremonies::start))
        .routes(routes!(ceremonies::list))
        .routes(routes!(ceremonies::get, ceremonies::cancel))
        .routes(routes!(ceremonies::round))
        .routes(routes!(ceremonies::events))
        .routes(routes!(connections::create, connections::list))
        .routes(routes!(connections::edit, connections::revoke))
        .routes(routes!(requests::list))
        .routes(routes!(requests::approve))
        .routes(routes!(requests::deny))
        .routes(routes!(requests::offer))
        .routes(routes!(requests::contribute))
        .routes(routes!(export::begin, export::get, export::cancel))
        .routes(routes!(export::release))
        .routes(routes!(reshare::reshare))
        .routes(routes!(events::events))
        .routes(routes!(connections::activity))
        .routes(routes!(relay::relay))
}

/// What every handler of this isolate shares.
#[derive(Debug, Clone)]
pub struct App(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    auth: AuthKeys,
}

impl App {
    /// From a checked configuration.
    pub fn new(config: Arc<Config>) -> Self {
        let auth = AuthKeys::derive(&config);
        Self(Arc::new(Shared { config, auth }))
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The login half's keys.
    pub fn auth(&self) -> &AuthKeys {
        &self.0.auth
    }
}

/// Answers one request. The router is built once per isolate; bindings come with each request.
pub async fn answer(config: Arc<Config>, env: Env, mut request: worker::HttpRequest) -> Response {
    static ROUTER: OnceLock<axum::Router> = OnceLock::new();
    let router = ROUTER.get_or_init(|| build(App::new(config)));
    request.extensions_mut().insert(env);
    match router.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn build(app: App) -> axum::Router {
    let (router, document) = surface().split_for_parts();
    // Strings and numbers: always serialises.
    let document: Arc<str> = document.to_json().unwrap_or_default().into();
    #[cfg(feature = "fault-injection")]
    let router = router.route("/fault", axum::routing::post(crate::durable::faults::arrange));
    router
        .route("/openapi.json", get(move || openapi(document)))
        // Some clients put a slash behind every relay address.
        .route("/relay/{bunker_id}/", get(relay::relay))
        .fallback(pages::pages)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(app.clone(), chronicle::chronicle))
        .layer(from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

async fn openapi(document: Arc<str>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    (headers, document.to_string()).into_response()
}

async fn no_such_method() -> Problem {
    Problem::new(405, "method_not_allowed", "This address takes another method. /openapi.json lists what it takes.")
}

async fn observe(State(app): State<App>, request: Request, next: axum::middleware::Next) -> Response {
    let environment = app.config().environment;
    telemetry::observe(request, Some(environment), |request| next.run(request)).await
}

/// The platform's bindings for this request.
#[derive(Debug, Clone)]
pub struct Bindings(pub Env);

impl Bindings {
    /// Those that came with a request.
    ///
    /// # Errors
    /// `internal` when none came.
    pub fn of(extensions: &http::Extensions) -> Result<Self, Problem> {
        let env = extensions.get::<Env>().cloned();
        env.map(Self).ok_or_else(|| Problem::internal("a request without bindings"))
    }
}

impl<S: Sync> FromRequestParts<S> for Bindings {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.extensions)
    }
}

/// The store for this request.
#[derive(Debug)]
pub struct Database(pub D1Store);

impl Database {
    /// Opens the store of a request's bindings.
    ///
    /// # Errors
    /// `unavailable` when there is none.
    pub fn of(parts: &Parts) -> Result<Self, Problem> {
        let Bindings(env) = Bindings::of(&parts.extensions)?;
        Ok(Self(D1Store::open(&env)?))
    }
}

impl<S: Sync> FromRequestParts<S> for Database {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts)
    }
}

#[cfg(test)]
mod tests;
