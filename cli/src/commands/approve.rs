//! `passport approve` and `passport deny`: the owner's word about one request.

use bunker_core::{
    approval::{Approval, Remember},
    statement::Verb,
};
use clap::Args;
use passport_device::owner::OwnerKey;

use super::requests::{self, Waiting};
use crate::{
    calendar::Lifetime,
    contribution::DeviceShare,
    failure::Failure,
    identity::KeyName,
    output::{Output, plain},
    platform,
    saying::say,
    server::Method,
    session::Session,
    wire::{DecideReply, OwnerStatement},
};

const APPROVED: &str = "approved";

/// Let a waiting request be carried out.
///
/// What you approve is exactly what `passport requests` shows: each holder checks your signature against the request
/// that it decrypted itself. For a key in device custody, this device contributes with its share, once it has seen for
/// itself that the app asked for what was shown and that your own rules and words let it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport approve                    when only one waits
  passport approve 5f2c1a --for 1h    and others of the same kind for an hour")]
pub(crate) struct Approve {
    /// The request: its id or the beginning of it. Not needed while only one waits
    request: Option<String>,
    /// And from now on others of this app, method and kind, without asking
    #[arg(long, conflicts_with = "lifetime")]
    always: bool,
    /// And for this long others of this app, method and kind: a number with m, h, d, w or y, such as 1h
    #[arg(long = "for", value_name = "TIME")]
    lifetime: Option<Lifetime>,
    #[command(flatten)]
    key: KeyName,
}

/// Refuse a waiting request.
///
/// The app is told that you refused. The connection stays; to end it, use `passport revoke`.
#[derive(Debug, Args)]
pub(crate) struct Deny {
    /// The request: its id or the beginning of it. Not needed while only one waits
    request: Option<String>,
    #[command(flatten)]
    key: KeyName,
}

impl Approve {
    /// Approves it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = self.key.all(&mut session)?;
        let waiting = requests::find(self.request.as_deref(), requests::waiting(&mut session, &keys)?)?;
        output.note(&requests::describe(&waiting, platform::now_s()));
        let owner = session.unlock()?.owner;
        let remember = match self.lifetime {
            Some(lifetime) => Some(Remember { until: Some(lifetime.end_s(platform::now_s())) }),
            None => self.always.then_some(Remember { until: None }),
        };
        if remember.is_some() && waiting.request.is_allowed() {
            output.note("The app's rules allow this already: there is nothing to remember.");
        }
        let reply = decide(&mut session, &owner, &waiting, Decision::Approve { remember })?;
        output.result(&reply, || format!("Approved for {}.", plain(&waiting.request.label)))
    }
}

impl Deny {
    /// Denies it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = self.key.all(&mut session)?;
        let waiting = requests::find(self.request.as_deref(), requests::waiting(&mut session, &keys)?)?;
        let owner = session.unlock()?.owner;
        let reply = decide(&mut session, &owner, &waiting, Decision::Deny)?;
        output.result(&reply, || format!("Denied to {}.", plain(&waiting.request.label)))
    }
}

/// What the owner decides about one request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Decision {
    /// It may be carried out.
    Approve {
        /// And others like it.
        remember: Option<Remember>,
    },
    /// It may not.
    Deny,
}

/// Carries out a decision.
pub(crate) fn decide(
    session: &mut Session,
    owner: &OwnerKey,
    waiting: &Waiting,
    decision: Decision,
) -> Result<DecideReply, Failure> {
    let it = &waiting.request;
    let (connection, request) = (it.connection, it.request);
    match decision {
        Decision::Approve { remember } => {
            // Before a word is said that this device can't follow up.
            let device = it.needs_device().then(|| DeviceShare::open(session, &waiting.key, owner)).transpose()?;
            let approved = if it.is_allowed() {
                DecideReply { request, status: APPROVED.into() }
            } else {
                let approval = Approval { connection, request, method: it.method, kind: it.kind, remember };
                say_decision(session, owner, waiting, &Verb::Approve(approval), ("approve", APPROVED))?
            };
            if let Some(device) = device {
                device.contribute(session, owner, it)?;
            }
            Ok(approved)
        }
        Decision::Deny => {
            say_decision(session, owner, waiting, &Verb::Deny { connection, request }, ("deny", "denied"))
        }
    }
}

/// Signs and sends the owner's word.
fn say_decision(
    session: &mut Session,
    owner: &OwnerKey,
    waiting: &Waiting,
    verb: &Verb,
    (word, status): (&str, &str),
) -> Result<DecideReply, Failure> {
    let request = waiting.request.request;
    let path = format!("/keys/{}/requests/{request}/{word}", waiting.key.group);
    let reply: DecideReply = say(session, &waiting.key, owner, verb, |session, statement| {
        session.send(Method::Post, &path, &OwnerStatement { statement })
    })?;
    if reply.request == request && reply.status == status {
        Ok(reply)
    } else {
        Err(Failure::stopped("not_decided", "The server does not confirm it. See what waits: passport requests"))
    }
}
