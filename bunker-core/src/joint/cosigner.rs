//! The cosigner's contribution: to exactly the operation that it judged, and nothing a coordinator says besides.

use frost_wasm_core::{
    frost::{
        ecdh::{self, Context, EcdhError, Peer, PeerError, Purpose},
        sign::{self, Commitment, SignError},
    },
    group::HolderIndex,
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};

use super::wire::ContributionReply;
use crate::{
    keys::{EventId, PublicKey},
    session::Operation,
};

/// Why a cosigner could not contribute to what it had allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContributeError {
    /// The coordinator's commitments or epoch are wrong.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The shared point can't be made.
    #[error(transparent)]
    Ecdh(#[from] EcdhError),
    /// The peer's key is unusable.
    #[error(transparent)]
    Peer(#[from] PeerError),
}

/// Code of a contribution that is refused because the two holders' shares are of different epochs.
pub const OTHER_EPOCH: &str = "other_epoch";

impl ContributeError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Sign(SignError::WrongEpoch { .. }) | Self::Ecdh(EcdhError::WrongEpoch { .. }) => OTHER_EPOCH,
            Self::Sign(_) | Self::Ecdh(_) | Self::Peer(_) => "contribution_failed",
        }
    }
}

/// Makes this holder's contribution to `operation`, which the request event `request` asked for.
///
/// # Errors
/// Why not. Nothing was released and no nonce survives.
pub fn contribute<R: RngCore + CryptoRng>(
    operation: &Operation,
    request: &EventId,
    share: &KeyShare,
    epoch: u32,
    commitments: &[(HolderIndex, Commitment)],
    rng: &mut R,
) -> Result<ContributionReply, ContributeError> {
    match operation {
        Operation::Connect | Operation::Logout => Ok(ContributionReply::Recorded),
        Operation::Sign { template: _, id } => {
            let contribution = sign::sign_last(share, epoch, id.as_bytes(), commitments, rng)?;
            Ok(ContributionReply::Signed(contribution))
        }
        Operation::Encrypt { purpose, peer, plaintext: _ } | Operation::Decrypt { purpose, peer, ciphertext: _ } => {
            let context = context(share, epoch, request, *purpose);
            let part = ecdh::contribute(share, &self::peer(peer)?, &context, rng)?;
            Ok(ContributionReply::Ecdh(part))
        }
    }
}

/// What one shared point serves: this request and no other.
pub(super) fn context(share: &KeyShare, epoch: u32, request: &EventId, purpose: Purpose) -> Context {
    Context { group: share.group().group, epoch, session: *request.as_bytes(), purpose }
}

pub(super) fn peer(key: &PublicKey) -> Result<Peer, PeerError> {
    Peer::from_hex(&key.to_hex())
}
