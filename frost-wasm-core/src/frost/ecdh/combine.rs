//! Adding the parts of a shared point up.

use k256::ProjectivePoint;

use super::{Context, EcdhError, PartialEcdh, Peer, check_context, proof_holds};
use crate::{
    frost::lagrange,
    group::{HolderIndex, ValidGroup},
    point::Point,
    secret::Secret32,
};

/// The x coordinate of the shared point. Never for a client: it opens the whole conversation.
pub struct SharedX(Secret32);

impl SharedX {
    /// The 32 bytes, big-endian.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for SharedX {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedX(<redacted>)")
    }
}

/// Combines exactly `threshold` parts after checking every proof. Use this before encrypting.
pub fn combine_verified(
    group: &ValidGroup,
    peer: &Peer,
    context: &Context,
    parts: &[PartialEcdh],
) -> Result<SharedX, EcdhError> {
    check(group, context, parts)?;
    let culprits = blame(group, peer, context, parts);
    if !culprits.is_empty() {
        return Err(EcdhError::Culprits(culprits));
    }
    sum(parts)
}

/// Combines exactly `threshold` parts without looking at their proofs. Only for decrypting a message that carries
/// its own authentication; when that fails, [`blame`] tells whose part was wrong.
pub fn combine_unverified(group: &ValidGroup, context: &Context, parts: &[PartialEcdh]) -> Result<SharedX, EcdhError> {
    check(group, context, parts)?;
    sum(parts)
}

/// The holders whose proofs do not hold. Empty when every part is what it claims to be.
#[must_use]
pub fn blame(group: &ValidGroup, peer: &Peer, context: &Context, parts: &[PartialEcdh]) -> Vec<HolderIndex> {
    parts.iter().filter(|part| !proof_holds(group, peer, context, part)).map(|part| part.index).collect()
}

fn check(group: &ValidGroup, context: &Context, parts: &[PartialEcdh]) -> Result<(), EcdhError> {
    check_context(group, context)?;
    let members: Vec<_> = parts.iter().map(|part| part.index).collect();
    Ok(group.check_members(None, usize::from(group.threshold), &members)?)
}

fn sum(parts: &[PartialEcdh]) -> Result<SharedX, EcdhError> {
    let indices: Vec<u16> = parts.iter().map(|part| part.index.get()).collect();
    let mut sum = ProjectivePoint::IDENTITY;
    for part in parts {
        let weight = lagrange::weight(part.index.get(), &indices, 0).ok_or(EcdhError::Internal)?;
        sum += part.point.projective() * weight;
    }
    let point = Point::from_projective(sum).ok_or(EcdhError::Identity)?;
    Ok(SharedX(Secret32::from_bytes(point.x_bytes())))
}
