//! The command line: what can be typed, and what is said about it.
//!
//! No argument ever takes a secret, since arguments are seen by other users and kept by the shell. One that is
//! typed anyway is refused without being repeated.

use std::{ffi::OsString, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{commands as c, output};

/// Arguments at least this long, in bytes, are not repeated in error messages: a pasted key or password may be one.
const QUOTED_MAX_BYTES: usize = 24;

/// Your Nostr key, split so that no server ever has it, for every app that speaks NIP-46.
#[derive(Debug, Parser)]
#[command(
    name = "passport",
    version,
    propagate_version = false,
    disable_help_subcommand = true,
    after_help = "\
A first session:
  passport register alice --server https://passport.example
  passport key create                          make a key; or `passport key import < nsec.txt`
  passport connect --label Coracle --allow post-notes
  passport apps                                what is connected
  passport watch                               answer apps that have to ask
  passport activity                            what was done, with proof that nothing was changed

Just trying?  passport quickstart --server http://127.0.0.1:8787

Passwords are asked for without echo. Scripts set PASSPORT_PASSWORD and PASSPORT_KIT_PASSPHRASE instead.
Files are kept in $PASSPORT_HOME, or else in the system's configuration folder.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage."
)]
pub(crate) struct Cli {
    /// Print one JSON value to standard output and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the client can do. What is said about each command stands with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Register(c::register::Register),
    Login(c::login::Login),
    Logout(c::logout::Logout),
    Passwd(c::passwd::Passwd),
    Recover(c::recover::Recover),
    #[command(subcommand)]
    Sessions(c::sessions::Sessions),
    #[command(subcommand)]
    Passkey(c::passkey::Passkey),
    /// End your account
    #[command(subcommand)]
    Account(Account),
    /// Make, import, list, refresh, share and delete keys (Nostr identities)
    #[command(subcommand)]
    Key(Key),
    /// Check and renew recovery kits
    #[command(subcommand)]
    Kit(Kit),
    /// Make a key and share it with other people
    #[command(subcommand)]
    Ceremony(Ceremony),
    #[command(subcommand)]
    Export(c::export::Export),
    Connect(c::connect::Connect),
    Apps(c::apps::Apps),
    Edit(c::edit::Edit),
    Pause(c::pause::Pause),
    Resume(c::pause::Resume),
    Revoke(c::revoke::Revoke),
    Requests(c::requests::Requests),
    Approve(c::approve::Approve),
    Deny(c::approve::Deny),
    Watch(c::watch::Watch),
    Activity(c::activity::Activity),
    Quickstart(c::quickstart::Quickstart),
    #[command(subcommand)]
    Operator(c::operator::Operator),
    #[command(subcommand)]
    Audit(c::audit_verify::Audit),
}

/// What can be done about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    Create(c::key_create::Create),
    Import(c::key_import::Import),
    List(c::key_list::List),
    Refresh(c::key_refresh::Refresh),
    Join(c::key_join::Join),
    People(c::key_people::People),
    Delete(c::key_delete::Delete),
}

/// What can be done about recovery kits.
#[derive(Debug, Subcommand)]
pub(crate) enum Kit {
    Check(c::kit_check::Check),
    Renew(c::kit_renew::Renew),
}

/// What can be done about ceremonies, in which people make a key or get new shares of it.
#[derive(Debug, Subcommand)]
pub(crate) enum Ceremony {
    Start(c::ceremony_start::Start),
    Join(c::ceremony_join::Join),
    List(c::ceremony_list::List),
    Cancel(c::ceremony_cancel::Cancel),
}

/// What can be done about the account.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    Delete(c::account_delete::Delete),
}

/// The command line asked for no command.
pub(crate) enum Stop {
    /// Help, a version, or an error in clap's words, which repeat nothing long.
    Clap(clap::Error),
    /// An error whose text had to be changed, or one of ours.
    Usage(String),
}

impl Stop {
    /// Prints it and gives the exit code.
    pub(crate) fn show(self) -> ExitCode {
        match self {
            Self::Clap(error) => output::clap(&error),
            Self::Usage(text) => output::usage(&text),
        }
    }
}

/// Parses the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Stop> {
    let args: Vec<OsString> = args.into_iter().collect();
    let texts: Vec<String> = args.iter().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let is_secret = |text: &String| {
        let text = text.to_ascii_lowercase();
        text.contains("nsec1") || text.contains("ncryptsec1")
    };
    if texts.iter().any(is_secret) {
        return Err(Stop::Usage(
            "There is a secret key on the command line, where other programs can see it and the shell keeps it. \
             Remove it from the shell's history, and give it on standard input: passport key import < file"
                .into(),
        ));
    }
    Cli::command()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| stop(error, &texts))
}

fn stop(error: clap::Error, args: &[String]) -> Stop {
    let told = error.to_string();
    let redacted = args
        .iter()
        .flat_map(|arg| [Some(arg.as_str()), arg.split_once('=').map(|(_, value)| value)])
        .flatten()
        .filter(|value| value.len() >= QUOTED_MAX_BYTES)
        .fold(told.clone(), |told, value| told.replace(value, "<not repeated>"));
    if redacted == told {
        Stop::Clap(error)
    } else {
        Stop::Usage(redacted.trim_start_matches("error: ").trim_end().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(args: &[&str]) -> String {
        match parse(args.iter().map(OsString::from)) {
            Err(Stop::Usage(text)) => text,
            Err(Stop::Clap(error)) => error.to_string(),
            Ok(_) => panic!("taken: {args:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_secret_key_among_the_arguments_is_refused_and_not_repeated() {
        let nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
        let hex = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
        for args in [
            ["passport", "key", "import", nsec],
            ["passport", "key", "import", hex],
            ["passport", "quickstart", "--import", nsec],
            ["passport", "--oops", hex, "login"],
        ] {
            let text = refusal(&args);
            assert!(!text.contains(nsec) && !text.contains(hex), "{text}");
        }
        // Where any text would be taken, too.
        let text = refusal(&["passport", "connect", "--allow", "everything", "--label", nsec]);
        assert!(text.contains("history") && !text.contains(nsec), "{text}");
        let text = refusal(&["passport", "apps", &format!("--oops={hex}")]);
        assert!(!text.contains(hex), "{text}");
        let text = refusal(&["passport", "connect", &format!("--expires={hex}")]);
        assert!(!text.contains(hex), "{text}");
    }

    #[test]
    fn a_connection_without_a_word_about_what_it_may_do_is_refused() {
        assert!(refusal(&["passport", "connect", "--label", "App"]).contains("--allow"));
    }
}
