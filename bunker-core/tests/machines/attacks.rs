//! Attacks on authority and replay that worked elsewhere. Those on signing packages and shares are in
//! `misbehaviour`, on statements in `statements`, on storage in `storage`, on secrecy in `secrecy`.

use bunker_core::{
    audit::Happening,
    event::Event,
    grant::ConnectionId,
    joint::ContributionRequest,
    relay::NotTaken,
    replay::{MAX_AGE_S, MAX_AHEAD_S},
    session::Unreadable,
    statement::STATEMENT_KIND,
};
use serde_json::{Value, json};

use crate::world::{APPROVE_AT, EVERYTHING, Outcome, Uncontributed, World, body, template};

#[test]
fn attack_14_a_coordinator_cannot_ask_for_a_bare_hash() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let honest = body(&request, &app.conversation(), 0, &[]);
    let honest: Value = serde_json::from_str(&honest).unwrap();
    for field in ["hash", "message", "template", "id"] {
        let mut call = honest.clone();
        call[field] = json!("0".repeat(64));
        let refused = world.call_cosigner(&call.to_string()).unwrap_err();
        assert!(matches!(refused, Uncontributed::Wire(_)), "{field}: {refused:?}");
    }
    for field in ["event", "conversation_key", "epoch", "commitments"] {
        let mut call = honest.clone();
        call.as_object_mut().unwrap().remove(field);
        assert!(ContributionRequest::decode(&call.to_string()).is_err(), "{field}");
    }
    for key in ["", "00", &"F".repeat(64), &"g".repeat(64)] {
        let mut call = honest.clone();
        call["conversation_key"] = json!(key);
        assert!(ContributionRequest::decode(&call.to_string()).is_err(), "{key}");
    }
}

#[test]
fn attack_14_the_call_between_holders_has_these_bytes() {
    let world = World::from_seed(14);
    let event = world.bunker.state.identity().statement.clone();
    let key = frost_wasm_core::secret::Secret32::from_bytes([0xab; 32]);
    let key = bunker_core::nip44::ConversationKey::from_secret(key);
    let call = body(&event, &key, 3, &[]);
    let expected = format!(
        r#"{{"event":{},"conversation_key":"{}","epoch":3,"commitments":[]}}"#,
        event.to_json(),
        "ab".repeat(32)
    );
    assert_eq!(call, expected);
    let read = ContributionRequest::decode(&call).unwrap();
    assert_eq!((read.event, read.epoch), (event, 3));
    assert_eq!(read.conversation.expose_secret(), &[0xab; 32]);
}

#[test]
fn attack_15_a_deny_rule_protects_whatever_else_is_allowed() {
    let mut world = World::new();
    let app = world.connected(
        r#"{"rules":[{"effect":"allow","methods":"all"},{"effect":"deny","methods":["sign_event"],"kinds":[0,3]},{"effect":"deny","methods":["nip04_decrypt","nip44_decrypt"]}]}"#,
    );
    let key = world.npub().to_hex();
    for (method, params) in [
        ("sign_event", json!([template(0, "x")])),
        ("sign_event", json!([template(3, "x")])),
        ("nip44_decrypt", json!([key, "x"])),
        ("nip04_decrypt", json!([key, "x"])),
    ] {
        let text = world.refused(&app, method, params);
        assert!(text.contains("forbids it"), "{text}");
    }
    world.sign(&app, 1);
}

#[test]
fn attack_16_an_app_cannot_have_an_owner_statement_signed_for_it() {
    let mut world = World::new();
    let app = world.connected(r#"{"rules":[{"effect":"allow","methods":["sign_event"]}]}"#);
    let (mut wished, _) = world.new_grant(EVERYTHING, None);
    wished.transport_pubkey = app.pubkey();
    let verb = bunker_core::statement::Verb::Grant(wished);
    let seq = world.seq + 1;
    let statement = bunker_core::statement::Statement::template(world.public.group, seq, &verb, 0);
    assert_eq!(statement.kind, STATEMENT_KIND);
    let event = Event::parse(&world.ok(&app, "sign_event", json!([statement]))).unwrap();
    let statement = bunker_core::statement::Statement::verify(event).unwrap();
    let refused = world.deliver(&statement).unwrap_err();
    let not_the_owner = bunker_core::session::StatementRefused::NotTheOwner;
    assert_eq!(refused, crate::world::Undelivered::Refused(not_the_owner));
}

#[test]
fn attack_18_what_names_no_connection_of_ours_changes_nothing() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let before = (world.bunker.log.len(), world.cosigner.log.len());
    let unknown = world.stranger(&app);
    let unknown = crate::world::App { transport: unknown.pubkey(), ..unknown };
    let request = world.request(&unknown, "ping", json!([]));
    assert!(matches!(world.submit(&request), Outcome::NotTaken(NotTaken::UnknownRecipient)));
    for (tags, expected) in [
        (json!([]), NotTaken::NoRecipient),
        (json!([["p"]]), NotTaken::NoRecipient),
        (json!([["p", "abc"]]), NotTaken::NoRecipient),
        (json!([["p", app.transport.to_hex().to_uppercase()]]), NotTaken::NoRecipient),
        (json!([["p", app.transport], ["p", app.transport]]), NotTaken::NoRecipient),
        (json!([["p", world.npub()]]), NotTaken::UnknownRecipient),
    ] {
        let mut event = world.request(&app, "ping", json!([]));
        event.tags = serde_json::from_value(tags.clone()).unwrap();
        let event = world.signed(&app.key, &event);
        match world.submit(&event) {
            Outcome::NotTaken(reason) => assert_eq!(reason, expected, "{tags}"),
            other => panic!("{tags}: {other:?}"),
        }
    }
    assert_eq!(before, (world.bunker.log.len(), world.cosigner.log.len()));
    for text in ["", "0", &"0".repeat(31), &"0".repeat(33), &"A".repeat(32), "../../../../../../../../../etc/pa"] {
        assert!(text.parse::<ConnectionId>().is_err(), "{text}");
    }
}

#[test]
fn attack_23_a_request_that_a_relay_replays_gets_the_reply_that_was_sent() {
    let mut world = World::new();
    let app = world.connected(r#"{"rules":[{"effect":"allow","methods":["sign_event","nip44_encrypt"],"uses":2}]}"#);
    let key = world.npub().to_hex();
    for (method, params) in [
        ("sign_event", json!([template(1, "x")])),
        ("nip44_encrypt", json!([key, "x"])),
        ("sign_event", json!([template(1, "used up")])),
        ("ping", json!([])),
    ] {
        let request = world.request(&app, method, params);
        let first = world.submit(&request).reply();
        let records = (world.bunker.log.len(), world.cosigner.log.len());
        for _ in 0..3 {
            world.advance(MAX_AGE_S / 4);
            let again = world.submit_through(&request, |_, _| panic!("the cosigner is not asked again"));
            assert_eq!(again.reply(), first);
        }
        assert_eq!(records, (world.bunker.log.len(), world.cosigner.log.len()));
    }
    assert_eq!(world.bunker.usage(&app.connection).rules, vec![2]);
}

#[test]
fn attack_23_an_old_or_premature_event_is_not_taken_before_and_after_it_is_forgotten() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    world.submit(&request).reply();
    world.advance(MAX_AGE_S);
    assert!(world.bunker.state.forget_expired(world.now_s()).is_empty());
    assert!(matches!(world.submit(&request), Outcome::Reply(_)));
    world.advance(1);
    assert!(matches!(world.submit(&request), Outcome::NotTaken(NotTaken::Stale)));
    let now_s = world.now_s();
    for holder in world.holders() {
        let forget = holder.state.forget_expired(now_s);
        holder.commit(&forget).unwrap();
        assert!(!holder.state.remembers_requests());
        assert!(holder.replies.is_empty());
    }
    assert!(matches!(world.submit(&request), Outcome::NotTaken(NotTaken::Stale)));
    // From a clock that is ahead.
    world.advance(2 * MAX_AHEAD_S);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    world.now_ms -= (MAX_AHEAD_S + 1) * 1000;
    assert!(matches!(world.submit(&request), Outcome::NotTaken(NotTaken::Ahead)));
    world.now_ms += 1000;
    assert!(matches!(world.submit(&request), Outcome::Reply(_)));
}

#[test]
fn attack_23_the_machine_refuses_a_stale_request_whatever_its_relay_let_in() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "ping", json!([]));
    let event = request.into_verified().unwrap();
    world.advance(MAX_AGE_S + 1);
    let received = bunker_core::session::Received {
        event: &event,
        transport: &world.transports[&app.transport],
        conversation: &app.conversation(),
        approve_at: APPROVE_AT,
        device_is_here: false,
    };
    let ctx = &mut bunker_core::session::Ctx { now_ms: world.now_ms, rng: &mut world.rng };
    let refused = world.bunker.state.receive(received, ctx).unwrap_err();
    assert_eq!(refused, Unreadable::NotTaken(NotTaken::Stale));
}

#[test]
fn attack_29_work_that_was_recorded_is_not_repeated_after_a_crash() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    // Recorded, and the socket broke before the reply went out.
    let lost = world.submit(&request).reply();
    let signed: Vec<_> = world
        .bunker
        .audit()
        .into_iter()
        .filter(|record| matches!(record.entry.happening, Happening::RequestAnswered { signed: Some(_) }))
        .collect();
    assert_eq!(signed.len(), 1);
    let again = world.submit_through(&request, |_, _| panic!("the work is repeated"));
    assert_eq!(again.reply(), lost);
}

#[test]
fn attack_29_a_reply_whose_record_failed_is_made_anew_and_counted_once() {
    let mut world = World::new();
    let app = world.connected(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":1}]}"#);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    world.bunker.fail_storage_after(1);
    assert!(matches!(world.submit(&request), Outcome::Silence));
    world.bunker.heal_storage();
    let reply = world.submit(&request).reply();
    assert!(app.read(&reply).expose_result().is_some());
    for holder in world.holders() {
        assert_eq!(holder.usage(&app.connection).rules, vec![1]);
    }
    let text = world.refused(&app, "sign_event", json!([template(1, "x")]));
    assert!(text.contains("used up"), "{text}");
}

#[test]
fn attack_27_an_identity_that_nobody_used_for_years_still_signs() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    world.sign(&app, 1);
    for _ in 0..5 {
        world.advance(365 * 24 * 60 * 60);
        let now_s = world.now_s();
        for holder in world.holders() {
            let forgotten = holder.state.forget_expired(now_s);
            holder.commit(&forgotten).unwrap();
            holder.wake();
        }
    }
    assert_eq!(world.sign(&app, 1).pubkey, world.npub());
}
