//! What goes to the server about a ceremony, and what comes back.

use bunker_core::keys::PublicKey;
use frost_wasm_core::{
    ceremony::{CeremonyId, Package, Terms},
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    provision::ReceivingPublic,
};
use serde::{Deserialize, Serialize};

/// A ceremony in which a new key is made.
pub const KEYGEN: &str = "keygen";
/// A ceremony in which a key gets new shares.
pub const RESHARE: &str = "reshare";

/// `POST /ceremony/start`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartRequest {
    pub(super) kind: &'static str,
    pub(super) group: GroupId,
    pub(super) threshold: u16,
    pub(super) round_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) present: Option<GroupPublic>,
    pub(super) participants: Vec<ParticipantRequest>,
}

/// One who is to take part. Its number is its place in the list, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ParticipantRequest {
    pub(super) role: HolderRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receiving_key: Option<ReceivingPublic>,
    /// In a reshare: the present holder as which it deals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deals: Option<HolderIndex>,
    /// In a reshare: the holder for which it gets a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) receives: Option<HolderIndex>,
}

/// What `POST /ceremony/{id}/round/0` takes as `participant_data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinRequest {
    pub(super) keys: Vec<SeatKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct SeatKey {
    pub(super) number: u16,
    pub(super) receiving_key: ReceivingPublic,
}

/// How a ceremony stands, as the server shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct CeremonyView {
    /// [`KEYGEN`] or [`RESHARE`].
    pub kind: String,
    /// Its id.
    pub operation_id: CeremonyId,
    /// `joining`, `running`, `verified`, `failed`, `cancelled` or `expired`.
    pub status: String,
    /// The group that is made.
    pub group: GroupId,
    /// How many act together afterwards.
    pub threshold: u16,
    /// The round that is due; 0 while not everybody has joined.
    pub round: u16,
    /// The numbers of those who are awaited.
    pub waits_for: Vec<u16>,
    /// When the round's time is over, Unix seconds.
    pub due_at: u64,
    /// Who takes part.
    pub participants: Vec<ParticipantView>,
    /// In a reshare: the group that gets new shares.
    #[serde(default)]
    pub present: Option<GroupPublic>,
    /// What everybody signs, once all have joined.
    pub terms: Option<Terms>,
    /// What was said after what was asked for.
    pub packages: Vec<Package>,
    /// What to ask for next time.
    pub next: u64,
    /// Why it ended without a key.
    pub reason: Option<String>,
    /// Who is to blame for that.
    pub culprits: Vec<u16>,
}

/// One who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ParticipantView {
    /// Its number.
    pub number: u16,
    /// What it is to hold the share as.
    pub role: HolderRole,
    /// The person's owner key; none for the server's holders.
    pub owner: Option<PublicKey>,
    /// Whether it has joined.
    pub joined: bool,
    /// The holder as which it deals.
    pub deals: Option<HolderIndex>,
    /// The holder for which it gets a share.
    pub receives: Option<HolderIndex>,
}
