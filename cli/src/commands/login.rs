//! `passport login`: this device gets tokens, and the owner key as the server keeps it, sealed.

use clap::Args;
use serde::Serialize;

use crate::{
    failure::Failure,
    home::Home,
    output::Output,
    owner, prompt,
    server::{Address, Call, Method, Server},
    session::{self, Session},
    wire::{ParamsReply, ParamsRequest},
};

/// Sign in on this device.
///
/// Replaces whoever was signed in here. Set PASSPORT_HOME to another folder to keep two accounts apart.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The account; without it, the one last used here
    username: Option<String>,
    /// The server; without it, the one last used here
    #[arg(long, value_name = "URL", env = "PASSPORT_SERVER")]
    server: Option<Address>,
}

#[derive(Serialize)]
struct SignedIn {
    username: String,
    server: String,
}

impl Login {
    /// Signs in.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let home = Home::find()?;
        let (last_server, last_username) = session::last_account(&home)?.unzip();
        let username = self
            .username
            .or(last_username)
            .ok_or_else(|| Failure::Usage("Name the account: passport login USERNAME --server URL".into()))?;
        let address = self
            .server
            .or(last_server)
            .ok_or_else(|| Failure::Usage("Name the server: passport login USERNAME --server URL".into()))?;
        let server = Server::new(address);
        let password = prompt::PASSWORD.ask(&username)?;
        let request = ParamsRequest { username: &username };
        let reply: ParamsReply = server.ask(&Call::new(Method::Post, "/auth/params").json(&request)?)?;
        let keys = owner::derive(&password, &reply.kdf)?;
        let session = Session::open(home, server, &username, &keys, reply.kdf)?;
        let result =
            SignedIn { username: session.username().to_owned(), server: session.server().address().to_string() };
        output.result(&result, || format!("Signed in as {} at {}.", result.username, result.server))
    }
}
