//! What the bunker sends to a cosigner and gets back. JSON, between holders only.

use frost_wasm_core::{
    frost::{
        ecdh::PartialEcdh,
        sign::{Commitment, Contribution},
    },
    group::HolderIndex,
    secret::Secret32,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{event::Event, nip44::ConversationKey};

/// What a cosigner needs to judge for itself: the client's own event, and the key it decrypts under.
#[derive(Debug)]
pub struct ContributionRequest {
    /// The request event as the client signed it.
    pub event: Event,
    /// The key between the connection and its client. It reads this connection's traffic and nothing else.
    pub conversation: ConversationKey,
    /// The epoch of the bunker's share.
    pub epoch: u32,
    /// The commitments of the holders that sign, as far as they are there; empty unless something is signed.
    pub commitments: Vec<(HolderIndex, Commitment)>,
}

/// What a cosigner or a device answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply")]
pub enum ContributionReply {
    /// Its commitment, where the signature takes several devices and this one is not the last.
    Committed {
        /// The committing holder.
        index: HolderIndex,
        /// To the nonces that it keeps in memory until it signs.
        commitment: Commitment,
    },
    /// Its part of a signature.
    Signed(Contribution),
    /// Its part of a shared point.
    Ecdh(PartialEcdh),
    /// The connection's new standing is recorded.
    Recorded,
    /// Its own judgement says no.
    Refused {
        /// Stable code.
        code: String,
        /// Words for the person.
        text: String,
    },
}

impl ContributionReply {
    /// As which holder it is given, where it is a part of something.
    pub fn index(&self) -> Option<HolderIndex> {
        match self {
            Self::Committed { index, .. } => Some(*index),
            Self::Signed(contribution) => Some(contribution.index),
            Self::Ecdh(part) => Some(part.index),
            Self::Recorded | Self::Refused { .. } => None,
        }
    }
}

/// The body is not a contribution request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a contribution request: {0}")]
pub struct WireError(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    event: Event,
    conversation_key: String,
    epoch: u32,
    commitments: Vec<(HolderIndex, Commitment)>,
}

impl ContributionRequest {
    /// Encodes for the internal call. The text is secret, as it holds the conversation key.
    pub fn encode(
        event: &Event,
        conversation: &ConversationKey,
        epoch: u32,
        commitments: &[(HolderIndex, Commitment)],
    ) -> Zeroizing<String> {
        let mut body = Body {
            event: event.clone(),
            conversation_key: hex::encode(conversation.expose_secret()),
            epoch,
            commitments: commitments.to_vec(),
        };
        let text = Zeroizing::new(serde_json::to_string(&body).unwrap_or_default());
        body.conversation_key.zeroize();
        text
    }

    /// Reads the body of the internal call.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(text: &str) -> Result<Self, WireError> {
        let mut body: Body = serde_json::from_str(text).map_err(|error| WireError(error.to_string()))?;
        let key = Secret32::from_hex(&body.conversation_key);
        body.conversation_key.zeroize();
        let key = key.map_err(|_| WireError("conversation_key is not 64 hex characters".into()))?;
        Ok(Self {
            event: body.event,
            conversation: ConversationKey::from_secret(key),
            epoch: body.epoch,
            commitments: body.commitments,
        })
    }
}
