//! One holder's judgement of one request: from the client's signed event to what may be done, or why not.
//!
//! Every holder runs exactly this over the event as the client signed it. The conversation key may come from a
//! coordinator: a wrong one fails NIP-44's MAC, which the client's signature covers, so whoever decrypts has what
//! the client asked for.

use frost_wasm_core::frost::ecdh::Purpose;

use super::{
    Refusal,
    state::{Custody, HolderState},
};
use crate::{
    approval::{HOLD_MARGIN_S, Verdict},
    event::{Template, VerifiedEvent, compute_id},
    grant::{Connection, Standing},
    keys::{EventId, PublicKey},
    nip44::ConversationKey,
    nip46::{self, Call, Connect, OpenError, Plaintext, RequestError, SealError},
    policy::{Ask, Decided, Permission},
    relay::{NotTaken, recipient},
    replay::{Freshness, MAX_AGE_S, MAX_ATTEMPTS, Progress, freshness},
};

/// Longest method name in an audit record, in characters.
const MAX_AUDITED_METHOD_CHARS: usize = 32;
/// The kind of an HTTP authentication event.
///
/// <https://github.com/nostr-protocol/nips/blob/master/98.md>
const HTTP_AUTH_KIND: u16 = 27_235;
/// How far an HTTP authentication's time may lie from now, in seconds: servers take it within this time.
const HTTP_AUTH_WINDOW_S: u64 = 60;

/// What the holders do together.
#[derive(Debug)]
pub enum Operation {
    /// Each binds the client to the connection.
    Connect,
    /// Each ends the connection.
    Logout,
    /// Sign the event that this template makes with the group's key.
    Sign {
        /// The template, exactly as the client sent it.
        template: Template,
        /// The id of the event, which is the message to sign.
        id: EventId,
    },
    /// Find the shared secret with a peer and encrypt.
    Encrypt {
        /// Which encryption.
        purpose: Purpose,
        /// The other party.
        peer: PublicKey,
        /// What to encrypt.
        plaintext: Plaintext,
    },
    /// Find the shared secret with a peer and decrypt.
    Decrypt {
        /// Which encryption.
        purpose: Purpose,
        /// The other party.
        peer: PublicKey,
        /// What to decrypt.
        ciphertext: String,
    },
}

/// Why a request event gets no reply: there is no id to answer under, or no key to answer with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The relay's own checks fail.
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    /// The content does not decrypt, or holds no request with an id.
    #[error("invalid: {0}")]
    Content(OpenError),
    /// The reply could not be encrypted or signed.
    #[error("error: the reply could not be sealed: {0}")]
    Sealing(#[from] SealError),
}

/// What a request is about, for the audit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Subject {
    pub(super) method: Option<String>,
    pub(super) kind: Option<u16>,
    pub(super) peer: Option<PublicKey>,
}

pub(super) struct Judgement<'a> {
    pub(super) connection: &'a Connection,
    /// NIP-46's id, chosen by the client.
    pub(super) request_id: String,
    pub(super) subject: Subject,
    /// What the policy was asked.
    pub(super) ask: Option<Ask>,
    /// Until when it makes sense to ask the owner, Unix seconds.
    pub(super) askable_until_s: u64,
    pub(super) verdict: Result<Allowed, Refusal>,
}

pub(super) struct Allowed {
    pub(super) task: Task,
    /// Whether this request was counted under the connection's terms already.
    pub(super) is_counted: bool,
    /// The policy's rule that this uses.
    pub(super) rule: Option<usize>,
    /// Which attempt at this request it is, from 1.
    pub(super) attempt: u8,
    /// How the connection stands from now on, if that changes.
    pub(super) standing: Option<Standing>,
}

pub(super) enum Task {
    /// The bunker answers alone.
    Local(String),
    /// Holders act together.
    Joint(Operation),
}

impl HolderState {
    pub(super) fn judge(
        &self,
        event: &VerifiedEvent,
        conversation: &ConversationKey,
        now_s: u64,
    ) -> Result<Judgement<'_>, Unreadable> {
        let transport = recipient(event).ok_or(NotTaken::NoRecipient)?;
        let connection = self.connection_of(&transport).ok_or(NotTaken::UnknownRecipient)?;
        match freshness(event.created_at, now_s) {
            Freshness::Fresh => {}
            Freshness::Stale => Err(NotTaken::Stale)?,
            Freshness::Ahead => Err(NotTaken::Ahead)?,
        }
        let (request_id, subject, call) = match nip46::open_request(event, conversation) {
            Ok(request) => {
                let method = request.method.name().chars().take(MAX_AUDITED_METHOD_CHARS).collect();
                let call = request.call();
                (request.id, Subject::of(method, call.as_ref().ok()), call)
            }
            Err(OpenError::Request(nip46::BadRequest { id: Some(id), error })) => (id, Subject::default(), Err(error)),
            Err(error @ (OpenError::WrongKind | OpenError::Decrypt(_) | OpenError::Request(_))) => {
                return Err(Unreadable::Content(error));
            }
        };
        let asked = call.as_ref().ok().and_then(ask);
        let auth_until_s =
            call.as_ref().ok().and_then(http_auth_at_s).map(|at_s| at_s.saturating_add(HTTP_AUTH_WINDOW_S));
        let fresh_until_s = event.created_at.saturating_add(MAX_AGE_S - HOLD_MARGIN_S);
        let askable_until_s = fresh_until_s.min(auth_until_s.unwrap_or(u64::MAX));
        let verdict = self.allow(connection, event, call, now_s);
        Ok(Judgement { connection, request_id, subject, ask: asked, askable_until_s, verdict })
    }

    fn allow(
        &self,
        connection: &Connection,
        event: &VerifiedEvent,
        call: Result<Call, RequestError>,
        now_s: u64,
    ) -> Result<Allowed, Refusal> {
        let standing = admit_client(connection, &event.pubkey, call.as_ref().ok(), now_s)?;
        if connection.is_paused() && !matches!(call, Ok(Call::Ping)) {
            return Err(Refusal::Paused);
        }
        let call = call.map_err(|error| match error {
            RequestError::UnknownMethod(name) => Refusal::UnknownMethod(name),
            error => Refusal::BadRequest(error.to_string()),
        })?;
        let (attempts, is_counted) = match self.replay.get(&event.id).map(|seen| seen.progress) {
            Some(Progress::Admitted { attempts, terms }) => (attempts, terms == connection.terms_seq()),
            Some(Progress::Answered) | None => (0, false),
        };
        if attempts >= MAX_ATTEMPTS {
            return Err(Refusal::TooManyAttempts);
        }
        let rule = self.permit(connection, &event.id, &call, is_counted, now_s)?;
        Ok(Allowed { task: self.task(call), is_counted, rule, attempt: attempts.saturating_add(1), standing })
    }

    /// What the policy says, and where it says to ask, what the owner says. Gives the rule that is used.
    fn permit(
        &self,
        connection: &Connection,
        request: &EventId,
        call: &Call,
        is_counted: bool,
        now_s: u64,
    ) -> Result<Option<usize>, Refusal> {
        let Some(ask) = ask(call) else { return Ok(None) };
        // Also where the rules allow it: what waits for the owner's device can be denied.
        if self.is_denied(connection, request) {
            return Err(Refusal::DeniedByOwner);
        }
        let usage = self.usage_of(&connection.grant().connection);
        // What this request itself used up must not refuse its next attempt.
        let used = if is_counted { &[] } else { usage.rules.as_slice() };
        let decided = connection.terms().policy.decide(&ask, used)?;
        if http_auth_at_s(call).is_some_and(|at_s| at_s.abs_diff(now_s) > HTTP_AUTH_WINDOW_S) {
            return Err(Refusal::StaleAuth);
        }
        match decided {
            Decided::Allowed { rule } => Ok(Some(rule)),
            Decided::Asked => self.approved(connection, request, &ask, now_s).map(|()| None),
        }
    }

    /// Whether the owner approved this request, or requests like it.
    fn approved(&self, connection: &Connection, request: &EventId, ask: &Ask, now_s: u64) -> Result<(), Refusal> {
        let id = &connection.grant().connection;
        let is_approved = match self.decisions.get(request).map(|decision| decision.verdict()) {
            Some(Verdict::Approved(it)) => (&it.connection, it.method, it.kind) == (id, ask.permission, ask.kind),
            Some(Verdict::Denied { .. }) | None => false,
        };
        if is_approved || connection.allows(ask, now_s) { Ok(()) } else { Err(Refusal::NeedsApproval) }
    }

    fn is_denied(&self, connection: &Connection, request: &EventId) -> bool {
        let verdict = self.decisions.get(request).map(|decision| decision.verdict());
        matches!(verdict, Some(Verdict::Denied { connection: id, .. }) if *id == connection.grant().connection)
    }

    fn task(&self, call: Call) -> Task {
        match call {
            // Who uses a connection is recorded by each holder on a server. A device looks when it contributes.
            Call::Connect(_) | Call::Logout if self.custody() == Custody::Device => Task::Local("ack".into()),
            Call::Connect(_) => Task::Joint(Operation::Connect),
            Call::Logout => Task::Joint(Operation::Logout),
            Call::Ping => Task::Local("pong".into()),
            Call::GetPublicKey => Task::Local(self.pubkey().to_string()),
            // The word null, in a string: every connection of this bunker is on its own relay already.
            Call::SwitchRelays => Task::Local("null".into()),
            Call::SignEvent(template) => {
                let id = compute_id(&self.pubkey(), &template);
                Task::Joint(Operation::Sign { template, id })
            }
            Call::Nip04Encrypt { peer, plaintext } => {
                Task::Joint(Operation::Encrypt { purpose: Purpose::Nip04, peer, plaintext })
            }
            Call::Nip44Encrypt { peer, plaintext } => {
                Task::Joint(Operation::Encrypt { purpose: Purpose::Nip44, peer, plaintext })
            }
            Call::Nip04Decrypt { peer, ciphertext } => {
                Task::Joint(Operation::Decrypt { purpose: Purpose::Nip04, peer, ciphertext })
            }
            Call::Nip44Decrypt { peer, ciphertext } => {
                Task::Joint(Operation::Decrypt { purpose: Purpose::Nip44, peer, ciphertext })
            }
        }
    }
}

/// Whether this client may use the connection at all, and how the connection stands afterwards.
fn admit_client(
    connection: &Connection,
    client: &PublicKey,
    call: Option<&Call>,
    now_s: u64,
) -> Result<Option<Standing>, Refusal> {
    match (connection.standing(), call) {
        (Standing::Revoked { .. }, _) => Err(Refusal::Revoked),
        // Said twice, because the first reply was lost.
        (Standing::LoggedOut { client: bound }, Some(Call::Logout)) if bound == client => Ok(None),
        (Standing::LoggedOut { .. }, _) => Err(Refusal::LoggedOut),
        (Standing::AwaitingClient | Standing::Connected { .. }, _) if connection.is_expired(now_s) => {
            Err(Refusal::Expired)
        }
        (Standing::AwaitingClient, Some(Call::Connect(connect))) => bind(connection, client, connect).map(Some),
        (Standing::AwaitingClient, _) => Err(Refusal::NotConnected),
        (Standing::Connected { client: bound, .. }, call) if bound == client => match call {
            Some(Call::Connect(connect)) => rebind(connection, connect),
            Some(Call::Logout) => Ok(Some(Standing::LoggedOut { client: *client })),
            _ => Ok(None),
        },
        (Standing::Connected { .. }, Some(Call::Connect(connect))) => match &connect.secret {
            Some(secret) if connection.secret_matches(secret.expose_secret()) => Err(Refusal::SecretSpent),
            Some(_) => Err(Refusal::SecretWrong),
            None => Err(Refusal::OtherClient),
        },
        (Standing::Connected { .. }, _) => Err(Refusal::OtherClient),
    }
}

/// The first client that shows the secret; from then on the secret is spent.
fn bind(connection: &Connection, client: &PublicKey, connect: &Connect) -> Result<Standing, Refusal> {
    let secret = connect.secret.as_ref().ok_or(Refusal::SecretMissing)?;
    if !connection.secret_matches(secret.expose_secret()) {
        return Err(Refusal::SecretWrong);
    }
    let metadata = Some(connect.metadata.clone()).filter(|metadata| *metadata != Default::default());
    Ok(Standing::Connected { client: *client, metadata })
}

/// The bound client again, which clients do when they restore a session. Its key is its proof.
fn rebind(connection: &Connection, connect: &Connect) -> Result<Option<Standing>, Refusal> {
    match &connect.secret {
        Some(secret) if !connection.secret_matches(secret.expose_secret()) => Err(Refusal::SecretWrong),
        Some(_) | None => Ok(None),
    }
}

/// What the policy is asked about a call; `None` for the upkeep of the connection itself.
fn ask(call: &Call) -> Option<Ask> {
    let about_peer = |permission, peer: &PublicKey| Some(Ask { permission, kind: None, peer: Some(*peer) });
    match call {
        Call::Connect(_) | Call::Ping | Call::SwitchRelays | Call::Logout => None,
        Call::GetPublicKey => Some(Ask { permission: Permission::GetPublicKey, kind: None, peer: None }),
        Call::SignEvent(template) => {
            Some(Ask { permission: Permission::SignEvent, kind: Some(template.kind), peer: None })
        }
        Call::Nip04Encrypt { peer, .. } => about_peer(Permission::Nip04Encrypt, peer),
        Call::Nip04Decrypt { peer, .. } => about_peer(Permission::Nip04Decrypt, peer),
        Call::Nip44Encrypt { peer, .. } => about_peer(Permission::Nip44Encrypt, peer),
        Call::Nip44Decrypt { peer, .. } => about_peer(Permission::Nip44Decrypt, peer),
    }
}

/// The time of an HTTP authentication that is to be signed.
fn http_auth_at_s(call: &Call) -> Option<u64> {
    match call {
        Call::SignEvent(template) if template.kind == HTTP_AUTH_KIND => Some(template.created_at),
        _ => None,
    }
}

impl Subject {
    fn of(method: String, call: Option<&Call>) -> Self {
        let asked = call.and_then(ask);
        Self { method: Some(method), kind: asked.and_then(|ask| ask.kind), peer: asked.and_then(|ask| ask.peer) }
    }
}
