//! Providers that are busy, broken or silent.

use passport_hsm::{
    HsmError, TransportError,
    retry::{ATTEMPT_MS, ATTEMPTS, DEADLINE_MS},
};
use serde_json::Value;

use super::Case;
use crate::{
    lab::{DEK, Holder, Lab, Subject, forged},
    wire::{Answer, Call, Kind},
};

pub(crate) const CASES: &[Case] = &[
    ("throttling that ends is waited out", throttled_twice),
    ("throttling that does not end is named so", throttled_for_ever),
    ("as long as the provider asks is waited, if there is time", asked_to_wait),
    ("a provider that failed is asked again", failed_twice),
    ("a provider that goes on failing is named so", failed_for_ever),
    ("a lost connection is made again", lost_twice),
    ("one that stays lost is named so", lost_for_ever),
    ("a provider that does not answer is asked again", silent_once),
    ("one that never answers is given up in time", silent_for_ever),
];

/// A holder with its wrapped key, whose next wraps and unwraps come to this before they come to the provider.
fn before_that(lab: &dyn Lab, times: usize, fault: impl Fn(&Call<'_>) -> Answer + 'static) -> (Holder, Check) {
    let holder = Holder::new(lab, Subject::Bunker);
    let wrapped = holder.wrap().unwrap();
    let (wraps, unwraps) = (holder.wire.sent(Kind::Wrap), holder.wire.sent(Kind::Unwrap));
    holder.wire.fault(move |call| match call.kind {
        Kind::Wrap if call.before < wraps.saturating_add(times) => fault(call),
        Kind::Unwrap if call.before < unwraps.saturating_add(times) => fault(call),
        _ => call.pass(),
    });
    (holder, Check { wrapped, wraps, unwraps })
}

struct Check {
    wrapped: passport_hsm::WrappedDek,
    wraps: usize,
    unwraps: usize,
}

impl Check {
    /// Both go well, after so many attempts each.
    fn goes_well(&self, holder: &Holder, attempts: usize) {
        assert_eq!(holder.wrap().map(drop), Ok(()));
        assert_eq!(holder.unwrap(&self.wrapped), Ok(DEK));
        self.were(holder, attempts);
    }

    /// Both fail by this name, after so many attempts each.
    fn fails(&self, holder: &Holder, error: HsmError, attempts: usize) {
        assert_eq!(holder.wrap().unwrap_err(), error);
        assert_eq!(holder.unwrap(&self.wrapped), Err(error));
        self.were(holder, attempts);
    }

    fn were(&self, holder: &Holder, attempts: usize) {
        let sent = (holder.wire.sent(Kind::Wrap) - self.wraps, holder.wire.sent(Kind::Unwrap) - self.unwraps);
        assert_eq!(sent, (attempts, attempts));
    }
}

fn throttled_twice(lab: &dyn Lab) {
    let (status, body) = (lab.forms().throttled)();
    let (holder, check) = before_that(lab, 2, move |_| forged(status, &body));
    check.goes_well(&holder, 3);
}

fn throttled_for_ever(lab: &dyn Lab) {
    let (status, body) = (lab.forms().throttled)();
    let (holder, check) = before_that(lab, usize::MAX, move |_| forged(status, &body));
    check.fails(&holder, HsmError::Throttled, ATTEMPTS as usize);
    // Something in front of the provider has other words for it.
    let (holder, check) = before_that(lab, usize::MAX, |_| forged(429, &Value::String("slow down".into())));
    check.fails(&holder, HsmError::Throttled, ATTEMPTS as usize);
}

fn asked_to_wait(lab: &dyn Lab) {
    let asks = |lab: &dyn Lab, seconds: &'static str| {
        let (status, body) = (lab.forms().throttled)();
        before_that(lab, 1, move |_| {
            forged(status, &body).map(|mut answer| {
                answer.headers.push(("retry-after".into(), seconds.into()));
                answer
            })
        })
    };
    let (holder, check) = asks(lab, "3");
    check.goes_well(&holder, 2);
    let waits_ms = holder.wire.waits_ms();
    assert!(waits_ms.len() == 2 && waits_ms.iter().all(|wait| (3000..4000).contains(wait)), "{waits_ms:?}");
    let (holder, check) = asks(lab, "60");
    check.fails(&holder, HsmError::Throttled, 1);
    assert!(holder.wire.waits_ms().is_empty());
}

fn failed_twice(lab: &dyn Lab) {
    let (holder, check) = before_that(lab, 2, |call| forged(500 + call.before as u16 % 4, &Value::Null));
    check.goes_well(&holder, 3);
}

fn failed_for_ever(lab: &dyn Lab) {
    for body in [Value::Null, serde_json::json!({"error": {"code": "x"}, "__type": "x"})] {
        let (holder, check) = before_that(lab, usize::MAX, move |_| forged(503, &body));
        check.fails(&holder, HsmError::Unavailable, ATTEMPTS as usize);
    }
}

fn lost_twice(lab: &dyn Lab) {
    let (holder, check) = before_that(lab, 2, |call| {
        // The second time the provider did it, and only its answer was lost.
        if call.before % 2 == 1 {
            let _ = call.pass();
        }
        Err(TransportError::Failed)
    });
    check.goes_well(&holder, 3);
}

fn lost_for_ever(lab: &dyn Lab) {
    let (holder, check) = before_that(lab, usize::MAX, |_| Err(TransportError::Failed));
    check.fails(&holder, HsmError::Unavailable, ATTEMPTS as usize);
}

fn silent_once(lab: &dyn Lab) {
    let (holder, check) = before_that(lab, 1, |call| call.time_out());
    check.goes_well(&holder, 2);
}

fn silent_for_ever(lab: &dyn Lab) {
    let (holder, check) = before_that(lab, usize::MAX, |call| call.time_out());
    let began_ms = holder.wire.ahead_ms();
    check.fails(&holder, HsmError::TimedOut, ATTEMPTS as usize);
    let took_ms = holder.wire.ahead_ms() - began_ms;
    // Two operations, each within its deadline, and neither given up while there was time.
    assert!(took_ms <= 2 * DEADLINE_MS as i64 && took_ms > 4 * ATTEMPT_MS as i64, "{took_ms}");
}
