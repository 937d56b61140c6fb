//! Attack 28: nothing secret in `Debug` output, in records or in rows, and no plaintext anywhere but in the reply.

use std::fmt::Debug;

use bunker_core::{
    joint::{ContributionReply, ContributionRequest},
    keys::TransportSecret,
    nip46::{Call, Request, Response},
    session::{Answer, BunkerEffect, Ctx, Received},
    uri::ConnectionSecret,
};
use frost_wasm_core::{
    frost::{
        ecdh::{self, Context, Purpose},
        sign,
    },
    secret::Secret32,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    judge::Correspondent,
    world::{App, EVERYTHING, World, template},
};

const PLAINTEXT: &str = "the private words of a person";

/// Every secret of the world in every spelling that could show.
fn secrets(world: &World, app: &App) -> Vec<String> {
    let mut spellings = vec![app.secret.clone(), PLAINTEXT.to_owned()];
    let transport = &world.transports[&app.transport];
    let secrets = [
        transport.expose_secret(),
        app.key.expose_secret(),
        world.owner.expose_secret(),
        world.bunker.share.expose_signing_share(),
        world.cosigner.share.expose_signing_share(),
        world.recovery.expose_signing_share(),
        Secret32::from_bytes(*app.conversation().expose_secret()),
    ];
    for secret in secrets {
        let bytes = secret.expose_secret();
        spellings.push(hex::encode(bytes));
        spellings.push(hex::encode_upper(bytes));
        spellings.push(format!("{bytes:?}"));
    }
    spellings
}

#[track_caller]
fn hides(world: &World, app: &App, what: &str, text: &str) {
    for secret in secrets(world, app) {
        assert!(!text.contains(&secret), "{what} shows {secret}: {text}");
    }
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}\n{value:#?}")
}

/// Requests whose plaintexts must show nowhere.
fn private_requests(world: &mut World) -> Vec<(&'static str, Value)> {
    let peer = Correspondent::new(&TransportSecret::random(&mut world.rng));
    let npub = world.npub();
    vec![
        ("nip44_encrypt", json!([peer.hex(), PLAINTEXT])),
        ("nip44_decrypt", json!([peer.hex(), peer.writes_nip44(&npub, PLAINTEXT)])),
        ("nip04_encrypt", json!([peer.hex(), PLAINTEXT])),
        ("nip04_decrypt", json!([peer.hex(), peer.writes_nip04(&npub, PLAINTEXT)])),
        ("sign_event", json!([template(1, PLAINTEXT)])),
    ]
}

#[test]
fn attack_28_rows_and_records_hold_no_secret_and_no_plaintext() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for (method, params) in private_requests(&mut world) {
        world.ok(&app, method, params.clone());
        // Refusals and failures have the plaintext at hand too.
        let mut bad = params;
        bad.as_array_mut().unwrap().push(json!(PLAINTEXT));
        world.refused(&app, method, bad);
    }
    world.refused(&app, "connect", json!([PLAINTEXT, PLAINTEXT]));
    world.revoke(&app);
    for (method, params) in private_requests(&mut world) {
        world.refused(&app, method, params);
    }
    for holder in [&world.bunker, &world.cosigner] {
        hides(&world, &app, "a row", &holder.rows());
        hides(&world, &app, "the state", &debug(&holder.state));
        hides(&world, &app, "the log", &debug(&holder.log));
    }
}

#[test]
fn attack_28_an_error_to_an_app_quotes_no_private_parameter() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let stranger = world.stranger(&app);
    for (method, params) in private_requests(&mut world) {
        let mut bad = params.clone();
        bad[0] = json!(PLAINTEXT);
        for text in [world.refused(&stranger, method, params), world.refused(&app, method, bad)] {
            assert!(!text.contains(PLAINTEXT), "{text}");
        }
    }
    let text = world.refused(&stranger, "connect", json!([PLAINTEXT, PLAINTEXT, PLAINTEXT]));
    assert!(!text.contains(PLAINTEXT), "{text}");
}

#[test]
fn attack_28_debug_of_a_request_on_its_way_shows_nothing_private() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for (method, params) in private_requests(&mut world) {
        if method == "sign_event" {
            continue; // a template is to be published
        }
        let request = world.request(&app, method, params.clone());
        let event = request.clone().into_verified().unwrap();
        let received = Received {
            event: &event,
            transport: &world.transports[&app.transport],
            conversation: &app.conversation(),
            approve_at: "",
            device_is_here: false,
        };
        hides(&world, &app, "Received", &debug(&received));
        let mut rng = world.rng.clone();
        let ctx = &mut Ctx { now_ms: world.now_ms, rng: &mut rng };
        let step = world.bunker.state.receive(received, ctx).unwrap();
        hides(&world, &app, "Ctx", &debug(ctx));
        hides(&world, &app, "Step", &debug(&step));
        assert!(matches!(step.effect, BunkerEffect::Perform(..)));
        let step = world.cosigner.state.contribute(&event, &app.conversation(), world.now_ms).unwrap();
        hides(&world, &app, "the cosigner's Step", &debug(&step));

        let begun = world.begin(&request).ok().unwrap();
        hides(&world, &app, "Pending", &debug(&begun.pending));
        hides(&world, &app, "Admission", &debug(&begun.admission));
        let call = ContributionRequest::decode(&begun.body).unwrap();
        hides(&world, &app, "ContributionRequest", &debug(&call));
        let reply = world.call_cosigner(&begun.body).unwrap();
        let ContributionReply::Ecdh(part) = &reply else {
            panic!("{reply:?}");
        };
        // A part is as good as a decryption.
        assert!(!debug(&reply).contains(&part.point.to_string()));

        let text = json!({ "id": "1", "method": method, "params": params }).to_string();
        let request = Request::parse(&text).unwrap();
        hides(&world, &app, "Request", &debug(&request));
        hides(&world, &app, "Call", &debug(&request.call().unwrap()));
    }
}

#[test]
fn attack_28_debug_of_a_result_shows_nothing_private() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let answer = Answer { result: Zeroizing::new(PLAINTEXT.to_owned()), signed: None };
    hides(&world, &app, "Answer", &debug(&answer));
    let outcome: Result<Answer, bunker_core::session::Failure> = Ok(answer);
    hides(&world, &app, "an outcome", &debug(&outcome));
    hides(&world, &app, "Response", &debug(&Response::ok("1", PLAINTEXT)));
}

#[test]
fn attack_28_debug_of_everything_secret_is_redacted() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let (nonces, _) = sign::commit(&world.bunker.share, &mut world.rng).unwrap();
    let text = json!({ "id": "1", "method": "connect", "params": ["", app.secret] }).to_string();
    let call = Request::parse(&text).unwrap().call().unwrap();
    let Call::Connect(connect) = &call else {
        panic!("{call:?}");
    };
    let secret: ConnectionSecret = app.secret.parse().unwrap();
    let context = Context { group: world.public.group, epoch: 0, session: [1; 32], purpose: Purpose::Nip44 };
    let peer = ecdh::Peer::from_hex(&app.pubkey().to_hex()).unwrap();
    let parts = [&world.bunker.share, &world.cosigner.share]
        .map(|share| ecdh::contribute(share, &peer, &context, &mut world.rng).unwrap());
    let shared = ecdh::combine_verified(world.bunker.share.group(), &peer, &context, &parts).unwrap();
    let shared_text = debug(&shared);
    assert!(!shared_text.contains(&hex::encode(shared.expose_secret())));
    for (name, text) in [
        ("TransportSecret", debug(&app.key)),
        ("ConversationKey", debug(&app.conversation())),
        ("Secret32", debug(&app.key.expose_secret())),
        ("SecretString", debug(&app.key.expose_secret().to_hex())),
        ("KeyShare", debug(&world.bunker.share)),
        ("SigningNonces", debug(&nonces)),
        ("ConnectionSecret", debug(&secret)),
        ("OfferedSecret", debug(&connect.secret)),
        ("Call", debug(&call)),
        ("SharedX", shared_text),
    ] {
        assert!(text.contains("redacted"), "{name}: {text}");
        hides(&world, &app, name, &text);
    }
}
