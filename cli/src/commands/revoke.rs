//! `passport revoke`: ends a connection, by the owner's word.

use bunker_core::statement::Verb;
use clap::Args;

use super::apps::{self, App};
use crate::{
    device,
    failure::Failure,
    identity::{self, KeyName},
    output::{Output, plain},
    server::Method,
    session::Session,
    wire::{ConnectionStatus, RevokeReply, RevokeRequest},
};

/// Fewest characters of a connection's id that name it.
const ID_MIN_CHARS: usize = 6;

/// End an app's connection.
///
/// Every holder hears it from you, signed by your owner key, so that from then on none of them answers that app.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The connection: its id, the beginning of it, or the app's label
    connection: String,
    #[command(flatten)]
    key: KeyName,
}

impl Revoke {
    /// Ends it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = self.key.all(&mut session)?;
        let app = find(&self.connection, apps::list(&mut session, &keys)?)?;
        let id = app.connection.connection;
        if app.connection.status == ConnectionStatus::Revoked {
            let result = RevokeReply { connection: id, status: ConnectionStatus::Revoked };
            return output.result(&result, || format!("{id} was revoked before."));
        }
        let key = keys.iter().find(|key| key.group == app.group).ok_or_else(|| not_found("no connection"))?;
        let last_seq = identity::last_seq(&mut session, key)?;
        let owner = session.unlock_owner()?;
        let verb = Verb::Revoke { connection: id };
        let statement = owner.sign(app.group, device::next_seq(last_seq)?, &verb)?;
        let path = format!("/keys/{}/connections/{id}", app.group);
        let request = RevokeRequest { statement: &statement };
        let reply: RevokeReply = session.send(Method::Delete, &path, &request)?;
        if reply.connection != id || reply.status != ConnectionStatus::Revoked {
            return Err(Failure::stopped(
                "not_revoked",
                "The server does not confirm that the connection has ended. See: passport apps --all",
            ));
        }
        output.result(&reply, || format!("Revoked {} ({id}).", plain(&app.connection.label)))
    }
}

/// The connection meant: a whole id, else a label or the beginning of an id, which has to fit one only. Of several
/// with one label, those that have ended don't count.
fn find(name: &str, apps: Vec<App>) -> Result<App, Failure> {
    let id = |app: &App| app.connection.connection.to_string();
    let mut fitting: Vec<App> = apps
        .into_iter()
        .filter(|app| app.connection.label == name || (name.len() >= ID_MIN_CHARS && id(app).starts_with(name)))
        .collect();
    if fitting.len() > 1 {
        fitting.retain(|app| id(app) == name || apps::is_open(app.connection.status));
    }
    match (fitting.pop(), fitting.is_empty()) {
        (Some(app), true) => Ok(app),
        (Some(last), false) => {
            fitting.push(last);
            let ids: Vec<_> = fitting.iter().map(|app| format!("  {}", id(app))).collect();
            Err(Failure::Usage(format!("Several connections fit. Give the id of one:\n{}", ids.join("\n"))))
        }
        (None, _) => Err(not_found("no connection of that name that could be ended")),
    }
}

fn not_found(what: &str) -> Failure {
    Failure::stopped("no_such_connection", format!("There is {what}. See: passport apps --all"))
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
