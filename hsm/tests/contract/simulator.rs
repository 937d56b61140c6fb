//! The simulator, which has nobody to talk to.

use std::sync::Arc;

use frost_wasm_core::secret::Secret32;
use passport_hsm::Settings;

use crate::{
    cases,
    lab::{Forms, Lab, Refusal, State, Subject},
    wire::Wire,
};

pub(crate) struct Simulation;

/// What the simulator can promise; all the rest is about a provider behind a wire, with keys and people of its own.
const PROMISES: &[&str] = &[
    "what was wrapped comes back",
    "two wraps of one key differ",
    "what another KEK wrapped is refused without asking",
    "another holder's KEK does not open it",
    "another holder does not open it under the same KEK",
    "every altered byte of a wrapped key is noticed",
    "a wrapped key that was cut or is too long is noticed",
    "a KEK is exchanged and what the old one wrapped still opens",
    "people are told which KEK it is",
    "health is good when all is well",
    "nothing secret is shown",
];

impl Lab for Simulation {
    fn title(&self) -> String {
        "simulator".to_owned()
    }

    fn left_out(&self) -> Vec<(&'static str, &'static str)> {
        let others = cases::all().filter(|(name, _)| !PROMISES.contains(name));
        others.map(|(name, _)| (*name, "there is no provider, and its KEK has neither states nor users")).collect()
    }

    fn settings(&self, subject: Subject) -> Settings {
        let kek = match subject {
            Subject::Bunker | Subject::BunkerAsCosigner => [1; 32],
            Subject::Cosigner => [2; 32],
            Subject::Next => [3; 32],
            other => panic!("{other:?}"),
        };
        Settings::Simulator(Arc::new(Secret32::from_bytes(kek)))
    }

    fn wire(&self) -> Wire {
        Wire::nowhere(|_| panic!("there is nobody to ask"))
    }

    fn names(&self) -> (&'static str, String) {
        // SHA-256 of "passport/v1/hsm-simulator/kek-id" and 32 bytes of 01, by Python's hashlib.
        ("simulator", "98f5ca3aca2fba88".to_owned())
    }

    fn secrets(&self) -> Vec<String> {
        vec![hex::encode([1; 32]), "1, 1, 1".to_owned(), "1,1,1".to_owned()]
    }

    fn set_state(&self, state: State) {
        panic!("{state:?}");
    }

    fn set_ahead_s(&self, seconds: i64) {
        panic!("{seconds}");
    }

    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }

    fn forms(&self) -> &'static Forms {
        panic!("nobody to talk to");
    }
}
