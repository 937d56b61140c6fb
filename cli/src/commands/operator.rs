//! `passport operator`: the few who run a server, and what they may do about all of it.

use std::path::PathBuf;

use bunker_core::{audit::AuditHead, keys::PublicKey};
use clap::{ArgGroup, Args, Subcommand};
use frost_wasm_core::secret::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    audit::{Follower, Kind},
    calendar::Lifetime,
    failure::Failure,
    home::create_private,
    operator::{Desk, Link, advised, server},
    output::{Output, plain},
    prompt,
    server::{Address, Call, Method},
};

/// Records asked for at once, the server's most.
const PAGE_RECORDS: u32 = 200;

/// Run a server together: set up operators, seal and unseal, read its record
#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Name the first operators, once, with the set-up token (asked for, or PASSPORT_SETUP_TOKEN)
    Setup {
        #[arg(long, value_name = "URL", env = "PASSPORT_SERVER")]
        server: Option<Address>,
        /// An operator: NAME:scope,scope… (repeat it). Scopes: read, seal, unseal, operators, policy, rotate, audit, metrics, backup
        #[arg(long = "operator", required = true, value_name = "NAME:SCOPES")]
        operators: Vec<String>,
        /// How many operators have to say so before a seal opens
        #[arg(long, value_name = "K")]
        unseal_threshold: u32,
        /// Write each token to a file of its own in this folder, instead of the screen
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Show operators, seals and what waits for a second person
    Status(Desk),
    /// Stop all signing at once, or one account's
    Seal(Sealing),
    /// Say your word for opening a seal
    Unseal {
        #[command(flatten)]
        what: Sealing,
        /// The unsealing that somebody began; without it, a new one begins
        #[arg(long, value_name = "ID")]
        unsealing: Option<String>,
    },
    /// Propose a change, which another operator approves
    #[command(subcommand)]
    Propose(Propose),
    /// Approve what another operator proposed
    Approve {
        #[command(flatten)]
        desk: Desk,
        id: String,
    },
    /// Remove another operator
    Remove {
        #[command(flatten)]
        desk: Desk,
        id: String,
    },
    /// Your own token
    #[command(subcommand)]
    Token(Token),
    /// Read the deployment's record, checked link by link
    Audit {
        #[command(flatten)]
        desk: Desk,
        /// Begin after this record
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// All that follow, not one page
        #[arg(long)]
        all: bool,
        /// Write JSON lines to this new file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the metrics
    Metrics(Desk),
}

/// What is sealed or unsealed, and why.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").args(["account", "owner"]))]
pub(crate) struct Sealing {
    #[command(flatten)]
    desk: Desk,
    /// Only this account, by its name
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Only this account, by its owner key
    #[arg(long, value_name = "HEX")]
    owner: Option<PublicKey>,
    /// Why; it stands in the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// A change that two people make.
#[derive(Debug, Subcommand)]
pub(crate) enum Propose {
    /// One more operator
    AddOperator {
        #[command(flatten)]
        desk: Desk,
        /// NAME:scope,scope…
        operator: String,
        /// How long the token is good for
        #[arg(long, value_name = "TIME")]
        lifetime: Option<Lifetime>,
    },
    /// Another number of operators that open a seal
    UnsealThreshold {
        #[command(flatten)]
        desk: Desk,
        k: u32,
    },
    /// A shortest delay of exports, such as 2d; `configured` for the server's own
    ExportDelay {
        #[command(flatten)]
        desk: Desk,
        delay: String,
    },
    /// Wrap all keys anew under the present key-encryption keys
    Rotation(Desk),
}

/// What can be done about one's token.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Replace it: the old one is dead at once, the new one is shown once
    Rotate(Desk),
}

#[derive(Deserialize)]
struct RecordPage {
    records: Vec<Box<RawValue>>,
    head: AuditHead,
    next: Option<u64>,
}

impl Operator {
    /// Does what was asked.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Setup { server, operators, unseal_threshold, out } => {
                setup(server, &operators, unseal_threshold, out, output)
            }
            Self::Status(desk) => {
                let status: Value = desk.open()?.get("/operator/status")?;
                show(&status, output)
            }
            Self::Seal(what) => {
                let (desk, body) = what.body();
                let sealed = desk.open()?.command("/operator/seal", body)?;
                output.result(&sealed, || "Sealed: nothing is signed until operators unseal it.".into())
            }
            Self::Unseal { what, unsealing } => {
                let (desk, mut body) = what.body();
                if let Some(id) = unsealing {
                    body.insert("unsealing".into(), id.into());
                }
                let reply = desk.open()?.command("/operator/unseal", body)?;
                output.result(&reply, || unsealing_words(&reply))
            }
            Self::Propose(it) => it.run(output),
            Self::Approve { desk, id } => {
                let path = format!("/operator/proposals/{}/approve", checked_id(&id)?);
                show(&desk.open()?.command(&path, Map::new())?, output)
            }
            Self::Remove { desk, id } => {
                let path = format!("/operator/operators/{}/remove", checked_id(&id)?);
                show(&desk.open()?.command(&path, Map::new())?, output)
            }
            Self::Token(Token::Rotate(desk)) => show(&desk.open()?.command("/operator/token", Map::new())?, output),
            Self::Audit { desk, after, all, out } => audit(&desk.open()?, after, all, out, output),
            Self::Metrics(desk) => {
                let text = desk.open()?.text("/metrics")?;
                output.result(&text, || text.clone())
            }
        }
    }
}

impl Sealing {
    fn body(self) -> (Desk, Map<String, Value>) {
        let mut body = Map::from_iter([("reason".to_owned(), Value::from(self.reason))]);
        if let Some(name) = self.account {
            body.insert("username".into(), name.into());
        }
        if let Some(owner) = self.owner {
            body.insert("owner_pubkey".into(), owner.to_hex().into());
        }
        (self.desk, body)
    }
}

impl Propose {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let (desk, what) = match self {
            Self::AddOperator { desk, operator, lifetime } => {
                let mut what = named(&operator)?;
                what.insert("kind".into(), "add_operator".into());
                if let Some(lifetime) = lifetime {
                    what.insert("lifetime_s".into(), lifetime.end_s(0).into());
                }
                (desk, Value::Object(what))
            }
            Self::UnsealThreshold { desk, k } => (desk, json!({"kind": "set_unseal_threshold", "k": k})),
            Self::ExportDelay { desk, delay } => {
                let seconds = match delay.as_str() {
                    "configured" => None,
                    text => {
                        let delay: Lifetime = text.parse().map_err(|error| Failure::Usage(format!("{error}")))?;
                        Some(delay.end_s(0))
                    }
                };
                (desk, json!({"kind": "set_export_delay", "seconds": seconds}))
            }
            Self::Rotation(desk) => (desk, json!({"kind": "begin_rotation"})),
        };
        let body = Map::from_iter([("what".to_owned(), what)]);
        let reply = desk.open()?.command("/operator/proposals", body)?;
        output.result(&reply, || {
            format!("Proposed. Another operator types: passport operator approve {}", field(&reply, "proposal"))
        })
    }
}

fn setup(
    address: Option<Address>,
    operators: &[String],
    unseal_threshold: u32,
    out: Option<PathBuf>,
    output: &Output,
) -> Result<(), Failure> {
    let operators = operators.iter().map(|text| named(text)).collect::<Result<Vec<_>, _>>()?;
    let server = server(address)?;
    let token = prompt::SETUP_TOKEN.ask("this server")?;
    if let Some(folder) = &out {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::stopped("file_failed", format!("Could not create {}: {error}.", folder.display()))
        })?;
    }
    let body = json!({"operators": operators, "unseal_threshold": unseal_threshold});
    let call = Call::new(Method::Post, "/operator/setup").token(&token).json(&body)?;
    let mut reply: Value = server.ask(&call).map_err(advised)?;
    if let Some(folder) = &out {
        for operator in reply.get_mut("operators").and_then(Value::as_array_mut).into_iter().flatten() {
            let path = folder.join(format!("{}.token", checked_id(&field(operator, "operator"))?));
            let token = SecretString::from(field(operator, "token"));
            // A token that can't be kept in a file is shown after all: it does not come again.
            match (create_private(&path, token.expose_secret().as_bytes()), operator.as_object_mut()) {
                (Ok(()), Some(operator)) => {
                    operator.insert("token".into(), Value::Null);
                    operator.insert("file".into(), path.display().to_string().into());
                }
                (Err(_), _) | (_, None) => output.note(&format!("Could not write {}.", path.display())),
            }
        }
    }
    output.note("Give each operator their token, and remove OPERATOR_SETUP_TOKEN from the server.");
    show(&reply, output)
}

/// `NAME:scope,scope…` as the API has it.
fn named(text: &str) -> Result<Map<String, Value>, Failure> {
    match text.rsplit_once(':') {
        Some((name, scopes)) if !name.is_empty() && !scopes.is_empty() => {
            let scopes: Vec<_> = scopes.split(',').collect();
            Ok(Map::from_iter([("name".to_owned(), name.into()), ("scopes".to_owned(), scopes.into())]))
        }
        Some(_) | None => {
            Err(Failure::Usage("Write an operator as NAME:scope,scope, such as Ada:read,seal,unseal".into()))
        }
    }
}

/// What goes into a path has to be an id.
fn checked_id(id: &str) -> Result<&str, Failure> {
    if id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(id)
    } else {
        Err(Failure::Usage("An id has 16 hex digits. See: passport operator status".into()))
    }
}

fn audit(link: &Link, after: u64, all: bool, out: Option<PathBuf>, output: &Output) -> Result<(), Failure> {
    let (mut records, mut from, mut head) = (Vec::new(), after, AuditHead::default());
    loop {
        let page: RecordPage = link.get(&format!("/operator/audit?after={from}&limit={PAGE_RECORDS}"))?;
        let is_empty = page.records.is_empty();
        records.extend(page.records);
        head = if head.n > page.head.n { head } else { page.head };
        match page.next {
            Some(next) if all && next > from && !is_empty => from = next,
            Some(_) | None => break,
        }
    }
    let lines: String = records.iter().map(|record| format!("{}\n", record.get())).collect();
    if let Some(path) = &out {
        create_private(path, lines.as_bytes()).map_err(|error| {
            Failure::stopped("file_failed", format!("Could not write {}: {error}.", path.display()))
        })?;
    }
    if !records.is_empty() {
        let mut follower = Follower::new(Some(Kind::Deployment), all.then_some(head));
        let checked = follower.read(lines.as_bytes(), |_| {}).and_then(|()| follower.finish());
        checked.map_err(|fault| Failure::stopped("audit_broken", format!("THE RECORD IS NOT WHOLE: {fault}.")))?;
    }
    let shown = json!({"chain": "verified", "head": head, "count": records.len(), "file": out});
    output.result(&shown, || {
        let body = if out.is_some() { String::new() } else { plain_lines(&lines) };
        format!("{body}{} records. End: {}:{}", records.len(), head.n, head.hash)
    })
}

fn plain_lines(text: &str) -> String {
    text.lines().map(|line| plain(line) + "\n").collect()
}

fn unsealing_words(reply: &Value) -> String {
    if reply.get("unsealed").and_then(Value::as_bool) == Some(true) {
        return "Unsealed.".into();
    }
    let said = reply
        .get("words")
        .map_or(0, |words| words.as_array().map_or(words.as_u64(), |it| u64::try_from(it.len()).ok()).unwrap_or(0));
    let needed = reply.get("needed").and_then(Value::as_u64).unwrap_or(0);
    format!(
        "{said} of {needed} words are said, {} missing. Another operator types the same with: --unsealing {}",
        needed.saturating_sub(said),
        field(reply, "unsealing")
    )
}

fn field(value: &Value, name: &str) -> String {
    plain(value.get(name).and_then(Value::as_str).unwrap_or_default())
}

fn show(value: &Value, output: &Output) -> Result<(), Failure> {
    output.result(value, || plain_lines(&serde_json::to_string_pretty(value).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_named_with_scopes_and_an_id_fits_a_path() {
        assert_eq!(
            Value::Object(named("Ada B:read,seal").unwrap()),
            json!({"name": "Ada B", "scopes": ["read", "seal"]})
        );
        for text in ["Ada", ":read", "Ada:"] {
            assert!(named(text).is_err(), "{text}");
        }
        assert!(checked_id("00112233445566ff").is_ok());
        assert!(checked_id("../operator/seal").is_err());
    }

    #[test]
    fn who_unseals_is_told_how_many_words_are_missing() {
        let told = unsealing_words(&json!({"unsealing": "ab", "words": 1, "needed": 3, "unsealed": false}));
        assert!(told.contains("1 of 3") && told.contains("2 missing") && told.contains("--unsealing ab"), "{told}");
    }
}
