//! `passport apps`: the connections of one key or of all.

use clap::Args;
use frost_wasm_core::group::GroupId;
use serde::Serialize;

use crate::{
    access,
    calendar::Moment,
    failure::Failure,
    identity::{self, KeyName},
    output::{Output, plain},
    session::Session,
    wire::{ConnectionList, ConnectionStatus, ConnectionView, KeyView},
};

/// List the apps that may use your keys.
#[derive(Debug, Args)]
pub(crate) struct Apps {
    /// Also those that have ended
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct AppList {
    connections: Vec<App>,
}

/// A connection together with its key.
#[derive(Debug, Serialize)]
pub(crate) struct App {
    /// The key's group.
    pub(crate) group: GroupId,
    /// The key.
    pub(crate) npub: String,
    /// The connection.
    #[serde(flatten)]
    pub(crate) connection: ConnectionView,
}

impl Apps {
    /// Lists them.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = self.key.all(&mut session)?;
        let mut connections = list(&mut session, &keys)?;
        connections.retain(|app| self.all || is_open(app.connection.status));
        let list = AppList { connections };
        output.result(&list, || {
            if list.connections.is_empty() {
                return "No app is connected. Connect one: passport connect --label APP --allow post-notes".into();
            }
            let of_key = |key: &KeyView| {
                let apps: Vec<_> = list.connections.iter().filter(|app| app.group == key.group).map(describe).collect();
                (!apps.is_empty()).then(|| format!("{}\n{}", identity::line(key), apps.join("\n")))
            };
            let keys: Vec<_> = keys.iter().filter_map(of_key).collect();
            keys.join("\n\n")
        })
    }
}

/// All connections of these keys.
pub(crate) fn list(session: &mut Session, keys: &[KeyView]) -> Result<Vec<App>, Failure> {
    let mut apps = Vec::new();
    for key in keys {
        let list: ConnectionList = session.get(&format!("/keys/{}/connections", key.group))?;
        apps.extend(list.connections.into_iter().map(|connection| App {
            group: key.group,
            npub: key.npub.clone(),
            connection,
        }));
    }
    Ok(apps)
}

/// True while it can be used, or will be.
pub(crate) fn is_open(status: ConnectionStatus) -> bool {
    match status {
        ConnectionStatus::AwaitingClient | ConnectionStatus::Connected => true,
        ConnectionStatus::LoggedOut | ConnectionStatus::Revoked | ConnectionStatus::Expired => false,
    }
}

fn describe(app: &App) -> String {
    let it = &app.connection;
    let status = match it.status {
        ConnectionStatus::AwaitingClient => "link not used yet",
        ConnectionStatus::Connected => "connected",
        ConnectionStatus::LoggedOut => "signed out by the app",
        ConnectionStatus::Revoked => "revoked",
        ConnectionStatus::Expired => "expired",
    };
    let calls_itself = it
        .client
        .as_ref()
        .and_then(|client| client.name.as_deref())
        .map_or_else(String::new, |name| format!(", calls itself \"{}\"", plain(name)));
    let moment = |unix_s: Option<u64>, otherwise: &str| {
        unix_s.map_or_else(|| otherwise.to_owned(), |unix_s| format!("{} UTC", Moment { unix_s }))
    };
    format!(
        "  {}  ({status}{calls_itself})\n    id    {}\n    may   {}\n    used  {} times, last {}\n    ends  {}",
        plain(&it.label),
        it.connection,
        access::describe(&it.policy),
        it.uses,
        moment(it.last_seen_at, "never"),
        moment(it.expires_at, "when you revoke it"),
    )
}
