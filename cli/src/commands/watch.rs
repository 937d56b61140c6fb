//! `passport watch`: asks on the terminal whenever an app asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bunker_core::{approval::Remember, keys::EventId};
use clap::Args;
use passport_device::{contribution::Nonces, owner::OwnerKey};

use super::{
    approve::{Decided, Decision, decide},
    requests::{self, Waiting},
};
use crate::{
    failure::Failure,
    identity::KeyName,
    output::{self, Output, plain},
    platform, prompt,
    session::Session,
};

/// Pause between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// The same while others have to contribute to something, too. It also tells the server that this device is there.
const EVERY_WITH_OTHERS: Duration = Duration::from_secs(1);

/// How long "for an hour" is, in seconds.
const HOUR_S: u64 = 60 * 60;

/// Wait for requests and answer them here.
///
/// Each request is shown in full, and you choose: once, always or for an hour for requests like it, deny, or skip and
/// leave it waiting. Ends with Ctrl-C. Your password is asked for once, at the start.
///
/// A key in device custody needs this device for everything its apps do, also for what you allowed them when you
/// connected them. With --auto that is done without asking, so that apps work while this command runs.
///
/// Keys that others share with you are watched, too: you contribute to what the owner's rules and words let, or skip it.
/// Where several of you have to contribute, this command tells how many are at it, and goes on with other requests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport watch                  decide about each request
  passport watch --auto           let apps do what you allowed them, for keys in device custody")]
pub(crate) struct Watch {
    /// For keys in device custody: contribute to whatever an app's rules allow, without showing it or asking. This
    /// device still judges each request by the rules that you signed. What needs your approval is shown and left
    /// waiting, for `passport approve` or `passport deny`; nothing is asked here
    #[arg(long)]
    auto: bool,
    /// Answer what waits now, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    key: KeyName,
}

impl Watch {
    /// Watches until it is ended.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = self.key.with_shared(&mut session)?;
        let owner = session.unlock()?.owner;
        if !self.once {
            output.note("Waiting for requests. End with Ctrl-C.");
        }
        let mut desk = Desk { owner, left: BTreeSet::new(), told: BTreeSet::new(), begun: BTreeMap::new() };
        let mut nonces = Nonces::default();
        loop {
            let all = match requests::waiting(&mut session, &keys) {
                // It may be back at the next look.
                Err(failure) if failure.is_outcome_unknown() => {
                    output.failure(&failure);
                    Vec::new()
                }
                all => all?,
            };
            for waiting in &all {
                if !self.look_at(&mut session, &mut desk, waiting, &mut nonces, output)? {
                    return Ok(());
                }
            }
            desk.go_on(&mut session, &mut nonces, output)?;
            if self.once && desk.begun.is_empty() {
                return Ok(());
            }
            platform::pause(if desk.begun.is_empty() { EVERY } else { EVERY_WITH_OTHERS });
        }
    }

    /// Decides about a request that waits, or asks. `false` when nobody is there to be asked.
    fn look_at(
        &self,
        session: &mut Session,
        desk: &mut Desk,
        waiting: &Waiting,
        nonces: &mut Nonces,
        output: &Output,
    ) -> Result<bool, Failure> {
        let id = waiting.request.request;
        if let Some(begun) = desk.begun.get_mut(&id) {
            begun.tell(&waiting.request, output);
            return Ok(true);
        }
        if desk.left.contains(&id) {
            return Ok(true);
        }
        let is_allowed = waiting.request.is_allowed();
        let asked = match (waiting.key.owner.is_some(), self.auto, is_allowed) {
            (_, true, true) => Asked::Decided(Decision::Approve { remember: None }),
            // It may be theirs to contribute to when its owner has approved.
            (true, _, false) => {
                if desk.told.insert(id) {
                    output.note(&requests::describe(waiting, platform::now_s()));
                }
                return Ok(true);
            }
            (true, false, true) => {
                output.note(&requests::describe(waiting, platform::now_s()));
                asked_to_contribute()?
            }
            (false, true, false) => {
                output.note(&requests::describe(waiting, platform::now_s()));
                output.note(&format!("Answer with: passport approve {id}, or passport deny {id}"));
                Asked::Skip
            }
            (false, false, is_allowed) => {
                output.note(&requests::describe(waiting, platform::now_s()));
                asked(is_allowed)?
            }
        };
        match asked {
            Asked::Decided(decision) => match decide(session, &desk.owner, waiting.clone(), decision, nonces) {
                Ok(decided) if decided.is_complete => {
                    if decided.lacks_share {
                        // It goes on waiting, for others.
                        desk.left.insert(id);
                    }
                    show(&decided, output)?;
                }
                Ok(decided) => {
                    desk.begun.insert(id, decided);
                }
                // It is shown again if it still waits.
                Err(failure) if is_passing(&failure) => output.failure(&failure),
                // The other process may end before it is done.
                Err(failure) if self.auto && failure.code() == "contributing_already" => {
                    if desk.told.insert(id) {
                        output.failure(&failure);
                    }
                }
                Err(failure) if is_about_one(&failure) => {
                    output.failure(&failure);
                    desk.left.insert(id);
                }
                Err(failure) => return Err(failure),
            },
            Asked::Skip => {
                desk.left.insert(id);
            }
            Asked::Over => return Ok(false),
        }
        Ok(true)
    }
}

/// What this command is at.
struct Desk {
    owner: OwnerKey,
    /// What was skipped, or can't be done here.
    left: BTreeSet<EventId>,
    /// What was shown and waits for somebody else's word.
    told: BTreeSet<EventId>,
    /// What this device has begun to contribute to, and others have to, too.
    begun: BTreeMap<EventId, Decided>,
}

impl Desk {
    /// Goes on with each that others have to contribute to, too.
    fn go_on(&mut self, session: &mut Session, nonces: &mut Nonces, output: &Output) -> Result<(), Failure> {
        for (id, mut begun) in std::mem::take(&mut self.begun) {
            match begun.go_on(session, &self.owner, nonces) {
                Ok(()) if begun.is_complete => show(&begun, output)?,
                Ok(()) => {
                    self.begun.insert(id, begun);
                }
                // It is shown again if it still waits.
                Err(failure) if is_passing(&failure) => output.failure(&failure),
                Err(failure) if is_about_one(&failure) => {
                    output.failure(&failure);
                    self.left.insert(id);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

enum Asked {
    Decided(Decision),
    Skip,
    Over,
}

/// Settled elsewhere or run out meanwhile, other rules since it was listed, or not now.
fn is_passing(failure: &Failure) -> bool {
    failure.is_outcome_unknown() || matches!(failure.code(), "no_such_request" | "approval_needed" | "offer_gone")
}

/// Nothing comes of this request here, and others go on.
fn is_about_one(failure: &Failure) -> bool {
    matches!(
        failure.code(),
        "request_refused"
            | "request_misled"
            | "request_over"
            | "contribution_refused"
            | "contributing_already"
            | "share_not_here"
    )
}

fn asked_to_contribute() -> Result<Asked, Failure> {
    output::question("  [y]es, [s]kip? ");
    Ok(match prompt::choice("ys")? {
        Some('y') => Asked::Decided(Decision::Approve { remember: None }),
        Some(_) => Asked::Skip,
        None => Asked::Over,
    })
}

fn asked(is_allowed: bool) -> Result<Asked, Failure> {
    if is_allowed {
        output::question("  [y]es, [d]eny, [s]kip? ");
        return Ok(match prompt::choice("yds")? {
            Some('y') => Asked::Decided(Decision::Approve { remember: None }),
            Some('d') => Asked::Decided(Decision::Deny),
            Some(_) => Asked::Skip,
            None => Asked::Over,
        });
    }
    output::question("  [o]nce, [a]lways, for an [h]our, [d]eny, [s]kip? ");
    let remembered = |until| Asked::Decided(Decision::Approve { remember: Some(Remember { until }) });
    Ok(match prompt::choice("oahds")? {
        Some('o') => Asked::Decided(Decision::Approve { remember: None }),
        Some('a') => remembered(None),
        Some('h') => remembered(Some(platform::now_s().saturating_add(HOUR_S))),
        Some('d') => Asked::Decided(Decision::Deny),
        Some(_) => Asked::Skip,
        None => Asked::Over,
    })
}

fn show(decided: &Decided, output: &Output) -> Result<(), Failure> {
    decided.note(output);
    let reply = decided.reply();
    output.result(&reply, || format!("{}: {}", plain(&decided.waiting.request.label), plain(&reply.status)))
}
