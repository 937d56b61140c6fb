//! `passport pause` and `passport resume`: stop an app's connection for a while.

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

/// Stop an app's connection for a while.
///
/// The app stays connected and is told that it is paused; nothing is done for it until you resume it.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    #[command(flatten)]
    target: Target,
}

/// Let a paused app go on.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
struct Target {
    /// The connection: its id, the beginning of it, or the app's label
    connection: String,
    #[command(flatten)]
    key: KeyName,
}

impl Pause {
    /// Pauses it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let (reply, label) = self.target.change(|connection| Verb::Pause { connection })?;
        confirmed(reply.status == ConnectionStatus::Paused)?;
        output.result(&reply, || format!("Paused {label}. It goes on after: passport resume {}", reply.connection))
    }
}

impl Resume {
    /// Resumes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let (reply, label) = self.target.change(|connection| Verb::Resume { connection })?;
        confirmed(reply.status != ConnectionStatus::Paused)?;
        output.result(&reply, || format!("Resumed {label} ({}).", reply.connection))
    }
}

impl Target {
    fn change(
        &self,
        verb: impl Fn(bunker_core::grant::ConnectionId) -> Verb,
    ) -> Result<(ChangeReply, String), Failure> {
        let mut session = Session::resume()?;
        let (app, key) = apps::named(&mut session, &self.connection, &self.key)?;
        let id = app.connection.connection;
        let unlocked = session.unlock()?;
        let path = format!("/keys/{}/connections/{id}", app.group);
        let reply = say(&mut session, &key, &unlocked.owner, &verb(id), |session, statement| {
            session.send(Method::Patch, &path, &OwnerStatement { statement })
        })?;
        Ok((reply, plain(&app.connection.label)))
    }
}

fn confirmed(is_so: bool) -> Result<(), Failure> {
    if is_so {
        Ok(())
    } else {
        Err(Failure::stopped("not_changed", "The server does not confirm it. See how it stands: passport apps"))
    }
}
