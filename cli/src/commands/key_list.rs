//! `passport key list`: the account's keys.

use clap::Args;

use crate::{calendar::Moment, failure::Failure, identity, output::Output, session::Session};

/// List your keys, and those that others share with you.
#[derive(Debug, Args)]
pub(crate) struct List {}

impl List {
    /// Lists them.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let list = identity::lists(&mut session)?;
        output.result(&list, || {
            if list.keys.is_empty() && list.shared.is_empty() {
                return "No key yet. Make one: passport key create, or passport key import < file".into();
            }
            let own = list.keys.iter().map(|key| {
                let made = Moment { unix_s: key.created_at };
                format!("{}  (since {made} UTC)", identity::line(key))
            });
            let shared = list.shared.iter().filter_map(|key| {
                let owner = key.owner?;
                Some(format!("{}\n  shared with you by {owner}", identity::line(key)))
            });
            own.chain(shared).collect::<Vec<_>>().join("\n")
        })
    }
}
