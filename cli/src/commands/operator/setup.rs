//! `passport operator setup`: the first operators of a server, once.

use std::path::PathBuf;

use clap::Args;
use operations_core::{
    ids::OperatorId,
    operator::Scopes,
    text::OperatorName,
    wire::{SetUpReply, SetUpRequest},
};
use serde::Serialize;

use crate::{
    calendar::{Lifetime, Moment},
    failure::Failure,
    operator::{
        advised,
        naming::Named,
        server, status,
        tokens::{self, Handed},
    },
    output::{Output, plain},
    prompt,
    server::{Address, Call, Method},
};

/// Name the first operators, once.
///
/// The set-up token is asked for, or comes from PASSPORT_SETUP_TOKEN: it is the server's OPERATOR_SETUP_TOKEN. Each
/// operator's token is shown once. You have then seen all of them, so that each operator replaces theirs first, with
/// `passport operator token rotate`.
#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// The server; without it, the one last used here
    #[arg(long, value_name = "URL", env = "PASSPORT_SERVER")]
    server: Option<Address>,
    /// An operator: NAME:scope,scope (repeat it). Scopes: read, seal, unseal, operators, policy, rotate, audit, metrics, backup
    #[arg(long = "operator", required = true, value_name = "NAME:SCOPES")]
    operators: Vec<Named>,
    /// How many operators have to say so before a seal opens, 2 or more
    #[arg(long, value_name = "K")]
    unseal_threshold: u32,
    /// How long each token is good for: 90d without it, 365d at most
    #[arg(long, value_name = "TIME")]
    lifetime: Option<Lifetime>,
    /// Write each token to a new file of its own in this folder, instead of the screen
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown {
    operators: Vec<Enlisted>,
}

#[derive(Serialize)]
struct Enlisted {
    operator: OperatorId,
    name: OperatorName,
    scopes: Scopes,
    expires_at: u64,
    #[serde(flatten)]
    handed: Handed,
}

impl Setup {
    /// Names them.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let server = server(self.server)?;
        let token = tokens::checked_setup(prompt::SETUP_TOKEN.ask(&server.address().to_string())?)?;
        if let Some(folder) = &self.out {
            tokens::folder(folder)?;
        }
        let lifetime = self.lifetime;
        let operators = self.operators.into_iter().map(|it| it.with_lifetime(lifetime)).collect();
        let request = SetUpRequest { operators, unseal_threshold: self.unseal_threshold };
        let call = Call::new(Method::Post, "/operator/setup").token(&token).json(&request)?;
        let reply: SetUpReply = server.ask(&call).map_err(advised)?;
        let enlisted = reply.operators.into_iter().map(|it| {
            let file = self.out.as_ref().map(|folder| folder.join(format!("{}.token", it.operator)));
            let handed = tokens::hand(&it.token, file, output);
            Enlisted { operator: it.operator, name: it.name, scopes: it.scopes, expires_at: it.expires_at, handed }
        });
        let shown = Shown { operators: enlisted.collect() };
        output.note(
            "Give each operator their token; they replace it first (passport operator token rotate). Then remove \
             OPERATOR_SETUP_TOKEN from the server.",
        );
        output.result(&shown, || shown.operators.iter().map(line).collect())
    }
}

fn line(it: &Enlisted) -> String {
    let (who, until) = (format!("{}  {}", it.operator, it.name), Moment { unix_s: it.expires_at });
    format!("{}  {}  until {until} UTC\n  {}\n", plain(&who), status::list(&it.scopes), it.handed.words())
}
