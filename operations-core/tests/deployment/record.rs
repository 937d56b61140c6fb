//! The record: kept for at least 90 days, and still provable after what is older was dropped.

use bunker_core::audit::{AuditHead, ChainError, verify_chain};
use operations_core::{
    audit::{DeploymentEntry, DeploymentHappening, DeploymentRecord, LoginMethod, LoginOutcome, Retention},
    ids::Blinded,
    state::Mutation,
};

use serde_json::json;

use crate::world::{T0_MS, World, team};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn login(world: &World, who: &str) -> DeploymentEntry {
    let who = Some(Blinded::of(&world.key, who));
    DeploymentEntry::of(DeploymentHappening::Login { outcome: LoginOutcome::Ok, method: LoginMethod::Passkey, who })
}

/// A record on each of so many days; the clock then stands at the last.
fn days(count: u64) -> World {
    let (mut world, _) = team();
    for day in 0..count {
        world.now_ms = T0_MS + day * DAY_MS;
        let mutations = world.state.record(login(&world, &format!("person {day}")), world.now_ms);
        world.commit(&mutations);
    }
    world
}

fn shortest() -> Retention {
    Retention::days(90).unwrap()
}

#[test]
fn nobody_can_ask_for_less_than_ninety_days() {
    for days in [0, 1, 89] {
        assert!(Retention::days(days).is_err(), "{days}");
    }
    assert_eq!(shortest().cutoff_ms(T0_MS), T0_MS - 90 * DAY_MS);
    assert_eq!(shortest().cutoff_ms(5), 0, "a clock that stands before the retention");
}

#[test]
fn what_is_ninety_days_old_stays_and_what_is_older_goes() {
    let mut world = days(100);
    let before = world.records.clone();
    let step = world.state.prune(&world.kept(), shortest(), world.now_ms).unwrap();
    world.commit(&step.mutations);
    let kept = world.kept();
    // The record of day 9 is exactly 90 days old on day 99.
    assert_eq!(kept.first().unwrap().at_ms, T0_MS + 9 * DAY_MS);
    assert!(before.iter().filter(|it| world.now_ms - it.at_ms <= 90 * DAY_MS).all(|it| kept.contains(it)));
}

#[test]
fn verification_goes_on_from_the_checkpoint_which_stands_in_the_chain_as_well() {
    let mut world = days(120);
    for (day, left) in [(120, 90), (121, 90), (160, 52), (400, 1)] {
        world.now_ms = T0_MS + (day - 1) * DAY_MS;
        let step = world.state.prune(&world.kept(), shortest(), world.now_ms).unwrap();
        world.commit(&step.mutations);
        let (checkpoint, kept) = (world.state.audit_checkpoint(), world.kept());
        assert_eq!(kept.first().unwrap().n, checkpoint.n + 1);
        assert!(kept.len() >= left, "{day}: {}", kept.len());
        let pruned = world.last();
        assert_eq!((&pruned["what"], &pruned["through"]), (&"audit_pruned".into(), &checkpoint.n.into()));
        assert_eq!(pruned["hash"], checkpoint.hash.to_string());
        verify_chain(checkpoint, &kept, Some(world.state.audit_head())).unwrap();
        // Not from the beginning, and not from another place.
        assert!(verify_chain(AuditHead::default(), &kept, None).is_err());
        assert!(kept.len() == 1 || verify_chain(checkpoint, &kept[1..], None).is_err());
    }
}

#[test]
fn a_broken_chain_is_kept_as_it_is() {
    let world = days(100);
    type BreakIt = fn(&mut Vec<DeploymentRecord>);
    let broken: [(BreakIt, ChainError); 4] = [
        (|it| it[3].at_ms += 1, ChainError::Altered { n: 4 }),
        (|it| drop(it.remove(3)), ChainError::Gap { expected: 4, found: 5 }),
        (|it| it.swap(3, 4), ChainError::Gap { expected: 4, found: 5 }),
        (|it| it[3].entry = it[4].entry.clone(), ChainError::Altered { n: 4 }),
    ];
    for (break_it, expected) in broken {
        let mut kept = world.kept();
        break_it(&mut kept);
        assert_eq!(world.state.prune(&kept, shortest(), world.now_ms).unwrap_err(), expected);
    }
    // One that was replaced with its hash is found by the next.
    let mut kept = world.kept();
    kept[3] = kept[2].head().append(kept[3].at_ms, login(&world, "somebody else"));
    let replaced = world.state.prune(&kept, shortest(), world.now_ms).unwrap_err();
    assert_eq!(replaced, ChainError::Unlinked { n: 5 });
    // Records that are not the first ones.
    let later = world.state.prune(&world.kept()[5..], shortest(), world.now_ms).unwrap_err();
    assert_eq!(later, ChainError::Gap { expected: 1, found: 6 });
}

#[test]
fn old_records_go_in_parts_and_nothing_goes_when_none_is_old() {
    let mut world = days(100);
    let part = world.state.prune(&world.kept()[..4], shortest(), world.now_ms).unwrap();
    world.commit(&part.mutations);
    assert_eq!(world.state.audit_checkpoint().n, 4);
    let rest = world.state.prune(&world.kept(), shortest(), world.now_ms).unwrap();
    world.commit(&rest.mutations);
    let at = world.state.audit_checkpoint().n;
    assert!(world.state.prune(&world.kept(), shortest(), world.now_ms).unwrap().mutations.is_empty());
    assert!(world.state.prune([], shortest(), world.now_ms).unwrap().mutations.is_empty());
    assert_eq!(world.state.audit_checkpoint().n, at);
}

#[test]
fn an_old_record_after_a_younger_one_waits_for_it() {
    let mut world = days(1);
    for day in [50, 5] {
        // The clock was set back.
        let mutations = world.state.record(login(&world, "person"), T0_MS + day * DAY_MS);
        world.commit(&mutations);
    }
    let step = world.state.prune(&world.kept(), shortest(), T0_MS + 100 * DAY_MS).unwrap();
    world.commit(&step.mutations);
    let days_kept: Vec<_> = world.kept().iter().map(|it| (it.at_ms - T0_MS) / DAY_MS).collect();
    assert_eq!(days_kept, [50, 5, 100]);
}

#[test]
fn fifty_thousand_records_verify_and_one_that_was_changed_among_them_is_named() {
    let world = World::new();
    let (mut head, mut records) = (AuditHead::default(), Vec::new());
    for n in 0..50_000_u64 {
        let record = head.append(T0_MS + n, login(&world, "person"));
        head = record.head();
        records.push(record);
    }
    assert_eq!(verify_chain(AuditHead::default(), &records, Some(head)), Ok(head));
    records[31_415].at_ms += 1;
    assert_eq!(verify_chain(AuditHead::default(), &records, None), Err(ChainError::Altered { n: 31_416 }));
}

#[test]
fn every_step_that_changes_something_of_worth_is_in_the_record() {
    let (mut world, team) = team();
    let before = world.records.len();
    let status = world.state.tick(world.now_ms);
    assert!(status.mutations.iter().all(|it| !matches!(it, Mutation::Audit(_))), "nothing happened");
    world.tell(&team[0].1, &crate::world::seal(operations_core::seal::Target::Deployment)).unwrap();
    let entry = world.last();
    assert_eq!(world.records.len(), before + 1);
    assert_eq!((&entry["what"], &entry["target"]), (&"sealed".into(), &"deployment".into()));
    assert_eq!((&entry["by"], &entry["reason"]), (&team[0].0.to_string().into(), &"a leak".into()));
}

/// A record is hashed as it is written. One that read back would be written otherwise would look edited.
#[test]
fn every_kind_of_record_reads_back_byte_for_byte() {
    let (operator, id, who) = ("0011223344556677", "8899aabbccddeeff", "00112233445566778899aabbccddeeff");
    let (hash, scopes) = ("ab".repeat(32), json!(["read", "backup"]));
    let target = json!({ "account": who });
    let happenings = [
        json!({ "what": "operators_set_up", "operators": [operator], "unseal_threshold": 2 }),
        json!({ "what": "operator_added", "operator": operator, "scopes": scopes }),
        json!({ "what": "operator_removed", "operator": operator }),
        json!({ "what": "operator_token_rotated", "operator": operator }),
        json!({ "what": "sealed", "target": "deployment", "reason": "a \"leak\" – 漢" }),
        json!({ "what": "unseal_begun", "target": target, "unsealing": id, "reason": "x" }),
        json!({ "what": "unseal_word", "target": target, "unsealing": id, "reason": "x" }),
        json!({ "what": "unsealed", "target": target, "unsealing": id, "words": [operator] }),
        json!({ "what": "unseal_expired", "target": target, "unsealing": id, "reason": "x" }),
        json!({ "what": "unseal_ended", "target": target, "unsealing": id, "reason": "x" }),
        json!({ "what": "proposed", "proposal": id, "change": { "kind": "add_operator", "scopes": scopes, "lifetime_s": null } }),
        json!({ "what": "approved", "proposal": id, "change": { "kind": "set_unseal_threshold", "k": 3 } }),
        json!({ "what": "approved", "proposal": id, "change": { "kind": "set_export_delay", "seconds": null } }),
        json!({ "what": "proposal_expired", "proposal": id, "change": { "kind": "begin_rotation" } }),
        json!({ "what": "command_refused", "command": "seal", "reason": "scope_missing" }),
        json!({ "what": "command_refused", "command": "seal", "reason": "scope_missing", "id": who }),
        json!({ "what": "refusals_counted", "class": "login", "count": u64::MAX }),
        json!({ "what": "login", "outcome": "ok", "method": "password", "who": who }),
        json!({ "what": "login", "outcome": { "refused": "wrong_password" }, "method": "refresh", "who": null }),
        json!({ "what": "account_created", "who": who }),
        json!({ "what": "account_deleted", "who": who }),
        json!({ "what": "credentials_changed", "who": who }),
        json!({ "what": "session_revoked", "who": who }),
        json!({ "what": "canary", "name": "a", "touched": "b" }),
        json!({ "what": "rotation_begun" }),
        json!({ "what": "rotation_progress", "done": 1, "total": 2, "failed": 0 }),
        json!({ "what": "rotation_done", "done": 1, "total": 2, "failed": 1 }),
        json!({ "what": "backup_made", "groups": 3, "digest": hash }),
        json!({ "what": "audit_pruned", "through": 9, "hash": hash }),
    ];
    let mut head = AuditHead::default();
    for happening in &happenings {
        for more in [json!({}), json!({ "by": operator }), json!({ "by": operator, "request_id": "aB:9" })] {
            let mut all = happening.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let entry: DeploymentEntry = serde_json::from_value(all.clone()).unwrap();
            assert_eq!(serde_json::to_value(&entry).unwrap(), all, "something was left out or added");
            let record = head.append(T0_MS, entry);
            let text = serde_json::to_string(&record).unwrap();
            let back: DeploymentRecord = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
            head = head.follow(&back).unwrap();
        }
    }
}
