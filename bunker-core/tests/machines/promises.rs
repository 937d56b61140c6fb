//! The design's promises, at the level of the machines: every holder decides for itself, nonces are used once,
//! nothing unverified or unrecorded leaves, and nothing is allowed that was not granted.

use std::collections::BTreeSet;

use bunker_core::{
    audit::Happening,
    event::{Event, EventError},
    joint::ContributionReply,
    keys::TransportSecret,
    nip44::{self, Nip44Error},
    nip46::OpenError,
    relay::NotTaken,
    replay::{MAX_AGE_S, MAX_AHEAD_S, MAX_ATTEMPTS},
    session::Unreadable,
    statement::Verb,
};
use serde_json::{Value, json};

use crate::{
    judge::{Correspondent, assert_signed},
    world::{App, EVERYTHING, Outcome, Uncontributed, World, refusal_code, template},
};

#[test]
fn promise_2_a_cosigner_contributes_to_no_request_that_another_key_signed() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    // A bunker that is taken over has the transport secret, so it can write as any client but the bound one.
    let invented = world.stranger(&app);
    let request = world.request(&invented, "sign_event", json!([template(1, "x")]));
    let call = world.forwarded(&invented, &request);
    assert_eq!(refusal_code(world.call_cosigner(&call)), "other_client");
}

#[test]
fn promise_2_a_coordinator_cannot_bind_a_client_of_its_own() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    let invented = world.stranger(&app);
    for (params, code) in
        [(json!([""]), "secret_missing"), (json!(["", "it does not know the secret"]), "secret_wrong")]
    {
        let request = world.request(&invented, "connect", params);
        let call = world.forwarded(&invented, &request);
        assert_eq!(refusal_code(world.call_cosigner(&call)), code);
    }
    assert!(world.cosigner.connection(&app.connection).client().is_none());
}

#[test]
fn promise_2_an_altered_request_or_template_is_refused() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "pay 1")]));
    let asked = nip44::decrypt(&app.conversation(), &request.content).unwrap();
    let altered = asked.replace("pay 1", "pay 1000");
    assert_ne!(asked, altered);

    let mut forged = request.clone();
    forged.content = nip44::encrypt_random(&app.conversation(), &altered, &mut world.rng).unwrap();
    let call = world.forwarded(&app, &forged);
    let refused = world.call_cosigner(&call).unwrap_err();
    assert_eq!(refused, Uncontributed::Event(EventError::IdMismatch));

    // With an id that fits, the client's signature does not.
    let another = TransportSecret::random(&mut world.rng);
    let resigned = world.signed(&another, &forged);
    let fitting = Event {
        pubkey: request.pubkey,
        sig: request.sig,
        id: bunker_core::event::compute_id(
            &request.pubkey,
            &bunker_core::event::Template {
                created_at: forged.created_at,
                kind: forged.kind,
                tags: forged.tags.clone(),
                content: forged.content.clone(),
            },
        ),
        ..resigned
    };
    let call = world.forwarded(&app, &fitting);
    let refused = world.call_cosigner(&call).unwrap_err();
    assert_eq!(refused, Uncontributed::Event(EventError::BadSignature));
    for field in ["tags", "created_at", "kind"] {
        let mut value = serde_json::to_value(&request).unwrap();
        value[field] = match field {
            "tags" => json!([["p", app.transport.to_hex()], ["x"]]),
            "created_at" => json!(request.created_at + 1),
            _ => json!(24_132),
        };
        let forged = Event::from_value(value).unwrap();
        let call = world.forwarded(&app, &forged);
        let refused = world.call_cosigner(&call).unwrap_err();
        assert_eq!(refused, Uncontributed::Event(EventError::IdMismatch), "{field}");
    }
}

#[test]
fn promise_2_a_wrong_conversation_key_opens_nothing_else_than_what_the_client_wrote() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let other = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let call = world.forwarded(&other, &request);
    let mac = Uncontributed::Unreadable(Unreadable::Content(OpenError::Decrypt(Nip44Error::Mac)));
    assert_eq!(world.call_cosigner(&call).unwrap_err(), mac);
}

#[test]
fn promise_2_a_request_for_another_connection_or_group_is_refused() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let other = world.connected(EVERYTHING);
    // The bound client of one connection, at another.
    let crossing =
        App { key: TransportSecret::from_secret(&app.key.expose_secret()).unwrap(), ..world.stranger(&other) };
    let request = world.request(&crossing, "sign_event", json!([template(1, "x")]));
    let call = world.forwarded(&crossing, &request);
    assert_eq!(refusal_code(world.call_cosigner(&call)), "other_client");

    let mut elsewhere = World::from_seed(world.seed.wrapping_add(1));
    let theirs = elsewhere.connected(EVERYTHING);
    let request = elsewhere.request(&theirs, "sign_event", json!([template(1, "x")]));
    let call = world.forwarded(&theirs, &request);
    let unknown = Uncontributed::Unreadable(Unreadable::NotTaken(NotTaken::UnknownRecipient));
    assert_eq!(world.call_cosigner(&call).unwrap_err(), unknown);
}

#[test]
fn promise_2_a_stale_or_premature_request_is_refused_by_the_cosigner_too() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let call = world.forwarded(&app, &request);
    world.advance(MAX_AGE_S + 1);
    let stale = Uncontributed::Unreadable(Unreadable::NotTaken(NotTaken::Stale));
    assert_eq!(world.call_cosigner(&call).unwrap_err(), stale);
    world.now_ms -= (MAX_AGE_S + 1 + MAX_AHEAD_S + 1) * 1000;
    let ahead = Uncontributed::Unreadable(Unreadable::NotTaken(NotTaken::Ahead));
    assert_eq!(world.call_cosigner(&call).unwrap_err(), ahead);
    world.now_ms += (MAX_AHEAD_S + 1) * 1000;
    assert!(matches!(world.call_cosigner(&call), Ok(ContributionReply::Signed(_))));
}

#[test]
fn promise_2_a_replayed_request_gets_few_attempts_and_counts_once() {
    let mut world = World::new();
    let app = world.connected(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":2}]}"#);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    for _ in 0..MAX_ATTEMPTS {
        let call = world.forwarded(&app, &request);
        assert!(matches!(world.call_cosigner(&call), Ok(ContributionReply::Signed(_))));
    }
    for _ in 0..3 {
        let call = world.forwarded(&app, &request);
        assert_eq!(refusal_code(world.call_cosigner(&call)), "too_many_attempts");
    }
    assert_eq!(world.cosigner.usage(&app.connection).rules, vec![1]);
    // Forgetting what is past gives no more attempts.
    world.advance(MAX_AGE_S + 1);
    let forget = world.cosigner.state.forget_expired(world.now_s());
    assert!(!forget.is_empty());
    world.cosigner.commit(&forget).unwrap();
    let call = world.forwarded(&app, &request);
    let stale = Uncontributed::Unreadable(Unreadable::NotTaken(NotTaken::Stale));
    assert_eq!(world.call_cosigner(&call).unwrap_err(), stale);
}

#[test]
fn promise_2_a_cosigner_knows_only_the_grants_that_reached_it() {
    let mut world = World::new();
    let (grant, app) = world.new_grant(EVERYTHING, None);
    let statement = world.statement(&Verb::Grant(grant));
    world.bunker.deliver(&statement, world.now_ms).unwrap();
    let text = world.refused(&app, "connect", json!(["", app.secret]));
    assert!(text.contains("UnknownRecipient"), "{text}");
    world.cosigner.deliver(&statement, world.now_ms).unwrap();
    assert_eq!(world.connect(&app), "ack");
}

#[test]
fn promise_2_a_cosigner_keeps_its_own_count() {
    let mut world = World::new();
    let app = world.connected(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":3}]}"#);
    // A coordinator that hides two requests from its own count.
    for _ in 0..2 {
        let request = world.request(&app, "sign_event", json!([template(1, "x")]));
        let call = world.forwarded(&app, &request);
        assert!(matches!(world.call_cosigner(&call), Ok(ContributionReply::Signed(_))));
    }
    world.sign(&app, 1);
    let text = world.refused(&app, "sign_event", json!([template(1, "x")]));
    assert!(text.contains("cosigner refused") && text.contains("used up"), "{text}");
    assert_eq!(world.cosigner.usage(&app.connection).rules, vec![3]);
}

#[test]
fn promise_2_a_cosigner_contributes_to_nothing_that_needs_no_contribution() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for method in ["ping", "get_public_key", "switch_relays"] {
        let request = world.request(&app, method, json!([]));
        let call = world.forwarded(&app, &request);
        assert_eq!(refusal_code(world.call_cosigner(&call)), "nothing_to_contribute");
    }
}

#[test]
fn promise_3_an_evicted_attempt_is_retried_with_fresh_nonces_and_nothing_of_it_is_stored() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let mut commitments = BTreeSet::new();
    for n in 0..MAX_ATTEMPTS {
        let begun = world.begin(&request).ok().unwrap();
        for (_, commitment) in &begun.commitments {
            assert!(commitments.insert(commitment.to_string()), "a commitment came twice");
        }
        let reply = world.call_cosigner(&begun.body).unwrap();
        let ContributionReply::Signed(contribution) = reply else {
            panic!("{reply:?}");
        };
        assert!(commitments.insert(contribution.commitment.to_string()), "attempt {n}");
    }
    let rows = world.bunker.rows() + &world.cosigner.rows();
    for commitment in &commitments {
        assert!(!rows.contains(&commitment[..66]) && !rows.contains(&commitment[66..]));
    }
    let text = app.read(&world.submit(&request).reply()).error_text().unwrap().to_owned();
    assert!(text.contains("tried too often"), "{text}");
    assert_eq!(world.bunker.usage(&app.connection).rules, vec![1]);
    world.sign(&app, 1);
}

#[test]
fn promise_3_a_retry_after_an_eviction_is_answered() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(7, "x")]));
    drop(world.begin(&request));
    let begun = world.begin(&request).ok().unwrap();
    world.call_cosigner(&begun.body).unwrap();
    drop(begun);
    let reply = world.submit(&request).reply();
    let event = Event::parse(app.read(&reply).expose_result().unwrap()).unwrap();
    assert_signed(&event, &world.npub());
    assert_eq!(world.bunker.usage(&app.connection).rules, vec![1]);
    assert_eq!(world.cosigner.usage(&app.connection).rules, vec![1]);
}

/// Runs `method` again and again with storage failing one commit later each time, until it succeeds. Before that
/// nothing may be released, and what was not committed may not be remembered.
fn fails_closed(world: &mut World, app: &App, method: &str, params: &Value, at_bunker: bool) -> usize {
    for n in 0..10 {
        let request = world.request(app, method, params.clone());
        let holder = if at_bunker { &mut world.bunker } else { &mut world.cosigner };
        holder.fail_storage_after(n);
        let committed = holder.log.len();
        let outcome = world.submit(&request);
        let holder = if at_bunker { &mut world.bunker } else { &mut world.cosigner };
        holder.heal_storage();
        match outcome {
            Outcome::Silence => {
                assert!(at_bunker);
                let answered = |holder: &crate::world::TestHolder| holder.replies.contains_key(&request.id);
                assert!(!answered(&world.bunker), "answered without a record");
                if n == 0 {
                    assert_eq!(world.bunker.log.len(), committed, "a trace of what was not committed");
                }
            }
            Outcome::Reply(reply) => match app.read(&reply).expose_result() {
                Some(_) => return n,
                None => assert_eq!(world.cosigner.log.len(), committed, "a trace of what was not committed"),
            },
            other => panic!("{other:?}"),
        }
    }
    panic!("{method} never succeeds");
}

#[test]
fn promise_5_nothing_leaves_that_is_not_recorded() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let peer = Correspondent::new(&TransportSecret::random(&mut world.rng));
    let payload = peer.writes_nip44(&world.npub(), "hello");
    // Commits at the bunker and at the cosigner until the request is answered.
    for (method, params, at_bunker, at_cosigner) in [
        ("ping", json!([]), 1, 0),
        ("get_public_key", json!([]), 1, 0),
        ("sign_event", json!([template(1, "x")]), 2, 1),
        ("nip44_encrypt", json!([peer.hex(), "x"]), 2, 1),
        ("nip44_decrypt", json!([peer.hex(), payload]), 2, 1),
        ("connect", json!([""]), 2, 1),
    ] {
        assert_eq!(fails_closed(&mut world, &app, method, &params, true), at_bunker, "{method}");
        assert_eq!(fails_closed(&mut world, &app, method, &params, false), at_cosigner, "{method}");
    }
}

#[test]
fn promise_5_a_failed_commit_leaves_the_state_as_it_was() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    let request = world.request(&app, "connect", json!(["", app.secret]));
    let before = [world.bunker.state.clone(), world.cosigner.state.clone()];
    world.bunker.fail_storage_after(0);
    assert!(matches!(world.submit(&request), Outcome::Silence));
    assert!(before == [world.bunker.state.clone(), world.cosigner.state.clone()]);
    world.bunker.heal_storage();
    // The same event again, when storage works.
    let reply = world.submit(&request).reply();
    assert_eq!(app.read(&reply).expose_result(), Some("ack"));
}

#[test]
fn promise_5_the_record_names_what_left() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(7, "x")]));
    let reply = world.submit(&request).reply();
    let event = Event::parse(app.read(&reply).expose_result().unwrap()).unwrap();
    let records = world.bunker.audit();
    let [.., admitted, answered] = records.as_slice() else {
        panic!("too few records");
    };
    assert_eq!(admitted.entry.happening, Happening::RequestAdmitted);
    let signed = Some(event.id);
    assert_eq!(answered.entry.happening, Happening::RequestAnswered { signed });
    let contributed = world.cosigner.audit().pop().unwrap();
    assert_eq!(contributed.entry.happening, Happening::Contributed);
    for record in [admitted, answered, &contributed] {
        assert_eq!(record.entry.request, Some(request.id));
        assert_eq!(record.entry.connection, Some(app.connection));
        assert_eq!(record.entry.method.as_deref(), Some("sign_event"));
        assert_eq!(record.entry.kind, Some(7));
    }
}

#[test]
fn promise_6_what_is_not_granted_is_not_done() {
    let mut world = World::new();
    let key = world.npub().to_hex();
    let calls = [
        ("get_public_key", json!([])),
        ("sign_event", json!([template(1, "x")])),
        ("nip04_encrypt", json!([key, "x"])),
        ("nip04_decrypt", json!([key, "x"])),
        ("nip44_encrypt", json!([key, "x"])),
        ("nip44_decrypt", json!([key, "x"])),
    ];
    let empty = world.connected(r#"{"rules":[]}"#);
    for (method, params) in &calls {
        let text = world.refused(&empty, method, params.clone());
        assert!(text.contains("does not include it"), "{method}: {text}");
        // The cosigner says the same to a bunker that would let it through.
        let request = world.request(&empty, method, params.clone());
        let call = world.forwarded(&empty, &request);
        assert_eq!(refusal_code(world.call_cosigner(&call)), "not_granted", "{method}");
    }
    for (granted, _) in &calls {
        let rules = json!({"rules": [{ "effect": "allow", "methods": [granted] }]});
        let app = world.connected(&rules.to_string());
        for (method, params) in &calls {
            let response = world.ask(&app, method, params.clone());
            let is_denied = response.error_text().is_some_and(|text| text.starts_with("not allowed"));
            assert_eq!(is_denied, method != granted, "{granted} is granted, {method} is asked");
        }
    }
}

#[test]
fn promise_6_kinds_peers_and_counts_bind() {
    let mut world = World::new();
    let friend = Correspondent::new(&TransportSecret::random(&mut world.rng));
    let other = Correspondent::new(&TransportSecret::random(&mut world.rng));
    let rules = json!({"rules": [
        { "effect": "allow", "methods": ["sign_event"], "kinds": [1, 7], "uses": 2 },
        { "effect": "deny", "methods": ["sign_event"], "kinds": [7] },
        { "effect": "allow", "methods": ["nip44_encrypt"], "peers": [friend.hex()] },
    ]});
    let app = world.connected(&rules.to_string());
    let text = world.refused(&app, "sign_event", json!([template(7, "x")]));
    assert!(text.contains("forbids"), "{text}");
    let text = world.refused(&app, "sign_event", json!([template(0, "x")]));
    assert!(text.contains("does not include"), "{text}");
    world.sign(&app, 1);
    world.sign(&app, 1);
    let text = world.refused(&app, "sign_event", json!([template(1, "x")]));
    assert!(text.contains("used up"), "{text}");
    world.ok(&app, "nip44_encrypt", json!([friend.hex(), "x"]));
    let text = world.refused(&app, "nip44_encrypt", json!([other.hex(), "x"]));
    assert!(text.contains("does not include"), "{text}");
    let text = world.refused(&app, "nip44_decrypt", json!([friend.hex(), "x"]));
    assert!(text.contains("does not include"), "{text}");
}
