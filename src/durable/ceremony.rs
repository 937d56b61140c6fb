//! The ceremony object: one run among several parties, which it keeps and moves on, and is trusted with nothing else.
//!
//! It passes on packages that their parties signed, keeps the rounds' deadlines by its alarm, and has the server's own
//! holders speak when it is their turn. Its rows are the machine's changes, so an eviction costs nothing. A result is
//! readable for a day; then the object empties itself.

#![allow(missing_docs)] // of the functions that the object's macro makes

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use bunker_core::keys::PublicKey;
use frost_wasm_core::{
    ceremony::{
        Failure, Kind, Package, Refused, Seat, Transcript,
        coordinator::{CoordinatorRefused, End, Limits, Mutation},
        meeting::{Change, Invitation, Invited, Meeting, MeetingRefused},
    },
    point::XOnlyKey,
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use worker::{
    DurableObject, Env, Method, Request, Response, State, WebSocket, WebSocketIncomingMessage, durable_object,
};

use super::{
    problems::{RESHARE_NOT_ASKED, failed},
    rows::Log,
    rpc::{self, CeremonyAsked, CeremonyRoute, CeremonyStart, GivenUp, PartyCall},
    sockets::{self, Purpose},
};
use crate::{
    http::dto::{CeremonyKind, CeremonyStatus, CeremonyView, ParticipantView},
    metrics::{
        self, Counter,
        labels::{self, CeremonyOutcome},
    },
    platform,
    problem::Problem,
    storage::D1Store,
    telemetry,
};

const TABLE: &str = "ceremony";
/// How soon a server-side holder that did not answer is asked again.
const ASK_AGAIN_MS: u64 = 2_000;

/// The first row; changes follow.
#[derive(Serialize, Deserialize)]
struct Begun {
    invitation: Invitation,
    limits: Limits,
    at_ms: u64,
}

/// One ceremony.
#[durable_object]
pub struct Ceremony {
    state: State,
    env: Env,
    live: RefCell<Option<Live>>,
    /// Whether a server-side holder could not be asked.
    is_owed: Cell<bool>,
}

/// The machine, and what was said in the order in which it was taken.
struct Live {
    meeting: Meeting,
    said: Vec<Package>,
    rows: usize,
    /// Server-side holders that know the end.
    told: Vec<u16>,
}

// A panic leaves the cells as they were between two steps.
impl std::panic::RefUnwindSafe for Ceremony {}

impl DurableObject for Ceremony {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, live: RefCell::default(), is_owed: Cell::default() }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        if matches!(request.method(), Method::Get) {
            let opened = self.load().and_then(|()| sockets::open(&self.state, Purpose::Events));
            return opened.or_else(|problem| rpc::answer::<()>(Err(problem)));
        }
        let answered = rpc::answer(match CeremonyRoute::of(&request.path()) {
            Some(CeremonyRoute::Start) => self.start(&mut request).await,
            Some(CeremonyRoute::Ask) => self.asked(&mut request).await,
            Some(CeremonyRoute::GiveUp) => return rpc::answer(self.given_up(&mut request).await),
            None => Err(Problem::not_found("A ceremony has no such route.")),
        });
        metrics::flush(&self.state, &self.env);
        answered
    }

    async fn websocket_message(&self, _: WebSocket, _: WebSocketIncomingMessage) -> worker::Result<()> {
        Ok(()) // a participant speaks by POST
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, _: String, _: bool) -> worker::Result<()> {
        sockets::close(&socket, code);
        Ok(())
    }

    async fn websocket_error(&self, _: WebSocket, error: worker::Error) -> worker::Result<()> {
        telemetry::failure("socket_failed", &error.to_string());
        Ok(())
    }

    async fn alarm(&self) -> worker::Result<Response> {
        let woken = self.wake().await;
        metrics::flush(&self.state, &self.env);
        woken.map_err(failed)?;
        Response::empty()
    }
}

impl Ceremony {
    async fn start(&self, request: &mut Request) -> Result<CeremonyView, Problem> {
        let CeremonyStart { invitation, limits, by } = rpc::body(request).await?;
        if self.load().is_ok() {
            return Err(Problem::internal("a ceremony id was drawn twice"));
        }
        let at_ms = platform::now_ms();
        let meeting = Meeting::start(invitation.clone(), limits, at_ms).map_err(|error| invalid(&error))?;
        self.log().append(0, &[Begun { invitation, limits, at_ms }])?;
        count(&meeting, CeremonyOutcome::Started);
        *self.live.borrow_mut() = Some(Live { meeting, said: Vec::new(), rows: 1, told: Vec::new() });
        self.drive().await;
        self.schedule().await?;
        self.view(&by, 0)
    }

    async fn asked(&self, request: &mut Request) -> Result<CeremonyView, Problem> {
        let asked: CeremonyAsked = rpc::body(request).await?;
        self.load()?;
        self.commit(&self.with(|live| live.meeting.tick(platform::now_ms()))?)?;
        let (by, after) = (asked.by(), asked.after());
        self.with(|live| live.places_of(&by).next().map(|_| ()))?.ok_or_else(absent)?;
        let changes = self.with(|live| live.changes(&asked, platform::now_ms()))??;
        self.commit(&changes)?;
        self.drive().await;
        self.schedule().await?;
        self.view(&by, after)
    }

    /// A server-side holder of its own is asked by the owner to take part in another one. Whether this one had come to its
    /// end is decided here and nowhere else.
    async fn given_up(&self, request: &mut Request) -> Result<GivenUp, Problem> {
        let number: u16 = rpc::body(request).await?;
        self.load()?;
        let changes = self.with(|live| live.meeting.cancel(number, platform::now_ms()).unwrap_or_default())?;
        self.commit(&changes)?;
        self.schedule().await?;
        self.with(|live| {
            let is_verified = live.meeting.end() == Some(End::Verified);
            GivenUp { is_verified, packages: live.said.clone() }
        })
    }

    /// The clock: a round is over, a holder is asked again, or the result was there long enough.
    async fn wake(&self) -> Result<(), Problem> {
        if self.load().is_err_and(|problem| problem.status() == http::StatusCode::NOT_FOUND) {
            return Ok(());
        }
        self.load()?;
        let now_ms = platform::now_ms();
        if self.with(|live| live.meeting.is_to_be_wiped(now_ms))? {
            // A holder that has not heard of the end goes on with its old share: it has to, before this is gone.
            self.drive().await;
            if self.is_owed.get() {
                return self.schedule().await;
            }
            let ceremony = self.with(|live| live.meeting.invitation().ceremony)?;
            D1Store::open(&self.env)?.forget_ceremony(&ceremony).await?;
            self.live.borrow_mut().take();
            return self.state.storage().delete_all().await.map_err(storage);
        }
        self.commit(&self.with(|live| live.meeting.tick(now_ms))?)?;
        self.drive().await;
        self.schedule().await
    }

    /// Has the server's own holders say what is due from them, until it is somebody else's turn. One that can't be
    /// reached is asked again by the alarm, and whenever somebody looks.
    async fn drive(&self) {
        self.is_owed.set(false);
        loop {
            let Ok(calls) = self.with(|live| live.calls()) else { return };
            let asked =
                calls.iter().map(|(holder, call)| async move { rpc::take_part(&self.env, *holder, call).await });
            let mut is_news = false;
            for ((_, call), answer) in calls.iter().zip(join_all(asked).await) {
                is_news |= self.heard(call.number, answer).unwrap_or_else(|problem| {
                    telemetry::unanswered(&problem);
                    self.is_owed.set(true);
                    false
                });
            }
            if !is_news {
                return;
            }
        }
    }

    /// Takes a server-side holder's answer; `true` when it changed something.
    fn heard(&self, number: u16, answer: Result<rpc::PartyReply, Problem>) -> Result<bool, Problem> {
        let now_ms = platform::now_ms();
        let changes = match answer {
            Ok(rpc::PartyReply { package: Some(package) }) => self
                .with(|live| live.meeting.submit(number, &package, now_ms))?
                .map_err(|error| Problem::internal(format!("the holder at {number}: {error}")))?,
            Ok(rpc::PartyReply { package: None }) => {
                self.with(|live| live.told(number))?;
                Vec::new()
            }
            // The owner's word is on its way: whoever brings it looks at the ceremony next.
            Err(problem) if problem.code() == RESHARE_NOT_ASKED => Vec::new(),
            Err(problem) if problem.status().is_client_error() => {
                // It will not take part, whatever comes. An identity that was made meanwhile is the other reason.
                self.with(|live| {
                    live.told(number);
                    live.meeting.cancel(number, now_ms).unwrap_or_default()
                })?
            }
            Err(problem) => return Err(problem),
        };
        self.commit(&changes)?;
        Ok(!changes.is_empty())
    }

    /// Stores changes, and only then applies them; tells those who listen.
    fn commit(&self, changes: &[Change]) -> Result<(), Problem> {
        if changes.is_empty() {
            return Ok(());
        }
        let rows = self.with(|live| live.rows)?;
        self.log().append(rows, changes)?;
        let next = self.with(|live| {
            let was_over = live.meeting.end().is_some();
            changes.iter().for_each(|change| live.apply(change));
            if let Some(end) = live.meeting.end().filter(|_| !was_over) {
                count(&live.meeting, CeremonyOutcome::from(&end));
            }
            live.said.len()
        })?;
        sockets::tell(&self.state, &[format!(r#"{{"type":"ceremony","next":{next}}}"#)]);
        Ok(())
    }

    /// Reads the object's rows, if it has just been made.
    fn load(&self) -> Result<(), Problem> {
        if self.live.borrow().is_some() {
            return Ok(());
        }
        let (begun, changes) = self.log().read::<Begun, Change>()?.ok_or_else(absent)?;
        let meeting = Meeting::start(begun.invitation, begun.limits, begun.at_ms).map_err(super::problems::damaged)?;
        let mut live = Live { meeting, said: Vec::new(), rows: 1, told: Vec::new() };
        changes.iter().for_each(|change| live.apply(change));
        *self.live.borrow_mut() = Some(live);
        Ok(())
    }

    fn with<T>(&self, what: impl FnOnce(&mut Live) -> T) -> Result<T, Problem> {
        self.live.borrow_mut().as_mut().map(what).ok_or_else(absent)
    }

    fn view(&self, by: &XOnlyKey, after: u64) -> Result<CeremonyView, Problem> {
        self.with(|live| live.places_of(by).next().is_some().then(|| live.view(after)))?.ok_or_else(absent)
    }

    async fn schedule(&self) -> Result<(), Problem> {
        let now_ms = platform::now_ms();
        let due_ms = self.with(|live| live.meeting.due_ms())?;
        let again_ms = now_ms + ASK_AGAIN_MS;
        let due_ms = match self.is_owed.get() {
            true if due_ms <= now_ms => again_ms,
            true => due_ms.min(again_ms),
            false => due_ms,
        };
        let wait = Duration::from_millis(due_ms.saturating_sub(now_ms));
        self.state.storage().set_alarm(wait).await.map_err(storage)
    }

    fn log(&self) -> Log {
        Log::open(self.state.storage().sql(), TABLE)
    }
}

impl Live {
    fn apply(&mut self, change: &Change) {
        self.meeting.apply(change);
        self.rows += 1;
        if let Change::Run(Mutation::Taken { package, .. }) = change {
            self.said.push(Package::clone(package));
        }
    }

    fn places_of(&self, owner: &XOnlyKey) -> impl Iterator<Item = &Invited> {
        self.meeting.invitation().parties.iter().filter(move |it| it.signing == *owner && !self.is_server(it))
    }

    /// What a participant's wish changes.
    fn changes(&self, asked: &CeremonyAsked, now_ms: u64) -> Result<Vec<Change>, Problem> {
        let is_theirs = |number: u16| self.places_of(&asked.by()).any(|it| it.number == number);
        match asked {
            CeremonyAsked::View { .. } => Ok(Vec::new()),
            CeremonyAsked::Join { keys, .. } => {
                let mut meeting = self.meeting.clone();
                let mut changes = Vec::new();
                for key in keys {
                    if !is_theirs(key.number) {
                        return Err(not_yours(key.number));
                    }
                    let joined = meeting.join(key.number, key.receiving_key, now_ms).map_err(refused)?;
                    joined.iter().for_each(|change| meeting.apply(change));
                    changes.extend(joined);
                }
                Ok(changes)
            }
            CeremonyAsked::Submit { package, .. } => {
                if !is_theirs(package.party) {
                    return Err(not_yours(package.party));
                }
                self.meeting.submit(package.party, package, now_ms).map_err(refused)
            }
            CeremonyAsked::Cancel { by } => {
                let number = self.places_of(by).next().map(|it| it.number).ok_or_else(absent)?;
                match (self.meeting.end(), self.meeting.cancel(number, now_ms)) {
                    (Some(End::Cancelled { .. }), _) => Ok(Vec::new()),
                    (_, outcome) => outcome.map_err(refused),
                }
            }
        }
    }

    /// Which of the server's own holders have something to say or to hear.
    fn calls(&self) -> Vec<(Seat, PartyCall)> {
        let Some(run) = self.meeting.run() else { return Vec::new() };
        let transcript = run.transcript();
        let over = self.meeting.end();
        let waits_for = self.meeting.waits_for();
        let is_due = |it: &Invited| match over {
            None => waits_for.contains(&it.number),
            Some(End::Verified) => !self.told.contains(&it.number),
            Some(End::Failed(_) | End::Cancelled { .. } | End::Expired { .. }) => false,
        };
        let call = |it: &Invited| {
            let holder = self.meeting.invitation().holder_of(it)?;
            let terms = (**transcript.terms()).clone();
            Some((holder, PartyCall { terms, number: it.number, packages: self.said.clone() }))
        };
        let servers = self.meeting.invitation().parties.iter().filter(|it| self.is_server(it));
        servers.filter(|it| is_due(it)).filter_map(call).collect()
    }

    fn told(&mut self, number: u16) {
        if self.meeting.end().is_some() && !self.told.contains(&number) {
            self.told.push(number);
        }
    }

    fn view(&self, after: u64) -> CeremonyView {
        let invitation = self.meeting.invitation();
        let transcript = self.meeting.run().map(|run| run.transcript());
        let end = self.meeting.end();
        let (status, reason, culprits) = match &end {
            None if transcript.is_none() => (CeremonyStatus::Joining, None, Vec::new()),
            None => (CeremonyStatus::Running, None, Vec::new()),
            Some(End::Verified) => (CeremonyStatus::Verified, None, Vec::new()),
            Some(End::Failed(failure)) => (CeremonyStatus::Failed, Some(reason(failure)), failure.culprits()),
            Some(End::Cancelled { by }) => (CeremonyStatus::Cancelled, Some("cancelled"), vec![*by]),
            Some(End::Expired { silent }) => (CeremonyStatus::Expired, Some("silent"), silent.clone()),
        };
        let result = transcript.filter(|_| status == CeremonyStatus::Verified);
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        CeremonyView {
            operation_id: invitation.ceremony,
            kind: match invitation.purpose {
                Kind::Keygen => CeremonyKind::Keygen,
                Kind::Reshare { .. } => CeremonyKind::Reshare,
            },
            status,
            group: invitation.group,
            present: match &invitation.purpose {
                Kind::Keygen => None,
                Kind::Reshare { from } => Some(from.clone()),
            },
            threshold: invitation.threshold,
            round: transcript.map_or(0, Transcript::round),
            waits_for: self.meeting.waits_for(),
            due_at: self.meeting.due_ms().div_ceil(1000),
            participants: invitation.parties.iter().filter_map(|it| self.participant(it)).collect(),
            terms: transcript.map(|it| (**it.terms()).clone()),
            packages: self.said.get(after..).unwrap_or_default().to_vec(),
            next: self.said.len() as u64,
            reason: reason.map(str::to_owned),
            culprits,
            public: result.and_then(Transcript::group).map(|group| (**group).clone()),
            proof: result.and_then(Transcript::proof).cloned(),
        }
    }

    fn participant(&self, it: &Invited) -> Option<ParticipantView> {
        let role = self.meeting.invitation().holder_of(it)?.role;
        let owner = (!role.is_on_server()).then(|| PublicKey::from_bytes(*it.signing.as_bytes()));
        let (deals, receives) = (it.deals, it.receives.map(|seat| seat.index));
        Some(ParticipantView { number: it.number, role, owner, joined: it.receiving.is_some(), deals, receives })
    }

    fn is_server(&self, it: &Invited) -> bool {
        self.meeting.invitation().holder_of(it).is_some_and(|holder| holder.role.is_on_server())
    }
}

fn reason(failure: &Failure) -> &'static str {
    match failure {
        Failure::TwoFaced(_) => "two_faced",
        Failure::Sharing { .. } => "sharing",
        Failure::BadSignature(_) => "bad_signature",
        Failure::NoGroup => "no_group",
        Failure::Tries => "interrupted",
    }
}

fn count(meeting: &Meeting, outcome: CeremonyOutcome) {
    let kind = match meeting.invitation().purpose {
        Kind::Keygen => labels::CeremonyKind::Keygen,
        Kind::Reshare { from: _ } => labels::CeremonyKind::Reshare,
    };
    metrics::count(Counter::Ceremonies { kind, outcome });
}

impl From<&End> for CeremonyOutcome {
    fn from(end: &End) -> Self {
        match end {
            End::Verified => Self::Verified,
            End::Failed(_) => Self::Failed,
            End::Cancelled { .. } => Self::Cancelled,
            End::Expired { .. } => Self::Expired,
        }
    }
}

fn refused(refused: MeetingRefused) -> Problem {
    use {CoordinatorRefused as Run, MeetingRefused as It};
    let over = || Problem::new(409, "ceremony_over", "The ceremony is over. GET it for how it ended.");
    let detail = format!("{refused}.");
    match refused {
        It::Over | It::Run(Run::Over | Run::Package(Refused::Over)) => over(),
        It::Altered(_) | It::Run(Run::Package(Refused::Altered(_))) => {
            Problem::new(409, "package_altered", format!("{detail} What was said first stands."))
        }
        It::NotMet | It::Run(Run::Package(Refused::Round { .. } | Refused::NotDue(_))) => {
            Problem::new(409, "round_over", format!("{detail} GET the ceremony and go on with what is due."))
        }
        It::NotInvited(_) | It::Run(Run::OtherSender { .. }) => Problem::forbidden("not_your_place", detail),
        It::Terms(error) => invalid(&error),
        It::Run(Run::Package(_)) => Problem::invalid("package_refused", detail),
    }
}

fn invalid(error: &frost_wasm_core::ceremony::TermsError) -> Problem {
    Problem::invalid("ceremony_invalid", format!("No key can come out of this ceremony: {error}."))
}

fn not_yours(number: u16) -> Problem {
    Problem::forbidden("not_your_place", format!("Participant {number} is somebody else. Speak for your own place."))
}

fn absent() -> Problem {
    Problem::not_found("There is no such ceremony, or you are not named in it.")
}

fn storage(error: worker::Error) -> Problem {
    Problem::unavailable(format!("a ceremony's storage failed: {error}"))
}
