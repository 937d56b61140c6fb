//! Bodies of `/keys/{group}/export` and of the end of a key.

use bunker_core::event::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::schema::SignedEventSchema;

/// `POST /keys/{group}/reshare`, `POST /keys/{group}/export`, `DELETE /keys/{group}/export` and `DELETE /keys/{group}`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerStatement {
    /// The owner's statement: `export`, `cancel_export`, `reshare` or `delete_group`.
    #[schema(value_type = SignedEventSchema)]
    pub statement: Event,
}

/// Answer to `POST` and `GET /keys/{group}/export`
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ExportView {
    /// How it stands.
    pub state: ExportState,
    /// When the holders release their shares, Unix seconds.
    pub ready_at: Option<u64>,
    /// The owner's `export` statement.
    #[schema(value_type = Option<SignedEventSchema>)]
    pub statement: Option<Event>,
}

/// How an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportState {
    /// None was asked for, or it was cancelled or has run out.
    None,
    /// Its delay is running. It can be cancelled.
    Waiting,
    /// The shares can be had.
    Ready,
}

/// `POST /keys/{group}/export/release`
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {}

/// Answer to `POST /keys/{group}/export/release`: each holder's share, sealed to the device that asked.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReleaseReply {
    /// The owner's `export` statement, which names the key they are sealed to.
    #[schema(value_type = SignedEventSchema)]
    pub statement: Event,
    /// HPKE packages, purpose `passport/v1/export`, associated data: statement id, then the index as u16 big-endian.
    pub packages: ReleasedPackages,
}

/// The shares of the holders on the server.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReleasedPackages {
    /// The bunker's, base64.
    #[serde(rename = "1")]
    pub bunker: String,
    /// The cosigner's, base64; none in device custody, where the kit has the other share.
    #[serde(rename = "2", skip_serializing_if = "Option::is_none")]
    pub cosigner: Option<String>,
}
