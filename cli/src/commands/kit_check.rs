//! `passport kit check`: whether a recovery kit is the right one, and opens.

use std::path::PathBuf;

use clap::Args;
use passport_device::kit::{KitFile, OpenedKit};
use serde::Serialize;

use crate::{
    failure::Failure,
    identity::{self, KeyName},
    kit,
    output::Output,
    prompt,
    session::Session,
};

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
}

impl Check {
    /// Checks it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let kit = kit::read(&self.kit)?;
        opened(&kit, &self.key)?;
        let result = Checked { npub: kit.npub(), group: kit.group().to_string() };
        output.result(&result, || {
            format!("The kit opens, and is the one of {}. Keep it and its passphrase in two safe places.", result.npub)
        })
    }
}

/// Opens a kit of this account, for one of its keys.
pub(crate) fn opened(kit: &KitFile, name: &KeyName) -> Result<OpenedKit, Failure> {
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
    opened.check_epoch(&identity::detail(&mut session, key)?.public)?;
    Ok(opened)
}
