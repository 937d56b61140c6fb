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
#[derive(Debug, Args)]
pub(crate) struct Watch {
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
        let mut skipped = BTreeSet::new();
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
                if skipped.contains(&waiting.request.request) {
                    continue;
                }
                output.note(&requests::describe(waiting, platform::now_s()));
                match asked()? {
                    Asked::Decided(decision) => match decide(&mut session, &owner, waiting, decision) {
                        Ok(reply) => output.result(&reply, || said(waiting, &reply.status))?,
                        // Settled elsewhere or run out meanwhile, or not now: it is shown again if it still waits.
                        Err(failure) if failure.code() == "no_such_request" || failure.is_outcome_unknown() => {
                            output.failure(&failure);
                        }
                        Err(failure) => return Err(failure),
                    },
                    Asked::Skip => {
                        skipped.insert(waiting.request.request);
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

fn asked() -> Result<Asked, Failure> {
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
