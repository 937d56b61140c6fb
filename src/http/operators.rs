//! What operators do with the deployment. Who may do what is decided in the deployment's object; here a body becomes a
//! command, and a seal's answer waits until the seal holds everywhere.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use bunker_core::keys::PublicKey;
use frost_wasm_core::secret::{Secret32, SecretString};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, StatusCode};
use operations_core::command::{Command, Issued};
use operations_core::lease::Lease;
use operations_core::operator::Scope;
use operations_core::refusal::Refusal;
use operations_core::seal::Target;
use operations_core::token::OperatorToken;
use operations_core::wire::{
    ApproveReply, DeploymentStatus, ProposalReply, RemoveReply, SealReply, SetUpReply, SetUpRequest, TokenReply,
    UnsealReply,
};
use serde_json::value::RawValue;
use worker::send::SendFuture;

use super::body::JsonBody;
use super::dto::{ActivityQuery, OperatorAuditPage, PlainCommand, ProposeRequest, SealRequest, UnsealRequest};
use super::gate::Gate;
use super::path::QueryParams;
use crate::auth::caller::bearer;
use crate::auth::guard::Route;
use crate::auth::username::Username;
use crate::durable::deployment::{DeploymentClient, Shown};
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Bindings, Database};
use crate::storage::{AccountStore, D1Store};
use crate::telemetry::RequestId;

/// Tokens are in some of these answers.
const NOT_KEPT: [(HeaderName, &str); 2] = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];

/// Who wants something of the deployment: counted at the gate, with a token that could be an operator's. Whether it is one,
/// the deployment's object says.
#[derive(Debug)]
pub struct Asking {
    deployment: DeploymentClient,
    shown: Shown,
}

/// Who wants to set the first operators up, with a token that could be the one for that.
#[derive(Debug)]
pub struct SettingUp(Asking);

impl FromRequestParts<App> for Asking {
    type Rejection = Problem;

    fn from_request_parts(parts: &mut Parts, app: &App) -> impl Future<Output = Result<Self, Problem>> + Send {
        SendFuture::new(async move {
            let token = bearer(&parts.headers).filter(|token| OperatorToken::parse(token).is_some());
            Self::with(token.ok_or(Refusal::OperatorTokenInvalid)?.to_owned(), parts, app).await
        })
    }
}

impl FromRequestParts<App> for SettingUp {
    type Rejection = Problem;

    fn from_request_parts(parts: &mut Parts, app: &App) -> impl Future<Output = Result<Self, Problem>> + Send {
        SendFuture::new(async move {
            let token = bearer(&parts.headers).filter(|token| Secret32::from_hex(token).is_ok());
            Asking::with(token.ok_or(Refusal::SetupTokenInvalid)?.to_owned(), parts, app).await.map(Self)
        })
    }
}

impl Asking {
    async fn with(token: String, parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = Arc::new(SecretString::from(token));
        let gate = Gate::from_request_parts(parts, app).await?;
        gate.admit(app, Route::Operator).await?;
        let request_id = parts.extensions.get::<RequestId>().and_then(RequestId::in_records);
        let Bindings(env) = Bindings::of(&parts.extensions)?;
        Ok(Self { deployment: DeploymentClient::new(&env)?, shown: Shown { token, request_id } })
    }

    /// Whether this caller may read what a scope stands for.
    ///
    /// # Errors
    /// Why not.
    pub async fn authorise(self, scope: Scope) -> Result<(), Problem> {
        self.deployment.authorise(self.shown, scope).await
    }

    async fn command(self, issued: Issued, command: Command) -> Result<Box<RawValue>, Problem> {
        self.deployment.command(self.shown, issued, command).await
    }

    /// What a body names: the deployment, unless it is an account. A name is looked up for who may do what they want with
    /// it: nobody else learns whether there is one.
    async fn target(
        &self,
        store: &D1Store,
        scope: Scope,
        owner: Option<PublicKey>,
        username: Option<String>,
    ) -> Result<Target, Problem> {
        match (owner, username) {
            (Some(_), Some(_)) => Err(Problem::invalid(
                "body_invalid",
                "Name the account by `owner_pubkey` or by `username`, not by both.",
            )),
            (owner, None) => Ok(Target::of(owner)),
            (None, Some(username)) => {
                self.deployment.authorise(self.shown.clone(), scope).await?;
                let unknown = || Problem::not_found("There is no account of that name.");
                let username = Username::parse(&username).map_err(|_| unknown())?;
                let account = store.account_by_username(&username).await?.ok_or_else(unknown)?;
                let owner = account.owner_pubkey.parse();
                owner.map(Target::Account).map_err(|_| Problem::internal("storage is corrupt: accounts.owner_pubkey"))
            }
        }
    }
}

fn answer(status: StatusCode, body: &RawValue) -> Response {
    (status, NOT_KEPT, body.get().to_owned()).into_response()
}

/// Sets the first operators up, once, with the deployment's set-up token as the bearer token. Each operator's token is
/// in the answer and nowhere else.
#[utoipa::path(
    post, path = "/operator/setup", tag = "operators", operation_id = "setUpOperators",
    security(("setup_token" = [])), request_body = SetUpRequest,
    responses(
        (status = 201, body = SetUpReply),
        (status = 401, description = "`setup_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`already_set_up`, `setup_token_not_set`, `too_few_operators`, `too_many_operators` or `operator_name_taken`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`unseal_threshold_invalid` or `lifetime_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn set_up(
    SettingUp(asking): SettingUp,
    JsonBody(request): JsonBody<SetUpRequest>,
) -> Result<Response, Problem> {
    let reply = asking.deployment.set_up(asking.shown, request).await?;
    Ok(answer(StatusCode::CREATED, &reply))
}

/// Says how the deployment stands: seals, unsealings, operators, proposals.
#[utoipa::path(
    get, path = "/operator/status", tag = "operators", operation_id = "deploymentStatus",
    security(("operator_token" = [])),
    responses(
        (status = 200, body = DeploymentStatus),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`scope_missing`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn status(asking: Asking) -> Result<Response, Problem> {
    let reply = asking.deployment.status(asking.shown).await?;
    Ok(answer(StatusCode::OK, &reply))
}

/// Seals the deployment or one account. Answers after four seconds, when no share can be used any more.
#[utoipa::path(
    post, path = "/operator/seal", tag = "operators", operation_id = "seal",
    security(("operator_token" = [])), request_body = SealRequest,
    responses(
        (status = 200, body = SealReply),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`scope_missing`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`: no such account",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`command_replayed` or `too_many_sealed_accounts`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn seal(
    Database(store): Database,
    asking: Asking,
    JsonBody(request): JsonBody<SealRequest>,
) -> Result<Response, Problem> {
    let issued = Issued { command: request.command, issued_at: request.issued_at };
    let target = asking.target(&store, Scope::Seal, request.owner_pubkey, request.username).await?;
    let reply = asking.command(issued, Command::Seal { target, reason: request.reason }).await?;
    worker::Delay::from(Duration::from_millis(Lease::SEAL_SETTLES_MS)).await;
    Ok(answer(StatusCode::OK, &reply))
}

/// Says one word of those that open a seal.
#[utoipa::path(
    post, path = "/operator/unseal", tag = "operators", operation_id = "unseal",
    security(("operator_token" = [])), request_body = UnsealRequest,
    responses(
        (status = 200, body = UnsealReply),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`scope_missing`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`unsealing_unknown`, or `not_found`: no such account",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`not_sealed`, `unsealing_running` or `command_replayed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn unseal(
    Database(store): Database,
    asking: Asking,
    JsonBody(request): JsonBody<UnsealRequest>,
) -> Result<Response, Problem> {
    let issued = Issued { command: request.command, issued_at: request.issued_at };
    let target = asking.target(&store, Scope::Unseal, request.owner_pubkey, request.username).await?;
    let command = Command::Unseal { target, reason: request.reason, unsealing: request.unsealing };
    Ok(answer(StatusCode::OK, &asking.command(issued, command).await?))
}

/// Proposes a change that a second operator has to approve.
#[utoipa::path(
    post, path = "/operator/proposals", tag = "operators", operation_id = "propose",
    security(("operator_token" = [])), request_body = ProposeRequest,
    responses(
        (status = 201, body = ProposalReply),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`scope_missing`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_proposals`, `too_many_operators`, `operator_name_taken`, `rotation_running` or `command_replayed`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`unseal_threshold_invalid`, `export_delay_invalid` or `lifetime_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn propose(asking: Asking, JsonBody(request): JsonBody<ProposeRequest>) -> Result<Response, Problem> {
    let issued = Issued { command: request.command, issued_at: request.issued_at };
    let reply = asking.command(issued, Command::Propose { what: request.what }).await?;
    Ok(answer(StatusCode::CREATED, &reply))
}

/// Approves somebody else's proposal, which is carried out with that.
#[utoipa::path(
    post, path = "/operator/proposals/{proposal}/approve", tag = "operators", operation_id = "approveProposal",
    params(("proposal" = String, Path, description = "The proposal, 16 hex digits")),
    security(("operator_token" = [])), request_body = PlainCommand,
    responses(
        (status = 200, body = ApproveReply),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`scope_missing` or `second_operator_needed`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`proposal_unknown`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`proposer_gone` or `command_replayed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn approve(
    asking: Asking,
    Path(proposal): Path<String>,
    JsonBody(request): JsonBody<PlainCommand>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("There is no such proposal. GET /operator/status lists those that wait.");
    let proposal = proposal.parse().map_err(|_| unknown())?;
    Ok(answer(StatusCode::OK, &asking.command(request.issued(), Command::Approve { proposal }).await?))
}

/// Removes another operator, whose token ends at once.
#[utoipa::path(
    post, path = "/operator/operators/{operator}/remove", tag = "operators", operation_id = "removeOperator",
    params(("operator" = String, Path, description = "The operator, 16 hex digits")),
    security(("operator_token" = [])), request_body = PlainCommand,
    responses(
        (status = 200, body = RemoveReply),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`scope_missing`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`operator_unknown`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`cannot_remove_oneself`, `too_few_operators`, `too_few_unsealers` or `command_replayed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn remove(
    asking: Asking,
    Path(operator): Path<String>,
    JsonBody(request): JsonBody<PlainCommand>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("There is no such operator. GET /operator/status lists them.");
    let operator = operator.parse().map_err(|_| unknown())?;
    Ok(answer(StatusCode::OK, &asking.command(request.issued(), Command::RemoveOperator { operator }).await?))
}

/// Replaces the own token, which ends at once. The new one is in the answer and nowhere else.
#[utoipa::path(
    post, path = "/operator/token", tag = "operators", operation_id = "rotateOperatorToken",
    security(("operator_token" = [])), request_body = PlainCommand,
    responses(
        (status = 200, body = TokenReply),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`command_replayed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn rotate_token(asking: Asking, JsonBody(request): JsonBody<PlainCommand>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &asking.command(request.issued(), Command::RotateToken {}).await?))
}

/// Gives records of the deployment's audit chain.
#[utoipa::path(
    get, path = "/operator/audit", tag = "operators", operation_id = "deploymentAudit",
    params(ActivityQuery), security(("operator_token" = [])),
    responses(
        (status = 200, body = OperatorAuditPage),
        (status = 401, description = "`operator_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`scope_missing`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`query_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn audit(
    asking: Asking,
    QueryParams(query): QueryParams<ActivityQuery>,
) -> Result<Json<OperatorAuditPage>, Problem> {
    let ActivityQuery { after, limit } = query.checked()?;
    asking.deployment.audit(asking.shown, after, limit).await.map(Json)
}
