//! What the deployment's audit chain is told of logins and accounts, for all routes in one place.
//!
//! A login or a change is in the chain before its answer leaves: when the chain can't be written, the answer is an
//! error. Names are blinded. A try that was only counted (too many) or never was one (malformed) is no record.

use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Method, StatusCode};
use operations_core::audit::{self, DeploymentEntry, DeploymentHappening as Happening};
use operations_core::ids::Blinded;
use operations_core::text::Code;
use worker::send::SendFuture;

use crate::auth::caller::bearer;
use crate::auth::keys::operators_key;
use crate::auth::username::Username;
use crate::durable::deployment::DeploymentClient;
use crate::metrics::labels::{CanaryKind, LoginMethod, LoginOutcome};
use crate::metrics::{self, Counter};
use crate::problem::Problem;
use crate::router::{App, Bindings};
use crate::telemetry::{self, RequestId};

/// What a route does, as the chain says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Somebody wants to come in.
    Login(LoginMethod),
    /// An account is made.
    Creation,
    /// An account is deleted.
    Deletion,
    /// A password or a passkey is new, changed or removed.
    Credentials,
    /// Sessions are ended.
    Revocation,
}

impl Act {
    /// What a route of the router's does, if the chain is told of it.
    pub fn of(method: &Method, route: &str) -> Option<Self> {
        let act = match (method.as_str(), route) {
            ("POST", "/auth/token") => Self::Login(LoginMethod::Password),
            ("POST", "/auth/passkeys/token") => Self::Login(LoginMethod::Passkey),
            ("POST", "/auth/recover") => Self::Login(LoginMethod::Recovery),
            ("POST", "/auth/refresh") => Self::Login(LoginMethod::Refresh),
            ("POST", "/auth/register") => Self::Creation,
            ("DELETE", "/account") => Self::Deletion,
            ("POST", "/auth/password" | "/auth/passkeys")
            | ("PUT", "/auth/passkeys/{passkey}/owner_blob")
            | ("DELETE", "/auth/passkeys/{passkey}") => Self::Credentials,
            ("POST", "/auth/logout") | ("DELETE", "/auth/sessions" | "/auth/sessions/{session}") => Self::Revocation,
            _ => return None,
        };
        Some(act)
    }

    /// What happened, by how it was answered; `None` for what is no record.
    fn happening(self, who: Option<Blinded>, status: StatusCode, problem: Option<&Problem>) -> Option<Happening> {
        let is_done = status.is_success();
        match (self, who) {
            (Self::Login(method), who) => {
                let outcome = match problem {
                    None if is_done => audit::LoginOutcome::Ok,
                    Some(problem) if is_refusal(status) => {
                        audit::LoginOutcome::Refused(problem.code().parse().unwrap_or_else(|_| Code::new("other")))
                    }
                    _ => return None,
                };
                Some(Happening::Login { outcome, method: in_chain(method), who })
            }
            (Self::Revocation, who) => is_done.then_some(Happening::SessionRevoked { who }),
            (_, None) => None,
            (Self::Creation, Some(who)) => is_done.then_some(Happening::AccountCreated { who }),
            (Self::Deletion, Some(who)) => is_done.then_some(Happening::AccountDeleted { who }),
            (Self::Credentials, Some(who)) => is_done.then_some(Happening::CredentialsChanged { who }),
        }
    }
}

/// Whose name a request is about, as soon as its handler knows.
#[derive(Debug, Clone, Default)]
pub struct Subject(Arc<OnceLock<String>>);

impl Subject {
    /// Notes the name; the first one stays.
    pub fn is(&self, username: &Username) {
        self.0.get_or_init(|| username.to_string());
    }

    /// That of a request that is under way.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get().cloned().unwrap_or_default()
    }
}

impl<S: Sync> FromRequestParts<S> for Subject {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::of(parts))
    }
}

/// Runs a request, and has the chain know of it before its answer leaves.
pub async fn chronicle(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if let Some(name) = bearer(request.headers()).and_then(|token| app.config().canaries.token(token)).cloned() {
        touched(Bindings::of(request.extensions()), CanaryKind::Token, name).await;
    }
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let Some(act) = route.and_then(|route| Act::of(request.method(), route)) else {
        return next.run(request).await;
    };
    let subject = Subject::default();
    request.extensions_mut().insert(subject.clone());
    let bindings = Bindings::of(request.extensions());
    let request_id = request.extensions().get::<RequestId>().and_then(RequestId::in_records);
    let response = next.run(request).await;
    let (status, problem) = (response.status(), response.extensions().get::<Problem>());
    if let Act::Login(method) = act {
        metrics::count(Counter::Logins { method, outcome: counted(status) });
    }
    if let (Act::Login(_), Some(username)) = (act, subject.0.get())
        && let Some(name) = app.config().canaries.login(username).cloned()
    {
        touched(bindings.clone(), CanaryKind::Account, name).await;
    }
    let who = subject.0.get().map(|username| Blinded::of(&operators_key(app.config()), username));
    let Some(happening) = act.happening(who, status, problem) else { return response };
    let entry = DeploymentEntry { happening, by: None, request_id };
    let recorded = SendFuture::new(async move {
        let Bindings(env) = bindings?;
        DeploymentClient::new(&env)?.record(&entry).await
    });
    match recorded.await {
        Ok(()) => response,
        Err(problem) => problem.into_response(),
    }
}

/// A canary was touched. The answer is what it is for anything else.
async fn touched(bindings: Result<Bindings, Problem>, kind: CanaryKind, name: Code) {
    let told = SendFuture::new(async move {
        let Bindings(env) = bindings?;
        DeploymentClient::new(&env)?.canary(&name, kind).await
    });
    if let Err(problem) = told.await {
        telemetry::unanswered(&problem);
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn counted(status: StatusCode) -> LoginOutcome {
    match status {
        status if status.is_success() => LoginOutcome::Ok,
        StatusCode::TOO_MANY_REQUESTS => LoginOutcome::Limited,
        status if status.is_server_error() => LoginOutcome::Failed,
        _ => LoginOutcome::Refused,
    }
}

fn in_chain(method: LoginMethod) -> audit::LoginMethod {
    match method {
        LoginMethod::Password => audit::LoginMethod::Password,
        LoginMethod::Passkey => audit::LoginMethod::Passkey,
        LoginMethod::Recovery => audit::LoginMethod::Recovery,
        LoginMethod::Refresh => audit::LoginMethod::Refresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Option<Blinded> {
        Some(Blinded::of(&frost_wasm_core::secret::Secret32::from_bytes([7; 32]), "alice"))
    }

    #[test]
    fn every_route_of_logins_and_accounts_that_changes_something_is_told_of() {
        // These begin something, or only look; what follows from them is told of.
        let silent = ["/auth/params", "/auth/recover/challenge", "/auth/passkeys/options", "/auth/passkeys/challenge"];
        let document = crate::router::surface().into_openapi();
        for (path, item) in &document.paths.paths {
            let methods = [(&item.post, Method::POST), (&item.put, Method::PUT), (&item.delete, Method::DELETE)];
            for (_, method) in methods.into_iter().filter(|(operation, _)| operation.is_some()) {
                let is_of_accounts = path.starts_with("/auth/") || path.starts_with("/account");
                let expected = is_of_accounts && !silent.contains(&path.as_str()) && path != "/auth/reauthenticate";
                assert_eq!(Act::of(&method, path).is_some(), expected, "{method} {path}");
            }
        }
    }

    #[test]
    fn a_login_is_a_record_when_it_succeeds_and_when_credentials_are_wrong_and_at_no_other_time() {
        let login = Act::Login(LoginMethod::Password);
        let refused = Problem::unauthorized("credentials_invalid", "");
        let told = |status: u16, problem: Option<&Problem>| {
            let status = StatusCode::from_u16(status).unwrap();
            login.happening(who(), status, problem)
        };
        assert!(matches!(told(200, None), Some(Happening::Login { outcome: audit::LoginOutcome::Ok, .. })));
        let Some(Happening::Login { outcome: audit::LoginOutcome::Refused(code), .. }) = told(401, Some(&refused))
        else {
            panic!("a refused login is a record");
        };
        assert_eq!(code.as_str(), "credentials_invalid");
        for status in [400, 413, 422, 429, 500, 503] {
            assert_eq!(told(status, Some(&Problem::new(status, "other", ""))), None, "{status}");
        }
    }

    #[test]
    fn what_was_refused_changed_nothing_and_is_no_change_in_the_chain() {
        for act in [Act::Creation, Act::Deletion, Act::Credentials, Act::Revocation] {
            assert!(act.happening(who(), StatusCode::NO_CONTENT, None).is_some());
            let refused = Problem::forbidden("reauthentication_required", "");
            assert_eq!(act.happening(who(), StatusCode::FORBIDDEN, Some(&refused)), None);
        }
    }
}
