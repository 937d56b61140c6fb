//! `/keys/{group}/export`: the way out with the whole key, and `DELETE /keys/{group}`.
//!
//! The owner's statement starts a delay that each holder keeps by its own clock and during which the owner can
//! take it back. Then each holder seals its share to the device that asked; only there they come together.

use axum::Json;
use bunker_core::statement::Verb;
use http::StatusCode;

use super::body::JsonBody;
use super::connections::owned;
use super::dto::{ExportView, OwnerStatement, ReleaseReply, ReleaseRequest, StatementDelivery};
use super::path::GroupPath;
use super::statement;
use crate::auth::{Caller, RecentCaller};
use crate::durable::rpc::BunkerClient;
use crate::problem::{Problem, ProblemBody};
use crate::router::{Bindings, Database};
use crate::storage::KeyStore;

/// Asks for the release of the shares, which starts the delay.
#[utoipa::path(
    post, path = "/keys/{group}/export", tag = "export", operation_id = "beginExport",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    request_body = OwnerStatement,
    responses(
        (status = 200, body = ExportView),
        (status = 403, description = "`statement_not_by_owner` or `reauthentication_required`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`export_pending` or `statement_not_newer`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid` or `statement_misplaced`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn begin(
    RecentCaller(caller): RecentCaller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    JsonBody(body): JsonBody<OwnerStatement>,
) -> Result<Json<ExportView>, Problem> {
    owned(&store, &caller, &group).await?;
    let is_export = |verb: &Verb| matches!(verb, Verb::Export { .. });
    let statement = statement::read_for(body.statement, &caller.owner, &group, is_export)?;
    let bunker = BunkerClient::for_group(&env, &group)?;
    bunker.deliver(&StatementDelivery { statement: statement.event().clone(), transport: None }).await?;
    bunker.export().await.map(Json)
}

/// Shows how an export stands.
#[utoipa::path(
    get, path = "/keys/{group}/export", tag = "export", operation_id = "getExport",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    responses(
        (status = 200, body = ExportView),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn get(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
) -> Result<Json<ExportView>, Problem> {
    owned(&store, &caller, &group).await?;
    BunkerClient::for_group(&env, &group)?.export().await.map(Json)
}

/// Takes an export back.
#[utoipa::path(
    delete, path = "/keys/{group}/export", tag = "export", operation_id = "cancelExport",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    request_body = OwnerStatement,
    responses(
        (status = 204, description = "Cancelled: nothing is released"),
        (status = 403, description = "`statement_not_by_owner`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`no_export` or `statement_not_newer`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid` or `statement_misplaced`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn cancel(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    JsonBody(body): JsonBody<OwnerStatement>,
) -> Result<StatusCode, Problem> {
    owned(&store, &caller, &group).await?;
    let is_cancel = |verb: &Verb| matches!(verb, Verb::CancelExport);
    let statement = statement::read_for(body.statement, &caller.owner, &group, is_cancel)?;
    statement::deliver(&env, &statement).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hands out the holders' shares, each sealed to the device that asked, once the delay is over.
#[utoipa::path(
    post, path = "/keys/{group}/export/release", tag = "export", operation_id = "releaseExport",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    request_body = ReleaseRequest,
    responses(
        (status = 200, body = ReleaseReply),
        (status = 403, description = "`reauthentication_required`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`no_export` or `export_too_early`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn release(
    RecentCaller(caller): RecentCaller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    JsonBody(ReleaseRequest {}): JsonBody<ReleaseRequest>,
) -> Result<Json<ReleaseReply>, Problem> {
    owned(&store, &caller, &group).await?;
    BunkerClient::for_group(&env, &group)?.release().await.map(Json)
}

/// Deletes an identity: every holder on the server wipes its share and all that it knows of it.
#[utoipa::path(
    delete, path = "/keys/{group}", tag = "keys", operation_id = "deleteKey",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    request_body = OwnerStatement,
    responses(
        (status = 204, description = "Deleted, now or before"),
        (status = 403, description = "`statement_not_by_owner` or `reauthentication_required`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`statement_not_newer`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid` or `statement_misplaced`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn delete_key(
    RecentCaller(caller): RecentCaller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    JsonBody(body): JsonBody<OwnerStatement>,
) -> Result<StatusCode, Problem> {
    owned(&store, &caller, &group).await?;
    let is_delete = |verb: &Verb| matches!(verb, Verb::DeleteGroup);
    let statement = statement::read_for(body.statement, &caller.owner, &group, is_delete)?;
    // The holders first: while the row stands, the same statement can be sent again.
    statement::deliver(&env, &statement).await?;
    store.remove_key(&caller.account, &group).await?;
    Ok(StatusCode::NO_CONTENT)
}
