//! What an operator's own address is told when a canary is touched. The record and the seal are the deployment's object's.

use passport_hsm::http::{HttpRequest, Transport};
use serde_json::json;
use worker::Env;

use super::{deployment::Touched, holder::config};
use crate::{hsm::edge::Edge, platform::now_ms, telemetry};

/// How long the address may take, in milliseconds.
const LIMIT_MS: u64 = 5_000;

/// Tells the operators' address, if there is one. Run it behind the answer: how long it takes must not show.
pub(super) async fn tell(env: &Env, touched: &Touched) {
    let Ok(config) = config(env) else { return };
    let Some(address) = &config.canaries.webhook else { return };
    let body = json!({
        "event": "canary",
        "deployment": config.public_url.origin(),
        "kind": touched.kind.as_str(),
        "canary": touched.name.as_str(),
        "at": now_ms() / 1000,
    });
    let sent = match HttpRequest::post_json(address.expose_secret().to_owned(), &body) {
        Ok(request) => Edge.send(&request, LIMIT_MS).await.map(|response| response.status),
        Err(_) => return,
    };
    match sent {
        Ok(200..300) => {}
        Ok(status) => telemetry::failure("canary_webhook_failed", &format!("the address answered {status}")),
        Err(error) => telemetry::failure("canary_webhook_failed", &format!("{error:?}")),
    }
}
