//! Several people share a key: each judges for itself, as many as have to contribute with the bunker, and whoever comes,
//! goes or begins anew costs the others nothing but their time.

mod simulation;

use bunker_core::{
    event::{Event, VerifiedEvent},
    joint::{
        Asked, ContributeError, ContributionReply, ContributionRequest, Gathering, NotTaken, Taken, contribute_among,
    },
    keys::TransportSecret,
    members::{Member, Members, MembersError},
    session::{Answer, DeviceHolder, Evidence, Failure, HolderState, Operation, StatementRefused},
    statement::{Statement, StatementError, Verb},
};
use frost_wasm_core::{
    frost::{keygen, sign},
    group::{GroupId, GroupPublic, HolderRole},
    secret::Secret32,
    share::KeyShare,
};
use serde_json::json;

use crate::{
    judge::{Correspondent, assert_signed},
    world::{App, EVERYTHING, Person, World, copy, index, template, through_the_wire},
};

/// A key of three people, of whom two sign, an app, and a request that waits.
struct Team {
    world: World,
    app: App,
    request: VerifiedEvent,
    people: Vec<Person>,
    gathering: Gathering,
}

impl Team {
    fn asked_for(method: &str, params: &dyn Fn(&mut World) -> serde_json::Value) -> Self {
        Self::of(World::with_people(3, 2), method, params)
    }

    fn of(
        (mut world, people): (World, Vec<Person>),
        method: &str,
        params: &dyn Fn(&mut World) -> serde_json::Value,
    ) -> Self {
        let app = world.connected(EVERYTHING);
        Self::asking(world, app, people, method, params)
    }

    fn asking(
        mut world: World,
        app: App,
        people: Vec<Person>,
        method: &str,
        params: &dyn Fn(&mut World) -> serde_json::Value,
    ) -> Self {
        let params = params(&mut world);
        let request = world.request(&app, method, params);
        world.submit(&request).held();
        let request = request.into_verified().unwrap();
        let gathering = begun(&mut world, &app, &request);
        Self { world, app, request, people, gathering }
    }

    fn note() -> Self {
        Self::asked_for("sign_event", &|_| json!([template(1, "from all of us")]))
    }

    /// The bunker is gone for a while, and with it what it had gathered.
    fn evict(&mut self) {
        self.world.bunker.wake();
        self.gathering = begun(&mut self.world, &self.app, &self.request);
    }

    fn asked(&mut self, person: usize) -> Asked {
        self.gathering.asked(self.people[person].share.index(), self.world.now_ms)
    }

    /// What a person's device says to what it is asked for, judged over what the bunker shows.
    fn says(&mut self, person: usize) -> Option<(ContributionReply, u32)> {
        let Self { world, app, request, people, .. } = self;
        let share = &people[person].share;
        let state = &world.bunker.state;
        let evidence = Evidence {
            created: state.identity().statement.clone(),
            connection: state.connection(&app.connection).unwrap().record().clone(),
            decision: None,
        };
        let owner = world.owner.public_key();
        let device = DeviceHolder { public: share.group(), holder: share.index(), owner: &owner, memory: None };
        let operation = device.judge(&evidence, request, &app.conversation(), world.now_ms).unwrap().operation;
        self.contributes_to(&operation, person)
    }

    /// The same for what it has judged already.
    fn contributes_to(&mut self, operation: &Operation, person: usize) -> Option<(ContributionReply, u32)> {
        let Asked::Contribute { round, commitments } = self.asked(person) else { return None };
        let Self { world, app, request, people, .. } = self;
        let Person { share, nonces, .. } = &mut people[person];
        let epoch = share.group().epoch;
        let call = ContributionRequest::encode(request, &app.conversation(), epoch, &commitments);
        let call = ContributionRequest::decode(&call).unwrap();
        let reply = contribute_among(operation, &call, share, nonces, &mut world.rng).unwrap()?;
        Some((through_the_wire(&reply), round))
    }

    fn take(&mut self, (reply, round): (ContributionReply, u32)) -> Result<Taken, NotTaken> {
        self.gathering.take(reply, round, &self.world.bunker.share, self.world.now_ms)
    }

    /// A person's device asks, and what it says is taken.
    fn contributes(&mut self, person: usize) -> Result<Taken, NotTaken> {
        let said = self.says(person).expect("it is this one's turn");
        self.take(said)
    }

    fn finish(self) -> (World, Result<Answer, Failure>) {
        let Self { mut world, gathering, .. } = self;
        let answer = gathering.finish(&copy(&world.bunker.share), &mut world.rng);
        (world, answer)
    }

    fn finish_signed(self) {
        let (world, answer) = self.finish();
        assert_signed(&Event::parse(&answer.unwrap().result).unwrap(), &world.npub());
    }
}

fn begun(world: &mut World, app: &App, request: &VerifiedEvent) -> Gathering {
    let operation = world.bunker.state.offer(request, &app.conversation(), world.now_s()).unwrap().unwrap();
    Gathering::begin(operation, &request.id, &world.bunker.share, &mut world.rng).unwrap()
}

fn is_committed(said: &Option<(ContributionReply, u32)>) -> bool {
    matches!(said, Some((ContributionReply::Committed { .. }, _)))
}

#[test]
fn two_of_three_sign_with_the_bunker_and_the_last_one_at_once() {
    let mut team = Team::note();
    let said = team.says(0);
    assert!(is_committed(&said));
    assert_eq!(team.take(said.clone().unwrap()), Ok(Taken::Waiting));
    // The same again changes nothing, and it is the others' turn.
    assert_eq!(team.take(said.unwrap()), Ok(Taken::Waiting));
    assert!(team.says(0).is_none());
    assert_eq!(team.contributes(2), Ok(Taken::Waiting));
    assert_eq!(team.asked(2), Asked::Given);
    assert_eq!(team.asked(1), Asked::Enough);
    assert_eq!(team.gathering.contributors().map(|it| it.get()).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(team.contributes(0), Ok(Taken::Complete));
    team.finish_signed();
}

#[test]
fn where_one_signs_it_is_asked_once() {
    let params = |_: &mut World| json!([template(1, "from one of us")]);
    let mut team = Team::of(World::with_people(3, 1), "sign_event", &params);
    assert_eq!(team.contributes(1), Ok(Taken::Complete));
    team.finish_signed();
}

/// Whom the people write to.
fn correspondent() -> Correspondent {
    Correspondent::new(&TransportSecret::from_secret(&Secret32::from_bytes([7; 32])).unwrap())
}

#[test]
fn people_encrypt_and_decrypt_together_in_any_order() {
    let mut team = Team::asked_for("nip44_encrypt", &|_| json!([correspondent().hex(), "hello"]));
    assert_eq!(team.contributes(2), Ok(Taken::Waiting));
    assert_eq!(team.asked(2), Asked::Given);
    assert_eq!(team.contributes(1), Ok(Taken::Complete));
    let (world, answer) = team.finish();
    assert_eq!(correspondent().reads_nip44(&world.npub(), &answer.unwrap().result), "hello");

    let mut team = Team::asked_for("nip44_decrypt", &|world| {
        json!([correspondent().hex(), correspondent().writes_nip44(&world.npub(), "hello back")])
    });
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    assert_eq!(team.contributes(0), Ok(Taken::Complete));
    let (_, answer) = team.finish();
    assert_eq!(*answer.unwrap().result, "hello back");
}

#[test]
fn whoever_lost_its_nonces_commits_anew_and_the_others_sign_again() {
    let mut team = Team::note();
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    team.people[0].nonces = None;
    let said = team.says(0);
    assert!(is_committed(&said));
    assert_eq!(team.take(said.unwrap()), Ok(Taken::Waiting));
    // What the other had signed was over the commitment that is gone.
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    assert_eq!(team.contributes(0), Ok(Taken::Complete));
    team.finish_signed();
}

#[test]
fn after_an_eviction_of_the_bunker_all_begin_anew() {
    let mut team = Team::note();
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    let late = team.says(1).unwrap();
    team.evict();
    assert_eq!(team.take(late), Err(NotTaken::Outdated));
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    assert_eq!(team.contributes(1), Ok(Taken::Complete));
    team.finish_signed();
}

#[test]
fn a_signature_for_another_state_of_the_commitments_is_not_taken_and_nobody_is_blamed() {
    let mut team = Team::note();
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    // Signs over the first commitment, while its device begins anew.
    let outdated = team.says(1).unwrap();
    team.people[0].nonces = None;
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    assert_eq!(team.take(outdated), Err(NotTaken::Outdated));
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    assert_eq!(team.contributes(0), Ok(Taken::Complete));
    team.finish_signed();
}

#[test]
fn nonces_of_another_commitment_are_not_signed_with() {
    let mut team = Team::note();
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    // As another process of the same device would have them.
    let (others, _) = sign::commit(&team.people[0].share, &mut team.world.rng).unwrap();
    team.people[0].nonces = Some(others);
    assert!(is_committed(&team.says(0)));
}

#[test]
fn a_share_under_another_commitment_than_the_holders_own_is_not_taken() {
    let mut team = Team::note();
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    let (mut reply, round) = team.says(0).unwrap();
    let (_, other) = sign::commit(&team.people[0].share, &mut team.world.rng).unwrap();
    if let ContributionReply::Signed(contribution) = &mut reply {
        contribution.commitment = other;
    }
    assert_eq!(team.take((reply, round)), Err(NotTaken::Outdated));
}

#[test]
fn who_commits_and_leaves_makes_room_after_a_minute() {
    let mut team = Team::note();
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    team.world.now_ms += 59_999;
    assert_eq!(team.asked(2), Asked::Enough);
    team.world.now_ms += 1;
    assert_eq!(team.contributes(2), Ok(Taken::Waiting));
    assert_eq!(team.contributes(1), Ok(Taken::Waiting));
    // Whoever looks is there.
    for _ in 0..3 {
        team.world.now_ms += 50_000;
        assert_eq!(team.asked(0), Asked::Enough);
        let _ = team.asked(2);
    }
    assert_eq!(team.contributes(2), Ok(Taken::Complete));
    team.finish_signed();
}

#[test]
fn a_person_who_signs_wrongly_is_named_by_number() {
    let mut team = Team::note();
    let (_, wrong) = crate::world::split(&mut team.world.rng);
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    let (mut reply, round) = team.says(2).unwrap();
    if let ContributionReply::Signed(contribution) = &mut reply {
        contribution.share = {
            let others = [(index(1), contribution.commitment)];
            let signed = sign::sign_last(&wrong[1], 0, &[1; 32], &others, &mut team.world.rng);
            signed.unwrap().share
        };
    }
    assert_eq!(team.take((reply, round)), Ok(Taken::Waiting));
    assert_eq!(team.contributes(0), Ok(Taken::Complete));
    let (_, answer) = team.finish();
    let failure = answer.unwrap_err();
    assert_eq!(failure.code, "holder_misbehaved:device 4");
}

#[test]
fn what_fits_no_question_is_not_taken() {
    let mut team = Team::note();
    let mut signing = Team::note();
    assert_eq!(signing.contributes(0), Ok(Taken::Waiting));
    let commitment = signing.says(1).unwrap();
    // As the bunker, as nobody, as the last one while another one is missing.
    for reply in [ContributionReply::Recorded, ContributionReply::Refused { code: "x".into(), text: "y".into() }] {
        assert_eq!(team.take((reply, 0)), Err(NotTaken::Unfit));
    }
    assert_eq!(team.take(commitment), Err(NotTaken::Outdated));
    let said = team.says(0).unwrap();
    if let ContributionReply::Committed { commitment, .. } = said.0 {
        for number in [1, 9] {
            let reply = ContributionReply::Committed { index: index(number), commitment };
            assert_eq!(team.take((reply, 0)), Err(NotTaken::Unfit), "{number}");
        }
    }
    let mut encrypting = Team::asked_for("nip44_encrypt", &|_| json!([correspondent().hex(), "hello"]));
    assert_eq!(encrypting.take(said), Err(NotTaken::Unfit));
    let part = encrypting.says(0).unwrap();
    assert_eq!(team.take(part), Err(NotTaken::Unfit));
}

#[test]
fn the_bunker_and_too_few_people_sign_nothing() {
    let mut team = Team::note();
    assert_eq!(team.contributes(0), Ok(Taken::Waiting));
    let (_, answer) = team.finish();
    assert!(answer.is_err());
}

#[test]
fn shares_of_another_epoch_are_refused_by_name() {
    let mut team = Team::note();
    let Asked::Contribute { commitments, .. } = team.asked(0) else { panic!() };
    let operation = operation(&team);
    let Team { world, app, request, people, .. } = &mut team;
    let call = ContributionRequest::encode(request, &app.conversation(), 1, &commitments);
    let call = ContributionRequest::decode(&call).unwrap();
    let refused = contribute_among(&operation, &call, &people[0].share, &mut None, &mut world.rng).unwrap_err();
    assert_eq!(ContributeError::code(&refused), bunker_core::joint::OTHER_EPOCH);
}

fn operation(team: &Team) -> Operation {
    let Team { world, app, request, .. } = team;
    world.bunker.state.offer(request, &app.conversation(), world.now_s()).unwrap().unwrap()
}

/// A group's founding as its owner signs it.
fn founded(world: &mut World, public: &GroupPublic, members: &Members) -> Statement {
    let verb = Verb::CreateGroup { public: public.clone(), members: members.clone() };
    let template = Statement::template(public.group, 1, &verb, world.now_s());
    Statement::verify(template.sign_with(&world.owner, &mut world.rng).unwrap()).unwrap()
}

fn split(world: &mut World, threshold: u16) -> (GroupPublic, Vec<KeyShare>) {
    use HolderRole::{Bunker, Device};
    let holders = [(1, Bunker), (2, Device), (3, Device), (4, Device)].map(|(number, role)| (index(number), role));
    let secret = keygen::fresh_secret(&mut world.rng);
    keygen::split(secret, GroupId::random(&mut world.rng), &holders, threshold, &mut world.rng).unwrap()
}

#[test]
fn nobody_alone_has_enough_shares_for_the_whole_key() {
    let mut world = World::new();
    let [first, second] = [0; 2].map(|_| TransportSecret::random(&mut world.rng).public_key());
    let (public, _) = split(&mut world, 2);
    let members = |list: &[(u16, _)]| {
        let list: Vec<_> =
            list.iter().map(|(holder, person)| Member { holder: index(*holder), person: *person }).collect();
        Members::of(&list, &public)
    };
    let create = |world: &mut World, list: &[(u16, _)]| {
        let statement = founded(world, &public, &members(list).unwrap());
        HolderState::create(&statement, index(1), world.now_ms).map(|(state, _)| state)
    };
    let state = create(&mut world, &[(3, first), (4, second)]).unwrap();
    let owner = world.owner.public_key();
    assert_eq!(state.person_of(index(2)), Some(&owner));
    assert_eq!(state.person_of(index(4)), Some(&second));
    assert_eq!(state.person_of(index(1)), None);
    assert_eq!(state.devices_of(&first).collect::<Vec<_>>(), [index(3)]);
    // The owner with two shares, a member with two, and the owner as its own member.
    let whole = StatementRefused::Members(MembersError::WholeKey);
    assert_eq!(create(&mut world, &[(4, second)]).unwrap_err(), whole);
    assert_eq!(create(&mut world, &[(3, first), (4, first)]).unwrap_err(), whole);
    let itself = StatementRefused::Members(MembersError::Owner(index(3)));
    assert_eq!(create(&mut world, &[(3, owner), (4, first)]).unwrap_err(), itself);
    // What can't be read as a list.
    assert_eq!(members(&[(4, first), (3, second)]).unwrap_err(), MembersError::Order);
    assert_eq!(members(&[(1, first)]).unwrap_err(), MembersError::NotADevice(index(1)));
    assert_eq!(members(&[(9, first)]).unwrap_err(), MembersError::NotADevice(index(9)));
    let no_key = bunker_core::keys::PublicKey::from_bytes([0xff; 32]);
    assert_eq!(members(&[(3, no_key)]).unwrap_err(), MembersError::Key(index(3)));
    // Read back it is the same, and a list that can't be is refused where it is read.
    let statement = founded(&mut world, &public, &members(&[(3, first), (4, second)]).unwrap());
    let content = statement.event().content.replace(&first.to_hex(), &no_key.to_hex());
    let mut template = Statement::template(public.group, 1, statement.verb(), world.now_s());
    template.content = content;
    let event = template.sign_with(&world.owner, &mut world.rng).unwrap();
    let refused = Statement::verify(event).unwrap_err();
    assert_eq!(refused, StatementError::Members(MembersError::Key(index(3))));
}
