//! Threshold ECDH: the x coordinate of `key * P` out of any `threshold` shares, with every part provable.
//!
//! Holder `i` gives `D_i = s_i * P` and a BIP-374 proof against its verifying share. The proof's message binds the
//! group, epoch, session, purpose, holder and peer, so no part serves twice. The Lagrange weight is the combiner's
//! business, which leaves a holder nothing to know about who else takes part.
//!
//! # Security
//! A part is as good as a decryption: authorise it as strictly. A holder that sees the others' parts first could
//! choose its own so that the sum is a point of its liking; [`combine_verified`] makes that impossible and is the
//! one to use before encrypting. [`combine_unverified`] is for decrypting, where a wrong sum fails the message's own
//! authentication; [`blame`] then names the holder.

mod combine;

use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::dleq::{self, Proof, Statement};
use crate::{
    encoding::{EncodingError, decode_hex},
    group::{GroupId, HolderIndex, MemberError, ValidGroup},
    hash::tagged,
    point::{Point, XOnlyKey},
    share::KeyShare,
};
pub use combine::{SharedX, blame, combine_unverified, combine_verified};

/// Why there is no shared point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EcdhError {
    /// The parts are not by the holders that can act together.
    #[error(transparent)]
    Members(#[from] MemberError),
    /// The context names another group.
    #[error("the request is for another group")]
    WrongGroup,
    /// The context names another epoch.
    #[error("the share is of epoch {share}, the request of epoch {asked}")]
    WrongEpoch {
        /// The share's epoch.
        share: u32,
        /// The epoch asked for.
        asked: u32,
    },
    /// These holders' proofs do not hold.
    #[error("invalid ECDH proofs by {0:?}")]
    Culprits(Vec<HolderIndex>),
    /// The parts add up to the identity, which no honest parts do.
    #[error("the parts cancel each other out")]
    Identity,
    /// The proof could not be made: a fault of this code, never of a peer.
    #[error("the contribution could not be made")]
    Internal,
}

/// Why a peer's key was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not 64 characters of lowercase hex.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// No point of the curve has this x.
    #[error("the peer's key is not on the curve")]
    OffCurve,
    /// The generator: its secret is 1, and a part for it is the holder's verifying share.
    #[error("the peer's key is the generator")]
    Generator,
}

/// The other side of a conversation, as the point with even Y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pubkey: XOnlyKey,
    point: Point,
}

impl Peer {
    /// Parses exactly 64 characters of lowercase hex.
    pub fn from_hex(text: &str) -> Result<Self, PeerError> {
        Self::new(XOnlyKey::from_bytes(decode_hex(text)?))
    }

    /// Lifts an x-only key; refuses what is not on the curve.
    pub fn new(pubkey: XOnlyKey) -> Result<Self, PeerError> {
        let point = pubkey.lift().ok_or(PeerError::OffCurve)?;
        if pubkey.as_bytes() == &Point::GENERATOR.x_bytes() {
            return Err(PeerError::Generator);
        }
        Ok(Self { pubkey, point })
    }

    /// The peer's x-only key.
    #[must_use]
    pub fn pubkey(&self) -> XOnlyKey {
        self.pubkey
    }
}

/// What the shared point is for. A part made for one does not serve the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// NIP-04, which uses the x coordinate as the key.
    Nip04,
    /// NIP-44, which extracts a conversation key from it.
    Nip44,
}

impl Purpose {
    const fn as_byte(self) -> u8 {
        match self {
            Self::Nip04 => 4,
            Self::Nip44 => 44,
        }
    }
}

/// What one ECDH serves. All parts of one shared point carry the same context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The group whose key is used.
    pub group: GroupId,
    /// The group's epoch.
    pub epoch: u32,
    /// The id of the request event that asked for it.
    #[serde(with = "crate::encoding::hex_array")]
    pub session: [u8; 32],
    /// What the result is used for.
    pub purpose: Purpose,
}

/// One holder's part of a shared point. It travels, but is not for logs: `threshold` of them are the shared secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartialEcdh {
    /// The contributing holder.
    pub index: HolderIndex,
    /// `s_i * P`, without a Lagrange weight.
    pub point: Point,
    /// The BIP-374 proof against the holder's verifying share.
    pub proof: Proof,
}

impl std::fmt::Debug for PartialEcdh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartialEcdh").field("index", &self.index).field("point", &"<redacted>").finish()
    }
}

/// Makes this holder's part. Whether the peer may be conversed with is the caller's decision to take before.
pub fn contribute<R: RngCore + CryptoRng>(
    share: &KeyShare,
    peer: &Peer,
    context: &Context,
    rng: &mut R,
) -> Result<PartialEcdh, EcdhError> {
    let group = share.group();
    check_context(group, context)?;
    let index = share.index();
    let public = group.holder(index).ok_or(EcdhError::Internal)?.verifying_share;
    let message = proof_message(context, index, peer);
    let mut aux = [0; 32];
    rng.fill_bytes(&mut aux);
    let (point, proof) =
        dleq::prove_with(share.scalar(), public, &statement(peer, &message), &aux).map_err(|_| EcdhError::Internal)?;
    Ok(PartialEcdh { index, point, proof })
}

fn check_context(group: &ValidGroup, context: &Context) -> Result<(), EcdhError> {
    if context.group != group.group {
        return Err(EcdhError::WrongGroup);
    }
    if context.epoch != group.epoch {
        return Err(EcdhError::WrongEpoch { share: group.epoch, asked: context.epoch });
    }
    Ok(())
}

/// Whether a part's proof holds for this holder's verifying share, this peer and this context.
fn proof_holds(group: &ValidGroup, peer: &Peer, context: &Context, part: &PartialEcdh) -> bool {
    group.holder(part.index).is_some_and(|holder| {
        let message = proof_message(context, part.index, peer);
        dleq::verify(holder.verifying_share, part.point, &statement(peer, &message), &part.proof)
    })
}

fn statement<'a>(peer: &Peer, message: &'a [u8; 32]) -> Statement<'a> {
    Statement { generator: Point::GENERATOR, base: peer.point, message: Some(message) }
}

/// All fields have one length each, so their concatenation has one reading.
fn proof_message(context: &Context, index: HolderIndex, peer: &Peer) -> [u8; 32] {
    tagged("passport/v1/ecdh")
        .chain_update(context.group.as_bytes())
        .chain_update(context.epoch.to_be_bytes())
        .chain_update(context.session)
        .chain_update([context.purpose.as_byte()])
        .chain_update(index.get().to_be_bytes())
        .chain_update(peer.pubkey.as_bytes())
        .finalize()
        .into()
}
