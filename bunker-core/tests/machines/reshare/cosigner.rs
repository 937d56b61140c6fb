//! A cosigner that is new in a key in use: where a key comes back from a device's care, and where the old one is lost.

use bunker_core::{
    members::Members,
    session::{Entered, HolderState, Induction, InductionRefused, ReshareRefused, Step},
    statement::{Statement, Verb},
};
use frost_wasm_core::{ceremony::Transcript, frost::keygen, group::HolderRole, share::KeyShare};

use super::{BUNKER, Cast, KIT, NEW_KIT, Place, asked, copy, wait_out_an_export, word};
use crate::{
    judge::assert_signed,
    world::{App, EVERYTHING, TestHolder, World, index},
};

/// Under a number that nobody had.
const NEW_COSIGNER: Place = (None, Some((4, HolderRole::Cosigner)));
const DEVICE_LEAVES: Place = (Some(2), None);

/// A renewal up to where the bunker has its new share, and what a new cosigner is told.
struct Renewed {
    world: World,
    app: App,
    cast: Cast,
    transcript: Transcript,
    created: Statement,
    induction: Induction,
    share: KeyShare,
}

impl Renewed {
    fn of(mut world: World, places: &[Place], dealt_by: &dyn Fn(&World) -> KeyShare) -> Self {
        let app = world.connected(EVERYTHING);
        let cast = asked(&mut world, places);
        let old = [copy(&world.bunker.share), dealt_by(&world)];
        let present = [&old[0], &old[1]];
        let now_ms = world.now_ms;
        let word = word(&world.bunker.state, &cast, now_ms).unwrap();
        let transcript = cast.run(&present, &mut world.rng);
        let Step { mutations, effect } = world.bunker.state.enter_epoch(&word, &transcript, now_ms).unwrap();
        assert_eq!(effect, Entered::Seated);
        world.bunker.commit(&mutations).unwrap();
        world.bunker.wake();
        world.bunker.share = cast.share(1, &present, &transcript);
        let created = Statement::verify(world.bunker.state.identity().statement.clone()).unwrap();
        let (holder, induction) = world.bunker.state.induction().expect("the cosigner is new");
        assert_eq!(holder, index(4));
        let number = cast.terms.parties.iter().find(|it| it.receives.is_some_and(|seat| seat.index == holder)).unwrap();
        let share = cast.share(number.number, &present, &transcript);
        Self { world, app, cast, transcript, created, induction, share }
    }

    fn from_device() -> Self {
        let places = [BUNKER, DEVICE_LEAVES, NEW_KIT, NEW_COSIGNER];
        Self::of(World::with_device(), &places, &|world| copy(&world.cosigner.share))
    }

    fn inducted(&self, transcript: &Transcript) -> Result<HolderState, InductionRefused> {
        let Self { world, created, induction, .. } = self;
        HolderState::inducted(created, induction, transcript, index(4), world.now_ms).map(|(state, _)| state)
    }

    /// The new cosigner is there.
    fn begin(mut self) -> (World, App) {
        let Self { world, created, induction, transcript, share, .. } = &mut self;
        let (state, log) = HolderState::inducted(created, induction, transcript, index(4), world.now_ms).unwrap();
        world.cosigner = TestHolder::of(state, log, copy(share));
        world.cosigner.wake();
        world.public = world.bunker.state.identity().public.clone();
        (self.world, self.app)
    }
}

#[test]
fn a_key_comes_back_from_a_devices_care_and_its_apps_go_on() {
    let (mut world, app) = Renewed::from_device().begin();
    assert_signed(&world.sign(&app, 1), &world.npub());
    let new = world.connected(EVERYTHING);
    assert_signed(&world.sign(&new, 7), &world.npub());
    // It judges for itself: what the owner revokes, and another client.
    let stranger = world.stranger(&app);
    let request = world.request(&stranger, "ping", serde_json::json!([]));
    assert_eq!(world.cosigner_refuses(&stranger, &request), "other_client");
}

#[test]
fn a_lost_cosigner_is_replaced_with_the_kit() {
    let places = [BUNKER, KIT, NEW_COSIGNER];
    let (mut world, app) = Renewed::of(World::new(), &places, &|world| copy(&world.recovery)).begin();
    assert_signed(&world.sign(&app, 1), &world.npub());
}

#[test]
fn the_server_does_not_act_without_the_device_because_of_a_kit() {
    let mut world = World::with_device();
    let cast = asked(&mut world, &[BUNKER, KIT, NEW_COSIGNER]);
    assert_eq!(word(&world.bunker.state, &cast, world.now_ms), Err(ReshareRefused::NeedsExport));
    wait_out_an_export(&mut world);
    assert!(word(&world.bunker.state, &cast, world.now_ms).is_ok());
    // In the place of somebody who is there, it is none.
    let places = [BUNKER, (None, Some((2, HolderRole::Cosigner))), KIT];
    let cast = asked(&mut world, &places);
    assert_eq!(word(&world.bunker.state, &cast, world.now_ms), Err(ReshareRefused::OtherPlace(index(2))));
}

#[test]
fn a_cosigner_becomes_one_by_the_owners_words_alone() {
    let renewed = Renewed::from_device();
    assert!(renewed.inducted(&renewed.transcript).is_ok());
    let [unfinished, another] = [(); 2].map(|()| Renewed::from_device());
    let Renewed { world, cast, .. } = &renewed;
    // Not finished, to the last word; another ceremony; another owner's words; under another number.
    let mut almost = Transcript::new(cast.valid());
    let said: Vec<_> = renewed.transcript.packages().collect();
    for package in &said[..said.len() - 1] {
        assert_eq!(renewed.inducted(&almost), Err(InductionRefused::NotRenewed));
        assert!(almost.take(package).unwrap());
    }
    assert!(almost.group().is_some());
    assert_eq!(renewed.inducted(&almost), Err(InductionRefused::NotRenewed));
    assert!(renewed.inducted(&unfinished.transcript).is_err());
    let with = |created: &Statement, induction: &Induction, holder| {
        HolderState::inducted(created, induction, &renewed.transcript, index(holder), world.now_ms).map(|_| ())
    };
    assert_eq!(with(&another.created, &another.induction, 4), Err(InductionRefused::OtherPerson));
    assert!(matches!(with(&renewed.created, &another.induction, 4), Err(InductionRefused::NotTheOwners(_))));
    assert_eq!(with(&renewed.created, &renewed.induction, 1), Err(InductionRefused::NotRenewed));
    // The owner's word about another key under the same id.
    let mut rng = world.rng.clone();
    let holders = [1, 2, 3].map(index).into_iter().zip([HolderRole::Bunker, HolderRole::Device, HolderRole::Recovery]);
    let secret = keygen::fresh_secret(&mut rng);
    let (public, _) = keygen::split(secret, world.public.group, &holders.collect::<Vec<_>>(), 2, &mut rng).unwrap();
    let verb = Verb::CreateGroup { public, members: Members::default() };
    let template = Statement::template(world.public.group, 1, &verb, world.now_s());
    let other = Statement::verify(template.sign_with(&world.owner, &mut rng).unwrap()).unwrap();
    assert_eq!(with(&other, &renewed.induction, 4), Err(InductionRefused::NotRenewed));
    // A grant that the owner did not sign.
    let mut widened = renewed.induction.clone();
    widened.connections[0].0.grant = another.induction.connections[0].0.grant.clone();
    assert!(matches!(with(&renewed.created, &widened, 4), Err(InductionRefused::NotTheOwners(_))));
    // A bunker that was there before has nothing to tell.
    assert!(World::new().bunker.state.induction().is_none());
}
