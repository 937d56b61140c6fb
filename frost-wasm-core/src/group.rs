//! The public facts about one group: who holds which share of which key.
//!
//! [`GroupPublic`] is what travels and is stored. [`GroupPublic::validate`] is the gate: it closes registrations
//! whose shares don't fit the key, keys with odd Y, and verifying shares left over from another epoch.

mod validate;

use std::{fmt, num::NonZeroU16};

use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};

use crate::{
    encoding::hex_bytes,
    point::{Point, XOnlyKey},
};
pub use validate::{GroupError, MemberError, ValidGroup};

/// Most holders in a group: a team of ten.
pub const MAX_HOLDERS: usize = 10;

/// Fewest holders that act together. With one, each holder would have the whole key.
pub const MIN_THRESHOLD: u16 = 2;

hex_bytes!(
    /// A group's 128-bit random id, made by the owner's device. Text form: 32 characters of lowercase hex.
    GroupId,
    16
);

impl GroupId {
    /// Draws a fresh id.
    #[must_use]
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self::from_bytes(bytes)
    }
}

/// A holder's number in its group: the FROST identifier, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HolderIndex(NonZeroU16);

impl HolderIndex {
    /// Refuses zero, the index at which the whole key would stand.
    pub fn new(index: u16) -> Result<Self, GroupError> {
        NonZeroU16::new(index).map(Self).ok_or(GroupError::ZeroIndex)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for HolderIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a share lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HolderRole {
    /// The group's own object, which also coordinates.
    Bunker,
    /// A second server-side holder under another key-encryption key.
    Cosigner,
    /// The person's browser or command line.
    Device,
    /// The recovery kit, offline.
    Recovery,
}

impl HolderRole {
    /// The role's one spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bunker => "bunker",
            Self::Cosigner => "cosigner",
            Self::Device => "device",
            Self::Recovery => "recovery",
        }
    }

    /// Whether its share lives on a server, and not with a person.
    #[must_use]
    pub const fn is_on_server(self) -> bool {
        matches!(self, Self::Bunker | Self::Cosigner)
    }
}

impl fmt::Display for HolderRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One holder as everybody may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderPublic {
    /// The holder's FROST identifier.
    pub index: HolderIndex,
    /// Where the share lives.
    pub role: HolderRole,
    /// `share * G`, for the even-Y form of the key.
    pub verifying_share: Point,
}

/// The public facts about one group in one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPublic {
    /// The group's id.
    pub group: GroupId,
    /// Raised by each refresh or reshare; shares of different epochs never mix.
    pub epoch: u32,
    /// How many holders act together.
    pub threshold: u16,
    /// The group's key: the person's Nostr public key.
    pub pubkey: XOnlyKey,
    /// All holders, by ascending index.
    pub holders: Vec<HolderPublic>,
}

impl GroupPublic {
    /// Checks everything that can be checked about a group: `2 <= threshold <= holders <= 10`, unique ascending
    /// indices, and that all verifying shares lie on one polynomial of degree `threshold - 1` whose value at zero
    /// is the even-Y point of `pubkey`.
    pub fn validate(&self) -> Result<ValidGroup, GroupError> {
        ValidGroup::check(self.clone())
    }

    /// The holder with this index.
    #[must_use]
    pub fn holder(&self, index: HolderIndex) -> Option<&HolderPublic> {
        self.holders.iter().find(|h| h.index == index)
    }
}
