//! Answers that are not what the provider said, and the names of those that are.

use passport_hsm::{HsmError, TransportError};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Case;
use crate::{
    lab::{DEK, Holder, Lab, Subject, edited, forged},
    wire::{Answer, Call, Kind},
};

pub(crate) const CASES: &[Case] = &[
    ("each documented refusal has its name", refusals),
    ("an answer that names another KEK is not used", other_key),
    ("an answer with a wrong checksum is not used", checksum),
    ("an answer that does not say that the request arrived whole is not used", verified),
    ("an answer from outside hardware is not used", protection),
    ("an answer that was cut is not used", cut),
    ("an answer that is not understood is not used", nonsense),
    ("an answer that is too long is not used", too_long),
    ("a redirect is not followed", redirect),
    ("a data key of another length is not used", wrong_length),
    ("another data key in the answer is noticed", another_key),
    ("no token is asked for in a stranger's name", challenge),
];

/// A holder with its wrapped key, for whom answers of one kind come out like this.
fn altered(lab: &dyn Lab, kind: Kind, alter: impl Fn(Answer) -> Answer + 'static) -> Holder {
    let holder = Holder::new(lab, Subject::Bunker);
    holder.wire.fault(move |call| if call.kind == kind { alter(call.pass()) } else { call.pass() });
    holder
}

/// What comes of it when answers of a kind are altered so.
fn outcome(lab: &dyn Lab, kind: Kind, alter: impl Fn(Answer) -> Answer + 'static) -> Result<(), HsmError> {
    let wrapped = Holder::new(lab, Subject::Bunker).wrap().unwrap();
    let holder = altered(lab, kind, alter);
    match kind {
        Kind::Unwrap => holder.unwrap(&wrapped).map(|dek| assert_eq!(dek, DEK)),
        _ => holder.wrap().map(drop),
    }
}

/// The kinds of requests that this provider is sent.
fn kinds(lab: &dyn Lab) -> Vec<Kind> {
    let holder = Holder::new(lab, Subject::Bunker);
    let _ = holder.unwrap(&holder.wrap().unwrap());
    let all = [Kind::Challenge, Kind::Token, Kind::Describe, Kind::Wrap, Kind::Unwrap];
    all.into_iter().filter(|kind| holder.wire.sent(*kind) > 0).collect()
}

fn refusals(lab: &dyn Lab) {
    let wrapped = Holder::new(lab, Subject::Bunker).wrap().unwrap();
    let refusals = lab.refusals();
    assert!(refusals.len() >= 8, "{}", refusals.len());
    for refusal in refusals {
        let what = format!("{} {}", refusal.status, refusal.body);
        let holder = Holder::new(lab, Subject::Bunker);
        holder.wire.fault(move |call| match call.kind {
            Kind::Unwrap => forged(refusal.status, &refusal.body),
            _ => call.pass(),
        });
        assert_eq!(holder.unwrap(&wrapped), Err(refusal.error), "{what}");
        let attempts = if refusal.error.is_transient() { 3 } else { 1 };
        assert_eq!(holder.wire.sent(Kind::Unwrap), attempts, "{what}");
    }
}

fn other_key(lab: &dyn Lab) {
    let name = lab.forms().name_other_key;
    let mut tried = 0;
    for kind in [Kind::Describe, Kind::Wrap, Kind::Unwrap] {
        if !name(kind, &mut json!({"KeyMetadata": {}, "primary": {}, "key": {}})) {
            continue;
        }
        tried += 1;
        let result = outcome(lab, kind, move |answer| edited(answer, |json| assert!(name(kind, json))));
        assert_eq!(result, Err(HsmError::WrongKey), "{kind:?}");
    }
    assert!(tried >= 2);
}

fn checksum(lab: &dyn Lab) {
    for (kind, name) in [(Kind::Wrap, "ciphertextCrc32c"), (Kind::Unwrap, "plaintextCrc32c")] {
        for wrong in [json!("1"), json!("-1"), json!("4294967296"), json!(null)] {
            let put = wrong.clone();
            let result = outcome(lab, kind, move |answer| edited(answer, |json| json[name] = put.clone()));
            assert_eq!(result, Err(HsmError::BadResponse), "{name} {wrong}");
        }
        let left_out = move |json: &mut Value| drop(json.as_object_mut().unwrap().remove(name).unwrap());
        assert_eq!(outcome(lab, kind, move |answer| edited(answer, left_out)), Err(HsmError::BadResponse));
    }
    let flip = |json: &mut Value| {
        let text = json["ciphertext"].as_str().unwrap();
        json["ciphertext"] =
            if text.starts_with('A') { text.replacen('A', "B", 1) } else { format!("A{}", &text[1..]) }.into();
    };
    assert_eq!(outcome(lab, Kind::Wrap, move |answer| edited(answer, flip)), Err(HsmError::BadResponse));
}

fn verified(lab: &dyn Lab) {
    for name in ["verifiedPlaintextCrc32c", "verifiedAdditionalAuthenticatedDataCrc32c"] {
        let edit = move |json: &mut Value| {
            assert_eq!(json.as_object_mut().unwrap().remove(name), Some(Value::Bool(true)));
        };
        assert_eq!(outcome(lab, Kind::Wrap, move |answer| edited(answer, edit)), Err(HsmError::BadResponse), "{name}");
    }
}

fn protection(lab: &dyn Lab) {
    for kind in [Kind::Wrap, Kind::Unwrap] {
        for level in ["SOFTWARE", "EXTERNAL", "EXTERNAL_VPC", ""] {
            let edit = move |json: &mut Value| {
                assert_eq!(json["protectionLevel"], "HSM");
                json["protectionLevel"] = level.into();
            };
            assert_eq!(outcome(lab, kind, move |answer| edited(answer, edit)), Err(HsmError::NotHardware), "{level}");
        }
    }
}

fn cut(lab: &dyn Lab) {
    for kind in kinds(lab).into_iter().filter(|kind| *kind != Kind::Challenge) {
        // In parts of sixteen, and one byte from the end.
        for sixteenth in 0..=16 {
            let result = outcome(lab, kind, move |answer| {
                answer.map(|mut answer| {
                    let length = (answer.body.len() * sixteenth / 16).min(answer.body.len() - 1);
                    answer.body.truncate(length);
                    answer
                })
            });
            assert_eq!(result, Err(HsmError::BadResponse), "{kind:?}, {sixteenth}/16");
        }
    }
}

fn nonsense(lab: &dyn Lab) {
    for kind in kinds(lab) {
        for text in ["", "{}", "[]", "null", "<html>all is well</html>", "{\"error\":{}}"] {
            for status in [200, 204, 400, 418] {
                let result = outcome(lab, kind, move |answer| {
                    answer.map(|mut answer| {
                        answer.status = status;
                        answer.headers.clear();
                        answer.body = Zeroizing::new(text.as_bytes().to_vec());
                        answer
                    })
                });
                assert_eq!(result, Err(HsmError::BadResponse), "{kind:?} {status} {text}");
            }
        }
    }
}

fn too_long(lab: &dyn Lab) {
    for kind in kinds(lab) {
        assert_eq!(outcome(lab, kind, |_| Err(TransportError::TooLong)), Err(HsmError::BadResponse), "{kind:?}");
    }
}

fn redirect(lab: &dyn Lab) {
    for kind in kinds(lab) {
        for status in [301, 302, 303, 307, 308] {
            let result = outcome(lab, kind, move |answer| {
                answer.map(|mut answer| {
                    answer.status = status;
                    answer.headers.push(("location".into(), "https://elsewhere.test/".into()));
                    answer
                })
            });
            assert_eq!(result, Err(HsmError::BadResponse), "{kind:?} {status}");
        }
    }
}

fn wrong_length(lab: &dyn Lab) {
    let replace = lab.forms().replace_opened;
    for length in [0, 1, 16, 31, 33, 64] {
        let bytes = vec![7; length];
        let result = outcome(lab, Kind::Unwrap, move |answer| edited(answer, |json| replace(json, &bytes)));
        assert_eq!(result, Err(HsmError::BadResponse), "{length} bytes");
    }
}

fn another_key(lab: &dyn Lab) {
    let replace = lab.forms().replace_opened;
    let result = outcome(lab, Kind::Unwrap, move |answer| edited(answer, |json| replace(json, &[7; 32])));
    assert_eq!(result, Err(HsmError::DoesNotOpen));
}

fn challenge(lab: &dyn Lab) {
    let good = "Bearer authorization=\"https://login.microsoftonline.com/";
    for (from, to) in [
        (good, "Bearer authorization=\"https://login.microsoftonline.com.evil.test/"),
        (good, "Bearer authorization=\"http://login.microsoftonline.com/"),
        (good, "Bearer authorization=\"https://login.microsoftonline.com/common/"),
        ("azure.net\"", "azure.net.evil.test\""),
        ("azure.net\"", "azure.org\""),
        ("resource=\"https://", "resource=\"https://other."),
    ] {
        let holder = Holder::new(lab, Subject::Bunker);
        holder.wire.fault(move |call: &Call<'_>| {
            assert_ne!(call.kind, Kind::Token, "it asked for a token: {to}");
            call.pass().map(|mut answer| {
                for (name, value) in &mut answer.headers {
                    if name == "www-authenticate" {
                        assert!(value.contains(from), "{value}");
                        *value = value.replace(from, to);
                    }
                }
                answer
            })
        });
        assert_eq!(holder.wrap().unwrap_err(), HsmError::WrongKey, "{to}");
    }
}
