//! `passport kit renew`: the same recovery kit under another passphrase.

use std::path::PathBuf;

use clap::Args;
use frost_wasm_core::kdf::KdfParams;
use passport_device::enrolment;
use serde::Serialize;

use super::kit_check::opened;
use crate::{
    failure::Failure,
    identity::KeyName,
    kit::{self, KitPath},
    output::Output,
    platform, prompt,
};

/// Make a recovery kit again, under another passphrase.
///
/// The old file opens with the old passphrase as before: destroy every copy of it once the new one is safe. Scripts
/// set PASSPORT_KIT_PASSPHRASE and PASSPORT_NEW_KIT_PASSPHRASE.
#[derive(Debug, Args)]
pub(crate) struct Renew {
    /// The recovery kit's file
    kit: PathBuf,
    /// The folder for the new kit. A kit is never written over another
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    kit_dir: PathBuf,
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Renewed<'a> {
    npub: &'a str,
    recovery_kit: &'a std::path::Path,
}

impl Renew {
    /// Makes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let kit = kit::read(&self.kit)?;
        let npub = kit.npub();
        let path = KitPath::choose(&self.kit_dir, &npub, kit.epoch())?;
        let (opened, _) = opened(&kit, &self.key)?;
        let passphrase = prompt::NEW_KIT_PASSPHRASE.choose(&npub)?;
        let mut rng = platform::rng();
        let stretched = enrolment::stretch(passphrase.expose_secret(), &KdfParams::fresh(&mut rng))?;
        let file = path.keep(&opened.renew(&stretched, &mut rng)?, &passphrase, &opened.owner)?;
        let result = Renewed { npub: &npub, recovery_kit: file.path() };
        output.result(&result, || {
            format!(
                "The new kit of {npub} is {}.\nOnce it is safe, destroy every copy of the old one: it still opens with \
                 the old passphrase.",
                file.path().display()
            )
        })
    }
}
