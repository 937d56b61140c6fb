//! Every method of NIP-46 and the form of every answer, as published clients need them.

use bunker_core::{
    event::{Event, Template},
    keys::TransportSecret,
    nip04,
    session::{Answer, Ctx, Unreadable},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    judge::{Correspondent, assert_signed},
    world::{App, EVERYTHING, Outcome, World, template},
};

const ODD_TEXT: &str = "quote \" backslash \\ newline \n tab \t nul \u{0} del \u{7f} line \u{2028} 😀 <script>/";

fn correspondent(world: &mut World) -> Correspondent {
    Correspondent::new(&TransportSecret::random(&mut world.rng))
}

/// The reply's JSON.
fn raw(world: &mut World, app: &App, method: &str, params: Value) -> Value {
    let request = world.request(app, method, params);
    let reply = world.submit(&request).reply();
    serde_json::from_str(&app.read_json(&reply)).unwrap()
}

#[test]
fn connect_answers_ack_whatever_its_first_parameter_says() {
    let mut world = World::new();
    for remote in ["", "not a key", &"f".repeat(64)] {
        let app = world.granted(EVERYTHING);
        let params = json!([remote, app.secret, "sign_event:1,nip44_encrypt"]);
        assert_eq!(world.ok(&app, "connect", params), "ack");
    }
    let app = world.granted(EVERYTHING);
    let params = json!([app.transport.to_hex(), app.secret]);
    assert_eq!(world.ok(&app, "connect", params), "ack");
}

#[test]
fn a_success_is_a_string_without_error_and_a_failure_is_the_word_error_with_a_text() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let peer = correspondent(&mut world);
    let npub = world.npub();
    let calls = [
        ("ping", json!([])),
        ("get_public_key", json!([])),
        ("switch_relays", json!([])),
        ("sign_event", json!([template(1, "hello")])),
        ("nip44_encrypt", json!([peer.hex(), "hello"])),
        ("nip04_encrypt", json!([peer.hex(), "hello"])),
        ("nip44_decrypt", json!([peer.hex(), peer.writes_nip44(&npub, "hello")])),
        ("nip04_decrypt", json!([peer.hex(), peer.writes_nip04(&npub, "hello")])),
        ("connect", json!([""])),
        ("logout", json!([])),
    ];
    for (method, params) in calls {
        let reply = raw(&mut world, &app, method, params);
        let fields: Vec<_> = reply.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, ["id", "result"], "{method}");
        assert!(reply["id"].is_string() && reply["result"].is_string(), "{method}: {reply}");
        assert_ne!(reply["result"], "", "{method}");
    }
    let reply = raw(&mut world, &app, "ping", json!([]));
    let fields: Vec<_> = reply.as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["error", "id", "result"]);
    assert_eq!(reply["result"], "error");
    assert!(reply["error"].as_str().unwrap().starts_with("logged out"));
}

#[test]
fn upkeep_methods_give_what_clients_wait_for() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    assert_eq!(world.ok(&app, "ping", json!([])), "pong");
    assert_eq!(world.ok(&app, "switch_relays", json!([])), "null");
    assert_eq!(world.ok(&app, "get_public_key", json!([])), world.npub().to_hex());
    assert_ne!(world.npub(), app.transport);
    assert_eq!(world.ok(&app, "logout", json!([])), "ack");
}

#[test]
fn exactly_the_template_is_signed_as_text_and_as_object() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let asked = json!({
        "kind": 30_023,
        "created_at": 1_234_567_890,
        "tags": [["d", ODD_TEXT], ["-"], ["e", "", "wss://r.example", ODD_TEXT]],
        "content": ODD_TEXT,
        // What clients send besides is not what they ask for.
        "pubkey": "f".repeat(64),
        "id": "0".repeat(64),
        "sig": "1".repeat(128),
    });
    let template = Template::from_value(asked.clone()).unwrap();
    for param in [asked.clone(), Value::String(asked.to_string())] {
        let event = Event::parse(&world.ok(&app, "sign_event", json!([param]))).unwrap();
        assert_signed(&event, &world.npub());
        assert_eq!(event.created_at, template.created_at);
        assert_eq!(event.kind, template.kind);
        assert_eq!(event.tags, template.tags);
        assert_eq!(event.content, template.content);
    }
}

#[test]
fn a_signature_is_judged_valid_by_others_for_many_keys() {
    for _ in 0..8 {
        let mut world = World::new();
        let app = world.connected(EVERYTHING);
        for kind in [0, 1, 65_535] {
            let event = world.sign(&app, kind);
            assert_signed(&event, &world.npub());
        }
    }
}

#[test]
fn encryption_is_read_by_the_peer_and_the_peer_is_read() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let peer = correspondent(&mut world);
    let npub = world.npub();
    for text in ["x", ODD_TEXT] {
        let payload = world.ok(&app, "nip44_encrypt", json!([peer.hex(), text]));
        assert_eq!(peer.reads_nip44(&npub, &payload), text);
        let payload = peer.writes_nip44(&npub, text);
        assert_eq!(world.ok(&app, "nip44_decrypt", json!([peer.hex(), payload])), text);
        let message = world.ok(&app, "nip04_encrypt", json!([peer.hex(), text]));
        assert_eq!(peer.reads_nip04(&npub, &message), text);
        let message = peer.writes_nip04(&npub, text);
        assert_eq!(world.ok(&app, "nip04_decrypt", json!([peer.hex(), message])), text);
    }
}

#[test]
fn a_plaintext_of_more_than_64_kib_is_encrypted_and_decrypted() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let peer = correspondent(&mut world);
    let npub = world.npub();
    for length in [65_535, 65_536, 100_000] {
        let text = "ä".repeat(length / 2) + &"x".repeat(length % 2);
        let payload = world.ok(&app, "nip44_encrypt", json!([peer.hex(), text]));
        assert_eq!(peer.reads_nip44(&npub, &payload), text);
        let payload = peer.writes_nip44(&npub, &text);
        assert_eq!(world.ok(&app, "nip44_decrypt", json!([peer.hex(), payload])), text);
    }
}

#[test]
fn a_person_can_encrypt_to_themselves() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let own = world.npub().to_hex();
    let payload = world.ok(&app, "nip44_encrypt", json!([own, "a private list"]));
    let text = world.ok(&app, "nip44_decrypt", json!([own, payload]));
    assert_eq!(text, "a private list");
}

#[test]
fn a_burst_is_answered_in_any_order_each_under_its_own_id() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let peer = correspondent(&mut world);
    let npub = world.npub();
    let mut begun = Vec::new();
    for n in 0..40 {
        let payload = peer.writes_nip44(&npub, &format!("message {n}"));
        let params = json!([peer.hex(), payload]);
        let text = json!({ "id": format!("id-{n}"), "method": "nip44_decrypt", "params": params });
        let request = world.sealed(&app, &text.to_string());
        begun.push((n, world.begin(&request).ok().unwrap()));
    }
    begun.reverse();
    for (n, begun) in begun {
        let reply = world.finish(begun, World::call_cosigner).reply();
        let response = app.read(&reply);
        assert_eq!(response.id(), format!("id-{n}"));
        assert_eq!(response.expose_result(), Some(&*format!("message {n}")));
    }
}

#[test]
fn what_is_not_understood_is_answered_with_an_error() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let key = world.npub().to_hex();
    let upper = key.to_uppercase();
    let generator = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let cases = [
        ("make_coffee", json!([]), "unknown method: make_coffee"),
        ("ping", json!(["extra"]), "wrong number of parameters"),
        ("sign_event", json!([]), "wrong number of parameters"),
        ("sign_event", json!(["not json"]), "cannot sign this"),
        ("sign_event", json!([{"kind": 70_000, "created_at": 1, "tags": [], "content": ""}]), "cannot sign this"),
        ("sign_event", json!([7]), "parameter 0 has the wrong type"),
        ("nip44_encrypt", json!([key]), "wrong number of parameters"),
        ("nip44_encrypt", json!([key, ""]), "cannot encrypt"),
        ("nip44_encrypt", json!(["f".repeat(64), "x"]), "invalid third-party public key"),
        ("nip44_encrypt", json!([upper, "x"]), "invalid third-party public key"),
        ("nip44_encrypt", json!([generator, "x"]), "generator"),
        ("nip44_decrypt", json!([key, "AAAA"]), "cannot decrypt"),
        ("nip04_decrypt", json!([key, "AAAA"]), "cannot decrypt"),
        ("nip04_decrypt", json!([key, "AAAA?iv=AAAA"]), "cannot decrypt"),
    ];
    for (method, params, expected) in cases {
        let text = world.refused(&app, method, params.clone());
        assert!(text.contains(expected), "{method} {params}: {text}");
        assert!(!text.contains("holder"), "nobody is to blame: {text}");
    }
    let reply = world.sealed(&app, r#"{"id":"7","method":"ping"}"#);
    let reply = world.submit(&reply).reply();
    let response = app.read(&reply);
    assert_eq!(response.id(), "7");
    assert!(response.error_text().unwrap().contains("params"));
}

#[test]
fn what_has_no_id_or_does_not_decrypt_gets_no_reply_and_leaves_no_trace() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let before = (world.bunker.state.clone(), world.bunker.log.len());
    for text in ["no json", "[]", r#"{"method":"ping","params":[]}"#, r#"{"id":7,"method":"ping","params":[]}"#] {
        let request = world.sealed(&app, text);
        let outcome = world.submit(&request);
        assert!(matches!(outcome, Outcome::Unreadable(Unreadable::Content(_))), "{outcome:?}");
    }
    let mut request = world.request(&app, "ping", json!([]));
    request.content = "A".repeat(200);
    let request = world.signed(&app.key, &request);
    let outcome = world.submit(&request);
    assert!(matches!(outcome, Outcome::Unreadable(Unreadable::Content(_))), "{outcome:?}");
    assert!(before == (world.bunker.state.clone(), world.bunker.log.len()));
}

#[test]
fn a_nip04_envelope_is_not_read_when_nip44_fails() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let shared_x = app.key.shared_x(&app.transport).unwrap();
    let text = r#"{"id":"7","method":"ping","params":[]}"#;
    let mut request = world.request(&app, "ping", json!([]));
    request.content = nip04::encrypt_random(&shared_x, text, &mut world.rng).unwrap();
    let request = world.signed(&app.key, &request);
    let outcome = world.submit(&request);
    assert!(matches!(outcome, Outcome::Unreadable(Unreadable::Content(_))), "{outcome:?}");
}

#[test]
fn a_result_that_is_too_long_to_send_is_an_error_and_recorded_as_one() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let begun = world.begin(&request).ok().unwrap();
    let answer = Answer { result: Zeroizing::new("x".repeat(700 * 1024)), signed: None };
    let transport = &world.transports[&app.transport];
    let conversation = app.conversation();
    let ctx = &mut Ctx { now_ms: world.now_ms, rng: &mut world.rng };
    let state = &world.bunker.state;
    let step = state.complete(*begun.admission, Ok(answer), transport, &conversation, ctx);
    world.bunker.commit(&step.unwrap().mutations).unwrap();
    let reply = app.read(&world.bunker.replies[&request.id]);
    assert_eq!(reply.error_text(), Some("the result is too long to be sent"));
    let last = world.bunker.audit().pop().unwrap();
    let text = serde_json::to_string(&last).unwrap();
    assert!(text.contains("request_failed"), "{text}");
}
