//! The device's side, where the owner's own device holds a share: it judges the app's own request over the owner's own
//! statements, as a cosigner would, before it contributes.
//!
//! A device is not always there and keeps little, so the bunker brings what it judges over. All of it is signed: the
//! request by the app, everything else by the owner. What a bunker that was taken over could still do is to show old
//! statements or to put another client in the place of the app; so the device remembers, for each connection, the
//! newest terms that it has seen and the client.

use frost_wasm_core::group::{GroupPublic, HolderIndex};
use serde::{Deserialize, Serialize};

use super::{CosignerEffect, HolderState, Identity, Mutation, Operation, Refusal, Unreadable};
use crate::{
    approval::{Decision, DecisionRecord},
    event::{Event, VerifiedEvent},
    grant::{Connection, ConnectionId, ConnectionRecord},
    keys::PublicKey,
    members::Members,
    nip44::ConversationKey,
    statement::{Statement, StoredError, Verb},
};

/// The owner's statements that bear on one request, as the bunker has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The `create_group` statement.
    pub created: Event,
    /// The connection that the request came through.
    pub connection: ConnectionRecord,
    /// What the owner said about just this request.
    pub decision: Option<DecisionRecord>,
}

/// What the device itself remembers of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceMemory {
    /// The connection.
    pub connection: ConnectionId,
    /// The app's key, from the first request that this device contributed to.
    pub client: PublicKey,
    /// Number of the newest `edit` of its terms that this device has seen; 0 for the grant.
    pub seq: u64,
}

/// What the device has of its own.
#[derive(Debug, Clone, Copy)]
pub struct DeviceHolder<'a> {
    /// The group whose share it holds.
    pub public: &'a GroupPublic,
    /// As which holder.
    pub holder: HolderIndex,
    /// The only key whose word counts.
    pub owner: &'a PublicKey,
    /// What it remembers of the connection, if it has contributed there before.
    pub memory: Option<&'a DeviceMemory>,
}

/// What the device may contribute to.
#[derive(Debug)]
pub struct DeviceJudgement {
    /// Exactly this.
    pub operation: Operation,
    /// To be kept before anything is contributed.
    pub memory: DeviceMemory,
}

/// Why the device contributes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRefused {
    /// A statement is not the owner's, or not about this.
    #[error("the server shows statements that are not yours: {0}")]
    NotOurs(#[from] StoredError),
    /// The group is another than the one whose share the device holds.
    #[error("the server shows another identity than the one that this device holds a share of")]
    OtherGroup,
    /// Statements from before those that were seen.
    #[error("the server shows an older state of this connection than this device has seen")]
    Older,
    /// Another client than the one that was seen.
    #[error("the request is of another app than the one that this device knows on this connection")]
    OtherClient,
    /// It is no request that can be read.
    #[error("the request can't be read: {0}")]
    Unreadable(#[from] Unreadable),
    /// The owner's own rules say no.
    #[error("{0}")]
    Refused(Refusal),
}

impl DeviceHolder<'_> {
    /// Judges a request over the owner's statements and what the device remembers.
    ///
    /// # Errors
    /// Why the device contributes nothing.
    pub fn judge(
        &self,
        evidence: &Evidence,
        event: &VerifiedEvent,
        conversation: &ConversationKey,
        now_ms: u64,
    ) -> Result<DeviceJudgement, DeviceRefused> {
        let Self { public, holder, owner, memory } = *self;
        let created = Statement::restore(evidence.created.clone(), owner, &public.group)?;
        match created.verb() {
            // Of whatever epoch: which shares there are now, the device knows from its own ceremony.
            Verb::CreateGroup { public: group, .. } if (group.group, group.pubkey) == (public.group, public.pubkey) => {
            }
            _ => return Err(DeviceRefused::OtherGroup),
        }
        let connection = Connection::restore(evidence.connection.clone(), owner, &public.group)?;
        let id = connection.grant().connection;
        let (client, seq) = (event.pubkey, connection.terms_seq());
        if let Some(known) = memory.filter(|known| known.connection == id) {
            if seq < known.seq {
                return Err(DeviceRefused::Older);
            }
            if client != known.client {
                return Err(DeviceRefused::OtherClient);
            }
        }
        let identity = Identity {
            statement: evidence.created.clone(),
            owner: *owner,
            // Who the others are makes no difference to what may be signed.
            members: Members::default(),
            public: public.clone(),
            holder,
        };
        let mut state = HolderState::new(identity);
        state.apply(&Mutation::Connection(Box::new(connection)));
        if let Some(record) = &evidence.decision {
            let decision = Decision::restore(record.clone(), owner, &public.group)?;
            state.apply(&Mutation::Decision(*decision.request(), Box::new(decision)));
        }
        match state.contribute(event, conversation, now_ms)?.effect {
            CosignerEffect::Contribute(operation) => {
                Ok(DeviceJudgement { operation, memory: DeviceMemory { connection: id, client, seq } })
            }
            CosignerEffect::Refuse(refusal) => Err(DeviceRefused::Refused(refusal)),
        }
    }
}
