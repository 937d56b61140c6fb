//! Where the platform enters.

use axum::response::{IntoResponse, Response};
use worker::{Context, Env, HttpRequest, event};

use crate::config::{Config, ConfigError};
use crate::{http::public, metrics, router, telemetry};

#[event(fetch)]
async fn fetch(request: HttpRequest, env: Env, context: Context) -> worker::Result<Response> {
    let response = match Config::from_env(&env) {
        Ok(config) => router::answer(config, env.clone(), request).await,
        Err(error) => misconfigured(request, &error).await,
    };
    metrics::flush(&context, &env);
    Ok(response)
}

/// A deployment that is configured wrongly serves nothing but its health and the reason.
async fn misconfigured(request: HttpRequest, error: &ConfigError) -> Response {
    let healthy = request.uri().path() == "/healthz";
    let request = request.map(axum::body::Body::new);
    telemetry::observe(request, None, |_| async {
        if healthy { public::healthz().await.into_response() } else { error.to_problem().into_response() }
    })
    .await
}
