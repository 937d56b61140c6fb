//! Ceremonies against a server that does what it should, and against one that does not.

use frost_wasm_core::{
    ceremony::{
        Seat, Terms,
        coordinator::{End, Limits},
        meeting::{Change, Invitation, Invited, Meeting},
    },
    frost::keygen,
    group::HolderIndex,
};
use rand_chacha::ChaCha20Rng;

use super::{wire::*, *};
use crate::holders::tests::{holders, party};

const LIMITS: Limits = Limits { round_ms: 1_000, kept_ms: 1_000 };

/// A server that does what it should, with its two holders where they are asked for.
pub(crate) struct Server {
    meeting: Meeting,
    taken: Vec<Package>,
    holders: Vec<(u16, PartyKeys, Option<KeyShare>, Memory)>,
    round_trips: usize,
}

impl Server {
    pub(crate) fn start(request: &StartRequest, rng: &mut ChaCha20Rng) -> Self {
        Self::start_with(request, Vec::new(), rng)
    }

    /// With the present shares of its holders.
    pub(crate) fn start_with(request: &StartRequest, mut shares: Vec<KeyShare>, rng: &mut ChaCha20Rng) -> Self {
        let holder = |role| match role {
            HolderRole::Bunker => Some(party(1)),
            HolderRole::Cosigner => Some(party(2)),
            HolderRole::Device | HolderRole::Recovery => None,
        };
        let mut holders = Vec::new();
        let invited = request.participants.iter().zip(1..).map(|(it, number)| {
            let index = HolderIndex::new(number).unwrap();
            let is_new = request.present.is_none();
            let (deals, receives) = if is_new { (Some(index), Some(index)) } else { (it.deals, it.receives) };
            let (signing, receiving) = match holder(it.role) {
                Some(keys) => {
                    let public = (keys.signing_public(), Some(keys.receiving_public()));
                    let at = shares.iter().position(|share| Some(share.index()) == deals);
                    holders.push((number, keys, at.map(|at| shares.swap_remove(at)), Memory::default()));
                    public
                }
                None => (XOnlyKey::from_bytes(*it.owner.unwrap().as_bytes()), it.receiving_key),
            };
            let receives = receives.map(|index| Seat { index, role: it.role });
            Invited { number, signing, receiving, deals, receives }
        });
        let invitation = Invitation {
            ceremony: CeremonyId::random(rng),
            purpose: request.present.clone().map_or(Kind::Keygen, |from| Kind::Reshare { from }),
            group: request.group,
            epoch: request.present.as_ref().map_or(0, |from| from.epoch + 1),
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

    pub(crate) fn join(&mut self, request: &JoinRequest) {
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
            for (number, keys, present, memory) in &mut self.holders {
                let participant =
                    Participant::new(transcript.terms().clone(), *number, keys, present.as_ref()).unwrap();
                said.extend(participant.answer(&transcript, memory, rng).unwrap());
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
        let is_person = |it: &Invited| !invitation.holder_of(it).unwrap().role.is_on_server();
        CeremonyView {
            kind: match invitation.purpose {
                Kind::Keygen => KEYGEN.to_owned(),
                Kind::Reshare { .. } => RESHARE.to_owned(),
            },
            operation_id: invitation.ceremony,
            status: status.to_owned(),
            group: invitation.group,
            threshold: invitation.threshold,
            round: transcript.map_or(0, Transcript::round),
            waits_for: self.meeting.waits_for(),
            due_at: 0,
            present: match &invitation.purpose {
                Kind::Keygen => None,
                Kind::Reshare { from } => Some(from.clone()),
            },
            participants: invitation
                .parties
                .iter()
                .map(|it| ParticipantView {
                    number: it.number,
                    role: invitation.holder_of(it).unwrap().role,
                    owner: is_person(it).then(|| PublicKey::from_bytes(*it.signing.as_bytes())),
                    joined: it.receiving.is_some(),
                    deals: it.deals,
                    receives: it.receives.map(|seat| seat.index),
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
    let outcome = attended(&mut device, &mut server, &mut rng);
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
    let outcome = attended(&mut device, &mut server, &mut rng);
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

/// People, each with a device, and the seeds that these have.
struct People {
    owners: Vec<OwnerKey>,
    seeds: Vec<Secret32>,
}

impl People {
    fn new(count: usize, rng: &mut ChaCha20Rng) -> Self {
        let owners = (0..count).map(|_| OwnerKey::fresh(rng)).collect();
        Self { owners, seeds: (0..count).map(|_| Secret32::random(rng)).collect() }
    }

    fn keys(&self, which: &[usize]) -> Vec<PublicKey> {
        which.iter().map(|at| self.owners[*at].public_key()).collect()
    }

    fn start(&self, which: &[usize], signers: u16, rng: &mut ChaCha20Rng) -> (Attendance, StartRequest) {
        let people = self.keys(which);
        Attendance::among(&self.owners[which[0]], &holders(), &people, signers, &self.seeds[which[0]], rng).unwrap()
    }

    fn resume(&self, at: usize, view: &CeremonyView) -> Attendance {
        Attendance::resume(&self.owners[at], &holders(), view, &self.seeds[at]).unwrap()
    }

    /// A key of these people and the bunker: what each of them has, and the bunker's share.
    fn made(&self, which: &[usize], signers: u16, rng: &mut ChaCha20Rng) -> (Vec<Outcome>, Vec<KeyShare>) {
        let (first, request) = self.start(which, signers, rng);
        let mut server = Server::start(&request, rng);
        let mut devices = vec![first];
        for at in &which[1..] {
            let device = self.resume(*at, &server.view(0));
            server.join(&device.join());
            devices.push(device);
        }
        (attended_by_all(&mut devices, &mut server, rng), server.shares())
    }
}

/// Everybody does what is due, in turns, until all have what comes out.
fn attended_by_all(devices: &mut [Attendance], server: &mut Server, rng: &mut ChaCha20Rng) -> Vec<Outcome> {
    for _ in 0..20 {
        server.drive(rng);
        for device in &mut *devices {
            device.take(&server.view(device.next()), rng).unwrap();
            if device.to_keep().unwrap().is_some() {
                device.kept();
            }
            for package in device.take(&server.view(device.next()), rng).unwrap() {
                server.post(&package, rng);
            }
        }
    }
    let outcome = |device: &mut Attendance| {
        device.take(&server.view(device.next()), rng).unwrap();
        device.outcome().unwrap().unwrap()
    };
    devices.iter_mut().map(outcome).collect()
}

#[test]
fn people_join_one_after_the_other_and_one_comes_back_after_each_step() {
    let mut rng = rng(2);
    let people = People::new(3, &mut rng);
    let (first, request) = people.start(&[0, 1, 2], 2, &mut rng);
    let mut server = Server::start(&request, &mut rng);
    let mut devices = vec![first];
    for at in 1..3 {
        let device = people.resume(at, &server.view(0));
        server.join(&device.join());
        devices.push(device);
    }
    server.drive(&mut rng);
    let mut lost = 0;
    while server.meeting.end().is_none() {
        for (at, device) in devices.iter_mut().enumerate() {
            if at == 1 && lost < 4 {
                // Its process ended: all that is left is the seed.
                *device = people.resume(at, &server.view(0));
                lost += 1;
            }
            let view = server.view(device.next());
            for package in device.take(&view, &mut rng).unwrap() {
                server.post(&package, &mut rng);
            }
        }
    }
    assert_eq!(server.meeting.end(), Some(End::Verified));
    for (device, number) in devices.iter_mut().zip(2..) {
        device.take(&server.view(device.next()), &mut rng).unwrap();
        let outcome = device.outcome().unwrap().unwrap();
        assert_eq!(outcome.shares.iter().map(|it| it.index().get()).collect::<Vec<_>>(), [number]);
        assert_eq!(outcome.public.threshold, 3);
        assert_eq!(roles(&outcome.public)[0], (1, HolderRole::Bunker));
        let whom: Vec<_> = outcome.people.iter().map(|it| (it.holder.get(), it.person)).collect();
        assert_eq!(whom, (2..).zip(people.keys(&[0, 1, 2])).collect::<Vec<_>>());
    }
}

#[test]
fn the_owners_statement_names_the_others_and_each_device_knows_whose_word_counts() {
    let mut rng = rng(12);
    let people = People::new(3, &mut rng);
    let (outcomes, _) = people.made(&[1, 0, 2], 1, &mut rng);
    let owner = &people.owners[1];
    let check = |event: Event| {
        let statement = bunker_core::statement::Statement::verify(event).unwrap();
        let Verb::CreateGroup { public, members } = statement.verb() else { panic!("another statement") };
        assert_eq!(public, &outcomes[0].public);
        let listed: Vec<_> = members.list().iter().map(|it| (it.holder.get(), it.person)).collect();
        assert_eq!(listed, [(3, people.owners[0].public_key()), (4, people.owners[2].public_key())]);
    };
    check(outcomes[0].statement(owner, 1_790_000_000, &mut rng).unwrap());
    for (outcome, at) in outcomes.iter().zip([1, 0, 2]) {
        let own = &people.owners[at];
        let kept = SealedShares::seal(outcome, own, &mut rng).unwrap();
        let kept = SealedShares::parse(&kept.to_text().unwrap()).unwrap();
        assert!(kept.opens_to(outcome, own));
        assert_eq!(kept.authority(own.public_key()), owner.public_key());
        assert_eq!(kept.people(), outcome.people);
        if at == 1 {
            check(kept.statement(owner, 1_790_000_000, &mut rng).unwrap());
        }
    }
    // Of one person's own key the file says nothing more than before.
    let (mut device, request) = Attendance::with_device(owner, &holders(), &mut rng).unwrap();
    let outcome = attended(&mut device, &mut Server::start(&request, &mut rng), &mut rng);
    let kept = SealedShares::seal(&outcome, owner, &mut rng).unwrap();
    let text = kept.to_text().unwrap();
    assert!(!text.contains("\"people\"") && !text.contains("\"owner\""), "{text}");
    assert_eq!(kept.authority(owner.public_key()), owner.public_key());
}

#[test]
fn not_everybody_can_share_a_key_with_everybody() {
    let mut rng = rng(13);
    let people = People::new(10, &mut rng);
    let all: Vec<usize> = (0..10).collect();
    let mut code = |which: &[usize], signers| {
        let named = people.keys(which);
        let made = Attendance::among(&people.owners[0], &holders(), &named, signers, &people.seeds[0], &mut rng);
        made.map(drop).map_err(|failure| failure.code())
    };
    assert_eq!(code(&[0, 1], 2), Ok(()));
    assert_eq!(code(&all[..9], 9), Ok(()));
    for (which, signers) in [(&all[..], 2), (&[0], 1), (&[0, 1, 1], 2), (&[0, 1], 0), (&[0, 1], 3)] {
        assert_eq!(code(which, signers), Err("people_unsuitable"), "{which:?}");
    }
    assert_eq!(code(&[1, 2], 1), Err("not_invited"));
}

#[test]
fn a_server_that_puts_another_key_or_person_in_a_place_is_found_out() {
    let mut rng = rng(14);
    let people = People::new(3, &mut rng);
    let (_, request) = people.start(&[0, 1], 1, &mut rng);
    let mut server = Server::start(&request, &mut rng);
    let joining = server.view(0);
    server.join(&people.resume(1, &joining).join());
    let good = server.view(0);
    let other = good.terms.as_ref().unwrap().parties[2].receiving;
    let stranger = XOnlyKey::from_bytes(*people.owners[2].public_key().as_bytes());
    let changes: [&dyn Fn(&mut Terms); 6] = [
        &|it| it.parties[0].signing = XOnlyKey::from_bytes([7; 32]),
        &|it| it.parties[0].receiving = other,
        &|it| it.parties[1].signing = stranger,
        &|it| it.parties[2].signing = stranger,
        &|it| it.threshold = 3,
        &|it| it.parties.truncate(2),
    ];
    for (at, change) in changes.iter().enumerate() {
        for person in [0, 1] {
            let mut view = good.clone();
            change(view.terms.as_mut().unwrap());
            let mut device = people.resume(person, &joining);
            let refused = device.take(&view, &mut rng).map(drop).map_err(|failure| failure.code());
            assert_eq!(refused, Err("ceremony_misled"), "change {at} for {person}");
        }
    }
    assert!(people.resume(1, &joining).take(&good, &mut rng).is_ok());
    // One who has two places of them, and so the whole key.
    let mut view = joining.clone();
    view.participants[2].owner = view.participants[1].owner;
    let refused = Attendance::resume(&people.owners[0], &holders(), &view, &people.seeds[0]).unwrap_err();
    assert_eq!(refused.code(), "ceremony_misled");
    // A holder that has no place among people.
    for role in [HolderRole::Cosigner, HolderRole::Recovery, HolderRole::Device] {
        let mut view = joining.clone();
        view.participants[0].role = role;
        let refused = Attendance::resume(&people.owners[1], &holders(), &view, &people.seeds[1]).unwrap_err();
        assert_eq!(refused.code(), "ceremony_misled");
    }
}

/// What one device keeps.
fn kept(outcome: &Outcome, owner: &OwnerKey, rng: &mut ChaCha20Rng) -> SealedShares {
    SealedShares::seal(outcome, owner, rng).unwrap()
}

/// A share as it is opened from what is kept.
fn opened(outcome: &Outcome, owner: &OwnerKey, rng: &mut ChaCha20Rng) -> Option<KeyShare> {
    Some(kept(outcome, owner, rng).open_one(owner).unwrap())
}

#[test]
fn one_of_those_who_share_a_key_is_replaced_and_the_key_stays() {
    let mut rng = rng(15);
    let people = People::new(4, &mut rng);
    let (before, bunker) = people.made(&[0, 1, 2], 2, &mut rng);
    let public = before[0].public.clone();
    let mine = opened(&before[0], &people.owners[0], &mut rng);
    // 2 goes, 3 comes: with the owner's that is less than three shares, so nobody has to wait.
    let after = people.keys(&[0, 1, 3]);
    let sharing = Sharing::new(&public, &before[0].people, &after, &[], 2, mine).unwrap();
    assert!(!sharing.needs_export());
    assert_eq!(sharing.leaving().count(), 0);
    assert_eq!(sharing.people().iter().map(|it| it.holder.get()).collect::<Vec<_>>(), [2, 3, 5]);
    let (first, request) = Attendance::share(&people.owners[0], &holders(), sharing, &people.seeds[0]).unwrap();
    let mut server = Server::start_with(&request, bunker, &mut rng);

    let view = server.view(0);
    assert!(is_among_people(&view));
    let join = |at: usize, kept: Option<&SealedShares>, view: &CeremonyView| {
        Attendance::join_shared(&people.owners[at], &holders(), kept, view, &people.seeds[at])
    };
    let staying = kept(&before[1], &people.owners[1], &mut rng);
    let code = |it: Result<Attendance, Failure>| it.map(drop).unwrap_err().code();
    // Who deals has to have a share, and who is not in it has no part.
    assert_eq!(code(join(1, None, &view)), "share_missing");
    let leaver = kept(&before[2], &people.owners[2], &mut rng);
    assert_eq!(code(join(2, Some(&leaver), &view)), "not_invited");
    let (others, _) = people.made(&[0, 1], 1, &mut rng);
    let changes: [&dyn Fn(&mut CeremonyView); 8] = [
        &|it| it.present = None,
        &|it| it.present = Some(others[0].public.clone()),
        &|it| it.participants[1].owner = Some(people.owners[3].public_key()),
        &|it| it.participants[3].receives = HolderIndex::new(4).ok(),
        &|it| it.participants[3].receives = it.participants[1].receives.take(),
        &|it| it.threshold = 1,
        &|it| it.participants[3].role = HolderRole::Recovery,
        &|it| KEYGEN.clone_into(&mut it.kind),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut view = view.clone();
        change(&mut view);
        assert_eq!(code(join(1, Some(&staying), &view)), "ceremony_misled", "change {at}");
    }

    let second = join(1, Some(&staying), &view).unwrap();
    let newcomer = join(3, None, &view).unwrap();
    let mut devices = vec![first, second, newcomer];
    for device in &devices[1..] {
        server.join(&device.join());
    }
    devices[0].take(&server.view(0), &mut rng).unwrap();
    assert!(matches!(devices[0].word(), Some(Verb::Reshare { .. })));
    // The owner's process ended after it had begun: it comes back in the same way as the others come.
    let begun = kept(&before[0], &people.owners[0], &mut rng);
    devices[0] = join(0, Some(&begun), &server.view(0)).unwrap();
    let outcomes = attended_by_all(&mut devices, &mut server, &mut rng);
    let new = &outcomes[0].public;
    assert_eq!((new.pubkey, new.epoch, new.threshold), (public.pubkey, 1, 3));
    assert_eq!(new.holders.iter().map(|it| it.index.get()).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert_eq!(server.shares().len(), 1);
    for (outcome, at) in outcomes.iter().zip([0, 1, 3]) {
        assert_eq!(outcome.shares.len(), 1);
        let kept = kept(outcome, &people.owners[at], &mut rng);
        assert_eq!(kept.authority(people.owners[at].public_key()), people.owners[0].public_key());
    }
    // The old share fits no more, and what the server shows of the past is refused.
    assert_eq!(code(join(1, Some(&kept(&outcomes[1], &people.owners[1], &mut rng)), &view)), "ceremony_misled");
}

#[test]
fn who_deals_follows_from_who_stays_and_from_what_nobody_should_get_at_once() {
    let mut rng = rng(16);
    let people = People::new(5, &mut rng);
    let (before, _) = people.made(&[0, 1, 2], 2, &mut rng);
    let (public, owner) = (before[0].public.clone(), &people.owners[0]);
    let mut sharing = |after: &[usize], anew: &[usize], signers, has_share: bool| {
        let share = opened(&before[0], owner, &mut rng).filter(|_| has_share);
        let (after, anew) = (people.keys(after), people.keys(anew));
        let sharing = Sharing::new(&public, &before[0].people, &after, &anew, signers, share)?;
        let (needs_export, leaving) = (sharing.needs_export(), sharing.leaving().count());
        let (_, request) = Attendance::share(owner, &holders(), sharing, &people.seeds[0])?;
        let deals: Vec<_> = request.participants.iter().filter_map(|it| it.deals).map(HolderIndex::get).collect();
        let gets: Vec<_> = request.participants.iter().filter_map(|it| it.receives).map(HolderIndex::get).collect();
        Ok::<_, Failure>((deals, gets, needs_export, leaving))
    };
    // A refresh: the bunker and as many as it takes.
    assert_eq!(sharing(&[0, 1, 2], &[], 2, true).unwrap(), (vec![1, 2, 3], vec![1, 2, 3, 4], false, 0));
    // With the owner's device lost, the others deal, and the owner keeps its number.
    assert_eq!(sharing(&[0, 1, 2], &[], 2, false).unwrap(), (vec![1, 3, 4], vec![1, 2, 3, 4], false, 0));
    // Somebody who lost a share gets another number.
    assert_eq!(sharing(&[0, 1, 2], &[1], 2, true).unwrap(), (vec![1, 2, 4], vec![1, 2, 4, 5], false, 0));
    // Who leaves deals, where there are not enough without them.
    assert_eq!(sharing(&[0, 3], &[], 2, true).unwrap(), (vec![1, 2, 3], vec![1, 2, 5], false, 1));
    // The owner and newcomers would have all of it: people deal, so that nobody has to wait; or else everybody waits.
    assert_eq!(sharing(&[0, 1, 2, 3], &[], 1, true).unwrap(), (vec![2, 3, 4], vec![1, 2, 3, 4, 5], false, 0));
    assert_eq!(sharing(&[0, 1, 3, 4], &[], 2, true).unwrap(), (vec![1, 2, 3], vec![1, 2, 3, 5, 6], true, 0));
    assert_eq!(sharing(&[0, 1], &[1], 1, false).unwrap_err().code(), "share_missing");
    assert_eq!(sharing(&[0, 1, 2], &[0], 2, true).unwrap_err().code(), "people_unsuitable");
    assert_eq!(sharing(&[0, 1, 2], &[], 4, true).unwrap_err().code(), "people_unsuitable");
    let theirs = opened(&before[0], owner, &mut rng).unwrap();
    let next = GroupPublic { epoch: 1, ..public.clone() };
    let refused = Sharing::new(&next, &before[0].people, &people.keys(&[0, 1]), &[], 1, Some(theirs)).unwrap_err();
    assert_eq!(refused.code(), "share_of_another_epoch");
    // And no kit renews what people share.
    assert_eq!(Renewal::new(&public, Vec::new(), Custody::Device).unwrap_err().code(), "key_is_shared");
}

#[test]
fn a_key_of_ones_own_is_shared_from_either_custody() {
    let mut rng = rng(17);
    let people = People::new(3, &mut rng);
    let owner = &people.owners[0];
    for (custody, signers, waits, deals, gets) in [
        (Custody::Hosted, 3, false, [1, 2], [1, 4, 5, 6]),
        (Custody::Hosted, 2, true, [1, 2], [1, 4, 5, 6]),
        (Custody::Device, 2, true, [1, 2], [1, 2, 4, 5]),
    ] {
        let (public, server_shares, own) = made(owner, custody, &mut rng);
        let share = own.into_iter().find(|share| share.role() == HolderRole::Device);
        let before: Vec<_> = share.iter().map(|it| Member { holder: it.index(), person: owner.public_key() }).collect();
        let sharing = Sharing::new(&public, &before, &people.keys(&[0, 1, 2]), &[], signers, share).unwrap();
        assert_eq!(sharing.needs_export(), waits);
        let (first, request) = Attendance::share(owner, &holders(), sharing, &people.seeds[0]).unwrap();
        let dealers: Vec<_> = request.participants.iter().filter_map(|it| it.deals).map(HolderIndex::get).collect();
        assert_eq!(dealers, deals);
        let mut server = Server::start_with(&request, server_shares, &mut rng);
        let mut devices = vec![first];
        for at in 1..3 {
            let view = server.view(0);
            let device =
                Attendance::join_shared(&people.owners[at], &holders(), None, &view, &people.seeds[at]).unwrap();
            server.join(&device.join());
            devices.push(device);
        }
        let outcomes = attended_by_all(&mut devices, &mut server, &mut rng);
        let public_after = &outcomes[2].public;
        assert_eq!((public_after.pubkey, public_after.threshold), (public.pubkey, signers + 1));
        assert_eq!(public_after.holders.iter().map(|it| it.index.get()).collect::<Vec<_>>(), gets);
        assert_eq!(outcomes[2].people.first().map(|it| it.person), Some(owner.public_key()));
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

/// The new shares that the server's holders have afterwards.
impl Server {
    fn shares(&self) -> Vec<KeyShare> {
        let transcript = self.meeting.run().unwrap().transcript();
        let gets_one = |number: u16| transcript.terms().party(number).unwrap().receives.is_some();
        let share = |(number, keys, present, _): &(u16, PartyKeys, Option<KeyShare>, Memory)| {
            let participant = Participant::new(transcript.terms().clone(), *number, keys, present.as_ref()).unwrap();
            participant.take_share(transcript).unwrap()
        };
        self.holders.iter().filter(|(number, ..)| gets_one(*number)).map(share).collect()
    }
}

/// A key, and the shares of everybody: the server's, then this device's.
fn made(owner: &OwnerKey, custody: Custody, rng: &mut ChaCha20Rng) -> (GroupPublic, Vec<KeyShare>, Vec<KeyShare>) {
    let (mut device, request) = match custody {
        Custody::Hosted => Attendance::hosted(owner, &holders(), rng).unwrap(),
        Custody::Device => Attendance::with_device(owner, &holders(), rng).unwrap(),
    };
    let mut server = Server::start(&request, rng);
    let outcome = attended(&mut device, &mut server, rng);
    (outcome.public, server.shares(), outcome.shares)
}

/// Everybody does what is due. What has to be kept is, and nothing is accepted before.
fn attended(device: &mut Attendance, server: &mut Server, rng: &mut ChaCha20Rng) -> Outcome {
    server.drive(rng);
    let mut kept = None;
    loop {
        let said = device.take(&server.view(device.next()), rng).unwrap();
        if let Some(outcome) = device.outcome().unwrap() {
            if let Some(kept) = kept {
                assert_eq!(kept, outcome.public);
            }
            return outcome;
        }
        if let Some(outcome) = device.to_keep().unwrap() {
            assert!(said.is_empty() && server.meeting.end().is_none());
            kept = Some(outcome.public);
            device.kept();
            continue;
        }
        assert!(!said.is_empty(), "the device waits for nobody");
        said.iter().for_each(|package| server.post(package, rng));
    }
}

fn roles(public: &GroupPublic) -> Vec<(u16, HolderRole)> {
    public.holders.iter().map(|holder| (holder.index.get(), holder.role)).collect()
}

#[test]
fn a_hosted_key_gets_new_shares_from_the_servers_holders_and_this_device_a_new_kit() {
    let mut rng = rng(6);
    let owner = OwnerKey::fresh(&mut rng);
    let (public, shares, kit) = made(&owner, Custody::Hosted, &mut rng);
    // The kit at hand changes nothing: the server's holders deal.
    let renewal = Renewal::new(&public, kit, Custody::Hosted).unwrap();
    assert!(!renewal.needs_export());
    let (mut device, request) = Attendance::renew(&owner, &holders(), renewal, &mut rng).unwrap();
    assert!(device.word().is_none(), "nobody knows the terms yet");
    let mut server = Server::start_with(&request, shares, &mut rng);
    device.take(&server.view(0), &mut rng).unwrap();
    assert!(matches!(device.word(), Some(Verb::Reshare { .. })));
    let outcome = attended(&mut device, &mut server, &mut rng);
    assert_eq!((outcome.public.pubkey, outcome.public.epoch), (public.pubkey, 1));
    assert_eq!(roles(&outcome.public), roles(&public));
    assert_eq!(outcome.shares.iter().map(KeyShare::role).collect::<Vec<_>>(), [HolderRole::Recovery]);
    // Start, three rounds of this device's, and one look after it kept the kit.
    assert_eq!(server.round_trips, 4);
}

#[test]
fn a_lost_device_is_replaced_with_the_kit_or_refreshed_with_both() {
    let mut rng = rng(7);
    let owner = OwnerKey::fresh(&mut rng);
    for (with, waits) in [
        (&[HolderRole::Device][..], true),
        (&[HolderRole::Recovery], true),
        (&[HolderRole::Device, HolderRole::Recovery], false),
    ] {
        let (public, shares, own) = made(&owner, Custody::Device, &mut rng);
        let own: Vec<_> = own.into_iter().filter(|share| with.contains(&share.role())).collect();
        let renewal = Renewal::new(&public, own, Custody::Device).unwrap();
        assert_eq!(renewal.needs_export(), waits, "{with:?}");
        let (mut device, request) = Attendance::renew(&owner, &holders(), renewal, &mut rng).unwrap();
        let mut server = Server::start_with(&request, shares, &mut rng);
        let outcome = attended(&mut device, &mut server, &mut rng);
        assert_eq!((outcome.public.pubkey, outcome.public.epoch), (public.pubkey, 1), "{with:?}");
        assert_eq!(
            outcome.shares.iter().map(KeyShare::role).collect::<Vec<_>>(),
            [HolderRole::Device, HolderRole::Recovery]
        );
        let deals = request.participants.iter().filter_map(|it| it.deals).count();
        assert_eq!(deals, 2, "{with:?}");
    }
    let (public, _, _) = made(&owner, Custody::Device, &mut rng);
    assert_eq!(Renewal::new(&public, Vec::new(), Custody::Device).unwrap_err().code(), "share_missing");
    let (_, _, others) = made(&owner, Custody::Device, &mut rng);
    assert_eq!(Renewal::new(&public, others, Custody::Device).unwrap_err().code(), "share_of_another_epoch");
    assert_eq!(Renewal::new(&public, Vec::new(), Custody::Hosted).unwrap_err().code(), "share_missing");
}

#[test]
fn a_key_comes_back_from_a_devices_care_and_a_lost_cosigner_is_replaced() {
    let mut rng = rng(12);
    let owner = OwnerKey::fresh(&mut rng);
    let after = [(1, HolderRole::Bunker), (3, HolderRole::Recovery), (4, HolderRole::Cosigner)];
    for (with, waits) in [
        (&[HolderRole::Device][..], false),
        (&[HolderRole::Device, HolderRole::Recovery], false),
        (&[HolderRole::Recovery], true),
    ] {
        let (public, shares, own) = made(&owner, Custody::Device, &mut rng);
        let own: Vec<_> = own.into_iter().filter(|share| with.contains(&share.role())).collect();
        let renewal = Renewal::new(&public, own, Custody::Hosted).unwrap();
        assert_eq!(renewal.needs_export(), waits, "{with:?}");
        let (mut device, request) = Attendance::renew(&owner, &holders(), renewal, &mut rng).unwrap();
        let mut server = Server::start_with(&request, shares, &mut rng);
        let outcome = attended(&mut device, &mut server, &mut rng);
        assert_eq!((outcome.public.pubkey, roles(&outcome.public)), (public.pubkey, after.to_vec()), "{with:?}");
        assert_eq!(outcome.shares.iter().map(KeyShare::role).collect::<Vec<_>>(), [HolderRole::Recovery]);
    }

    let (public, shares, own) = made(&owner, Custody::Hosted, &mut rng);
    let kit = own.into_iter().find(|share| share.role() == HolderRole::Recovery).unwrap();
    let renewal = Renewal::with_new_cosigner(&public, kit).unwrap();
    assert!(!renewal.needs_export());
    let (mut device, request) = Attendance::renew(&owner, &holders(), renewal, &mut rng).unwrap();
    let bunker = shares.into_iter().filter(|share| share.role() == HolderRole::Bunker).collect();
    let mut server = Server::start_with(&request, bunker, &mut rng);
    let outcome = attended(&mut device, &mut server, &mut rng);
    assert_eq!((outcome.public.pubkey, roles(&outcome.public)), (public.pubkey, after.to_vec()));

    let (public, _, own) = made(&owner, Custody::Device, &mut rng);
    let kit = own.into_iter().find(|share| share.role() == HolderRole::Recovery).unwrap();
    assert_eq!(Renewal::with_new_cosigner(&public, kit).unwrap_err().code(), "no_cosigner");
}

#[test]
fn a_hosted_key_is_given_to_a_devices_care_and_the_cosigner_has_no_share_any_more() {
    let mut rng = rng(8);
    let owner = OwnerKey::fresh(&mut rng);
    let (public, shares, _) = made(&owner, Custody::Hosted, &mut rng);
    let renewal = Renewal::new(&public, Vec::new(), Custody::Device).unwrap();
    assert!(renewal.needs_export());
    let (mut device, request) = Attendance::renew(&owner, &holders(), renewal, &mut rng).unwrap();
    let mut server = Server::start_with(&request, shares, &mut rng);
    let outcome = attended(&mut device, &mut server, &mut rng);
    let after = [(1, HolderRole::Bunker), (2, HolderRole::Device), (3, HolderRole::Recovery)];
    assert_eq!(roles(&outcome.public), after);
    assert_eq!(outcome.public.pubkey, public.pubkey);
    assert_eq!(server.shares().len(), 1);
}

#[test]
fn a_renewal_is_accepted_only_under_the_terms_that_were_wanted() {
    let mut rng = rng(9);
    let owner = OwnerKey::fresh(&mut rng);
    let (public, shares, _) = made(&owner, Custody::Hosted, &mut rng);
    let (other, _, _) = made(&owner, Custody::Hosted, &mut rng);
    // Another key under the same id: whoever has both server holders could deal that.
    let places: Vec<_> = public.holders.iter().map(|holder| (holder.index, holder.role)).collect();
    let (swapped, _) = keygen::split(keygen::fresh_secret(&mut rng), public.group, &places, 2, &mut rng).unwrap();
    let renew = || {
        let renewal = Renewal::new(&public, Vec::new(), Custody::Hosted).unwrap();
        Attendance::renew(&owner, &holders(), renewal, &mut self::rng(10)).unwrap()
    };
    let good = Server::start_with(&renew().1, shares, &mut rng).view(0);
    let changes: [&dyn Fn(&mut Terms); 7] = [
        &|it| it.purpose = Kind::Reshare { from: other.clone() },
        &|it| it.purpose = Kind::Reshare { from: swapped.clone() },
        &|it| it.parties[2].deals = std::mem::take(&mut it.parties[1].deals).and(HolderIndex::new(3).ok()),
        &|it| it.purpose = Kind::Keygen,
        &|it| it.epoch = 2,
        &|it| it.parties[1].deals = None,
        &|it| it.parties[2].receives = it.parties[1].receives,
    ];
    assert!(renew().0.take(&good, &mut rng).is_ok());
    for (at, change) in changes.into_iter().enumerate() {
        let mut view = good.clone();
        change(view.terms.as_mut().unwrap());
        let refused = renew().0.take(&view, &mut rng).unwrap_err();
        assert_eq!(refused.code(), "ceremony_misled", "change {at}");
        assert!(refused.to_string().contains("accepted nothing"), "{refused}");
    }
}

/// Two devices of one person, each for its own places.
fn attended_by_two(
    first: &mut Attendance,
    second: &mut Attendance,
    server: &mut Server,
    rng: &mut ChaCha20Rng,
) -> [Outcome; 2] {
    server.join(&second.join());
    for _ in 0..20 {
        for device in [&mut *first, &mut *second] {
            device.take(&server.view(device.next()), rng).unwrap();
            if device.to_keep().unwrap().is_some() {
                device.kept();
            }
            for package in device.take(&server.view(device.next()), rng).unwrap() {
                server.post(&package, rng);
            }
        }
        server.drive(rng);
    }
    for device in [&mut *first, &mut *second] {
        device.take(&server.view(device.next()), rng).unwrap();
    }
    [first, second].map(|device| device.outcome().unwrap().unwrap())
}

#[test]
fn another_device_joins_with_a_share_of_its_own_takes_part_in_the_next_renewal_and_is_left_out_of_one() {
    let mut rng = rng(11);
    let owner = OwnerKey::fresh(&mut rng);
    let (mut public, mut shares, mut own) = made(&owner, Custody::Device, &mut rng);
    let mut has = None;
    let pubkey = public.pubkey;
    // Joins, and then takes part with the share that it has.
    for (others, epoch) in [(OtherDevices { add: true, leave: false }, 1), (OtherDevices::default(), 2)] {
        let renewal = Renewal::new(&public, own, Custody::Device).unwrap().with_others(others);
        assert_eq!((renewal.waits_for(), renewal.needs_export()), (1, false));
        let (mut first, request) = Attendance::renew(&owner, &holders(), renewal, &mut rng).unwrap();
        let mut server = Server::start_with(&request, shares, &mut rng);
        let seed = Secret32::random(&mut rng);
        let join = |owner: &OwnerKey, has, view: &CeremonyView| {
            Attendance::join_renewal(owner, &holders(), &public, has, view, &seed)
        };
        let view = server.view(0);
        let wrong = HolderIndex::new(9).ok();
        assert_eq!(join(&owner, wrong, &view).unwrap_err().code(), "nothing_to_join");
        let stranger = OwnerKey::fresh(&mut rng);
        assert_eq!(join(&stranger, has, &view).unwrap_err().code(), "nothing_to_join");
        let mut intruded = view.clone();
        intruded.participants.last_mut().unwrap().owner = Some(stranger.public_key());
        intruded.participants[1].owner = Some(owner.public_key());
        intruded.participants[1].joined = false;
        intruded.participants[1].receives = has.or(HolderIndex::new(4).ok());
        assert_eq!(join(&owner, has, &intruded).unwrap_err().code(), "ceremony_misled");

        let mut second = join(&owner, has, &view).unwrap();
        let [mine, theirs] = attended_by_two(&mut first, &mut second, &mut server, &mut rng);
        assert_eq!(mine.public, theirs.public);
        assert_eq!((mine.public.pubkey, mine.public.epoch), (pubkey, epoch));
        assert_eq!(mine.shares.iter().map(|it| it.index().get()).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(
            theirs.shares.iter().map(|it| (it.index().get(), it.role())).collect::<Vec<_>>(),
            [(4, HolderRole::Device)]
        );
        has = theirs.shares.first().map(KeyShare::index);
        (public, own, shares) = (mine.public, mine.shares, server.shares());
    }
    let alone = OtherDevices { add: false, leave: true };
    let renewal = Renewal::new(&public, own, Custody::Device).unwrap().with_others(alone);
    assert_eq!(renewal.waits_for(), 0);
    let (mut device, request) = Attendance::renew(&owner, &holders(), renewal, &mut rng).unwrap();
    let outcome = attended(&mut device, &mut Server::start_with(&request, shares, &mut rng), &mut rng);
    assert_eq!(roles(&outcome.public), [(1, HolderRole::Bunker), (2, HolderRole::Device), (3, HolderRole::Recovery)]);
}
