//! Who beside the owner holds shares of a key that people share.
//!
//! The owner says who they are: in the `create_group` statement, and later in the terms of each reshare. They contribute
//! to what the owner's rules allow, each on a device of their own, and decide nothing else.

use std::collections::BTreeMap;

use frost_wasm_core::{
    ceremony::{Seat, Terms},
    group::{GroupPublic, HolderIndex, HolderRole},
};
use serde::{Deserialize, Serialize};

use crate::keys::PublicKey;

/// One who holds a share on a device, and is not the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The number of the share.
    pub holder: HolderIndex,
    /// The owner key of that person's own account.
    pub person: PublicKey,
}

/// All of them, by ascending number. Empty where the owner alone holds what no server does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<HolderIndex, PublicKey>);

/// Why a list of members can't be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// Not by ascending number.
    #[error("members are not listed by ascending number of their shares")]
    Order,
    /// The number is not a device's.
    #[error("share {0} is not a device's")]
    NotADevice(HolderIndex),
    /// The key is not on the curve.
    #[error("the key of member {0} is not a key")]
    Key(HolderIndex),
    /// The owner is no member.
    #[error("the owner is listed as member {0}: leave that out")]
    Owner(HolderIndex),
    /// One person would have the whole key.
    #[error("one person holds enough shares for the whole key")]
    WholeKey,
}

impl Members {
    /// Reads a list of a group's members.
    ///
    /// # Errors
    /// When it can't be one.
    pub fn of(list: &[Member], public: &GroupPublic) -> Result<Self, MembersError> {
        let mut members = BTreeMap::new();
        let mut last = None;
        for Member { holder, person } in list {
            if last.replace(*holder).is_some_and(|last| last >= *holder) {
                return Err(MembersError::Order);
            }
            if public.holder(*holder).is_none_or(|it| it.role != HolderRole::Device) {
                return Err(MembersError::NotADevice(*holder));
            }
            person.validate().map_err(|_| MembersError::Key(*holder))?;
            members.insert(*holder, *person);
        }
        Ok(Self(members))
    }

    /// Those who get a share by these terms and are not the owner.
    pub fn of_terms(terms: &Terms, owner: &PublicKey) -> Self {
        let devices = terms.receivers().filter(|(_, seat)| seat.role == HolderRole::Device);
        let people = devices.map(|(party, seat)| (seat.index, PublicKey::from_bytes(*party.signing.as_bytes())));
        Self(people.filter(|(_, person)| person != owner).collect())
    }

    /// Whether they and their owner can share this key: nobody has it alone.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, owner: &PublicKey, public: &GroupPublic) -> Result<(), MembersError> {
        let seats = public.holders.iter().map(|it| Seat { index: it.index, role: it.role });
        self.check_seats(owner, seats, public.threshold)
    }

    /// The same before there is a group.
    ///
    /// # Errors
    /// Why not.
    pub fn check_terms(&self, owner: &PublicKey, terms: &Terms) -> Result<(), MembersError> {
        self.check_seats(owner, terms.receivers().map(|(_, seat)| seat), terms.threshold)
    }

    fn check_seats(
        &self,
        owner: &PublicKey,
        seats: impl Iterator<Item = Seat>,
        threshold: u16,
    ) -> Result<(), MembersError> {
        if let Some((holder, _)) = self.0.iter().find(|(_, person)| *person == owner) {
            return Err(MembersError::Owner(*holder));
        }
        let mut shares: BTreeMap<&PublicKey, u16> = BTreeMap::new();
        for seat in seats.filter(|seat| !seat.role.is_on_server()) {
            *shares.entry(self.0.get(&seat.index).unwrap_or(owner)).or_default() += 1;
        }
        if shares.values().any(|count| *count >= threshold) { Err(MembersError::WholeKey) } else { Ok(()) }
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this person is one.
    pub fn contains(&self, person: &PublicKey) -> bool {
        self.0.values().any(|it| it == person)
    }

    /// The member that holds this share.
    pub fn get(&self, holder: HolderIndex) -> Option<&PublicKey> {
        self.0.get(&holder)
    }

    /// All of them.
    pub fn list(&self) -> Vec<Member> {
        self.0.iter().map(|(holder, person)| Member { holder: *holder, person: *person }).collect()
    }
}
