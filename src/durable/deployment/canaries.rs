//! Somebody touched what nobody has reason to touch: the record, the seal, and what the operators' own address is told.

use operations_core::{
    machine::Step,
    text::{BadText, Code},
};
use passport_hsm::http::{HttpRequest, Transport};
use serde_json::json;
use worker::{Env, Request};

use super::{Deployment, calls::Touched, config, rpc};
use crate::{
    hsm::edge::Edge,
    metrics::{self, Counter},
    platform::{self, now_ms},
    problem::Problem,
    telemetry,
};

/// Who seals then, in the status and the record.
const NAME: &str = "a canary";
const REASON: &str = "a canary was touched, and CANARY_ACTION is `seal`";
/// How long the operators' address may take, in milliseconds.
const LIMIT_MS: u64 = 5_000;

impl Deployment {
    /// Somebody touched what nobody has reason to touch. It is recorded and, where that is configured, the deployment
    /// seals itself; who is told is told behind the answer.
    pub(super) async fn canary(&self, request: &mut Request) -> Result<bool, Problem> {
        let touched: Touched = rpc::body(request).await?;
        let config = config(&self.env)?;
        let seal = config.canaries.seals.then(|| Ok::<_, BadText>((NAME.parse()?, REASON.parse()?)));
        let seal = seal.transpose().map_err(|error| Problem::internal(error.to_string()))?;
        metrics::count(Counter::CanaryUses { canary_kind: touched.kind });
        let kind = Code::new(touched.kind.as_str());
        let Step { mutations, reply: is_sealed } =
            self.with(|state| state.canary(&touched.name, &kind, seal, platform::now_ms()))?;
        self.commit(&mutations)?;
        let env = self.env.clone();
        self.state.wait_until(async move { tell(&env, &touched).await });
        self.hand_over().await;
        self.schedule().await?;
        Ok(is_sealed)
    }
}

/// Tells the operators' address, if there is one. Run it behind the answer: how long it takes must not show.
async fn tell(env: &Env, touched: &Touched) {
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
