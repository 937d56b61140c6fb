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
    assert_eq!(Renewal::new(&public, Vec::new(), Custody::Hosted).unwrap_err().code(), "custody_unsupported");
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
