//! `passport key import`: a key that exists, split on this device.

use clap::Args;

use super::key_create::{self, KeyOptions};
use crate::{failure::Failure, output::Output, prompt, session::Session};

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
        let made = key_create::make(&mut session, secret, &self.options)?;
        key_create::show(&made, output)
    }
}
