//! Ask mode: a request waits for the owner's word about exactly that request, at each holder by its own check.

use serde_json::json;

use crate::{
    judge::assert_signed,
    world::{World, template},
};
use bunker_core::event::Event;

/// Every method is asked about.
const ASK: &str = r#"{"rules":[{"effect":"ask","methods":"all"}]}"#;

#[test]
fn a_request_waits_for_the_owner_and_is_carried_out_when_approved() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    let challenge = world.submit(&request).held().expect("the app is told where to approve");
    let expected = format!("https://passport.example/approve/{}", request.id);
    let json: serde_json::Value = serde_json::from_str(&app.read_json(&challenge)).unwrap();
    assert_eq!((&json["result"], &json["error"]), (&json!("auth_url"), &json!(expected)));
    world.approve(&app, &request, None);
    let reply = world.judge_again(&request.id).reply();
    let signed = Event::parse(app.read(&reply).expose_result().unwrap()).unwrap();
    assert_signed(&signed, &world.npub());
    assert_eq!(world.bunker.state.pending().count(), 0);
}
