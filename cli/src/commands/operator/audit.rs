//! `passport operator audit`: the deployment's record, checked link by link.

use std::path::PathBuf;

use bunker_core::audit::AuditHead;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    audit::{Follower, Kind},
    failure::Failure,
    home::{self, create_private},
    operator::{Desk, Link},
    output::{Output, plain},
};

/// Records asked for at once, the server's most.
const PAGE_RECORDS: u32 = 200;

/// Read the deployment's record, checked link by link.
///
/// Records are printed as JSON lines. Keep the end that is named last elsewhere: with it, `passport audit verify --kind
/// deployment --head N:HASH` finds also a record that was cut or written anew.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    desk: Desk,
    /// Begin after this record
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// All that follow, not one page
    #[arg(long)]
    all: bool,
    /// Write JSON lines to this new file, instead of the screen
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A page; a record stays as its bytes stand in it, since those are what is hashed.
#[derive(Deserialize)]
struct Page {
    records: Vec<Box<RawValue>>,
    head: AuditHead,
    next: Option<u64>,
}

#[derive(Serialize)]
struct Shown<'a> {
    chain: &'static str,
    head: AuditHead,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<&'a [Box<RawValue>]>,
}

impl Audit {
    /// Reads, keeps and checks it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let (records, end) = read(&self.desk.open()?, self.after, self.all)?;
        let lines: String = records.iter().map(|record| format!("{}\n", record.get())).collect();
        // Kept before it is checked: a broken record is the one that is needed.
        if let Some(path) = &self.out {
            create_private(path, lines.as_bytes()).map_err(|error| home::failed("write", path, &error))?;
            output.note(&format!("Written: {}", path.display()));
        }
        let head = if records.is_empty() { end } else { check(&lines, self.all.then_some(end))? };
        let records_shown = self.out.is_none().then_some(records.as_slice());
        let shown =
            Shown { chain: "verified", head, count: records.len(), file: self.out.as_ref(), records: records_shown };
        output.note(&format!(
            "{} records, each follows from the one before. End: {}:{}",
            records.len(),
            head.n,
            head.hash
        ));
        output.result(&shown, || {
            if self.out.is_some() { String::new() } else { lines.lines().map(|line| plain(line) + "\n").collect() }
        })
    }
}

/// The records after one, and the end that the server named with the last of them.
fn read(link: &Link, after: u64, all: bool) -> Result<(Vec<Box<RawValue>>, AuditHead), Failure> {
    let (mut records, mut from) = (Vec::new(), after);
    loop {
        let page: Page = link.get(&format!("/operator/audit?after={from}&limit={PAGE_RECORDS}"))?;
        let is_empty = page.records.is_empty();
        records.extend(page.records);
        match page.next {
            Some(next) if all && next > from && !is_empty => from = next,
            Some(_) | None => return Ok((records, page.head)),
        }
    }
}

fn check(lines: &str, end: Option<AuditHead>) -> Result<AuditHead, Failure> {
    let mut follower = Follower::new(Some(Kind::Deployment), end);
    let checked = follower.read(lines.as_bytes(), |_| {}).and_then(|()| follower.finish());
    checked.map(|it| it.head).map_err(|fault| {
        Failure::stopped(
            "audit_broken",
            format!(
                "THE RECORD IS NOT WHOLE: {fault}. Somebody with access to the server changed it; keep it with --out."
            ),
        )
    })
}
