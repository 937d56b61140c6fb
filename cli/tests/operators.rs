//! What operators can count on when they use the program: their tokens stay out of arguments and, where they ask for
//! files, out of what is printed; and it says to a server just what the deployment's machine takes. The server here is that
//! machine behind a socket.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::UNIX_EPOCH,
};

use frost_wasm_core::secret::Secret32;
use operations_core::{
    audit::DeploymentRecord,
    command::{Command as Asked, Issued},
    machine::{Caller, Ctx, Refused, Step},
    operator::Scope,
    seal::Target,
    state::{DeploymentState, Mutation},
    token::OperatorToken,
};
use rand_core::OsRng;
use serde_json::{Value, json};

const SETUP_TOKEN: &str = "0303030303030303030303030303030303030303030303030303030303030303";
const ALL: &str = "read,seal,unseal,operators,policy,rotate,audit,metrics";

#[derive(Default)]
struct Deployment {
    state: DeploymentState,
    records: Vec<DeploymentRecord>,
    bodies: Vec<String>,
    /// As late as the program's commands say.
    now_s: u64,
}

impl Deployment {
    /// The machine's answer: a status, and JSON or text.
    fn answer(&mut self, head: &str, body: &str) -> (u16, String) {
        let mut line = head.lines().next().unwrap().split(' ');
        let (method, path) = (line.next().unwrap(), line.next().unwrap());
        let bearer = head.lines().find_map(|it| it.strip_prefix("authorization: Bearer ")).unwrap_or_default();
        self.bodies.push(body.to_owned());
        let key = Secret32::from_bytes([7; 32]);
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let issued_at = body["issued_at"].as_u64().unwrap_or_default();
        self.now_s = self.now_s.max(issued_at);
        let now_ms = self.now_s * 1000;
        let ctx = &mut Ctx { now_ms, rng: &mut OsRng, mac_key: &key };
        if path == "/operator/setup" {
            let shown = Secret32::from_hex(bearer).ok();
            let configured = Secret32::from_hex(SETUP_TOKEN).unwrap();
            let request = serde_json::from_value(body).unwrap();
            let judged = self.state.set_up(shown.as_ref(), Some(&configured), &request, None, ctx);
            return self.settle(judged);
        }
        let token = OperatorToken::parse(bearer);
        let caller = Caller { token: token.as_ref(), request_id: None };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if method == "GET" {
            let scope = match path {
                "/operator/status" => return self.read_status(caller, ctx),
                "/operator/audit" => Scope::Audit,
                "/metrics" => Scope::Metrics,
                other => panic!("no such route: {other}"),
            };
            let judged = self.state.authorise(caller, scope, ctx);
            let judged = self.settle(judged);
            return match (judged.0, scope) {
                (200, Scope::Audit) => (200, self.page(query)),
                (200, _) => (200, "# HELP passport_sealed Whether.\n".to_owned()),
                _ => judged,
            };
        }
        let owner = body.get("owner_pubkey").map(|it| serde_json::from_value(it.clone()).unwrap());
        let owner = owner.or_else(|| body.get("username").map(|_| "02".repeat(32).parse().unwrap()));
        let part = |name: &str| serde_json::from_value(body[name].clone());
        let command = match path.split('/').skip(2).collect::<Vec<_>>()[..] {
            ["seal"] => Asked::Seal {
                target: Target::of(owner),
                reason: part("reason").map(|it: String| it.parse()).unwrap().unwrap(),
            },
            ["unseal"] => Asked::Unseal {
                target: Target::of(owner),
                reason: part("reason").map(|it: String| it.parse()).unwrap().unwrap(),
                unsealing: body.get("unsealing").map(|it| it.as_str().unwrap().parse().unwrap()),
            },
            ["proposals"] => Asked::Propose { what: serde_json::from_value(body["what"].clone()).unwrap() },
            ["proposals", id, "approve"] => Asked::Approve { proposal: id.parse().unwrap() },
            ["operators", id, "remove"] => Asked::RemoveOperator { operator: id.parse().unwrap() },
            ["token"] => Asked::RotateToken {},
            _ => panic!("no such route: {path}"),
        };
        let issued: Issued =
            serde_json::from_value(json!({"command": body["command"], "issued_at": issued_at})).unwrap();
        let judged = self.state.command(caller, issued, &command, ctx);
        self.settle(judged)
    }

    fn read_status(&mut self, caller: Caller<'_>, ctx: &mut Ctx<'_, OsRng>) -> (u16, String) {
        let judged = self.state.status(caller, ctx);
        self.settle(judged)
    }

    fn settle<T: serde::Serialize>(&mut self, judged: Result<Step<T>, Refused>) -> (u16, String) {
        let (mutations, answer) = match judged {
            Ok(Step { mutations, reply }) => (mutations, (200, serde_json::to_string(&reply).unwrap())),
            Err(Refused { mutations, reason }) => {
                let problem = json!({"code": reason.code(), "detail": format!("{reason}."), "status": reason.status()});
                (mutations, (reason.status(), problem.to_string()))
            }
        };
        for mutation in &mutations {
            self.state.apply(mutation);
            if let Mutation::Audit(record) = mutation {
                self.records.push((**record).clone());
            }
        }
        answer
    }

    /// Pages of two, so that there are many.
    fn page(&self, query: &str) -> String {
        let query: BTreeMap<_, _> = query.split('&').filter_map(|it| it.split_once('=')).collect();
        let after: usize = query["after"].parse().unwrap();
        let records: Vec<_> = self.records.iter().skip(after).take(2).collect();
        let next = records.last().map(|it| it.n).filter(|n| *n < self.records.len() as u64);
        // An entry's bytes are what is hashed; a JSON value would sort them.
        let records = serde_json::to_string(&records).unwrap();
        let (head, next) = (json!(self.state.audit_head()), json!(next));
        format!(r#"{{"records":{records},"head":{head},"next":{next}}}"#)
    }
}

struct Office {
    home: tempfile::TempDir,
    url: String,
    deployment: Arc<Mutex<Deployment>>,
}

impl Office {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let home = tempfile::tempdir().unwrap();
        // A folder that was just made says what time it is.
        let made = fs::metadata(home.path()).unwrap().modified().unwrap();
        let now_s = made.duration_since(UNIX_EPOCH).unwrap().as_secs();
        let deployment = Arc::new(Mutex::new(Deployment { now_s, ..Deployment::default() }));
        let behind = deployment.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some((head, body)) = read_request(&mut stream) else { continue };
                let (status, answer) = behind.lock().unwrap().answer(&head, &body);
                let head =
                    format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
                let _ = stream.write_all((head + &answer).as_bytes());
            }
        });
        Self { home, url, deployment }
    }

    /// Two who may do everything, and one who may read, each with a token in a file.
    fn set_up() -> (Self, Vec<String>) {
        let office = Self::open();
        let (ada, ben) = (format!("Ada:{ALL}"), format!("Ben:{ALL}"));
        let named = [
            "--operator",
            &ada,
            "--operator",
            &ben,
            "--operator",
            "Eve:read",
            "--unseal-threshold",
            "2",
            "--out",
            "tokens",
        ];
        let args = [&["operator", "setup", "--json"], &named[..]].concat();
        let output = office.run(&args, &[("PASSPORT_SETUP_TOKEN", SETUP_TOKEN)]);
        assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let files: Vec<_> =
            told["operators"].as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap().to_owned()).collect();
        for file in &files {
            let token = office.read(file);
            assert!(token.starts_with("pop_") && !printed(&output).contains(&token));
        }
        (office, files)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.home.path().join(file)).unwrap()
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_passport"))
            .args(args)
            .env("PASSPORT_HOME", self.home.path())
            .env("PASSPORT_SERVER", &self.url)
            .env_remove("PASSPORT_OPERATOR_TOKEN")
            .env_remove("PASSPORT_SETUP_TOKEN")
            .envs(env.iter().copied())
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// What an operator is told, as JSON.
    fn told(&self, file: &str, args: &[&str]) -> Value {
        let output = self.run(&[&["operator"], args, &["--json", "--token-file", file]].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same in words.
    fn words(&self, file: &str, args: &[&str]) -> String {
        let output = self.run(&[&["operator"], args, &["--token-file", file]].concat(), &[]);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", printed(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn refused(&self, file: &str, args: &[&str], code: &str) -> String {
        let output = self.run(&[&["operator"], args, &["--json", "--token-file", file]].concat(), &[]);
        let told = printed(&output);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(1), true), "{args:?}: {told}");
        assert!(told.contains(&format!("[{code}]")), "{told}");
        told
    }
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// Head and body of one request; `None` when nothing was sent.
fn read_request(stream: &mut TcpStream) -> Option<(String, String)> {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).unwrap();
        if length == 0 {
            return None;
        }
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= announced.map_or(0, |length| length.parse().unwrap()) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

fn verify(office: &Office, file: &str) -> Output {
    office.run(&["audit", "verify", file, "--kind", "deployment", "--json"], &[])
}

#[test]
fn operators_are_set_up_with_a_token_that_is_no_argument_and_once() {
    let (office, files) = Office::set_up();
    let again = [
        "operator",
        "setup",
        "--operator",
        "A:unseal,operators",
        "--operator",
        "B:unseal,operators",
        "--unseal-threshold",
        "2",
    ];
    let output = office.run(&again, &[("PASSPORT_SETUP_TOKEN", SETUP_TOKEN)]);
    assert!(printed(&output).contains("[already_set_up]") && printed(&output).contains("propose add-operator"));
    // Without a terminal nothing is asked, and an argument is none of the ways.
    assert_eq!(office.run(&again, &[]).status.code(), Some(2));
    let asked = office.deployment.lock().unwrap().bodies.len();
    let argued = office.run(&[&again[..], &["--setup-token", SETUP_TOKEN]].concat(), &[]);
    assert_eq!(argued.status.code(), Some(2));
    assert!(!printed(&argued).contains(SETUP_TOKEN));
    let argued = office.run(&["operator", "status", "--token", &office.read(&files[0])], &[]);
    assert_eq!(argued.status.code(), Some(2));
    assert!(!printed(&argued).contains(&office.read(&files[0])));
    assert_eq!(office.deployment.lock().unwrap().bodies.len(), asked, "the server was asked");
}

#[cfg(unix)]
#[test]
fn a_token_is_kept_for_its_operator_only_and_refused_from_a_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt;
    let (office, files) = Office::set_up();
    let path = office.home.path().join(&files[0]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    office.refused(&files[0], &["status"], "token_file_open");
    let by_environment = office.run(&["operator", "status"], &[("PASSPORT_OPERATOR_TOKEN", &office.read(&files[0]))]);
    assert_eq!(by_environment.status.code(), Some(0), "{}", printed(&by_environment));
}

#[test]
fn a_seal_takes_one_and_opening_it_takes_what_the_first_is_told() {
    let (office, files) = Office::set_up();
    let [ada, ben, eve] = &files[..] else { panic!() };
    office.refused(eve, &["seal", "--reason", "may I?"], "scope_missing");
    assert!(office.words(ada, &["seal", "--reason", "a leak"]).starts_with("Sealed since"));
    assert!(office.words(eve, &["status"]).starts_with("SEALED"));
    let told = office.words(ada, &["unseal", "--reason", "it was none"]);
    assert!(told.contains("1 of 2 words"), "{told}");
    // Just what was said to type, with a reason in the place of TEXT.
    let (_, typed) = told.trim().split_once("passport operator ").unwrap();
    let typed: Vec<_> = typed.split(' ').map(|word| if word == "TEXT" { "agreed" } else { word }).collect();
    assert_eq!(office.words(ben, &typed).trim(), "Unsealed: the whole deployment.");
    assert_eq!(office.told(eve, &["status"])["sealed"], Value::Null);
    office.refused(ben, &typed, "unsealing_unknown");
    office.refused(ben, &["unseal", "--reason", "more"], "not_sealed");
}

#[test]
fn an_account_is_sealed_by_its_name_or_its_owner_key() {
    let (office, files) = Office::set_up();
    let ada = &files[0];
    office.told(ada, &["seal", "--account", "alice", "--reason", "stolen"]);
    let body: Value = serde_json::from_str(office.deployment.lock().unwrap().bodies.last().unwrap()).unwrap();
    assert_eq!((&body["username"], body.get("owner_pubkey")), (&json!("alice"), None));
    let owner = "02".repeat(32);
    let told = office.words(ada, &["unseal", "--owner", &owner, "--reason", "found"]);
    assert!(told.contains(&format!("unseal --owner {owner} --unsealing ")), "{told}");
    assert_eq!(office.told(ada, &["status"])["sealed_accounts"][0]["owner_pubkey"], owner);
    let both = office.run(&["operator", "seal", "--account", "a", "--owner", &owner, "--reason", "x"], &[]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn changes_take_two_and_a_new_token_is_in_the_file_that_was_asked_for() {
    let (office, files) = Office::set_up();
    let [ada, ben, _] = &files[..] else { panic!() };
    let delay = office.told(ada, &["propose", "export-delay", "2d"]);
    assert_eq!(delay["what"], json!({"kind": "set_export_delay", "seconds": 172_800}));
    office.refused(ada, &["approve", delay["proposal"].as_str().unwrap()], "second_operator_needed");
    office.told(ben, &["approve", delay["proposal"].as_str().unwrap()]);
    assert_eq!(office.told(ada, &["status"])["export_delay_s"], 172_800);
    office.told(ada, &["propose", "export-delay", "configured"]);
    office.told(ada, &["propose", "rotation"]);
    let told = office.refused(ada, &["propose", "unseal-threshold", "9"], "unseal_threshold_invalid");
    assert!(told.contains("at least 2"), "{told}");

    let fay = office.told(ada, &["propose", "add-operator", "Fay:read,seal", "--lifetime", "30d"]);
    let approved = office.told(ben, &["approve", fay["proposal"].as_str().unwrap(), "--out", "fay.token"]);
    assert_eq!((&approved["file"], approved.get("token")), (&json!("fay.token"), None));
    let first = office.read("fay.token");
    let taken = office.refused("fay.token", &["token", "rotate", "--out", "fay.token"], "file_failed");
    assert!(!taken.contains(&first));
    let shown = office.told("fay.token", &["token", "rotate"]);
    office.refused("fay.token", &["status"], "operator_token_invalid");
    let next =
        office.run(&["operator", "status", "--json"], &[("PASSPORT_OPERATOR_TOKEN", shown["token"].as_str().unwrap())]);
    assert_eq!(next.status.code(), Some(0), "{}", printed(&next));
    office.told(ada, &["remove", approved["operator"].as_str().unwrap()]);
    office.refused(ada, &["remove", approved["operator"].as_str().unwrap()], "operator_unknown");
}

#[test]
fn the_record_is_downloaded_page_by_page_as_it_was_hashed_and_one_that_was_changed_is_found() {
    let (office, files) = Office::set_up();
    let [ada, ben, eve] = &files[..] else { panic!() };
    for n in 0..3 {
        office.told(ada, &["seal", "--account", "alice", "--reason", "a drill"]);
        let begun = office.told(ada, &["unseal", "--account", "alice", "--reason", &format!("drill {n}")]);
        office.told(
            ben,
            &["unseal", "--account", "alice", "--unsealing", begun["unsealing"].as_str().unwrap(), "--reason", "yes"],
        );
    }
    office.refused(eve, &["audit"], "scope_missing");
    let told = office.told(ada, &["audit", "--all", "--out", "record.jsonl"]);
    assert_eq!((&told["chain"], told["count"].as_u64()), (&json!("verified"), told["head"]["n"].as_u64()));
    assert_eq!(verify(&office, "record.jsonl").status.code(), Some(0));
    let page = office.told(ada, &["audit", "--after", "3"]);
    assert_eq!(page["records"][0]["n"], 4);
    // What is printed for people is the same lines.
    assert_eq!(office.words(ada, &["audit", "--all"]).trim(), office.read("record.jsonl").trim());

    let record = office.read("record.jsonl");
    let edited = record.replacen("a drill", "a fault", 1);
    let removed: String =
        record.lines().enumerate().filter(|(n, _)| *n != 3).map(|(_, line)| format!("{line}\n")).collect();
    for (text, found) in [(edited, "edited"), (removed, "missing")] {
        fs::write(office.home.path().join("changed.jsonl"), text).unwrap();
        let output = verify(&office, "changed.jsonl");
        assert!(output.status.code() == Some(1) && printed(&output).contains(found), "{}", printed(&output));
    }

    // A server that leaves one out is told of at once, and what it gave is kept.
    office.deployment.lock().unwrap().records.remove(4);
    office.refused(ada, &["audit", "--all", "--out", "broken.jsonl"], "audit_broken");
    assert!(Path::new(&office.home.path().join("broken.jsonl")).exists());
}

#[test]
fn metrics_are_printed_as_they_are() {
    let (office, files) = Office::set_up();
    assert_eq!(office.words(&files[0], &["metrics"]), "# HELP passport_sealed Whether.\n");
    office.refused(&files[2], &["metrics"], "scope_missing");
}
