//! A group that has been checked, with what signing and ECDH need of it computed once.
//!
//! The check is that of a verifiable secret sharing: the point at index 0 (the key) and `threshold - 1` holders
//! determine the polynomial in the exponent, and every other holder's verifying share has to lie on it. Even Y is
//! part of it, since the point at 0 is `lift_x(pubkey)`: mixed forms would still sign, but give wrong ECDH.

use std::{collections::BTreeMap, ops::Deref, sync::Arc};

use frost_secp256k1_tr::{
    Identifier, VerifyingKey,
    keys::{EvenY, PublicKeyPackage, VerifyingShare},
};
use k256::{ProjectivePoint, schnorr};

use super::{GroupPublic, HolderIndex, MAX_HOLDERS, MIN_THRESHOLD};
use crate::{frost::lagrange, point::Point};

/// Why a group's public facts were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Index 0 is where the whole key stands.
    #[error("a holder's index is never 0")]
    ZeroIndex,
    /// The threshold is below 2 or above the number of holders, or there are more holders than allowed.
    #[error("{threshold} of {holders} is not a group")]
    Size {
        /// The threshold given.
        threshold: u16,
        /// The number of holders given.
        holders: usize,
    },
    /// Holders are not listed by ascending index, each once.
    #[error("holder {0} is listed twice or out of order")]
    Order(HolderIndex),
    /// The public key is no x coordinate of the curve.
    #[error("the public key is not on the curve")]
    PubkeyOffCurve,
    /// This holder's verifying share does not lie on the polynomial given by the key and the holders before it.
    #[error("the verifying share of holder {0} does not fit the public key")]
    ShareOffPolynomial(HolderIndex),
    /// The threshold library refused what was checked here before.
    #[error("the group cannot be represented")]
    Unrepresentable,
}

/// Why a set of holders cannot act together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// The holder itself stands among the others.
    #[error("holder {0} is this holder itself")]
    OwnIndex(HolderIndex),
    /// One holder stands in the set twice.
    #[error("holder {0} appears twice")]
    Duplicate(HolderIndex),
    /// The group has no such holder.
    #[error("holder {0} is not in the group")]
    Unknown(HolderIndex),
    /// Not exactly as many as are needed.
    #[error("{needed} holders are needed, got {got}")]
    Count {
        /// Members needed in this set.
        needed: usize,
        /// Members given.
        got: usize,
    },
}

/// Public facts that passed [`GroupPublic::validate`]. Cheap to clone; reads as a [`GroupPublic`].
#[derive(Clone)]
pub struct ValidGroup(Arc<Checked>);

struct Checked {
    public: GroupPublic,
    pubkey: Point,
    package: PublicKeyPackage,
    verifier: schnorr::VerifyingKey,
    identifiers: BTreeMap<HolderIndex, Identifier>,
}

impl ValidGroup {
    pub(super) fn check(public: GroupPublic) -> Result<Self, GroupError> {
        check_size_and_order(&public)?;
        let pubkey = public.pubkey.lift().ok_or(GroupError::PubkeyOffCurve)?;
        check_polynomial(&public, pubkey)?;
        let (package, identifiers) = package(&public, pubkey).ok_or(GroupError::Unrepresentable)?;
        if !package.has_even_y() {
            return Err(GroupError::Unrepresentable);
        }
        let verifier =
            schnorr::VerifyingKey::from_bytes(public.pubkey.as_bytes()).map_err(|_| GroupError::PubkeyOffCurve)?;
        Ok(Self(Arc::new(Checked { public, pubkey, package, verifier, identifiers })))
    }

    /// The same facts in the threshold library's form, with even Y.
    #[must_use]
    pub fn public_key_package(&self) -> &PublicKeyPackage {
        &self.0.package
    }

    /// The group's key as the point with even Y.
    #[must_use]
    pub fn pubkey_point(&self) -> Point {
        self.0.pubkey
    }

    /// Checks that `members` are exactly `needed` different holders of this group, `own` not among them.
    pub(crate) fn check_members(
        &self,
        own: Option<HolderIndex>,
        needed: usize,
        members: &[HolderIndex],
    ) -> Result<(), MemberError> {
        for (position, index) in members.iter().enumerate() {
            if own == Some(*index) {
                return Err(MemberError::OwnIndex(*index));
            }
            if self.holder(*index).is_none() {
                return Err(MemberError::Unknown(*index));
            }
            if members.iter().take(position).any(|earlier| earlier == index) {
                return Err(MemberError::Duplicate(*index));
            }
        }
        if members.len() != needed {
            return Err(MemberError::Count { needed, got: members.len() });
        }
        Ok(())
    }

    pub(crate) fn identifier(&self, index: HolderIndex) -> Option<Identifier> {
        self.0.identifiers.get(&index).copied()
    }

    pub(crate) fn index_of(&self, identifier: &Identifier) -> Option<HolderIndex> {
        self.0.identifiers.iter().find(|(_, id)| *id == identifier).map(|(index, _)| *index)
    }

    /// Checks a BIP-340 signature under the group's key.
    pub(crate) fn verify_bip340(&self, message: &[u8; 32], signature: &[u8; 64]) -> bool {
        schnorr::Signature::try_from(signature.as_slice())
            .is_ok_and(|signature| self.0.verifier.verify_raw(message, &signature).is_ok())
    }
}

impl Deref for ValidGroup {
    type Target = GroupPublic;

    fn deref(&self) -> &GroupPublic {
        &self.0.public
    }
}

impl std::fmt::Debug for ValidGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.public.fmt(f)
    }
}

fn check_size_and_order(public: &GroupPublic) -> Result<(), GroupError> {
    let holders = public.holders.len();
    if public.threshold < MIN_THRESHOLD || usize::from(public.threshold) > holders || holders > MAX_HOLDERS {
        return Err(GroupError::Size { threshold: public.threshold, holders });
    }
    for (earlier, later) in public.holders.iter().zip(public.holders.iter().skip(1)) {
        if earlier.index >= later.index {
            return Err(GroupError::Order(later.index));
        }
    }
    Ok(())
}

fn check_polynomial(public: &GroupPublic, pubkey: Point) -> Result<(), GroupError> {
    let determining = usize::from(public.threshold) - 1;
    let known: Vec<(u16, Point)> = std::iter::once((0, pubkey))
        .chain(public.holders.iter().take(determining).map(|h| (h.index.get(), h.verifying_share)))
        .collect();
    let indices: Vec<u16> = known.iter().map(|(index, _)| *index).collect();
    for holder in public.holders.iter().skip(determining) {
        let mut expected = ProjectivePoint::IDENTITY;
        for (index, point) in &known {
            let weight =
                lagrange::weight(*index, &indices, holder.index.get()).ok_or(GroupError::Order(holder.index))?;
            expected += point.projective() * weight;
        }
        if expected != holder.verifying_share.projective() {
            return Err(GroupError::ShareOffPolynomial(holder.index));
        }
    }
    Ok(())
}

fn package(public: &GroupPublic, pubkey: Point) -> Option<(PublicKeyPackage, BTreeMap<HolderIndex, Identifier>)> {
    let mut shares = BTreeMap::new();
    let mut identifiers = BTreeMap::new();
    for holder in &public.holders {
        let identifier = Identifier::try_from(holder.index.get()).ok()?;
        shares.insert(identifier, VerifyingShare::deserialize(&holder.verifying_share.to_bytes()).ok()?);
        identifiers.insert(holder.index, identifier);
    }
    let key = VerifyingKey::deserialize(&pubkey.to_bytes()).ok()?;
    Some((PublicKeyPackage::new(shares, key, Some(public.threshold)), identifiers))
}
