//! Making a group's shares from a whole key. Runs on the owner's device only: no server ever calls this.
//!
//! The key is brought to its even-Y form before it is split, and only that form exists afterwards (BIP-340 keys
//! name the point with even Y).

use std::collections::BTreeMap;

use frost_secp256k1_tr::{
    Identifier, SigningKey,
    keys::{self, EvenY, IdentifierList},
};
use k256::Scalar;
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use super::lagrange;
use crate::{
    group::{GroupError, GroupId, GroupPublic, HolderIndex, HolderPublic, HolderRole, MAX_HOLDERS, MIN_THRESHOLD},
    point::{Point, XOnlyKey, nonzero_scalar, secret_of},
    secret::Secret32,
    share::{KeyShare, ShareError},
};

/// Why a key was not split or not assembled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeygenError {
    /// Zero, or not below the group order.
    #[error("the secret is not a valid key")]
    NotAKey,
    /// The group asked for is impossible, or a share came out unfit.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The shares are of different groups or epochs.
    #[error("the shares are not of one group and epoch")]
    MixedShares,
    /// Fewer different shares than the threshold.
    #[error("{needed} different shares are needed, got {got}")]
    TooFewShares {
        /// The group's threshold.
        needed: usize,
        /// Different shares given.
        got: usize,
    },
    /// The threshold library refused what was checked here before, or the result is not the group's key.
    #[error("the key could not be made")]
    Failed,
}

impl From<GroupError> for KeygenError {
    fn from(error: GroupError) -> Self {
        Self::Share(ShareError::Group(error))
    }
}

/// Draws a new secret key.
#[must_use]
pub fn fresh_secret<R: RngCore + CryptoRng>(rng: &mut R) -> Secret32 {
    loop {
        let secret = Secret32::random(rng);
        if nonzero_scalar(&secret).is_some() {
            return secret;
        }
    }
}

/// Splits a key into one share per holder, any `threshold` of which act for it. The new group is at epoch 0.
///
/// # Security
/// Whoever calls this knows the whole key: the owner's device, and nobody else.
pub fn split<R: RngCore + CryptoRng>(
    secret: Secret32,
    group: GroupId,
    holders: &[(HolderIndex, HolderRole)],
    threshold: u16,
    rng: &mut R,
) -> Result<(GroupPublic, Vec<KeyShare>), KeygenError> {
    let roles = distinct(holders, threshold)?;
    let scalar = even_y(&secret)?;
    let pubkey = Point::of_scalar(&scalar).ok_or(KeygenError::NotAKey)?;
    let (secret_shares, package) = deal(&scalar, &roles, threshold, rng)?;

    let mut public = GroupPublic {
        group,
        epoch: 0,
        threshold,
        pubkey: XOnlyKey::from_bytes(pubkey.x_bytes()),
        holders: Vec::with_capacity(roles.len()),
    };
    let mut secrets = Vec::with_capacity(roles.len());
    for (index, role) in roles {
        let identifier = Identifier::try_from(index.get()).map_err(|_| KeygenError::Failed)?;
        let share = secret_shares.get(&identifier).ok_or(KeygenError::Failed)?;
        let verifying = package.verifying_shares().get(&identifier).ok_or(KeygenError::Failed)?;
        let bytes = verifying.serialize().map_err(|_| KeygenError::Failed)?;
        let bytes: [u8; 33] = bytes.try_into().map_err(|_| KeygenError::Failed)?;
        let verifying_share = Point::from_bytes(&bytes).map_err(|_| KeygenError::Failed)?;
        public.holders.push(HolderPublic { index, role, verifying_share });
        let bytes = Zeroizing::new(share.signing_share().serialize());
        secrets.push((index, Secret32::from_slice(&bytes).ok_or(KeygenError::Failed)?));
    }

    let valid = public.validate()?;
    let shares = secrets
        .into_iter()
        .map(|(index, secret)| KeyShare::in_group(valid.clone(), index, &secret))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((public, shares))
}

/// Puts the whole key together again, for a person who leaves with it.
///
/// The result is the even-Y form of the key: the same public key, though possibly the negative of the secret that
/// was imported.
///
/// # Security
/// The one place where a whole key comes into being. For the owner's device; no server code may call it.
pub fn assemble_whole_key_on_device(shares: &[KeyShare]) -> Result<Secret32, KeygenError> {
    let first = shares.first().ok_or(KeygenError::TooFewShares { needed: usize::from(MIN_THRESHOLD), got: 0 })?;
    let group = first.group();
    if shares.iter().any(|s| **s.group() != **group) {
        return Err(KeygenError::MixedShares);
    }
    let by_index: BTreeMap<u16, &KeyShare> = shares.iter().map(|s| (s.index().get(), s)).collect();
    let needed = usize::from(group.threshold);
    if by_index.len() < needed {
        return Err(KeygenError::TooFewShares { needed, got: by_index.len() });
    }
    let indices: Vec<u16> = by_index.keys().copied().collect();
    let mut whole = Zeroizing::new(Scalar::ZERO);
    for (index, share) in &by_index {
        *whole += lagrange::weight(*index, &indices, 0).ok_or(KeygenError::Failed)? * share.scalar();
    }
    if Point::of_scalar(&whole) != Some(group.pubkey_point()) {
        return Err(KeygenError::Failed);
    }
    Ok(secret_of(&whole))
}

fn distinct(
    holders: &[(HolderIndex, HolderRole)],
    threshold: u16,
) -> Result<BTreeMap<HolderIndex, HolderRole>, KeygenError> {
    if threshold < MIN_THRESHOLD || holders.len() < usize::from(threshold) || holders.len() > MAX_HOLDERS {
        return Err(GroupError::Size { threshold, holders: holders.len() }.into());
    }
    let mut roles = BTreeMap::new();
    for (index, role) in holders {
        if roles.insert(*index, *role).is_some() {
            return Err(GroupError::Order(*index).into());
        }
    }
    Ok(roles)
}

fn even_y(secret: &Secret32) -> Result<Zeroizing<Scalar>, KeygenError> {
    let scalar = Zeroizing::new(nonzero_scalar(secret).ok_or(KeygenError::NotAKey)?);
    let point = Point::of_scalar(&scalar).ok_or(KeygenError::NotAKey)?;
    Ok(if point.has_even_y() { scalar } else { Zeroizing::new(-*scalar) })
}

type Dealt = (BTreeMap<Identifier, keys::SecretShare>, keys::PublicKeyPackage);

fn deal<R: RngCore + CryptoRng>(
    scalar: &Scalar,
    roles: &BTreeMap<HolderIndex, HolderRole>,
    threshold: u16,
    rng: &mut R,
) -> Result<Dealt, KeygenError> {
    let identifiers = roles
        .keys()
        .map(|index| Identifier::try_from(index.get()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| KeygenError::Failed)?;
    let key = SigningKey::deserialize(secret_of(scalar).expose_secret()).map_err(|_| KeygenError::NotAKey)?;
    let count = u16::try_from(identifiers.len()).map_err(|_| KeygenError::Failed)?;
    let (shares, package) = keys::split(&key, count, threshold, IdentifierList::Custom(&identifiers), rng)
        .map_err(|_| KeygenError::Failed)?;
    // The secret went in with even Y, so both halves come out with it; anything else must not be stored.
    if !package.has_even_y() {
        return Err(KeygenError::Failed);
    }
    Ok((shares, package))
}
