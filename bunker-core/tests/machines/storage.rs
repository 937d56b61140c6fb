//! What an edit in storage can and cannot do: rows are checked again whenever they are read.

use bunker_core::{
    approval::{Decision, DecisionRecord, Remember},
    audit::{AuditHead, AuditRecord, ChainError, verify_chain},
    event::Event,
    export::{Export, ExportRecord},
    grant::{Connection, ConnectionRecord, Standing},
    keys::TransportSecret,
    replay::{Progress, Seen},
    session::{HolderState, Mutation},
    statement::{Statement, StatementError, StoredError, Verb},
};
use frost_wasm_core::{group::GroupId, provision::ReceivingPublic};
use serde_json::{Value, json};

use crate::world::{App, EVERYTHING, World, policy, template};

const ASK: &str = r#"{"rules":[{"effect":"ask","methods":"all"}]}"#;

fn stored(world: &World, app: &App) -> Value {
    serde_json::to_value(world.bunker.connection(&app.connection).record()).unwrap()
}

fn restore(world: &World, row: Value) -> Result<Connection, StoredError> {
    let record: ConnectionRecord = serde_json::from_value(row).unwrap();
    Connection::restore(record, &world.owner.public_key(), &world.public.group)
}

fn event(value: &Value) -> Event {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn attack_24_an_edited_grant_is_found() {
    let mut world = World::new();
    let app = world.connected(r#"{"rules":[]}"#);
    let row = stored(&world, &app);
    assert!(restore(&world, row.clone()).is_ok());
    let wide = policy(EVERYTHING);
    let grant = event(&row["grant"]);
    let mut widened = row.clone();
    let content = grant.content.replace(r#"{"rules":[]}"#, &serde_json::to_string(&wide).unwrap());
    assert_ne!(content, grant.content);
    widened["grant"]["content"] = json!(content);
    assert!(matches!(restore(&world, widened), Err(StoredError::Statement(StatementError::Event(_)))));
    for (field, value) in [("sig", json!("0".repeat(128))), ("created_at", json!(1)), ("pubkey", json!(app.pubkey()))] {
        let mut edited = row.clone();
        edited["grant"][field] = value;
        assert!(matches!(restore(&world, edited), Err(StoredError::Statement(_))), "{field}");
    }
}

#[test]
fn attack_24_a_grant_by_another_key_or_for_another_group_is_found() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let row = stored(&world, &app);
    let (grant, _) = world.new_grant(EVERYTHING, None);
    let verb = Verb::Grant(grant);
    let stranger = TransportSecret::random(&mut world.rng);
    let other_group = GroupId::random(&mut world.rng);
    let forged = [(world.public.group, &stranger), (other_group, &world.owner)];
    for (group, key) in forged {
        let event = Statement::template(group, 2, &verb, 0).sign_with(key, &mut world.rng).unwrap();
        let mut swapped = row.clone();
        swapped["grant"] = json!(event);
        assert_eq!(restore(&world, swapped), Err(StoredError::Foreign));
    }
    let revocation = world.revocation(&app);
    let mut swapped = row;
    swapped["grant"] = json!(revocation.event());
    assert_eq!(restore(&world, swapped), Err(StoredError::Foreign));
}

#[test]
fn attack_24_a_revocation_in_storage_is_the_owners_word_about_that_connection() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let other = world.connected(EVERYTHING);
    let grant = event(&stored(&world, &other)["grant"]);
    let others = world.revocation(&other);
    world.revoke(&app);
    let row = stored(&world, &app);
    assert_eq!(row["state"], "revoked");
    assert!(restore(&world, row.clone()).is_ok());
    let template = Statement::template(world.public.group, 9, &Verb::Revoke { connection: app.connection }, 0);
    let forged = template.sign_with(&app.key, &mut world.rng).unwrap();
    for statement in [others.event(), &grant, &forged] {
        let mut swapped = row.clone();
        swapped["statement"] = json!(statement);
        assert_eq!(restore(&world, swapped), Err(StoredError::Foreign));
    }
    let mut edited = row;
    edited["statement"]["content"] = json!("{}");
    assert!(matches!(restore(&world, edited), Err(StoredError::Statement(_))));
}

/// A connection with everything that the owner can say about one.
fn much_said(world: &mut World) -> App {
    let app = world.connected(ASK);
    let connection = app.connection;
    let terms = world.bunker.connection(&connection).terms().clone();
    world.say(&Verb::Edit { connection, terms }).unwrap();
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    world.submit(&request).held();
    world.approve(&app, &request, Some(Remember { until: None }));
    world.say(&Verb::Pause { connection }).unwrap();
    app
}

#[test]
fn attack_24_terms_pauses_and_allowances_in_storage_are_the_owners_words_about_that_connection() {
    let mut world = World::new();
    let app = much_said(&mut world);
    let other = much_said(&mut world);
    let row = stored(&world, &app);
    let others = stored(&world, &other);
    assert_eq!(restore(&world, row.clone()).unwrap(), *world.bunker.connection(&app.connection));
    let places = ["/edit", "/pause", "/remembered/0"];
    for place in places {
        // Another connection's, and another word than belongs there.
        let mut foreign: Vec<_> = places.iter().map(|place| others.pointer(place).unwrap().clone()).collect();
        foreign.extend(places.iter().filter(|it| **it != place).map(|it| row.pointer(it).unwrap().clone()));
        foreign.push(row["grant"].clone());
        for statement in foreign {
            let mut swapped = row.clone();
            *swapped.pointer_mut(place).unwrap() = statement.clone();
            assert_eq!(restore(&world, swapped), Err(StoredError::Foreign), "{place}: {statement}");
        }
        // The words that belong there, by another key.
        let mut template = event(row.pointer(place).unwrap());
        template.pubkey = app.pubkey();
        let mut swapped = row.clone();
        *swapped.pointer_mut(place).unwrap() = json!(world.signed(&app.key, &template));
        assert_eq!(restore(&world, swapped), Err(StoredError::Foreign), "{place}");
        let mut edited = row.clone();
        edited.pointer_mut(place).unwrap()["content"] = json!("{}");
        assert!(matches!(restore(&world, edited), Err(StoredError::Statement(_))), "{place}");
    }
}

#[test]
fn attack_24_an_allowance_from_before_new_terms_cannot_be_put_back() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    world.submit(&request).held();
    let once = world.approval(&app, &request, None);
    world.approve(&app, &request, Some(Remember { until: None }));
    let remembered = stored(&world, &app)["remembered"].clone();
    let connection = app.connection;
    let terms = world.bunker.connection(&connection).terms().clone();
    world.say(&Verb::Edit { connection, terms }).unwrap();
    let mut put_back = stored(&world, &app);
    assert!(restore(&world, put_back.clone()).is_ok());
    put_back["remembered"] = remembered;
    assert_eq!(restore(&world, put_back.clone()), Err(StoredError::Foreign));
    // Nor is an approval of one request an approval of others.
    let once = world.statement(&Verb::Approve(once));
    put_back["remembered"] = json!([once.event()]);
    assert_eq!(restore(&world, put_back), Err(StoredError::Foreign));
}

#[test]
fn attack_24_a_decision_and_an_export_in_storage_are_the_owners_words() {
    let mut world = World::new();
    let app = world.connected(ASK);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    world.submit(&request).held();
    let (owner, group) = (world.owner.public_key(), world.public.group);
    let approve = Verb::Approve(world.approval(&app, &request, None));
    let deny = Verb::Deny { connection: app.connection, request: request.id };
    let export = Verb::Export { receiver: ReceivingPublic::from_bytes([9; 32]) };
    let pause = Verb::Pause { connection: app.connection };
    let verbs = [&approve, &deny, &export, &pause, &Verb::CancelExport, &Verb::DeleteGroup];
    let decision = |statement| Decision::restore(DecisionRecord { statement, decided_at_s: 1 }, &owner, &group);
    let leaving = |statement| Export::restore(ExportRecord { statement, ready_at_ms: 1 }, &owner, &group);
    for verb in verbs {
        let good = world.statement(verb).event().clone();
        let is_decision = matches!(verb, Verb::Approve(_) | Verb::Deny { .. });
        let is_export = matches!(verb, Verb::Export { .. });
        let own = (decision(good.clone()).is_ok(), leaving(good.clone()).is_ok());
        assert_eq!(own, (is_decision, is_export), "{}", verb.name());
        let forged = world.signed(&app.key, &good);
        assert_eq!(decision(forged.clone()).unwrap_err(), StoredError::Foreign);
        assert_eq!(leaving(forged).unwrap_err(), StoredError::Foreign);
        let other = GroupId::random(&mut world.rng);
        let elsewhere = Statement::template(other, 9, verb, 0).sign_with(&world.owner, &mut world.rng).unwrap();
        assert_eq!(decision(elsewhere.clone()).unwrap_err(), StoredError::Foreign);
        assert_eq!(leaving(elsewhere).unwrap_err(), StoredError::Foreign);
        let mut altered = good;
        altered.content = altered.content.replace("\"seq\":", "\"seq\":1");
        assert!(matches!(decision(altered.clone()), Err(StoredError::Statement(_))));
        assert!(matches!(leaving(altered), Err(StoredError::Statement(_))));
    }
}

#[test]
fn rows_from_before_there_was_ask_mode_are_read() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let row = stored(&world, &app);
    let fields: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["client", "grant", "metadata", "state"], "a row of then has what a row of now can do without");
    let read = restore(&world, row).unwrap();
    assert!(!read.is_paused() && read.allowances(0).count() == 0);
    assert_eq!(*read.terms(), read.grant().terms());
    let seen = r#"{"created_at_s":7,"state":"admitted","attempts":2}"#;
    let seen: Seen = serde_json::from_str(seen).unwrap();
    assert_eq!(seen, Seen { created_at_s: 7, progress: Progress::Admitted { attempts: 2, terms: 0 } });
}

#[test]
fn attack_25_a_row_that_cannot_be_read_is_no_empty_row() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let row = stored(&world, &app);
    for (field, value) in [
        ("state", json!("paused")),
        ("state", Value::Null),
        ("client", json!("not a key")),
        ("client", Value::Null),
        ("grant", Value::Null),
        ("metadata", json!({ "name": 7 })),
    ] {
        let mut edited = row.clone();
        edited[field] = value.clone();
        assert!(serde_json::from_value::<ConnectionRecord>(edited).is_err(), "{field}: {value}");
    }
    for field in ["grant", "state", "client"] {
        let mut cut = row.clone();
        cut.as_object_mut().unwrap().remove(field);
        assert!(serde_json::from_value::<ConnectionRecord>(cut).is_err(), "{field}");
    }
}

#[test]
fn every_standing_is_stored_and_read_back() {
    let mut world = World::new();
    let awaiting = world.granted(EVERYTHING);
    let connected = world.connected(EVERYTHING);
    let gone = world.connected(EVERYTHING);
    world.ok(&gone, "logout", json!([]));
    let revoked = world.connected(EVERYTHING);
    world.revoke(&revoked);
    for (app, state) in
        [(awaiting, "awaiting_client"), (connected, "connected"), (gone, "logged_out"), (revoked, "revoked")]
    {
        let row = stored(&world, &app);
        assert_eq!(row["state"], state);
        let read = restore(&world, row).unwrap();
        assert_eq!(read, *world.bunker.connection(&app.connection));
        assert_eq!(read.client().is_some(), *read.standing() != Standing::AwaitingClient);
    }
}

/// A chain with many kinds of records.
fn chain(world: &mut World) -> Vec<AuditRecord> {
    let app = world.connected(EVERYTHING);
    world.sign(&app, 1);
    world.refused(&app, "make_coffee", json!([]));
    world.ok(&app, "ping", json!([]));
    world.revoke(&app);
    world.refused(&app, "ping", json!([]));
    world.bunker.audit()
}

#[test]
fn attack_24_an_edited_audit_record_is_found() {
    let mut world = World::new();
    let records = chain(&mut world);
    let head = world.bunker.state.audit_head();
    assert!(records.len() > 8);
    let edits: [(&str, Value); 7] = [
        ("at_ms", json!(1)),
        ("n", json!(99)),
        ("prev", json!("00".repeat(32))),
        ("hash", json!("ab".repeat(32))),
        ("connection", json!("ab".repeat(16))),
        ("method", json!("ping!")),
        ("request", json!("ab".repeat(32))),
    ];
    for at in 0..records.len() {
        for (field, value) in &edits {
            let mut row = serde_json::to_value(&records[at]).unwrap();
            let place = if row.get(*field).is_some() { &mut row } else { &mut row["entry"] };
            if place.get(*field) == Some(value) {
                continue; // the first record's prev
            }
            place[*field] = value.clone();
            let mut edited = records.clone();
            edited[at] = serde_json::from_value(row).unwrap();
            assert!(verify_chain(AuditHead::default(), &edited, Some(head)).is_err(), "{field} of {at}");
        }
    }
}

#[test]
fn attack_24_a_removed_doubled_moved_or_cut_record_is_found() {
    let mut world = World::new();
    let records = chain(&mut world);
    let head = Some(world.bunker.state.audit_head());
    let verify = |records: &[AuditRecord]| verify_chain(AuditHead::default(), records, head);
    assert!(verify(&records).is_ok());
    for at in 0..records.len() {
        let mut removed = records.clone();
        removed.remove(at);
        assert!(verify(&removed).is_err(), "{at}");
        let mut doubled = records.clone();
        doubled.insert(at, records[at].clone());
        assert!(matches!(verify(&doubled), Err(ChainError::Gap { .. })), "{at}");
        let mut moved = records.clone();
        moved.swap(at, (at + 1) % records.len());
        assert!(verify(&moved).is_err(), "{at}");
        assert!(verify(&records[..at]).is_err(), "{at}");
    }
}

#[test]
fn attack_24_two_holders_chains_cannot_be_exchanged() {
    let mut world = World::new();
    chain(&mut world);
    let head = Some(world.bunker.state.audit_head());
    assert!(verify_chain(AuditHead::default(), &world.cosigner.audit(), head).is_err());
}

#[test]
fn an_audit_record_has_these_bytes() {
    let text = r#"{"n":1,"at_ms":5,"prev":"0000000000000000000000000000000000000000000000000000000000000000","entry":{"what":"request_refused","reason":"used_up","method":"sign_event","kind":1},"hash":"HASH"}"#;
    let entry: bunker_core::audit::Entry =
        serde_json::from_str(r#"{"what":"request_refused","reason":"used_up","method":"sign_event","kind":1}"#)
            .unwrap();
    let record = AuditHead::default().append(5, entry);
    let written = serde_json::to_string(&record).unwrap();
    assert_eq!(written, text.replace("HASH", &record.hash.to_string()));
    let mut hashed = b"passport/v1/audit".to_vec();
    hashed.extend(1_u64.to_be_bytes());
    hashed.extend(5_u64.to_be_bytes());
    hashed.extend([0; 32]);
    hashed.extend(br#"{"what":"request_refused","reason":"used_up","method":"sign_event","kind":1}"#);
    assert_eq!(record.hash.to_string(), hex::encode(<sha2::Sha256 as sha2::Digest>::digest(hashed)));
}

#[test]
fn a_holder_that_wakes_in_the_middle_of_work_goes_on_where_it_was() {
    let mut world = World::new();
    let app = world.connected(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"uses":2}]}"#);
    world.sign(&app, 1);
    let request = world.request(&app, "sign_event", json!([template(1, "x")]));
    drop(world.begin(&request));
    for holder in world.holders() {
        let mut woken = HolderState::new(holder.state.identity().clone());
        holder.log.iter().for_each(|mutation: &Mutation| woken.apply(mutation));
        holder.state = woken;
    }
    let reply = world.submit(&request).reply();
    assert!(app.read(&reply).expose_result().is_some());
    let text = world.refused(&app, "sign_event", json!([template(1, "x")]));
    assert!(text.contains("used up"), "{text}");
}
