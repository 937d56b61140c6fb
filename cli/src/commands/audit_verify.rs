//! `passport audit verify`: whether a downloaded audit chain is whole.

use std::{fs::File, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    audit::{Checked, Fault, Follower, GivenHead, Kind},
    failure::Failure,
    home,
    output::Output,
};

/// Check audit chains that were downloaded
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    Verify(Verify),
}

/// Check that a downloaded record is whole, without a server.
///
/// The files hold JSON lines as `activity --out` writes them, or whole answers of the API; several
/// are one chain, in this order. The first record that is missing, edited or moved is named, and the exit code is 1.
/// Keep the last record's number and hash elsewhere: only with them (--head) a cut or a chain that was written anew is found.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A record that was noted before, which the chain has to go through
    #[arg(long, value_name = "N:HASH")]
    head: Option<GivenHead>,
    /// Whose chain it is; without it, the first record tells
    #[arg(long)]
    kind: Option<Kind>,
}

#[derive(Serialize)]
struct Verified {
    chain: &'static str,
    #[serde(flatten)]
    checked: Checked,
}

impl Verify {
    /// Checks them.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut follower = Follower::new(self.kind, self.head.map(|head| head.0));
        for path in &self.files {
            let file = File::open(path).map_err(|error| home::failed("read", path, &error))?;
            follower
                .read(file, |n| output.note(&format!("… {n} records")))
                .map_err(|fault| failure(&fault, &path.display().to_string()))?;
        }
        let names = self.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let checked = follower.finish().map_err(|fault| failure(&fault, &names))?;
        output.result(&Verified { chain: "verified", checked }, || words(&checked, self.head.is_some()))
    }
}

fn words(checked: &Checked, has_head: bool) -> String {
    let Checked { first, head, .. } = checked;
    let before = if *first > 1 {
        format!("\nVerified from record {first}; what is before was not looked at.")
    } else {
        String::new()
    };
    let advice = if has_head { "" } else { "\nKeep this end elsewhere, and give it with --head another time." };
    format!(
        "Whole: records {first} to {}, each follows from the one before.{before}\nEnd: {}:{}{advice}",
        head.n, head.n, head.hash
    )
}

fn failure(fault: &Fault, file: &str) -> Failure {
    match fault {
        Fault::Broken(it) => Failure::stopped(
            "audit_broken",
            format!(
                "THE RECORD IS NOT WHOLE ({}, {file}): {}. Keep the file, and download the chain again to compare.",
                it.how, it.detail
            ),
        ),
        Fault::NoRecords(text) => Failure::stopped("audit_unreadable", format!("{file}: {text}.")),
    }
}
