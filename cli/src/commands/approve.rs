//! `passport approve` and `passport deny`: a person's word about one request, and their device's part in it.

use std::time::Duration;

use bunker_core::{
    approval::{Approval, Remember},
    statement::Verb,
};
use clap::Args;
use passport_device::{ceremony::Custody, contribution::Nonces, owner::OwnerKey};

use super::requests::{self, Waiting};
use crate::{
    calendar::Lifetime,
    contribution::{Claim, DeviceShare, Part},
    failure::Failure,
    identity::{self, KeyName, only_the_owner},
    output::{Output, plain},
    platform,
    saying::say,
    server::Method,
    session::Session,
    wire::{DecideReply, OwnerStatement, RequestView},
};

const APPROVED: &str = "approved";
/// Who shares a key with its owner says no word, and contributes.
const CONTRIBUTED: &str = "contributed";
/// Others did.
const NOT_NEEDED: &str = "not_needed";
/// Pause between two looks whether the others have contributed. It also tells the server that this device is there.
const EVERY: Duration = Duration::from_secs(1);
/// How many such looks there are for each at how far the others are.
const LOOKS_A_LIST: u32 = 3;
/// How far this device's clock and the server's may differ, in seconds.
const CLOCKS_DIFFER_S: u64 = 5;

/// Let a waiting request be carried out.
///
/// What you approve is exactly what `passport requests` shows: each holder checks your signature against the request
/// that it decrypted itself. For a key in device custody, this device contributes with its share, once it has seen for
/// itself that the app asked for what was shown and that your own rules and words let it.
///
/// Of a key that people share, several of them may have to contribute: this command then waits until the others have, or
/// the request's time is over. If somebody else owns the key, you contribute to what the owner's rules and words let, and
/// approve nothing yourself.
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
/// The app is told that you refused. The connection stays; to end it, use `passport revoke`. Of a key that is shared, its
/// owner alone denies; the others leave alone what they do not want to contribute to.
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
        let keys = self.key.with_shared(&mut session)?;
        let waiting = requests::find(self.request.as_deref(), requests::waiting(&mut session, &keys)?)?;
        output.note(&requests::describe(&waiting, platform::now_s()));
        let owner = session.unlock()?.owner;
        let remember = match self.lifetime {
            Some(lifetime) => Some(Remember { until: Some(lifetime.end_s(platform::now_s())) }),
            None => self.always.then_some(Remember { until: None }),
        };
        if remember.is_some() && waiting.key.owner.is_none() && waiting.request.is_allowed() {
            output.note("The app's rules allow this already: there is nothing to remember.");
        }
        let mut nonces = Nonces::default();
        let mut decided = decide(&mut session, &owner, waiting, Decision::Approve { remember }, &mut nonces)?;
        if !decided.is_complete {
            decided.wait_for_others(&mut session, &owner, &mut nonces, output)?;
        }
        decided.show(output)
    }
}

impl Deny {
    /// Denies it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = self.key.with_shared(&mut session)?;
        let waiting = requests::find(self.request.as_deref(), requests::waiting(&mut session, &keys)?)?;
        may_decide(&waiting, Decision::Deny)?;
        let owner = session.unlock()?.owner;
        decide(&mut session, &owner, waiting, Decision::Deny, &mut Nonces::default())?.show(output)
    }
}

/// What a person decides about one request.
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

/// A request that was decided.
pub(crate) struct Decided {
    /// The request.
    pub(crate) waiting: Waiting,
    /// Whether it is done; otherwise other people's devices have to contribute, and this one stays for them.
    pub(crate) is_complete: bool,
    reply: DecideReply,
    /// Whether this device has a part in it.
    has_part: bool,
    told: String,
    /// Whether this device has said the owner's word, and has no share to contribute with.
    pub(crate) lacks_share: bool,
    /// Until then no other process of this device is at it.
    _claim: Option<Claim>,
}

/// Carries out a decision. `nonces` have to be there when this device [goes on](Decided::go_on) with it.
pub(crate) fn decide(
    session: &mut Session,
    owner: &OwnerKey,
    waiting: Waiting,
    decision: Decision,
    nonces: &mut Nonces,
) -> Result<Decided, Failure> {
    may_decide(&waiting, decision)?;
    let it = &waiting.request;
    let (connection, request) = (it.connection, it.request);
    let (mut claim, mut lacks_share) = (None, false);
    let (reply, part) = match decision {
        Decision::Approve { remember } => {
            // Before a word is said that this device can't follow up.
            let device = it.needs_device().then(|| DeviceShare::open(session, &waiting.key, owner)).transpose();
            let device = match device {
                Err(failure) if failure.code() == "share_not_here" && may_leave_it(session, &waiting)? => {
                    lacks_share = true;
                    None
                }
                device => device?,
            };
            if let Some(device) = &device {
                claim = device.claim(&request)?;
            }
            let reply = if waiting.key.owner.is_some() {
                DecideReply { request, status: CONTRIBUTED.into() }
            } else if it.is_allowed() {
                DecideReply { request, status: APPROVED.into() }
            } else {
                let approval = Approval { connection, request, method: it.method, kind: it.kind, remember };
                say_decision(session, owner, &waiting, &Verb::Approve(approval), ("approve", APPROVED))?
            };
            let part = match device {
                Some(device) => device.contribute(session, owner, it, nonces)?,
                None => Part::Answered,
            };
            (reply, part)
        }
        Decision::Deny => {
            let verb = Verb::Deny { connection, request };
            (say_decision(session, owner, &waiting, &verb, ("deny", "denied"))?, Part::Answered)
        }
    };
    let (is_complete, has_part) = (part == Part::Answered, part != Part::Spare);
    Ok(Decided { waiting, is_complete, reply, has_part, told: String::new(), lacks_share, _claim: claim })
}

impl Decided {
    /// Goes on with a request that others have to contribute to, too.
    ///
    /// # Errors
    /// `request_over` when its time ran out before; or what else stops this device.
    pub(crate) fn go_on(
        &mut self,
        session: &mut Session,
        owner: &OwnerKey,
        nonces: &mut Nonces,
    ) -> Result<(), Failure> {
        let step = DeviceShare::open(session, &self.waiting.key, owner)
            .and_then(|device| device.contribute(session, owner, &self.waiting.request, nonces));
        match step {
            Ok(part) => {
                self.is_complete = part == Part::Answered;
                self.has_part = part != Part::Spare;
            }
            Err(failure) if failure.code() == "no_such_request" => {
                has_gone(&self.waiting, platform::now_s())?;
                self.is_complete = true;
            }
            // Nobody knows, so this device asks again while there is time.
            Err(failure) if failure.is_outcome_unknown() && platform::now_s() < self.waiting.request.expires_at => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Tells how far the others are, if that is new.
    pub(crate) fn tell(&mut self, now: &RequestView, output: &Output) {
        let label = plain(&now.label);
        let stand = match requests::progress(now) {
            Some(progress) => format!("{label}: {progress}. Waiting for the others …"),
            None => format!("{label}: waiting for another device …"),
        };
        if stand != self.told {
            output.note(&stand);
            self.told = stand;
        }
    }

    /// Tells what is left to do, if that is for other devices alone.
    pub(crate) fn note(&self, output: &Output) {
        if self.lacks_share {
            output.note("This device has no share of the key, so the devices of others have to contribute now.");
        }
    }

    /// What came of it.
    pub(crate) fn reply(&self) -> DecideReply {
        let DecideReply { request, status } = &self.reply;
        let was_spare = status == CONTRIBUTED && !self.has_part;
        DecideReply { request: *request, status: if was_spare { NOT_NEEDED } else { status }.to_owned() }
    }

    fn show(&self, output: &Output) -> Result<(), Failure> {
        self.note(output);
        let (reply, label) = (self.reply(), plain(&self.waiting.request.label));
        output.result(&reply, || match reply.status.as_str() {
            APPROVED => format!("Approved for {label}."),
            CONTRIBUTED => format!("Contributed for {label}."),
            NOT_NEEDED => format!("Others contributed for {label}."),
            _ => format!("Denied to {label}."),
        })
    }

    /// Stays until the others have contributed.
    fn wait_for_others(
        &mut self,
        session: &mut Session,
        owner: &OwnerKey,
        nonces: &mut Nonces,
        output: &Output,
    ) -> Result<(), Failure> {
        let key = [self.waiting.key.clone()];
        let mut looks = 0_u32;
        while !self.is_complete {
            if looks.is_multiple_of(LOOKS_A_LIST) {
                // Only to tell how far it is.
                let now = requests::waiting(session, &key).unwrap_or_default();
                if let Some(now) = now.iter().find(|it| it.request.request == self.waiting.request.request) {
                    self.tell(&now.request, output);
                }
            }
            looks = looks.wrapping_add(1);
            platform::pause(EVERY);
            self.go_on(session, owner, nonces)?;
        }
        Ok(())
    }
}

/// A request that this device was at does not wait any more: the others have contributed, or its time is over.
pub(crate) fn has_gone(waiting: &Waiting, now_s: u64) -> Result<(), Failure> {
    // The server ends it by its own clock.
    if now_s.saturating_add(CLOCKS_DIFFER_S) < waiting.request.expires_at {
        return Ok(());
    }
    Err(Failure::stopped(
        "request_over",
        "Its time was over before enough of you had contributed, so the app got an error. Let the app ask again while \
         enough of you are there: passport watch",
    ))
}

/// Whether an owner's word is of use without this device's share: others share the key, and can contribute.
fn may_leave_it(session: &mut Session, waiting: &Waiting) -> Result<bool, Failure> {
    if waiting.key.owner.is_some() || waiting.request.is_allowed() {
        return Ok(false);
    }
    Ok(Custody::is_shared(&identity::detail(session, &waiting.key)?.public))
}

/// Refuses what the owner of a shared key alone does.
fn may_decide(waiting: &Waiting, decision: Decision) -> Result<(), Failure> {
    let Some(owner) = &waiting.key.owner else { return Ok(()) };
    match decision {
        Decision::Deny => Err(only_the_owner(
            owner,
            "denies requests of a shared key. If you do not want to contribute, leave it alone: it ends by itself",
        )),
        Decision::Approve { remember: Some(_) } => {
            Err(only_the_owner(owner, "allows apps more than this once. Run this without --always and --for"))
        }
        Decision::Approve { remember: None } if !waiting.request.is_allowed() => Err(Failure::stopped(
            "approval_needed",
            format!(
                "The owner of the key has not approved this yet. When they have, run this again. Ask them: {owner}"
            ),
        )),
        Decision::Approve { remember: None } => Ok(()),
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

#[cfg(test)]
mod tests {
    use bunker_core::keys::PublicKey;

    use super::*;
    use crate::{commands::requests::tests::waiting, wire::Awaited};

    #[test]
    fn who_shares_a_key_contributes_to_what_is_allowed_and_decides_nothing() {
        let mut it = waiting("ab", "one");
        let code = |it: &Waiting, decision| may_decide(it, decision).map_err(|failure| failure.code().to_owned());
        let (once, always) =
            (Decision::Approve { remember: None }, Decision::Approve { remember: Some(Remember { until: None }) });
        for decision in [once, always, Decision::Deny] {
            assert_eq!(code(&it, decision), Ok(()));
        }
        it.key.owner = Some(PublicKey::from_bytes([9; 32]));
        assert_eq!(code(&it, once), Err("approval_needed".into()));
        it.request.waits_for = vec![Awaited::Device];
        assert_eq!(code(&it, once), Ok(()));
        assert_eq!(code(&it, always), Err("only_the_owner".into()));
        assert_eq!(code(&it, Decision::Deny), Err("only_the_owner".into()));
    }

    #[test]
    fn a_request_that_is_gone_was_answered_if_it_still_had_time() {
        let it = waiting("ab", "one");
        assert_eq!(has_gone(&it, it.request.expires_at - 60), Ok(()));
        for now_s in [it.request.expires_at - 1, it.request.expires_at + 1] {
            assert_eq!(has_gone(&it, now_s).unwrap_err().code(), "request_over");
        }
    }
}
