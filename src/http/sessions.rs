//! Sessions: sign-in with a password, refresh, logout, authenticating again, and the list of them.

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};

use super::body::JsonBody;
use super::chronicle::Subject;
use super::dto::{
    ReauthenticateByPassword, ReauthenticateRequest, SessionList, SessionView, SignInReply, TokenReply, TokenRequest,
};
use super::gate::Gate;
use super::passkeys::assertion;
use crate::auth::caller::bearer;
use crate::auth::guard::Route;
use crate::auth::sessions::{self, Fresh, TokenPair};
use crate::auth::sign_in::{self, Draw, SignIn, SignedIn};
use crate::auth::username::Username;
use crate::auth::{Caller, credentials, passkeys};
use crate::platform::{now_ms, random_bytes};
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Database};

/// Longest name of a device or a passkey, in characters: a line in a list.
const LABEL_MAX_CHARS: usize = 64;

/// Signs in.
#[utoipa::path(
    post, path = "/auth/token", tag = "sessions", operation_id = "signIn",
    request_body = TokenRequest,
    responses(
        (status = 200, body = SignInReply),
        (status = 401, description = "`credentials_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`label_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn token(
    State(app): State<App>,
    Database(store): Database,
    gate: Gate,
    subject: Subject,
    JsonBody(request): JsonBody<TokenRequest>,
) -> Result<Json<SignInReply>, Problem> {
    check_label(request.device.as_deref())?;
    // A name that nobody can have is an unknown name: it costs the same and says the same.
    let username = Username::parse(&request.username).ok();
    username.iter().for_each(|username| subject.is(username));
    let asked = SignIn {
        username: username.as_ref(),
        secret: &request.password,
        device_token: request.device_token.as_deref(),
        device: request.device,
        address: gate.address(),
    };
    let signed_in = sign_in::sign_in(&gate.desk(&app, &store), asked, draw()).await?;
    let owner_blob = signed_in.account.owner_blob.clone();
    Ok(Json(sign_in_reply(signed_in, owner_blob)))
}

/// Exchanges a refresh token, sent as the bearer token, for a new pair. A retry within ten seconds
/// gets the same answer; a later second use ends the session.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "sessions", operation_id = "refresh",
    security(("refresh_token" = [])),
    responses(
        (status = 200, body = TokenReply),
        (status = 401, description = "`refresh_token_invalid` or `refresh_token_reused`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn refresh(
    State(app): State<App>,
    Database(store): Database,
    gate: Gate,
    headers: HeaderMap,
) -> Result<Json<TokenReply>, Problem> {
    gate.admit(&app, Route::Refresh).await?;
    let presented = bearer(&headers).unwrap_or_default();
    let pair = sessions::refresh(&store, app.auth(), presented, now_ms()).await?;
    Ok(Json(token_reply(pair)))
}

/// Ends the session of an access or refresh token, sent as the bearer token.
#[utoipa::path(
    post, path = "/auth/logout", tag = "sessions", operation_id = "signOut",
    security(("access_token" = []), ("refresh_token" = [])),
    responses(
        (status = 204, description = "Ended, now or before"),
        (status = 401, description = "`access_token_invalid` or `refresh_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn logout(
    State(app): State<App>,
    Database(store): Database,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let presented = bearer(&headers).unwrap_or_default();
    sessions::sign_out(&store, app.auth(), presented, now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows the password or a passkey again, for the ten minutes in which sensitive routes want it.
#[utoipa::path(
    post, path = "/auth/reauthenticate", tag = "sessions", operation_id = "reauthenticate",
    security(("access_token" = [])),
    request_body = ReauthenticateRequest,
    responses(
        (status = 204, description = "Noted"),
        (status = 403, description = "`credentials_invalid` or `passkey_refused`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`passkey_malformed`, `prf_output_refused` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn reauthenticate(
    State(app): State<App>,
    caller: Caller,
    Database(store): Database,
    gate: Gate,
    JsonBody(request): JsonBody<ReauthenticateRequest>,
) -> Result<StatusCode, Problem> {
    let desk = gate.desk(&app, &store);
    match request {
        ReauthenticateRequest::Password(ReauthenticateByPassword { password }) => {
            credentials::reauthenticate(&desk, &caller, &password).await?;
        }
        ReauthenticateRequest::Passkey(asked) => {
            let asked = assertion(&asked.challenge, &asked.credential)?;
            passkeys::reauthenticate(&desk, &app.config().public_url, &caller, asked).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the account's sessions.
#[utoipa::path(
    get, path = "/auth/sessions", tag = "sessions", operation_id = "listSessions",
    security(("access_token" = [])),
    responses((status = 200, body = SessionList))
)]
#[worker::send]
pub async fn list(caller: Caller, Database(store): Database) -> Result<Json<SessionList>, Problem> {
    let sessions = sessions::list(&store, &caller.account, now_ms()).await?;
    let view = |session: crate::auth::refresh::SessionRecord| SessionView {
        current: session.session == caller.session,
        session: session.session,
        device: session.device,
        created_at: session.created_at_ms / 1000,
        last_used_at: session.last_used_at_ms / 1000,
    };
    Ok(Json(SessionList { sessions: sessions.into_iter().map(view).collect() }))
}

/// Ends one of the account's sessions.
#[utoipa::path(
    delete, path = "/auth/sessions/{session}", tag = "sessions", operation_id = "revokeSession",
    security(("access_token" = [])),
    params(("session" = String, Path, description = "32 hex digits")),
    responses(
        (status = 204, description = "Ended, now or before"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn revoke(
    caller: Caller,
    Database(store): Database,
    Path(session): Path<String>,
) -> Result<StatusCode, Problem> {
    sessions::revoke(&store, &caller.account, &session, now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all of the account's sessions, the one that asks too.
#[utoipa::path(
    delete, path = "/auth/sessions", tag = "sessions", operation_id = "revokeAllSessions",
    security(("access_token" = [])),
    responses((status = 204, description = "Ended"))
)]
#[worker::send]
pub async fn revoke_all(caller: Caller, Database(store): Database) -> Result<StatusCode, Problem> {
    use crate::storage::AccountStore;
    store.revoke_sessions(&caller.account, now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Random bytes for a sign-in.
pub(super) fn draw() -> Draw {
    let session = Fresh { session: random_bytes(), token: random_bytes() };
    Draw { session, device: random_bytes(), salt: random_bytes() }
}

/// Refuses a name that does not fit a list.
///
/// # Errors
/// `label_invalid`
pub(super) fn check_label(label: Option<&str>) -> Result<(), Problem> {
    let fits = |label: &str| {
        let printable = !label.trim().is_empty() && !label.chars().any(char::is_control);
        printable && label.chars().count() <= LABEL_MAX_CHARS
    };
    if label.is_none_or(fits) {
        Ok(())
    } else {
        Err(Problem::invalid("label_invalid", "Give it a name of 1 to 64 characters without control characters."))
    }
}

pub(super) fn sign_in_reply(signed_in: SignedIn, owner_blob: Option<String>) -> SignInReply {
    let SignedIn { account, session, pair, device_token } = signed_in;
    SignInReply {
        tokens: token_reply(pair),
        session,
        username: account.username,
        owner_pubkey: account.owner_pubkey,
        owner_blob,
        device_token,
    }
}

fn token_reply(pair: TokenPair) -> TokenReply {
    TokenReply {
        access_token: pair.access,
        token_type: "Bearer",
        expires_in: pair.expires_in_s,
        refresh_token: pair.refresh.expose_text(),
    }
}
