//! The owner's device holds the second share: without it nothing is signed, whoever has the server; and it judges for
//! itself before it contributes.

use bunker_core::{
    event::{Event, VerifiedEvent},
    grant::{ConnectionId, Terms},
    joint::{self, ContributionReply, ContributionRequest},
    keys::TransportSecret,
    members::Members,
    session::{DeviceHolder, DeviceMemory, DeviceRefused, Evidence, Operation, Refusal},
    statement::Verb,
};
use frost_wasm_core::{frost::keygen, group::HolderRole, share::KeyShare};
use serde_json::json;

use crate::{
    judge::{Correspondent, assert_signed},
    world::{App, EVERYTHING, Outcome, Uncontributed, World, copy, index, policy, template},
};

const ASK: &str = r#"{"rules":[{"effect":"ask","methods":"all"}]}"#;

/// A request that waits.
fn held(world: &mut World, app: &App, method: &str, params: serde_json::Value) -> VerifiedEvent {
    let request = world.request(app, method, params);
    world.submit(&request).held();
    request.into_verified().unwrap()
}

fn note(world: &mut World, app: &App) -> VerifiedEvent {
    held(world, app, "sign_event", json!([template(1, "hello")]))
}

fn evidence(world: &World, connection: &ConnectionId, request: &Event) -> Evidence {
    let state = &world.bunker.state;
    Evidence {
        created: state.identity().statement.clone(),
        connection: state.connection(connection).unwrap().record().clone(),
        decision: state.decision(&request.id).map(|it| it.record().clone()),
    }
}

/// What the device makes of what it is shown.
fn judged(
    world: &World,
    evidence: &Evidence,
    app: &App,
    request: &VerifiedEvent,
    memory: Option<&DeviceMemory>,
) -> Result<(Operation, DeviceMemory), DeviceRefused> {
    let owner = world.owner.public_key();
    let (public, conversation) = (&world.public, app.conversation());
    let device = DeviceHolder { public, holder: index(2), owner: &owner, memory };
    let judgement = device.judge(evidence, request, &conversation, world.now_ms)?;
    Ok((judgement.operation, judgement.memory))
}

/// The device comes, judges and contributes with this share.
fn contribute_with(
    world: &mut World,
    app: &App,
    request: &VerifiedEvent,
    share: &dyn Fn(&World) -> KeyShare,
) -> Outcome {
    world.device_is_here = true;
    let outcome = world.judge_again_through(request.clone(), |world, body| {
        let call = ContributionRequest::decode(body).map_err(Uncontributed::Wire)?;
        let evidence = evidence(world, &app.connection, request);
        let (operation, _) = judged(world, &evidence, app, request, None).unwrap();
        let share = share(world);
        let reply = joint::contribute(&operation, &request.id, &share, call.epoch, &call.commitments, &mut world.rng);
        reply.map_err(Uncontributed::Failed)
    });
    world.device_is_here = false;
    outcome
}

fn contribute(world: &mut World, app: &App, request: &VerifiedEvent) -> Outcome {
    contribute_with(world, app, request, &|world| copy(&world.cosigner.share))
}

#[test]
fn an_app_connects_at_once_and_its_request_waits_for_the_device() {
    let mut world = World::with_device();
    let app = world.connected(EVERYTHING);
    assert_eq!(world.ok(&app, "get_public_key", json!([])), world.npub().to_hex());
    let request = world.request(&app, "sign_event", json!([template(1, "hello")]));
    let challenge = world.submit(&request).held().expect("the app is told where its person is asked");
    assert_eq!(challenge.pubkey, app.transport);
    let request = request.into_verified().unwrap();
    // Sent again it goes on waiting, and after a restart too.
    assert!(world.submit(&request).held().is_none());
    world.bunker.wake();
    let reply = contribute(&mut world, &app, &request).reply();
    let signed = Event::parse(app.read(&reply).expose_result().unwrap()).unwrap();
    assert_signed(&signed, &world.npub());
    assert_eq!(world.bunker.state.pending().count(), 0);
}

#[test]
fn the_device_encrypts_and_decrypts_with_the_bunker() {
    let mut world = World::with_device();
    let app = world.connected(EVERYTHING);
    let other = Correspondent::new(&TransportSecret::random(&mut world.rng));
    let npub = world.npub();
    let request = held(&mut world, &app, "nip44_encrypt", json!([other.hex(), "hello"]));
    let reply = contribute(&mut world, &app, &request).reply();
    assert_eq!(other.reads_nip44(&npub, app.read(&reply).expose_result().unwrap()), "hello");
    let ciphertext = other.writes_nip44(&npub, "hello back");
    let request = held(&mut world, &app, "nip44_decrypt", json!([other.hex(), ciphertext]));
    let reply = contribute(&mut world, &app, &request).reply();
    assert_eq!(app.read(&reply).expose_result(), Some("hello back"));
}

#[test]
fn whoever_has_the_server_signs_nothing_without_the_device() {
    let mut world = World::with_device();
    let app = world.connected(EVERYTHING);
    // The bunker's own share in the device's place, under its own number and under the device's.
    let request = note(&mut world, &app);
    let as_bunker = |world: &World| copy(&world.bunker.share);
    let outcome = contribute_with(&mut world, &app, &request, &as_bunker);
    let text = outcome.reply();
    assert!(app.read(&text).expose_result().is_none());
    let request = note(&mut world, &app);
    world.device_is_here = true;
    let outcome = world.judge_again_through(request.clone(), |world, body| {
        let call = ContributionRequest::decode(body).map_err(Uncontributed::Wire)?;
        let (operation, _) = judged(world, &evidence(world, &app.connection, &request), &app, &request, None).unwrap();
        // The right form with the right number, and a share that is not the device's.
        let (other, shares) = crate::world::split(&mut world.rng);
        let mut reply =
            joint::contribute(&operation, &request.id, &shares[1], other.epoch, &call.commitments, &mut world.rng)
                .map_err(Uncontributed::Failed)?;
        if let ContributionReply::Signed(contribution) = &mut reply {
            contribution.index = index(2);
        }
        Ok(reply)
    });
    world.device_is_here = false;
    let error = app.read(&outcome.reply()).error_text().map(str::to_owned).unwrap();
    assert!(error.contains("holder device"), "{error}");
    // The kit's holder does not contribute to requests either.
    let request = note(&mut world, &app);
    let as_recovery = |world: &World| copy(&world.recovery);
    let error =
        app.read(&contribute_with(&mut world, &app, &request, &as_recovery).reply()).error_text().map(str::to_owned);
    assert!(error.unwrap().contains("answered as another holder"));
}

#[test]
fn what_the_rules_ask_about_needs_the_owners_word_before_the_device_may_contribute() {
    let mut world = World::with_device();
    let app = world.connected(ASK);
    let request = note(&mut world, &app);
    let offered = world.bunker.state.offer(&request, &app.conversation(), world.now_s()).unwrap();
    assert_eq!(offered.unwrap_err(), Refusal::NeedsApproval);
    let shown = evidence(&world, &app.connection, &request);
    let refused = judged(&world, &shown, &app, &request, None).unwrap_err();
    assert_eq!(refused, DeviceRefused::Refused(Refusal::NeedsApproval));
    world.approve(&app, &request, None);
    // Approved, and still nothing without the device.
    assert!(matches!(world.judge_again(&request.id), Outcome::Held(None)));
    let reply = contribute(&mut world, &app, &request).reply();
    assert!(app.read(&reply).expose_result().is_some());
}

#[test]
fn what_the_rules_allow_and_the_owner_denies_is_answered_and_never_signed() {
    let mut world = World::with_device();
    let app = world.connected(EVERYTHING);
    let request = note(&mut world, &app);
    world.say(&Verb::Deny { connection: app.connection, request: request.id }).unwrap();
    let offered = world.bunker.state.offer(&request, &app.conversation(), world.now_s()).unwrap();
    assert_eq!(offered.unwrap_err(), Refusal::DeniedByOwner);
    let shown = evidence(&world, &app.connection, &request);
    let refused = judged(&world, &shown, &app, &request, None).unwrap_err();
    assert_eq!(refused, DeviceRefused::Refused(Refusal::DeniedByOwner));
    world.device_is_here = true;
    let outcome = world.judge_again_through(request, |_, _| panic!("the bunker begins nothing"));
    world.device_is_here = false;
    assert!(app.read(&outcome.reply()).error_text().unwrap().contains("said no"));
    assert_eq!(world.bunker.state.pending().count(), 0);
}

#[test]
fn what_the_owner_denied_or_revoked_is_offered_to_no_device() {
    let mut world = World::with_device();
    let app = world.connected(EVERYTHING);
    let request = note(&mut world, &app);
    world.revoke(&app);
    let offered = world.bunker.state.offer(&request, &app.conversation(), world.now_s()).unwrap();
    assert_eq!(offered.unwrap_err(), Refusal::Revoked);
    let shown = evidence(&world, &app.connection, &request);
    assert_eq!(judged(&world, &shown, &app, &request, None).unwrap_err(), DeviceRefused::Refused(Refusal::Revoked));
    // A contribution that was made before comes too late.
    world.device_is_here = true;
    let outcome = world.judge_again_through(request.clone(), |_, _| panic!("the bunker begins nothing"));
    world.device_is_here = false;
    assert!(app.read(&outcome.reply()).expose_result().is_none());
}

#[test]
fn a_server_that_shows_a_device_another_state_than_the_owner_made_is_refused() {
    let mut world = World::with_device();
    let app = world.connected(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[1]}]}"#);
    let request = note(&mut world, &app);
    let honest = evidence(&world, &app.connection, &request);
    let (_, memory) = judged(&world, &honest, &app, &request, None).unwrap();

    // Terms that the owner did not sign, or that are of another connection.
    let mut wider = honest.clone();
    wider.connection.grant.content = wider.connection.grant.content.replace("[1]", "[0]");
    assert!(matches!(judged(&world, &wider, &app, &request, None), Err(DeviceRefused::NotOurs(_))));
    let mut foreign = honest.clone();
    foreign.created = World::with_device().bunker.state.identity().statement.clone();
    assert!(matches!(judged(&world, &foreign, &app, &request, None), Err(DeviceRefused::NotOurs(_))));

    // The owner's word about another key under the same id.
    let holders = [(index(1), HolderRole::Bunker), (index(2), HolderRole::Device), (index(3), HolderRole::Recovery)];
    let secret = keygen::fresh_secret(&mut world.rng);
    let (other, _) = keygen::split(secret, world.public.group, &holders, 2, &mut world.rng).unwrap();
    let mut moved = honest.clone();
    moved.created =
        world.statement_at(1, &Verb::CreateGroup { public: other, members: Members::default() }).event().clone();
    assert_eq!(judged(&world, &moved, &app, &request, None).unwrap_err(), DeviceRefused::OtherGroup);

    // What the rules do not allow.
    let profile = world.request(&app, "sign_event", json!([template(0, "{}")])).into_verified().unwrap();
    assert!(matches!(judged(&world, &honest, &app, &profile, None), Err(DeviceRefused::Refused(Refusal::Denied(_)))));

    // Another client in the app's place, with the secret that the server has seen.
    let mut thief = world.stranger(&app);
    thief.key = TransportSecret::random(&mut world.rng);
    let forged = world.request(&thief, "sign_event", json!([template(1, "forged")])).into_verified().unwrap();
    let mut swapped = honest.clone();
    swapped.connection.standing =
        bunker_core::grant::Standing::Connected { client: thief.key.public_key(), metadata: None };
    let refused = judged(&world, &swapped, &thief, &forged, Some(&memory)).unwrap_err();
    assert_eq!(refused, DeviceRefused::OtherClient);

    // Terms from before those that the device has seen.
    let terms = Terms { policy: policy(EVERYTHING), label: "an app".into(), expires_at: None, auth_url: true };
    world.say(&Verb::Edit { connection: app.connection, terms }).unwrap();
    let newer = evidence(&world, &app.connection, &request);
    let (_, memory) = judged(&world, &newer, &app, &request, Some(&memory)).unwrap();
    assert_eq!(judged(&world, &honest, &app, &request, Some(&memory)).unwrap_err(), DeviceRefused::Older);
}

#[test]
fn a_request_that_no_device_came_for_is_answered_with_an_error_in_time() {
    let mut world = World::with_device();
    let app = world.connected(EVERYTHING);
    let request = note(&mut world, &app);
    world.outlive_requests();
    let error = app.read(&world.judge_again(&request.id).reply()).error_text().map(str::to_owned);
    assert!(error.unwrap().contains("did not answer in time"));
}
