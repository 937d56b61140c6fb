//! Owner statements: made once, in order, by the owner that came with the share.

use bunker_core::{
    approval::{Approval, Remember},
    event::{Event, EventError, Template},
    grant::{ConnectionId, MAX_CONNECTIONS, MAX_LABEL_BYTES, Standing, Terms},
    keys::{EventId, PublicKey, TransportSecret},
    members::Members,
    policy::{Permission, PolicyError},
    session::{HolderState, StatementRefused},
    statement::{STATEMENT_KIND, Statement, StatementError, Verb},
};
use frost_wasm_core::{
    ceremony::Digest32,
    frost::keygen,
    group::{GroupId, HolderRole},
    provision::ReceivingPublic,
};
use serde_json::{Value, json};

use crate::world::{EVERYTHING, Undelivered, World, index, policy, split};

#[track_caller]
fn refused(world: &mut World, statement: &Statement) -> StatementRefused {
    let before = [world.bunker.state.clone(), world.cosigner.state.clone()];
    let result = world.deliver(statement);
    assert!(before == [world.bunker.state.clone(), world.cosigner.state.clone()]);
    match result {
        Err(Undelivered::Refused(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

/// The owner's signature on any content.
fn signed(world: &mut World, content: &Value) -> Event {
    let template =
        Template { created_at: world.now_s(), kind: STATEMENT_KIND, tags: Vec::new(), content: content.to_string() };
    template.sign_with(&world.owner, &mut world.rng).unwrap()
}

fn content(event: &Event) -> Value {
    serde_json::from_str(&event.content).unwrap()
}

#[test]
fn attack_16_a_grant_cannot_come_back_after_its_revocation() {
    let mut world = World::new();
    let (grant, app) = world.new_grant(EVERYTHING, None);
    let granted = world.statement(&Verb::Grant(grant));
    world.deliver(&granted).unwrap();
    world.connect(&app);
    world.revoke(&app);
    let (seq, last) = (granted.seq(), world.seq);
    let not_newer = StatementRefused::NotNewer { seq, last };
    assert_eq!(refused(&mut world, &granted), not_newer);
    let text = world.refused(&app, "ping", json!([]));
    assert!(text.contains("revoked"), "{text}");
    // Nor under a new number, as the connection's id and key are taken.
    let again = world.statement(granted.verb());
    assert_eq!(refused(&mut world, &again), StatementRefused::ConnectionExists);
}

#[test]
fn attack_16_a_revocation_cannot_be_played_back_late() {
    let mut world = World::new();
    let first = world.granted(EVERYTHING);
    let kept_back = world.revocation(&first);
    let second = world.connected(EVERYTHING);
    let (seq, last) = (kept_back.seq(), world.seq);
    let not_newer = StatementRefused::NotNewer { seq, last };
    assert_eq!(refused(&mut world, &kept_back), not_newer);
    assert_eq!(world.ok(&second, "ping", json!([])), "pong");
}

#[test]
fn attack_16_a_sequence_number_is_used_once() {
    let mut world = World::new();
    let app = world.granted(EVERYTHING);
    let (grant, _) = world.new_grant(EVERYTHING, None);
    for seq in [0, 1, world.seq] {
        let statement = world.statement_at(seq, &Verb::Grant(grant.clone()));
        let last = world.seq;
        assert_eq!(refused(&mut world, &statement), StatementRefused::NotNewer { seq, last });
    }
    assert_eq!(world.connect(&app), "ack");
}

#[test]
fn attack_16_a_strangers_statement_is_refused() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let connection = app.connection;
    let template = Statement::template(world.public.group, world.seq + 1, &Verb::Revoke { connection }, 0);
    for key in [
        TransportSecret::random(&mut world.rng),
        TransportSecret::from_secret(&app.key.expose_secret()).unwrap(),
        TransportSecret::from_secret(&world.transports[&app.transport].expose_secret()).unwrap(),
    ] {
        let event = template.clone().sign_with(&key, &mut world.rng).unwrap();
        let statement = Statement::verify(event).unwrap();
        assert_eq!(refused(&mut world, &statement), StatementRefused::NotTheOwner);
    }
    // Under the owner's name, but not by the owner.
    let mut event = template.sign_with(&app.key, &mut world.rng).unwrap();
    event.pubkey = world.owner.public_key();
    let error = Statement::verify(event).unwrap_err();
    assert_eq!(error, StatementError::Event(EventError::IdMismatch));
    assert_eq!(world.ok(&app, "ping", json!([])), "pong");
}

#[test]
fn attack_16_a_statement_about_another_group_is_refused() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let connection = app.connection;
    let other = GroupId::random(&mut world.rng);
    let template = Statement::template(other, world.seq + 1, &Verb::Revoke { connection }, 0);
    let event = template.sign_with(&world.owner, &mut world.rng).unwrap();
    let statement = Statement::verify(event).unwrap();
    assert_eq!(refused(&mut world, &statement), StatementRefused::OtherGroup);
}

#[test]
fn attack_16_an_altered_statement_is_refused() {
    let mut world = World::new();
    let (grant, _) = world.new_grant(r#"{"rules":[]}"#, None);
    let statement = world.statement(&Verb::Grant(grant));
    let mut event = statement.event().clone();
    event.content = event.content.replace(r#""rules":[]"#, r#""rules":[{"effect":"allow","methods":"all"}]"#);
    assert_ne!(event.content, statement.event().content);
    assert_eq!(Statement::verify(event).unwrap_err(), StatementError::Event(EventError::IdMismatch));
    let mut event = statement.event().clone();
    event.sig[63] ^= 1;
    assert_eq!(Statement::verify(event).unwrap_err(), StatementError::Event(EventError::BadSignature));
}

#[test]
fn the_same_statement_delivered_again_changes_nothing_and_is_no_error() {
    let mut world = World::new();
    let (grant, app) = world.new_grant(EVERYTHING, None);
    let granted = world.statement(&Verb::Grant(grant));
    for _ in 0..3 {
        world.deliver(&granted).unwrap();
    }
    world.connect(&app);
    let before = (world.bunker.log.len(), world.cosigner.log.len());
    world.deliver(&granted).unwrap();
    assert_eq!(before, (world.bunker.log.len(), world.cosigner.log.len()));
    let standing = world.bunker.connection(&app.connection).standing();
    assert!(matches!(standing, Standing::Connected { .. }), "connect is undone");
    let revoked = world.revocation(&app);
    world.deliver(&revoked).unwrap();
    world.deliver(&revoked).unwrap();
}

#[test]
fn a_statement_that_storage_did_not_take_can_be_delivered_again() {
    let mut world = World::new();
    let (grant, app) = world.new_grant(EVERYTHING, None);
    let granted = world.statement(&Verb::Grant(grant));
    world.bunker.fail_storage_after(0);
    world.cosigner.fail_storage_after(0);
    assert_eq!(world.deliver(&granted), Err(Undelivered::Storage));
    assert!(world.bunker.state.connection(&app.connection).is_none());
    world.bunker.heal_storage();
    world.cosigner.heal_storage();
    world.deliver(&granted).unwrap();
    assert_eq!(world.connect(&app), "ack");
}

#[test]
fn a_group_is_created_once() {
    let mut world = World::new();
    let created = Statement::verify(world.bunker.state.identity().statement.clone()).unwrap();
    world.deliver(&created).unwrap();
    let again = world.statement(&Verb::CreateGroup { public: world.public.clone(), members: Members::default() });
    assert_eq!(refused(&mut world, &again), StatementRefused::WrongMoment);
    let app = world.connected(EVERYTHING);
    let revoke = world.revocation(&app);
    let error = HolderState::create(&revoke, index(1), world.now_ms).unwrap_err();
    assert_eq!(error, StatementRefused::WrongMoment);
    let error = HolderState::create(&created, index(4), world.now_ms).unwrap_err();
    assert_eq!(error, StatementRefused::NotAHolder);
}

#[test]
fn a_group_that_contradicts_itself_is_not_created() {
    let mut world = World::new();
    let (stranger, _) = split(&mut world.rng);
    let mut key = world.public.clone();
    key.pubkey = stranger.pubkey;
    let mut share = world.public.clone();
    share.holders[1].verifying_share = stranger.holders[1].verifying_share;
    let mut threshold = world.public.clone();
    threshold.threshold = 1;
    let mut order = world.public.clone();
    order.holders.swap(0, 1);
    for public in [key, share, threshold, order] {
        let template =
            Statement::template(public.group, 1, &Verb::CreateGroup { public, members: Members::default() }, 0);
        let event = template.sign_with(&world.owner, &mut world.rng).unwrap();
        let error = Statement::verify(event).unwrap_err();
        assert!(matches!(error, StatementError::Group(_)), "{error}");
    }
    let mut event = content(&world.bunker.state.identity().statement);
    event["group"] = json!("0".repeat(32));
    let event = signed(&mut world, &event);
    assert!(matches!(Statement::verify(event).unwrap_err(), StatementError::Content(_)));
}

#[test]
fn a_connection_has_its_own_id_and_its_own_key() {
    let mut world = World::new();
    let (first, _) = world.new_grant(EVERYTHING, None);
    let (second, _) = world.new_grant(EVERYTHING, None);
    let statement = world.statement(&Verb::Grant(first.clone()));
    world.deliver(&statement).unwrap();
    let mut same_key = second.clone();
    same_key.transport_pubkey = first.transport_pubkey;
    let mut same_id = second.clone();
    same_id.connection = first.connection;
    for grant in [same_key, same_id] {
        let statement = world.statement(&Verb::Grant(grant));
        assert_eq!(refused(&mut world, &statement), StatementRefused::ConnectionExists);
    }
    let statement = world.statement(&Verb::Grant(second));
    world.deliver(&statement).unwrap();
}

#[test]
fn only_a_connection_that_exists_is_revoked() {
    let mut world = World::new();
    let connection = ConnectionId::from_bytes([9; 16]);
    let statement = world.statement(&Verb::Revoke { connection });
    assert_eq!(refused(&mut world, &statement), StatementRefused::NoSuchConnection);
}

#[test]
fn a_group_has_a_bounded_number_of_connections() {
    let mut world = World::new();
    for _ in 0..MAX_CONNECTIONS {
        world.granted(r#"{"rules":[]}"#);
    }
    let (grant, _) = world.new_grant(EVERYTHING, None);
    let statement = world.statement(&Verb::Grant(grant));
    assert_eq!(refused(&mut world, &statement), StatementRefused::TooManyConnections);
}

#[test]
fn a_statement_is_understood_entirely_or_not_at_all() {
    let mut world = World::new();
    let (grant, _) = world.new_grant(EVERYTHING, Some(2_000_000_000));
    let statement = world.statement(&Verb::Grant(grant));
    let good = content(statement.event());
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed
    };
    let without = |field: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(field);
        changed
    };
    let event = signed(&mut world, &with("v", json!(2)));
    assert_eq!(Statement::verify(event).unwrap_err(), StatementError::UnknownVersion(2));
    let event = signed(&mut world, &with("verb", json!("grant_all")));
    assert_eq!(Statement::verify(event).unwrap_err(), StatementError::UnknownVerb("grant_all".into()));
    let mut wrong = vec![
        with("extra", json!(1)),
        with("seq", json!(-1)),
        with("seq", json!("1")),
        with("connection", json!("ABCDEF00112233445566778899aabbcc")),
        with("transport_pubkey", json!("00")),
        with("secret_sha256", json!("F".repeat(64))),
        with("expires_at", json!("tomorrow")),
        with("label", json!("x".repeat(MAX_LABEL_BYTES + 1))),
        with("policy", json!({})),
        with("policy", json!({ "rules": [], "default": "allow" })),
        with("policy", json!({ "rules": [{ "effect": "allow", "methods": "all", "kind": [1] }] })),
        with("policy", json!({ "rules": [{ "effect": "allow", "methods": ["connect"] }] })),
        json!([]),
        json!("grant"),
    ];
    for field in ["v", "group", "seq", "verb", "connection", "transport_pubkey", "secret_sha256", "label", "policy"] {
        wrong.push(without(field));
    }
    for content in wrong {
        let event = signed(&mut world, &content);
        let error = Statement::verify(event).unwrap_err();
        assert!(matches!(error, StatementError::Content(_)), "{content}: {error}");
    }
    let deny = json!({ "rules": [{ "effect": "deny", "methods": ["nip44_decrypt"], "kinds": [4] }] });
    let event = signed(&mut world, &with("policy", deny));
    let error = Statement::verify(event).unwrap_err();
    assert_eq!(error, StatementError::Policy(PolicyError::NeverMatches { rule: 0 }));
    world.deliver(&statement).unwrap();
}

#[test]
fn only_the_statements_own_kind_without_tags_is_a_statement() {
    let mut world = World::new();
    let (grant, _) = world.new_grant(EVERYTHING, None);
    let statement = world.statement(&Verb::Grant(grant));
    for change in
        [|template: &mut Template| template.kind = 1, |template: &mut Template| template.tags = vec![vec!["p".into()]]]
    {
        let event = statement.event();
        let mut template = Template {
            created_at: event.created_at,
            kind: event.kind,
            tags: event.tags.clone(),
            content: event.content.clone(),
        };
        change(&mut template);
        let event = template.sign_with(&world.owner, &mut world.rng).unwrap();
        assert_eq!(Statement::verify(event).unwrap_err(), StatementError::NotAStatement);
    }
}

#[test]
fn a_statements_content_has_these_bytes() {
    let mut world = World::from_seed(16);
    let connection = ConnectionId::from_bytes([0xc0; 16]);
    let statement = world.statement_at(7, &Verb::Revoke { connection });
    let group = world.public.group;
    let expected = format!(r#"{{"v":1,"group":"{group}","seq":7,"verb":"revoke","connection":"{}"}}"#, "c0".repeat(16));
    assert_eq!(statement.event().content, expected);
    let (mut grant, _) = world.new_grant(r#"{"rules":[]}"#, None);
    grant.connection = connection;
    grant.label = "Ä".into();
    let (key, hash) = (grant.transport_pubkey, serde_json::to_string(&grant.secret_sha256).unwrap());
    let statement = world.statement_at(8, &Verb::Grant(grant));
    let expected = format!(
        r#"{{"v":1,"group":"{group}","seq":8,"verb":"grant","connection":"{}","transport_pubkey":"{key}","secret_sha256":{hash},"label":"Ä","policy":{{"rules":[]}},"expires_at":null,"auth_url":true}}"#,
        "c0".repeat(16)
    );
    assert_eq!(statement.event().content, expected);
}

#[test]
fn attack_5_a_share_or_the_groups_key_is_no_transport_key() {
    let mut world = World::new();
    let public = world.bunker.state.identity().public.clone();
    let shares = public.holders.iter().map(|holder| holder.verifying_share.to_bytes()[1..].try_into().unwrap());
    for key in shares.chain([*public.pubkey.as_bytes()]) {
        let (mut grant, _) = world.new_grant(EVERYTHING, None);
        grant.transport_pubkey = PublicKey::from_bytes(key);
        let statement = world.statement(&Verb::Grant(grant));
        assert_eq!(refused(&mut world, &statement), StatementRefused::KeyOfTheGroup);
    }
}

#[test]
fn attack_16_the_groups_own_key_cannot_be_its_owner() {
    let mut world = World::new();
    let secret = keygen::fresh_secret(&mut world.rng);
    let owner = TransportSecret::from_secret(&secret).unwrap();
    let holders = [HolderRole::Bunker, HolderRole::Cosigner, HolderRole::Recovery];
    let holders: Vec<_> = holders.into_iter().zip(1..).map(|(role, n)| (index(n), role)).collect();
    let group = GroupId::random(&mut world.rng);
    let (public, _) = keygen::split(secret, group, &holders, 2, &mut world.rng).unwrap();
    let template =
        Statement::template(group, 1, &Verb::CreateGroup { public, members: Members::default() }, world.now_s());
    let statement = Statement::verify(template.sign_with(&owner, &mut world.rng).unwrap()).unwrap();
    let refused = HolderState::create(&statement, index(1), world.now_s() * 1000).unwrap_err();
    assert_eq!(refused, StatementRefused::KeyOfTheGroup);
}

/// One statement of every verb that came after the first three, and what follows `"seq":7,` in its content.
fn later_verbs() -> Vec<(Verb, String)> {
    let connection = ConnectionId::from_bytes([0xc0; 16]);
    let request = EventId::from_bytes([0xe0; 32]);
    let (c, e) = ("c0".repeat(16), "e0".repeat(32));
    let approval = |method, kind, remember| Verb::Approve(Approval { connection, request, method, kind, remember });
    let terms = Terms {
        label: "Ä".into(),
        policy: policy(r#"{"rules":[{"effect":"ask","methods":["sign_event"]}]}"#),
        expires_at: None,
        auth_url: false,
    };
    vec![
        (
            Verb::Edit { connection, terms },
            format!(
                r#""verb":"edit","connection":"{c}","label":"Ä","policy":{{"rules":[{{"effect":"ask","methods":["sign_event"],"kinds":"all","peers":"all","uses":null}}]}},"expires_at":null,"auth_url":false"#
            ),
        ),
        (Verb::Pause { connection }, format!(r#""verb":"pause","connection":"{c}""#)),
        (Verb::Resume { connection }, format!(r#""verb":"resume","connection":"{c}""#)),
        (
            approval(Permission::SignEvent, Some(1), None),
            format!(
                r#""verb":"approve","connection":"{c}","request":"{e}","method":"sign_event","kind":1,"remember":null"#
            ),
        ),
        (
            approval(Permission::Nip44Decrypt, None, Some(Remember { until: None })),
            format!(
                r#""verb":"approve","connection":"{c}","request":"{e}","method":"nip44_decrypt","kind":null,"remember":{{"until":null}}"#
            ),
        ),
        (
            approval(Permission::Nip44Decrypt, None, Some(Remember { until: Some(9) })),
            format!(
                r#""verb":"approve","connection":"{c}","request":"{e}","method":"nip44_decrypt","kind":null,"remember":{{"until":9}}"#
            ),
        ),
        (Verb::Deny { connection, request }, format!(r#""verb":"deny","connection":"{c}","request":"{e}""#)),
        (
            Verb::Export { receiver: ReceivingPublic::from_bytes([0xaa; 32]) },
            format!(r#""verb":"export","receiver":"{}""#, "aa".repeat(32)),
        ),
        (Verb::CancelExport, r#""verb":"cancel_export""#.into()),
        (
            Verb::Reshare { terms: Digest32::from_bytes([0xbb; 32]) },
            format!(r#""verb":"reshare","terms":"{}""#, "bb".repeat(32)),
        ),
        (Verb::DeleteGroup, r#""verb":"delete_group""#.into()),
    ]
}

#[test]
fn later_verbs_have_these_bytes_and_read_back() {
    let mut world = World::from_seed(16);
    let group = world.public.group;
    for (verb, bytes) in later_verbs() {
        let statement = world.statement_at(7, &verb);
        assert_eq!(statement.event().content, format!(r#"{{"v":1,"group":"{group}","seq":7,{bytes}}}"#));
        assert_eq!((statement.verb(), statement.seq()), (&verb, 7));
    }
}

#[test]
fn a_later_verb_is_understood_entirely_or_not_at_all() {
    let mut world = World::new();
    for (verb, _) in later_verbs() {
        let statement = world.statement(&verb);
        let good = content(statement.event());
        for field in good.as_object().unwrap().keys().filter(|field| *field != "auth_url") {
            let mut changed = good.clone();
            changed.as_object_mut().unwrap().remove(field);
            let event = signed(&mut world, &changed);
            let error = Statement::verify(event).unwrap_err();
            assert!(matches!(error, StatementError::Content(_)), "{} without {field}: {error}", verb.name());
        }
        let mut changed = good.clone();
        changed["extra"] = json!(1);
        let event = signed(&mut world, &changed);
        assert!(matches!(Statement::verify(event), Err(StatementError::Content(_))), "{}", verb.name());
    }
    let [connection, request] = [json!("c0".repeat(16)), json!("e0".repeat(32))];
    let group = world.public.group;
    let approve = json!({ "v": 1, "group": group, "seq": 7, "verb": "approve", "connection": connection,
        "request": request, "method": "sign_event", "kind": 1, "remember": null });
    for (field, value) in [
        ("kind", Value::Null), // an approval of every kind there is
        ("kind", json!(65_536)),
        ("kind", json!("all")),
        ("method", json!("nip44_decrypt")),
        ("method", json!("all")),
        ("method", json!("connect")),
        ("request", json!("e0")),
        ("remember", json!(true)),
        ("remember", json!({})), // an approval without end
        ("remember", json!({ "until": "tomorrow" })),
        ("remember", json!({ "until": 9, "kinds": "all" })),
    ] {
        let mut changed = approve.clone();
        changed[field] = value.clone();
        let event = signed(&mut world, &changed);
        assert!(matches!(Statement::verify(event), Err(StatementError::Content(_))), "{field}: {value}");
    }
    let mut edit = content(world.statement(&later_verbs()[0].0).event());
    edit["label"] = json!("x".repeat(MAX_LABEL_BYTES + 1));
    let event = signed(&mut world, &edit);
    assert!(matches!(Statement::verify(event), Err(StatementError::Content(_))));
    edit["label"] = json!("x");
    edit["policy"] = json!({ "rules": [{ "effect": "ask", "methods": "all", "kinds": [1] }] });
    let event = signed(&mut world, &edit);
    assert_eq!(Statement::verify(event).unwrap_err(), StatementError::Policy(PolicyError::NeverMatches { rule: 0 }));
}

#[test]
fn a_grant_from_before_there_were_auth_urls_is_read_as_one_with_them() {
    let mut world = World::new();
    let (grant, app) = world.new_grant(EVERYTHING, None);
    let mut old = content(world.statement(&Verb::Grant(grant)).event());
    old.as_object_mut().unwrap().remove("auth_url");
    let event = signed(&mut world, &old);
    let statement = Statement::verify(event).unwrap();
    world.deliver(&statement).unwrap();
    assert!(world.bunker.connection(&app.connection).terms().auth_url);
}
