//! Failures on demand, for tests of the built Worker. Compiled only with the feature `fault-injection`, which no
//! deployed build has.

use std::{cell::Cell, time::Duration};

use axum::Json;
use bunker_core::{
    event::{Event, Template},
    joint::ContributionReply,
    keys::TransportSecret,
    nip44::{self, ConversationKey},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::store::StoreError;
use crate::{platform, problem::Problem};

/// A failure that happens once, in whichever object comes first to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// None; ends one that lasts.
    Nothing,
    /// The bunker panics in the middle of an operation.
    Panic,
    /// The cosigner's contribution is another than the right one.
    CorruptContribution,
    /// The bunker waits for seconds after the cosigner has contributed.
    SlowFinish,
    /// A commit fails.
    StorageFails,
    /// The commit fails with which a holder changes over to its new share.
    ChangeOverFails,
    /// The second place of audit records takes none, until another failure is arranged.
    SinkFails,
    /// The bunker asks the cosigner for something that no client asked for.
    InventRequest,
}

thread_local! {
    static ARRANGED: Cell<Option<Fault>> = const { Cell::new(None) };
}

/// Arranges the failure that the body names, in this isolate. Locally the objects run in the Worker's own.
pub async fn arrange(Json(fault): Json<Fault>) {
    ARRANGED.set(Some(fault));
}

/// Panics in the middle of an operation.
pub(super) fn panic_if_arranged() {
    if is_due(Fault::Panic) {
        panic!("arranged by a test");
    }
}

/// Waits, between the cosigner's contribution and the reply.
pub(super) async fn pause_if_arranged() {
    if is_due(Fault::SlowFinish) {
        worker::Delay::from(Duration::from_secs(4)).await;
    }
}

/// Fails instead of a commit.
pub(super) fn storage() -> Result<(), StoreError> {
    if is_due(Fault::StorageFails) { Err(StoreError::Failed("arranged by a test".into())) } else { Ok(()) }
}

/// Fails instead of changing over.
pub(super) fn change_over() -> Result<(), StoreError> {
    if is_due(Fault::ChangeOverFails) { Err(StoreError::Failed("arranged by a test".into())) } else { Ok(()) }
}

/// Fails instead of handing over audit records.
pub(super) fn sink() -> Result<(), Problem> {
    if ARRANGED.get() == Some(Fault::SinkFails) { Err(Problem::unavailable("arranged by a test")) } else { Ok(()) }
}

/// Alters a contribution, as a broken or malicious cosigner would.
pub(super) fn contribution(reply: ContributionReply) -> ContributionReply {
    if !is_due(Fault::CorruptContribution) {
        return reply;
    }
    let altered = |text: String| {
        // The last byte of the share, or of the proof.
        let flipped = if text.ends_with("00\"}") { "01\"}" } else { "00\"}" };
        text.get(..text.len().saturating_sub(4)).map(|head| format!("{head}{flipped}"))
    };
    let text = serde_json::to_string(&reply).ok().and_then(altered);
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(reply)
}

/// What a coordinator that was taken over could make up with all the keys it has: a request in the client's place.
pub(super) fn invented(event: &Event, transport: &TransportSecret, conversation: &ConversationKey) -> Option<Event> {
    if !is_due(Fault::InventRequest) {
        return None;
    }
    let template = json!({ "kind": 1, "content": "invented", "tags": [], "created_at": event.created_at });
    let request = json!({ "id": "1", "method": "sign_event", "params": [template.to_string()] }).to_string();
    let mut rng = platform::rng();
    let template = Template {
        created_at: event.created_at,
        kind: event.kind,
        tags: event.tags.clone(),
        content: nip44::encrypt_random(conversation, &request, &mut rng).ok()?,
    };
    template.sign_with(transport, &mut rng).ok()
}

fn is_due(fault: Fault) -> bool {
    ARRANGED.get() == Some(fault) && ARRANGED.take().is_some()
}
