//! Audit chains in files: followed record by record, and the first one that is wrong is named with how.
//!
//! A record's entry is hashed as its bytes stand in the file. So chains of either kind, and entries that are newer than
//! this client, are checked alike, and nothing can be added to an entry unseen. A file that was reformatted is taken as
//! edited.
//!
//! Out of scope: who wrote the chain. That it was not written anew from its beginning only a head tells that was kept
//! elsewhere.

use std::{collections::BTreeMap, fmt, io::Read, marker::PhantomData, str::FromStr};

use bunker_core::audit::{AuditHash, AuditHead, AuditRecord, ChainEntry, ChainError, Entry};
use clap::ValueEnum;
use operations_core::audit::DeploymentEntry;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// After how many records it is said how far the check is.
const PROGRESS_RECORDS: u64 = 20_000;

/// Whose record it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// What was done with one key
    Group,
    /// What was done with the whole deployment, by its operators
    Deployment,
}

/// A chain's end as it is typed: `N:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GivenHead(pub(crate) AuditHead);

impl FromStr for GivenHead {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write the number of the record, a colon, and its hash of 64 hex digits";
        let (n, hash) = text.split_once(':').ok_or(FORM)?;
        let n = n.parse().map_err(|_| FORM)?;
        let hash: AuditHash = serde_json::from_value(serde_json::Value::from(hash)).map_err(|_| FORM)?;
        Ok(Self(AuditHead { n, hash }))
    }
}

/// Where and how a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Break {
    /// The record.
    pub(crate) record: u64,
    /// `missing`, `edited`, `reordered`, `unlinked` or `cut`.
    pub(crate) how: &'static str,
    /// The same in words.
    pub(crate) detail: String,
}

/// Why a file could not be checked to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The chain is broken.
    Broken(Break),
    /// The text is no chain of records.
    NoRecords(String),
}

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Checked {
    /// Whose chain it is.
    pub(crate) kind: Kind,
    /// The first record that was looked at.
    pub(crate) first: u64,
    /// The last one.
    pub(crate) head: AuditHead,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    n: u64,
    at_ms: u64,
    prev: AuditHash,
    entry: Box<RawValue>,
    hash: AuditHash,
}

#[derive(Deserialize)]
struct Page {
    records: Vec<Box<RawValue>>,
    #[serde(default)]
    head: Option<AuditHead>,
}

trait Domain {
    const DOMAIN: &'static [u8];
}

struct OfGroup;
struct OfDeployment;

impl Domain for OfGroup {
    const DOMAIN: &'static [u8] = <Entry as ChainEntry>::DOMAIN;
}

impl Domain for OfDeployment {
    const DOMAIN: &'static [u8] = <DeploymentEntry as ChainEntry>::DOMAIN;
}

/// An entry as its bytes stand in the file.
struct Verbatim<D>(Box<RawValue>, PhantomData<D>);

impl<D> Serialize for Verbatim<D> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<D: Domain> ChainEntry for Verbatim<D> {
    const DOMAIN: &'static [u8] = D::DOMAIN;
}

/// Follows a chain through one file after the other.
pub(crate) struct Follower {
    kind: Option<Kind>,
    first: Option<u64>,
    head: AuditHead,
    /// Ends that pages named and that are still to come.
    named: BTreeMap<u64, AuditHash>,
    expected: Option<AuditHead>,
    /// A record that did not follow, until it is known whether the one before it comes later.
    gap: Option<(u64, u64)>,
}

impl Follower {
    /// Without `kind`, the first record tells it. With `expected`, the chain has to go through that record.
    pub(crate) fn new(kind: Option<Kind>, expected: Option<AuditHead>) -> Self {
        let named = expected.map(|head| (head.n, head.hash)).into_iter().collect();
        Self { kind, first: None, head: AuditHead::default(), named, expected, gap: None }
    }

    /// Follows a file's records, which are JSON values one after the other: records, or pages of them.
    ///
    /// # Errors
    /// The first place that is wrong.
    pub(crate) fn read(&mut self, file: impl Read, mut progress: impl FnMut(u64)) -> Result<(), Fault> {
        let values = serde_json::Deserializer::from_reader(std::io::BufReader::with_capacity(1 << 16, file));
        for value in values.into_iter::<Box<RawValue>>() {
            let value = value.map_err(|error| self.unreadable(&error))?;
            if let Ok(page) = serde_json::from_str::<Page>(value.get()) {
                for record in &page.records {
                    self.take(record.get(), &mut progress)?;
                }
                if let Some(head) = page.head.filter(|head| *head != AuditHead::default()) {
                    self.name(head)?;
                }
            } else {
                self.take(value.get(), &mut progress)?;
            }
        }
        Ok(())
    }

    /// What was checked.
    ///
    /// # Errors
    /// A record is missing, or the expected end was not reached.
    pub(crate) fn finish(self) -> Result<Checked, Fault> {
        if let Some((expected, found)) = self.gap {
            let detail = if found > expected {
                let last = found.saturating_sub(1);
                let which = if last > expected {
                    format!("records {expected} to {last} are missing")
                } else {
                    format!("record {expected} is missing")
                };
                format!("{which}: record {found} comes in its place")
            } else {
                format!("record {found} comes again where record {expected} belongs")
            };
            return Err(broken(expected, if found > expected { "missing" } else { "reordered" }, detail));
        }
        let (Some(kind), Some(first)) = (self.kind, self.first) else {
            return Err(Fault::NoRecords("there are no records in it".into()));
        };
        if let Some(expected) = self.expected
            && expected.n > self.head.n
        {
            let detail = format!("the chain is cut: it ends at record {}, and goes on to {}", self.head.n, expected.n);
            return Err(broken(self.head.n.saturating_add(1), "cut", detail));
        }
        if let Some(expected) = self.expected
            && expected.n < first
        {
            return Err(Fault::NoRecords(format!("they begin at record {first}, after the one that --head names")));
        }
        Ok(Checked { kind, first, head: self.head })
    }

    fn take(&mut self, text: &str, progress: &mut impl FnMut(u64)) -> Result<(), Fault> {
        let line: Line = serde_json::from_str(text).map_err(|error| self.unreadable(&error))?;
        if let Some((expected, _)) = self.gap {
            // Only whether it is here after all.
            if line.n == expected {
                let detail = format!("record {expected} comes later than it should: the order was changed");
                return Err(broken(expected, "reordered", detail));
            }
            return Ok(());
        }
        if self.first.is_none() {
            if line.n > 1 {
                self.head = AuditHead { n: line.n.saturating_sub(1), hash: line.prev };
            }
            self.kind.get_or_insert_with(|| kind_of(&line));
            self.first = Some(line.n);
        }
        let n = line.n;
        match self.follow(line) {
            Ok(head) => self.head = head,
            Err(ChainError::Gap { expected, found }) => self.gap = Some((expected, found)),
            Err(error) => return Err(explained(error)),
        }
        if n.is_multiple_of(PROGRESS_RECORDS) {
            progress(n);
        }
        match self.named.remove(&self.head.n) {
            Some(hash) if hash != self.head.hash => Err(other_end(self.head.n)),
            Some(_) | None => Ok(()),
        }
    }

    fn follow(&self, line: Line) -> Result<AuditHead, ChainError> {
        match self.kind {
            Some(Kind::Deployment) => self.head.follow(&record::<OfDeployment>(line)),
            Some(Kind::Group) | None => self.head.follow(&record::<OfGroup>(line)),
        }
    }

    fn name(&mut self, head: AuditHead) -> Result<(), Fault> {
        let is_other = match head.n.cmp(&self.head.n) {
            std::cmp::Ordering::Less => self.gap.is_none(),
            std::cmp::Ordering::Equal => head.hash != self.head.hash,
            std::cmp::Ordering::Greater => self.named.insert(head.n, head.hash).is_some_and(|it| it != head.hash),
        };
        if is_other { Err(other_end(head.n)) } else { Ok(()) }
    }

    fn unreadable(&self, error: &serde_json::Error) -> Fault {
        Fault::NoRecords(format!("what follows record {} is no record of an audit chain ({error})", self.head.n))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(it) => f.write_str(&it.detail),
            Self::NoRecords(text) => f.write_str(text),
        }
    }
}

fn record<D>(line: Line) -> AuditRecord<Verbatim<D>> {
    let Line { n, at_ms, prev, entry, hash } = line;
    AuditRecord { n, at_ms, prev, entry: Verbatim(entry, PhantomData), hash }
}

/// Whose chain a record is of: the one whose domain gives its hash, or a group's when neither does.
fn kind_of(line: &Line) -> Kind {
    let before = AuditHead { n: line.n.saturating_sub(1), hash: line.prev };
    let entry: Verbatim<OfDeployment> = Verbatim(line.entry.clone(), PhantomData);
    if before.append(line.at_ms, entry).hash == line.hash { Kind::Deployment } else { Kind::Group }
}

fn explained(error: ChainError) -> Fault {
    match error {
        ChainError::Altered { n } => broken(n, "edited", format!("record {n} was edited after it was written")),
        ChainError::Unlinked { n } => {
            let before = n.saturating_sub(1);
            let detail =
                format!("record {n} does not follow from record {before}: one of the two was replaced by another");
            broken(n, "unlinked", detail)
        }
        ChainError::Gap { expected, .. } => broken(expected, "missing", error.to_string()),
        ChainError::WrongHead { expected, .. } => broken(expected, "cut", error.to_string()),
    }
}

fn other_end(n: u64) -> Fault {
    broken(
        n,
        "edited",
        format!("record {n} is another one than the end that was named for it: the chain was rewritten"),
    )
}

fn broken(record: u64, how: &'static str, detail: String) -> Fault {
    Fault::Broken(Break { record, how, detail })
}

#[cfg(test)]
mod tests;
