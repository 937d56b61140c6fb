//! New shares of a key in use: under whose word and to whom a holder deals, and its step into the next epoch.
//!
//! The present shares stay until every new holder has signed with its new one and accepted. A holder that is told so
//! changes over in one commit; one that is not told goes on with what it has, and shares of two epochs never act
//! together.
//!
//! Who gets enough shares for the whole key has to have shown as many, or to have waited for an export's delay:
//! otherwise new shares would be the way around it. The owner and whoever is new count as one there, since the owner
//! alone says who is new. It takes the delay, too, to have the server act where a device of the owner's had to be there,
//! unless one of them deals.

use frost_wasm_core::{
    ceremony::{Party, Seat, Step as Stage, Transcript, ValidTerms},
    group::{GroupPublic, HolderIndex, HolderRole},
    point::XOnlyKey,
};

use super::{
    Mutation, Step,
    state::{Custody, HolderState},
};
use crate::{
    audit::{Entry, Happening},
    keys::PublicKey,
    members::{Members, MembersError},
    reshare::{Epoch, EpochRecord, Reshare},
};

/// How many holders of a group act together that one person owns alone.
const THRESHOLD: u16 = 2;

/// Why a holder takes no part in dealing new shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReshareRefused {
    /// The owner has said nothing about these terms, or something newer.
    #[error("the owner has not asked for new shares under these terms")]
    NotAsked,
    /// The terms go on from another epoch or group than this holder's.
    #[error("the terms go on from epoch {from}, and this holder's share is of epoch {present}")]
    OtherEpoch {
        /// The epoch that the terms go on from.
        from: u32,
        /// This holder's.
        present: u32,
    },
    /// The bunker would lose its share, or a server-side holder would get another's place.
    #[error("holder {0} of the new group can't stand in that place")]
    OtherPlace(HolderIndex),
    /// Somebody deals with another's share, or gets the owner's recovery kit or a place on the server.
    #[error("party {0} is somebody else than who has or may get that share")]
    OtherPerson(u16),
    /// Not the bunker with either its cosigner or devices, and one recovery kit, any two of which act; and not the
    /// bunker with the devices of several people.
    #[error("the new group is of none of the kinds that a bunker can act in")]
    Custody,
    /// The people who share the key can't be these.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// Owner and newcomers would get the whole key, which was not shown, or the server could act without a device that
    /// knows nothing of it; and no export's delay is over.
    #[error(
        "the owner and who is new would have the whole key, or no device agrees; that takes an export whose delay is over"
    )]
    NeedsExport,
    /// The ceremony is not finished.
    #[error("the ceremony is not verified")]
    NotVerified,
}

/// What becomes of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It goes on with its new share.
    Seated,
    /// It has no share any more: it is to be wiped.
    Retired,
}

impl HolderState {
    /// The owner's word about new shares that is in force.
    pub fn reshare(&self) -> Option<&Reshare> {
        self.reshare.as_ref()
    }

    /// Whether the present epoch is what came of a ceremony of these terms. Another one from the same epoch, which came
    /// to nothing, would have had the same number.
    pub fn has_entered(&self, terms: &ValidTerms) -> bool {
        self.epoch.as_ref().is_some_and(|epoch| epoch.record().terms == **terms)
    }

    /// Whether this holder takes part in a ceremony of these terms. Gives the owner's word for it.
    ///
    /// # Errors
    /// Why not.
    pub fn may_reshare(&self, terms: &ValidTerms, now_ms: u64) -> Result<&Reshare, ReshareRefused> {
        let reshare = self.reshare.as_ref().filter(|it| it.is_about(terms)).ok_or(ReshareRefused::NotAsked)?;
        self.goes_on(terms)?;
        self.check_parties(terms)?;
        self.check_custody(terms)?;
        let takes_the_delay = self.hands_over_the_key(terms) || self.bypasses_the_device(terms);
        if takes_the_delay && self.export(now_ms).is_none_or(|export| now_ms < export.ready_at_ms()) {
            return Err(ReshareRefused::NeedsExport);
        }
        Ok(reshare)
    }

    /// Ends the present epoch, with a ceremony that this holder took part in under the owner's word.
    ///
    /// # Errors
    /// When it is not finished, or goes on from another epoch.
    pub fn enter_epoch(
        &self,
        reshare: &Reshare,
        transcript: &Transcript,
        now_ms: u64,
    ) -> Result<Step<Entered>, ReshareRefused> {
        let terms = transcript.terms();
        self.goes_on(terms)?;
        if transcript.step() != Stage::Verified {
            return Err(ReshareRefused::NotVerified);
        }
        let epoch = Epoch::of(reshare, transcript).ok_or(ReshareRefused::NotAsked)?;
        // Its number may be somebody else's now.
        let own = self.identity.holder;
        let role = |public: &GroupPublic| public.holder(own).map(|holder| holder.role);
        if role(epoch.public()) != role(&self.identity.public) {
            return Ok(Step { mutations: Vec::new(), effect: Entered::Retired });
        }
        let record = self.epoch_entered(&epoch, now_ms);
        // Shares of the epoch that an export asked for are gone.
        let mut mutations = vec![Mutation::Epoch(Box::new(epoch)), Mutation::Export(None)];
        // A newer word stands, so that the ceremony that it is about is refused for its epoch and not waited for.
        if self.reshare.as_ref() == Some(reshare) {
            mutations.push(Mutation::Reshare(None));
        }
        mutations.push(record);
        Ok(Step { mutations, effect: Entered::Seated })
    }

    /// The record of a new epoch.
    pub(super) fn epoch_entered(&self, epoch: &Epoch, now_ms: u64) -> Mutation {
        let EpochRecord { terms, public, .. } = epoch.record();
        let happening = Happening::EpochEntered { epoch: public.epoch, ceremony: terms.ceremony };
        let entry = Entry { happening, connection: None, request: None, method: None, kind: None, peer: None };
        self.audit_entry(now_ms, entry)
    }

    fn goes_on(&self, terms: &ValidTerms) -> Result<(), ReshareRefused> {
        let present = &self.identity.public;
        match terms.present() {
            Some(from) if **from == *present => Ok(()),
            from => {
                let from = from.map_or(0, |from| from.epoch);
                Err(ReshareRefused::OtherEpoch { from, present: present.epoch })
            }
        }
    }

    /// Everybody deals as who they are. Server-side holders stay where they are, and the recovery kit is the owner's.
    fn check_parties(&self, terms: &ValidTerms) -> Result<(), ReshareRefused> {
        let present = &self.identity.public;
        for party in &terms.parties {
            let role_of = |index| present.holder(index).map(|holder| holder.role);
            let deals_on_server = party.deals.and_then(role_of).is_some_and(HolderRole::is_on_server);
            match party.receives {
                Some(seat) if seat.role.is_on_server() => {
                    let moves = party.deals.is_some_and(|index| index != seat.index);
                    // A new cosigner is an object of its own, by a number that nobody has.
                    let is_new = seat.role == HolderRole::Cosigner && role_of(seat.index).is_none();
                    if (role_of(seat.index) != Some(seat.role) && !is_new) || moves {
                        return Err(ReshareRefused::OtherPlace(seat.index));
                    }
                }
                None if deals_on_server => {}
                Some(_) | None => {
                    let dealt_by = party.deals.and_then(|index| self.person_of(index));
                    let is_who_deals =
                        party.deals.is_none() || dealt_by.is_some_and(|person| key_of(person) == party.signing);
                    let is_kit = party.receives.is_some_and(|seat| seat.role == HolderRole::Recovery);
                    let may_get_it = !is_kit || party.signing == self.owner_key();
                    if deals_on_server || !is_who_deals || !may_get_it {
                        return Err(ReshareRefused::OtherPerson(party.number));
                    }
                }
            }
        }
        Ok(())
    }

    /// The bunker with its cosigner, or with devices of the owner's; and a recovery kit. Or the bunker with people's
    /// devices, and then for good: who shares a key with others does not take it back alone.
    fn check_custody(&self, terms: &ValidTerms) -> Result<(), ReshareRefused> {
        let count = |role: HolderRole| terms.receivers().filter(|(_, seat)| seat.role == role).count();
        let [bunkers, cosigners, devices, kits] =
            [HolderRole::Bunker, HolderRole::Cosigner, HolderRole::Device, HolderRole::Recovery].map(count);
        let members = Members::of_terms(terms, &self.identity.owner);
        let fits = if members.is_empty() && self.identity.members.is_empty() {
            let acts = matches!((cosigners, devices), (1, 0) | (0, 1..));
            terms.threshold == THRESHOLD && bunkers == 1 && kits == 1 && acts
        } else {
            bunkers == 1 && cosigners == 0 && kits == 0 && !members.is_empty()
        };
        if !fits {
            return Err(ReshareRefused::Custody);
        }
        if !members.is_empty() {
            members.check_terms(&self.identity.owner, terms)?;
        }
        Ok(())
    }

    /// Whether the owner, with whoever is new, gets the whole key without people having shown that they had it.
    fn hands_over_the_key(&self, terms: &ValidTerms) -> bool {
        let stays = |key: &XOnlyKey| self.identity.members.contains(&PublicKey::from_bytes(*key.as_bytes()));
        let is_persons = |seat: &Seat| !seat.role.is_on_server();
        let gained = terms.receivers().filter(|(party, seat)| is_persons(seat) && !stays(&party.signing)).count();
        let is_a_person = |party: &&Party| party.deals.is_some_and(|index| self.person_of(index).is_some());
        let shown = terms.dealers().filter(is_a_person).count();
        gained >= usize::from(terms.threshold) && shown < usize::from(self.identity.public.threshold)
    }

    /// Whether the server is to act without the owner's devices, and none of them has a part in that.
    fn bypasses_the_device(&self, terms: &ValidTerms) -> bool {
        let is_hosted = terms.receivers().any(|(_, seat)| seat.role == HolderRole::Cosigner);
        let role_of = |index| self.identity.public.holder(index).map(|holder| holder.role);
        let deals = terms.dealers().any(|party| party.deals.and_then(role_of) == Some(HolderRole::Device));
        self.custody() == Custody::Device && is_hosted && !deals
    }

    fn owner_key(&self) -> XOnlyKey {
        key_of(&self.identity.owner)
    }
}

fn key_of(person: &PublicKey) -> XOnlyKey {
    XOnlyKey::from_bytes(*person.as_bytes())
}
