//! This person's part in a ceremony that makes a key, or new shares of one: what to send to the server, and what to make
//! of its answers.
//!
//! The server carries packages from one party to the others and is trusted with nothing else. Terms are held against
//! what this device wanted or was told; packages against the keys in the terms. A party's own word under its own key is
//! what binds it, so a server that shows different things to different parties is found out by the parties.

mod goal;
mod people;
mod renewal;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use bunker_core::{
    event::Event,
    keys::PublicKey,
    members::{Member, Members},
    statement::Verb,
};
use frost_wasm_core::{
    ceremony::{
        CeremonyId, Digest32, Failure as Blame, Kind, Memory, Package, Participant, PartyKeys, Step, Transcript,
    },
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    point::XOnlyKey,
    provision::ReceivingKey,
    secret::Secret32,
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

use self::{
    goal::{Expected, Goal},
    people::Known,
    wire::SeatKey,
};
pub use self::{
    people::{Sharing, is_among_people},
    renewal::{Custody, OtherDevices, Renewal},
    wire::{CeremonyView, JoinRequest, KEYGEN, ParticipantView, RESHARE, StartRequest},
};
use crate::{
    Failure,
    holders::Holders,
    owner::OwnerKey,
    shares::SealedShares,
    split::{self, THRESHOLD},
};

/// How long a round of several people waits, in seconds, unless they agree on something else: a day.
const PEOPLE_ROUND_SECONDS: u32 = 24 * 60 * 60;
/// How long a round of one device and the server's holders waits, in seconds.
const SERVER_ROUND_SECONDS: u32 = 60;
/// The same where a person has to put a new kit away in the last round, in seconds.
const KIT_ROUND_SECONDS: u32 = 30 * 60;

/// What came out, on this device.
#[derive(Debug)]
pub struct Outcome {
    /// The ceremony.
    pub ceremony: CeremonyId,
    /// The group, verified by every holder.
    pub public: GroupPublic,
    /// Who holds its device shares, by ascending number. The first is the group's owner.
    pub people: Vec<Member>,
    /// This device's shares.
    pub shares: Vec<KeyShare>,
}

impl Outcome {
    /// The identity's `npub1…`.
    #[must_use]
    pub fn npub(&self) -> String {
        split::npub(&self.public)
    }

    /// The owner's `create_group` statement. It names everybody else who holds a device share.
    pub fn statement<R: RngCore + CryptoRng>(
        &self,
        owner: &OwnerKey,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        let members = members(&self.public, &self.people, &owner.public_key())?;
        split::create_group(owner, &self.public, members, now_s, rng)
    }
}

/// Those of the people who are not the owner.
pub(crate) fn members(public: &GroupPublic, people: &[Member], owner: &PublicKey) -> Result<Members, Failure> {
    let others: Vec<_> = people.iter().filter(|it| it.person != *owner).copied().collect();
    Members::of(&others, public)
        .map_err(|error| Failure::new("people_unsuitable", format!("These people can't share a key: {error}.")))
}

/// One place of this device's.
#[derive(Debug)]
struct Place {
    number: u16,
    keys: PartyKeys,
    /// With which it deals new shares.
    present: Option<KeyShare>,
    memory: Memory,
}

/// This device in a ceremony. Signing nonces live in here; when it is dropped between two rounds, the one that
/// [resumes](Self::resume) from the same seed says so, and the others make fresh ones too.
#[derive(Debug)]
pub struct Attendance {
    goal: Goal,
    places: Vec<Place>,
    run: Option<Transcript>,
    next: u64,
    /// Whether what comes out stands where it has to stand before this device accepts.
    is_kept: bool,
}

impl Attendance {
    /// A new key for hosted custody: the server's bunker and cosigner, and this device for the recovery kit.
    pub fn hosted<R: RngCore + CryptoRng>(
        owner: &OwnerKey,
        holders: &Holders,
        rng: &mut R,
    ) -> Result<(Self, StartRequest), Failure> {
        let Holders { bunker, cosigner } = holders;
        let expected = vec![
            Expected::server(HolderRole::Bunker, bunker),
            Expected::server(HolderRole::Cosigner, cosigner),
            Expected::person(HolderRole::Recovery, signing_of(owner)),
        ];
        let goal = Goal::keygen(GroupId::random(rng), THRESHOLD, expected)?;
        Self::start(owner, goal, SERVER_ROUND_SECONDS, &Secret32::random(rng))
    }

    /// A new key for device custody: the server's bunker, this device, and this device for the recovery kit. The
    /// server signs nothing without it.
    pub fn with_device<R: RngCore + CryptoRng>(
        owner: &OwnerKey,
        holders: &Holders,
        rng: &mut R,
    ) -> Result<(Self, StartRequest), Failure> {
        let expected = vec![
            Expected::server(HolderRole::Bunker, &holders.bunker),
            Expected::person(HolderRole::Device, signing_of(owner)),
            Expected::person(HolderRole::Recovery, signing_of(owner)),
        ];
        let goal = Goal::keygen(GroupId::random(rng), THRESHOLD, expected)?;
        Self::start(owner, goal, SERVER_ROUND_SECONDS, &Secret32::random(rng))
    }

    /// New shares of a key in use. What comes out has to be [kept](Self::to_keep) before this device accepts it: with
    /// that the old shares end.
    pub fn renew<R: RngCore + CryptoRng>(
        owner: &OwnerKey,
        holders: &Holders,
        renewal: Renewal,
        rng: &mut R,
    ) -> Result<(Self, StartRequest), Failure> {
        let (goal, shares) = renewal.into_goal(signing_of(owner), holders)?;
        let (mut attendance, request) = Self::start(owner, goal, KIT_ROUND_SECONDS, &Secret32::random(rng))?;
        attendance.is_kept = false;
        for share in shares {
            let deals = |place: &&mut Place| attendance.goal.deals_as(place.number) == Some(share.index());
            if let Some(place) = attendance.places.iter_mut().find(deals) {
                place.present = Some(share);
            }
        }
        Ok((attendance, request))
    }

    /// Comes to a renewal that another device of the owner's began, for the share of this one. `from` is the group as it
    /// is; `has` the number of this device's present share, if it has one.
    ///
    /// # Errors
    /// `nothing_to_join` when no place waits for this device; `ceremony_misled` when somebody else is to get a share.
    pub fn join_renewal(
        owner: &OwnerKey,
        holders: &Holders,
        from: &GroupPublic,
        has: Option<HolderIndex>,
        view: &CeremonyView,
        seed: &Secret32,
    ) -> Result<Self, Failure> {
        let goal = renewal::joined(owner.public_key(), holders, from, has, view)?;
        Ok(Self { is_kept: false, ..Self::new(owner, goal, seed)? })
    }

    /// A new key that people share with the server's bunker, each on a device of their own: `signers` of them sign
    /// together with it. The owner is the first of `people`. `seed` is all that has to be kept until the end.
    ///
    /// # Errors
    /// `people_unsuitable` when it can't be these, or not as many.
    pub fn among<R: RngCore + CryptoRng>(
        owner: &OwnerKey,
        holders: &Holders,
        people: &[PublicKey],
        signers: u16,
        seed: &Secret32,
        rng: &mut R,
    ) -> Result<(Self, StartRequest), Failure> {
        let threshold = people::threshold_of(people, signers)?;
        let person = |key: &PublicKey| Expected::person(HolderRole::Device, XOnlyKey::from_bytes(*key.as_bytes()));
        let bunker = Expected::server(HolderRole::Bunker, &holders.bunker);
        let expected = [bunker].into_iter().chain(people.iter().map(person)).collect();
        let goal = Goal::keygen(GroupId::random(rng), threshold, expected)?;
        Self::start(owner, goal, PEOPLE_ROUND_SECONDS, seed)
    }

    /// Comes to a keygen that somebody else started, or comes back to one. Show the person the participants first:
    /// this takes them as they are, but for the server's bunker, which has to be the one that it shows to everybody.
    ///
    /// # Errors
    /// `not_invited`; `ceremony_misled` when another of the server's holders takes part, or one person would have the whole
    /// key.
    pub fn resume(owner: &OwnerKey, holders: &Holders, view: &CeremonyView, seed: &Secret32) -> Result<Self, Failure> {
        let expected = view.participants.iter().map(|it| match (it.role, it.owner) {
            (HolderRole::Bunker, None) => Ok(Expected::server(it.role, &holders.bunker)),
            (HolderRole::Device, Some(person)) => {
                Ok(Expected::person(it.role, XOnlyKey::from_bytes(*person.as_bytes())))
            }
            (HolderRole::Bunker | HolderRole::Cosigner | HolderRole::Device | HolderRole::Recovery, _) => {
                let text = "Nothing was sent: the server names a participant who is neither its bunker nor a person \
                            with a device. Do not join this ceremony.";
                Err(Failure::new("ceremony_misled", text))
            }
        });
        let expected = expected.collect::<Result<Vec<_>, Failure>>()?;
        if people::somebody_has_all(view) {
            let text = "Nothing was sent: one person would have the whole key. Do not join this ceremony.";
            return Err(Failure::new("ceremony_misled", text));
        }
        Self::new(owner, Goal::keygen(view.group, view.threshold, expected)?, seed)
    }

    /// New shares for people who share a key, or are to. What comes out has to be [kept](Self::to_keep) before this device
    /// accepts it. `seed` is all that has to be kept until then, beside the present share.
    pub fn share(
        owner: &OwnerKey,
        holders: &Holders,
        sharing: Sharing,
        seed: &Secret32,
    ) -> Result<(Self, StartRequest), Failure> {
        let (goal, share) = sharing.into_goal(holders)?;
        let (mut attendance, request) = Self::start(owner, goal, PEOPLE_ROUND_SECONDS, seed)?;
        attendance.is_kept = false;
        attendance.deal_with(share)?;
        Ok((attendance, request))
    }

    /// Comes to new shares of a key that people share, which its owner began; or comes back to them, also as the owner.
    /// `kept` is what this device has of the key, if anything. Show the person who gets a share first.
    ///
    /// # Errors
    /// `not_invited`; `ceremony_misled` when the key, its owner, or who has a share now is not as this device knows it, or
    /// one person would have the whole key; `share_missing` when this device is to deal and has no share of this epoch.
    pub fn join_shared(
        owner: &OwnerKey,
        holders: &Holders,
        kept: Option<&SealedShares>,
        view: &CeremonyView,
        seed: &Secret32,
    ) -> Result<Self, Failure> {
        let own = owner.public_key();
        let known = kept.map(|it| Known { public: it.public(), owner: it.authority(own), people: it.people() });
        let goal = people::joined(holders, known.as_ref(), view)?;
        let mut attendance = Self { is_kept: false, ..Self::new(owner, goal, seed)? };
        let present = kept.filter(|it| Some(it.public()) == view.present.as_ref());
        attendance.deal_with(present.map(|it| it.open_one(owner)).transpose()?)?;
        Ok(attendance)
    }

    /// Puts the present share where it deals.
    fn deal_with(&mut self, share: Option<KeyShare>) -> Result<(), Failure> {
        let mut share = share;
        for place in &mut self.places {
            let Some(index) = self.goal.deals_as(place.number) else { continue };
            place.present = share.take_if(|share| share.index() == index);
            if place.present.is_none() {
                return Err(Failure::new(
                    "share_missing",
                    "You are to deal new shares, and this device has no share of the present ones. Take part on the \
                     device that has it; if it is lost, the owner can give you another: passport key people --anew",
                ));
            }
        }
        Ok(())
    }

    fn start(
        owner: &OwnerKey,
        goal: Goal,
        round_seconds: u32,
        seed: &Secret32,
    ) -> Result<(Self, StartRequest), Failure> {
        let attendance = Self::new(owner, goal, seed)?;
        let Goal { purpose, group, threshold, .. } = &attendance.goal;
        let (kind, present) = match purpose {
            Kind::Keygen => (KEYGEN, None),
            Kind::Reshare { from } => (RESHARE, Some(from.clone())),
        };
        let participants = attendance.goal.participants(&|number| attendance.receiving(number));
        let request = StartRequest { kind, group: *group, threshold: *threshold, round_seconds, present, participants };
        Ok((attendance, request))
    }

    fn new(owner: &OwnerKey, goal: Goal, seed: &Secret32) -> Result<Self, Failure> {
        let own = signing_of(owner);
        let numbers = (1..).zip(&goal.parties).filter(|(_, it)| it.signing == own).map(|(number, _)| number);
        let mine = numbers.filter(|number| !goal.elsewhere.contains(number));
        let places = mine.map(|number| Place::of(owner, number, seed)).collect::<Result<Vec<_>, _>>()?;
        if places.is_empty() {
            return Err(Failure::new("not_invited", "This ceremony does not have you among its participants."));
        }
        Ok(Self { goal, places, run: None, next: 0, is_kept: true })
    }

    /// What to send to join a ceremony that others started.
    #[must_use]
    pub fn join(&self) -> JoinRequest {
        let key = |place: &Place| SeatKey { number: place.number, receiving_key: place.keys.receiving_public() };
        JoinRequest { keys: self.places.iter().map(key).collect() }
    }

    /// Who takes part.
    #[must_use]
    pub fn participants(&self) -> Vec<ParticipantView> {
        self.goal.views()
    }

    /// How many act together afterwards.
    #[must_use]
    pub fn threshold(&self) -> u16 {
        self.goal.threshold
    }

    /// The group that is made, or that gets new shares.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.goal.group
    }

    /// What the server is asked for with `?after=`.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The round that is due, from 1; 0 before everybody has joined.
    #[must_use]
    pub fn round(&self) -> u16 {
        self.run.as_ref().map_or(0, Transcript::round)
    }

    /// Takes in how the ceremony stands, and gives what this device has to say to it: one package for each of its
    /// places, to be posted to their round.
    pub fn take<R: RngCore + CryptoRng>(&mut self, view: &CeremonyView, rng: &mut R) -> Result<Vec<Package>, Failure> {
        self.meet(view)?;
        if let Some(transcript) = &mut self.run {
            for package in &view.packages {
                transcript
                    .take(package)
                    .map_err(|error| self.goal.misled(&format!("passed on what does not belong: {error}")))?;
            }
        }
        self.next = view.next;
        if let Some(failure) = self.run.as_ref().and_then(Transcript::failure) {
            return Err(self.failed(failure));
        }
        if !matches!(view.status.as_str(), "joining" | "running") && !self.is_verified() {
            return Err(self.ended(view));
        }
        let Some(transcript) = &self.run else { return Ok(Vec::new()) };
        if transcript.step() == Step::Accept && !self.is_kept {
            return Ok(Vec::new());
        }
        let mut packages = Vec::new();
        for place in &mut self.places {
            let Place { number, keys, present, memory } = place;
            let participant = Participant::new(transcript.terms().clone(), *number, keys, present.as_ref());
            let said = participant.and_then(|it| it.answer(transcript, memory, rng));
            packages.extend(said.map_err(|error| self.goal.internal(error))?);
        }
        Ok(packages)
    }

    /// The owner's word that the holders take part, with what it has to be delivered before anything is dealt. None for
    /// a new key, which has no owner yet, and none while not everybody has joined.
    pub fn word(&self) -> Option<Verb> {
        let terms = self.run.as_ref()?.terms();
        terms.present().map(|_| Verb::Reshare { terms: Digest32::from_bytes(*terms.digest()) })
    }

    /// What came out of the renewal and has to stand where it will be found, before this device accepts it and all old
    /// shares end. Every set of holders has signed with it.
    pub fn to_keep(&self) -> Result<Option<Outcome>, Failure> {
        let is_due = |it: &&Transcript| it.step() == Step::Accept && !self.is_kept;
        self.run.as_ref().filter(is_due).map(|transcript| self.came_out(transcript)).transpose()
    }

    /// It stands there: this device accepts.
    pub fn kept(&mut self) {
        self.is_kept = true;
    }

    /// Whether every holder has checked and accepted the key.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.run.as_ref().is_some_and(|it| it.step() == Step::Verified)
    }

    /// What came out, once every holder has checked and accepted it.
    pub fn outcome(&self) -> Result<Option<Outcome>, Failure> {
        let verified = self.run.as_ref().filter(|it| it.step() == Step::Verified);
        verified.map(|transcript| self.came_out(transcript)).transpose()
    }

    fn came_out(&self, transcript: &Transcript) -> Result<Outcome, Failure> {
        let internal = |error: &dyn std::fmt::Display| self.goal.internal(error);
        let public = transcript.group().ok_or_else(|| internal(&"it came to an end without a group"))?;
        let gets_one = |place: &&Place| transcript.terms().party(place.number).is_some_and(|it| it.receives.is_some());
        let share = |Place { number, keys, present, .. }: &Place| {
            let participant = Participant::new(transcript.terms().clone(), *number, keys, present.as_ref());
            participant.and_then(|it| it.proven_share(transcript)).map_err(|error| internal(&error))
        };
        let shares = self.places.iter().filter(gets_one).map(share).collect::<Result<Vec<_>, _>>()?;
        let people = people::people_of(transcript.terms());
        Ok(Outcome { ceremony: transcript.terms().ceremony, public: (**public).clone(), people, shares })
    }

    fn receiving(&self, number: u16) -> Option<frost_wasm_core::provision::ReceivingPublic> {
        self.places.iter().find(|place| place.number == number).map(|place| place.keys.receiving_public())
    }

    /// Takes the terms when they are there, if they are what was agreed upon.
    fn meet(&mut self, view: &CeremonyView) -> Result<(), Failure> {
        let (None, Some(terms)) = (&self.run, &view.terms) else { return Ok(()) };
        let fits = terms.ceremony == view.operation_id && self.goal.is_met_by(terms, &|number| self.receiving(number));
        let valid = terms.validate().ok().filter(|_| fits);
        let valid = valid.ok_or_else(|| self.goal.misled("changed what was agreed upon"))?;
        self.run = Some(Transcript::new(valid));
        Ok(())
    }

    fn failed(&self, failure: &Blame) -> Failure {
        let why = match failure {
            Blame::TwoFaced(_) => "told different things to different participants",
            Blame::Sharing { .. } => "handed out a wrong value, or said so wrongly",
            Blame::BadSignature(_) => "signed wrongly",
            Blame::NoGroup => return self.goal.failed("no key came out of it"),
            Blame::Tries => return self.goal.failed("participants were interrupted too often"),
        };
        self.goal.failed(&format!("{} {why}", self.names(&failure.culprits())))
    }

    fn ended(&self, view: &CeremonyView) -> Failure {
        let who = self.names(&view.culprits);
        match view.status.as_str() {
            "expired" => self.goal.failed(&format!("{who} did not answer in time")),
            "cancelled" => self.goal.failed(&format!("{who} ended it")),
            _ => self.goal.misled("says that it is over, and does not show why"),
        }
    }

    fn names(&self, numbers: &[u16]) -> String {
        let name = |number: &u16| match self.places.iter().any(|place| place.number == *number) {
            true => "this device".to_owned(),
            false => self.goal.name(*number),
        };
        numbers.iter().map(name).collect::<Vec<_>>().join(" and ")
    }
}

impl Place {
    fn of(owner: &OwnerKey, number: u16, seed: &Secret32) -> Result<Self, Failure> {
        let drawn = |what: &[u8]| {
            let hash = Sha256::new()
                .chain_update(b"passport/v1/device/ceremony")
                .chain_update(seed.expose_secret())
                .chain_update(number.to_be_bytes())
                .chain_update(what);
            Secret32::from_bytes(hash.finalize().into())
        };
        let unusable = |why: String| Failure::new("ceremony_failed", format!("Nothing was begun: {why}. Begin again."));
        let receiving = ReceivingKey::from_secret(&drawn(b"receiving")).map_err(|error| unusable(error.to_string()))?;
        let keys = PartyKeys::new(&owner.expose_secret(), receiving, drawn(b"seed"));
        let keys = keys.ok_or_else(|| unusable("an owner key that can't sign".into()))?;
        Ok(Self { number, keys, present: None, memory: Memory::default() })
    }
}

fn signing_of(owner: &OwnerKey) -> XOnlyKey {
    XOnlyKey::from_bytes(*owner.public_key().as_bytes())
}
