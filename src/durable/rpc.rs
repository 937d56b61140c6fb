//! Every call between the Worker and the objects, and between objects, in one place.
//!
//! Rust objects receive only `fetch`, so a call is a POST of JSON to a path that exists nowhere outside. The path
//! says what is asked, the object that is called says of whom. An answer other than 200 is a [`Problem`].

use bunker_core::{event::Event, joint::ContributionReply, keys::EventId, session::Induction};
use frost_wasm_core::{
    ceremony::{CeremonyId, Package, Seat, Terms, coordinator::Limits, meeting::Invitation},
    group::{GroupId, HolderIndex, HolderRole},
    point::XOnlyKey,
};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;
use worker::{Env, Headers, Method, Request, RequestInit, Response, Stub};

use crate::{
    http::dto::{
        ActivityPage, CeremonyView, ConnectionList, ContributionStatus, DeviceContribution, ExportView,
        GroupDescription, OfferReply, OfferRequest, ProvisionReply, ProvisionRequest, ReleaseReply, RequestList,
        SeatKey, StatementDelivery, StatementReply,
    },
    problem::Problem,
};

/// Binding of the bunker objects.
const BUNKER_BINDING: &str = "BUNKER";
/// Binding of the cosigner objects.
const COSIGNER_BINDING: &str = "COSIGNER";
/// Binding of the ceremony objects.
const CEREMONY_BINDING: &str = "CEREMONY";
/// Host of internal calls; no such host is served outside.
const INTERNAL: &str = "https://object.internal";

/// What can be asked of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Bunker, cosigner: take a share with the statement that names it.
    Provision,
    /// Bunker, cosigner: apply an owner statement.
    Deliver,
    /// Bunker: the group and its newest statement.
    Describe,
    /// Bunker: all connections.
    Connections,
    /// Bunker: a page of the audit chain.
    Activity,
    /// Bunker: what waits for the owner.
    Requests,
    /// Bunker: how an export stands.
    Export,
    /// Bunker, cosigner: seal the share to the device of an export whose delay is over.
    Release,
    /// Cosigner: judge a client's request and contribute.
    Contribute,
    /// Bunker, cosigner: go on with a ceremony.
    TakePart,
    /// Bunker: what a device of the owner's is to contribute to.
    Offer,
    /// Bunker: a device's contribution.
    Accept,
    /// Bunker, cosigner: wrap the data key under the present KEK.
    Rewrap,
}

impl Route {
    const ALL: &[(Self, &str)] = &[
        (Self::Provision, "/provision"),
        (Self::Deliver, "/deliver"),
        (Self::Describe, "/describe"),
        (Self::Connections, "/connections"),
        (Self::Activity, "/activity"),
        (Self::Requests, "/requests"),
        (Self::Export, "/export"),
        (Self::Release, "/release"),
        (Self::Contribute, "/contribute"),
        (Self::TakePart, "/take-part"),
        (Self::Offer, "/offer"),
        (Self::Accept, "/accept"),
        (Self::Rewrap, "/rewrap"),
    ];

    /// Finds the route of a call that arrived.
    pub(super) fn of(path: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, it)| *it == path).map(|(route, _)| *route)
    }

    fn path(self) -> &'static str {
        Self::ALL.iter().find(|(route, _)| *route == self).map_or("/", |(_, path)| path)
    }
}

/// Where a page's socket is opened.
pub(super) const EVENTS: &str = "/events";

/// Which page of the audit chain.
#[derive(Debug, Clone, Copy, Serialize, serde::Deserialize)]
pub(super) struct PageRequest {
    /// Records after this position.
    pub(super) after: u64,
    /// At most so many.
    pub(super) limit: u32,
}

/// What a cosigner is sent to become a holder.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(super) struct ShareDelivery {
    /// The owner's `create_group` statement.
    pub(super) statement: Event,
    /// Where its share comes from.
    pub(super) share: ShareOrigin,
}

/// Where a holder's share comes from.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShareOrigin {
    /// The owner's device sealed it to the holder.
    Package(String),
    /// The holder got it in this ceremony.
    Ceremony(CeremonyId),
    /// The holder is new in a key in use, and got it in the renewal that this tells of.
    Renewal(Box<Induction>),
}

/// What a holder that takes part in a ceremony is told.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(super) struct PartyCall {
    /// The terms.
    pub(super) terms: Terms,
    /// The holder's number in them.
    pub(super) number: u16,
    /// All that was said so far.
    pub(super) packages: Vec<Package>,
}

/// What it answers.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(super) struct PartyReply {
    /// What it has to say now, if it is its turn.
    pub(super) package: Option<Package>,
}

/// A cosigner's share, on its way to the owner's device.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(super) struct ReleasedShare {
    /// The export that this holder knows of.
    pub(super) statement: EventId,
    /// The share, sealed to the device.
    pub(super) package: String,
}

/// One group's bunker, as the Worker calls it.
#[derive(Debug)]
pub struct BunkerClient(Stub);

impl BunkerClient {
    /// The bunker of a group. Call this only with an id that was checked: a name is enough to make an object.
    ///
    /// # Errors
    /// When the binding is missing.
    pub fn for_group(env: &Env, group: &GroupId) -> Result<Self, Problem> {
        stub(env, BUNKER_BINDING, &group.to_string()).map(Self)
    }

    /// Makes it a holder, and its cosigner too. The same request again continues where the first one stopped.
    ///
    /// # Errors
    /// Why not.
    pub async fn provision(&self, request: &ProvisionRequest) -> Result<ProvisionReply, Problem> {
        call(&self.0, Route::Provision, request).await
    }

    /// Has an owner statement applied by every server-side holder; gives how its connection stands, if it has one.
    ///
    /// # Errors
    /// Why not.
    pub async fn deliver(&self, delivery: &StatementDelivery) -> Result<Option<StatementReply>, Problem> {
        call(&self.0, Route::Deliver, delivery).await
    }

    /// All connections.
    ///
    /// # Errors
    /// Why not.
    pub async fn connections(&self) -> Result<ConnectionList, Problem> {
        call(&self.0, Route::Connections, &()).await
    }

    /// The group and its newest statement.
    ///
    /// # Errors
    /// Why not.
    pub async fn describe(&self) -> Result<GroupDescription, Problem> {
        call(&self.0, Route::Describe, &()).await
    }

    /// Audit records after a position.
    ///
    /// # Errors
    /// Why not.
    pub async fn activity(&self, after: u64, limit: u32) -> Result<ActivityPage, Problem> {
        call(&self.0, Route::Activity, &PageRequest { after, limit }).await
    }

    /// What waits for the owner.
    ///
    /// # Errors
    /// Why not.
    pub async fn requests(&self) -> Result<RequestList, Problem> {
        call(&self.0, Route::Requests, &()).await
    }

    /// What a device of the owner's is to contribute to, so that a waiting request can be answered.
    ///
    /// # Errors
    /// Why not.
    pub async fn offer(&self, request: &OfferRequest) -> Result<OfferReply, Problem> {
        call(&self.0, Route::Offer, request).await
    }

    /// Takes a device's contribution to a waiting request, and answers the request when it was the last that it took.
    ///
    /// # Errors
    /// Why not.
    pub async fn accept(&self, contribution: &DeviceContribution) -> Result<ContributionStatus, Problem> {
        call(&self.0, Route::Accept, contribution).await
    }

    /// Has every server-side holder wrap its data key under the present KEK. Again is no error.
    ///
    /// # Errors
    /// Why not; some of them may have done it.
    pub(super) async fn rewrap(&self) -> Result<(), Problem> {
        call(&self.0, Route::Rewrap, &()).await
    }

    /// How an export stands.
    ///
    /// # Errors
    /// Why not.
    pub async fn export(&self) -> Result<ExportView, Problem> {
        call(&self.0, Route::Export, &()).await
    }

    /// The sealed shares of an export whose delay is over.
    ///
    /// # Errors
    /// Why not.
    pub async fn release(&self) -> Result<ReleaseReply, Problem> {
        call(&self.0, Route::Release, &()).await
    }

    /// Opens a socket for a page of the owner's.
    ///
    /// # Errors
    /// When the object can't be reached, or why it refuses.
    pub async fn events(&self) -> Result<Response, Problem> {
        open_events(&self.0).await
    }

    /// Hands over a client's socket, or its question for the relay's information document.
    ///
    /// # Errors
    /// When the object can't be reached, or why it refuses.
    pub async fn relay(&self, request: Request) -> Result<Response, Problem> {
        forward(&self.0, request).await
    }
}

/// One group's cosigner, as its bunker calls it.
#[derive(Debug)]
pub struct CosignerClient(Stub);

impl CosignerClient {
    /// The cosigner that holds share `index` of a group.
    ///
    /// # Errors
    /// When the binding is missing.
    pub fn for_holder(env: &Env, group: &GroupId, index: HolderIndex) -> Result<Self, Problem> {
        stub(env, COSIGNER_BINDING, &format!("{group}:{index}")).map(Self)
    }

    /// Makes it a holder.
    pub(super) async fn provision(&self, delivery: &ShareDelivery) -> Result<(), Problem> {
        call(&self.0, Route::Provision, delivery).await
    }

    /// Has an owner statement applied.
    pub(super) async fn deliver(&self, statement: &Event) -> Result<(), Problem> {
        call(&self.0, Route::Deliver, statement).await
    }

    /// Asks for the share of an export.
    pub(super) async fn release(&self) -> Result<ReleasedShare, Problem> {
        call(&self.0, Route::Release, &()).await
    }

    /// Has it wrap its data key under the present KEK.
    pub(super) async fn rewrap(&self) -> Result<(), Problem> {
        call(&self.0, Route::Rewrap, &()).await
    }

    /// Asks for a contribution; the body is [`bunker_core::joint::ContributionRequest::encode`]'s.
    pub(super) async fn contribute(&self, body: &str) -> Result<ContributionReply, Problem> {
        post(&self.0, Route::Contribute, body).await
    }
}

/// What can be asked of a ceremony.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CeremonyRoute {
    /// Begin.
    Start,
    /// Everything that a participant may want.
    Ask,
    /// A server-side holder takes part no more: the owner has asked for another one.
    GiveUp,
}

impl CeremonyRoute {
    /// Finds the route of a call that arrived.
    pub(super) fn of(path: &str) -> Option<Self> {
        [Self::Start, Self::Ask, Self::GiveUp].into_iter().find(|route| route.path() == path)
    }

    fn path(self) -> &'static str {
        match self {
            Self::Start => "/start",
            Self::Ask => "/ask",
            Self::GiveUp => "/give-up",
        }
    }
}

/// How a ceremony ended that a holder gave up, if it had not ended before.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(super) struct GivenUp {
    /// Whether every holder had accepted: then it can't be given up.
    pub(super) is_verified: bool,
    /// All that was said.
    pub(super) packages: Vec<Package>,
}

/// Begins a ceremony.
#[derive(Debug, Serialize, serde::Deserialize)]
pub struct CeremonyStart {
    /// Who is invited to what.
    pub invitation: Invitation,
    /// How long things take at most.
    pub limits: Limits,
    /// The participant that begins it.
    pub by: XOnlyKey,
}

/// What a participant wants of a ceremony. Who it is says the access token, and not what it sent.
#[derive(Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CeremonyAsked {
    /// To see it.
    View {
        /// The participant.
        by: XOnlyKey,
        /// What it has already.
        after: u64,
    },
    /// To take its places.
    Join {
        /// The participant.
        by: XOnlyKey,
        /// What it has already.
        after: u64,
        /// A key for each place.
        keys: Vec<SeatKey>,
    },
    /// To say something.
    Submit {
        /// The participant.
        by: XOnlyKey,
        /// What it has already.
        after: u64,
        /// What it says.
        package: Box<Package>,
    },
    /// To end it.
    Cancel {
        /// The participant.
        by: XOnlyKey,
    },
}

impl CeremonyAsked {
    /// Who asks.
    pub(super) fn by(&self) -> XOnlyKey {
        match self {
            Self::View { by, .. } | Self::Join { by, .. } | Self::Submit { by, .. } | Self::Cancel { by } => *by,
        }
    }

    /// What it has already.
    pub(super) fn after(&self) -> u64 {
        match self {
            Self::View { after, .. } | Self::Join { after, .. } | Self::Submit { after, .. } => *after,
            Self::Cancel { .. } => 0,
        }
    }
}

/// One ceremony, as the Worker calls it.
#[derive(Debug)]
pub struct CeremonyClient(Stub);

impl CeremonyClient {
    /// The ceremony of that id. Call this only with an id that was checked: a name is enough to make an object.
    ///
    /// # Errors
    /// When the binding is missing.
    pub fn of(env: &Env, ceremony: &CeremonyId) -> Result<Self, Problem> {
        stub(env, CEREMONY_BINDING, &ceremony.to_string()).map(Self)
    }

    /// Begins it.
    ///
    /// # Errors
    /// Why not.
    pub async fn start(&self, start: &CeremonyStart) -> Result<CeremonyView, Problem> {
        self.ask_at(CeremonyRoute::Start, start).await
    }

    /// Does what a participant wants, and gives how it stands then.
    ///
    /// # Errors
    /// Why not.
    pub async fn ask(&self, asked: &CeremonyAsked) -> Result<CeremonyView, Problem> {
        self.ask_at(CeremonyRoute::Ask, asked).await
    }

    /// Ends it on behalf of the server-side holder with this number, unless it has ended; `None` if it is gone.
    pub(super) async fn give_up(&self, number: u16) -> Result<Option<GivenUp>, Problem> {
        match self.ask_at(CeremonyRoute::GiveUp, &number).await {
            Ok(given_up) => Ok(Some(given_up)),
            Err(problem) if problem.status() == http::StatusCode::NOT_FOUND => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// Opens a socket for a participant.
    ///
    /// # Errors
    /// When the object can't be reached, or why it refuses.
    pub async fn events(&self) -> Result<Response, Problem> {
        open_events(&self.0).await
    }

    async fn ask_at<B: Serialize, R: DeserializeOwned>(&self, route: CeremonyRoute, body: &B) -> Result<R, Problem> {
        let body = serde_json::to_string(body).map_err(|error| Problem::internal(error.to_string()))?;
        post_to(&self.0, route.path(), &body).await
    }
}

/// Has a server-side holder go on with a ceremony.
pub(super) async fn take_part(env: &Env, holder: Seat, call: &PartyCall) -> Result<PartyReply, Problem> {
    let group = &call.terms.group;
    let stub = match holder.role {
        HolderRole::Bunker => BunkerClient::for_group(env, group)?.0,
        HolderRole::Cosigner => CosignerClient::for_holder(env, group, holder.index)?.0,
        HolderRole::Device | HolderRole::Recovery => {
            return Err(Problem::internal("a holder that is not on the server was called"));
        }
    };
    self::call(&stub, Route::TakePart, call).await
}

async fn open_events(stub: &Stub) -> Result<Response, Problem> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket").map_err(unreachable)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers);
    forward(stub, Request::new_with_init(&format!("{INTERNAL}{EVENTS}"), &init).map_err(unreachable)?).await
}

async fn forward(stub: &Stub, request: Request) -> Result<Response, Problem> {
    let mut response = stub.fetch_with_request(request).await.map_err(unreachable)?;
    let status = response.status_code();
    if status < 400 {
        return Ok(response);
    }
    let text = response.text().await.map_err(unreachable)?;
    Err(Problem::from_wire(status, text.as_bytes()))
}

/// The object of that name.
pub(super) fn stub(env: &Env, binding: &str, name: &str) -> Result<Stub, Problem> {
    let missing = |error: worker::Error| Problem::internal(format!("binding {binding}: {error}"));
    let namespace = env.durable_object(binding).map_err(missing)?;
    namespace.id_from_name(name).and_then(|id| id.get_stub()).map_err(missing)
}

async fn call<B: Serialize, R: DeserializeOwned>(stub: &Stub, route: Route, body: &B) -> Result<R, Problem> {
    let body = serde_json::to_string(body).map_err(|error| Problem::internal(error.to_string()))?;
    post(stub, route, &body).await
}

async fn post<R: DeserializeOwned>(stub: &Stub, route: Route, body: &str) -> Result<R, Problem> {
    post_to(stub, route.path(), body).await
}

/// Sends a call's body to a path of an object.
pub(super) async fn post_to<R: DeserializeOwned>(stub: &Stub, path: &str, body: &str) -> Result<R, Problem> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from_str(body)));
    let url = format!("{INTERNAL}{path}");
    let request = Request::new_with_init(&url, &init).map_err(unreachable)?;
    let mut response = stub.fetch_with_request(request).await.map_err(unreachable)?;
    let status = response.status_code();
    let text = response.text().await.map_err(unreachable)?;
    if status != 200 {
        return Err(Problem::from_wire(status, text.as_bytes()));
    }
    serde_json::from_str(&text).map_err(|error| Problem::internal(format!("{path}: {error}")))
}

fn unreachable(error: worker::Error) -> Problem {
    Problem::unavailable(format!("an object could not be reached: {error}"))
}

/// Reads the JSON body of a call.
pub(super) async fn body<T: DeserializeOwned>(request: &mut Request) -> Result<T, Problem> {
    let text = request.text().await.map_err(|error| Problem::internal(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| Problem::internal(format!("an internal call's body: {error}")))
}

/// Makes the answer to a call.
pub(super) fn answer<T: Serialize>(result: Result<T, Problem>) -> worker::Result<Response> {
    match result {
        Ok(reply) => Response::from_json(&reply),
        Err(problem) => {
            if let Some(cause) = problem.cause() {
                crate::telemetry::failure(problem.code(), cause);
            }
            Ok(Response::ok(problem.to_wire())?.with_status(problem.status().as_u16()))
        }
    }
}
