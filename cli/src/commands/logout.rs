//! `passport logout`: ends this device's sign-in.

use clap::Args;
use serde::Serialize;

use crate::{failure::Failure, output::Output, session::Session};

/// Sign out on this device.
///
/// Apps stay connected: they have their own connections, which `passport revoke` ends.
#[derive(Debug, Args)]
pub(crate) struct Logout {}

#[derive(Serialize)]
struct SignedOut {
    username: String,
    server_told: bool,
}

impl Logout {
    /// Signs out.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let session = Session::resume()?;
        let username = session.username().to_owned();
        let server_told = session.close()?;
        if !server_told {
            output.note("The server could not be told. Its side of this sign-in ends by itself within 7 days.");
        }
        let result = SignedOut { username, server_told };
        output.result(&result, || format!("Signed out {}.", result.username))
    }
}
