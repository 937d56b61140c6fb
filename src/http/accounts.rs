//! Accounts: registration, client-side KDF parameters, a new password, recovery, and the account itself.

use axum::Json;
use axum::extract::State;
use bunker_core::keys::PublicKey;
use bunker_core::proof::{AccountProof, Body, ProofVerb};
use http::StatusCode;

use super::body::JsonBody;
use super::chronicle::Subject;
use super::dto::{
    AccountView, KdfReply, ParamsRequest, PasswordRequest, RecoverReply, RecoverRequest, RecoveryChallengeReply,
    RecoveryChallengeRequest, RegisterReply, RegisterRequest,
};
use super::gate::Gate;
use crate::auth::credentials::{self, NewPassword};
use crate::auth::guard::Route;
use crate::auth::password::PasswordHash;
use crate::auth::recovery::{self, CHALLENGE_LIFETIME_S, Recovery};
use crate::auth::username::Username;
use crate::auth::{AuthKeys, Caller, RecentCaller, kdf};
use crate::platform::{now_ms, now_s, random_bytes};
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Database};
use crate::storage::{AccountRecord, AccountStore, Inserted, PasskeyStore, StorageError};
use frost_wasm_core::kdf::KdfParams;

/// Longest encrypted owner secret, in bytes: a wrapped 32-byte key needs about 200.
const OWNER_BLOB_MAX_BYTES: usize = 4096;

/// Makes an account for an owner key that was made on the person's device and that vouches for this request.
#[utoipa::path(
    post, path = "/auth/register", tag = "accounts", operation_id = "register",
    request_body = RegisterRequest,
    responses(
        (status = 201, body = RegisterReply),
        (status = 409, description = "`username_taken` or `owner_key_taken`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`username_invalid`, `owner_pubkey_invalid`, \
            `owner_blob_invalid`, `kdf_invalid`, `proof_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn register(
    State(app): State<App>,
    Database(store): Database,
    gate: Gate,
    subject: Subject,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> Result<(StatusCode, Json<RegisterReply>), Problem> {
    gate.admit(&app, Route::Register).await?;
    let username = Username::parse(&request.username)?;
    subject.is(&username);
    let owner = owner_key(&request.owner_pubkey)?;
    check_owner_blob(request.owner_blob.as_deref())?;
    let kdf = request.kdf.as_ref().map(kdf::stored).transpose()?;
    let body = Body {
        username: username.as_str(),
        password: request.password.expose_text(),
        owner_pubkey: &owner,
        owner_blob: request.owner_blob.as_deref(),
        kdf: request.kdf.as_ref(),
    };
    let origin = app.config().public_url.origin();
    AccountProof::verify(&request.proof, ProofVerb::Register, &origin, None, &body, now_s()).map_err(|error| {
        Problem::invalid("proof_invalid", format!("The owner key does not vouch for this request: {error}."))
    })?;
    let account = AccountRecord {
        account: hex::encode(random_bytes::<16>()),
        username: username.to_string(),
        password_hash: PasswordHash::make(&request.password, random_bytes()).to_string(),
        owner_pubkey: owner.to_string(),
        owner_blob: request.owner_blob,
        kdf,
        created_at_ms: now_ms(),
    };
    match store.insert_account(&account).await? {
        Inserted::New => {
            let reply = RegisterReply { username: username.to_string() };
            Ok((StatusCode::CREATED, Json(reply)))
        }
        Inserted::UsernameTaken => {
            Err(Problem::new(409, "username_taken", "Choose another username; somebody has this one."))
        }
        Inserted::OwnerKeyTaken => Err(Problem::new(
            409,
            "owner_key_taken",
            "Make a new owner key for this account, or sign in to the account that has this one.",
        )),
    }
}

/// Tells a device how to derive the login secret.
#[utoipa::path(
    post, path = "/auth/params", tag = "accounts", operation_id = "params",
    request_body = ParamsRequest,
    responses(
        (status = 200, body = KdfReply),
        (status = 422, description = "`username_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn params(
    State(app): State<App>,
    Database(store): Database,
    gate: Gate,
    JsonBody(request): JsonBody<ParamsRequest>,
) -> Result<Json<KdfReply>, Problem> {
    gate.admit(&app, Route::Params).await?;
    let username = Username::parse(&request.username)?;
    let account = store.account_by_username(&username).await?;
    let kdf = kdf_of(app.auth(), &username, account.as_ref().and_then(|account| account.kdf.as_deref()))?;
    Ok(Json(KdfReply { kdf }))
}

/// Replaces the password, and with it the encrypted owner secret. Ends every other session; apps go on.
#[utoipa::path(
    post, path = "/auth/password", tag = "accounts", operation_id = "changePassword",
    security(("access_token" = [])),
    request_body = PasswordRequest,
    responses(
        (status = 204, description = "Changed"),
        (status = 403, description = "`credentials_invalid`: the present password is another",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`password_changed` by another request in this moment",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`owner_blob_invalid`, `kdf_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Database(store): Database,
    gate: Gate,
    JsonBody(request): JsonBody<PasswordRequest>,
) -> Result<StatusCode, Problem> {
    check_owner_blob(Some(&request.owner_blob))?;
    let asked = NewPassword {
        current: &request.current,
        secret: &request.password,
        owner_blob: request.owner_blob,
        kdf: &request.kdf,
    };
    credentials::change_password(&gate.desk(&app, &store), &caller, asked, random_bytes()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins a recovery.
#[utoipa::path(
    post, path = "/auth/recover/challenge", tag = "accounts", operation_id = "recoveryChallenge",
    request_body = RecoveryChallengeRequest,
    responses(
        (status = 200, body = RecoveryChallengeReply),
        (status = 422, description = "`owner_pubkey_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn recovery_challenge(
    State(app): State<App>,
    Database(store): Database,
    gate: Gate,
    JsonBody(request): JsonBody<RecoveryChallengeRequest>,
) -> Result<Json<RecoveryChallengeReply>, Problem> {
    gate.admit(&app, Route::Recover).await?;
    let owner = owner_key(&request.owner_pubkey)?;
    let account = store.account_by_owner(&owner.to_hex()).await?;
    let password_hash = account.as_ref().map(|account| account.password_hash.as_str());
    let challenge = recovery::challenge(app.auth(), &owner, password_hash, now_s());
    Ok(Json(RecoveryChallengeReply { challenge, expires_in: CHALLENGE_LIFETIME_S }))
}

/// Gives an account new credentials on the word of its owner key, which the recovery kit holds. Ends every session and
/// removes the passkeys.
#[utoipa::path(
    post, path = "/auth/recover", tag = "accounts", operation_id = "recover",
    request_body = RecoverRequest,
    responses(
        (status = 200, body = RecoverReply),
        (status = 401, description = "`recovery_refused`, for every reason",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`owner_pubkey_invalid`, `owner_blob_invalid`, `kdf_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`too_many_attempts`, with `Retry-After`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn recover(
    State(app): State<App>,
    Database(store): Database,
    gate: Gate,
    subject: Subject,
    JsonBody(request): JsonBody<RecoverRequest>,
) -> Result<Json<RecoverReply>, Problem> {
    gate.admit(&app, Route::Recover).await?;
    let owner = owner_key(&request.owner_pubkey)?;
    check_owner_blob(Some(&request.owner_blob))?;
    kdf::check(&request.kdf)?;
    let asked = Recovery {
        owner: &owner,
        challenge: &request.challenge,
        secret: &request.password,
        owner_blob: &request.owner_blob,
        kdf: &request.kdf,
        proof: &request.proof,
    };
    let origin = app.config().public_url.origin();
    let username = recovery::recover(&store, app.auth(), &origin, &asked, random_bytes(), now_ms()).await?;
    Username::parse(&username).iter().for_each(|username| subject.is(username));
    Ok(Json(RecoverReply { username }))
}

/// Shows the caller's account.
#[utoipa::path(
    get, path = "/account", tag = "accounts", operation_id = "getAccount",
    security(("access_token" = [])),
    responses((status = 200, body = AccountView))
)]
#[worker::send]
pub async fn account(
    State(app): State<App>,
    caller: Caller,
    Database(store): Database,
) -> Result<Json<AccountView>, Problem> {
    let account = credentials::own(&store, &caller).await?;
    let passkeys = store.passkeys_of(&caller.account).await?.len();
    Ok(Json(AccountView {
        kdf: kdf_of(app.auth(), &caller.username, account.kdf.as_deref())?,
        username: account.username,
        owner_pubkey: account.owner_pubkey,
        owner_blob: account.owner_blob,
        created_at: account.created_at_ms / 1000,
        passkeys: u32::try_from(passkeys).unwrap_or(u32::MAX),
    }))
}

/// Deletes the caller's account for good. Its keys have to be deleted first.
#[utoipa::path(
    delete, path = "/account", tag = "accounts", operation_id = "deleteAccount",
    security(("access_token" = [])),
    responses(
        (status = 204, description = "Deleted"),
        (status = 403, description = "`reauthentication_required`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`account_has_keys`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn delete_account(caller: RecentCaller, Database(store): Database) -> Result<StatusCode, Problem> {
    credentials::delete(&store, &caller, now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses an encrypted owner secret that can't be one.
///
/// # Errors
/// `owner_blob_invalid`
pub(super) fn check_owner_blob(blob: Option<&str>) -> Result<(), Problem> {
    let fits = |blob: &str| {
        (1..=OWNER_BLOB_MAX_BYTES).contains(&blob.len()) && blob.bytes().all(|c| c.is_ascii_graphic() || c == b' ')
    };
    if blob.is_none_or(fits) {
        Ok(())
    } else {
        Err(Problem::invalid("owner_blob_invalid", "Send an owner_blob of 1 to 4096 printable ASCII characters."))
    }
}

fn owner_key(text: &str) -> Result<PublicKey, Problem> {
    let key = text.parse::<PublicKey>().ok();
    key.filter(|key| key.validate().is_ok()).ok_or_else(|| {
        Problem::invalid(
            "owner_pubkey_invalid",
            "Send the owner key as 64 lower-case hex digits of an x-only secp256k1 point.",
        )
    })
}

fn kdf_of(keys: &AuthKeys, username: &Username, stored: Option<&str>) -> Result<KdfParams, Problem> {
    let made_up = kdf::made_up_for(username, keys);
    match stored {
        Some(json) => Ok(serde_json::from_str(json).map_err(|_| StorageError::Corrupt { what: "accounts.kdf" })?),
        None => Ok(made_up),
    }
}
