//! `passport passwd`: another password for the account.

use clap::Args;
use frost_wasm_core::kdf::KdfParams;
use passport_device::enrolment::{self, Credentials};
use serde::Serialize;

use crate::{
    failure::Failure, output::Output, platform, prompt, server::Method, session::Session, wire::PasswordRequest,
};

/// Change the account's password.
///
/// Your keys and their shares stay as they are: only the owner key is encrypted anew. Every other device is signed
/// out. Scripts set PASSPORT_PASSWORD and PASSPORT_NEW_PASSWORD.
#[derive(Debug, Args)]
pub(crate) struct Passwd {}

#[derive(Serialize)]
struct Changed {
    username: String,
}

impl Passwd {
    /// Changes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let unlocked = session.unlock()?;
        let new = prompt::NEW_PASSWORD.choose(session.username())?;
        let mut rng = platform::rng();
        let stretched = enrolment::stretch(new.expose_secret(), &KdfParams::fresh(&mut rng))?;
        let made = Credentials::new(&stretched, &unlocked.owner, &mut rng)?;
        let request = PasswordRequest {
            current: unlocked.keys.login_secret().expose_secret(),
            password: made.login_secret().expose_secret(),
            owner_blob: &made.owner_blob,
            kdf: made.kdf,
        };
        session.tell_once(Method::Post, "/auth/password", &request).map_err(|failure| {
            if failure.is_outcome_unknown() {
                Failure::Unreachable(format!(
                    "{failure} Nobody knows whether the password was changed: sign in again, with the new one first."
                ))
            } else {
                failure
            }
        })?;
        session.reseal(made.owner_blob, made.kdf)?;
        let result = Changed { username: session.username().to_owned() };
        output.result(&result, || {
            format!("The password of {} is changed. Every other device was signed out.", result.username)
        })
    }
}
