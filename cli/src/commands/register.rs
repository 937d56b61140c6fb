//! `passport register`: an account, whose owner key is made here.

use clap::Args;
use frost_wasm_core::{kdf::KdfParams, secret::SecretString};
use passport_device::{
    enrolment::{self, Credentials},
    owner::OwnerKey,
};
use serde::Serialize;

use crate::{
    failure::Failure,
    home::Home,
    output::Output,
    platform, prompt,
    server::{Address, Call, Method, Server},
    session::Session,
    wire::{RegisterReply, RegisterRequest},
};

/// Make an account on a server and sign in.
///
/// Your password never leaves this device: the server gets a login secret that is derived from it. The account's
/// owner key, which alone can say what may be done with your keys, is made here, and the server keeps it encrypted
/// under your password. Nobody can reset that password for you; the recovery kit of a key holds the owner key too.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// 3 to 32 characters of a-z, 0-9, _, . and -
    username: String,
    /// The server, such as https://passport.example
    #[arg(long, value_name = "URL", env = "PASSPORT_SERVER")]
    server: Address,
}

#[derive(Serialize)]
struct Registered {
    username: String,
    server: String,
    owner_pubkey: String,
}

impl Register {
    /// Registers and signs in.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let home = Home::find()?;
        let password = prompt::PASSWORD.choose(&self.username)?;
        let server = Server::new(self.server);
        let (session, owner) = account(home, server, &self.username, &password)?;
        let result = Registered {
            username: session.username().to_owned(),
            server: session.server().address().to_string(),
            owner_pubkey: owner.public_key().to_string(),
        };
        output.result(&result, || {
            format!(
                "Registered as {} at {}, and signed in.\nNext: passport key create, or passport key import < file",
                result.username, result.server
            )
        })
    }
}

/// Makes the account and signs this device in to it.
pub(crate) fn account(
    home: Home,
    server: Server,
    username: &str,
    password: &SecretString,
) -> Result<(Session, OwnerKey), Failure> {
    let mut rng = platform::rng();
    let stretched = enrolment::stretch(password.expose_secret(), &KdfParams::fresh(&mut rng))?;
    let owner = OwnerKey::fresh(&mut rng);
    let made = Credentials::new(&stretched, &owner, &mut rng)?;
    let origin = server.address().to_string();
    let request = RegisterRequest {
        username,
        password: made.login_secret().expose_secret(),
        owner_pubkey: owner.public_key(),
        owner_blob: &made.owner_blob,
        kdf: made.kdf,
        proof: made.register_proof(&owner, &origin, username, platform::now_s(), &mut rng)?,
    };
    let call = Call::new(Method::Post, "/auth/register").json(&request)?;
    let reply: RegisterReply = server.ask(&call)?;
    let session = Session::open(home, server, &reply.username, &made.keys, made.kdf)?;
    if session.owner_pubkey() == Some(owner.public_key()) {
        Ok((session, owner))
    } else {
        Err(Failure::stopped(
            "owner_changed",
            "The server names another owner key than the one made here. Do not use this account.",
        ))
    }
}
