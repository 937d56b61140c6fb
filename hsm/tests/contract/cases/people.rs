//! Who asks, and what the provider lets him.

use passport_hsm::{Hsm, HsmError};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Case;
use crate::{
    lab::{DEK, Holder, Lab, Subject, copied, forged},
    wire::Kind,
};

pub(crate) const CASES: &[Case] = &[
    ("a wrong secret is refused", wrong_secret),
    ("somebody unknown is refused", unknown),
    ("somebody without permission is refused", stranger),
    ("who may wrap only can't unwrap", wrap_only),
    ("credentials that end are taken", session),
    ("what was altered on its way to the provider is refused", tampered),
    ("a wrong clock is named so", clock),
    ("a token is used again until its last minute", token_is_kept),
    ("a refused token is forgotten", token_is_forgotten),
    ("a failing token endpoint is asked again", token_endpoint_fails),
    ("nothing secret is shown", nothing_shown),
];

/// An hour, in seconds: how long tokens last.
const HOUR_S: i64 = 3600;

fn wrong_secret(lab: &dyn Lab) {
    refused(lab, Subject::WrongSecret);
}

fn unknown(lab: &dyn Lab) {
    refused(lab, Subject::Unknown);
}

fn stranger(lab: &dyn Lab) {
    refused(lab, Subject::Stranger);
}

fn refused(lab: &dyn Lab, subject: Subject) {
    let wrapped = Holder::new(lab, Subject::Bunker).wrap().unwrap();
    let holder = Holder::new(lab, subject);
    assert_eq!(holder.wrap().unwrap_err(), HsmError::CredentialsRefused);
    assert_eq!(holder.unwrap(&wrapped), Err(HsmError::CredentialsRefused));
    assert_eq!(holder.health(), Err(HsmError::CredentialsRefused));
    assert!(holder.wire.waits_ms().is_empty(), "it was tried again");
}

fn wrap_only(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Wrapper);
    let wrapped = holder.wrap().unwrap();
    assert_eq!(holder.unwrap(&wrapped), Err(HsmError::CredentialsRefused));
    assert_eq!(Holder::new(lab, Subject::Bunker).unwrap(&wrapped), Ok(DEK));
    assert_eq!(holder.health(), Err(HsmError::CredentialsRefused), "health has to try both");
}

fn session(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Session);
    let wrapped = holder.wrap().unwrap();
    assert_eq!(holder.unwrap(&wrapped), Ok(DEK));
    assert_eq!(Holder::new(lab, Subject::Bunker).unwrap(&wrapped), Ok(DEK));
}

fn tampered(lab: &dyn Lab) {
    let (kind, alter) = lab.forms().tamper;
    let holder = Holder::new(lab, Subject::Bunker);
    holder.wire.fault(move |call| {
        if call.kind != kind {
            return call.pass();
        }
        let mut request = copied(call.request);
        alter(&mut request);
        call.pass_instead(&request)
    });
    assert_eq!(holder.wrap().unwrap_err(), HsmError::CredentialsRefused);
    assert!(holder.wire.sent(kind) > 0);
    holder.wire.mend();
    assert_eq!(holder.wrap().map(drop), Ok(()));
}

fn clock(lab: &dyn Lab) {
    for ahead_s in [HOUR_S, -HOUR_S] {
        let holder = Holder::new(lab, Subject::Bunker);
        holder.wire.set_ahead_ms(ahead_s * 1000);
        assert_eq!(holder.wrap().unwrap_err(), HsmError::ClockSkew);
        assert_eq!(holder.health(), Err(HsmError::ClockSkew));
        holder.wire.set_ahead_ms(0);
        assert_eq!(holder.health(), Ok(()));
    }
}

fn token_is_kept(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    let wrapped = holder.wrap().unwrap();
    // The clocks go on, ours and the peer's. Some seconds are left for what the test itself takes.
    for (ahead_s, tokens) in [(0, 1), (HOUR_S - 90, 1), (HOUR_S - 59, 2), (HOUR_S + 60, 2)] {
        holder.wire.set_ahead_ms(ahead_s * 1000);
        lab.set_ahead_s(ahead_s);
        let opened = holder.unwrap(&wrapped);
        lab.set_ahead_s(0);
        assert_eq!(opened, Ok(DEK), "after {ahead_s} s");
        assert_eq!(holder.wire.sent(Kind::Token), tokens, "after {ahead_s} s");
    }
}

fn token_is_forgotten(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    let wrapped = holder.wrap().unwrap();
    // The provider knows its tokens no longer; ours would be good for an hour.
    lab.set_ahead_s(2 * HOUR_S);
    let refused = holder.unwrap(&wrapped);
    lab.set_ahead_s(0);
    assert_eq!(refused, Err(HsmError::CredentialsRefused));
    assert_eq!(holder.unwrap(&wrapped), Ok(DEK));
    assert_eq!(holder.wire.sent(Kind::Token), 2);
}

fn token_endpoint_fails(lab: &dyn Lab) {
    for (status, error) in [(429, HsmError::Throttled), (503, HsmError::Unavailable)] {
        let holder = Holder::new(lab, Subject::Bunker);
        holder.wire.fault(move |call| match (call.kind, call.before) {
            (Kind::Token, 0 | 1) => forged(status, &json!({"error": "temporarily_unavailable"})),
            _ => call.pass(),
        });
        assert_eq!(holder.wrap().map(drop), Ok(()));
        assert_eq!(holder.wire.sent(Kind::Token), 3);

        let holder = Holder::new(lab, Subject::Bunker);
        holder.wire.fault(move |call| match call.kind {
            Kind::Token => forged(status, &json!("")),
            _ => call.pass(),
        });
        assert_eq!(holder.wrap().unwrap_err(), error);
        assert_eq!(holder.wire.sent(Kind::Token), 3);
    }
    for answer in ["", "{", "{}", r#"{"access_token":"t","expires_in":9,"token_type":"mac"}"#] {
        let holder = Holder::new(lab, Subject::Bunker);
        holder.wire.fault(move |call| match call.kind {
            Kind::Token => forged(200, &Value::Null).map(|mut forged| {
                forged.body = Zeroizing::new(answer.as_bytes().to_vec());
                forged
            }),
            _ => call.pass(),
        });
        assert_eq!(holder.wrap().unwrap_err(), HsmError::BadResponse, "{answer}");
    }
}

fn nothing_shown(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    let wrapped = holder.wrap().unwrap();
    let shown = format!("{:?} {:?} {:?}", holder.hsm, lab.settings(Subject::Bunker), holder.hsm.describe());
    let error = Holder::new(lab, Subject::Cosigner).unwrap(&wrapped).unwrap_err();
    let shown = format!("{shown} {error:?} {error}");
    for secret in lab.secrets() {
        assert!(!secret.is_empty() && !shown.contains(&secret));
    }
    assert!(!shown.contains("a data key"));
}
