//! `passport connect`: one app's connection, and its link.

use bunker_core::{grant::ConnectionId, policy::Policy};
use clap::Args;
use frost_wasm_core::secret::SecretString;
use serde::Serialize;

use crate::{
    access::{self, Access},
    calendar::{Lifetime, Moment},
    device::{self, Wish},
    failure::Failure,
    identity::{self, KeyName},
    output::{Output, plain},
    owner::OwnerKey,
    platform,
    server::Method,
    session::Session,
    wire::{CreateConnectionReply, CreateConnectionRequest, KeyView},
};

/// Let an app use a key: makes its bunker:// link.
///
/// The link is pasted into the app. The first app that uses it is bound to the connection; the link is then spent.
/// The app may do what you say here, and nothing else.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport connect --label Coracle --allow post-notes --expires 30d
  passport connect --label Inbox --allow post-notes,read-messages
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
        let wish = Wish {
            policy: self.access.policy(self.uses)?,
            expires_at: self.expires.map(|it| it.end_s(platform::now_s())),
            label: self.label,
        };
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let last_seq = identity::last_seq(&mut session, &key)?;
        let owner = session.unlock_owner()?;
        let granted = grant(&mut session, &key.group, last_seq, &owner, &wish)?;
        show(&granted, &key, &wish, output)
    }
}

/// Grants a connection and gives its link.
pub(crate) fn grant(
    session: &mut Session,
    group: &frost_wasm_core::group::GroupId,
    last_seq: u64,
    owner: &OwnerKey,
    wish: &Wish,
) -> Result<Granted, Failure> {
    let holders = identity::holders(session.server())?;
    let made = device::connection(wish, *group, last_seq, owner, &holders)?;
    let id = made.id;
    let request = CreateConnectionRequest { statement: &made.statement, transport: &made.transport };
    let path = format!("/keys/{group}/connections");
    let reply: CreateConnectionReply = session.send(Method::Post, &path, &request)?;
    if reply.connection != id {
        return Err(Failure::stopped(
            "connection_changed",
            "The server answered about another connection than the one made here. The link is not shown.",
        ));
    }
    let link = made.link(&reply.bunker_url)?;
    Ok(Granted { id, link })
}

fn show(granted: &Granted, key: &KeyView, wish: &Wish, output: &Output) -> Result<(), Failure> {
    let result = Connected {
        connection: granted.id,
        npub: &key.npub,
        label: &wish.label,
        bunker_url: granted.link.expose_secret(),
        policy: &wish.policy,
        expires_at: wish.expires_at,
    };
    output.note("Paste this link into the app. Whoever uses it first is connected, so show it to nobody else.");
    output.result(&result, || {
        let end = wish
            .expires_at
            .map_or_else(|| "when you revoke it".to_owned(), |unix_s| format!("{} UTC", Moment { unix_s }));
        format!(
            "{}\n\n  app    {}\n  key    {}\n  may    {}\n  ends   {end}\n  id     {}",
            result.bunker_url,
            plain(&wish.label),
            identity::line(key),
            access::describe(&wish.policy),
            granted.id,
        )
    })
}
