//! `/ceremony`: runs in which several parties make a key that none of them ever has.
//!
//! Who a caller is says the access token: it stands for an owner key, and a ceremony names the owner keys that may
//! read it, join it and speak in it. Whoever is not named learns nothing, not even that it is there.

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::Response;
use bunker_core::keys::PublicKey;
use frost_wasm_core::ceremony::coordinator::Limits;
use frost_wasm_core::ceremony::meeting::{Invitation, Invited};
use frost_wasm_core::ceremony::{CeremonyId, Kind, Package, Seat};
use frost_wasm_core::group::{HolderIndex, HolderRole};
use frost_wasm_core::point::XOnlyKey;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::body::JsonBody;
use super::connections;
use super::dto::{
    CeremonyKind, CeremonyList, CeremonyQuery, CeremonyView, JoinData, NamedCeremony, ParticipantRequest, RoundRequest,
    StartCeremonyRequest,
};
use super::events::{caller_of, open_socket};
use super::path::QueryParams;
use crate::auth::Caller;
use crate::durable::rpc::{CeremonyAsked, CeremonyClient, CeremonyStart};
use crate::platform;
use crate::problem::{Problem, ProblemBody};
use crate::router::{App, Bindings, Database};
use crate::storage::{D1Store, Named};

/// How long a result is readable, in milliseconds: a day.
const KEPT_MS: u64 = 24 * 60 * 60 * 1000;
/// Most rounds that a ceremony has, with every loss of nonces that it bears.
const ROUNDS_MAX: u64 = 24;
/// Most ceremonies that an account may have started and that are not gone.
const OPEN_MAX: u32 = 64;

/// `{operation_id}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct CeremonyPath(pub CeremonyId);

impl<S: Send + Sync> FromRequestParts<S> for CeremonyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| no_such_ceremony())?;
        id.parse().map(Self).map_err(|_| no_such_ceremony())
    }
}

/// `{operation_id}` and `{n}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct RoundPath {
    ceremony: CeremonyId,
    round: u16,
}

impl<S: Send + Sync> FromRequestParts<S> for RoundPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((ceremony, round)) = path.map_err(|_| no_such_ceremony())?;
        let ceremony = ceremony.parse().map_err(|_| no_such_ceremony())?;
        let round = round.parse().map_err(|_| Problem::not_found("A round is a number: 0 to join, then from 1."))?;
        Ok(Self { ceremony, round })
    }
}

/// Starts a ceremony. Its participants' numbers, and their holders' indices, are their places in the list.
#[utoipa::path(
    post, path = "/ceremony/start", tag = "ceremonies", operation_id = "startCeremony",
    security(("access_token" = [])),
    request_body = StartCeremonyRequest,
    responses(
        (status = 201, body = CeremonyView),
        (status = 409, description = "`too_many_ceremonies`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`ceremony_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn start(
    State(app): State<App>,
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    JsonBody(request): JsonBody<StartCeremonyRequest>,
) -> Result<(StatusCode, Json<CeremonyView>), Problem> {
    let now_ms = platform::now_ms();
    let round_ms = u64::from(request.round_seconds) * 1000;
    let limits = Limits { round_ms, kept_ms: KEPT_MS };
    let owners = people(&request.participants);
    if request.kind == CeremonyKind::Reshare && request.participants.iter().any(|it| it.role.is_on_server()) {
        // No more than that: what the holders do, they do by the owner's word.
        connections::owned(&store, &caller, &request.group).await?;
    }
    let invitation = invitation(&app, &caller, request)?;
    let ends_at_ms = now_ms + ROUNDS_MAX * round_ms + KEPT_MS;
    let named = Named { ceremony: invitation.ceremony, ends_at_ms };
    if !store.name_in_ceremony(&named, &owners, &caller.account, now_ms, OPEN_MAX).await? {
        return Err(Problem::new(
            409,
            "too_many_ceremonies",
            "An account may have started 64 ceremonies that are not gone yet. A finished one goes after a day.",
        ));
    }
    let ceremony = CeremonyClient::of(&env, &named.ceremony)?;
    let started = ceremony.start(&CeremonyStart { invitation, limits, by: key_of(&caller.owner) }).await;
    match started {
        Ok(view) => Ok((StatusCode::CREATED, Json(view))),
        Err(problem) => {
            store.forget_ceremony(&named.ceremony).await?;
            Err(problem)
        }
    }
}

/// Lists the ceremonies that name the caller.
#[utoipa::path(
    get, path = "/ceremony", tag = "ceremonies", operation_id = "listCeremonies",
    security(("access_token" = [])),
    responses((status = 200, body = CeremonyList))
)]
#[worker::send]
pub async fn list(caller: Caller, Database(store): Database) -> Result<Json<CeremonyList>, Problem> {
    let named = store.ceremonies_of(&caller.owner, platform::now_ms()).await?;
    let view = |it: Named| NamedCeremony { operation_id: it.ceremony.to_string(), ends_at: it.ends_at_ms / 1000 };
    Ok(Json(CeremonyList { ceremonies: named.into_iter().map(view).collect() }))
}

/// Shows how a ceremony stands, and what was said in it.
#[utoipa::path(
    get, path = "/ceremony/{operation_id}", tag = "ceremonies", operation_id = "getCeremony",
    security(("access_token" = [])),
    params(("operation_id" = String, Path, description = "32 hex digits"), CeremonyQuery),
    responses(
        (status = 200, body = CeremonyView),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn get(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    CeremonyPath(ceremony): CeremonyPath,
    QueryParams(query): QueryParams<CeremonyQuery>,
) -> Result<Json<CeremonyView>, Problem> {
    named(&store, &caller, &ceremony).await?;
    let asked = CeremonyAsked::View { by: key_of(&caller.owner), after: query.after };
    CeremonyClient::of(&env, &ceremony)?.ask(&asked).await.map(Json)
}

/// Joins with keys (round 0), or says what is due in a round: one package that the participant's device signed. The
/// same again is taken again and changes nothing; something else in its place is refused.
#[utoipa::path(
    post, path = "/ceremony/{operation_id}/round/{n}", tag = "ceremonies", operation_id = "sayInRound",
    security(("access_token" = [])),
    params(
        ("operation_id" = String, Path, description = "32 hex digits"),
        ("n" = u16, Path, description = "0 to join, then the round that is due"),
        CeremonyQuery,
    ),
    request_body = RoundRequest,
    responses(
        (status = 200, body = CeremonyView),
        (status = 403, description = "`not_your_place`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`round_over`, `package_altered` or `ceremony_over`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`package_refused`, with what is wrong",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn round(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    path: RoundPath,
    QueryParams(query): QueryParams<CeremonyQuery>,
    JsonBody(request): JsonBody<RoundRequest>,
) -> Result<Json<CeremonyView>, Problem> {
    let RoundPath { ceremony, round } = path;
    let (by, after) = (key_of(&caller.owner), query.after);
    named(&store, &caller, &ceremony).await?;
    let asked = match round {
        0 => CeremonyAsked::Join { by, after, keys: read::<JoinData>(request)?.keys },
        _ => {
            let package: Package = read(request)?;
            if package.round != round || package.ceremony != ceremony {
                return Err(Problem::invalid(
                    "package_refused",
                    "The package is for another round or ceremony than the address names.",
                ));
            }
            CeremonyAsked::Submit { by, after, package: Box::new(package) }
        }
    };
    CeremonyClient::of(&env, &ceremony)?.ask(&asked).await.map(Json)
}

/// Ends a ceremony that has not ended. Any participant may.
#[utoipa::path(
    delete, path = "/ceremony/{operation_id}", tag = "ceremonies", operation_id = "cancelCeremony",
    security(("access_token" = [])),
    params(("operation_id" = String, Path, description = "32 hex digits")),
    responses(
        (status = 200, body = CeremonyView),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`ceremony_over`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn cancel(
    caller: Caller,
    Bindings(env): Bindings,
    Database(store): Database,
    CeremonyPath(ceremony): CeremonyPath,
) -> Result<Json<CeremonyView>, Problem> {
    named(&store, &caller, &ceremony).await?;
    let asked = CeremonyAsked::Cancel { by: key_of(&caller.owner) };
    CeremonyClient::of(&env, &ceremony)?.ask(&asked).await.map(Json)
}

/// Opens a socket whose messages, `{"type":"ceremony","next":…}`, say that there is something to GET. It closes with
/// 4401 when an access token's life is over.
#[utoipa::path(
    get, path = "/ceremony/{operation_id}/events", tag = "ceremonies", operation_id = "ceremonyEvents",
    security(("access_token" = [])),
    params(
        ("operation_id" = String, Path, description = "32 hex digits"),
        ("sec-websocket-protocol" = String, Header, description = "`passport.events.v1, token.<access token>`"),
    ),
    responses(
        (status = 101, description = "Web socket"),
        (status = 401, description = "`access_token_invalid`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 426, description = "`upgrade_required`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
#[worker::send]
pub async fn events(
    State(app): State<App>,
    Bindings(env): Bindings,
    Database(store): Database,
    CeremonyPath(ceremony): CeremonyPath,
    request: Request,
) -> Result<Response, Problem> {
    let caller = caller_of(&store, &app, &request).await?;
    named(&store, &caller, &ceremony).await?;
    open_socket(&request, || async { CeremonyClient::of(&env, &ceremony)?.events().await }).await
}

/// Lets through who is named in a ceremony.
pub(super) async fn named(store: &D1Store, caller: &Caller, ceremony: &CeremonyId) -> Result<(), Problem> {
    if store.is_named(ceremony, &caller.owner).await? { Ok(()) } else { Err(no_such_ceremony()) }
}

/// An owner key as a ceremony's key.
pub(super) fn key_of(owner: &PublicKey) -> XOnlyKey {
    XOnlyKey::from_bytes(*owner.as_bytes())
}

/// What the request invites to.
fn invitation(app: &App, caller: &Caller, request: StartCeremonyRequest) -> Result<Invitation, Problem> {
    let size = app.config().group_size;
    let most = usize::from(size.max_participants);
    if !(2..=most).contains(&request.participants.len()) {
        return Err(invalid(&format!("Two to {most} participants make a key.")));
    }
    if !StartCeremonyRequest::ROUND_SECONDS.contains(&request.round_seconds) {
        return Err(invalid("A round lasts 30 to 86400 seconds."));
    }
    let servers = |role| request.participants.iter().filter(|it| it.role == role).count();
    if servers(HolderRole::Bunker) > 1 || servers(HolderRole::Cosigner) > 1 {
        return Err(invalid("This server has one bunker and one cosigner for a group."));
    }
    if !request.participants.iter().any(|it| it.owner == Some(caller.owner)) {
        return Err(invalid("You are not among the participants. Name your own owner key, too."));
    }
    let (purpose, epoch) = match (request.kind, request.present) {
        (CeremonyKind::Keygen, None) => (Kind::Keygen, 0),
        (CeremonyKind::Reshare, Some(from)) => {
            let next = from.epoch.checked_add(1).ok_or_else(|| invalid("There is no epoch after this one."))?;
            (Kind::Reshare { from }, next)
        }
        (CeremonyKind::Keygen, Some(_)) => return Err(invalid("A keygen goes on from no group: leave out `present`.")),
        (CeremonyKind::Reshare, None) => return Err(invalid("Say in `present` which group it goes on from.")),
    };
    let parties = request.participants.iter().zip(1..).map(|(it, number)| invited(app, caller, &purpose, it, number));
    let parties = parties.collect::<Result<_, _>>()?;
    Ok(Invitation {
        ceremony: CeremonyId::random(&mut platform::rng()),
        purpose,
        group: request.group,
        epoch,
        threshold: request.threshold.unwrap_or(size.threshold),
        parties,
    })
}

fn invited(
    app: &App,
    caller: &Caller,
    purpose: &Kind,
    it: &ParticipantRequest,
    number: u16,
) -> Result<Invited, Problem> {
    let (deals, receives) = match (purpose, it.deals, it.receives) {
        (Kind::Keygen, None, None) => {
            let index =
                HolderIndex::new(number).map_err(|error| invalid(&format!("Participant {number}: {error}.")))?;
            (Some(index), Some(index))
        }
        (Kind::Keygen, _, _) => return Err(invalid("In a keygen everybody deals and receives: leave that out.")),
        (Kind::Reshare { .. }, deals, receives) => (deals, receives),
    };
    let (signing, receiving) = match (app.config().party_public(it.role), it.owner) {
        (Some((signing, receiving)), None) if it.receiving_key.is_none() => (signing, Some(receiving)),
        (Some(_), _) => {
            return Err(invalid(&format!("Participant {number} is this server's {}: it has its own keys.", it.role)));
        }
        (None, None) => return Err(invalid(&format!("Participant {number} needs the owner key of a person."))),
        // Others come with their own keys, when they join.
        (None, Some(owner)) if it.receiving_key.is_some() && owner != caller.owner => {
            return Err(invalid(&format!("Participant {number} brings its own receiving key when it joins.")));
        }
        (None, Some(owner)) => (key_of(&owner), it.receiving_key),
    };
    let receives = receives.map(|index| Seat { index, role: it.role });
    Ok(Invited { number, signing, receiving, deals, receives })
}

fn people(participants: &[ParticipantRequest]) -> Vec<PublicKey> {
    let mut owners: Vec<_> = participants.iter().filter_map(|it| it.owner).collect();
    owners.sort_unstable_by_key(|owner| *owner.as_bytes());
    owners.dedup();
    owners
}

fn read<T: DeserializeOwned>(request: RoundRequest) -> Result<T, Problem> {
    serde_json::from_value(request.participant_data).map_err(|_| {
        Problem::invalid("package_refused", "`participant_data` is not of the form of this round. See /openapi.json.")
    })
}

fn invalid(detail: &str) -> Problem {
    Problem::invalid("ceremony_invalid", detail)
}

fn no_such_ceremony() -> Problem {
    Problem::not_found("There is no such ceremony, or you are not named in it. GET /ceremony lists yours.")
}
