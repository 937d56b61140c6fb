//! What a ceremony is for, and who takes part: fixed before the first round, and bound into every signature.

use std::{ops::Deref, sync::Arc};

use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::{
    encoding::hex_bytes,
    group::{GroupError, GroupId, GroupPublic, HolderIndex, HolderRole, MAX_HOLDERS, MIN_THRESHOLD, ValidGroup},
    hash::tagged,
    point::XOnlyKey,
    provision::ReceivingPublic,
};

/// Version of the ceremony's wire form.
pub const VERSION: u8 = 1;

hex_bytes!(
    /// A ceremony's 128-bit random id. Text form: 32 characters of lowercase hex.
    CeremonyId,
    16
);

impl CeremonyId {
    /// Draws a fresh id.
    #[must_use]
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self::from_bytes(bytes)
    }
}

/// What comes out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// A new key that nobody ever has whole.
    Keygen,
    /// New shares of the same key, for the same holders (a refresh) or others. Ends the present epoch.
    Reshare {
        /// The group as it is.
        from: GroupPublic,
    },
}

impl Kind {
    /// The holder that somebody is who deals as one and gets the place of another, or either.
    #[must_use]
    pub(super) fn holder_of(&self, deals: Option<HolderIndex>, receives: Option<Seat>) -> Option<Seat> {
        let before = |index| match self {
            Self::Keygen => None,
            Self::Reshare { from } => from.holder(index).map(|holder| Seat { index, role: holder.role }),
        };
        receives.or_else(|| deals.and_then(before))
    }
}

/// A place in the group that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// The holder's number.
    pub index: HolderIndex,
    /// Where its share will live.
    pub role: HolderRole,
}

/// One who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Its number in this ceremony, from 1.
    pub number: u16,
    /// The key under which it speaks.
    pub signing: XOnlyKey,
    /// The key to which its values are sealed.
    pub receiving: ReceivingPublic,
    /// The present holder as which it deals; in a keygen its new one.
    pub deals: Option<HolderIndex>,
    /// The place that it gets.
    pub receives: Option<Seat>,
}

/// The terms as they travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// [`VERSION`].
    pub v: u8,
    /// This run.
    pub ceremony: CeremonyId,
    /// What comes out of it.
    pub purpose: Kind,
    /// The group that is made or goes on.
    pub group: GroupId,
    /// Its epoch afterwards.
    pub epoch: u32,
    /// How many holders act together afterwards.
    pub threshold: u16,
    /// Who takes part, by ascending number.
    pub parties: Vec<Party>,
}

/// Why terms were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Made by another version of this protocol.
    #[error("the ceremony is of version {0}; this program speaks version {VERSION}")]
    Version(u8),
    /// Parties are not numbered upwards from 1, or one has nothing to do.
    #[error("party {0} is out of order, or neither deals nor receives")]
    Party(u16),
    /// Two parties would read each other's values.
    #[error("party {0} has the receiving key of another party")]
    SharedKey(u16),
    /// The group that would come out of it is impossible, or the present one is refused.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// In a keygen everybody deals for its own seat; a reshare is dealt by exactly as many present holders as sign.
    #[error("party {0} deals for a holder that it may not deal for")]
    Dealer(u16),
    /// Not exactly as many dealers as there have to be.
    #[error("{needed} dealers are needed, got {got}")]
    Dealers {
        /// How many there have to be.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// A keygen starts at epoch 0, a reshare of the same group raises the epoch by one.
    #[error("the group or its epoch does not follow from the present one")]
    Epoch,
}

/// Terms that passed [`Terms::validate`]. Cheap to clone; reads as [`Terms`].
#[derive(Debug, Clone)]
pub struct ValidTerms(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    terms: Terms,
    present: Option<ValidGroup>,
    digest: [u8; 32],
}

impl Terms {
    /// Checks that a group can come out of this.
    pub fn validate(&self) -> Result<ValidTerms, TermsError> {
        if self.v != VERSION {
            return Err(TermsError::Version(self.v));
        }
        self.check_parties()?;
        self.check_seats()?;
        let present = match &self.purpose {
            Kind::Keygen => {
                self.check_keygen()?;
                None
            }
            Kind::Reshare { from } => Some(self.check_reshare(from)?),
        };
        // Serialization of plain data, which always succeeds; the form is this one's alone, so it is canonical.
        let text = serde_json::to_vec(self).unwrap_or_default();
        let digest = tagged("passport/v1/ceremony/terms").chain_update(text).finalize().into();
        Ok(ValidTerms(Arc::new(Checked { terms: self.clone(), present, digest })))
    }

    /// Those who deal.
    pub fn dealers(&self) -> impl Iterator<Item = &Party> {
        self.parties.iter().filter(|party| party.deals.is_some())
    }

    /// Those who get a share, with their seats.
    pub fn receivers(&self) -> impl Iterator<Item = (&Party, Seat)> {
        self.parties.iter().filter_map(|party| party.receives.map(|seat| (party, seat)))
    }

    /// The holder that a party is afterwards, or was before if it gets no share.
    #[must_use]
    pub fn holder_of(&self, party: &Party) -> Option<Seat> {
        self.purpose.holder_of(party.deals, party.receives)
    }

    /// The party with this number.
    #[must_use]
    pub fn party(&self, number: u16) -> Option<&Party> {
        self.parties.iter().find(|party| party.number == number)
    }

    fn check_parties(&self) -> Result<(), TermsError> {
        for (position, party) in self.parties.iter().enumerate() {
            let earlier = self.parties.get(..position).unwrap_or_default();
            if usize::from(party.number) != position + 1 || (party.deals.is_none() && party.receives.is_none()) {
                return Err(TermsError::Party(party.number));
            }
            // One person may speak for two seats: what a party says names the party.
            if earlier.iter().any(|it| it.receiving == party.receiving) {
                return Err(TermsError::SharedKey(party.number));
            }
            if party.deals.is_some() && earlier.iter().any(|it| it.deals == party.deals) {
                return Err(TermsError::Dealer(party.number));
            }
        }
        Ok(())
    }

    fn check_seats(&self) -> Result<(), TermsError> {
        let seats: Vec<_> = self.receivers().map(|(_, seat)| seat.index).collect();
        if self.threshold < MIN_THRESHOLD || seats.len() < usize::from(self.threshold) || seats.len() > MAX_HOLDERS {
            return Err(GroupError::Size { threshold: self.threshold, holders: seats.len() }.into());
        }
        match seats.windows(2).find_map(|pair| match pair {
            [before, after] if before >= after => Some(*after),
            _ => None,
        }) {
            Some(index) => Err(GroupError::Order(index).into()),
            None => Ok(()),
        }
    }

    fn check_keygen(&self) -> Result<(), TermsError> {
        if self.epoch != 0 {
            return Err(TermsError::Epoch);
        }
        match self.parties.iter().find(|party| party.deals != party.receives.map(|seat| seat.index)) {
            Some(party) => Err(TermsError::Dealer(party.number)),
            None => Ok(()),
        }
    }

    fn check_reshare(&self, from: &GroupPublic) -> Result<ValidGroup, TermsError> {
        let present = from.validate()?;
        if from.group != self.group || from.epoch.checked_add(1) != Some(self.epoch) {
            return Err(TermsError::Epoch);
        }
        let needed = usize::from(from.threshold);
        let got = self.dealers().count();
        if got != needed {
            return Err(TermsError::Dealers { needed, got });
        }
        match self.dealers().find(|party| party.deals.is_none_or(|index| from.holder(index).is_none())) {
            Some(party) => Err(TermsError::Dealer(party.number)),
            None => Ok(present),
        }
    }
}

impl ValidTerms {
    /// Digest of the terms, which every proof and signature of the ceremony is bound to.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.0.digest
    }

    /// The group whose shares are dealt anew.
    #[must_use]
    pub fn present(&self) -> Option<&ValidGroup> {
        self.0.present.as_ref()
    }
}

impl Deref for ValidTerms {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.0.terms
    }
}
