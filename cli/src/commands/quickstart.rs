//! `passport quickstart`: account, key and connection in one go.

use std::path::PathBuf;

use bunker_core::{grant::Terms, keys::PublicKey, policy::Policy};
use clap::Args;
use frost_wasm_core::secret::SecretString;
use passport_device::split::npub_of;
use serde::Serialize;

use super::{
    connect,
    key_create::{self, Custody, NewKey},
    register,
};
use crate::{
    failure::Failure,
    home::Home,
    kit::KitFolder,
    output::Output,
    platform, prompt,
    server::{Address, Server},
    session,
};

/// Make an account, a key and a connection in one go, to try things out.
///
/// The account gets a random name. Password and kit passphrase are taken from PASSPORT_PASSWORD and
/// PASSPORT_KIT_PASSPHRASE; those that are not set are made up and shown once, on standard error. The connection
/// allows its app everything and has no end. This device is then signed in to the new account; set PASSPORT_HOME to
/// keep another sign-in.
#[derive(Debug, Args)]
#[command(after_help = "\
With --json, standard output is one object:
  {\"username\", \"npub\", \"pubkey\", \"bunker_url\", \"recovery_kit\"}

Examples:
  passport quickstart --server http://127.0.0.1:8787
  passport quickstart --server http://127.0.0.1:8787 --import < nsec.txt")]
pub(crate) struct Quickstart {
    /// The server, such as http://127.0.0.1:8787
    #[arg(long, value_name = "URL", env = "PASSPORT_SERVER")]
    server: Address,
    /// Split a key you have instead of a new one: an nsec, an ncryptsec or 64 hex characters from standard input
    #[arg(long)]
    import: bool,
    /// The folder for the recovery kit
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    kit_dir: PathBuf,
}

#[derive(Serialize)]
struct Ready<'a> {
    username: &'a str,
    npub: &'a str,
    pubkey: PublicKey,
    bunker_url: &'a str,
    recovery_kit: &'a PathBuf,
}

impl Quickstart {
    /// Makes all of it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let folder = KitFolder::find(&self.kit_dir)?;
        let imported = if self.import { Some(prompt::secret_key()?) } else { None };
        if let Some(secret) = &imported {
            folder.kit(&npub_of(secret)?, 0)?;
        }
        let (password, is_password_made) = prompt::PASSWORD.choose_or_make()?;
        let (passphrase, is_passphrase_made) = prompt::KIT_PASSPHRASE.choose_or_make()?;
        let home = Home::find()?;
        let before = session::last_account(&home)?;

        let username = username();
        output.note(&format!("Making the account {username} …"));
        let server = Server::new(self.server);
        let (mut session, owner) = register::account(home, server, &username, &password)?;
        if is_password_made {
            tell_once(output, "Password of the account", &password);
        }
        if let Some((server, username)) = before {
            output.note(&format!("This device was last signed in as {username} at {server}, and now is not any more."));
        }

        // Before anything can go wrong: a kit without its passphrase would be lost.
        if is_passphrase_made {
            tell_once(output, "Passphrase of the recovery kit", &passphrase);
        }
        let key = match imported {
            Some(secret) => NewKey::split(&session, secret, &owner)?,
            None => {
                let outcome = key_create::with_holders(&mut session, &owner, Custody::Hosted, output)?;
                NewKey::made(&session, outcome, &owner)?
            }
        };
        output.note("Writing the recovery kit …");
        let kit = folder.kit(&key.npub(), 0)?;
        let made = key_create::create(&mut session, &key, &owner, kit, &passphrase, "Quickstart")?;

        output.note("Making a connection that allows everything …");
        let terms =
            Terms { label: "Quickstart".into(), policy: Policy::everything(), expires_at: None, auth_url: true };
        let granted = connect::grant(&mut session, &made.view, &owner, &terms)?;
        let ready = Ready {
            username: session.username(),
            npub: &made.npub,
            pubkey: made.pubkey,
            bunker_url: granted.link.expose_secret(),
            recovery_kit: &made.recovery_kit,
        };
        output.result(&ready, || {
            format!(
                "{}\n\n  account       {}\n  key           {}\n  recovery kit  {}\n\n\
                 Paste the bunker:// link into an app. Whoever uses it first is connected, and may do everything.",
                ready.bunker_url,
                ready.username,
                ready.npub,
                ready.recovery_kit.display()
            )
        })
    }
}

fn tell_once(output: &Output, what: &str, secret: &SecretString) {
    output.note(&format!(
        "{what}, shown this once: {}\n  Write it down and keep it: nobody can tell or reset it.",
        secret.expose_secret()
    ));
}

/// A name that nobody has: 64 random bits.
fn username() -> String {
    format!("quick-{:016x}", u64::from_be_bytes(platform::random_bytes()))
}
