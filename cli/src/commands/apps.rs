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
    wire::{AllowanceView, ConnectionList, ConnectionStatus, ConnectionView, KeyView},
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

/// Fewest characters of a connection's id that name it.
const ID_MIN_CHARS: usize = 6;

/// The connection meant: a whole id, else a label or the beginning of an id, which has to fit one only. Of several
/// with one label, those that have ended don't count.
pub(crate) fn find(name: &str, apps: Vec<App>) -> Result<App, Failure> {
    let id = |app: &App| app.connection.connection.to_string();
    let mut fitting: Vec<App> = apps
        .into_iter()
        .filter(|app| app.connection.label == name || (name.len() >= ID_MIN_CHARS && id(app).starts_with(name)))
        .collect();
    if fitting.len() > 1 {
        fitting.retain(|app| id(app) == name || is_open(app.connection.status));
    }
    match (fitting.pop(), fitting.is_empty()) {
        (Some(app), true) => Ok(app),
        (Some(last), false) => {
            fitting.push(last);
            let ids: Vec<_> = fitting.iter().map(|app| format!("  {}", id(app))).collect();
            Err(Failure::Usage(format!("Several connections fit. Give the id of one:\n{}", ids.join("\n"))))
        }
        (None, _) => Err(not_found()),
    }
}

/// The connection that a person names, and its key.
pub(crate) fn named(session: &mut Session, name: &str, key: &KeyName) -> Result<(App, KeyView), Failure> {
    let keys = key.all(session)?;
    let app = find(name, list(session, &keys)?)?;
    let key = keys.into_iter().find(|key| key.group == app.group).ok_or_else(not_found)?;
    Ok((app, key))
}

fn not_found() -> Failure {
    Failure::stopped("no_such_connection", "There is no connection of that name. See: passport apps --all")
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
        ConnectionStatus::AwaitingClient | ConnectionStatus::Connected | ConnectionStatus::Paused => true,
        ConnectionStatus::LoggedOut | ConnectionStatus::Revoked | ConnectionStatus::Expired => false,
    }
}

fn describe(app: &App) -> String {
    let it = &app.connection;
    let status = match it.status {
        ConnectionStatus::AwaitingClient => "link not used yet",
        ConnectionStatus::Connected => "connected",
        ConnectionStatus::Paused => "paused",
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
    let allowed: Vec<_> =
        it.allowances.iter().map(|it| format!("\n    may   {}, as you said", allowance(it))).collect();
    format!(
        "  {}  ({status}{calls_itself})\n    id    {}\n    may   {}{}\n    used  {} times, last {}\n    ends  {}",
        plain(&it.label),
        it.connection,
        access::describe(&it.policy),
        allowed.concat(),
        it.uses,
        moment(it.last_seen_at, "never"),
        moment(it.expires_at, "when you revoke it"),
    )
}

/// An allowance in words.
fn allowance(it: &AllowanceView) -> String {
    let kind = it.kind.map_or_else(String::new, |kind| format!(" of kind {kind}"));
    let end = it.until.map_or_else(|| "always".to_owned(), |unix_s| format!("until {} UTC", Moment { unix_s }));
    format!("{}{kind} {end}", it.method.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(id: &str, label: &str, status: &str) -> App {
        let connection = serde_json::json!({
            "connection": id, "label": label, "status": status,
            "transport_pubkey": "0".repeat(64), "client_pubkey": null, "client": null,
            "policy": {"rules": []}, "created_at": 1, "expires_at": null, "last_seen_at": null, "uses": 0,
        });
        App {
            group: frost_wasm_core::group::GroupId::from_bytes([1; 16]),
            npub: "npub1x".into(),
            connection: serde_json::from_value(connection).unwrap(),
        }
    }

    fn found(name: &str) -> Result<String, String> {
        let apps = vec![
            app("aaaaaa11111111111111111111111111", "Blog", "revoked"),
            app("aaaaaa22222222222222222222222222", "Blog", "connected"),
            app("bbbbbb33333333333333333333333333", "Chat", "awaiting_client"),
            app("cccccc44444444444444444444444444", "Chat", "connected"),
        ];
        find(name, apps).map(|app| app.connection.connection.to_string()).map_err(|failure| failure.code().to_owned())
    }

    #[test]
    fn exactly_the_connection_that_is_meant_is_found() {
        let blog = Ok("aaaaaa22222222222222222222222222".to_owned());
        assert_eq!(found("Blog"), blog);
        assert_eq!(found("aaaaaa22"), blog);
        assert_eq!(found("aaaaaa"), blog);
        let ended = "aaaaaa11111111111111111111111111";
        assert_eq!(found(ended), Ok(ended.to_owned()));
        assert_eq!(found("Chat"), Err("usage".into()));
        assert_eq!(found("aaaaa"), Err("no_such_connection".into()));
        assert_eq!(found(""), Err("no_such_connection".into()));
    }
}
