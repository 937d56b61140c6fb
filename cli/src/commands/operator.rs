//! `passport operator`: the few who run a server, and what they may do about all of it.

mod audit;
mod propose;
mod setup;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use operations_core::{
    ids::{OperatorId, ProposalId},
    wire::{ApproveReply, DeploymentStatus, RemoveReply, SealReply, TokenReply, UnsealReply},
};
use serde::Serialize;

use crate::{
    calendar::Moment,
    failure::Failure,
    operator::{
        Desk,
        naming::{Sealing, Word},
        status,
        tokens::{self, Handed},
    },
    output::Output,
};

/// Run a server together: set up operators, seal and unseal, read its record
#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    Setup(setup::Setup),
    /// Show operators, seals and what waits for a second person
    Status(Desk),
    /// Stop all signing at once, or one account's
    Seal {
        #[command(flatten)]
        desk: Desk,
        #[command(flatten)]
        what: Sealing,
    },
    /// Say your word for opening a seal
    Unseal {
        #[command(flatten)]
        desk: Desk,
        #[command(flatten)]
        word: Word,
    },
    /// Propose a change, which another operator approves
    #[command(subcommand)]
    Propose(propose::Propose),
    Approve(Approve),
    /// Remove another operator
    Remove {
        #[command(flatten)]
        desk: Desk,
        /// Whom, as `operator status` shows it
        #[arg(value_name = "ID")]
        operator: OperatorId,
    },
    /// Your own token
    #[command(subcommand)]
    Token(Token),
    Audit(audit::Audit),
    /// Print the metrics, in the text format of Prometheus
    Metrics(Desk),
}

/// Approve what another operator proposed.
///
/// When that is one more operator, their token is shown once: give it to them, and they replace it at once with
/// `passport operator token rotate`, since you have seen it.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    desk: Desk,
    /// The proposal, as `operator status` shows it
    #[arg(value_name = "ID")]
    proposal: ProposalId,
    /// Write a new operator's token to this new file, instead of the screen
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What can be done about one's token.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Replace it: the old one is dead at once, the new one is shown once
    Rotate {
        #[command(flatten)]
        desk: Desk,
        /// Write the new one to this new file, instead of the screen
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// A command without anything else to say.
#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Approved {
    proposal: ProposalId,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<OperatorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(flatten)]
    handed: Option<Handed>,
}

#[derive(Serialize)]
struct Replaced {
    expires_at: u64,
    #[serde(flatten)]
    handed: Handed,
}

impl Operator {
    /// Does what was asked.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Setup(it) => it.run(output),
            Self::Status(desk) => {
                let it: DeploymentStatus = desk.open()?.get("/operator/status")?;
                output.result(&it, || status::words(&it))
            }
            Self::Seal { desk, what } => {
                let reply: SealReply = desk.open()?.command("/operator/seal", &what)?;
                output.result(&reply, || {
                    let since = Moment { unix_s: reply.sealed_at };
                    format!(
                        "Sealed since {since} UTC: {}. Nothing of it is signed until operators unseal it.",
                        what.target()
                    )
                })
            }
            Self::Unseal { desk, word } => {
                let reply: UnsealReply = desk.open()?.command("/operator/unseal", &word)?;
                output.result(&reply, || status::unsealing(&reply, &word.what.target(), &word.what.options()))
            }
            Self::Propose(it) => it.run(output),
            Self::Approve(it) => it.run(output),
            Self::Remove { desk, operator } => {
                let path = format!("/operator/operators/{operator}/remove");
                let reply: RemoveReply = desk.open()?.command(&path, &Nothing {})?;
                output.result(&reply, || "Removed: the token is dead, and words that were said don't count.".to_owned())
            }
            Self::Token(Token::Rotate { desk, out }) => rotate(desk, out, output),
            Self::Audit(it) => it.run(output),
            Self::Metrics(desk) => {
                let text = desk.open()?.text("/metrics")?;
                output.result(&text, || text.clone())
            }
        }
    }
}

impl Approve {
    fn run(self, output: &Output) -> Result<(), Failure> {
        self.out.as_deref().map_or(Ok(()), tokens::is_free)?;
        let path = format!("/operator/proposals/{}/approve", self.proposal);
        let reply: ApproveReply = self.desk.open()?.command(&path, &Nothing {})?;
        let ApproveReply { proposal, operator, token, expires_at } = reply;
        let handed = token.map(|token| tokens::hand(&token, self.out, output));
        let approved = Approved { proposal, operator, expires_at, handed };
        output.result(&approved, || match (&approved.operator, &approved.handed) {
            (Some(operator), Some(handed)) => format!(
                "Approved. The new operator is {operator}, {}. They replace it first: passport operator token rotate",
                handed.words()
            ),
            _ => "Approved.".to_owned(),
        })
    }
}

fn rotate(desk: Desk, out: Option<PathBuf>, output: &Output) -> Result<(), Failure> {
    out.as_deref().map_or(Ok(()), tokens::is_free)?;
    let reply: TokenReply = desk.open()?.command("/operator/token", &Nothing {})?;
    let handed = tokens::hand(&reply.token, out, output);
    let replaced = Replaced { expires_at: reply.expires_at, handed };
    output.result(&replaced, || {
        let until = Moment { unix_s: replaced.expires_at };
        format!("Your new {}, good until {until} UTC. The old one is dead.", replaced.handed.words())
    })
}
