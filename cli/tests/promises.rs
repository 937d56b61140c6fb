//! What the program promises to whoever runs it: secrets stay out of what it prints, results go to standard output
//! and everything else does not, and the exit code tells.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
const HEX: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
const PASSWORD: &str = "incorrect donkey charger paperclip";
const PASSPHRASE: &str = "a quite different passphrase";

fn passport(home: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_passport"))
        .args(args)
        .env("PASSPORT_HOME", home)
        .env("PASSPORT_PASSWORD", PASSWORD)
        .env("PASSPORT_KIT_PASSPHRASE", PASSPHRASE)
        .env_remove("PASSPORT_SERVER")
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn has_no_secret(text: &str) {
    for secret in [NSEC, HEX, PASSWORD, PASSPHRASE] {
        assert!(!text.contains(secret), "{text}");
    }
}

/// An address where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_failure_prints_no_secret_and_no_result() {
    let home = tempfile::tempdir().unwrap();
    let server = nowhere();
    let cases: [(&[&str], &str, i32); 7] = [
        (&["quickstart", "--import", "--json", "--server", &server], NSEC, 1),
        (&["quickstart", "--import", "--json", "--server", &server], &HEX[1..], 1),
        (&["register", "alice", "--json", "--server", &server], "", 1),
        (&["key", "import", "--json"], NSEC, 1),
        (&["key", "import", "--json", NSEC], "", 2),
        (&["key", "import", "--json", HEX], "", 2),
        (&["connect", "--label", "App", "--key", HEX, "--json"], "", 2),
    ];
    for (args, input, code) in cases {
        let output = passport(home.path(), args, input);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
        has_no_secret(&printed(&output));
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn an_existing_kit_stops_everything_before_the_server_hears_of_it() {
    let home = tempfile::tempdir().unwrap();
    let kit = home.path().join("npub10elfcs4fr0l.kit.json");
    fs::write(&kit, "the only copy").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let output = passport(home.path(), &["quickstart", "--import", "--server", &server], NSEC);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed(&output).contains("kit_exists"));
    assert_eq!(fs::read_to_string(&kit).unwrap(), "the only copy");
    assert!(listener.accept().is_err(), "the server was asked");
}

#[test]
fn the_password_does_not_leave_the_device() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = read_request(&mut stream);
        let body = r#"{"code":"username_taken","detail":"Taken\u001b[2J.","status":409}"#;
        let head = format!(
            "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        request
    });
    let output = passport(home.path(), &["register", "alice", "--server", &server], "");
    let request = asked.join().unwrap();
    has_no_secret(&request);
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["username"], "alice");
    assert_eq!(body["password"].as_str().unwrap().len(), 64);
    assert_eq!(body["kdf"]["log_n"], 17);
    assert_eq!(body["proof"]["pubkey"], body["owner_pubkey"]);
    assert!(body["proof"]["content"].as_str().unwrap().contains(&server));

    // What the server says is shown, and can't steer the terminal.
    assert_eq!(output.status.code(), Some(1));
    let told = printed(&output);
    assert!(told.contains("username_taken") && !told.contains('\u{1b}'), "{told:?}");
}

/// Head and body of one request.
fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).unwrap();
        assert_ne!(length, 0, "cut off: {text}");
        text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let announced = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= announced {
            return text;
        }
    }
}
