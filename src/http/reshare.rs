//! `POST /keys/{group}/reshare`: the owner's word that the shares of a key be dealt anew.
//!
//! It names a ceremony's terms by their digest, and each server-side holder keeps it until it is asked to take part.
//! Starting the ceremony needs no word of the owner's and has the holders do nothing.

use bunker_core::statement::Verb;
use http::StatusCode;

use super::body::JsonBody;
use super::connections::owned;
use super::dto::OwnerStatement;
use super::path::GroupPath;
use super::statement;
use crate::auth::Caller;
use crate::problem::{Problem, ProblemBody};
use crate::router::{Bindings, Database};

/// Has the holders take part in a ceremony of exactly these terms, once it asks them to.
#[utoipa::path(
    post, path = "/keys/{group}/reshare", tag = "keys", operation_id = "reshareKey",
    security(("access_token" = [])),
    params(("group" = String, Path, description = "32 hex digits")),
    request_body = OwnerStatement,
    responses(
        (status = 204, description = "The holders know: GET the ceremony, and they take part"),
        (status = 403, description = "`statement_not_by_owner`",
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
pub async fn reshare(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    GroupPath(group): GroupPath,
    JsonBody(body): JsonBody<OwnerStatement>,
) -> Result<StatusCode, Problem> {
    owned(&store, &caller, &group).await?;
    let is_reshare = |verb: &Verb| matches!(verb, Verb::Reshare { .. });
    let statement = statement::read_for(body.statement, &caller.owner, &group, is_reshare)?;
    statement::deliver(&env, &statement).await?;
    Ok(StatusCode::NO_CONTENT)
}
