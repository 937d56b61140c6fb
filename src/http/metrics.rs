//! The metrics, for whoever shows the deployment's own token for them, and for operators with the scope.

use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use frost_wasm_core::secret::Secret32;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use operations_core::operator::Scope;
use operations_core::token::OperatorToken;

use super::operators::Asking;
use crate::auth::caller::bearer;
use crate::durable::meter::MeterClient;
use crate::metrics::exposition;
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Bindings};

const AS_TEXT: [(HeaderName, &str); 2] = [(CONTENT_TYPE, exposition::CONTENT_TYPE), (CACHE_CONTROL, "no-store")];

/// Gives the deployment's metrics in Prometheus' text format, version 0.0.4.
#[utoipa::path(
    get, path = "/metrics", tag = "operators", operation_id = "metrics",
    security(("metrics_token" = []), ("operator_token" = [])),
    responses(
        (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
        (status = 401, description = "`metrics_token_invalid` or `operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn metrics(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    // Whoever has no token learns nothing of the deployment, not even that it has none.
    match bearer(&parts.headers) {
        Some(token) if is_right(token, app.config().metrics_token()) => {}
        Some(token) if OperatorToken::parse(token).is_some() => {
            Asking::from_request_parts(&mut parts, &app).await?.authorise(Scope::Metrics).await?;
        }
        Some(_) | None => return Err(token_invalid()),
    }
    let Bindings(env) = Bindings::of(&parts.extensions)?;
    Ok((AS_TEXT, MeterClient::new(&env)?.text().await?).into_response())
}

fn is_right(shown: &str, token: Option<&Secret32>) -> bool {
    let shown = Secret32::from_hex(shown);
    token.is_some_and(|token| shown.is_ok_and(|shown| shown.ct_eq(token)))
}

fn token_invalid() -> Problem {
    Problem::unauthorized(
        "metrics_token_invalid",
        "Send the deployment's METRICS_TOKEN as a bearer token, or an operator's with the scope `metrics`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens_and_none_does_where_none_is_set() {
        let token = Secret32::from_bytes(std::array::from_fn(|at| at as u8));
        let right = hex::encode(token.expose_secret());
        assert!(is_right(&right, Some(&token)));
        let mut wrong: Vec<String> = (0..64).map(|at| right[..at].to_owned()).collect();
        wrong.extend([format!("{right}0"), right.replace('f', "e"), String::new(), "0".repeat(64)]);
        for shown in &wrong {
            assert!(!is_right(shown, Some(&token)), "{shown}");
        }
        assert!(!is_right(&right, None) && !is_right("", None));
    }
}
