//! New shares of a key in use: dealt under the owner's word alone, to nobody but its holders, and never a way around
//! the delay of an export.

mod cosigner;
mod people;
mod simulation;

use bunker_core::{
    audit::Happening,
    event::Event,
    joint::{self, ContributeError, ContributionRequest},
    keys::TransportSecret,
    reshare::{Epoch, EpochRecord, Reshare},
    session::{DeviceHolder, Entered, Evidence, HolderState, ReshareRefused, Step},
    statement::{StoredError, Verb},
};
use frost_wasm_core::{
    ceremony::{
        CeremonyId, Digest32, Kind, Memory, Participant, Party, PartyKeys, Seat, Step as Stage, Terms, Transcript,
        VERSION, ValidTerms,
    },
    frost::sign::SignError,
    group::HolderRole,
    provision::ReceivingKey,
    secret::Secret32,
    share::KeyShare,
};
use rand_chacha::ChaCha20Rng;
use serde_json::json;

use crate::{
    judge::assert_signed,
    world::{App, EVERYTHING, RULES, Uncontributed, World, copy, index, template},
};

/// A place in a ceremony: what it deals as, and what it gets.
type Place = (Option<u16>, Option<(u16, HolderRole)>);

const BUNKER: Place = (Some(1), Some((1, HolderRole::Bunker)));
const COSIGNER: Place = (Some(2), Some((2, HolderRole::Cosigner)));
const NEW_KIT: Place = (None, Some((3, HolderRole::Recovery)));
const KIT: Place = (Some(3), Some((3, HolderRole::Recovery)));
const NEW_DEVICE: Place = (None, Some((2, HolderRole::Device)));
const DEVICE: Place = (Some(2), Some((2, HolderRole::Device)));

/// Everybody who takes part, with their keys.
struct Cast {
    terms: Terms,
    keys: Vec<PartyKeys>,
}

impl Cast {
    /// Whoever is on no server speaks under the owner key.
    fn new(world: &mut World, places: &[Place]) -> Self {
        let owner = world.owner.expose_secret();
        let places: Vec<_> = places.iter().map(|place| (*place, &owner)).collect();
        Self::of(world, 2, &places)
    }

    /// Each place with the key under which somebody speaks for it, if it is no server's.
    fn of(world: &mut World, threshold: u16, places: &[(Place, &Secret32)]) -> Self {
        let keys: Vec<_> = places.iter().map(|(place, person)| party_keys(world, *place, person)).collect();
        let places = places.iter().map(|(place, _)| place);
        let parties = (1..).zip(places.zip(&keys)).map(|(number, ((deals, seat), keys))| Party {
            number,
            signing: keys.signing_public(),
            receiving: keys.receiving_public(),
            deals: deals.map(index),
            receives: seat.map(|(n, role)| Seat { index: index(n), role }),
        });
        let from = world.bunker.state.identity().public.clone();
        let terms = Terms {
            v: VERSION,
            ceremony: CeremonyId::random(&mut world.rng),
            group: from.group,
            epoch: from.epoch + 1,
            threshold,
            parties: parties.collect(),
            purpose: Kind::Reshare { from },
        };
        Self { terms, keys }
    }

    fn valid(&self) -> ValidTerms {
        self.terms.validate().unwrap()
    }

    /// The owner's word for it.
    fn verb(&self) -> Verb {
        Verb::Reshare { terms: Digest32::from_bytes(*self.valid().digest()) }
    }

    /// Everybody is honest and there.
    fn run(&self, shares: &[&KeyShare], rng: &mut ChaCha20Rng) -> Transcript {
        let mut transcript = Transcript::new(self.valid());
        let mut memories: Vec<_> = self.keys.iter().map(|_| Memory::default()).collect();
        while !transcript.is_over() {
            for (number, memory) in (1..).zip(&mut memories) {
                let said = self.participant(number, shares).answer(&transcript, memory, rng).unwrap();
                said.iter().for_each(|package| assert!(transcript.take(package).unwrap()));
            }
        }
        transcript
    }

    fn participant<'a>(&'a self, number: u16, shares: &[&'a KeyShare]) -> Participant<'a> {
        let at = usize::from(number) - 1;
        let deals = self.terms.parties[at].deals;
        let present = shares.iter().copied().find(|share| Some(share.index()) == deals);
        Participant::new(self.valid(), number, &self.keys[at], present).unwrap()
    }

    /// The new share of whoever has this number.
    fn share(&self, number: u16, shares: &[&KeyShare], transcript: &Transcript) -> KeyShare {
        self.participant(number, shares).take_share(transcript).unwrap()
    }
}

fn party_keys(world: &mut World, (deals, seat): Place, owner: &Secret32) -> PartyKeys {
    let role = |n: u16| world.public.holder(index(n)).map(|holder| holder.role);
    let role = seat.map(|(_, role)| role).or_else(|| deals.and_then(role));
    let [receiving, seed, server] = [0; 3].map(|_| Secret32::random(&mut world.rng));
    let signing = if role.is_some_and(HolderRole::is_on_server) { &server } else { owner };
    PartyKeys::new(signing, ReceivingKey::from_secret(&receiving).unwrap(), seed).unwrap()
}

/// The owner asks for it at every holder.
fn asked(world: &mut World, places: &[Place]) -> Cast {
    let cast = Cast::new(world, places);
    let verb = cast.verb();
    world.say(&verb).unwrap();
    cast
}

/// The word that a holder took part under.
fn word(state: &HolderState, cast: &Cast, now_ms: u64) -> Result<Reshare, ReshareRefused> {
    state.may_reshare(&cast.valid(), now_ms).cloned()
}

fn refused(world: &World, cast: &Cast) -> ReshareRefused {
    let refusals = [&world.bunker, &world.cosigner].map(|holder| word(&holder.state, cast, world.now_ms).unwrap_err());
    assert_eq!(refusals[0], refusals[1]);
    refusals[0]
}

/// An export whose delay is over.
fn wait_out_an_export(world: &mut World) {
    let secret = TransportSecret::random(&mut world.rng).expose_secret();
    let receiver = ReceivingKey::from_secret(&Secret32::from_bytes(*secret.expose_secret())).unwrap().public();
    world.say(&Verb::Export { receiver }).unwrap();
    world.now_ms += RULES.export_delay_ms;
}

#[test]
fn a_refresh_replaces_all_shares_of_the_same_key() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    assert_eq!(world.bunker.state.shares_since_s(), world.now_s());
    world.advance(100);
    let asked_at_s = world.now_s();
    let cast = asked(&mut world, &[BUNKER, COSIGNER, NEW_KIT]);
    let old = [copy(&world.bunker.share), copy(&world.cosigner.share)];
    let present = [&old[0], &old[1]];
    let words = [&world.bunker, &world.cosigner].map(|it| word(&it.state, &cast, world.now_ms).unwrap());
    let transcript = cast.run(&present, &mut world.rng);

    // The cosigner changes over first: until the bunker has, nothing is signed, and it is said why.
    let now_ms = world.now_ms;
    let Step { mutations, effect } = world.cosigner.state.enter_epoch(&words[1], &transcript, now_ms).unwrap();
    assert_eq!(effect, Entered::Seated);
    world.cosigner.commit(&mutations).unwrap();
    world.cosigner.share = cast.share(2, &present, &transcript);
    let request = world.request(&app, "sign_event", json!([template(1, "between")]));
    let call = world.forwarded(&app, &request);
    let mixed = Uncontributed::Failed(ContributeError::Sign(SignError::WrongEpoch { share: 1, asked: 0 }));
    assert_eq!(world.call_cosigner(&call).unwrap_err(), mixed);

    let Step { mutations, effect } = world.bunker.state.enter_epoch(&words[0], &transcript, now_ms).unwrap();
    assert_eq!(effect, Entered::Seated);
    world.bunker.commit(&mutations).unwrap();
    world.bunker.share = cast.share(1, &present, &transcript);
    world.holders().into_iter().for_each(|holder| holder.wake());
    let ceremony = cast.terms.ceremony;
    for holder in world.holders() {
        assert_eq!(holder.state.identity().public.epoch, 1);
        assert_eq!(holder.state.reshare(), None);
        assert_eq!(holder.state.shares_since_s(), asked_at_s);
        assert!(holder.state.induction().is_none(), "the cosigner is who it was");
        let entered = Happening::EpochEntered { epoch: 1, ceremony };
        assert!(holder.audit().iter().any(|record| record.entry.happening == entered));
    }
    // The app notices nothing, and the Nostr key is the one that it was.
    let signed = world.sign(&app, 1);
    assert_signed(&signed, &world.npub());

    // What was kept of the old epoch is refused by its name.
    world.cosigner.share = copy(&old[1]);
    let request = world.request(&app, "sign_event", json!([template(1, "with an old share")]));
    world.public = world.bunker.state.identity().public.clone();
    let call = world.forwarded(&app, &request);
    let old = Uncontributed::Failed(ContributeError::Sign(SignError::WrongEpoch { share: 0, asked: 1 }));
    assert_eq!(world.call_cosigner(&call).unwrap_err(), old);
}

#[test]
fn nobody_deals_without_the_owners_word_for_exactly_these_terms() {
    let mut world = World::new();
    let places = [BUNKER, COSIGNER, NEW_KIT];
    let cast = Cast::new(&mut world, &places);
    assert_eq!(refused(&world, &cast), ReshareRefused::NotAsked);
    // The owner's word about another ceremony, or a newer one.
    asked(&mut world, &places);
    assert_eq!(refused(&world, &cast), ReshareRefused::NotAsked);
    world.say(&cast.verb()).unwrap();
    assert!(word(&world.bunker.state, &cast, world.now_ms).is_ok());
    let other = asked(&mut world, &places);
    assert_eq!(refused(&world, &cast), ReshareRefused::NotAsked);
    assert!(word(&world.cosigner.state, &other, world.now_ms).is_ok());
    // A stranger's word is none.
    let stranger = TransportSecret::random(&mut world.rng);
    let owner = std::mem::replace(&mut world.owner, stranger);
    assert!(world.say(&cast.verb()).is_err());
    world.owner = owner;
    assert_eq!(refused(&world, &cast), ReshareRefused::NotAsked);
}

#[test]
fn attack_13_no_place_goes_to_somebody_else() {
    let mut world = World::new();
    let stranger = TransportSecret::random(&mut world.rng);
    let stranger = Secret32::from_bytes(*stranger.expose_secret().expose_secret());
    let refused_with = |world: &mut World, places: &[Place], change: &dyn Fn(&mut Terms)| {
        let mut cast = Cast::new(world, places);
        change(&mut cast.terms);
        let verb = cast.verb();
        world.say(&verb).unwrap();
        refused(world, &cast)
    };
    let keys = PartyKeys::new(
        &stranger,
        ReceivingKey::from_secret(&Secret32::from_bytes([5; 32])).unwrap(),
        Secret32::from_bytes([6; 32]),
    )
    .unwrap();
    let hosted = [BUNKER, COSIGNER, NEW_KIT];
    let refusal = refused_with(&mut world, &hosted, &|it| it.parties[2].signing = keys.signing_public());
    assert_eq!(refusal, ReshareRefused::OtherPerson(3));
    // A server's holder as another, or in the owner's place.
    let role = HolderRole::Cosigner;
    let moved = [BUNKER, NEW_KIT, (Some(2), Some((4, role)))];
    assert_eq!(refused_with(&mut world, &moved, &|_| ()), ReshareRefused::OtherPlace(index(4)));
    let crossed = [(Some(2), Some((1, HolderRole::Bunker))), (Some(1), Some((2, role))), NEW_KIT];
    assert_eq!(refused_with(&mut world, &crossed, &|_| ()), ReshareRefused::OtherPlace(index(1)));
    let in_my_place = [BUNKER, (Some(2), Some((2, HolderRole::Device))), NEW_KIT];
    assert_eq!(refused_with(&mut world, &in_my_place, &|_| ()), ReshareRefused::OtherPerson(2));
    // What no bunker can act in.
    for places in [
        vec![BUNKER, COSIGNER],
        vec![BUNKER, COSIGNER, NEW_KIT, (None, Some((4, HolderRole::Device)))],
        vec![BUNKER, COSIGNER, NEW_KIT, (None, Some((4, HolderRole::Recovery)))],
        vec![(Some(1), None), COSIGNER, NEW_KIT],
        vec![BUNKER, (Some(2), None), NEW_KIT],
    ] {
        assert_eq!(refused_with(&mut world, &places, &|_| ()), ReshareRefused::Custody);
    }
    assert_eq!(refused_with(&mut world, &hosted, &|it| it.threshold = 3), ReshareRefused::Custody);
}

#[test]
fn new_shares_are_no_way_around_the_delay_of_an_export() {
    // Hosted: the cosigner goes, and the owner's device has two of three.
    let mut world = World::new();
    let places = [BUNKER, (Some(2), None), NEW_KIT, (None, Some((4, HolderRole::Device)))];
    let cast = asked(&mut world, &places);
    assert_eq!(refused(&world, &cast), ReshareRefused::NeedsExport);
    wait_out_an_export(&mut world);
    world.now_ms -= 1;
    assert_eq!(refused(&world, &cast), ReshareRefused::NeedsExport);
    world.now_ms += 1;
    assert!(word(&world.bunker.state, &cast, world.now_ms).is_ok());
    world.say(&Verb::CancelExport).unwrap();
    assert_eq!(refused(&world, &cast), ReshareRefused::NeedsExport);

    // Device custody: with the device alone, or the kit alone, it takes the delay. Who shows both has the key anyway.
    let mut world = World::with_device();
    for places in [[BUNKER, DEVICE, NEW_KIT], [BUNKER, NEW_DEVICE, KIT]] {
        let cast = asked(&mut world, &places);
        assert_eq!(word(&world.bunker.state, &cast, world.now_ms).unwrap_err(), ReshareRefused::NeedsExport);
    }
    let cast = asked(&mut world, &[(None, Some((1, HolderRole::Bunker))), DEVICE, KIT]);
    assert!(word(&world.bunker.state, &cast, world.now_ms).is_ok());
}

#[test]
fn a_lost_device_is_replaced_with_the_kit_and_its_share_does_nothing_more() {
    let mut world = World::with_device();
    let app = world.connected(EVERYTHING);
    wait_out_an_export(&mut world);
    let cast = asked(&mut world, &[BUNKER, NEW_DEVICE, KIT]);
    let old = [copy(&world.bunker.share), copy(&world.recovery)];
    let present = [&old[0], &old[1]];
    let now_ms = world.now_ms;
    let word = word(&world.bunker.state, &cast, now_ms).unwrap();
    let transcript = cast.run(&present, &mut world.rng);
    let step = world.bunker.state.enter_epoch(&word, &transcript, now_ms).unwrap();
    world.bunker.commit(&step.mutations).unwrap();
    world.bunker.share = cast.share(1, &present, &transcript);
    let [found, lost] = [cast.share(2, &present, &transcript), copy(&world.cosigner.share)];
    assert!(world.bunker.state.export(now_ms).is_none(), "the export is used up");

    assert_eq!(contributed(&mut world, &app, &lost), Err(SignError::WrongEpoch { share: 0, asked: 1 }));
    let reply = contributed(&mut world, &app, &found).unwrap();
    let signed = Event::parse(app.read(&reply).expose_result().unwrap()).unwrap();
    assert_signed(&signed, &world.npub());
}

/// An app asks, and the device comes with this share and judges over what the bunker shows.
fn contributed(world: &mut World, app: &App, share: &KeyShare) -> Result<Event, SignError> {
    let request = world.request(app, "sign_event", json!([template(1, "hello")]));
    world.submit(&request).held();
    let request = request.into_verified().unwrap();
    let mut failure = None;
    world.device_is_here = true;
    let outcome = world.judge_again_through(request.clone(), |world, body| {
        let call = ContributionRequest::decode(body).map_err(Uncontributed::Wire)?;
        let state = &world.bunker.state;
        let evidence = Evidence {
            created: state.identity().statement.clone(),
            connection: state.connection(&app.connection).unwrap().record().clone(),
            decision: None,
        };
        let owner = world.owner.public_key();
        let device = DeviceHolder { public: share.group(), holder: share.index(), owner: &owner, memory: None };
        let judged = device.judge(&evidence, &request, &app.conversation(), world.now_ms).unwrap();
        let (id, rng) = (&request.id, &mut world.rng);
        joint::contribute(&judged.operation, id, share, call.epoch, &call.commitments, rng).map_err(|error| {
            if let ContributeError::Sign(error) = &error {
                failure = Some(error.clone());
            }
            Uncontributed::Failed(error)
        })
    });
    world.device_is_here = false;
    failure.map_or_else(|| Ok(outcome.reply()), Err)
}

#[test]
fn a_cosigner_that_has_no_place_any_more_is_to_be_wiped() {
    // A device gets a number of its own, or the cosigner's.
    retired([BUNKER, (Some(2), None), NEW_KIT, (None, Some((4, HolderRole::Device)))]);
    retired([BUNKER, (Some(2), None), NEW_DEVICE, NEW_KIT]);
}

fn retired(places: [Place; 4]) {
    let mut world = World::new();
    wait_out_an_export(&mut world);
    let cast = asked(&mut world, &places);
    let old = [copy(&world.bunker.share), copy(&world.cosigner.share)];
    let present = [&old[0], &old[1]];
    let now_ms = world.now_ms;
    let words = [&world.bunker, &world.cosigner].map(|it| word(&it.state, &cast, now_ms).unwrap());
    let transcript = cast.run(&present, &mut world.rng);
    let entered = |holder: &HolderState, word| holder.enter_epoch(word, &transcript, now_ms).unwrap().effect;
    assert_eq!(entered(&world.cosigner.state, &words[1]), Entered::Retired);
    assert_eq!(entered(&world.bunker.state, &words[0]), Entered::Seated);
}

#[test]
fn attack_4_a_ceremony_that_is_unfinished_or_of_another_epoch_ends_none() {
    let mut world = World::new();
    let cast = asked(&mut world, &[BUNKER, COSIGNER, NEW_KIT]);
    let old = [copy(&world.bunker.share), copy(&world.cosigner.share)];
    let present = [&old[0], &old[1]];
    let now_ms = world.now_ms;
    let word = word(&world.bunker.state, &cast, now_ms).unwrap();
    let full = cast.run(&present, &mut world.rng);
    let packages: Vec<_> = full.packages().cloned().collect();
    let mut partial = Transcript::new(cast.valid());
    for package in &packages {
        assert_ne!(partial.step(), Stage::Verified);
        let refused = world.bunker.state.enter_epoch(&word, &partial, now_ms).unwrap_err();
        assert_eq!(refused, ReshareRefused::NotVerified);
        partial.take(package).unwrap();
    }
    // Another ceremony's word does not do.
    let other = asked(&mut world, &[BUNKER, COSIGNER, NEW_KIT]);
    let others = self::word(&world.bunker.state, &other, now_ms).unwrap();
    assert_eq!(world.bunker.state.enter_epoch(&others, &full, now_ms).unwrap_err(), ReshareRefused::NotAsked);
    // The word that it took part under does, whatever was said since; and once only.
    let step = world.bunker.state.enter_epoch(&word, &full, now_ms).unwrap();
    let has_entered = |world: &World| [&cast, &other].map(|it| world.bunker.state.has_entered(&it.valid()));
    assert_eq!(has_entered(&world), [false, false]);
    world.bunker.commit(&step.mutations).unwrap();
    // The other one would have led to an epoch of the same number: it is not that one's end that is told again.
    assert_eq!(has_entered(&world), [true, false]);
    let again = ReshareRefused::OtherEpoch { from: 0, present: 1 };
    assert_eq!(world.bunker.state.enter_epoch(&word, &full, now_ms).unwrap_err(), again);
    // What the owner asked for since is refused for its epoch, and not waited for.
    assert_eq!(self::word(&world.bunker.state, &other, now_ms).unwrap_err(), again);
    world.say(&cast.verb()).unwrap();
    assert_eq!(self::word(&world.bunker.state, &cast, now_ms).unwrap_err(), again);
}

#[test]
fn attack_24_an_epoch_in_storage_is_what_the_owners_word_led_to() {
    let mut world = World::new();
    let cast = asked(&mut world, &[BUNKER, COSIGNER, NEW_KIT]);
    let old = [copy(&world.bunker.share), copy(&world.cosigner.share)];
    let transcript = cast.run(&[&old[0], &old[1]], &mut world.rng);
    let word = word(&world.bunker.state, &cast, world.now_ms).unwrap();
    let statement = word.statement().clone();
    let public = (**transcript.group().unwrap()).clone();
    let record = EpochRecord { statement: statement.clone(), terms: cast.terms.clone(), public };
    let (owner, group) = (world.owner.public_key(), world.public.group);
    let restore = |record: EpochRecord| Epoch::restore(record, &owner, &group).map(|epoch| epoch.record().clone());
    assert_eq!(restore(record.clone()), Ok(record.clone()));
    assert_eq!(Reshare::restore(statement, &owner, &group), Ok(word));

    let other = Cast::new(&mut world, &[BUNKER, COSIGNER, NEW_KIT]);
    let statement = world.statement(&other.verb()).event().clone();
    let forged = world.signed(&TransportSecret::from_secret(&Secret32::from_bytes([3; 32])).unwrap(), &statement);
    let (foreign, _) = crate::world::split(&mut world.rng);
    let changes: [&dyn Fn(&mut EpochRecord); 8] = [
        &|it| it.terms = other.terms.clone(),
        &|it| it.statement = statement.clone(),
        &|it| it.statement = forged.clone(),
        &|it| it.public.epoch = 2,
        &|it| it.public.threshold = 3,
        &|it| it.public.holders[1].role = HolderRole::Device,
        &|it| it.public.holders.truncate(2),
        &|it| it.public = foreign.clone(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut changed = record.clone();
        change(&mut changed);
        assert_eq!(restore(changed), Err(StoredError::Foreign), "change {at}");
    }
}
