//! `passport key delete`: the holders wipe a key's shares.

use bunker_core::statement::Verb;
use clap::Args;
use serde::Serialize;

use crate::{
    failure::Failure, identity::KeyName, output::Output, saying::say, server::Method, session::Session,
    wire::OwnerStatement,
};

/// Delete a key from the server: its holders wipe their shares.
///
/// Every connection ends. Without the whole key elsewhere (see `passport export`), the identity can never sign again:
/// the recovery kit alone is one share of two.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The key's npub, to show that you mean it
    #[arg(long, value_name = "NPUB")]
    confirm: String,
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Deleted<'a> {
    npub: &'a str,
}

impl Delete {
    /// Deletes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        if self.confirm != key.npub {
            return Err(Failure::Usage(format!("That would delete {}: --confirm names another key.", key.npub)));
        }
        let unlocked = session.unlock()?;
        let path = format!("/keys/{}", key.group);
        session.sensitive(&unlocked.keys, |session| {
            say(session, &key, &unlocked.owner, &Verb::DeleteGroup, |session, statement| {
                session.tell(Method::Delete, &path, Some(&OwnerStatement { statement }))
            })
        })?;
        session.forget_key(&key.group)?;
        output.result(&Deleted { npub: &key.npub }, || {
            format!(
                "{} is deleted; the server's shares are wiped. What is on devices, and in a kit, stays there.",
                key.npub
            )
        })
    }
}
