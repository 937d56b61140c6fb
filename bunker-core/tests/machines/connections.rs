//! What becomes of a connection: bound once, by the secret; ended by logout, revocation or time.

use bunker_core::{grant::Standing, nip46::ClientMetadata};
use serde_json::{Value, json};

use crate::world::{App, EVERYTHING, World, template};

/// One call of every method but `connect`.
fn every_method(world: &World) -> Vec<(&'static str, Value)> {
    let key = world.npub().to_hex();
    vec![
        ("ping", json!([])),
        ("switch_relays", json!([])),
        ("get_public_key", json!([])),
        ("sign_event", json!([template(1, "x")])),
        ("nip44_encrypt", json!([key, "x"])),
        ("nip44_decrypt", json!([key, "x"])),
        ("nip04_encrypt", json!([key, "x"])),
        ("nip04_decrypt", json!([key, "x"])),
        ("logout", json!([])),
        ("make_coffee", json!([])),
    ]
}

#[track_caller]
fn refused_everywhere(world: &mut World, app: &App, expected: &str) {
    for (method, params) in every_method(world) {
        let text = world.refused(app, method, params);
        assert!(text.contains(expected), "{method}: {text}");
    }
}

fn bound(world: &World, app: &App) -> bool {
    [&world.bunker, &world.cosigner].into_iter().all(|holder| {
        let standing = holder.connection(&app.connection).standing();
        matches!(standing, Standing::Connected { client, .. } if *client == app.pubkey())
    })
}

#[test]
fn nothing_works_without_connect() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    refused_everywhere(&mut world, &app, "not connected");
}

#[test]
fn connect_needs_the_secret_of_the_grant() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    let other = world.granted(EVERYTHING);
    let hash = serde_json::to_value(bunker_core::grant::SecretHash::of(&app.secret)).unwrap();
    for (params, expected) in [
        (json!([]), "needs the secret"),
        (json!([""]), "needs the secret"),
        (json!(["", ""]), "needs the secret"),
        (json!(["", null]), "needs the secret"),
        (json!(["", "anything it likes"]), "secret is wrong"),
        (json!(["", other.secret]), "secret is wrong"),
        (json!(["", hash]), "secret is wrong"),
        (json!(["", app.secret.to_lowercase()]), "secret is wrong"),
        (json!(["", &app.secret[..31]]), "secret is wrong"),
    ] {
        let text = world.refused(&app, "connect", params.clone());
        assert!(text.contains(expected), "{params}: {text}");
        assert!(!text.contains(&app.secret), "the secret is echoed");
    }
    refused_everywhere(&mut world, &app, "not connected");
    // Guesses burn nothing.
    assert_eq!(world.connect(&app), "ack");
    assert!(bound(&world, &app));
}

#[test]
fn a_spent_secret_serves_its_client_again_and_no_other() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let stranger = world.stranger(&app);
    let text = world.refused(&stranger, "connect", json!(["", stranger.secret]));
    assert!(text.contains("used already by another client"), "{text}");
    let text = world.refused(&stranger, "connect", json!(["", "a wrong one altogether"]));
    assert!(text.contains("secret is wrong"), "{text}");
    let text = world.refused(&stranger, "connect", json!([""]));
    assert!(text.contains("another client holds"), "{text}");
    refused_everywhere(&mut world, &stranger, "another client holds this connection");
    assert_eq!(world.connect(&app), "ack");
    assert_eq!(world.ok(&app, "connect", json!([""])), "ack");
    let text = world.refused(&app, "connect", json!(["", "a wrong one altogether"]));
    assert!(text.contains("secret is wrong"), "{text}");
    assert!(bound(&world, &app));
    assert_eq!(world.ok(&app, "ping", json!([])), "pong");
}

#[test]
fn every_holder_binds_the_client_by_its_own_check() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    let request = world.request(&app, "connect", json!(["", app.secret]));
    let begun = world.begin(&request).ok().unwrap();
    let is_awaiting = |standing: &Standing| *standing == Standing::AwaitingClient;
    assert!(!is_awaiting(world.bunker.connection(&app.connection).standing()));
    assert!(is_awaiting(world.cosigner.connection(&app.connection).standing()));
    world.finish(begun, World::call_cosigner).reply();
    assert!(bound(&world, &app));
}

#[test]
fn a_connect_that_the_cosigner_did_not_record_is_an_error_and_can_be_repeated() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    world.cosigner.fail_storage_after(0);
    let text = world.refused(&app, "connect", json!(["", app.secret]));
    assert!(text.contains("Storage"), "{text}");
    world.cosigner.heal_storage();
    assert_eq!(world.connect(&app), "ack");
    assert!(bound(&world, &app));
}

#[test]
fn a_client_of_one_connection_has_no_way_into_another() {
    let mut world = World::new();
    let all = world.connected(EVERYTHING);
    let little = world.connected(r#"{"rules":[{"effect":"allow","methods":["get_public_key"]}]}"#);
    let crossing = App { key: little.key, ..world.stranger(&all) };
    refused_everywhere(&mut world, &crossing, "another client holds this connection");
}

#[test]
fn what_a_client_says_of_itself_or_wishes_for_gives_it_no_right() {
    let mut world = World::new();
    let app = world.granted(r#"{"rules":[]}"#);
    let metadata = json!({ "name": "An app", "url": "https://app.example", "image": "javascript:1" });
    let params = json!(["", app.secret, "sign_event,nip44_decrypt,get_public_key", metadata.to_string()]);
    assert_eq!(world.ok(&app, "connect", params), "ack");
    for holder in world.holders() {
        let Standing::Connected { metadata, .. } = holder.connection(&app.connection).standing() else {
            panic!("not connected");
        };
        let shown = ClientMetadata::from_hints(Some("An app"), Some("https://app.example"), None);
        assert_eq!(*metadata, Some(shown));
    }
    let text = world.refused(&app, "sign_event", json!([template(1, "x")]));
    assert!(text.contains("not allowed"), "{text}");
}

#[test]
fn logout_ends_the_connection_at_both_holders_for_good() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let bystander = world.connected(EVERYTHING);
    assert_eq!(world.ok(&app, "logout", json!([])), "ack");
    for holder in world.holders() {
        let standing = holder.connection(&app.connection).standing();
        assert!(matches!(standing, Standing::LoggedOut { .. }));
    }
    // The first reply may have been lost.
    assert_eq!(world.ok(&app, "logout", json!([])), "ack");
    let text = world.refused(&app, "connect", json!(["", app.secret]));
    assert!(text.contains("logged out"), "{text}");
    let text = world.refused(&app, "sign_event", json!([template(1, "x")]));
    assert!(text.contains("logged out"), "{text}");
    let stranger = world.stranger(&app);
    let text = world.refused(&stranger, "connect", json!(["", stranger.secret]));
    assert!(text.contains("logged out"), "{text}");
    let text = world.refused(&stranger, "logout", json!([]));
    assert!(text.contains("logged out"), "{text}");
    assert_eq!(world.ok(&bystander, "ping", json!([])), "pong");
}

#[test]
fn a_stranger_cannot_log_an_app_out() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let stranger = world.stranger(&app);
    world.refused(&stranger, "logout", json!([]));
    assert!(bound(&world, &app));
}

#[test]
fn a_revoked_client_is_told_so_and_gets_nothing_ever_again() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let bystander = world.connected(EVERYTHING);
    world.revoke(&app);
    refused_everywhere(&mut world, &app, "revoked by its owner");
    let text = world.refused(&app, "connect", json!(["", app.secret]));
    assert!(text.contains("revoked"), "{text}");
    world.outlive_requests();
    refused_everywhere(&mut world, &app, "revoked by its owner");
    assert_eq!(world.ok(&bystander, "ping", json!([])), "pong");
}

#[test]
fn a_url_that_was_revoked_before_its_use_binds_nobody() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    world.revoke(&app);
    let text = world.refused(&app, "connect", json!(["", app.secret]));
    assert!(text.contains("revoked"), "{text}");
}

#[test]
fn what_was_admitted_before_a_revocation_is_not_answered_after_it() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let reply = world.submit_through(&request, |world, body| {
        let contribution = world.call_cosigner(body);
        world.revoke(&app);
        contribution
    });
    let response = app.read(&reply.reply());
    assert!(response.expose_result().is_none(), "answered after it was revoked");
    assert!(response.error_text().unwrap().contains("revoked"));
    let last = serde_json::to_string(&world.bunker.audit().pop().unwrap()).unwrap();
    assert!(last.contains("request_failed") && !last.contains("signed"), "{last}");
}

#[test]
fn a_revocation_that_reached_only_the_cosigner_holds() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let statement = world.revocation(&app);
    world.cosigner.deliver(&statement, world.now_ms).unwrap();
    let text = world.refused(&app, "sign_event", json!([template(1, "x")]));
    assert!(text.contains("cosigner refused") && text.contains("revoked"), "{text}");
    world.bunker.deliver(&statement, world.now_ms).unwrap();
}

#[test]
fn a_grant_ends_with_its_time_to_the_second() {
    let mut world = World::new();
    let end_s = world.now_s() + 3600;
    let app = world.granted_until(EVERYTHING, Some(end_s));
    let unused = world.granted_until(EVERYTHING, Some(end_s));
    world.connect(&app);
    world.advance(3599);
    assert_eq!(world.ok(&app, "ping", json!([])), "pong");
    world.advance(1);
    refused_everywhere(&mut world, &app, "has expired");
    let text = world.refused(&unused, "connect", json!(["", unused.secret]));
    assert!(text.contains("has expired"), "{text}");
}

#[test]
fn the_cosigner_watches_the_end_of_a_grant_itself() {
    let mut world = World::new();
    let end_s = world.now_s() + 60;
    let app = world.granted_until(EVERYTHING, Some(end_s));
    world.connect(&app);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let begun = world.begin(&request).ok().unwrap();
    world.advance(60);
    let reply = world.finish(begun, World::call_cosigner).reply();
    let text = app.read(&reply).error_text().unwrap().to_owned();
    assert!(text.contains("cosigner refused") && text.contains("expired"), "{text}");
}
