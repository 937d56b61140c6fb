//! `passport key import`: a key that exists, split on this device.

use clap::Args;
use passport_device::split::npub_of;

use super::key_create::{self, KeyOptions, NewKey};
use crate::{failure::Failure, kit::KitPath, output::Output, prompt, session::Session};

/// Split a key you have; it is read from standard input.
///
/// The key, an nsec, an ncryptsec or 64 hex characters, is never an argument, where other programs could see it; on a
/// terminal it is asked for without echo, as is the password of an ncryptsec. It never leaves this device whole. It stays as valid as before: once the recovery kit
/// is safe, remove the copies you no longer need.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  passport key import < nsec.txt")]
pub(crate) struct Import {
    #[command(flatten)]
    options: KeyOptions,
}

impl Import {
    /// Imports a key.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let secret = prompt::secret_key()?;
        let npub = npub_of(&secret)?;
        let kit = KitPath::choose(&self.options.kit_dir, &npub, 0)?;
        let owner = session.unlock()?.owner;
        let passphrase = prompt::KIT_PASSPHRASE.choose(&npub)?;
        let key = NewKey::split(&session, secret, &owner)?;
        let made = key_create::create(&mut session, &key, &owner, kit, &passphrase, &self.options.label)?;
        key_create::show(&made, output)
    }
}
