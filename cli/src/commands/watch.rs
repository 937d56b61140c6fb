//! `passport watch`: asks on the terminal whenever an app asks.

use std::{collections::BTreeSet, time::Duration};

use bunker_core::approval::Remember;
use clap::Args;

use super::{
    approve::{Decision, decide},
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

/// How long "for an hour" is, in seconds.
const HOUR_S: u64 = 60 * 60;

/// Wait for requests and answer them here.
///
/// Each request is shown in full, and you choose: once, always or for an hour for requests like it, deny, or skip and
/// leave it waiting. Ends with Ctrl-C. Your password is asked for once, at the start.
///
/// A key in device custody needs this device for everything its apps do, also for what you allowed them when you
/// connected them. With --auto that is done without asking, so that apps work while this command runs.
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
        let keys = self.key.all(&mut session)?;
        let owner = session.unlock()?.owner;
        if !self.once {
            output.note("Waiting for requests. End with Ctrl-C.");
        }
        let mut left = BTreeSet::new();
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
                let id = waiting.request.request;
                if left.contains(&id) {
                    continue;
                }
                let asked = match (self.auto, waiting.request.is_allowed()) {
                    (true, true) => Asked::Decided(Decision::Approve { remember: None }),
                    (true, false) => {
                        output.note(&requests::describe(waiting, platform::now_s()));
                        output.note(&format!("Answer with: passport approve {id}, or passport deny {id}"));
                        Asked::Skip
                    }
                    (false, is_allowed) => {
                        output.note(&requests::describe(waiting, platform::now_s()));
                        asked(is_allowed)?
                    }
                };
                match asked {
                    Asked::Decided(decision) => match decide(&mut session, &owner, waiting, decision) {
                        Ok(reply) => output.result(&reply, || said(waiting, &reply.status))?,
                        // It is shown again if it still waits.
                        Err(failure) if is_passing(&failure) => output.failure(&failure),
                        Err(failure) if is_about_one(&failure) => {
                            output.failure(&failure);
                            left.insert(id);
                        }
                        Err(failure) => return Err(failure),
                    },
                    Asked::Skip => {
                        left.insert(id);
                    }
                    Asked::Over => return Ok(()),
                }
            }
            if self.once {
                return Ok(());
            }
            platform::pause(EVERY);
        }
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
    matches!(failure.code(), "request_refused" | "request_misled" | "contribution_refused" | "share_not_here")
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

fn said(waiting: &Waiting, status: &str) -> String {
    format!("{}: {}", plain(&waiting.request.label), plain(status))
}
