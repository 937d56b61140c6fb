//! `passport connect`: one app's connection, and its link.

use bunker_core::{
    grant::{ConnectionId, Terms},
    policy::Policy,
};
use clap::{ArgGroup, Args};
use frost_wasm_core::secret::SecretString;
use passport_device::{connection::connection, owner::OwnerKey};
use serde::Serialize;

use crate::{
    access::{self, ACCESS_OPTIONS, Access},
    calendar::{Lifetime, Moment},
    failure::Failure,
    identity::{self, KeyName},
    output::{Output, plain},
    platform,
    saying::say_signed,
    server::Method,
    session::Session,
    wire::{CreateConnectionReply, CreateConnectionRequest, KeyView},
};

/// Let an app use a key: makes its bunker:// link.
///
/// The link is pasted into the app. The first app that uses it is bound to the connection; the link is then spent.
/// The app may do what you say here, and nothing else.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("access").args(ACCESS_OPTIONS).required(true).multiple(true), after_help = "\
Examples:
  passport connect --label Coracle --allow post-notes --expires 30d
  passport connect --label Inbox --allow post-notes,read-messages
  passport connect --label Client --ask everything --allow post-notes
  passport connect --label Bot --kinds 1 --uses 10
  passport connect --label Blog --methods sign_event,get_public_key --kinds 30023")]
pub(crate) struct Connect {
    /// Your name for the app
    #[arg(long)]
    label: String,
    #[command(flatten)]
    access: Access,
    /// When it ends: a number with m, h, d, w or y, such as 30d. Without it, the connection lasts until you revoke it
    #[arg(long, value_name = "TIME")]
    expires: Option<Lifetime>,
    /// How often each of the allowances may be used; learning the public key is not counted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// When the app has to wait for you, don't send it the address of the page to approve at: it just waits
    #[arg(long)]
    no_auth_url: bool,
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Connected<'a> {
    connection: ConnectionId,
    npub: &'a str,
    label: &'a str,
    bunker_url: &'a str,
    policy: &'a Policy,
    expires_at: Option<u64>,
}

/// A connection that was granted.
pub(crate) struct Granted {
    /// Its id.
    pub(crate) id: ConnectionId,
    /// The link with its secret.
    pub(crate) link: SecretString,
}

impl Connect {
    /// Makes the connection.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let terms = Terms {
            policy: self.access.policy(self.uses)?,
            expires_at: self.expires.map(|it| it.end_s(platform::now_s())),
            label: self.label,
            auth_url: !self.no_auth_url,
        };
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let unlocked = session.unlock()?;
        let granted = grant(&mut session, &key, &unlocked.owner, &terms)?;
        show(&granted, &key, &terms, output)
    }
}

/// Grants a connection and gives its link.
pub(crate) fn grant(session: &mut Session, key: &KeyView, owner: &OwnerKey, terms: &Terms) -> Result<Granted, Failure> {
    let holders = identity::holders(session.server())?;
    let path = format!("/keys/{}/connections", key.group);
    let make = |seq| Ok(connection(terms, key.group, seq, owner, &holders, platform::now_s(), &mut platform::rng())?);
    let (made, reply) = say_signed(session, key, make, |session, made| {
        let request = CreateConnectionRequest { statement: &made.statement, transport: &made.transport };
        session.send::<_, CreateConnectionReply>(Method::Post, &path, &request)
    })?;
    if reply.connection != made.id {
        return Err(Failure::stopped(
            "connection_changed",
            "The server answered about another connection than the one made here. The link is not shown.",
        ));
    }
    let id = made.id;
    Ok(Granted { id, link: made.link(&reply.bunker_url)? })
}

fn show(granted: &Granted, key: &KeyView, terms: &Terms, output: &Output) -> Result<(), Failure> {
    let result = Connected {
        connection: granted.id,
        npub: &key.npub,
        label: &terms.label,
        bunker_url: granted.link.expose_secret(),
        policy: &terms.policy,
        expires_at: terms.expires_at,
    };
    output.note("Paste this link into the app. Whoever uses it first is connected, so show it to nobody else.");
    output.result(&result, || {
        let end = terms
            .expires_at
            .map_or_else(|| "when you revoke it".to_owned(), |unix_s| format!("{} UTC", Moment { unix_s }));
        format!(
            "{}\n\n  app    {}\n  key    {}\n  may    {}\n  ends   {end}\n  id     {}",
            result.bunker_url,
            plain(&terms.label),
            identity::line(key),
            access::describe(&terms.policy),
            granted.id,
        )
    })
}
