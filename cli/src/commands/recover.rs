//! `passport recover`: back into an account with a recovery kit.

use std::path::PathBuf;

use clap::Args;
use frost_wasm_core::kdf::KdfParams;
use passport_device::enrolment::{self, Credentials};
use serde::Serialize;

use crate::{
    failure::Failure,
    home::Home,
    kit,
    output::Output,
    platform, prompt,
    server::{Address, Call, Method, Server},
    session::Session,
    wire::{ChallengeReply, ChallengeRequest, RecoverReply, RecoverRequest},
};

/// Get back into an account with a recovery kit, and set a new password.
///
/// The kit has the account's owner key, which proves to the server that the account is yours. Every device is signed
/// out and passkeys are removed; keys and connections stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  passport recover npub1sn0wdenkuka.kit.json --server https://passport.example

Scripts set PASSPORT_KIT_PASSPHRASE, and PASSPORT_PASSWORD for the new password.")]
pub(crate) struct Recover {
    /// The recovery kit's file
    kit: PathBuf,
    /// The server, such as https://passport.example
    #[arg(long, value_name = "URL", env = "PASSPORT_SERVER")]
    server: Address,
}

#[derive(Serialize)]
struct Recovered {
    username: String,
    server: String,
    npub: String,
}

impl Recover {
    /// Recovers and signs in.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let home = Home::find()?;
        let kit = kit::read(&self.kit)?;
        let passphrase = prompt::KIT_PASSPHRASE.ask(&kit.npub())?;
        let owner = kit.open(&kit.stretch(passphrase.expose_secret())?)?.owner;
        let password = prompt::PASSWORD.choose("your account")?;
        let mut rng = platform::rng();
        let stretched = enrolment::stretch(password.expose_secret(), &KdfParams::fresh(&mut rng))?;
        let made = Credentials::new(&stretched, &owner, &mut rng)?;

        let server = Server::new(self.server);
        let owner_pubkey = owner.public_key();
        let asked = Call::new(Method::Post, "/auth/recover/challenge").json(&ChallengeRequest { owner_pubkey })?;
        let ChallengeReply { challenge } = server.ask(&asked)?;
        let origin = server.address().to_string();
        let request = RecoverRequest {
            owner_pubkey,
            challenge: &challenge,
            password: made.login_secret().expose_secret(),
            owner_blob: &made.owner_blob,
            kdf: made.kdf,
            proof: made.recover_proof(&owner, &origin, &challenge, platform::now_s(), &mut rng)?,
        };
        let reply: RecoverReply = server.ask(&Call::new(Method::Post, "/auth/recover").json(&request)?)?;
        let session = Session::open(home, server, &reply.username, &made.keys, made.kdf)?;
        let result = Recovered { username: session.username().to_owned(), server: origin, npub: kit.npub() };
        output.result(&result, || {
            format!(
                "You are back in as {} at {}, with the new password.\nOther devices were signed out, and passkeys removed.",
                result.username, result.server
            )
        })
    }
}
