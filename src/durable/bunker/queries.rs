//! What the owner may read of a group: its description, its connections, its audit chain.

use bunker_core::{
    grant::{Connection, ConnectionId, Standing, Usage},
    relay,
};
use worker::{Headers, Request, Response};

use super::Bunker;
use crate::{
    durable::{
        holder::Holder,
        rpc::{self, PageRequest},
    },
    http::dto::{
        ActivityPage, ClientInfo, ConnectionList, ConnectionStatus, ConnectionView, GroupDescription, StatementReply,
    },
    platform,
    problem::Problem,
};

impl Bunker {
    pub(super) async fn describe(&self) -> Result<GroupDescription, Problem> {
        let holder = self.holder().await?;
        let state = holder.state();
        Ok(GroupDescription { sequence: state.last_statement().seq, public: state.identity().public.clone() })
    }

    pub(super) async fn connections(&self) -> Result<ConnectionList, Problem> {
        let holder = self.holder().await?;
        let mut connections: Vec<_> =
            holder.state().connections().map(|(connection, usage)| view(connection, &usage)).collect();
        connections.sort_by_key(|connection| connection.created_at);
        Ok(ConnectionList { connections })
    }

    pub(super) async fn activity(&self, request: &mut Request) -> Result<ActivityPage, Problem> {
        let PageRequest { after, limit } = rpc::body(request).await?;
        let holder = self.holder().await?;
        let records = holder.store().audit(after, limit)?;
        let head = holder.state().audit_head();
        let next = records.last().map(|record| record.n).filter(|n| *n < head.n);
        Ok(ActivityPage { records, head, next })
    }
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
    let client = match connection.standing() {
        Standing::Connected { metadata, .. } => metadata.clone(),
        Standing::AwaitingClient | Standing::LoggedOut { .. } | Standing::Revoked { .. } => None,
    };
    ConnectionView {
        connection: grant.connection.to_string(),
        label: terms.label.clone(),
        status: status(connection),
        transport_pubkey: grant.transport_pubkey.to_string(),
        client_pubkey: connection.client().map(ToString::to_string),
        client: client.map(|it| ClientInfo { name: it.name, url: it.url, image: it.image }),
        policy: terms.policy.clone(),
        created_at: connection.granted_at_s(),
        expires_at: terms.expires_at,
        last_seen_at: (usage.requests > 0).then_some(usage.last_seen_s),
        uses: usage.requests,
    }
}

fn status(connection: &Connection) -> ConnectionStatus {
    match connection.standing() {
        Standing::Revoked { .. } => ConnectionStatus::Revoked,
        Standing::LoggedOut { .. } => ConnectionStatus::LoggedOut,
        Standing::AwaitingClient | Standing::Connected { .. } if connection.is_expired(platform::now_s()) => {
            ConnectionStatus::Expired
        }
        Standing::AwaitingClient => ConnectionStatus::AwaitingClient,
        Standing::Connected { .. } => ConnectionStatus::Connected,
    }
}
