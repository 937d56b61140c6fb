//! Threshold BIP-340 signatures in one round trip (FROST, RFC 9591, in its BIP-340 form).
//!
//! The coordinating holder [`commit`]s; every other holder but the last does too; the last one commits and signs in
//! one call with [`sign_last`] and stores nothing; those between sign with [`sign_committed`]; the coordinator
//! [`finish`]es. What this guards:
//!
//! - A nonce pair signs once. [`SigningNonces`] is neither `Clone` nor serializable, and signing eats it. Losing
//!   one costs a retry with fresh nonces; reusing one would give the share away.
//! - Nothing leaves [`finish`] that is not a valid BIP-340 signature by the group's key. A bad share names its
//!   holder.
//!
//! ```compile_fail,E0599
//! fn copy(nonces: frost_wasm_core::frost::sign::SigningNonces) {
//!     let _ = nonces.clone();
//! }
//! ```
//! ```compile_fail,E0277
//! fn store(nonces: frost_wasm_core::frost::sign::SigningNonces) -> String {
//!     serde_json::to_string(&nonces).unwrap()
//! }
//! ```
//! A second use of the same nonces does not compile:
//! ```compile_fail,E0382
//! use frost_wasm_core::{frost::sign::{finish, Contribution, SigningNonces}, share::KeyShare};
//! fn twice(nonces: SigningNonces, share: &KeyShare, others: &[Contribution]) {
//!     let _ = finish(nonces, share, &[1; 32], others);
//!     let _ = finish(nonces, share, &[2; 32], others);
//! }
//! ```

mod wire;

use std::collections::BTreeMap;

use frost_core::CheaterDetection;
use frost_secp256k1_tr::{Error as FrostError, Identifier, SigningPackage, round1, round2};
use rand_core::{CryptoRng, RngCore};

use crate::{
    group::{GroupId, HolderIndex, MemberError, ValidGroup},
    share::KeyShare,
};
pub use wire::{Commitment, Contribution, SignatureShare};

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The others are not the holders that can act with this one.
    #[error(transparent)]
    Members(#[from] MemberError),
    /// The request is for another epoch than the share's.
    #[error("the share is of epoch {share}, the request of epoch {asked}")]
    WrongEpoch {
        /// The share's epoch.
        share: u32,
        /// The epoch asked for.
        asked: u32,
    },
    /// This holder's commitment repeats a point of another commitment, or of its own.
    #[error("the commitment of holder {0} repeats a point")]
    RepeatedCommitment(HolderIndex),
    /// The nonces were made for another group, epoch or holder.
    #[error("the nonces were not made for this share")]
    ForeignNonces,
    /// These holders gave invalid signature shares.
    #[error("invalid signature shares by {0:?}")]
    Culprits(Vec<HolderIndex>),
    /// Every share is valid, but the signature is not: a fault of this code, never of a peer.
    #[error("the signature does not verify")]
    Unverified,
    /// The threshold library failed on what was checked here before.
    #[error("threshold signing failed: {0}")]
    Internal(FrostError),
}

/// One holder's secret nonces for one signature. Moved into the call that signs, wiped on drop.
pub struct SigningNonces {
    // Boxed, so that moving the nonces leaves no copy behind.
    nonces: Box<round1::SigningNonces>,
    commitment: Commitment,
    group: GroupId,
    epoch: u32,
    index: HolderIndex,
}

impl SigningNonces {
    /// The commitment that was made with them.
    #[must_use]
    pub fn commitment(&self) -> &Commitment {
        &self.commitment
    }
}

impl std::fmt::Debug for SigningNonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningNonces(<redacted>)")
    }
}

/// Draws fresh nonces. The commitment goes to the others; the nonces stay in memory until they sign.
pub fn commit<R: RngCore + CryptoRng>(share: &KeyShare, rng: &mut R) -> Result<(SigningNonces, Commitment), SignError> {
    let (nonces, commitments) = round1::commit(share.package().signing_share(), rng);
    let commitment = Commitment::new(commitments).map_err(SignError::Internal)?;
    let group = share.group();
    let nonces = SigningNonces {
        nonces: Box::new(nonces),
        commitment,
        group: group.group,
        epoch: group.epoch,
        index: share.index(),
    };
    Ok((nonces, commitment))
}

/// Commits and signs in one call, for the holder that is asked last. `others` are all the other signers with their
/// commitments, exactly `threshold - 1` of them.
///
/// # Security
/// The nonces live only inside this call, so no message, commitment or restored storage can make them sign twice.
/// Whether the message may be signed is the caller's decision to take before.
pub fn sign_last<R: RngCore + CryptoRng>(
    share: &KeyShare,
    epoch: u32,
    message: &[u8; 32],
    others: &[(HolderIndex, Commitment)],
    rng: &mut R,
) -> Result<Contribution, SignError> {
    let (nonces, _) = commit(share, rng)?;
    sign_committed(nonces, share, epoch, message, others)
}

/// Signs with nonces committed to before, for a holder that is neither the coordinator nor the last: only groups
/// with a threshold above 2 have one. As for [`sign_last`], `others` are all the other signers.
pub fn sign_committed(
    nonces: SigningNonces,
    share: &KeyShare,
    epoch: u32,
    message: &[u8; 32],
    others: &[(HolderIndex, Commitment)],
) -> Result<Contribution, SignError> {
    let group = share.group();
    if epoch != group.epoch {
        return Err(SignError::WrongEpoch { share: group.epoch, asked: epoch });
    }
    let (_, commitment, signed) = sign(nonces, share, message, others)?;
    Ok(Contribution { index: share.index(), commitment, share: SignatureShare::new(signed) })
}

/// Adds this holder's own share to the others' and returns the 64-byte BIP-340 signature, verified under the
/// group's key. This holder's share never leaves.
pub fn finish(
    nonces: SigningNonces,
    share: &KeyShare,
    message: &[u8; 32],
    others: &[Contribution],
) -> Result<[u8; 64], SignError> {
    let group = share.group();
    let commitments: Vec<_> = others.iter().map(|other| (other.index, other.commitment)).collect();
    let (package, _, own_share) = sign(nonces, share, message, &commitments)?;
    let mut shares = BTreeMap::from([(*share.package().identifier(), own_share)]);
    for other in others {
        shares.insert(identifier(group, other.index)?, other.share.inner());
    }
    aggregate(group, message, &package, &shares)
}

/// Puts a signature together from the contributions of exactly `threshold` holders, for somebody who is none of them
/// or has contributed like the others. Verified like that of [`finish`].
pub fn combine(group: &ValidGroup, message: &[u8; 32], contributions: &[Contribution]) -> Result<[u8; 64], SignError> {
    let indices: Vec<_> = contributions.iter().map(|it| it.index).collect();
    group.check_members(None, usize::from(group.threshold), &indices)?;
    let commitments: Vec<_> = contributions.iter().map(|it| (it.index, it.commitment)).collect();
    let Some((first, others)) = commitments.split_first() else {
        return Err(MemberError::Count { needed: usize::from(group.threshold), got: 0 }.into());
    };
    let package = signing_package(group, message, *first, others)?;
    let mut shares = BTreeMap::new();
    for it in contributions {
        shares.insert(identifier(group, it.index)?, it.share.inner());
    }
    aggregate(group, message, &package, &shares)
}

/// Eats the nonces: whatever comes of it, they are gone afterwards.
fn sign(
    nonces: SigningNonces,
    share: &KeyShare,
    message: &[u8; 32],
    others: &[(HolderIndex, Commitment)],
) -> Result<(SigningPackage, Commitment, round2::SignatureShare), SignError> {
    let group = share.group();
    if nonces.group != group.group || nonces.epoch != group.epoch || nonces.index != share.index() {
        return Err(SignError::ForeignNonces);
    }
    let indices: Vec<_> = others.iter().map(|(index, _)| *index).collect();
    group.check_members(Some(share.index()), usize::from(group.threshold) - 1, &indices)?;
    let package = signing_package(group, message, (share.index(), nonces.commitment), others)?;
    let signed = round2::sign(&package, &nonces.nonces, share.package()).map_err(SignError::Internal)?;
    Ok((package, nonces.commitment, signed))
}

fn aggregate(
    group: &ValidGroup,
    message: &[u8; 32],
    package: &SigningPackage,
    shares: &BTreeMap<Identifier, round2::SignatureShare>,
) -> Result<[u8; 64], SignError> {
    let all = CheaterDetection::AllCheaters;
    let signature = frost_core::aggregate_custom(package, shares, group.public_key_package(), all)
        .map_err(|error| blame(group, error))?;
    let bytes = signature.serialize().map_err(SignError::Internal)?;
    let bytes: [u8; 64] = bytes.try_into().map_err(|_| SignError::Unverified)?;
    // Not taken on trust from the library: checked as what everybody else will check.
    if !group.verify_bip340(message, &bytes) {
        return Err(SignError::Unverified);
    }
    Ok(bytes)
}

fn blame(group: &ValidGroup, error: FrostError) -> SignError {
    let culprits: Vec<_> = error.culprits().iter().filter_map(|id| group.index_of(id)).collect();
    if culprits.is_empty() { SignError::Internal(error) } else { SignError::Culprits(culprits) }
}

fn signing_package(
    group: &ValidGroup,
    message: &[u8; 32],
    own: (HolderIndex, Commitment),
    others: &[(HolderIndex, Commitment)],
) -> Result<SigningPackage, SignError> {
    let mut seen = Vec::with_capacity(2 * (others.len() + 1));
    let mut commitments = BTreeMap::new();
    for (index, commitment) in std::iter::once(&own).chain(others) {
        for point in commitment.points() {
            // Honest points are random: one that comes twice is copied from a holder or from another run.
            if seen.contains(&point) {
                return Err(SignError::RepeatedCommitment(*index));
            }
            seen.push(point);
        }
        commitments.insert(identifier(group, *index)?, commitment.inner());
    }
    Ok(SigningPackage::new(commitments, message))
}

fn identifier(group: &ValidGroup, index: HolderIndex) -> Result<Identifier, MemberError> {
    group.identifier(index).ok_or(MemberError::Unknown(index))
}
