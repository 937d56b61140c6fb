//! `passport passkey`: the account's passkeys, as far as a terminal can deal with them.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    calendar::Moment,
    failure::Failure,
    output::{Output, plain},
    server::Method,
    session::Session,
    wire::{PasskeyList, PasskeyView},
};

/// Fewest characters of a passkey's id that name it.
const ID_MIN_CHARS: usize = 4;

/// List and remove passkeys. Adding one needs a browser: sign in on the server's page, under Security.
#[derive(Debug, Subcommand)]
pub(crate) enum Passkey {
    List(List),
    Remove(Remove),
}

/// List the account's passkeys.
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Remove a passkey: it signs nobody in any more.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The passkey: its name, its id or the beginning of it
    passkey: String,
}

#[derive(Serialize)]
struct Removed {
    passkey: String,
    label: String,
}

impl Passkey {
    /// Does what was asked.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(_) => list(output),
            Self::Remove(it) => it.run(output),
        }
    }
}

fn list(output: &Output) -> Result<(), Failure> {
    let list: PasskeyList = Session::resume()?.get("/auth/passkeys")?;
    output.result(&list, || {
        if list.passkeys.is_empty() {
            return "No passkey. Add one in a browser, on the server's page, under Security.".into();
        }
        let lines: Vec<_> = list.passkeys.iter().map(line).collect();
        lines.join("\n")
    })
}

fn line(it: &PasskeyView) -> String {
    let used = it
        .last_used_at
        .map_or_else(|| "never used".to_owned(), |unix_s| format!("last used {} UTC", Moment { unix_s }));
    let does = if it.unlocks { "signs in and unlocks" } else { "signs in" };
    format!("{}  {}: {does}, since {}, {used}", plain(&it.passkey), plain(&it.label), Moment { unix_s: it.created_at })
}

impl Remove {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let list: PasskeyList = session.get("/auth/passkeys")?;
        let found = find(&self.passkey, list.passkeys)?;
        let unlocked = session.unlock()?;
        let path = format!("/auth/passkeys/{}", found.passkey);
        session.sensitive(&unlocked.keys, |session| session.tell::<()>(Method::Delete, &path, None))?;
        let result = Removed { passkey: found.passkey, label: found.label };
        output.result(&result, || format!("Removed {}.", plain(&result.label)))
    }
}

fn find(name: &str, passkeys: Vec<PasskeyView>) -> Result<PasskeyView, Failure> {
    let mut fitting: Vec<_> = passkeys
        .into_iter()
        .filter(|it| it.label == name || (name.len() >= ID_MIN_CHARS && it.passkey.starts_with(name)))
        .collect();
    let is_id = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    match (fitting.pop(), fitting.is_empty()) {
        // What goes into a path has to be an id, whatever the server calls it.
        (Some(one), true) if is_id(&one.passkey) => Ok(one),
        (Some(_), false) => {
            Err(Failure::Usage("Several passkeys fit. Give the id of one: passport passkey list".into()))
        }
        (Some(_) | None, _) => {
            Err(Failure::stopped("no_such_passkey", "There is no such passkey. See: passport passkey list"))
        }
    }
}
