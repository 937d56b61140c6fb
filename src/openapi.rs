//! The OpenAPI document, generated from the handlers and bodies themselves.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::problem::ProblemBody;

/// Everything of the document that does not stand at a handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Passport",
        description = "A NIP-46 bunker at the edge. Keys are split with FROST; no server holds a \
                       whole key. Errors are RFC 9457 problem details with a stable `code`; every \
                       route may also answer 401 `access_token_invalid` where it takes a token, \
                       413, 415, 500 `internal` and 503 `unavailable` or `configuration_invalid`.",
        license(name = "MIT OR Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    modifiers(&SecuritySchemes),
    tags(
        (name = "public", description = "For anybody"),
        (name = "accounts", description = "Registration, password, recovery"),
        (name = "sessions", description = "Sign-in and what follows from it"),
        (name = "passkeys", description = "Sign-in without a password"),
        (name = "keys", description = "Groups of an account"),
        (name = "ceremonies", description = "Keys made by several parties, none of whom ever has one"),
        (name = "connections", description = "What apps may do"),
        (name = "requests", description = "What waits for the owner"),
        (name = "export", description = "Leaving with the whole key"),
        (name = "relay", description = "For Nostr apps"),
        (name = "operators", description = "For those who run the deployment"),
    )
)]
pub struct ApiDocument;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut access = Http::new(HttpAuthScheme::Bearer);
        access.bearer_format = Some("JWT".to_owned());
        access.description = Some("Access token, 15 minutes".to_owned());
        let mut refresh = Http::new(HttpAuthScheme::Bearer);
        refresh.description = Some("Refresh token, good once".to_owned());
        let mut metrics = Http::new(HttpAuthScheme::Bearer);
        metrics.description = Some("The deployment's METRICS_TOKEN".to_owned());
        let mut setup = Http::new(HttpAuthScheme::Bearer);
        setup.description = Some("The deployment's OPERATOR_SETUP_TOKEN, good once".to_owned());
        let mut operator = Http::new(HttpAuthScheme::Bearer);
        operator.description = Some("An operator's token, with the scopes that it was made with".to_owned());
        components.add_security_scheme("setup_token", SecurityScheme::Http(setup));
        components.add_security_scheme("operator_token", SecurityScheme::Http(operator));
        components.add_security_scheme("metrics_token", SecurityScheme::Http(metrics));
        components.add_security_scheme("access_token", SecurityScheme::Http(access));
        components.add_security_scheme("refresh_token", SecurityScheme::Http(refresh));
    }
}
