//! `passport revoke`: ends a connection, by the owner's word.

use bunker_core::statement::Verb;
use clap::Args;

use super::apps;
use crate::{
    failure::Failure,
    identity::KeyName,
    output::{Output, plain},
    saying::say,
    server::Method,
    session::Session,
    wire::{ChangeReply, ConnectionStatus, OwnerStatement},
};

/// End an app's connection.
///
/// Every holder hears it from you, signed by your owner key, so that from then on none of them answers that app.
/// To stop it for a while only, use `passport pause`.
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
        let (app, key) = apps::named(&mut session, &self.connection, &self.key)?;
        let id = app.connection.connection;
        if app.connection.status == ConnectionStatus::Revoked {
            let result = ChangeReply { connection: id, status: ConnectionStatus::Revoked };
            return output.result(&result, || format!("{id} was revoked before."));
        }
        let unlocked = session.unlock()?;
        let path = format!("/keys/{}/connections/{id}", app.group);
        let reply: ChangeReply =
            say(&mut session, &key, &unlocked.owner, &Verb::Revoke { connection: id }, |session, statement| {
                session.send(Method::Delete, &path, &OwnerStatement { statement })
            })?;
        if reply.connection != id || reply.status != ConnectionStatus::Revoked {
            return Err(Failure::stopped(
                "not_revoked",
                "The server does not confirm that the connection has ended. See: passport apps --all",
            ));
        }
        output.result(&reply, || format!("Revoked {} ({id}).", plain(&app.connection.label)))
    }
}
