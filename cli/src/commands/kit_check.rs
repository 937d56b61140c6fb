//! `passport kit check`: whether a recovery kit is the right one, and opens.

use std::path::PathBuf;

use clap::Args;
use passport_device::kit::{KitFile, OpenedKit};
use serde::Serialize;

use crate::{
    calendar::Moment,
    failure::Failure,
    identity::{self, KeyName},
    kit,
    output::Output,
    platform, prompt,
    session::Session,
    wire::KeyDetail,
};

/// After this time people are told to replace their shares, in seconds: half a year.
const RENEW_AFTER_S: u64 = 183 * 24 * 60 * 60;

/// See whether a recovery kit opens with its passphrase, and is this account's.
///
/// Nothing of it is sent to the server, and nothing is changed.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The recovery kit's file
    kit: PathBuf,
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Checked {
    npub: String,
    group: String,
    /// When the present shares were asked for, Unix seconds.
    shares_since: u64,
}

impl Check {
    /// Checks it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let kit = kit::read(&self.kit)?;
        let (_, shares_since) = opened(&kit, &self.key)?;
        let result = Checked { npub: kit.npub(), group: kit.group().to_string(), shares_since };
        output.result(&result, || {
            let advice = match platform::now_s().saturating_sub(shares_since) > RENEW_AFTER_S {
                true => "\nThey are more than half a year old. Replace them, and this kit, with: passport key refresh",
                false => "",
            };
            format!(
                "The kit opens, and is the one of {}. Keep it and its passphrase in two safe places.\nThe shares are of \
                 {} UTC.{advice}",
                result.npub,
                Moment { unix_s: shares_since }
            )
        })
    }
}

/// Opens a kit of this account, for one of its keys. Gives also since when its shares are the present ones.
pub(crate) fn opened(kit: &KitFile, name: &KeyName) -> Result<(OpenedKit, u64), Failure> {
    let mut session = Session::resume()?;
    let keys = name.all(&mut session)?;
    let owner = session.owner_pubkey().ok_or_else(|| {
        Failure::stopped("not_signed_in", "Sign in first, so that the kit can be held against your account.")
    })?;
    let passphrase = prompt::KIT_PASSPHRASE.ask(&kit.npub())?;
    let opened = kit.open(&kit.stretch(passphrase.expose_secret())?)?;
    let key = keys.iter().find(|key| key.group == kit.group()).or(keys.first());
    let key = key.ok_or_else(|| Failure::stopped("no_key", "This account has no key yet."))?;
    opened.check(&owner, &key.group)?;
    let KeyDetail { public, shares_since, .. } = identity::detail(&mut session, key)?;
    opened.check_epoch(&public)?;
    Ok((opened, shares_since))
}
