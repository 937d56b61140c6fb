//! `passport account delete`: the end of an account.

use clap::Args;
use serde::Serialize;

use crate::{failure::Failure, output::Output, server::Method, session::Session};

/// Delete your account on the server.
///
/// Keys have to be deleted before: see `passport key delete`. There is no way back.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The account's name, to show that you mean it
    #[arg(long, value_name = "USERNAME")]
    confirm: String,
}

#[derive(Serialize)]
struct Deleted {
    username: String,
}

impl Delete {
    /// Deletes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let username = session.username().to_owned();
        if self.confirm != username {
            return Err(Failure::Usage(format!("Signed in is {username}: --confirm names another account.")));
        }
        let unlocked = session.unlock()?;
        session.sensitive(&unlocked.keys, |session| session.tell::<()>(Method::Delete, "/account", None))?;
        session.forget()?;
        let result = Deleted { username };
        output.result(&result, || format!("The account {} is gone.", result.username))
    }
}
