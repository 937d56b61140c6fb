//! `/keys/{group}/connections` and `/keys/{group}/activity`: what apps may do with a key, and what
//! they did.

use axum::Json;
use axum::extract::State;
use bunker_core::event::Event;
use bunker_core::grant::ConnectionId;
use bunker_core::statement::Verb;
use bunker_core::uri::BunkerUri;
use frost_wasm_core::group::GroupId;
use http::StatusCode;

use super::body::JsonBody;
use super::bunker_id::bunker_id;
use super::dto::{
    ActivityPage, ActivityQuery, ChangeConnectionReply, ChangeConnectionRequest, ConnectionList, CreateConnectionReply,
    CreateConnectionRequest, RevokeConnectionRequest, StatementDelivery, StatementReply,
};
use super::path::{ConnectionPath, GroupPath, QueryParams, no_such_key};
use super::statement;
use crate::auth::Caller;
use crate::config::secrets::SecretName;
use crate::durable::rpc::BunkerClient;
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Bindings, Database};
use crate::storage::{D1Store, KeyStore};

/// Longest transport package in base64: 32 bytes with HPKE's key and tag have 108 characters.
const PACKAGE_MAX_BYTES: usize = 256;

/// Grants one app the use of a key.
#[utoipa::path(
    post, path = "/keys/{group}/connections", tag = "connections", operation_id = "createConnection",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    request_body = CreateConnectionRequest,
    responses(
        (status = 201, body = CreateConnectionReply),
        (status = 403, description = "`statement_not_by_owner`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "What the holders say, such as a sequence number that is not newer",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid`, `statement_misplaced` or `package_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    JsonBody(request): JsonBody<CreateConnectionRequest>,
) -> Result<(StatusCode, Json<CreateConnectionReply>), Problem> {
    owned(&store, &caller, &group).await?;
    if !(1..=PACKAGE_MAX_BYTES).contains(&request.transport.len()) {
        return Err(Problem::invalid(
            "package_invalid",
            "Seal the transport secret to the bunker's receiving key of GET /holders and send it as base64.",
        ));
    }
    let is_grant = |verb: &Verb| matches!(verb, Verb::Grant(_));
    let statement = statement::read_for(request.statement, &caller.owner, &group, is_grant)?;
    let delivery = StatementDelivery { statement: statement.event().clone(), transport: Some(request.transport) };
    let reply = BunkerClient::for_group(&env, &group)?.deliver(&delivery).await?;
    let reply = reply.ok_or_else(|| Problem::internal("a grant was taken for another statement"))?;
    let bunker_url = bunker_url(&app, &group, &reply)?;
    let reply = CreateConnectionReply { connection: reply.connection, bunker_url };
    Ok((StatusCode::CREATED, Json(reply)))
}

/// Lists a key's connections.
#[utoipa::path(
    get, path = "/keys/{group}/connections", tag = "connections", operation_id = "listConnections",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    responses(
        (status = 200, body = ConnectionList),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn list(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
) -> Result<Json<ConnectionList>, Problem> {
    owned(&store, &caller, &group).await?;
    BunkerClient::for_group(&env, &group)?.connections().await.map(Json)
}

/// Ends a connection.
#[utoipa::path(
    delete, path = "/keys/{group}/connections/{connection}", tag = "connections",
    operation_id = "revokeConnection",
    security(("access_token" = [])),
    params(
        ("group" = String, Path, description = "32 hex digits"),
        ("connection" = String, Path, description = "32 hex digits"),
    ),
    request_body = RevokeConnectionRequest,
    responses(
        (status = 200, body = ChangeConnectionReply),
        (status = 403, description = "`statement_not_by_owner`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid` or `statement_misplaced`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn revoke(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    path: ConnectionPath,
    JsonBody(request): JsonBody<RevokeConnectionRequest>,
) -> Result<Json<ChangeConnectionReply>, Problem> {
    owned(&store, &caller, &path.group).await?;
    change(&env, &caller, &path, request.statement, |verb| match verb {
        Verb::Revoke { connection } => Some(*connection),
        _ => None,
    })
    .await
}

/// Changes what a connection may do, or stops it for a while.
#[utoipa::path(
    patch, path = "/keys/{group}/connections/{connection}", tag = "connections",
    operation_id = "changeConnection",
    security(("access_token" = [])),
    params(
        ("group" = String, Path, description = "32 hex digits"),
        ("connection" = String, Path, description = "32 hex digits"),
    ),
    request_body = ChangeConnectionRequest,
    responses(
        (status = 200, body = ChangeConnectionReply),
        (status = 403, description = "`statement_not_by_owner`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`statement_not_newer` or `connection_ended`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid` or `statement_misplaced`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn edit(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    path: ConnectionPath,
    JsonBody(request): JsonBody<ChangeConnectionRequest>,
) -> Result<Json<ChangeConnectionReply>, Problem> {
    owned(&store, &caller, &path.group).await?;
    change(&env, &caller, &path, request.statement, |verb| match verb {
        Verb::Edit { connection, .. } | Verb::Pause { connection } | Verb::Resume { connection } => Some(*connection),
        _ => None,
    })
    .await
}

async fn change(
    env: &worker::Env,
    caller: &Caller,
    path: &ConnectionPath,
    statement: Event,
    changed: fn(&Verb) -> Option<ConnectionId>,
) -> Result<Json<ChangeConnectionReply>, Problem> {
    let statement = statement::read(statement, &caller.owner)?;
    if *statement.group() != path.group || changed(statement.verb()) != Some(path.connection) {
        return Err(statement::misplaced());
    }
    let delivery = StatementDelivery { statement: statement.event().clone(), transport: None };
    let reply = BunkerClient::for_group(env, &path.group)?.deliver(&delivery).await?;
    let reply = reply.ok_or_else(|| Problem::internal("a statement about a connection was taken for another"))?;
    Ok(Json(ChangeConnectionReply { connection: reply.connection, status: reply.status }))
}

/// Shows the audit chain of a key, page by page.
#[utoipa::path(
    get, path = "/keys/{group}/activity", tag = "keys", operation_id = "activity",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits"), ActivityQuery),
    responses(
        (status = 200, body = ActivityPage),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`query_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn activity(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    QueryParams(query): QueryParams<ActivityQuery>,
) -> Result<Json<ActivityPage>, Problem> {
    owned(&store, &caller, &group).await?;
    let ActivityQuery { after, limit } = query.checked()?;
    BunkerClient::for_group(&env, &group)?.activity(after, limit).await.map(Json)
}

pub(super) async fn owned(store: &D1Store, caller: &Caller, group: &GroupId) -> Result<(), Problem> {
    store.key_of(&caller.account, group).await?.map(|_| ()).ok_or_else(no_such_key)
}

fn bunker_url(app: &App, group: &GroupId, reply: &StatementReply) -> Result<String, Problem> {
    let config = app.config();
    let relay = config.public_url.relay(&bunker_id(config.secret(SecretName::RoutingKey), group));
    let wrong = |_| Problem::internal("the object named no valid key or relay");
    let remote_signer =
        reply.transport_pubkey.parse().map_err(|_| Problem::internal("the object named no valid transport key"))?;
    let relays = vec![relay.parse().map_err(wrong)?];
    Ok(BunkerUri { remote_signer, relays, secret: None }.to_string())
}
