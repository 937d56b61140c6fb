//! What a device wants of a ceremony: who takes part in which place, and what is to come out. The terms that the server
//! shows are held against it.

use bunker_core::keys::PublicKey;
use frost_wasm_core::{
    ceremony::{Kind, Terms},
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    point::XOnlyKey,
    provision::ReceivingPublic,
};

use super::wire::{ParticipantRequest, ParticipantView};
use crate::{Failure, holders::HolderKeys};

/// What a device knows of a party before the terms are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) role: HolderRole,
    pub(super) signing: XOnlyKey,
    pub(super) receiving: Option<ReceivingPublic>,
    pub(super) deals: Option<HolderIndex>,
    pub(super) receives: Option<HolderIndex>,
}

/// What is to come out, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Goal {
    pub(super) purpose: Kind,
    pub(super) group: GroupId,
    pub(super) threshold: u16,
    pub(super) parties: Vec<Expected>,
    /// The numbers of the owner's places for which another device speaks.
    pub(super) elsewhere: Vec<u16>,
}

impl Expected {
    pub(super) fn server(role: HolderRole, keys: &HolderKeys) -> Self {
        Self { receiving: Some(keys.receiving), ..Self::person(role, keys.signing) }
    }

    pub(super) fn person(role: HolderRole, signing: XOnlyKey) -> Self {
        Self { role, signing, receiving: None, deals: None, receives: None }
    }

    /// Deals as the holder that it is, or gets this place, or both.
    pub(super) fn at(self, deals: Option<HolderIndex>, receives: Option<HolderIndex>) -> Self {
        Self { deals, receives, ..self }
    }
}

impl Goal {
    /// A new key: everybody deals for its own place.
    pub(super) fn keygen(group: GroupId, threshold: u16, parties: Vec<Expected>) -> Result<Self, Failure> {
        let place = |(number, it): (u16, Expected)| {
            let index = HolderIndex::new(number).map_err(|error| Failure::new("ceremony_failed", error.to_string()))?;
            Ok(it.at(Some(index), Some(index)))
        };
        let parties = (1..).zip(parties).map(place).collect::<Result<_, Failure>>()?;
        Ok(Self { purpose: Kind::Keygen, group, threshold, parties, elsewhere: Vec::new() })
    }

    /// New shares of a key in use.
    pub(super) fn reshare(from: GroupPublic, threshold: u16, parties: Vec<Expected>, elsewhere: Vec<u16>) -> Self {
        Self { group: from.group, threshold, purpose: Kind::Reshare { from }, parties, elsewhere }
    }

    /// Whether terms are what is wanted. `own` gives the receiving keys of this device's places.
    pub(super) fn is_met_by(&self, terms: &Terms, own: &dyn Fn(u16) -> Option<ReceivingPublic>) -> bool {
        let epoch = match &self.purpose {
            Kind::Keygen => Some(0),
            Kind::Reshare { from } => from.epoch.checked_add(1),
        };
        let is_expected = |(number, it): (u16, &Expected)| {
            let receiving = own(number).or(it.receiving);
            let seat = it.receives.map(|index| (index, it.role));
            terms.party(number).is_some_and(|party| {
                party.signing == it.signing
                    && receiving.is_none_or(|key| party.receiving == key)
                    && party.deals == it.deals
                    && party.receives.map(|seat| (seat.index, seat.role)) == seat
            })
        };
        terms.group == self.group
            && terms.threshold == self.threshold
            && terms.purpose == self.purpose
            && Some(terms.epoch) == epoch
            && terms.parties.len() == self.parties.len()
            && (1..).zip(&self.parties).all(is_expected)
    }

    /// The parties as a ceremony is started with them.
    pub(super) fn participants(&self, own: &dyn Fn(u16) -> Option<ReceivingPublic>) -> Vec<ParticipantRequest> {
        let is_keygen = self.purpose == Kind::Keygen;
        let request = |(number, it): (u16, &Expected)| ParticipantRequest {
            role: it.role,
            owner: (!it.role.is_on_server()).then(|| PublicKey::from_bytes(*it.signing.as_bytes())),
            receiving_key: own(number),
            deals: it.deals.filter(|_| !is_keygen),
            receives: it.receives.filter(|_| !is_keygen),
        };
        (1..).zip(&self.parties).map(request).collect()
    }

    /// The parties as the server is to show them before anybody has joined.
    pub(super) fn views(&self) -> Vec<ParticipantView> {
        let view = |(number, it): (u16, &Expected)| ParticipantView {
            number,
            role: it.role,
            owner: (!it.role.is_on_server()).then(|| PublicKey::from_bytes(*it.signing.as_bytes())),
            joined: false,
            deals: it.deals,
            receives: it.receives,
        };
        (1..).zip(&self.parties).map(view).collect()
    }

    /// A party in words.
    pub(super) fn name(&self, number: u16) -> String {
        match self.parties.get(usize::from(number).wrapping_sub(1)) {
            _ if self.elsewhere.contains(&number) => "your other device".to_owned(),
            Some(Expected { role: HolderRole::Bunker, .. }) => "the server's bunker".to_owned(),
            Some(Expected { role: HolderRole::Cosigner, .. }) => "the server's cosigner".to_owned(),
            Some(it) => format!("participant {number} ({})", it.signing),
            None => format!("participant {number}"),
        }
    }

    /// The holder as which a party deals.
    pub(super) fn deals_as(&self, number: u16) -> Option<HolderIndex> {
        self.parties.get(usize::from(number).wrapping_sub(1))?.deals
    }

    /// It ended by somebody's fault.
    pub(super) fn failed(&self, why: &str) -> Failure {
        let (nothing, again) = match self.purpose {
            Kind::Keygen => ("No key was made", "Nothing of it is kept; begin again."),
            Kind::Reshare { .. } => ("The shares are what they were", "Begin again."),
        };
        Failure::new("ceremony_failed", format!("{nothing}: {why}. {again}"))
    }

    /// The server showed what can't be.
    pub(super) fn misled(&self, how: &str) -> Failure {
        let nothing = match self.purpose {
            Kind::Keygen => "No key was made",
            Kind::Reshare { .. } => "This device accepted nothing",
        };
        let text = format!("{nothing}: the server {how}. Begin again; if it stays so, do not use this server.");
        Failure::new("ceremony_misled", text)
    }

    /// This device can't go on.
    pub(super) fn internal(&self, error: impl std::fmt::Display) -> Failure {
        self.failed(&error.to_string())
    }
}
