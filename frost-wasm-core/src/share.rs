//! One holder's secret share, bound to the group it fits.
//!
//! A share that does not match the verifying share listed for its holder cannot be constructed, so a wrong form
//! (odd Y), a wrong epoch or a stranger's share is found when it is loaded, not when it has produced something.
//! A share is no transport key either, since a part of an ECDH with it would be its own transport secret: no
//! function takes one where a Diffie-Hellman key goes.
//!
//! ```compile_fail,E0308
//! fn as_transport_key(share: frost_wasm_core::share::KeyShare) {
//!     let _ = frost_wasm_core::provision::ReceivingKey::from_secret(&share);
//! }
//! ```
//!
//! ```compile_fail,E0599
//! fn copy(share: frost_wasm_core::share::KeyShare) {
//!     let _ = share.clone();
//! }
//! ```
//! ```compile_fail,E0277
//! fn leak(share: frost_wasm_core::share::KeyShare) -> String {
//!     serde_json::to_string(&share).unwrap()
//! }
//! ```

use std::fmt;

use frost_secp256k1_tr::keys::{EvenY, KeyPackage, SigningShare, VerifyingShare};
use k256::Scalar;
use zeroize::Zeroizing;

use crate::{
    group::{GroupError, GroupPublic, HolderIndex, HolderRole, ValidGroup},
    point::{Point, nonzero_scalar, secret_of},
    secret::Secret32,
};

/// Why a share was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The group itself is refused.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The group has no such holder.
    #[error("holder {0} is not in the group")]
    UnknownHolder(HolderIndex),
    /// Zero, or not below the group order.
    #[error("the share is not a valid scalar")]
    NotAScalar,
    /// `share * G` is not the verifying share the group lists for this holder.
    #[error("the share does not fit the verifying share of holder {0}")]
    DoesNotFit(HolderIndex),
}

/// One holder's share of one group in one epoch. Neither `Clone` nor `Serialize`.
pub struct KeyShare {
    group: ValidGroup,
    index: HolderIndex,
    role: HolderRole,
    // Boxed, so that moving a share leaves no copy behind.
    material: Box<Material>,
}

struct Material {
    scalar: Zeroizing<Scalar>,
    package: KeyPackage,
}

impl KeyShare {
    /// Validates the group and binds the share to it.
    pub fn new(group: &GroupPublic, index: HolderIndex, signing_share: Secret32) -> Result<Self, ShareError> {
        Self::in_group(group.validate()?, index, &signing_share)
    }

    /// Binds the share to a group that has been validated before.
    pub fn in_group(group: ValidGroup, index: HolderIndex, signing_share: &Secret32) -> Result<Self, ShareError> {
        let holder = group.holder(index).ok_or(ShareError::UnknownHolder(index))?;
        let role = holder.role;
        let scalar = Zeroizing::new(nonzero_scalar(signing_share).ok_or(ShareError::NotAScalar)?);
        if Point::of_scalar(&scalar) != Some(holder.verifying_share) {
            return Err(ShareError::DoesNotFit(index));
        }
        let package = package(&group, index, signing_share).ok_or(ShareError::UnknownHolder(index))?;
        if !package.has_even_y() {
            return Err(ShareError::DoesNotFit(index));
        }
        Ok(Self { group, index, role, material: Box::new(Material { scalar, package }) })
    }

    /// The holder's number.
    #[must_use]
    pub fn index(&self) -> HolderIndex {
        self.index
    }

    /// The holder's role.
    #[must_use]
    pub fn role(&self) -> HolderRole {
        self.role
    }

    /// The group this share belongs to.
    #[must_use]
    pub fn group(&self) -> &ValidGroup {
        &self.group
    }

    /// The secret scalar, for handing the share to its holder or putting it into a kit.
    #[must_use]
    pub fn expose_signing_share(&self) -> Secret32 {
        secret_of(&self.material.scalar)
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        &self.material.scalar
    }

    pub(crate) fn package(&self) -> &KeyPackage {
        &self.material.package
    }
}

impl fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyShare")
            .field("group", &self.group.group)
            .field("epoch", &self.group.epoch)
            .field("index", &self.index)
            .field("share", &"<redacted>")
            .finish()
    }
}

fn package(group: &ValidGroup, index: HolderIndex, signing_share: &Secret32) -> Option<KeyPackage> {
    let identifier = group.identifier(index)?;
    let public = group.public_key_package();
    let verifying_share: &VerifyingShare = public.verifying_shares().get(&identifier)?;
    let signing_share = SigningShare::deserialize(signing_share.expose_secret()).ok()?;
    Some(KeyPackage::new(identifier, signing_share, *verifying_share, *public.verifying_key(), group.threshold))
}
