//! `passport sessions`: where the account is signed in.

use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;

use crate::{
    calendar::Moment,
    failure::Failure,
    output::{Output, plain},
    server::Method,
    session::Session,
    wire::{SessionList, SessionView},
};

/// Fewest characters of a session's id that name it.
const ID_MIN_CHARS: usize = 6;

/// See where your account is signed in, and sign out there.
#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    List(List),
    End(End),
}

/// List the devices that are signed in.
#[derive(Debug, Args)]
pub(crate) struct List {}

/// Sign a device out, or all of them.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").args(["session", "all"]).required(true))]
pub(crate) struct End {
    /// The session: its id or the beginning of it
    session: Option<String>,
    /// All of them, this device's too
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Ended {
    /// `None` is all.
    session: Option<String>,
}

impl Sessions {
    /// Does what was asked.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(_) => list(output),
            Self::End(it) => it.run(output),
        }
    }
}

fn list(output: &Output) -> Result<(), Failure> {
    let list: SessionList = Session::resume()?.get("/auth/sessions")?;
    output.result(&list, || {
        let lines: Vec<_> = list.sessions.iter().map(line).collect();
        lines.join("\n")
    })
}

fn line(it: &SessionView) -> String {
    let device = plain(it.device.as_deref().unwrap_or("a device without a name"));
    let here = if it.current { "  (this device)" } else { "" };
    let (since, last) = (Moment { unix_s: it.created_at }, Moment { unix_s: it.last_used_at });
    format!("{}  {device}, since {since}, last used {last} UTC{here}", plain(&it.session))
}

impl End {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let Some(name) = self.session else {
            session.tell::<()>(Method::Delete, "/auth/sessions", None)?;
            session.signed_out()?;
            return output.result(&Ended { session: None }, || "Every device is signed out, this one too.".into());
        };
        let list: SessionList = session.get("/auth/sessions")?;
        let found = find(&name, list.sessions)?;
        session.tell::<()>(Method::Delete, &format!("/auth/sessions/{}", found.session), None)?;
        if found.current {
            session.signed_out()?;
        }
        let result = Ended { session: Some(found.session) };
        output.result(&result, || "That device is signed out.".into())
    }
}

fn find(name: &str, sessions: Vec<SessionView>) -> Result<SessionView, Failure> {
    let mut fitting: Vec<_> =
        sessions.into_iter().filter(|it| name.len() >= ID_MIN_CHARS && it.session.starts_with(name)).collect();
    match (fitting.pop(), fitting.is_empty()) {
        // What goes into a path has to be an id, whatever the server calls it.
        (Some(one), true) if one.session.bytes().all(|b| b.is_ascii_alphanumeric()) => Ok(one),
        (Some(_), false) => Err(Failure::Usage("Several sessions fit. Give the whole id of one.".into())),
        (Some(_) | None, _) => {
            Err(Failure::stopped("no_such_session", "There is no such session. See: passport sessions list"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_session_that_is_meant_is_found() {
        let session =
            |id: &str| SessionView { session: id.into(), device: None, created_at: 1, last_used_at: 1, current: false };
        let code = |name: &str| {
            let all = vec![session("abcdef0011"), session("abcdef2233"), session("fedcba/../x")];
            find(name, all).map(|it| it.session).map_err(|failure| failure.code().to_owned())
        };
        assert_eq!(code("abcdef00"), Ok("abcdef0011".into()));
        assert_eq!(code("abcdef"), Err("usage".into()));
        for name in ["abcde", "", "123456", "fedcba"] {
            assert_eq!(code(name), Err("no_such_session".into()), "{name}");
        }
    }
}
