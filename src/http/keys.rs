//! `/keys`: make a group out of holder-sealed shares, and look at those one has.
//!
//! Creation is idempotent by its statement: the row stands as `creating` before the object is
//! asked, and as `active` once the object has confirmed; whoever lost an answer sends the same
//! request again and gets the same key.

use axum::Json;
use axum::extract::State;
use bunker_core::nip19::encode_npub;
use bunker_core::statement::{Statement, Verb};
use frost_wasm_core::ceremony::CeremonyId;
use frost_wasm_core::group::{GroupId, GroupPublic, HolderRole};
use http::StatusCode;

use super::body::JsonBody;
use super::bunker_id::bunker_id;
use super::ceremonies;
use super::dto::{
    CreateKeyReply, CreateKeyRequest, GroupDescription, KeyDetail, KeyList, KeyView, ProvisionRequest, SharePackages,
    SharedKeyView, SharesOrigin,
};
use super::path::{GroupPath, no_such_key};
use super::statement;
use crate::auth::Caller;
use crate::config::secrets::SecretName;
use crate::durable::rpc::{BunkerClient, CeremonyAsked, CeremonyClient};
use crate::platform::now_ms;
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Bindings, Database};
use crate::storage::{Claim, D1Store, KeyRecord, KeyStatus, KeyStore, SharedKey};

/// Most keys of one account, unfinished ones included.
const KEYS_MAX: u32 = 64;
/// Longest label, in bytes; the cores' own bound for labels.
const LABEL_MAX_BYTES: usize = bunker_core::grant::MAX_LABEL_BYTES;
/// Longest share package in base64: 32 bytes with HPKE's key and tag have 108 characters.
const PACKAGE_MAX_BYTES: usize = 256;

/// Makes a group out of a verified ceremony, or of shares that the owner's device sealed to each holder.
#[utoipa::path(
    post, path = "/keys", tag = "keys", operation_id = "createKey",
    security(("access_token" = [])),
    request_body = CreateKeyRequest,
    responses(
        (status = 201, body = CreateKeyReply),
        (status = 403, description = "`statement_not_by_owner`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`group_exists`, `key_limit_reached` or `ceremony_unfinished`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid`, `statement_misplaced`, \
            `holders_unsupported`, `label_invalid`, `package_invalid`, `ceremony_invalid`, or what a holder says",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    JsonBody(request): JsonBody<CreateKeyRequest>,
) -> Result<(StatusCode, Json<CreateKeyReply>), Problem> {
    check_label(&request.label)?;
    let shares = shares(request.packages, request.ceremony)?;
    let statement = statement::read(request.statement, &caller.owner)?;
    let public = supported_group(&statement, &shares)?;
    if let SharesOrigin::Ceremony(ceremony) = &shares {
        came_out_of(&env, &store, &caller, ceremony, public).await?;
    }
    let key = KeyRecord {
        group: *statement.group(),
        account: caller.account,
        pubkey: public.pubkey.to_string(),
        label: request.label,
        statement: statement.id().to_string(),
        status: KeyStatus::Creating,
        created_at_ms: now_ms(),
    };
    let key = claim(&store, key).await?;
    let provision = ProvisionRequest { statement: statement.event().clone(), shares };
    let bunker = BunkerClient::for_group(&env, &key.group)?;
    let made = match bunker.provision(&provision).await {
        Ok(made) => made,
        Err(problem) => {
            // A refused request leaves nothing behind; one whose outcome is unknown stays.
            if problem.status() == StatusCode::UNPROCESSABLE_ENTITY {
                store.release_claim(&key).await?;
            }
            return Err(problem);
        }
    };
    store.activate_key(&key.group).await?;
    let reply = CreateKeyReply { key: view(&app, &key)?, sequence: made.sequence };
    Ok((StatusCode::CREATED, Json(reply)))
}

/// Lists the account's keys, and those of others of which it holds a share.
#[utoipa::path(
    get, path = "/keys", tag = "keys", operation_id = "listKeys",
    security(("access_token" = [])),
    responses((status = 200, body = KeyList))
)]
#[worker::send]
pub async fn list(State(app): State<App>, caller: Caller, Database(store): Database) -> Result<Json<KeyList>, Problem> {
    let keys = store.keys_of(&caller.account).await?;
    let keys = keys.iter().map(|key| view(&app, key)).collect::<Result<_, _>>()?;
    let shared = store.shared_with(&caller.owner).await?;
    let shared_view = |it: &SharedKey| Ok(SharedKeyView { key: view(&app, &it.key)?, owner: it.owner.to_string() });
    let shared = shared.iter().map(shared_view).collect::<Result<_, Problem>>()?;
    Ok(Json(KeyList { keys, shared }))
}

/// Shows one key with its group, to its owner and to who holds a share of it.
#[utoipa::path(
    get, path = "/keys/{group}", tag = "keys", operation_id = "getKey",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    responses(
        (status = 200, body = KeyDetail),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
) -> Result<Json<KeyDetail>, Problem> {
    let key = reachable(&store, &caller, &group).await?;
    let described = BunkerClient::for_group(&env, &group)?.describe().await?;
    let GroupDescription { sequence, public, shares_since, owner, members } = described;
    Ok(Json(KeyDetail { key: view(&app, &key)?, sequence, public, shares_since, owner, members }))
}

/// Writes the row, or finds the one that this request wrote before.
async fn claim(store: &impl KeyStore, key: KeyRecord) -> Result<KeyRecord, Problem> {
    match store.claim_key(&key, KEYS_MAX).await? {
        Claim::New => Ok(key),
        Claim::LimitReached => {
            Err(Problem::new(409, "key_limit_reached", "An account has at most 64 keys. Use another account for more."))
        }
        Claim::Exists(found) if found.account == key.account && found.statement == key.statement => Ok(found),
        Claim::Exists(_) if store.replace_claim(&key).await? => Ok(key),
        Claim::Exists(_) => Err(Problem::new(
            409,
            "group_exists",
            "This group id is in use. Draw a new random one and sign a new statement.",
        )),
    }
}

/// Lets through who owns a key, and who holds a share of it.
pub(super) async fn reachable(store: &D1Store, caller: &Caller, group: &GroupId) -> Result<KeyRecord, Problem> {
    if let Some(key) = store.key_of(&caller.account, group).await? {
        return Ok(key);
    }
    store.shared_key(&caller.owner, group).await?.map(|shared| shared.key).ok_or_else(no_such_key)
}

/// Any two of three: bunker 1, recovery 3, and as 2 the cosigner, or a device of the owner's that got its share in a
/// ceremony. Or, out of a ceremony too, bunker 1 and the devices of several people.
fn supported_group<'s>(statement: &'s Statement, shares: &SharesOrigin) -> Result<&'s GroupPublic, Problem> {
    let Verb::CreateGroup { public, members } = statement.verb() else {
        return Err(statement::misplaced());
    };
    let holders: Vec<_> = public.holders.iter().map(|holder| (holder.index.get(), holder.role)).collect();
    let is_of_ceremony = matches!(shares, SharesOrigin::Ceremony(_));
    let is_two = public.threshold == 2 && members.is_empty();
    let is_supported = match holders.as_slice() {
        [(1, HolderRole::Bunker), (2, HolderRole::Cosigner), (3, HolderRole::Recovery)] => is_two,
        [(1, HolderRole::Bunker), (2, HolderRole::Device), (3, HolderRole::Recovery)] => is_two && is_of_ceremony,
        [(1, HolderRole::Bunker), devices @ ..] => {
            let are_devices = (2..).zip(devices).all(|(number, it)| *it == (number, HolderRole::Device));
            is_of_ceremony && !members.is_empty() && are_devices
        }
        _ => false,
    };
    if public.epoch == 0 && is_supported {
        Ok(public)
    } else {
        Err(Problem::invalid(
            "holders_unsupported",
            "Share the key 2-of-3 between bunker (1), cosigner (2) and recovery (3), or in a ceremony between bunker (1), \
             device (2) and recovery (3), or between bunker (1) and the devices of several people (from 2), of whom all \
             but the owner are named as members; epoch 0.",
        ))
    }
}

fn check_label(label: &str) -> Result<(), Problem> {
    let printable = !label.trim().is_empty() && !label.chars().any(char::is_control);
    if printable && label.len() <= LABEL_MAX_BYTES {
        Ok(())
    } else {
        Err(Problem::invalid("label_invalid", "Give the key a label of 1 to 128 bytes without control characters."))
    }
}

/// Where the shares come from: exactly one of the two.
fn shares(packages: Option<SharePackages>, ceremony: Option<CeremonyId>) -> Result<SharesOrigin, Problem> {
    match (packages, ceremony) {
        (Some(packages), None) => check_packages(&packages).map(|()| SharesOrigin::Packages(packages)),
        (None, Some(ceremony)) => Ok(SharesOrigin::Ceremony(ceremony)),
        (Some(_), Some(_)) | (None, None) => {
            Err(Problem::invalid("body_invalid", "Send either `packages` or `ceremony`. See /openapi.json."))
        }
    }
}

/// Sees to it that the holders know the end of a ceremony, and that it is what the statement says. The holders check
/// it again for themselves.
async fn came_out_of(
    env: &worker::Env,
    store: &D1Store,
    caller: &Caller,
    ceremony: &CeremonyId,
    public: &GroupPublic,
) -> Result<(), Problem> {
    ceremonies::named(store, caller, ceremony).await?;
    let asked = CeremonyAsked::View { by: ceremonies::key_of(&caller.owner), after: u64::MAX };
    let view = CeremonyClient::of(env, ceremony)?.ask(&asked).await?;
    match view.public {
        Some(group) if group == *public => Ok(()),
        Some(_) => Err(Problem::invalid("ceremony_invalid", "Another group came out of this ceremony.")),
        None => Err(Problem::new(
            409,
            "ceremony_unfinished",
            "The ceremony is not verified. Take part in it until it is, then send this again.",
        )),
    }
}

fn check_packages(packages: &SharePackages) -> Result<(), Problem> {
    let fits = |package: &str| (1..=PACKAGE_MAX_BYTES).contains(&package.len());
    if fits(&packages.bunker) && fits(&packages.cosigner) {
        Ok(())
    } else {
        Err(Problem::invalid(
            "package_invalid",
            "Seal each holder's share to its receiving key of GET /holders and send it as base64.",
        ))
    }
}

fn relay_of(app: &App, key: &KeyRecord) -> String {
    let config = app.config();
    let id = bunker_id(config.secret(SecretName::RoutingKey), &key.group);
    config.public_url.relay(&id)
}

fn view(app: &App, key: &KeyRecord) -> Result<KeyView, Problem> {
    Ok(KeyView {
        group: key.group.to_string(),
        pubkey: key.pubkey.clone(),
        npub: npub(key)?,
        relay: relay_of(app, key),
        label: key.label.clone(),
        created_at: key.created_at_ms / 1000,
    })
}

fn npub(key: &KeyRecord) -> Result<String, Problem> {
    let pubkey = key.pubkey.parse();
    let pubkey = pubkey.map_err(|_| Problem::internal("storage is corrupt: keys.pubkey"))?;
    Ok(encode_npub(&pubkey))
}

#[cfg(test)]
mod tests;
