//! `/keys/{group}/requests`: what apps asked for and the owner has to decide.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use bunker_core::event::Event;
use bunker_core::keys::EventId;
use bunker_core::statement::Verb;
use frost_wasm_core::group::GroupId;
use http::request::Parts;

use super::body::JsonBody;
use super::connections::owned;
use super::dto::{
    ContributeReply, ContributeRequest, DecideReply, DecideRequest, DecisionStatus, DeviceContribution, OfferQuery,
    OfferReply, OfferRequest, RequestList, StatementDelivery,
};
use super::keys::reachable;
use super::path::{GroupPath, QueryParams, no_such_key};
use super::statement;
use crate::auth::Caller;
use crate::durable::rpc::BunkerClient;
use crate::problem::{Problem, ProblemBody};
use crate::router::{Bindings, Database};

/// `{group}` and `{request}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct RequestPath {
    /// The group.
    pub group: GroupId,
    /// A request that waits, by its event's id.
    pub request: EventId,
}

impl<S: Send + Sync> FromRequestParts<S> for RequestPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((group, request)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| no_such_key())?;
        Ok(Self {
            group: group.parse().map_err(|_| no_such_key())?,
            request: request.parse().map_err(|_| no_such_request())?,
        })
    }
}

/// Lists what waits for the owner, or for the devices of who holds shares.
#[utoipa::path(
    get, path = "/keys/{group}/requests", tag = "requests", operation_id = "listRequests",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    responses(
        (status = 200, body = RequestList),
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
) -> Result<Json<RequestList>, Problem> {
    reachable(&store, &caller, &group).await?;
    BunkerClient::for_group(&env, &group)?.requests().await.map(Json)
}

/// Approves a request; with `remember`, also those like it from then on.
#[utoipa::path(
    post, path = "/keys/{group}/requests/{request}/approve", tag = "requests", operation_id = "approveRequest",
    security(("access_token" = [])),
    params(
        ("group" = String, Path, description = "32 hex digits"),
        ("request" = String, Path, description = "Id of the app's request event, 64 hex digits"),
    ),
    request_body = DecideRequest,
    responses(
        (status = 200, body = DecideReply),
        (status = 403, description = "`statement_not_by_owner`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`, or `no_such_request` when it does not wait any more",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`statement_not_newer`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid` or `statement_misplaced`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn approve(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    path: RequestPath,
    JsonBody(body): JsonBody<DecideRequest>,
) -> Result<Json<DecideReply>, Problem> {
    owned(&store, &caller, &path.group).await?;
    let statement = read(body.statement, &caller, &path, |verb| match verb {
        Verb::Approve(approval) => Some(approval.request),
        _ => None,
    })?;
    deliver(&env, &path, statement, DecisionStatus::Approved).await
}

/// Denies a request.
#[utoipa::path(
    post, path = "/keys/{group}/requests/{request}/deny", tag = "requests", operation_id = "denyRequest",
    security(("access_token" = [])),
    params(
        ("group" = String, Path, description = "32 hex digits"),
        ("request" = String, Path, description = "Id of the app's request event, 64 hex digits"),
    ),
    request_body = DecideRequest,
    responses(
        (status = 200, body = DecideReply),
        (status = 403, description = "`statement_not_by_owner`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`, or `no_such_request` when it does not wait any more",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`statement_not_newer`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`statement_invalid` or `statement_misplaced`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn deny(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    path: RequestPath,
    JsonBody(body): JsonBody<DecideRequest>,
) -> Result<Json<DecideReply>, Problem> {
    owned(&store, &caller, &path.group).await?;
    let statement = read(body.statement, &caller, &path, |verb| match verb {
        Verb::Deny { request, .. } => Some(*request),
        _ => None,
    })?;
    deliver(&env, &path, statement, DecisionStatus::Denied).await
}

/// What a device judges over before it contributes to a request, where it holds a share.
#[utoipa::path(
    post, path = "/keys/{group}/requests/{request}/offer", tag = "requests", operation_id = "offerRequest",
    security(("access_token" = [])),
    params(
        ("group" = String, Path, description = "32 hex digits"),
        ("request" = String, Path, description = "Id of the app's request event, 64 hex digits"),
        OfferQuery,
    ),
    responses(
        (status = 200, body = OfferReply),
        (status = 403, description = "`not_your_share`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`, or `no_such_request` when it does not wait any more",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`approval_needed` or `request_refused`; `already_contributed` while others have to, \
            too; `enough_contributions` when others are at it",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn offer(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    path: RequestPath,
    QueryParams(query): QueryParams<OfferQuery>,
) -> Result<Json<OfferReply>, Problem> {
    reachable(&store, &caller, &path.group).await?;
    let asked = OfferRequest { request: path.request, by: caller.owner, holder: query.holder };
    BunkerClient::for_group(&env, &path.group)?.offer(&asked).await.map(Json)
}

/// Takes a device's contribution, and answers the request when it was the last that it took.
#[utoipa::path(
    post, path = "/keys/{group}/requests/{request}/contribution", tag = "requests", operation_id = "contribute",
    security(("access_token" = [])),
    params(
        ("group" = String, Path, description = "32 hex digits"),
        ("request" = String, Path, description = "Id of the app's request event, 64 hex digits"),
    ),
    request_body = ContributeRequest,
    responses(
        (status = 200, body = ContributeReply),
        (status = 403, description = "`not_your_share`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`, or `no_such_request` when it does not wait any more",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`offer_gone`: ask for another; or `request_refused`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`contribution_refused`: it is wrong, and the app got an error; \
            `contribution_unfit`: it answers another question, and nothing was changed",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn contribute(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    path: RequestPath,
    JsonBody(body): JsonBody<ContributeRequest>,
) -> Result<Json<ContributeReply>, Problem> {
    reachable(&store, &caller, &path.group).await?;
    let ContributeRequest { reply, round } = body;
    let contribution = DeviceContribution { request: path.request, by: caller.owner, reply, round };
    let status = BunkerClient::for_group(&env, &path.group)?.accept(&contribution).await?;
    Ok(Json(ContributeReply { request: path.request.to_string(), status }))
}

fn read(
    event: Event,
    caller: &Caller,
    path: &RequestPath,
    decided: fn(&Verb) -> Option<EventId>,
) -> Result<Event, Problem> {
    let statement = statement::read(event, &caller.owner)?;
    let fits = *statement.group() == path.group && decided(statement.verb()) == Some(path.request);
    if fits { Ok(statement.event().clone()) } else { Err(statement::misplaced()) }
}

async fn deliver(
    env: &worker::Env,
    path: &RequestPath,
    statement: Event,
    status: DecisionStatus,
) -> Result<Json<DecideReply>, Problem> {
    let delivery = StatementDelivery { statement, transport: None };
    BunkerClient::for_group(env, &path.group)?.deliver(&delivery).await?;
    Ok(Json(DecideReply { request: path.request.to_string(), status }))
}

/// The one answer for requests that do not wait.
pub(crate) fn no_such_request() -> Problem {
    Problem::new(404, "no_such_request", "This request does not wait any more: it was decided, or it ran out.")
}
