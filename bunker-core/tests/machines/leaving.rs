//! The owner leaves: takes the key along after a delay, or has all of it deleted.

use bunker_core::{
    audit::Happening,
    export::{EXPORT_OPEN_MS, ExportRefused},
    keys::TransportSecret,
    relay::NotTaken,
    session::StatementRefused,
    statement::{Statement, Verb},
};
use frost_wasm_core::{
    group::GroupId,
    provision::{ReceivingKey, ReceivingPublic},
    secret::Secret32,
};
use serde_json::json;

use crate::world::{EVERYTHING, Outcome, RULES, TestHolder, Undelivered, World, template};

fn receiver(world: &mut World) -> ReceivingPublic {
    let secret = TransportSecret::random(&mut world.rng).expose_secret();
    ReceivingKey::from_secret(&Secret32::from_bytes(*secret.expose_secret())).unwrap().public()
}

/// Asks for an export at both holders.
fn export(world: &mut World) -> (Statement, ReceivingPublic) {
    let receiver = receiver(world);
    let statement = world.statement(&Verb::Export { receiver });
    world.deliver(&statement).unwrap();
    (statement, receiver)
}

#[track_caller]
fn refused(world: &mut World, expected: ExportRefused) {
    let now_ms = world.now_ms;
    for holder in world.holders() {
        let before = holder.log.len();
        assert_eq!(holder.state.release_export(now_ms).unwrap_err(), expected);
        assert_eq!(holder.log.len(), before);
    }
}

#[test]
fn nothing_is_exported_that_was_not_asked_for() {
    let mut world = World::new();
    refused(&mut world, ExportRefused::NotRequested);
    assert_eq!(world.say(&Verb::CancelExport), Err(Undelivered::Refused(StatementRefused::NoExport)));
}

#[test]
fn a_share_is_released_after_the_delay_of_each_holder_and_on_the_record() {
    let mut world = World::new();
    let (statement, receiver) = export(&mut world);
    let ready_at_ms = world.now_ms + RULES.export_delay_ms;
    refused(&mut world, ExportRefused::TooEarly { ready_at_ms });
    world.now_ms = ready_at_ms - 1;
    refused(&mut world, ExportRefused::TooEarly { ready_at_ms });
    world.holders().into_iter().for_each(TestHolder::wake);
    refused(&mut world, ExportRefused::TooEarly { ready_at_ms });
    world.now_ms = ready_at_ms;
    let now_ms = world.now_ms;
    for holder in world.holders() {
        // A reply that was lost is asked for again.
        for _ in 0..2 {
            let step = holder.state.release_export(now_ms).unwrap();
            assert_eq!((step.effect.receiver(), step.effect.statement()), (&receiver, statement.event()));
            holder.commit(&step.mutations).unwrap();
            let last = holder.audit().pop().unwrap();
            assert_eq!(last.entry.happening, Happening::ShareReleased { statement: *statement.id() });
        }
    }
}

#[test]
fn the_delay_of_a_holder_starts_when_it_hears_and_not_when_the_owner_signed() {
    let mut world = World::new();
    let receiver = receiver(&mut world);
    let statement = world.statement(&Verb::Export { receiver });
    world.bunker.deliver(&statement, world.now_ms).unwrap();
    // A coordinator that is taken over keeps it from the cosigner, to deliver it when the owner looks away.
    world.now_ms += RULES.export_delay_ms;
    world.cosigner.deliver(&statement, world.now_ms).unwrap();
    assert!(world.bunker.state.release_export(world.now_ms).is_ok());
    let ready_at_ms = world.now_ms + RULES.export_delay_ms;
    let refused = world.cosigner.state.release_export(world.now_ms).unwrap_err();
    assert_eq!(refused, ExportRefused::TooEarly { ready_at_ms });
    // Nor does the same statement again begin anew, or hasten it.
    world.deliver(&statement).unwrap();
    assert_eq!(world.cosigner.state.export(world.now_ms).unwrap().ready_at_ms(), ready_at_ms);
}

#[test]
fn a_cancelled_export_releases_nothing_and_cannot_come_back() {
    let mut world = World::new();
    let (statement, _) = export(&mut world);
    world.say(&Verb::CancelExport).unwrap();
    world.holders().into_iter().for_each(TestHolder::wake);
    world.now_ms += RULES.export_delay_ms;
    refused(&mut world, ExportRefused::NotRequested);
    let (seq, last) = (statement.seq(), world.seq);
    let not_newer = Err(Undelivered::Refused(StatementRefused::NotNewer { seq, last }));
    assert_eq!(world.deliver(&statement), not_newer);
    refused(&mut world, ExportRefused::NotRequested);
}

#[test]
fn one_export_at_a_time() {
    let mut world = World::new();
    let (_, receiver) = export(&mut world);
    let another = Verb::Export { receiver: self::receiver(&mut world) };
    assert_eq!(world.say(&another), Err(Undelivered::Refused(StatementRefused::ExportPending)));
    let now_ms = world.now_ms;
    for holder in world.holders() {
        assert_eq!(*holder.state.export(now_ms).unwrap().receiver(), receiver);
    }
    world.say(&Verb::CancelExport).unwrap();
    world.say(&another).unwrap();
}

#[test]
fn an_export_of_another_group_or_by_another_key_is_none_of_ours() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let verb = Verb::Export { receiver: receiver(&mut world) };
    let (seq, now_s) = (world.seq + 1, world.now_s());
    let other = GroupId::random(&mut world.rng);
    let elsewhere = Statement::template(other, seq, &verb, now_s).sign_with(&world.owner, &mut world.rng).unwrap();
    let forged =
        Statement::template(world.public.group, seq, &verb, now_s).sign_with(&app.key, &mut world.rng).unwrap();
    for (event, reason) in [(elsewhere, StatementRefused::OtherGroup), (forged, StatementRefused::NotTheOwner)] {
        let statement = Statement::verify(event).unwrap();
        assert_eq!(world.deliver(&statement), Err(Undelivered::Refused(reason)));
    }
    world.now_ms += RULES.export_delay_ms;
    refused(&mut world, ExportRefused::NotRequested);
}

#[test]
fn an_export_that_nobody_fetched_is_over_after_a_week() {
    let mut world = World::new();
    export(&mut world);
    world.now_ms += RULES.export_delay_ms + EXPORT_OPEN_MS - 1;
    assert!(world.bunker.state.release_export(world.now_ms).is_ok());
    assert!(world.bunker.state.forget_expired(world.now_s()).is_empty());
    world.now_ms += 1;
    refused(&mut world, ExportRefused::NotRequested);
    let now_s = world.now_s();
    for holder in world.holders() {
        assert_eq!(holder.state.next_due_s(), Some(now_s));
        let forget = holder.state.forget_expired(now_s);
        assert_eq!(forget.len(), 1);
        holder.commit(&forget).unwrap();
        assert_eq!(holder.state.next_due_s(), None);
    }
    // The owner asks again, and waits again.
    export(&mut world);
    let ready_at_ms = world.now_ms + RULES.export_delay_ms;
    refused(&mut world, ExportRefused::TooEarly { ready_at_ms });
}

#[test]
fn an_export_that_is_over_is_in_nobodys_way() {
    let mut world = World::new();
    export(&mut world);
    world.now_ms += RULES.export_delay_ms + EXPORT_OPEN_MS;
    assert_eq!(world.say(&Verb::CancelExport), Err(Undelivered::Refused(StatementRefused::NoExport)));
    export(&mut world);
}

#[test]
fn a_deleted_group_answers_nobody_and_takes_no_word() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    export(&mut world);
    let on_its_way = world.request(&app, "sign_event", json!([template(1, "x")]));
    let before = world.request(&app, "sign_event", json!([template(1, "x")]));
    let deleted = world.statement(&Verb::DeleteGroup);
    let reply = world.submit_through(&on_its_way, |world, body| {
        let contribution = world.call_cosigner(body);
        world.deliver(&deleted).unwrap();
        contribution
    });
    assert!(app.read(&reply.reply()).expose_result().is_none(), "answered after the group was deleted");
    for holder in world.holders() {
        holder.wake();
        assert_eq!(holder.state.deleted(), Some(deleted.event()));
        assert_eq!(holder.state.connections().count(), 0);
    }
    assert!(matches!(world.submit(&before), Outcome::NotTaken(NotTaken::UnknownRecipient)));
    let call = world.forwarded(&app, &before);
    assert!(world.call_cosigner(&call).is_err());
    refused(&mut world, ExportRefused::NotRequested);
    world.deliver(&deleted).unwrap();
    let (grant, _) = world.new_grant(EVERYTHING, None);
    for verb in [Verb::Grant(grant), Verb::Export { receiver: receiver(&mut world) }, Verb::DeleteGroup] {
        assert_eq!(world.say(&verb), Err(Undelivered::Refused(StatementRefused::Deleted)));
    }
}
