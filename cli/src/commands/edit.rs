//! `passport edit`: other terms for a connection that lives.

use bunker_core::{grant::Terms, statement::Verb};
use clap::Args;

use super::apps;
use crate::{
    access::{self, Access},
    calendar::{Lifetime, Moment},
    failure::Failure,
    identity::KeyName,
    output::{Output, plain},
    platform,
    saying::say,
    server::Method,
    session::Session,
    wire::{ChangeReply, OwnerStatement},
};

/// Change what an app may do, its name here, or when it ends.
///
/// What you say about access replaces all of what it may do now, and counts begin again; so does everything that you
/// allowed for longer while approving. What you don't say stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport edit Coracle --ask everything --allow post-notes
  passport edit Coracle --label \"Coracle on the phone\" --expires 30d
  passport edit Bot --no-end --no-auth-url")]
pub(crate) struct Edit {
    /// The connection: its id, the beginning of it, or the app's label
    connection: String,
    /// Your new name for the app
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    access: Access,
    /// How often each of the allowances may be used
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// When it ends, from now: a number with m, h, d, w or y, such as 30d
    #[arg(long, value_name = "TIME", conflicts_with = "no_end")]
    expires: Option<Lifetime>,
    /// Let it last until you revoke it
    #[arg(long)]
    no_end: bool,
    /// Send the app the address of the page to approve at, when it has to wait for you
    #[arg(long, conflicts_with = "no_auth_url")]
    auth_url: bool,
    /// Don't: the app just waits
    #[arg(long)]
    no_auth_url: bool,
    #[command(flatten)]
    key: KeyName,
}

impl Edit {
    /// Changes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        if self.uses.is_some() && self.access.is_silent() {
            return Err(Failure::Usage(
                "--uses limits what is allowed: say also what that is, such as --kinds 1.".into(),
            ));
        }
        let mut session = Session::resume()?;
        let (app, key) = apps::named(&mut session, &self.connection, &self.key)?;
        let now = app.connection;
        let terms = Terms {
            label: self.label.unwrap_or(now.label),
            policy: if self.access.is_silent() { now.policy } else { self.access.policy(self.uses)? },
            expires_at: match self.expires {
                Some(lifetime) => Some(lifetime.end_s(platform::now_s())),
                None if self.no_end => None,
                None => now.expires_at,
            },
            auth_url: if self.auth_url || self.no_auth_url { self.auth_url } else { now.auth_url },
        };
        let id = now.connection;
        let unlocked = session.unlock()?;
        let path = format!("/keys/{}/connections/{id}", app.group);
        let verb = Verb::Edit { connection: id, terms: terms.clone() };
        let reply: ChangeReply = say(&mut session, &key, &unlocked.owner, &verb, |session, statement| {
            session.send(Method::Patch, &path, &OwnerStatement { statement })
        })?;
        output.result(&reply, || {
            let end = terms
                .expires_at
                .map_or_else(|| "when you revoke it".to_owned(), |unix_s| format!("{} UTC", Moment { unix_s }));
            format!(
                "Changed {} ({id}).\n  may   {}\n  ends  {end}",
                plain(&terms.label),
                access::describe(&terms.policy)
            )
        })
    }
}
