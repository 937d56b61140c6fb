//! One contract for all providers: the same list of named cases, each against a peer that somebody else wrote or that
//! the provider's own client has proven.
//!
//! A case that makes no sense for a provider is left out by name, and printed with the reason. `tests/peers` has the
//! peers; what they can't do wrong, the wire to them does.

#![expect(clippy::print_stdout, reason = "the counts are what people want to see")]

mod aws;
mod azure;
mod cases;
mod google;
mod lab;
mod live;
mod peer;
mod simulator;
mod wire;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use frost_wasm_core::group::HolderRole;
use passport_hsm::{HolderHsm, HsmError, Settings, aws::KeyStore, azure::Algorithm};
use serde_json::Value;

use lab::{DEK, Holder, Lab, Subject};

#[test]
fn the_simulator_keeps_the_contract() {
    keeps_the_contract(&simulator::Simulation);
}

#[test]
#[ignore = "needs the peers: npm test -- --only=hsm"]
fn aws_keeps_the_contract() {
    let moto = aws::Moto::start();
    keeps_the_contract(&moto);
    asks_elsewhere(&moto, &moto.elsewhere());
    // And of this provider alone, which has two kinds of hardware: the one that is demanded has to be it.
    let (ours, theirs) = (KeyStore::CloudHsm, KeyStore::Kms);
    for (key, demanded, result) in [
        ("bunker", theirs, Ok(())),
        ("cloudhsm", ours, Ok(())),
        ("bunker", ours, Err(HsmError::NotHardware)),
        ("cloudhsm", theirs, Err(HsmError::NotHardware)),
    ] {
        let hsm = HolderHsm::new(HolderRole::Bunker, &moto.kept(key, demanded), None, &moto.wire()).unwrap();
        assert_eq!(lab::wrap(&hsm).map(drop), result, "{key} where {demanded:?} is demanded");
    }
}

#[test]
#[ignore = "needs the peers: npm test -- --only=hsm"]
fn google_keeps_the_contract() {
    let fake = google::Fake::start();
    keeps_the_contract(&fake);
    asks_elsewhere(&fake, &fake.elsewhere());
    // And of this provider alone, whose keys have versions: what an older one wrapped still opens.
    let holder = Holder::new(&fake, Subject::Next);
    let wrapped = holder.wrap().unwrap();
    fake.rotate_next();
    assert_eq!(holder.unwrap(&wrapped), Ok(DEK));
    assert_eq!(holder.unwrap(&holder.wrap().unwrap()), Ok(DEK));
}

#[test]
#[ignore = "needs the peers: npm test -- --only=hsm"]
fn azure_key_vault_keeps_the_contract() {
    azure_keeps_the_contract(Algorithm::RsaOaep256);
}

#[test]
#[ignore = "needs the peers: npm test -- --only=hsm"]
fn azure_managed_hsm_keeps_the_contract() {
    azure_keeps_the_contract(Algorithm::A256Kw);
}

fn azure_keeps_the_contract(algorithm: Algorithm) {
    let fake = azure::Fake::start(algorithm);
    keeps_the_contract(&fake);
    // And of this provider alone: a key out of its time wraps nothing and still unwraps, a deleted one is not there.
    let holder = Holder::new(&fake, Subject::Bunker);
    let wrapped = holder.wrap().unwrap();
    fake.expire();
    assert_eq!(holder.wrap(), Err(HsmError::KeyDisabled));
    assert_eq!(holder.unwrap(&wrapped), Ok(DEK));
    fake.delete();
    assert_eq!(holder.wrap(), Err(HsmError::KeyMissing));
    assert_eq!(holder.unwrap(&wrapped), Err(HsmError::KeyMissing));
}

#[test]
fn the_live_services_keep_the_contract_where_they_are_asked_for() {
    for provider in ["aws", "google", "azure"] {
        if let Some(live) = live::Live::asked_for(provider) {
            keeps_the_contract(&live);
        }
    }
}

/// The conditions of the policy in `docs/HSM.md` are what the adapter sends, to the letter: else KMS would refuse it.
#[test]
fn the_documented_policy_of_aws_lets_through_what_is_sent() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/HSM.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, rest) = guide.split_once("```json\n").unwrap();
    let policy: Value = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let use_it = statements.iter().find(|it| it["Sid"] == "BunkerWrapsAndUnwraps").unwrap();
    let demanded = use_it["Condition"]["StringEquals"].as_object().unwrap();
    for (role, holder) in [(HolderRole::Bunker, "bunker"), (HolderRole::Cosigner, "cosigner")] {
        let sent = aws::context_sent(role);
        let sent: BTreeMap<_, _> =
            sent.iter().map(|(name, value)| (format!("kms:EncryptionContext:{name}"), value.clone())).collect();
        let mut wanted: BTreeMap<_, _> = demanded.clone().into_iter().collect();
        let of_bunker = wanted.insert("kms:EncryptionContext:passport:holder".to_owned(), holder.into());
        assert_eq!((sent, of_bunker), (wanted, Some("bunker".into())));
    }
}

/// An endpoint of somebody's own is asked, and no other.
fn asks_elsewhere(lab: &dyn Lab, settings: &Settings) {
    let wire = lab.wire();
    wire.fault(|call| {
        assert!(!call.request.url.contains("googleapis.com") && !call.request.url.starts_with("https://kms.eu"));
        call.pass()
    });
    let hsm = HolderHsm::new(HolderRole::Bunker, settings, None, &wire).unwrap();
    assert_eq!(lab::unwrap(&hsm, &lab::wrap(&hsm).unwrap()), Ok(DEK));
}

/// Tries every case, and fails at the end with all that failed.
fn keeps_the_contract(lab: &dyn Lab) {
    let left_out = lab.left_out();
    let unknown = left_out.iter().find(|(name, _)| cases::all().all(|(case, _)| case != name));
    assert_eq!(unknown, None, "no such case");
    let (mut lines, mut kept, mut broken) = (Vec::new(), 0, Vec::new());
    for (name, keep) in cases::all() {
        if let Some((_, reason)) = left_out.iter().find(|(it, _)| it == name) {
            lines.push(format!("  – {name}: left out, {reason}"));
        } else if catch_unwind(AssertUnwindSafe(|| keep(lab))).is_ok() {
            kept += 1;
            lines.push(format!("  ✓ {name}"));
        } else {
            broken.push(*name);
            lines.push(format!("  ✗ {name}"));
        }
    }
    let title = lab.title();
    println!("{title}: {kept} cases kept, {} left out\n{}", left_out.len(), lines.join("\n"));
    assert!(broken.is_empty(), "{title} breaks: {broken:#?}");
}
