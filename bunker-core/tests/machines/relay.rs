//! The embedded relay: NIP-01 frames, and who gets which reply.

use bunker_core::{
    event::Event,
    keys::TransportSecret,
    relay::{
        self, Incoming, MAX_FILTERS, MAX_FRAME_BYTES, MAX_SUBSCRIPTION_ID_CHARS, MAX_SUBSCRIPTIONS, Subscriptions,
        receive,
    },
};
use serde_json::{Value, json};

use crate::world::{App, EVERYTHING, World};

fn frame(incoming: Incoming) -> Value {
    match incoming {
        Incoming::Reply(text) => serde_json::from_str(&text).unwrap(),
        Incoming::Subscribed(_, Some(text)) => serde_json::from_str(&text).unwrap(),
        other => panic!("no frame: {other:?}"),
    }
}

fn answer(text: &str) -> Value {
    frame(receive(&Subscriptions::default(), text))
}

/// Subscribes, which must succeed and end with EOSE.
#[track_caller]
fn subscribed(to: &Subscriptions, request: &Value) -> Subscriptions {
    match receive(to, &request.to_string()) {
        Incoming::Subscribed(next, Some(text)) => {
            let eose: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(eose, json!(["EOSE", request[1]]));
            next
        }
        other => panic!("{other:?}"),
    }
}

fn reply_to(world: &mut World, app: &App) -> Event {
    let request = world.request(app, "ping", json!([]));
    world.submit(&request).reply()
}

#[test]
fn every_frame_has_an_answer() {
    let generic = [
        "",
        "x",
        "{}",
        "[]",
        "null",
        "[1]",
        "[null,1]",
        "\u{0}",
        "[[[[",
        r#"["EVENT"]"#,
        r#"["REQ"]"#,
        r#"["REQ",1]"#,
        r#"["CLOSE"]"#,
        r#"["CLOSE",{}]"#,
        r#"["AUTH"]"#,
        r#"["COUNT","a",{}]"#,
        r#"["EVENT",{}]"#,
        r#"["EVENT","x"]"#,
        r#"["EVENT",null]"#,
        r#"["REQ","",{}]"#,
    ];
    for text in generic {
        let notice = answer(text);
        assert_eq!(notice[0], "NOTICE", "{text}");
        let words = notice[1].as_str().unwrap();
        assert!(words.starts_with("invalid: ") || words.starts_with("unsupported: "), "{words}");
    }
    let long = "x".repeat(MAX_FRAME_BYTES + 1);
    assert_eq!(answer(&long)[0], "NOTICE");
}

#[test]
fn a_publisher_learns_the_fate_of_an_event_even_when_it_is_malformed() {
    let id = "0".repeat(64);
    let ok = answer(&json!(["EVENT", { "id": id, "kind": "one" }]).to_string());
    assert_eq!((&ok[0], &ok[1], &ok[2]), (&json!("OK"), &json!(id), &json!(false)));
    assert!(ok[3].as_str().unwrap().starts_with("invalid: "));
    let ok = answer(&json!(["AUTH", { "id": id }]).to_string());
    assert_eq!((&ok[0], &ok[2]), (&json!("OK"), &json!(false)));
    let world = World::new();
    let id = world.bunker.state.identity().statement.id;
    let ok: Value = serde_json::from_str(&relay::ok(&id, true, "")).unwrap();
    assert_eq!(ok, json!(["OK", id, true, ""]));
}

#[test]
fn a_subscription_is_answered_with_eose_at_once() {
    let world = World::new();
    let key = world.npub();
    subscribed(
        &Subscriptions::default(),
        &json!(["REQ", "a", { "kinds": [24_133], "#p": [key], "since": 1, "limit": 10 }]),
    );
    subscribed(&Subscriptions::default(), &json!(["REQ", "x".repeat(MAX_SUBSCRIPTION_ID_CHARS), { "#p": [key] }]));
    // What this relay does not carry is empty, not refused.
    subscribed(&Subscriptions::default(), &json!(["REQ", "a", { "kinds": [0], "authors": [key] }]));
}

#[test]
fn nobody_gets_replies_without_naming_their_recipient() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let reply = reply_to(&mut world, &app);
    let nosy = [
        json!({}),
        json!({ "kinds": [24_133] }),
        json!({ "authors": [app.transport] }),
        json!({ "ids": [reply.id] }),
        json!({ "since": 1 }),
        json!({ "#e": [reply.id] }),
        json!({ "kinds": [24_133], "authors": [app.transport], "limit": 1 }),
    ];
    for filter in &nosy {
        let closed = answer(&json!(["REQ", "a", filter]).to_string());
        assert_eq!(closed[0], "CLOSED", "{filter}");
        assert_eq!(closed[1], "a");
        assert!(closed[2].as_str().unwrap().starts_with("restricted: "), "{closed}");
        // One good filter does not carry a nosy one in.
        let request = json!(["REQ", "a", { "#p": [app.transport] }, filter]);
        assert_eq!(answer(&request.to_string())[0], "CLOSED");
    }
    for filter in [json!({ "kinds": [1] }), json!({ "#p": [world.npub()] }), json!({ "#p": [app.transport] })] {
        let subscriptions = subscribed(&Subscriptions::default(), &json!(["REQ", "a", filter]));
        assert_eq!(subscriptions.matching(&reply).count(), 0, "{filter}");
    }
}

#[test]
fn a_reply_reaches_its_recipients_subscriptions_and_no_others() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let other = world.connected(EVERYTHING);
    let reply = reply_to(&mut world, &app);
    let mut subscriptions = Subscriptions::default();
    for (id, filter) in [
        ("mine", json!({ "kinds": [24_133], "#p": [app.pubkey()] })),
        ("mine and theirs", json!({ "#p": [other.pubkey(), app.pubkey()] })),
        ("from the connection", json!({ "#p": [app.pubkey()], "authors": [app.transport] })),
        ("from another", json!({ "#p": [app.pubkey()], "authors": [other.transport] })),
        ("theirs", json!({ "#p": [other.pubkey()] })),
        ("another kind", json!({ "kinds": [1], "#p": [app.pubkey()] })),
    ] {
        subscriptions = subscribed(&subscriptions, &json!(["REQ", id, filter]));
    }
    let matching: Vec<_> = subscriptions.matching(&reply).collect();
    assert_eq!(matching, ["from the connection", "mine", "mine and theirs"]);
    let sent: Value = serde_json::from_str(&relay::event_for("mine", &reply)).unwrap();
    assert_eq!(sent, json!(["EVENT", "mine", reply]));
    // Hibernation keeps them.
    let text = serde_json::to_string(&subscriptions).unwrap();
    let woken: Subscriptions = serde_json::from_str(&text).unwrap();
    assert_eq!(woken, subscriptions);
    // A second REQ with the same id replaces the first, CLOSE ends it.
    let replaced = subscribed(&subscriptions, &json!(["REQ", "mine", { "#p": [other.pubkey()] }]));
    assert_eq!(replaced.matching(&reply).count(), 2);
    match receive(&subscriptions, r#"["CLOSE","mine"]"#) {
        Incoming::Subscribed(left, None) => assert_eq!(left.matching(&reply).count(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn subscriptions_are_bounded_and_a_refusal_says_closed() {
    let key = World::new().npub();
    let filter = json!({ "#p": [key] });
    let mut subscriptions = Subscriptions::default();
    for n in 0..MAX_SUBSCRIPTIONS {
        subscriptions = subscribed(&subscriptions, &json!(["REQ", n.to_string(), filter]));
    }
    let closed = frame(receive(&subscriptions, &json!(["REQ", "more", filter]).to_string()));
    assert_eq!((&closed[0], &closed[1]), (&json!("CLOSED"), &json!("more")));
    assert!(closed[2].as_str().unwrap().starts_with("rate-limited: "));
    // One that is replaced needs no room.
    subscribed(&subscriptions, &json!(["REQ", "0", filter]));
    let many: Vec<Value> = std::iter::repeat_n(filter, MAX_FILTERS + 1).collect();
    let mut request = vec![json!("REQ"), json!("a")];
    request.extend(many);
    assert_eq!(answer(&Value::Array(request).to_string())[0], "CLOSED");
    assert_eq!(answer(r#"["REQ","a"]"#)[0], "CLOSED");
    for filter in [
        json!({ "#p": [] }),
        json!({ "#p": ["zz"] }),
        json!({ "#p": [key.to_hex().to_uppercase()] }),
        json!({ "search": "x", "#p": [key] }),
        json!(7),
    ] {
        let closed = answer(&json!(["REQ", "a", filter]).to_string());
        assert_eq!(closed[0], "CLOSED", "{filter}");
        assert!(closed[2].as_str().unwrap().starts_with("invalid: "), "{closed}");
    }
    let long = "x".repeat(MAX_SUBSCRIPTION_ID_CHARS + 1);
    assert_eq!(answer(&json!(["REQ", long, { "#p": [key] }]).to_string())[0], "NOTICE");
}

#[test]
fn only_events_for_this_bunker_with_a_true_signature_are_taken() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "ping", json!([]));
    assert!(world.admit(&request).is_ok());
    let mut note = request.clone();
    note.kind = 1;
    let note = world.signed(&app.key, &note);
    assert!(world.admit(&note).unwrap_err().to_string().starts_with("blocked: "));
    let mut forged = request.clone();
    forged.sig[0] ^= 1;
    assert_eq!(world.admit(&forged).unwrap_err().to_string(), "invalid: event signature is invalid");
    let mut forged = request.clone();
    forged.pubkey = TransportSecret::random(&mut world.rng).public_key();
    assert_eq!(world.admit(&forged).unwrap_err().to_string(), "invalid: event id does not match its content");
}

#[test]
fn the_information_document_says_what_is_enforced() {
    let document = relay::information("1.2.3");
    assert_eq!(document["version"], "1.2.3");
    assert_eq!(document["supported_nips"], json!([1, 11, 46]));
    assert_eq!(document["limitation"]["max_message_length"], MAX_FRAME_BYTES);
    assert_eq!(document["limitation"]["max_subscriptions"], MAX_SUBSCRIPTIONS);
    assert_eq!(document["limitation"]["auth_required"], false);
    assert_eq!(document["retention"], json!([{ "kinds": [24_133], "time": 0 }]));
}
