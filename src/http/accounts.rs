//! `/auth/*`: register, client-side KDF parameters, sign-in, refresh, logout.

use axum::Json;
use axum::extract::State;
use bunker_core::keys::PublicKey;
use frost_wasm_core::kdf::KdfParams;
use http::{HeaderMap, StatusCode};

use super::body::JsonBody;
use super::dto::{KdfReply, ParamsRequest, RegisterReply, RegisterRequest, SignInReply, TokenReply, TokenRequest};
use crate::auth::caller::bearer;
use crate::auth::kdf;
use crate::auth::password::PasswordHash;
use crate::auth::sessions::{self, Fresh, TokenPair};
use crate::auth::username::Username;
use crate::platform::{now_ms, random_bytes};
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Database};
use crate::storage::{AccountRecord, AccountStore, Inserted, NewAccount, StorageError};

/// Longest encrypted owner secret, in bytes: a wrapped 32-byte key needs about 200.
const OWNER_BLOB_MAX_BYTES: usize = 4096;

/// Makes an account for an owner key that was made on the person's device.
#[utoipa::path(
    post, path = "/auth/register", tag = "accounts", operation_id = "register",
    request_body = RegisterRequest,
    responses(
        (status = 201, body = RegisterReply),
        (status = 409, description = "`username_taken` or `owner_key_taken`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`username_invalid`, `owner_pubkey_invalid`, \
            `owner_blob_invalid`, `kdf_invalid` or `body_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn register(
    Database(store): Database,
    JsonBody(request): JsonBody<RegisterRequest>,
) -> Result<(StatusCode, Json<RegisterReply>), Problem> {
    let username = Username::parse(&request.username)?;
    let owner = owner_key(&request.owner_pubkey)?;
    check_owner_blob(request.owner_blob.as_deref())?;
    let kdf = request.kdf.as_ref().map(stored_kdf).transpose()?;
    let record = AccountRecord {
        account: hex::encode(random_bytes::<16>()),
        username: username.to_string(),
        password_hash: PasswordHash::make(&request.password, random_bytes()).to_string(),
        owner_pubkey: owner.to_string(),
        owner_blob: request.owner_blob,
        kdf,
    };
    let account = NewAccount { record, created_at_ms: now_ms() };
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
    )
)]
#[worker::send]
pub async fn params(
    State(app): State<App>,
    Database(store): Database,
    JsonBody(request): JsonBody<ParamsRequest>,
) -> Result<Json<KdfReply>, Problem> {
    let username = Username::parse(&request.username)?;
    let made_up = kdf::made_up_for(&username, app.auth());
    let account = store.account_by_username(&username).await?;
    let kdf = match account.and_then(|account| account.kdf) {
        Some(json) => serde_json::from_str(&json).map_err(|_| StorageError::Corrupt { what: "accounts.kdf" })?,
        None => made_up,
    };
    Ok(Json(KdfReply { kdf }))
}

/// Signs in.
#[utoipa::path(
    post, path = "/auth/token", tag = "accounts", operation_id = "signIn",
    request_body = TokenRequest,
    responses(
        (status = 200, body = SignInReply),
        (status = 401, description = "`credentials_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn token(
    State(app): State<App>,
    Database(store): Database,
    JsonBody(request): JsonBody<TokenRequest>,
) -> Result<Json<SignInReply>, Problem> {
    // A name that nobody can have is an unknown name: it costs the same and says the same.
    let username = Username::parse(&request.username).ok();
    let fresh = Fresh { session: random_bytes(), token: random_bytes() };
    let (account, pair) =
        sessions::sign_in(&store, app.auth(), username.as_ref(), &request.password, fresh, now_ms()).await?;
    Ok(Json(SignInReply {
        tokens: token_reply(pair),
        owner_pubkey: account.owner_pubkey,
        owner_blob: account.owner_blob,
    }))
}

/// Exchanges a refresh token, sent as the bearer token, for a new pair. A retry within ten seconds
/// gets the same answer; a later second use ends the session.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "accounts", operation_id = "refresh",
    security(("refresh_token" = [])),
    responses(
        (status = 200, body = TokenReply),
        (status = 401, description = "`refresh_token_invalid` or `refresh_token_reused`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn refresh(
    State(app): State<App>,
    Database(store): Database,
    headers: HeaderMap,
) -> Result<Json<TokenReply>, Problem> {
    let presented = bearer(&headers).unwrap_or_default();
    let pair = sessions::refresh(&store, app.auth(), presented, now_ms()).await?;
    Ok(Json(token_reply(pair)))
}

/// Ends the session of an access or refresh token, sent as the bearer token.
#[utoipa::path(
    post, path = "/auth/logout", tag = "accounts", operation_id = "signOut",
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

fn owner_key(text: &str) -> Result<PublicKey, Problem> {
    let key = text.parse::<PublicKey>().ok();
    key.filter(|key| key.validate().is_ok()).ok_or_else(|| {
        Problem::invalid(
            "owner_pubkey_invalid",
            "Send the owner key as 64 lower-case hex digits of an x-only secp256k1 point.",
        )
    })
}

fn check_owner_blob(blob: Option<&str>) -> Result<(), Problem> {
    let fits = |blob: &str| {
        (1..=OWNER_BLOB_MAX_BYTES).contains(&blob.len()) && blob.bytes().all(|c| c.is_ascii_graphic() || c == b' ')
    };
    if blob.is_none_or(fits) {
        Ok(())
    } else {
        Err(Problem::invalid(
            "owner_blob_invalid",
            "Send an owner_blob of 1 to 4096 printable ASCII characters, or none.",
        ))
    }
}

fn stored_kdf(params: &KdfParams) -> Result<String, Problem> {
    kdf::check(params)?;
    serde_json::to_string(params).map_err(|error| Problem::internal(error.to_string()))
}

fn token_reply(pair: TokenPair) -> TokenReply {
    TokenReply {
        access_token: pair.access,
        token_type: "Bearer",
        expires_in: pair.expires_in_s,
        refresh_token: pair.refresh.expose_text(),
    }
}
