//! Passkeys: making, listing and removing them, and signing in with one.

use axum::Json;
use axum::extract::{Path, State};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::accounts::check_owner_blob;
use super::body::JsonBody;
use super::chronicle::Subject;
use super::dto::{
    AssertionJson, CreatePasskeyReply, CreatePasskeyRequest, EmptyRequest, ExtensionResultsJson, PasskeyBlobRequest,
    PasskeyList, PasskeyOptions, PasskeySignInReply, PasskeyTokenRequest, PasskeyView,
};
use super::gate::Gate;
use super::sessions::{check_label, draw, sign_in_reply};
use crate::auth::guard::Route;
use crate::auth::passkeys::{self, CHALLENGE_LIFETIME_MS, Registration, Use};
use crate::auth::username::Username;
use crate::auth::webauthn::{ALGORITHMS, Assertion};
use crate::auth::{Caller, RecentCaller};
use crate::platform::{now_ms, random_bytes};
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Database};
use crate::storage::{PasskeyRecord, PasskeyStore};

/// What the service calls itself to an authenticator.
const RP_NAME: &str = "Passport";
/// Hashed to the input of every passkey's PRF: what comes out differs by passkey.
const PRF_INPUT: &[u8] = b"passport/v1/passkey-prf";

/// Begins a new passkey.
#[utoipa::path(
    post, path = "/auth/passkeys/options", tag = "passkeys", operation_id = "passkeyOptions",
    security(("access_token" = [])),
    request_body = EmptyRequest,
    responses(
        (status = 200, body = PasskeyOptions),
        (status = 403, description = "`reauthentication_required`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn options(
    State(app): State<App>,
    RecentCaller(caller): RecentCaller,
    Database(store): Database,
    JsonBody(EmptyRequest {}): JsonBody<EmptyRequest>,
) -> Result<Json<PasskeyOptions>, Problem> {
    let known = store.passkeys_of(&caller.account).await?;
    let challenge = passkeys::challenge(&store, Some(&caller.account), random_bytes(), now_ms()).await?;
    let public_key = creation_options(&app, &caller, &challenge, &known)?;
    Ok(Json(PasskeyOptions { challenge, public_key }))
}

/// Adds the passkey that the browser has made.
#[utoipa::path(
    post, path = "/auth/passkeys", tag = "passkeys", operation_id = "createPasskey",
    security(("access_token" = [])),
    request_body = CreatePasskeyRequest,
    responses(
        (status = 201, body = CreatePasskeyReply),
        (status = 403, description = "`passkey_refused`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`passkey_exists` or `passkey_limit_reached`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`label_invalid`, `owner_blob_invalid`, `passkey_malformed`, \
            `prf_output_refused` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Database(store): Database,
    JsonBody(request): JsonBody<CreatePasskeyRequest>,
) -> Result<(StatusCode, Json<CreatePasskeyReply>), Problem> {
    check_label(Some(&request.label))?;
    check_owner_blob(request.owner_blob.as_deref())?;
    let credential = &request.credential;
    check_credential(&credential.r#type, &credential.client_extension_results)?;
    let asked = Registration {
        challenge: &request.challenge,
        credential_id: &credential.raw_id.0,
        client_data: &credential.response.client_data_json.0,
        attestation_object: &credential.response.attestation_object.0,
        label: request.label,
        owner_blob: request.owner_blob,
    };
    let url = &app.config().public_url;
    let passkey = passkeys::register(&store, url, &caller, asked, random_bytes(), now_ms()).await?;
    Ok((StatusCode::CREATED, Json(CreatePasskeyReply { passkey })))
}

/// Lists the account's passkeys.
#[utoipa::path(
    get, path = "/auth/passkeys", tag = "passkeys", operation_id = "listPasskeys",
    security(("access_token" = [])),
    responses((status = 200, body = PasskeyList))
)]
#[worker::send]
pub async fn list(caller: Caller, Database(store): Database) -> Result<Json<PasskeyList>, Problem> {
    let view = |passkey: PasskeyRecord| PasskeyView {
        passkey: passkey.passkey,
        label: passkey.label,
        created_at: passkey.created_at_ms / 1000,
        last_used_at: passkey.last_used_at_ms.map(|at_ms| at_ms / 1000),
        unlocks: passkey.owner_blob.is_some(),
    };
    let passkeys = store.passkeys_of(&caller.account).await?;
    Ok(Json(PasskeyList { passkeys: passkeys.into_iter().map(view).collect() }))
}

/// Keeps an owner secret that was encrypted under a passkey's PRF output, so that the passkey opens it.
#[utoipa::path(
    put, path = "/auth/passkeys/{passkey}/owner_blob", tag = "passkeys", operation_id = "setPasskeyBlob",
    security(("access_token" = [])),
    params(("passkey" = String, Path, description = "32 hex digits")),
    request_body = PasskeyBlobRequest,
    responses(
        (status = 204, description = "Kept"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`owner_blob_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn set_blob(
    caller: Caller,
    Database(store): Database,
    Path(passkey): Path<String>,
    JsonBody(request): JsonBody<PasskeyBlobRequest>,
) -> Result<StatusCode, Problem> {
    check_owner_blob(Some(&request.owner_blob))?;
    if store.set_passkey_blob(&caller.account, &passkey, &request.owner_blob).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_passkey())
    }
}

/// Removes a passkey. Sessions that it opened go on; end them with the list of sessions.
#[utoipa::path(
    delete, path = "/auth/passkeys/{passkey}", tag = "passkeys", operation_id = "removePasskey",
    security(("access_token" = [])),
    params(("passkey" = String, Path, description = "32 hex digits")),
    responses(
        (status = 204, description = "Removed"),
        (status = 403, description = "`reauthentication_required`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn remove(
    RecentCaller(caller): RecentCaller,
    Database(store): Database,
    Path(passkey): Path<String>,
) -> Result<StatusCode, Problem> {
    if store.remove_passkey(&caller.account, &passkey).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_passkey())
    }
}

/// Begins a use of a passkey, whoever's it is.
#[utoipa::path(
    post, path = "/auth/passkeys/challenge", tag = "passkeys", operation_id = "passkeyChallenge",
    request_body = EmptyRequest,
    responses(
        (status = 200, body = PasskeyOptions),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn challenge(
    State(app): State<App>,
    Database(store): Database,
    gate: Gate,
    JsonBody(EmptyRequest {}): JsonBody<EmptyRequest>,
) -> Result<Json<PasskeyOptions>, Problem> {
    gate.admit(&app, Route::Challenge).await?;
    let challenge = passkeys::challenge(&store, None, random_bytes(), now_ms()).await?;
    let public_key = json!({
        "challenge": challenge,
        "rpId": app.config().public_url.host(),
        "allowCredentials": [],
        "userVerification": "required",
        "timeout": CHALLENGE_LIFETIME_MS,
        "extensions": { "prf": prf_input() },
    });
    Ok(Json(PasskeyOptions { challenge, public_key }))
}

/// Signs in with a passkey. No name is needed: the passkey knows its account.
#[utoipa::path(
    post, path = "/auth/passkeys/token", tag = "passkeys", operation_id = "signInWithPasskey",
    request_body = PasskeyTokenRequest,
    responses(
        (status = 200, body = PasskeySignInReply),
        (status = 401, description = "`passkey_refused`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`label_invalid`, `passkey_malformed`, `prf_output_refused` or `body_invalid`",
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
    JsonBody(request): JsonBody<PasskeyTokenRequest>,
) -> Result<Json<PasskeySignInReply>, Problem> {
    check_label(request.device.as_deref())?;
    let asked = assertion(&request.challenge, &request.credential)?;
    let device = (request.device.clone(), request.device_token.as_deref());
    let desk = gate.desk(&app, &store);
    let url = &app.config().public_url;
    let (signed_in, passkey) = passkeys::sign_in(&desk, url, asked, gate.address(), device, draw()).await?;
    Username::parse(&signed_in.account.username).iter().for_each(|username| subject.is(username));
    let signed_in = sign_in_reply(signed_in, passkey.owner_blob);
    Ok(Json(PasskeySignInReply { signed_in, passkey: passkey.passkey }))
}

/// A browser's answer as [`crate::auth`] takes it.
///
/// # Errors
/// `passkey_malformed` or `prf_output_refused`
pub(super) fn assertion<'a>(challenge: &'a str, credential: &'a AssertionJson) -> Result<Use<'a>, Problem> {
    check_credential(&credential.r#type, &credential.client_extension_results)?;
    let response = &credential.response;
    Ok(Use {
        challenge,
        credential_id: &credential.raw_id.0,
        user_handle: response.user_handle.as_ref().map(|handle| handle.0.as_slice()),
        assertion: Assertion {
            client_data: &response.client_data_json.0,
            authenticator_data: &response.authenticator_data.0,
            signature: &response.signature.0,
        },
    })
}

fn check_credential(kind: &str, extensions: &ExtensionResultsJson) -> Result<(), Problem> {
    if kind != "public-key" {
        return Err(Problem::invalid("passkey_malformed", "Send a credential of the type `public-key`."));
    }
    if extensions.prf.as_ref().is_some_and(|prf| prf.results.is_some()) {
        return Err(Problem::invalid(
            "prf_output_refused",
            "There is a PRF result in this request, which opens the owner key. It was not read or kept, but renew the \
             passkey. Clients take `clientExtensionResults.prf.results` out before they send a credential.",
        ));
    }
    Ok(())
}

fn creation_options(app: &App, caller: &Caller, challenge: &str, known: &[PasskeyRecord]) -> Result<Value, Problem> {
    let account = hex::decode(&caller.account);
    let account = account.map_err(|_| Problem::internal("storage is corrupt: accounts.account_id"))?;
    let algorithms = ALGORITHMS.map(|alg| json!({ "type": "public-key", "alg": alg }));
    let exclude: Vec<_> =
        known.iter().map(|passkey| json!({ "type": "public-key", "id": passkey.credential_id })).collect();
    Ok(json!({
        "rp": { "id": app.config().public_url.host(), "name": RP_NAME },
        "user": {
            "id": URL_SAFE_NO_PAD.encode(account),
            "name": caller.username.as_str(),
            "displayName": caller.username.as_str(),
        },
        "challenge": challenge,
        "pubKeyCredParams": algorithms,
        "excludeCredentials": exclude,
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": true,
            "userVerification": "required",
        },
        "attestation": "none",
        "timeout": CHALLENGE_LIFETIME_MS,
        "extensions": { "credProps": true, "prf": prf_input() },
    }))
}

fn prf_input() -> Value {
    json!({ "eval": { "first": URL_SAFE_NO_PAD.encode(Sha256::digest(PRF_INPUT)) } })
}

fn no_such_passkey() -> Problem {
    Problem::not_found("This account has no such passkey. GET /auth/passkeys lists those it has.")
}
