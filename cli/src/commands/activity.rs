//! `passport activity`: the record of what was done with a key, checked link by link.
//!
//! The chain is followed from its first record to the head that the server names, and through the head that this
//! device saw last time: a server that rewrote what was shown before is found out.

use std::collections::BTreeMap;

use bunker_core::{
    audit::{AuditHead, AuditRecord, Entry, Happening, verify_chain},
    grant::ConnectionId,
};
use clap::Args;
use frost_wasm_core::group::GroupId;
use serde::Serialize;

use super::apps;
use crate::{
    calendar::Moment,
    failure::Failure,
    home::{self, create_private},
    identity::{self, KeyName},
    output::{Output, plain},
    session::Session,
    wire::{ActivityPage, KeyView},
};

/// Records asked for at once, the server's most.
const PAGE_RECORDS: u32 = 200;

/// Show what was done with a key, and check that the record is whole.
///
/// Each record carries the hash of the one before it. The whole chain is fetched and checked, up to the server's
/// last record and through the last record that this device saw before. A record that was changed, removed, added
/// in between or cut off after you saw it is found and named, and the exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct Activity {
    #[command(flatten)]
    key: KeyName,
    /// Write the whole chain as JSON lines to this new file; see: passport audit verify
    #[arg(long, value_name = "FILE")]
    out: Option<std::path::PathBuf>,
}

#[derive(Serialize)]
struct Shown<'a> {
    group: GroupId,
    npub: &'a str,
    chain: &'static str,
    problem: Option<String>,
    head: AuditHead,
    records: &'a [AuditRecord],
}

impl Activity {
    /// Shows and checks it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let history = fetch(&mut session, &key)?;
        if let Some(path) = &self.out {
            write(path, &history.records)?;
            output.note(&format!("Written: {}", path.display()));
        }
        let seen = session.known(&key.group).and_then(|key| key.activity_seen);
        let problem = history.check(seen).err();
        if problem.is_none() {
            session.remember_activity(&key.group, history.head)?;
        }
        let shown = Shown {
            group: key.group,
            npub: &key.npub,
            chain: if problem.is_none() { "verified" } else { "broken" },
            problem: problem.clone(),
            head: history.head,
            records: &history.records,
        };
        let labels = labels(&mut session, &key)?;
        output.result(&shown, || {
            let lines: Vec<_> = history.records.iter().map(|record| line(record, &labels)).collect();
            let verdict = if problem.is_none() {
                format!(
                    "Whole: {} records, each follows from the one before, up to {}.",
                    history.head.n, history.head.hash
                )
            } else {
                String::new()
            };
            format!("{}\n{}\n{verdict}", identity::line(&key), lines.join("\n"))
        })?;
        match problem {
            None => Ok(()),
            Some(problem) => Err(Failure::stopped(
                "activity_broken",
                format!("THE RECORD IS NOT WHOLE: {problem}. Somebody with access to the server changed it."),
            )),
        }
    }
}

fn write(path: &std::path::Path, records: &[AuditRecord]) -> Result<(), Failure> {
    let lines: Result<Vec<_>, _> = records.iter().map(serde_json::to_string).collect();
    let lines = lines.map_err(|_| Failure::stopped("internal", "The record could not be written."))?;
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    create_private(path, text.as_bytes()).map_err(|error| home::failed("write", path, &error))
}

struct History {
    records: Vec<AuditRecord>,
    /// What the server named as the end, at each page.
    heads: Vec<AuditHead>,
    head: AuditHead,
}

impl History {
    /// Checks every link, and that every head that was ever named lies on the chain.
    fn check(&self, seen: Option<AuditHead>) -> Result<(), String> {
        verify_chain(AuditHead::default(), &self.records, Some(self.head)).map_err(|error| error.to_string())?;
        if !self.heads.iter().all(|head| self.leads_through(head)) {
            return Err("the server named an end that is not on the chain".into());
        }
        match seen {
            Some(seen) if !self.leads_through(&seen) => {
                Err(format!("record {} is not the one that this device saw before", seen.n))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn leads_through(&self, head: &AuditHead) -> bool {
        *head == AuditHead::default() || self.records.iter().any(|record| record.head() == *head)
    }
}

fn fetch(session: &mut Session, key: &KeyView) -> Result<History, Failure> {
    let mut history = History { records: Vec::new(), heads: Vec::new(), head: AuditHead::default() };
    let mut after = 0;
    loop {
        let path = format!("/keys/{}/activity?after={after}&limit={PAGE_RECORDS}", key.group);
        let page: ActivityPage = session.get(&path)?;
        let is_empty = page.records.is_empty();
        history.records.extend(page.records);
        history.heads.push(page.head);
        history.head = page.head;
        match page.next {
            // A page that leads nowhere would be asked for for ever.
            Some(next) if next > after && !is_empty => after = next,
            Some(_) | None => return Ok(history),
        }
    }
}

fn labels(session: &mut Session, key: &KeyView) -> Result<BTreeMap<ConnectionId, String>, Failure> {
    let apps = apps::list(session, std::slice::from_ref(key))?;
    Ok(apps.into_iter().map(|app| (app.connection.connection, app.connection.label)).collect())
}

fn line(record: &AuditRecord, labels: &BTreeMap<ConnectionId, String>) -> String {
    let at = Moment { unix_s: record.at_ms / 1000 };
    let app = record.entry.connection.map_or_else(String::new, |id| {
        let label = labels.get(&id).map_or("", String::as_str);
        format!("  [{} {}]", plain(label), &id.to_string()[..8])
    });
    format!("{:>5}  {at}  {}{app}", record.n, plain(&words(&record.entry)))
}

fn words(entry: &Entry) -> String {
    let asked = || {
        let method = entry.method.as_deref().unwrap_or("a request");
        let kind = entry.kind.map_or_else(String::new, |kind| format!(" of kind {kind}"));
        let peer = entry.peer.map_or_else(String::new, |peer| format!(" with {peer}"));
        format!("{method}{kind}{peer}")
    };
    match &entry.happening {
        Happening::StatementApplied { verb, seq, .. } => {
            format!("you signed {verb} (statement {seq})")
        }
        Happening::RequestAdmitted => format!("{}: admitted", asked()),
        Happening::RequestHeld => format!("{}: waits for you", asked()),
        Happening::Contributed => format!("{}: contributed", asked()),
        Happening::RequestAnswered { signed: Some(id) } => {
            format!("{}: answered, signed {id}", asked())
        }
        Happening::RequestAnswered { signed: None } => format!("{}: answered", asked()),
        Happening::RequestRefused { reason } => format!("{}: REFUSED ({reason})", asked()),
        Happening::RequestFailed { reason } => format!("{}: FAILED ({reason})", asked()),
        Happening::ShareReleased { statement } => format!("share handed out for export {statement}"),
        Happening::EpochEntered { epoch, ceremony } => format!("new shares, epoch {epoch} (ceremony {ceremony})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(length: u64) -> History {
        let mut head = AuditHead::default();
        let records = (0..length)
            .map(|at| {
                let entry = Entry {
                    happening: Happening::RequestAdmitted,
                    connection: None,
                    request: None,
                    method: Some("sign_event".into()),
                    kind: Some(1),
                    peer: None,
                };
                let record = head.append(at, entry);
                head = record.head();
                record
            })
            .collect();
        History { records, heads: vec![head], head }
    }

    #[test]
    fn a_whole_chain_is_whole_also_when_it_has_grown_since() {
        assert_eq!(history(0).check(None), Ok(()));
        let long = history(5);
        let seen = long.records[2].head();
        assert_eq!(long.check(Some(seen)), Ok(()));
    }

    #[test]
    fn a_rewritten_history_is_found_by_what_this_device_saw() {
        let seen = history(5).records[2].head();
        let mut rewritten = history(0);
        for at in 0..5 {
            let mut entry = history(1).records[0].entry.clone();
            entry.kind = Some(2);
            let record = rewritten.head.append(at, entry);
            rewritten.head = record.head();
            rewritten.records.push(record);
        }
        rewritten.heads = vec![rewritten.head];
        assert_eq!(rewritten.check(None), Ok(()));
        assert!(rewritten.check(Some(seen)).unwrap_err().contains("record 3"));
    }

    #[test]
    fn a_cut_or_changed_record_is_found() {
        let mut cut = history(5);
        cut.records.pop();
        assert!(cut.check(None).is_err());
        let mut cut_with_head = history(3);
        cut_with_head.heads.insert(0, history(5).head);
        assert!(cut_with_head.check(None).is_err());
        let mut changed = history(5);
        changed.records[1].entry.kind = Some(4);
        assert!(changed.check(None).unwrap_err().contains("record 2"));
    }
}
