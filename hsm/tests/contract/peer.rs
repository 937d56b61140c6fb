//! A peer as a process: Python that ends when its standard input does.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use passport_hsm::HttpRequest;
use serde_json::Value;

use crate::wire::{Carrier, Kind, Wire};

/// A running peer, and what it said of itself.
pub(crate) struct Peer {
    child: Child,
    pipes: RefCell<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    introduction: Value,
    carrier: Option<Carrier>,
}

impl Peer {
    /// Starts a script of `tests/peers` and waits for its introduction.
    pub(crate) fn start(script: &str) -> Self {
        let mut child = python(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the peers' Python");
        let pipes = (child.stdin.take().expect("piped"), BufReader::new(child.stdout.take().expect("piped")));
        let mut peer = Self { child, pipes: RefCell::new(Some(pipes)), introduction: Value::Null, carrier: None };
        peer.introduction = peer.read(script);
        let names = peer.introduction["names"].as_array().expect("names");
        let names = names.iter().map(|name| name.as_str().expect("a name").to_owned()).collect();
        let port = peer.introduction["port"].as_u64().expect("a port") as u16;
        peer.carrier = Some(Carrier::new(names, port, &peer.word("/ca")));
        peer
    }

    /// A word of its introduction.
    pub(crate) fn word(&self, pointer: &str) -> String {
        self.introduction.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}")).to_owned()
    }

    /// Tells it what to do, and waits until it is done.
    pub(crate) fn command(&self, word: &Value) {
        let mut pipes = self.pipes.borrow_mut();
        let (input, _) = pipes.as_mut().expect("a running peer");
        writeln!(input, "{word}").expect("a peer that listens");
        drop(pipes);
        self.read("a command");
    }

    /// A way to it.
    pub(crate) fn wire(&self, kind: fn(&HttpRequest) -> Kind) -> Wire {
        Wire::new(self.carrier.as_ref().expect("a running peer"), kind)
    }

    fn read(&self, what: &str) -> Value {
        let mut line = String::new();
        let mut pipes = self.pipes.borrow_mut();
        let (_, output) = pipes.as_mut().expect("a running peer");
        output.read_line(&mut line).expect("a peer that speaks");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{what}: the peer said {line:?}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.pipes.borrow_mut().take();
        let _ = self.child.wait();
    }
}

/// Runs a script that proves a peer with the provider's own client, and gives how many proofs there were.
pub(crate) fn prove(script: &str) -> usize {
    let output = python(script).output().expect("the peers' Python");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}:\n{said}");
    let ran = said.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse().ok());
    ran.filter(|count| *count > 0).unwrap_or_else(|| panic!("{script} proved nothing:\n{said}"))
}

fn python(script: &str) -> Command {
    let python = std::env::var_os("PASSPORT_PEERS_PYTHON").expect("PASSPORT_PEERS_PYTHON names the peers' Python");
    let mut command = Command::new(python);
    // The folder stays as it is: no caches of Python in it.
    command.arg("-B").arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script));
    command
}
