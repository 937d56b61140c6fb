//! Ask mode: a request waits for the owner's word about exactly that request, at each holder by its own check.

use bunker_core::{
    approval::{MAX_ALLOWANCES, MAX_HOLD_S, MAX_PENDING, MAX_PENDING_BYTES, Remember},
    audit::Happening,
    event::{Event, EventError},
    grant::Standing,
    keys::EventId,
    policy::Permission,
    replay::{MAX_AGE_S, MAX_AHEAD_S},
    session::{Mutation, StatementRefused},
    statement::{Statement, StatementError, Verb},
};
use serde_json::{Value, json};

use crate::{
    judge::assert_signed,
    world::{App, EVERYTHING, Outcome, TestHolder, Undelivered, World, template},
};

/// Every method is asked about.
const ASK: &str = r#"{"rules":[{"effect":"ask","methods":"all"}]}"#;

const HOUR_S: u64 = 60 * 60;

fn note(world: &mut World, app: &App, kind: u16) -> Event {
    world.request(app, "sign_event", json!([template(kind, "x")]))
}

/// A request to sign an HTTP authentication of this time.
fn http_auth(world: &mut World, app: &App, created_at_s: u64) -> Event {
    let tags = json!([["u", "https://example.com/upload"], ["method", "POST"]]);
    let template = json!({ "kind": 27_235, "created_at": created_at_s, "tags": tags, "content": "" });
    world.request(app, "sign_event", json!([template.to_string()]))
}

/// A request that waits.
#[track_caller]
fn held(world: &mut World, app: &App, kind: u16) -> Event {
    let request = note(world, app, kind);
    world.submit(&request).held();
    request
}

#[track_caller]
fn assert_signs(world: &World, app: &App, reply: &Event) {
    let response = app.read(reply);
    let result = response.expose_result().unwrap_or_else(|| panic!("{:?}", response.error_text()));
    assert_signed(&Event::parse(result).unwrap(), &world.npub());
}

#[track_caller]
fn error(app: &App, outcome: Outcome) -> String {
    app.read(&outcome.reply()).error_text().expect("an error").to_owned()
}

fn not_newer(world: &World, statement: &Statement, holder: &TestHolder) -> Undelivered {
    let (seq, last) = (statement.seq(), world.seq);
    assert_eq!(holder.state.last_statement().seq, last);
    Undelivered::Refused(StatementRefused::NotNewer { seq, last })
}

fn reasons(holder: &TestHolder) -> Vec<String> {
    let reason = |record: bunker_core::audit::AuditRecord| match record.entry.happening {
        Happening::RequestRefused { reason } => Some(reason),
        _ => None,
    };
    holder.audit().into_iter().filter_map(reason).collect()
}

#[test]
fn a_request_waits_for_the_owner_and_is_carried_out_when_approved() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = note(&mut world, &app, 1);
    world.submit(&request).held();
    let pending = world.bunker.state.pending_request(&request.id).unwrap().clone();
    assert_eq!((pending.method, pending.kind, pending.connection), (Permission::SignEvent, Some(1), app.connection));
    assert_eq!((pending.held_at_s, pending.expires_at_s), (world.now_s(), world.now_s() + MAX_HOLD_S));
    assert_eq!(world.bunker.state.next_due_s(), world.bunker.state.pending().map(|it| it.expires_at_s).min());
    world.approve(&app, &request, None);
    let reply = world.judge_again(&request.id).reply();
    assert_signs(&world, &app, &reply);
    assert_eq!(world.bunker.state.pending().count(), 0);
    // Once: the same event gets the same reply, and the next of its kind waits again.
    assert_eq!(world.submit(&request).reply(), reply);
    held(&mut world, &app, 1);
}

#[test]
fn whatever_is_asked_about_is_given_when_approved() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let peer = world.npub().to_hex();
    let sealed = {
        let open = world.connected(EVERYTHING);
        world.ok(&open, "nip44_encrypt", json!([peer, "hello"]))
    };
    for (method, params) in [
        ("get_public_key", json!([])),
        ("nip44_encrypt", json!([peer, "hello"])),
        ("nip44_decrypt", json!([peer, sealed])),
        ("nip04_encrypt", json!([peer, "hello"])),
    ] {
        let request = world.request(&app, method, params);
        world.submit(&request).held();
        world.approve(&app, &request, None);
        let reply = world.judge_again(&request.id).reply();
        assert!(app.read(&reply).expose_result().is_some(), "{method}");
    }
}

#[test]
fn the_same_request_again_while_it_waits_changes_nothing() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    let before = (world.bunker.log.len(), world.cosigner.log.len());
    for _ in 0..3 {
        assert_eq!(world.submit(&request).held(), None);
        assert_eq!(world.judge_again(&request.id).held(), None);
    }
    assert_eq!(before, (world.bunker.log.len(), world.cosigner.log.len()));
}

#[test]
fn what_waits_is_counted_only_when_it_is_carried_out() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let before = world.bunker.usage(&app.connection);
    let request = held(&mut world, &app, 1);
    assert_eq!(world.bunker.usage(&app.connection), before);
    world.approve(&app, &request, None);
    world.judge_again(&request.id).reply();
    assert_eq!(world.bunker.usage(&app.connection).requests, before.requests + 1);
}

#[test]
fn what_waits_and_what_was_decided_outlasts_sleep() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    world.holders().into_iter().for_each(TestHolder::wake);
    world.approve(&app, &request, Some(Remember { until: None }));
    world.holders().into_iter().for_each(TestHolder::wake);
    let reply = world.judge_again(&request.id).reply();
    assert_signs(&world, &app, &reply);
    world.holders().into_iter().for_each(TestHolder::wake);
    world.sign(&app, 1);
}

#[test]
fn an_approved_request_that_was_lost_on_the_way_is_carried_out_when_it_comes_again() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    world.approve(&app, &request, None);
    let event = request.clone().into_verified().unwrap();
    drop(world.take(event));
    assert_eq!(world.bunker.state.pending().count(), 0);
    world.holders().into_iter().for_each(TestHolder::wake);
    let reply = world.submit(&request).reply();
    assert_signs(&world, &app, &reply);
}

#[test]
fn promise_2_a_cosigner_contributes_to_no_asked_request_without_the_owners_approval() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    // The bunker claims that it may be carried out.
    assert_eq!(world.cosigner_refuses(&app, &request), "needs_approval");
    assert_eq!(reasons(&world.cosigner), ["needs_approval"]);
    // It believes so itself: the owner's word reached it alone, or its storage was written to.
    let approval = world.approval(&app, &request, Some(Remember { until: None }));
    let statement = world.statement(&Verb::Approve(approval));
    world.bunker.deliver(&statement, world.now_ms).unwrap();
    let text = error(&app, world.judge_again(&request.id));
    assert!(text.contains("cosigner refused") && text.contains("not approved"), "{text}");
    let another = note(&mut world, &app, 1);
    let text = error(&app, world.submit(&another));
    assert!(text.contains("cosigner refused"), "{text}");
    world.cosigner.deliver(&statement, world.now_ms).unwrap();
    world.sign(&app, 1);
}

#[test]
fn attack_16_an_approval_replayed_after_a_newer_statement_is_refused() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    let approval = world.approval(&app, &request, Some(Remember { until: None }));
    let kept_back = world.statement(&Verb::Approve(approval));
    let connection = app.connection;
    world.say(&Verb::Deny { connection, request: request.id }).unwrap();
    let now_ms = world.now_ms;
    assert_eq!(world.bunker.deliver(&kept_back, now_ms), Err(not_newer(&world, &kept_back, &world.bunker)));
    assert_eq!(world.cosigner.deliver(&kept_back, now_ms), Err(not_newer(&world, &kept_back, &world.cosigner)));
    assert_eq!(world.cosigner_refuses(&app, &request), "denied_by_owner");
    let text = error(&app, world.judge_again(&request.id));
    assert!(text.contains("said no"), "{text}");
}

#[test]
fn attack_16_an_allowance_cannot_come_back_after_new_terms() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    let approval = world.approval(&app, &request, Some(Remember { until: None }));
    let approve = world.statement(&Verb::Approve(approval));
    world.deliver(&approve).unwrap();
    let terms = world.bunker.connection(&app.connection).terms().clone();
    world.say(&Verb::Edit { connection: app.connection, terms }).unwrap();
    for holder in world.holders() {
        assert!(matches!(
            holder.state.deliver(&approve, crate::world::RULES, 0),
            Err(StatementRefused::NotNewer { .. })
        ));
        assert_eq!(holder.connection(&app.connection).allowances(0).count(), 0);
    }
    let another = note(&mut world, &app, 1);
    assert_eq!(world.cosigner_refuses(&app, &another), "needs_approval");
}

#[test]
fn attack_16_an_approval_cannot_be_moved_to_another_request() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let (first, second) = (held(&mut world, &app, 1), held(&mut world, &app, 1));
    let approval = world.approval(&app, &first, None);
    let statement = world.statement(&Verb::Approve(approval));
    let mut moved = statement.event().clone();
    moved.content = moved.content.replace(&first.id.to_string(), &second.id.to_string());
    assert_ne!(moved.content, statement.event().content);
    assert_eq!(Statement::verify(moved).unwrap_err(), StatementError::Event(EventError::IdMismatch));
    world.deliver(&statement).unwrap();
    assert_eq!(world.judge_again(&second.id).held(), None);
    assert_eq!(world.cosigner_refuses(&app, &second), "needs_approval");
    let reply = world.judge_again(&first.id).reply();
    assert_signs(&world, &app, &reply);
}

#[test]
fn attack_16_an_approval_is_of_one_connection_method_and_kind() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let other = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    let right = world.approval(&app, &request, None);
    let (mut connection, mut kind, mut method) = (right, right, right);
    connection.connection = other.connection;
    kind.kind = Some(30_023);
    (method.method, method.kind) = (Permission::Nip44Decrypt, None);
    for wrong in [connection, kind, method] {
        let statement = world.statement(&Verb::Approve(wrong));
        let refused = world.bunker.deliver(&statement, world.now_ms);
        assert_eq!(refused, Err(Undelivered::Refused(StatementRefused::OtherRequest)));
        // A coordinator that lies delivers it to the cosigner all the same.
        world.cosigner.deliver(&statement, world.now_ms).unwrap();
        assert_eq!(world.cosigner_refuses(&app, &request), "needs_approval");
        assert_eq!(world.judge_again(&request.id).held(), None);
    }
    let elsewhere = Verb::Deny { connection: other.connection, request: request.id };
    let statement = world.statement(&elsewhere);
    let refused = world.bunker.deliver(&statement, world.now_ms);
    assert_eq!(refused, Err(Undelivered::Refused(StatementRefused::OtherRequest)));
    // Nor does another connection's word stop this one.
    world.cosigner.deliver(&statement, world.now_ms).unwrap();
    assert_eq!(world.cosigner_refuses(&app, &request), "needs_approval");
    world.approve(&app, &request, None);
    let reply = world.judge_again(&request.id).reply();
    assert_signs(&world, &app, &reply);
}

#[test]
fn attack_16_only_the_owner_approves() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    let verb = Verb::Approve(world.approval(&app, &request, None));
    let template = Statement::template(world.public.group, world.seq + 1, &verb, world.now_s());
    let event = template.sign_with(&app.key, &mut world.rng).unwrap();
    let statement = Statement::verify(event).unwrap();
    assert_eq!(world.deliver(&statement), Err(Undelivered::Refused(StatementRefused::NotTheOwner)));
    assert_eq!(world.judge_again(&request.id).held(), None);
}

#[test]
fn attack_16_a_stale_http_authentication_is_refused_at_once_by_both_holders() {
    let mut world = World::new();
    for rules in [ASK, EVERYTHING] {
        let app = world.connected(rules);
        let now_s = world.now_s();
        for created_at_s in [0, now_s - 61, now_s + 61] {
            let request = http_auth(&mut world, &app, created_at_s);
            assert_eq!(world.cosigner_refuses(&app, &request), "stale_auth");
            let text = error(&app, world.submit(&request));
            assert!(text.contains("not of this minute"), "{text}");
        }
    }
    let app = world.connected(EVERYTHING);
    for created_at_s in [world.now_s() - 60, world.now_s() + 60] {
        let request = http_auth(&mut world, &app, created_at_s);
        let reply = world.submit(&request).reply();
        assert_signs(&world, &app, &reply);
    }
}

#[test]
fn attack_16_an_approved_http_authentication_is_not_signed_late() {
    let mut world = World::new();
    let app = world.connected(ASK);
    // In time.
    let created_at_s = world.now_s();
    let request = http_auth(&mut world, &app, created_at_s);
    world.submit(&request).held();
    world.advance(59);
    world.approve(&app, &request, None);
    let reply = world.judge_again(&request.id).reply();
    assert_signs(&world, &app, &reply);
    // Approved in time, and judged again too late: after an eviction, or by a bunker that kept it back.
    let created_at_s = world.now_s();
    let request = http_auth(&mut world, &app, created_at_s);
    world.submit(&request).held();
    assert_eq!(world.bunker.state.pending_request(&request.id).unwrap().expires_at_s, created_at_s + 60);
    world.advance(30);
    world.approve(&app, &request, Some(Remember { until: None }));
    world.advance(31);
    assert_eq!(world.cosigner_refuses(&app, &request), "stale_auth");
    let text = error(&app, world.judge_again(&request.id));
    assert!(text.contains("in time"), "{text}");
    // Approved too late.
    let created_at_s = world.now_s() - 70;
    world.now_ms -= 20_000;
    let request = http_auth(&mut world, &app, created_at_s);
    world.now_ms += 20_000;
    let statement = Verb::Approve(world.approval(&app, &request, None));
    assert_eq!(world.say(&statement), Err(Undelivered::Refused(StatementRefused::NoSuchRequest)));
    let text = error(&app, world.submit(&request));
    assert!(text.contains("not of this minute"), "{text}");
}

#[test]
fn attack_16_an_allowance_lets_no_stale_http_authentication_through() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let now_s = world.now_s();
    let request = http_auth(&mut world, &app, now_s);
    world.submit(&request).held();
    world.approve(&app, &request, Some(Remember { until: None }));
    world.judge_again(&request.id).reply();
    let request = http_auth(&mut world, &app, now_s + 5);
    let reply = world.submit(&request).reply();
    assert_signs(&world, &app, &reply);
    let request = http_auth(&mut world, &app, now_s - 61);
    assert_eq!(world.cosigner_refuses(&app, &request), "stale_auth");
    assert!(error(&app, world.submit(&request)).contains("not of this minute"));
}

#[test]
fn what_the_owner_denies_is_answered_and_stays_denied() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    world.say(&Verb::Deny { connection: app.connection, request: request.id }).unwrap();
    let reply = world.judge_again(&request.id).reply();
    assert!(app.read(&reply).error_text().unwrap().contains("said no"));
    assert_eq!(world.bunker.state.pending().count(), 0);
    assert_eq!(world.submit(&request).reply(), reply);
    assert_eq!(world.cosigner_refuses(&app, &request), "denied_by_owner");
    // Allowing others like it does not bring it back.
    let another = held(&mut world, &app, 1);
    world.approve(&app, &another, Some(Remember { until: None }));
    assert_eq!(world.cosigner_refuses(&app, &request), "denied_by_owner");
}

#[test]
fn the_owner_decides_only_about_what_waits() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let never_sent = note(&mut world, &app, 1);
    let answered = held(&mut world, &app, 1);
    world.approve(&app, &answered, None);
    world.judge_again(&answered.id).reply();
    let expired = held(&mut world, &app, 1);
    world.advance(MAX_HOLD_S);
    for request in [never_sent, answered, expired] {
        let approve = Verb::Approve(world.approval(&app, &request, None));
        let deny = Verb::Deny { connection: app.connection, request: request.id };
        for verb in [approve, deny] {
            let refused = Err(Undelivered::Refused(StatementRefused::NoSuchRequest));
            assert_eq!(world.say(&verb), refused);
        }
    }
}

#[test]
fn a_request_that_nobody_decides_about_is_answered_with_an_error_once() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    assert_eq!(world.bunker.state.next_due_s(), Some(world.now_s() + MAX_HOLD_S));
    world.advance(MAX_HOLD_S - 1);
    assert_eq!(world.judge_again(&request.id).held(), None);
    world.advance(1);
    let reply = world.judge_again(&request.id).reply();
    assert!(app.read(&reply).error_text().unwrap().contains("did not answer in time: try again"));
    assert_eq!(reasons(&world.bunker), ["not_approved_in_time"]);
    let before = world.bunker.log.len();
    assert_eq!(world.bunker.state.pending().count(), 0);
    assert_eq!(world.submit(&request).reply(), reply);
    assert_eq!(world.bunker.log.len(), before);
}

#[test]
fn a_request_is_given_up_while_it_is_fresh_enough_to_be_carried_out_and_answered_whenever_that_is() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = note(&mut world, &app, 1);
    let too_late = note(&mut world, &app, 1);
    let sent_at_s = world.now_s();
    world.advance(MAX_AGE_S - 31);
    world.submit(&request).held();
    assert_eq!(world.bunker.state.pending_request(&request.id).unwrap().expires_at_s, sent_at_s + MAX_AGE_S - 30);
    world.advance(1);
    let text = error(&app, world.submit(&too_late));
    assert!(text.contains("did not answer in time"), "{text}");
    // The object slept; no relay would take the event any more.
    world.outlive_requests();
    let text = error(&app, world.judge_again(&request.id));
    assert!(text.contains("did not answer in time"), "{text}");
    assert_eq!(world.bunker.state.pending().count(), 0);
}

#[test]
fn attack_30_an_app_is_sent_one_auth_url_for_a_request_and_only_if_it_wants_one() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let plaintext = json!({ "id": "7", "method": "sign_event", "params": [template(1, "x")] }).to_string();
    let request = world.sealed(&app, &plaintext);
    let challenge = world.submit(&request).held().expect("the app is told where to approve");
    let json: Value = serde_json::from_str(&app.read_json(&challenge)).unwrap();
    let url = format!("https://passport.example/approve/{}", request.id);
    assert_eq!(json, json!({ "id": "7", "result": "auth_url", "error": url }));
    assert_eq!(world.submit(&request).held(), None);
    // The app sends its request again in a new event, as many do.
    world.advance(1);
    let again = world.sealed(&app, &plaintext);
    assert_ne!(again.id, request.id);
    assert_eq!(world.submit(&again).held(), None);
    // Another connection's ids are its own.
    let other = world.connected(ASK);
    let same_id = world.sealed(&other, &plaintext);
    assert!(world.submit(&same_id).held().is_some());

    let (mut grant, quiet) = world.new_grant(ASK, None);
    grant.auth_url = false;
    world.say(&Verb::Grant(grant)).unwrap();
    world.connect(&quiet);
    let request = note(&mut world, &quiet, 1);
    assert_eq!(world.submit(&request).held(), None);
    let mut terms = world.bunker.connection(&quiet.connection).terms().clone();
    terms.auth_url = true;
    world.say(&Verb::Edit { connection: quiet.connection, terms }).unwrap();
    let request = note(&mut world, &quiet, 1);
    assert!(world.submit(&request).held().is_some());
}

#[test]
fn attack_30_an_auth_url_is_https_or_of_this_machine() {
    let mut world = World::new();
    let app = world.connected(ASK);
    for (address, is_sent) in [
        ("https://passport.example/approve/", true),
        ("http://localhost:8787/approve/", true),
        ("http://127.0.0.1/approve/", true),
        ("http://[::1]:8787/approve/", true),
        ("http://passport.example/approve/", false),
        ("http://localhost.passport.example/approve/", false),
        ("http://localhost@passport.example/approve/", false),
        ("http://127.0.0.1@passport.example/approve/", false),
        ("http://localhost:80@passport.example/approve/", false),
        ("javascript:alert(1)//", false),
        ("", false),
    ] {
        world.approve_at = address.to_owned();
        let request = note(&mut world, &app, 1);
        assert_eq!(world.submit(&request).held().is_some(), is_sent, "{address}");
    }
}

#[test]
fn attack_21_what_waits_of_one_connection_is_bounded() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let other = world.connected(ASK);
    let first = held(&mut world, &app, 1);
    for _ in 1..MAX_PENDING {
        held(&mut world, &app, 1);
    }
    let one_more = note(&mut world, &app, 1);
    let text = error(&app, world.submit(&one_more));
    assert!(text.contains("too many requests wait"), "{text}");
    assert_eq!(world.bunker.state.pending_of(&app.connection).count(), MAX_PENDING);
    held(&mut world, &other, 1);
    // The queue is not in the way of what was in it, and there is room again.
    assert_eq!(world.submit(&first).held(), None);
    world.say(&Verb::Deny { connection: app.connection, request: first.id }).unwrap();
    world.judge_again(&first.id).reply();
    held(&mut world, &app, 1);
}

#[test]
fn attack_21_long_requests_that_wait_do_not_fill_the_memory() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let long = "x".repeat(300_000);
    let mut refused = 0;
    for _ in 0..10 {
        let request = world.request(&app, "sign_event", json!([template(1, &long)]));
        match world.submit(&request) {
            Outcome::Held(_) => {}
            outcome => {
                assert!(error(&app, outcome).contains("too many requests wait"));
                refused += 1;
            }
        }
        let bytes: usize = world.bunker.state.pending().map(|pending| pending.event.content.len()).sum();
        assert!(bytes <= MAX_PENDING_BYTES);
    }
    assert!((1..10).contains(&refused), "{refused}");
}

#[test]
fn a_paused_connection_answers_nothing_but_ping_until_it_is_resumed() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let unused = world.granted(EVERYTHING);
    let connection = app.connection;
    world.say(&Verb::Pause { connection }).unwrap();
    world.say(&Verb::Pause { connection: unused.connection }).unwrap();
    for holder in world.holders() {
        holder.wake();
        assert!(holder.connection(&connection).is_paused());
    }
    assert_eq!(world.ok(&app, "ping", json!([])), "pong");
    for (method, params) in [
        ("sign_event", json!([template(1, "x")])),
        ("get_public_key", json!([])),
        ("connect", json!(["", app.secret])),
        ("logout", json!([])),
        ("switch_relays", json!([])),
    ] {
        let text = world.refused(&app, method, params);
        assert_eq!(text, "this connection is paused by its owner: try again later", "{method}");
    }
    let request = note(&mut world, &app, 1);
    assert_eq!(world.cosigner_refuses(&app, &request), "paused");
    let text = world.refused(&unused, "connect", json!(["", unused.secret]));
    assert!(text.contains("paused"), "{text}");
    world.say(&Verb::Resume { connection }).unwrap();
    world.say(&Verb::Resume { connection: unused.connection }).unwrap();
    world.sign(&app, 1);
    world.connect(&unused);
}

#[test]
fn a_pause_answers_what_waits_and_what_is_on_its_way() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let waiting = held(&mut world, &app, 1);
    let open = world.connected(EVERYTHING);
    let on_its_way = note(&mut world, &open, 1);
    let reply = world.submit_through(&on_its_way, |world, body| {
        let contribution = world.call_cosigner(body);
        world.say(&Verb::Pause { connection: open.connection }).unwrap();
        contribution
    });
    let text = error(&open, reply);
    assert!(text.contains("paused"), "{text}");
    world.say(&Verb::Pause { connection: app.connection }).unwrap();
    let text = error(&app, world.judge_again(&waiting.id));
    assert!(text.contains("paused"), "{text}");
}

#[test]
fn only_a_living_connection_is_edited_paused_or_decided_about() {
    let mut world = World::new();
    let revoked = world.connected(ASK);
    let gone = world.connected(ASK);
    let waiting = [held(&mut world, &revoked, 1), held(&mut world, &gone, 1)];
    world.revoke(&revoked);
    let logout = world.request(&gone, "logout", json!([]));
    world.submit(&logout).reply();
    for (app, request) in [revoked, gone].into_iter().zip(waiting) {
        let connection = app.connection;
        let terms = world.bunker.connection(&connection).terms().clone();
        for verb in [
            Verb::Edit { connection, terms },
            Verb::Pause { connection },
            Verb::Resume { connection },
            Verb::Approve(world.approval(&app, &request, None)),
            Verb::Deny { connection, request: request.id },
        ] {
            let refused = Err(Undelivered::Refused(StatementRefused::ConnectionEnded));
            assert_eq!(world.say(&verb), refused, "{}", verb.name());
        }
    }
    let connection = bunker_core::grant::ConnectionId::from_bytes([9; 16]);
    let unknown = Err(Undelivered::Refused(StatementRefused::NoSuchConnection));
    assert_eq!(world.say(&Verb::Pause { connection }), unknown);
    assert_eq!(world.say(&Verb::Deny { connection, request: EventId::from_bytes([9; 32]) }), unknown);
}

#[test]
fn a_revocation_answers_what_waits() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    world.approve(&app, &request, Some(Remember { until: None }));
    world.revoke(&app);
    let text = error(&app, world.judge_again(&request.id));
    assert!(text.contains("revoked"), "{text}");
    assert_eq!(world.cosigner_refuses(&app, &request), "revoked");
    assert_eq!(world.bunker.state.pending().count(), 0);
}

#[test]
fn new_terms_hold_from_when_they_arrive() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    world.sign(&app, 1);
    let connection = app.connection;
    let mut terms = world.bunker.connection(&connection).terms().clone();
    terms.label = "renamed".into();
    terms.policy = crate::world::policy(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[7]}]}"#);
    terms.expires_at = Some(world.now_s() + HOUR_S);
    world.say(&Verb::Edit { connection, terms: terms.clone() }).unwrap();
    for holder in world.holders() {
        holder.wake();
        assert_eq!(*holder.connection(&connection).terms(), terms);
        assert!(matches!(holder.connection(&connection).standing(), Standing::Connected { .. }));
    }
    let request = note(&mut world, &app, 1);
    assert_eq!(world.cosigner_refuses(&app, &request), "not_granted");
    assert!(world.refused(&app, "sign_event", json!([template(1, "x")])).contains("not include"));
    world.sign(&app, 7);
    world.advance(HOUR_S);
    assert!(world.refused(&app, "ping", json!([])).contains("expired"));
    // An end that is taken back is no end.
    terms.expires_at = None;
    world.say(&Verb::Edit { connection, terms }).unwrap();
    world.sign(&app, 7);
}

#[test]
fn new_terms_are_counted_from_the_beginning_and_a_request_on_its_way_is_judged_by_them() {
    let mut world = World::new();
    let twice = r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":2}]}"#;
    let app = world.connected(twice);
    let connection = app.connection;
    world.sign(&app, 1);
    // Counted under the old terms, and lost on its way.
    let lost = note(&mut world, &app, 1);
    let begun = world.begin(&lost).ok().unwrap();
    world.call_cosigner(&begun.body).unwrap();
    drop(begun);
    let mut terms = world.bunker.connection(&connection).terms().clone();
    terms.policy = crate::world::policy(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":1}]}"#);
    world.say(&Verb::Edit { connection, terms: terms.clone() }).unwrap();
    for holder in world.holders() {
        assert!(holder.usage(&connection).rules.is_empty());
    }
    let reply = world.submit(&lost).reply();
    assert_signs(&world, &app, &reply);
    for holder in world.holders() {
        assert_eq!(holder.usage(&connection).rules, [1]);
    }
    assert!(world.refused(&app, "sign_event", json!([template(1, "x")])).contains("used up"));
    // What the new terms forbid is not done because the old ones had let it through.
    terms.policy = crate::world::policy(twice);
    world.say(&Verb::Edit { connection, terms: terms.clone() }).unwrap();
    let lost = note(&mut world, &app, 1);
    let begun = world.begin(&lost).ok().unwrap();
    world.call_cosigner(&begun.body).unwrap();
    drop(begun);
    terms.policy = crate::world::policy(ASK);
    world.say(&Verb::Edit { connection, terms }).unwrap();
    assert_eq!(world.cosigner_refuses(&app, &lost), "needs_approval");
    // No second challenge for what the app had no answer to.
    assert_eq!(world.submit(&lost).held(), None);
}

#[test]
fn new_terms_end_what_was_allowed_while_approving() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    world.approve(&app, &request, Some(Remember { until: None }));
    world.judge_again(&request.id).reply();
    world.sign(&app, 1);
    let mut terms = world.bunker.connection(&app.connection).terms().clone();
    terms.label = "renamed".into();
    world.say(&Verb::Edit { connection: app.connection, terms }).unwrap();
    let request = held(&mut world, &app, 1);
    assert_eq!(world.cosigner_refuses(&app, &request), "needs_approval");
}

#[test]
fn what_is_remembered_for_an_hour_ends_to_the_second_at_both_holders() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    let until_s = world.now_s() + HOUR_S;
    world.approve(&app, &request, Some(Remember { until: Some(until_s) }));
    world.judge_again(&request.id).reply();
    let allowance = *world.bunker.connection(&app.connection).allowances(world.now_s()).next().unwrap();
    assert_eq!((allowance.method, allowance.kind, allowance.until), (Permission::SignEvent, Some(1), Some(until_s)));
    world.advance(HOUR_S - 1);
    world.sign(&app, 1);
    // Of that kind and method only, and of that connection.
    held(&mut world, &app, 7);
    let other = world.connected(ASK);
    held(&mut world, &other, 1);
    world.advance(1);
    let request = held(&mut world, &app, 1);
    assert_eq!(world.cosigner_refuses(&app, &request), "needs_approval");
    assert_eq!(world.bunker.connection(&app.connection).allowances(world.now_s()).count(), 0);
}

#[test]
fn a_remembered_approval_lets_through_what_waits_beside_it() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let (first, second, other) = (held(&mut world, &app, 1), held(&mut world, &app, 1), held(&mut world, &app, 7));
    world.approve(&app, &first, Some(Remember { until: None }));
    for request in [second, first] {
        let reply = world.judge_again(&request.id).reply();
        assert_signs(&world, &app, &reply);
    }
    assert_eq!(world.judge_again(&other.id).held(), None);
}

#[test]
fn remembered_approvals_of_a_connection_are_bounded_and_those_that_are_over_make_room() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let until_s = world.now_s() + HOUR_S;
    let most = u16::try_from(MAX_ALLOWANCES).unwrap();
    for kind in 0..most {
        let request = held(&mut world, &app, kind);
        world.approve(&app, &request, Some(Remember { until: Some(until_s) }));
        world.judge_again(&request.id).reply();
    }
    let request = held(&mut world, &app, most);
    let remembered = Verb::Approve(world.approval(&app, &request, Some(Remember { until: None })));
    assert_eq!(world.say(&remembered), Err(Undelivered::Refused(StatementRefused::TooManyAllowances)));
    world.approve(&app, &request, None);
    world.judge_again(&request.id).reply();
    world.advance(HOUR_S);
    let request = held(&mut world, &app, most);
    world.approve(&app, &request, Some(Remember { until: None }));
    for holder in world.holders() {
        assert_eq!(holder.connection(&app.connection).record().remembered.len(), 1);
    }
}

#[test]
fn attack_15_a_deny_rule_wins_over_what_is_remembered() {
    let mut world = World::new();
    let app = world.connected(
        r#"{"rules":[{"effect":"ask","methods":"all"},{"effect":"deny","methods":["sign_event"],"kinds":[0]}]}"#,
    );
    let denied = note(&mut world, &app, 0);
    let approval = world.approval(&app, &denied, Some(Remember { until: None }));
    assert!(error(&app, world.submit(&denied)).contains("forbids"));
    let statement = world.statement(&Verb::Approve(approval));
    let refused = world.bunker.deliver(&statement, world.now_ms);
    assert_eq!(refused, Err(Undelivered::Refused(StatementRefused::NoSuchRequest)));
    world.cosigner.deliver(&statement, world.now_ms).unwrap();
    assert_eq!(world.cosigner.connection(&app.connection).allowances(world.now_s()).count(), 1);
    assert_eq!(world.cosigner_refuses(&app, &denied), "forbidden");
}

#[test]
fn a_used_up_rule_falls_through_to_asking_at_both_holders() {
    let mut world = World::new();
    let app = world.connected(
        r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":1},{"effect":"ask","methods":["sign_event"],"kinds":[1]}]}"#,
    );
    world.sign(&app, 1);
    let request = held(&mut world, &app, 1);
    assert_eq!(world.cosigner_refuses(&app, &request), "needs_approval");
    world.approve(&app, &request, None);
    let reply = world.judge_again(&request.id).reply();
    assert_signs(&world, &app, &reply);
    assert!(world.refused(&app, "sign_event", json!([template(7, "x")])).contains("used up"));
    for holder in world.holders() {
        assert_eq!(holder.usage(&app.connection).rules, [1]);
    }
}

#[test]
fn the_same_approval_delivered_again_changes_nothing_and_is_no_error() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = held(&mut world, &app, 1);
    let approval = world.approval(&app, &request, Some(Remember { until: None }));
    let statement = world.statement(&Verb::Approve(approval));
    world.deliver(&statement).unwrap();
    world.judge_again(&request.id).reply();
    let before = (world.bunker.log.len(), world.cosigner.log.len());
    // The answer to the first delivery was lost, so the device sends it once more.
    world.deliver(&statement).unwrap();
    assert_eq!(before, (world.bunker.log.len(), world.cosigner.log.len()));
}

#[test]
fn the_record_says_what_waited_who_decided_and_what_came_of_it() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let before = world.bunker.audit().len();
    let request = held(&mut world, &app, 1);
    world.approve(&app, &request, None);
    world.judge_again(&request.id).reply();
    let records = world.bunker.audit().split_off(before);
    let told: Vec<Value> = records.iter().map(|record| serde_json::to_value(&record.entry).unwrap()).collect();
    let what: Vec<_> = told.iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["request_held", "statement_applied", "request_admitted", "request_answered"]);
    for entry in &told {
        assert_eq!(entry["request"], json!(request.id));
        assert_eq!(entry["connection"], json!(app.connection));
        assert_eq!((&entry["method"], &entry["kind"]), (&json!("sign_event"), &json!(1)));
    }
}

#[test]
fn attack_23_a_decision_is_forgotten_when_its_request_cannot_come_and_never_the_request_before() {
    let mut world = World::new();
    let app = world.connected(ASK);
    // From a client whose clock is ahead, so that it stays fresh for long.
    world.advance(MAX_AHEAD_S);
    let request = note(&mut world, &app, 1);
    world.now_ms -= MAX_AHEAD_S * 1000;
    world.submit(&request).held();
    world.approve(&app, &request, None);
    world.judge_again(&request.id).reply();
    let denied = held(&mut world, &app, 1);
    world.say(&Verb::Deny { connection: app.connection, request: denied.id }).unwrap();
    world.judge_again(&denied.id).reply();
    world.advance(MAX_AGE_S + MAX_AHEAD_S);
    let now_s = world.now_s();
    for holder in world.holders() {
        let forget = holder.state.forget_expired(now_s);
        holder.commit(&forget).unwrap();
        assert!(holder.state.remembers_requests(), "the first request may still come");
        assert!(holder.state.next_due_s().unwrap() > now_s);
    }
    assert!(matches!(world.submit(&request), Outcome::Reply(_)));
    world.advance(1);
    let now_s = world.now_s();
    for holder in world.holders() {
        assert_eq!(holder.state.next_due_s(), Some(now_s));
        let forget = holder.state.forget_expired(now_s);
        holder.commit(&forget).unwrap();
        assert!(!holder.state.remembers_requests());
        assert_eq!(holder.state.next_due_s(), None);
    }
}

#[test]
fn attack_23_a_decision_from_long_before_does_not_take_its_request_out_of_the_replay_window() {
    let mut world = World::new();
    let app = world.connected(ASK);
    // A bunker that is taken over shows the owner a request that no holder would take yet.
    world.advance(1500);
    let request = note(&mut world, &app, 1);
    world.now_ms -= 1_500_000;
    let approval = world.approval(&app, &request, None);
    let statement = world.statement(&Verb::Approve(approval));
    world.cosigner.deliver(&statement, world.now_ms).unwrap();
    world.advance(600);
    let call = world.forwarded(&app, &request);
    world.call_cosigner(&call).unwrap();
    // Now the decision alone would be old enough to be forgotten.
    world.advance(1201);
    let now_s = world.now_s();
    let forget = world.cosigner.state.forget_expired(now_s);
    assert!(!forget.contains(&Mutation::Forget(request.id)), "the request may still come");
    world.cosigner.commit(&forget).unwrap();
    assert!(world.cosigner.state.next_due_s().is_some_and(|due_s| due_s > now_s));
}
