//! What the owner may read of a group: its description, its connections, its audit chain.

use bunker_core::{
    approval::Pending,
    event::{Template, VerifiedEvent},
    grant::{Connection, ConnectionId, Standing, Usage},
    nip44::ConversationKey,
    nip46::{self, Call},
    relay,
    session::{Custody, HolderState},
};
use worker::{Headers, Request, Response};

use super::Bunker;
use crate::{
    durable::{
        holder::Holder,
        opened::Opened,
        problems::damaged,
        rpc::{self, PageRequest},
    },
    http::dto::{
        ActivityPage, AllowanceView, Awaited, ClientInfo, ConnectionList, ConnectionStatus, ConnectionView,
        ExportState, ExportView, GroupDescription, RequestList, RequestView, StatementReply, TemplateView,
    },
    platform,
    problem::Problem,
};

impl Bunker {
    pub(super) async fn describe(&self) -> Result<GroupDescription, Problem> {
        let holder = self.holder()?;
        let state = holder.state();
        Ok(GroupDescription {
            sequence: state.last_statement().seq,
            public: state.identity().public.clone(),
            shares_since: state.shares_since_s(),
            owner: state.identity().owner,
            members: state.identity().members.list(),
        })
    }

    pub(super) async fn connections(&self) -> Result<ConnectionList, Problem> {
        let holder = self.holder()?;
        let mut connections: Vec<_> =
            holder.state().connections().map(|(connection, usage)| view(connection, &usage)).collect();
        connections.sort_by_key(|connection| connection.created_at);
        Ok(ConnectionList { connections })
    }

    pub(super) async fn activity(&self, request: &mut Request) -> Result<ActivityPage, Problem> {
        let PageRequest { after, limit } = rpc::body(request).await?;
        let holder = self.holder()?;
        let records = holder.store().audit(after, limit)?;
        let head = holder.state().audit_head();
        let next = records.last().map(|record| record.n).filter(|n| *n < head.n);
        Ok(ActivityPage { records, head, next })
    }
}

impl Bunker {
    pub(super) async fn requests(&self) -> Result<RequestList, Problem> {
        let holder = self.holder()?;
        if holder.state().pending().next().is_none() {
            return Ok(RequestList { requests: Vec::new() });
        }
        let opened = self.open(&holder).await?;
        let waiting: Vec<Pending> = holder.state().pending().cloned().collect();
        let view = |it: &Pending| {
            let signers = self.signers(&holder, &it.event.id);
            Ok::<_, Problem>(RequestView { signers, ..request_view(&holder, &opened, it)? })
        };
        let mut requests = waiting.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        requests.sort_by_key(|request| request.held_at);
        Ok(RequestList { requests })
    }

    pub(super) async fn export(&self) -> Result<ExportView, Problem> {
        let holder = self.holder()?;
        let state = holder.state();
        let now_ms = platform::now_ms();
        Ok(match state.export(now_ms) {
            None => ExportView { state: ExportState::None, ready_at: None, statement: None },
            Some(export) => ExportView {
                state: if now_ms < export.ready_at_ms() { ExportState::Waiting } else { ExportState::Ready },
                ready_at: Some(export.ready_at_ms().div_ceil(1000)),
                statement: Some(export.statement().clone()),
            },
        })
    }
}

/// What an app asks for, read from its own event: nothing of it is kept in clear.
fn request_view(holder: &Holder, opened: &Opened, pending: &Pending) -> Result<RequestView, Problem> {
    let unreadable = |what: &dyn std::fmt::Display| damaged(format!("a waiting request: {what}"));
    let event = pending.event.clone().into_verified().map_err(|error| unreadable(&error))?;
    let transport = opened.transport(holder.store(), &pending.connection)?;
    let conversation = opened.conversation(&pending.connection, &transport, &event.pubkey)?;
    let request = nip46::open_request(&event, &conversation).map_err(|error| unreadable(&error))?;
    let call = request.call().map_err(|error| unreadable(&error))?;
    let state = holder.state();
    let connection = state.connection(&pending.connection).ok_or_else(|| unreadable(&"its connection is missing"))?;
    let mut view = RequestView {
        request: event.id.to_string(),
        connection: pending.connection.to_string(),
        label: connection.terms().label.clone(),
        client: client_info(connection),
        method: request.method.name().to_owned(),
        kind: pending.kind,
        peer: None,
        template: None,
        plaintext: None,
        ciphertext: None,
        waits_for: awaited(&state, &event, &conversation),
        signers: None,
        held_at: pending.held_at_s,
        expires_at: pending.expires_at_s,
    };
    match call {
        Call::SignEvent(Template { created_at, kind, tags, content }) => {
            view.template = Some(TemplateView { kind, content, tags, created_at });
        }
        Call::Nip04Encrypt { peer, plaintext } | Call::Nip44Encrypt { peer, plaintext } => {
            view.peer = Some(peer.to_string());
            view.plaintext = Some(plaintext.expose_secret().to_owned());
        }
        Call::Nip04Decrypt { peer, ciphertext } | Call::Nip44Decrypt { peer, ciphertext } => {
            view.peer = Some(peer.to_string());
            view.ciphertext = Some(ciphertext);
        }
        Call::Connect(_) | Call::Ping | Call::GetPublicKey | Call::SwitchRelays | Call::Logout => {}
    }
    Ok(view)
}

/// What a request waits for: the owner's word, the owner's device, or one after the other.
fn awaited(state: &HolderState, event: &VerifiedEvent, conversation: &ConversationKey) -> Vec<Awaited> {
    let device = (state.custody() == Custody::Device).then_some(Awaited::Device);
    let is_approved = matches!(state.offer(event, conversation, platform::now_s()), Ok(Ok(_)));
    let approval = (!is_approved).then_some(Awaited::Approval);
    approval.into_iter().chain(device).collect()
}

/// How a connection stands after a statement about it.
pub(super) fn statement_reply(holder: &Holder, id: &ConnectionId) -> Result<StatementReply, Problem> {
    let state = holder.state();
    let connection = state.connection(id).ok_or_else(|| Problem::internal("the statement's connection is missing"))?;
    Ok(StatementReply {
        connection: id.to_string(),
        transport_pubkey: connection.grant().transport_pubkey.to_string(),
        status: status(connection),
    })
}

/// The relay's information document. Any page may read it, as NIP-11 asks; nothing in it is anybody's.
pub(super) fn information() -> worker::Result<Response> {
    let headers = Headers::new();
    headers.set("content-type", "application/nostr+json")?;
    headers.set("access-control-allow-origin", "*")?;
    let document = relay::information(env!("CARGO_PKG_VERSION")).to_string();
    Ok(Response::ok(document)?.with_headers(headers))
}

fn view(connection: &Connection, usage: &Usage) -> ConnectionView {
    let (grant, terms) = (connection.grant(), connection.terms());
    let allowances = connection.allowances(platform::now_s()).map(|it| AllowanceView {
        method: it.method,
        kind: it.kind,
        until: it.until,
    });
    ConnectionView {
        connection: grant.connection.to_string(),
        label: terms.label.clone(),
        status: status(connection),
        transport_pubkey: grant.transport_pubkey.to_string(),
        client_pubkey: connection.client().map(ToString::to_string),
        client: client_info(connection),
        policy: terms.policy.clone(),
        auth_url: terms.auth_url,
        allowances: allowances.collect(),
        created_at: connection.granted_at_s(),
        expires_at: terms.expires_at,
        last_seen_at: (usage.requests > 0).then_some(usage.last_seen_s),
        uses: usage.requests,
    }
}

fn client_info(connection: &Connection) -> Option<ClientInfo> {
    match connection.standing() {
        Standing::Connected { metadata: Some(it), .. } => {
            Some(ClientInfo { name: it.name.clone(), url: it.url.clone(), image: it.image.clone() })
        }
        _ => None,
    }
}

fn status(connection: &Connection) -> ConnectionStatus {
    match connection.standing() {
        Standing::Revoked { .. } => ConnectionStatus::Revoked,
        Standing::LoggedOut { .. } => ConnectionStatus::LoggedOut,
        Standing::AwaitingClient | Standing::Connected { .. } if connection.is_expired(platform::now_s()) => {
            ConnectionStatus::Expired
        }
        Standing::AwaitingClient | Standing::Connected { .. } if connection.is_paused() => ConnectionStatus::Paused,
        Standing::AwaitingClient => ConnectionStatus::AwaitingClient,
        Standing::Connected { .. } => ConnectionStatus::Connected,
    }
}
