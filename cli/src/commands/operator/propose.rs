//! `passport operator propose`: changes that another operator approves.

use std::str::FromStr;

use clap::Subcommand;
use operations_core::{
    proposal::Change,
    wire::{NewOperator, ProposalReply},
};
use serde::Serialize;

use crate::{
    calendar::{BadLifetime, Lifetime},
    failure::Failure,
    operator::{Desk, naming::Named, status},
    output::{Output, plain},
};

/// A change that two people make.
#[derive(Debug, Subcommand)]
pub(crate) enum Propose {
    /// One more operator; the approval shows their token
    AddOperator {
        #[command(flatten)]
        desk: Desk,
        /// NAME:scope,scope
        #[arg(value_name = "NAME:SCOPES")]
        operator: Named,
        /// How long their tokens are good for: 90d without it, 365d at most
        #[arg(long, value_name = "TIME")]
        lifetime: Option<Lifetime>,
    },
    /// Another number of operators that open a seal
    UnsealThreshold {
        #[command(flatten)]
        desk: Desk,
        /// How many, 2 or more
        #[arg(value_name = "K")]
        k: u32,
    },
    /// A shortest delay of exports
    ExportDelay {
        #[command(flatten)]
        desk: Desk,
        /// Such as 2d, 30d at most; `configured` for the server's own
        #[arg(value_name = "TIME")]
        delay: Delay,
    },
    /// Wrap all keys anew under the present key-encryption keys
    Rotation(Desk),
}

/// A delay of exports, as it is typed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delay {
    seconds: Option<u64>,
}

impl FromStr for Delay {
    type Err = BadLifetime;

    fn from_str(text: &str) -> Result<Self, BadLifetime> {
        match text {
            "configured" => Ok(Self { seconds: None }),
            other => other.parse().map(|delay: Lifetime| Self { seconds: Some(delay.end_s(0)) }),
        }
    }
}

#[derive(Serialize)]
struct Proposal {
    what: Change,
}

impl Propose {
    /// Proposes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let (desk, what) = self.change();
        let reply: ProposalReply = desk.open()?.command("/operator/proposals", &Proposal { what })?;
        output.result(&reply, || {
            let what = plain(&status::change(&reply.what));
            format!("Proposed: {what}. Another operator types: passport operator approve {}", reply.proposal)
        })
    }

    fn change(self) -> (Desk, Change) {
        match self {
            Self::AddOperator { desk, operator, lifetime } => {
                let NewOperator { name, scopes, lifetime_s } = operator.with_lifetime(lifetime);
                (desk, Change::AddOperator { name, scopes, lifetime_s })
            }
            Self::UnsealThreshold { desk, k } => (desk, Change::SetUnsealThreshold { k }),
            Self::ExportDelay { desk, delay } => (desk, Change::SetExportDelay { seconds: delay.seconds }),
            Self::Rotation(desk) => (desk, Change::BeginRotation {}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_a_time_or_what_is_configured() {
        let read = |text: &str| text.parse::<Delay>().map(|it| it.seconds);
        assert_eq!(read("2d"), Ok(Some(172_800)));
        assert_eq!(read("configured"), Ok(None));
        for text in ["", "0d", "none", "2"] {
            assert_eq!(read(text), Err(BadLifetime), "{text}");
        }
    }
}
