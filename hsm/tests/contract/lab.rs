//! What the suite needs of a provider: keys and people to try, a way to its peer, and how to forge what the peer says.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use frost_wasm_core::{group::HolderRole, sealed::Dek, secret::Secret32};
use passport_hsm::{HolderHsm, Hsm, HsmError, HttpRequest, HttpResponse, Settings, WrappedDek};
use rand_core::OsRng;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::wire::{Answer, Kind, Wire};

/// The data key that is wrapped.
pub(crate) const DEK: [u8; 32] = *b"a data key, which nobody may see";

/// Which key, and as whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The bunker's key, as the bunker.
    Bunker,
    /// The cosigner's key, as the cosigner.
    Cosigner,
    /// The bunker's key with the bunker's credentials, by a holder that is the cosigner.
    BunkerAsCosigner,
    /// The key that is to replace the bunker's.
    Next,
    /// The bunker's key, with a secret that is not the bunker's.
    WrongSecret,
    /// The bunker's key, as somebody whom the provider does not know.
    Unknown,
    /// The bunker's key, as somebody who may nothing.
    Stranger,
    /// The bunker's key, as somebody who may wrap and not unwrap.
    Wrapper,
    /// The bunker's key, with credentials that end.
    Session,
    /// A key that is not there.
    Missing,
    /// A key outside hardware.
    Software,
    /// A key for something else.
    OtherUse,
}

/// State of the bunker's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    Disabled,
    PendingDeletion,
}

/// An answer that the provider documents, and what it means.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) error: HsmError,
}

/// One provider with its peer.
pub(crate) trait Lab {
    /// Provider and peer, for people.
    fn title(&self) -> String;
    /// Cases that make no sense for it, and why.
    fn left_out(&self) -> Vec<(&'static str, &'static str)>;
    /// How a holder is configured.
    fn settings(&self, subject: Subject) -> Settings;
    /// A new way to the peer.
    fn wire(&self) -> Wire;
    /// Name of the provider, and of the key in it.
    fn names(&self) -> (&'static str, String);
    /// Words that must not be shown.
    fn secrets(&self) -> Vec<String>;
    /// Changes the bunker's key.
    fn set_state(&self, state: State);
    /// Sets the peer's clock.
    fn set_ahead_s(&self, seconds: i64);
    /// What an altered wrapped key may be called; the first is what most are.
    fn altered(&self) -> &'static [HsmError] {
        &[HsmError::DoesNotOpen]
    }
    /// Whether the provider wraps under a disabled key.
    fn wraps_when_disabled(&self) -> bool {
        false
    }
    /// What the provider documents for an unwrap that it refuses.
    fn refusals(&self) -> Vec<Refusal>;
    /// What its requests and answers look like.
    fn forms(&self) -> &'static Forms;
}

/// What a provider's requests and answers look like, and how to forge them.
pub(crate) struct Forms {
    /// What a request is for.
    pub(crate) kind: fn(&HttpRequest) -> Kind,
    /// Which request carries the proof of who asks, and how somebody on the way would alter it.
    pub(crate) tamper: (Kind, fn(&mut HttpRequest)),
    /// "Too many requests".
    pub(crate) throttled: fn() -> (u16, Value),
    /// Makes an answer name another key; false for an answer that names none.
    pub(crate) name_other_key: fn(Kind, &mut Value) -> bool,
    /// Puts other bytes into the answer to an unwrap, with all that goes with them.
    pub(crate) replace_opened: fn(&mut Value, &[u8]),
}

/// A holder with its way to the peer.
pub(crate) struct Holder {
    pub(crate) hsm: HolderHsm<Wire>,
    pub(crate) wire: Wire,
}

impl Holder {
    pub(crate) fn new(lab: &dyn Lab, subject: Subject) -> Self {
        let wire = lab.wire();
        let hsm = HolderHsm::new(role(subject), &lab.settings(subject), None, &wire).expect("a holder on a server");
        Self { hsm, wire }
    }

    pub(crate) fn wrap(&self) -> Result<WrappedDek, HsmError> {
        wrap(&self.hsm)
    }

    pub(crate) fn unwrap(&self, wrapped: &WrappedDek) -> Result<[u8; 32], HsmError> {
        unwrap(&self.hsm, wrapped)
    }

    pub(crate) fn health(&self) -> Result<(), HsmError> {
        now(self.hsm.health())
    }

    /// The same wrapped key, as if this holder's KEK had wrapped it.
    pub(crate) fn relabelled(&self, wrapped: &WrappedDek) -> WrappedDek {
        WrappedDek { kek_id: self.hsm.describe().kek_id, wrapped: wrapped.wrapped.clone() }
    }
}

pub(crate) fn role(subject: Subject) -> HolderRole {
    match subject {
        Subject::Cosigner | Subject::BunkerAsCosigner => HolderRole::Cosigner,
        _ => HolderRole::Bunker,
    }
}

pub(crate) fn wrap(hsm: &HolderHsm<Wire>) -> Result<WrappedDek, HsmError> {
    now(hsm.wrap_dek(&Dek::from_secret(Secret32::from_bytes(DEK)), &mut OsRng))
}

pub(crate) fn unwrap(hsm: &HolderHsm<Wire>, wrapped: &WrappedDek) -> Result<[u8; 32], HsmError> {
    now(hsm.unwrap_dek(wrapped)).map(|dek| *dek.expose_for_wrapping().expose_secret())
}

/// An answer that nobody sent.
pub(crate) fn forged(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Ok(HttpResponse { status, headers, body: Zeroizing::new(body.to_string().into_bytes()) })
}

/// An answer with other JSON in it.
pub(crate) fn edited(answer: Answer, edit: impl FnOnce(&mut Value)) -> Answer {
    let mut answer = answer?;
    let mut json: Value = serde_json::from_slice(&answer.body).expect("an answer in JSON");
    edit(&mut json);
    answer.body = Zeroizing::new(json.to_string().into_bytes());
    Ok(answer)
}

pub(crate) fn copied(request: &HttpRequest) -> HttpRequest {
    HttpRequest {
        method: request.method,
        url: request.url.clone(),
        headers: request.headers.clone(),
        body: request.body.clone(),
    }
}

/// The wire never waits, so no future does.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a future waited"),
    }
}
