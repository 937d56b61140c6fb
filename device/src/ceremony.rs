//! This person's part in a ceremony that makes a key: what to send to the server, and what to make of its answers.
//!
//! The server carries packages from one party to the others and is trusted with nothing else. Terms are held against
//! what this device wanted or was told; packages against the keys in the terms. A party's own word under its own key is
//! what binds it, so a server that shows different things to different parties is found out by the parties.

use bunker_core::{event::Event, keys::PublicKey};
use frost_wasm_core::{
    ceremony::{CeremonyId, Failure as Blame, Memory, Package, Participant, PartyKeys, Step, Terms, Transcript},
    group::{GroupId, GroupPublic, HolderRole},
    point::XOnlyKey,
    provision::{ReceivingKey, ReceivingPublic},
    secret::Secret32,
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    Failure,
    holders::{HolderKeys, Holders},
    owner::OwnerKey,
    split::{self, THRESHOLD},
};

/// How long a round of several people waits, in seconds, unless they agree on something else: a day.
const PEOPLE_ROUND_SECONDS: u32 = 24 * 60 * 60;
/// How long a round of one device and the server's holders waits, in seconds.
const SERVER_ROUND_SECONDS: u32 = 60;

/// `POST /ceremony/start`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StartRequest {
    kind: &'static str,
    group: GroupId,
    threshold: u16,
    round_seconds: u32,
    participants: Vec<ParticipantRequest>,
}

/// One who is to take part. Its number is its place in the list, from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ParticipantRequest {
    role: HolderRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receiving_key: Option<ReceivingPublic>,
}

/// What `POST /ceremony/{id}/round/0` takes as `participant_data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JoinRequest {
    keys: Vec<SeatKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct SeatKey {
    number: u16,
    receiving_key: ReceivingPublic,
}

/// How a ceremony stands, as the server shows it.
#[derive(Debug, Clone, Deserialize)]
pub struct CeremonyView {
    /// Its id.
    pub operation_id: CeremonyId,
    /// `joining`, `running`, `verified`, `failed`, `cancelled` or `expired`.
    pub status: String,
    /// The group that is made.
    pub group: GroupId,
    /// How many act together afterwards.
    pub threshold: u16,
    /// The round that is due; 0 while not everybody has joined.
    pub round: u16,
    /// The numbers of those who are awaited.
    pub waits_for: Vec<u16>,
    /// When the round's time is over, Unix seconds.
    pub due_at: u64,
    /// Who takes part.
    pub participants: Vec<ParticipantView>,
    /// What everybody signs, once all have joined.
    pub terms: Option<Terms>,
    /// What was said after what was asked for.
    pub packages: Vec<Package>,
    /// What to ask for next time.
    pub next: u64,
    /// Why it ended without a key.
    pub reason: Option<String>,
    /// Who is to blame for that.
    pub culprits: Vec<u16>,
}

/// One who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ParticipantView {
    /// Its number.
    pub number: u16,
    /// What it is to hold the share as.
    pub role: HolderRole,
    /// The person's owner key; none for the server's holders.
    pub owner: Option<PublicKey>,
    /// Whether it has joined.
    pub joined: bool,
}

/// What came out, on this device.
#[derive(Debug)]
pub struct Outcome {
    /// The ceremony.
    pub ceremony: CeremonyId,
    /// The group, verified by every holder.
    pub public: GroupPublic,
    /// This device's shares.
    pub shares: Vec<KeyShare>,
}

impl Outcome {
    /// The identity's `npub1…`.
    #[must_use]
    pub fn npub(&self) -> String {
        split::npub(&self.public)
    }

    /// The owner's `create_group` statement.
    pub fn statement<R: RngCore + CryptoRng>(
        &self,
        owner: &OwnerKey,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        split::create_group(owner, &self.public, now_s, rng)
    }
}

/// What this device knows of a party before the terms are there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    role: HolderRole,
    signing: XOnlyKey,
    receiving: Option<ReceivingPublic>,
}

/// One place of this device's.
#[derive(Debug)]
struct Place {
    number: u16,
    keys: PartyKeys,
    memory: Memory,
}

/// This device in a ceremony. Signing nonces live in here; when it is dropped between two rounds, the one that
/// [resumes](Self::resume) from the same seed says so, and the others make fresh ones too.
#[derive(Debug)]
pub struct Attendance {
    group: GroupId,
    threshold: u16,
    expected: Vec<Expected>,
    places: Vec<Place>,
    run: Option<Transcript>,
    next: u64,
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
        Self::start(owner, expected, THRESHOLD, SERVER_ROUND_SECONDS, &Secret32::random(rng), rng)
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
        Self::start(owner, expected, THRESHOLD, SERVER_ROUND_SECONDS, &Secret32::random(rng), rng)
    }

    /// A new key among people, each with a device of their own. `seed` is all that has to be kept until the end.
    pub fn among<R: RngCore + CryptoRng>(
        owner: &OwnerKey,
        members: &[PublicKey],
        threshold: u16,
        seed: &Secret32,
        rng: &mut R,
    ) -> Result<(Self, StartRequest), Failure> {
        let member = |key: &PublicKey| Expected::person(HolderRole::Device, XOnlyKey::from_bytes(*key.as_bytes()));
        let expected = members.iter().map(member).collect();
        Self::start(owner, expected, threshold, PEOPLE_ROUND_SECONDS, seed, rng)
    }

    /// Comes to a ceremony that somebody else started, or comes back to one. Show the person the participants first:
    /// this takes them as they are.
    pub fn resume(owner: &OwnerKey, view: &CeremonyView, seed: &Secret32) -> Result<Self, Failure> {
        let given = |number: u16| view.terms.as_ref()?.parties.iter().find(|it| it.number == number);
        let expected = view.participants.iter().map(|it| {
            let of_terms = given(it.number);
            let signing = match it.owner {
                Some(owner) => Some(XOnlyKey::from_bytes(*owner.as_bytes())),
                None => of_terms.map(|party| party.signing),
            };
            let signing = signing.ok_or_else(|| misled("names a holder of its own without a key"))?;
            Ok(Expected { role: it.role, signing, receiving: None })
        });
        let expected = expected.collect::<Result<Vec<_>, Failure>>()?;
        Self::new(owner, view.group, view.threshold, expected, seed)
    }

    fn start<R: RngCore + CryptoRng>(
        owner: &OwnerKey,
        expected: Vec<Expected>,
        threshold: u16,
        round_seconds: u32,
        seed: &Secret32,
        rng: &mut R,
    ) -> Result<(Self, StartRequest), Failure> {
        let attendance = Self::new(owner, GroupId::random(rng), threshold, expected, seed)?;
        let participants = attendance.expected.iter().zip(1..).map(|(it, number)| {
            let mine = attendance.places.iter().find(|place| place.number == number);
            ParticipantRequest {
                role: it.role,
                owner: (!it.role.is_on_server()).then(|| PublicKey::from_bytes(*it.signing.as_bytes())),
                receiving_key: mine.map(|place| place.keys.receiving_public()),
            }
        });
        let request = StartRequest {
            kind: "keygen",
            group: attendance.group,
            threshold,
            round_seconds,
            participants: participants.collect(),
        };
        Ok((attendance, request))
    }

    fn new(
        owner: &OwnerKey,
        group: GroupId,
        threshold: u16,
        expected: Vec<Expected>,
        seed: &Secret32,
    ) -> Result<Self, Failure> {
        let own = signing_of(owner);
        let mine = (1..).zip(&expected).filter(|(_, it)| it.signing == own).map(|(number, _)| number);
        let places = mine.map(|number| Place::of(owner, number, seed)).collect::<Result<Vec<_>, _>>()?;
        if places.is_empty() {
            return Err(Failure::new("not_invited", "This ceremony does not have you among its participants."));
        }
        Ok(Self { group, threshold, expected, places, run: None, next: 0 })
    }

    /// What to send to join a ceremony that others started.
    #[must_use]
    pub fn join(&self) -> JoinRequest {
        let key = |place: &Place| SeatKey { number: place.number, receiving_key: place.keys.receiving_public() };
        JoinRequest { keys: self.places.iter().map(key).collect() }
    }

    /// The group that is made.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
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
                    .map_err(|error| misled(&format!("passed on what does not belong: {error}")))?;
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
        let mut packages = Vec::new();
        for place in &mut self.places {
            let Place { number, keys, memory } = place;
            let participant = participant(transcript, *number, keys)?;
            packages.extend(participant.answer(transcript, memory, rng).map_err(internal)?);
        }
        Ok(packages)
    }

    /// Whether every holder has checked and accepted the key.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.run.as_ref().is_some_and(|it| it.step() == Step::Verified)
    }

    /// What came out, once every holder has checked and accepted it.
    pub fn outcome(&self) -> Result<Option<Outcome>, Failure> {
        let Some(transcript) = self.run.as_ref().filter(|it| it.step() == Step::Verified) else { return Ok(None) };
        let public = transcript.group().ok_or_else(|| internal("a verified ceremony without a group"))?;
        let share = |place: &Place| {
            participant(transcript, place.number, &place.keys)?.take_share(transcript).map_err(internal)
        };
        let shares = self.places.iter().map(share).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Outcome { ceremony: transcript.terms().ceremony, public: (**public).clone(), shares }))
    }

    /// Takes the terms when they are there, if they are what was agreed upon.
    fn meet(&mut self, view: &CeremonyView) -> Result<(), Failure> {
        let (None, Some(terms)) = (&self.run, &view.terms) else { return Ok(()) };
        let is_expected = |(at, it): (usize, &Expected)| {
            let number = u16::try_from(at + 1).unwrap_or(u16::MAX);
            let mine = self.places.iter().find(|place| place.number == number);
            let receiving = mine.map(|place| place.keys.receiving_public()).or(it.receiving);
            terms.parties.get(at).is_some_and(|party| {
                let index = party.receives.map(|seat| (seat.index.get(), seat.role));
                party.signing == it.signing
                    && receiving.is_none_or(|key| party.receiving == key)
                    && index == Some((number, it.role))
            })
        };
        let fits = terms.ceremony == view.operation_id
            && terms.group == self.group
            && terms.threshold == self.threshold
            && terms.purpose == frost_wasm_core::ceremony::Kind::Keygen
            && terms.parties.len() == self.expected.len()
            && self.expected.iter().enumerate().all(is_expected);
        let valid = terms.validate().ok().filter(|_| fits);
        self.run = Some(Transcript::new(valid.ok_or_else(|| misled("changed what was agreed upon"))?));
        Ok(())
    }

    fn failed(&self, failure: &Blame) -> Failure {
        let why = match failure {
            Blame::TwoFaced(_) => "told different things to different participants",
            Blame::Sharing { .. } => "handed out a wrong value, or said so wrongly",
            Blame::BadSignature(_) => "signed wrongly",
            Blame::NoGroup => return failed("no key came out of it"),
            Blame::Tries => return failed("participants were interrupted too often"),
        };
        failed(&format!("{} {why}", self.names(&failure.culprits())))
    }

    fn ended(&self, view: &CeremonyView) -> Failure {
        let who = self.names(&view.culprits);
        match view.status.as_str() {
            "expired" => failed(&format!("{who} did not answer in time")),
            "cancelled" => failed(&format!("{who} ended it")),
            _ => misled("says that it is over, and does not show why"),
        }
    }

    fn names(&self, numbers: &[u16]) -> String {
        let name = |number: &u16| match self.expected.get(usize::from(*number).wrapping_sub(1)) {
            _ if self.places.iter().any(|place| place.number == *number) => "this device".to_owned(),
            Some(Expected { role: HolderRole::Bunker, .. }) => "the server's bunker".to_owned(),
            Some(Expected { role: HolderRole::Cosigner, .. }) => "the server's cosigner".to_owned(),
            Some(it) => format!("participant {number} ({})", it.signing),
            None => format!("participant {number}"),
        };
        numbers.iter().map(name).collect::<Vec<_>>().join(" and ")
    }
}

impl Expected {
    fn server(role: HolderRole, keys: &HolderKeys) -> Self {
        Self { role, signing: keys.signing, receiving: Some(keys.receiving) }
    }

    fn person(role: HolderRole, signing: XOnlyKey) -> Self {
        Self { role, signing, receiving: None }
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
        let receiving = ReceivingKey::from_secret(&drawn(b"receiving")).map_err(internal)?;
        let keys = PartyKeys::new(&owner.expose_secret(), receiving, drawn(b"seed"));
        let keys = keys.ok_or_else(|| internal("an owner key that can't sign"))?;
        Ok(Self { number, keys, memory: Memory::default() })
    }
}

fn participant<'k>(transcript: &Transcript, number: u16, keys: &'k PartyKeys) -> Result<Participant<'k>, Failure> {
    Participant::new(transcript.terms().clone(), number, keys, None).map_err(internal)
}

fn signing_of(owner: &OwnerKey) -> XOnlyKey {
    XOnlyKey::from_bytes(*owner.public_key().as_bytes())
}

fn failed(why: &str) -> Failure {
    Failure::new("ceremony_failed", format!("No key was made: {why}. Nothing of it is kept; begin again."))
}

fn misled(how: &str) -> Failure {
    Failure::new(
        "ceremony_misled",
        format!("No key was made: the server {how}. Begin again; if it stays so, do not use this server."),
    )
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::new("ceremony_failed", format!("No key was made: {error}. Begin again."))
}

#[cfg(test)]
pub(crate) mod tests {
    use frost_wasm_core::{
        ceremony::{
            Seat,
            coordinator::{End, Limits},
            meeting::{Change, Invitation, Invited, Meeting},
        },
        group::HolderIndex,
    };
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::holders::tests::{holders, party};

    const LIMITS: Limits = Limits { round_ms: 1_000, kept_ms: 1_000 };

    /// A server that does what it should, with its two holders where they are asked for.
    pub(crate) struct Server {
        meeting: Meeting,
        taken: Vec<Package>,
        holders: Vec<(u16, PartyKeys, Memory)>,
        round_trips: usize,
    }

    impl Server {
        pub(crate) fn start(request: &StartRequest, rng: &mut ChaCha20Rng) -> Self {
            let holder = |role| match role {
                HolderRole::Bunker => Some(party(1)),
                HolderRole::Cosigner => Some(party(2)),
                HolderRole::Device | HolderRole::Recovery => None,
            };
            let mut holders = Vec::new();
            let invited = request.participants.iter().zip(1..).map(|(it, number)| {
                let index = HolderIndex::new(number).unwrap();
                let (signing, receiving) = match holder(it.role) {
                    Some(keys) => {
                        let public = (keys.signing_public(), Some(keys.receiving_public()));
                        holders.push((number, keys, Memory::default()));
                        public
                    }
                    None => (XOnlyKey::from_bytes(*it.owner.unwrap().as_bytes()), it.receiving_key),
                };
                let receives = Some(Seat { index, role: it.role });
                Invited { number, signing, receiving, deals: Some(index), receives }
            });
            let invitation = Invitation {
                ceremony: CeremonyId::random(rng),
                purpose: frost_wasm_core::ceremony::Kind::Keygen,
                group: request.group,
                epoch: 0,
                threshold: request.threshold,
                parties: invited.collect(),
            };
            let meeting = Meeting::start(invitation, LIMITS, 0).unwrap();
            Self { meeting, taken: Vec::new(), holders, round_trips: 1 }
        }

        fn apply(&mut self, changes: &[Change]) {
            for change in changes {
                self.meeting.apply(change);
                if let Change::Run(frost_wasm_core::ceremony::coordinator::Mutation::Taken { package, .. }) = change {
                    self.taken.push((**package).clone());
                }
            }
        }

        fn join(&mut self, request: &JoinRequest) {
            for it in &request.keys {
                let changes = self.meeting.join(it.number, it.receiving_key, 0).unwrap();
                self.apply(&changes);
            }
        }

        /// One request with a package, and its answer.
        pub(crate) fn post(&mut self, package: &Package, rng: &mut ChaCha20Rng) {
            self.round_trips += 1;
            let changes = self.meeting.submit(package.party, package, 0).unwrap();
            self.apply(&changes);
            self.drive(rng);
        }

        pub(crate) fn drive(&mut self, rng: &mut ChaCha20Rng) {
            loop {
                let Some(run) = self.meeting.run() else { return };
                let transcript = run.transcript().clone();
                let mut said = Vec::new();
                for (number, keys, memory) in &mut self.holders {
                    said.extend(
                        participant(&transcript, *number, keys).unwrap().answer(&transcript, memory, rng).unwrap(),
                    );
                }
                if said.is_empty() {
                    return;
                }
                for package in said {
                    let changes = self.meeting.submit(package.party, &package, 0).unwrap();
                    self.apply(&changes);
                }
            }
        }

        pub(crate) fn view(&self, after: u64) -> CeremonyView {
            let transcript = self.meeting.run().map(|run| run.transcript());
            let status = match self.meeting.end() {
                None if transcript.is_none() => "joining",
                None => "running",
                Some(End::Verified) => "verified",
                Some(End::Failed(_)) => "failed",
                Some(End::Cancelled { .. }) => "cancelled",
                Some(End::Expired { .. }) => "expired",
            };
            let invitation = self.meeting.invitation();
            let is_person =
                |it: &Invited| !matches!(it.receives.unwrap().role, HolderRole::Bunker | HolderRole::Cosigner);
            CeremonyView {
                operation_id: invitation.ceremony,
                status: status.to_owned(),
                group: invitation.group,
                threshold: invitation.threshold,
                round: transcript.map_or(0, Transcript::round),
                waits_for: self.meeting.waits_for(),
                due_at: 0,
                participants: invitation
                    .parties
                    .iter()
                    .map(|it| ParticipantView {
                        number: it.number,
                        role: it.receives.unwrap().role,
                        owner: is_person(it).then(|| PublicKey::from_bytes(*it.signing.as_bytes())),
                        joined: it.receiving.is_some(),
                    })
                    .collect(),
                terms: transcript.map(|it| (**it.terms()).clone()),
                packages: self.taken[usize::try_from(after).unwrap()..].to_vec(),
                next: self.taken.len() as u64,
                reason: None,
                culprits: Vec::new(),
            }
        }
    }

    #[test]
    fn a_hosted_key_is_made_in_six_round_trips_and_the_device_has_the_recovery_share() {
        let mut rng = rng(1);
        let owner = OwnerKey::fresh(&mut rng);
        let (mut device, request) = Attendance::hosted(&owner, &holders(), &mut rng).unwrap();
        let mut server = Server::start(&request, &mut rng);
        server.drive(&mut rng);
        let outcome = loop {
            let said = device.take(&server.view(device.next()), &mut rng).unwrap();
            if let Some(outcome) = device.outcome().unwrap() {
                break outcome;
            }
            assert!(!said.is_empty(), "the device waits for nobody");
            said.iter().for_each(|package| server.post(package, &mut rng));
        };
        assert_eq!(server.round_trips, 6);
        assert_eq!(server.meeting.end(), Some(End::Verified));
        assert_eq!(outcome.public.threshold, 2);
        let [share] = outcome.shares.as_slice() else { panic!("one share") };
        assert_eq!(share.index().get(), 3);
        let statement = outcome.statement(&owner, 1_790_000_000, &mut rng).unwrap();
        assert_eq!(statement.pubkey, owner.public_key());
    }

    #[test]
    fn a_key_for_device_custody_gives_this_device_a_share_to_keep_and_one_for_the_kit() {
        let mut rng = rng(5);
        let owner = OwnerKey::fresh(&mut rng);
        let (mut device, request) = Attendance::with_device(&owner, &holders(), &mut rng).unwrap();
        let mut server = Server::start(&request, &mut rng);
        server.drive(&mut rng);
        let outcome = loop {
            let said = device.take(&server.view(device.next()), &mut rng).unwrap();
            if let Some(outcome) = device.outcome().unwrap() {
                break outcome;
            }
            said.iter().for_each(|package| server.post(package, &mut rng));
        };
        assert_eq!(server.round_trips, 11);
        assert_eq!(outcome.shares.iter().map(|it| it.index().get()).collect::<Vec<_>>(), [2, 3]);
        let kept = crate::shares::SealedShares::seal(&outcome, &owner, &mut rng).unwrap();
        let kept = crate::shares::SealedShares::parse(&kept.to_text().unwrap()).unwrap();
        assert_eq!(kept.indices().map(HolderIndex::get).collect::<Vec<_>>(), [2]);
        let opened = kept.open_one(&owner).unwrap();
        assert!(opened.expose_signing_share().ct_eq(&outcome.shares[0].expose_signing_share()));
        let stranger = OwnerKey::fresh(&mut rng);
        assert_eq!(kept.open_one(&stranger).unwrap_err().code(), "share_does_not_open");
    }

    #[test]
    fn people_join_one_after_the_other_and_one_comes_back_after_each_step() {
        let mut rng = rng(2);
        let owners: Vec<_> = (0..3).map(|_| OwnerKey::fresh(&mut rng)).collect();
        let members: Vec<_> = owners.iter().map(OwnerKey::public_key).collect();
        let seeds: Vec<_> = (0..3).map(|_| Secret32::random(&mut rng)).collect();
        let (first, request) = Attendance::among(&owners[0], &members, 2, &seeds[0], &mut rng).unwrap();
        let mut server = Server::start(&request, &mut rng);
        let mut devices = vec![first];
        for at in 1..3 {
            let device = Attendance::resume(&owners[at], &server.view(0), &seeds[at]).unwrap();
            server.join(&device.join());
            devices.push(device);
        }
        let mut lost = 0;
        while server.meeting.end().is_none() {
            for at in 0..3 {
                if at == 1 && lost < 4 {
                    // Its process ended: all that is left is the seed.
                    devices[at] = Attendance::resume(&owners[at], &server.view(0), &seeds[at]).unwrap();
                    lost += 1;
                }
                let view = server.view(devices[at].next());
                for package in devices[at].take(&view, &mut rng).unwrap() {
                    server.post(&package, &mut rng);
                }
            }
        }
        assert_eq!(server.meeting.end(), Some(End::Verified));
        for (device, number) in devices.iter_mut().zip(1..) {
            device.take(&server.view(device.next()), &mut rng).unwrap();
            let outcome = device.outcome().unwrap().unwrap();
            assert_eq!(outcome.shares.iter().map(|it| it.index().get()).collect::<Vec<_>>(), [number]);
        }
    }

    #[test]
    fn terms_that_are_not_what_was_agreed_upon_are_refused() {
        let mut rng = rng(3);
        let owner = OwnerKey::fresh(&mut rng);
        let (_, request) = Attendance::hosted(&owner, &holders(), &mut rng).unwrap();
        let good = Server::start(&request, &mut rng).view(0);
        let refused = |change: &dyn Fn(&mut Terms)| {
            let (mut device, request) = Attendance::hosted(&owner, &holders(), &mut self::rng(3)).unwrap();
            let mut view = Server::start(&request, &mut self::rng(4)).view(0);
            change(view.terms.as_mut().unwrap());
            device.take(&view, &mut self::rng(5)).map(drop).map_err(|failure| failure.code())
        };
        assert_eq!(refused(&|_| ()), Ok(()));
        let other = good.terms.unwrap().parties[2].receiving;
        let changes: [&dyn Fn(&mut Terms); 6] = [
            &|it| it.parties[0].receiving = other,
            &|it| it.parties[1].signing = XOnlyKey::from_bytes([7; 32]),
            &|it| it.parties.swap(0, 1),
            &|it| it.threshold = 3,
            &|it| it.group = GroupId::from_bytes([9; 16]),
            &|it| it.parties.truncate(2),
        ];
        for change in changes {
            assert_eq!(refused(change), Err("ceremony_misled"));
        }
    }

    #[test]
    fn a_server_that_ends_it_without_a_reason_has_misled() {
        let mut rng = rng(4);
        let owner = OwnerKey::fresh(&mut rng);
        for (status, code) in [
            ("verified", "ceremony_misled"),
            ("failed", "ceremony_misled"),
            ("cancelled", "ceremony_failed"),
            ("expired", "ceremony_failed"),
        ] {
            let (mut device, request) = Attendance::hosted(&owner, &holders(), &mut rng).unwrap();
            let mut view = Server::start(&request, &mut rng).view(0);
            view.status = status.to_owned();
            view.culprits = vec![2];
            let failure = device.take(&view, &mut rng).unwrap_err();
            assert_eq!(failure.code(), code, "{failure}");
        }
    }

    fn rng(seed: u64) -> ChaCha20Rng {
        crate::tests::rng(seed)
    }
}
