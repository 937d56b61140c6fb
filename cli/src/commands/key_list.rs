//! `passport key list`: the account's keys.

use clap::Args;

use crate::{calendar::Moment, failure::Failure, identity, output::Output, session::Session, wire::KeyList};

/// List your keys.
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    /// Lists them.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let keys = identity::list(&mut session)?;
        let list = KeyList { keys };
        output.result(&list, || {
            if list.keys.is_empty() {
                return "No key yet. Make one: passport key create, or passport key import < file".into();
            }
            let lines: Vec<_> = list
                .keys
                .iter()
                .map(|key| {
                    let made = Moment { unix_s: key.created_at };
                    format!("{}  (since {made} UTC)", identity::line(key))
                })
                .collect();
            lines.join("\n")
        })
    }
}
