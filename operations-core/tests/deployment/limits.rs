//! Nothing that operators or strangers do grows without bound, and what is not written down is counted.

use bunker_core::keys::PublicKey;
use operations_core::{
    audit::{DeploymentEntry, DeploymentHappening, LoginMethod, LoginOutcome},
    command::{Command, Issued, MAX_REMEMBERED_PER_OPERATOR},
    machine::{Caller, Ctx, Due, MAX_REFUSALS_PER_MINUTE},
    operator::{MAX_OPERATORS, Scope},
    proposal::{Change, MAX_PROPOSALS},
    refusal::Refusal,
    seal::{MAX_SEALED_ACCOUNTS, Target},
    state::Mutation,
    text::Code,
    token::OperatorToken,
    wire::Reply,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::json;

use crate::world::{T0_MS, World, seal, team};

const MINUTE_MS: u64 = 60_000;

fn account(n: usize) -> Target {
    let owner: PublicKey = format!("{n:064x}").parse().unwrap();
    Target::of(Some(owner))
}

/// How many records there are of a happening, and the sum of their counts.
fn counted(world: &World, what: &str, class: &str) -> (usize, u64) {
    let entries: Vec<_> = world.records.iter().map(|it| serde_json::to_value(&it.entry).unwrap()).collect();
    let of_it: Vec<_> =
        entries.iter().filter(|it| it["what"] == what && (it["class"] == class || class.is_empty())).collect();
    (of_it.len(), of_it.iter().filter_map(|it| it["count"].as_u64()).sum())
}

#[test]
fn a_flood_of_one_kind_hides_nothing_of_another() {
    let (mut world, team) = team();
    let stranger = OperatorToken::random(&mut ChaCha20Rng::seed_from_u64(1));
    for _ in 0..200 {
        world.tell(&stranger, &seal(Target::Deployment)).unwrap_err();
    }
    let before = world.records.len();
    world.tell(&team[4].1, &seal(Target::Deployment)).unwrap_err();
    assert_eq!(world.records.len(), before + 1, "an operator's refusal among a stranger's");
    assert_eq!(
        (&world.last()["reason"], &world.last()["by"]),
        (&"scope_missing".into(), &team[4].0.to_string().into())
    );
    let refused = LoginOutcome::Refused(Code::new("wrong_password"));
    let login = DeploymentHappening::Login { outcome: refused, method: LoginMethod::Password, who: None };
    let mutations = world.state.record(DeploymentEntry::of(login), world.now_ms);
    world.commit(&mutations);
    assert_eq!(world.records.len(), before + 2, "a login's refusal among a stranger's");
    // And what went well is always written down.
    world.tell(&team[0].1, &seal(Target::Deployment)).unwrap();
    assert_eq!(world.last()["what"], "sealed");
}

#[test]
fn every_refusal_is_recorded_or_counted_minute_by_minute() {
    let (mut world, _) = team();
    let stranger = OperatorToken::random(&mut ChaCha20Rng::seed_from_u64(1));
    let own = u64::from(MAX_REFUSALS_PER_MINUTE);
    for (minute, refusals) in [(0, 100), (1, own), (2, own + 1), (7, 45)] {
        world.now_ms = T0_MS + minute * MINUTE_MS;
        for _ in 0..refusals {
            world.tell(&stranger, &seal(Target::Deployment)).unwrap_err();
        }
    }
    world.now_ms += MINUTE_MS;
    let step = world.state.tick(world.now_ms);
    world.commit(&step.mutations);
    let (records, _) = counted(&world, "command_refused", "");
    let (counts, sum) = counted(&world, "refusals_counted", "stranger");
    assert_eq!(records as u64, 4 * own);
    assert_eq!(counts, 3, "a minute in which each has its own record needs none");
    assert_eq!(records as u64 + sum, 100 + own + own + 1 + 45);
}

#[test]
fn a_thousand_accounts_are_sealed_one_by_one_and_no_more() {
    let (mut world, team) = team();
    let [(_, ada), (_, ben), ..] = &team[..] else { panic!() };
    world.is_watched = false;
    for n in 0..MAX_SEALED_ACCOUNTS {
        world.now_ms += 2_000;
        world.tell(ada, &seal(account(n))).unwrap();
    }
    let one_more = seal(account(MAX_SEALED_ACCOUNTS));
    assert_eq!(world.tell(ada, &one_more).unwrap_err(), Refusal::TooManySealedAccounts);
    assert!(world.tell(ada, &seal(account(7))).is_ok(), "one that is sealed is still answered for");
    assert!(world.tell(ben, &seal(Target::Deployment)).is_ok(), "and everything can be sealed");
    assert_eq!(world.state.lease().sealed_owners.len(), 1_000);
    let begun = world.unseal(ada, account(7), None).unwrap();
    assert!(world.unseal(ben, account(7), Some(begun.unsealing)).unwrap().unsealed);
    assert!(world.tell(ada, &one_more).is_ok());
    world.check();
}

#[test]
fn commands_are_remembered_up_to_a_number_of_each_operator_and_until_they_are_stale() {
    let (mut world, team) = team();
    let [(_, ada), (_, ben), ..] = &team[..] else { panic!() };
    world.is_watched = false;
    let first = world.fresh();
    world.send(ada, first, &seal(Target::Deployment)).unwrap();
    for _ in 1..MAX_REMEMBERED_PER_OPERATOR {
        world.tell(ada, &seal(Target::Deployment)).unwrap();
    }
    assert_eq!(world.tell(ada, &seal(Target::Deployment)).unwrap_err(), Refusal::TooManyCommands);
    assert!(world.tell(ben, &seal(Target::Deployment)).is_ok(), "one operator's haste stops nobody else");
    assert_eq!(world.send(ada, first, &seal(Target::Deployment)).unwrap_err(), Refusal::CommandReplayed);
    let remembered = |world: &World| world.rows.keys().filter(|(kind, _)| *kind == "command").count();
    assert_eq!(remembered(&world), MAX_REMEMBERED_PER_OPERATOR + 1);
    world.now_ms += 300_999;
    assert!(world.tell(ada, &seal(Target::Deployment)).is_err(), "still fresh by the second");
    world.now_ms = T0_MS + 301_000;
    assert!(world.tell(ada, &seal(Target::Deployment)).is_ok());
    assert_eq!(remembered(&world), 1, "what is stale is forgotten");
    world.check();
}

/// Ids of the future have to be kept for longer, or they would come again.
#[test]
fn a_command_of_the_near_future_works_once_as_well() {
    let (mut world, team) = team();
    let ada = &team[0].1;
    let ahead = Issued { issued_at: world.now_ms / 1000 + 60, ..world.fresh() };
    world.send(ada, ahead, &seal(Target::Deployment)).unwrap();
    for later_ms in (0..=420_000).step_by(15_000) {
        world.now_ms = T0_MS + later_ms;
        let refusal = world.send(ada, ahead, &seal(Target::Deployment)).unwrap_err();
        let expected = if later_ms <= 360_000 { Refusal::CommandReplayed } else { Refusal::CommandStale };
        assert_eq!(refusal, expected, "{later_ms}");
    }
}

#[test]
fn proposals_and_operators_are_limited() {
    let (mut world, team) = team();
    let [(_, ada), (_, ben), ..] = &team[..] else { panic!() };
    let add = |n: usize| -> Change {
        serde_json::from_value(json!({ "kind": "add_operator", "name": format!("new {n}"), "scopes": ["read"] }))
            .unwrap()
    };
    let mut proposed = Vec::new();
    for n in 0..MAX_PROPOSALS {
        proposed.push(world.propose(ada, add(n)).unwrap());
    }
    assert_eq!(world.propose(ada, add(99)).unwrap_err(), Refusal::TooManyProposals);
    let room = MAX_OPERATORS - team.len();
    for it in &proposed[..room] {
        world.approve(ben, it).unwrap();
    }
    assert_eq!(world.approve(ben, &proposed[room]).unwrap_err(), Refusal::TooManyOperators);
    assert_eq!(world.propose(ada, add(99)).unwrap_err(), Refusal::TooManyOperators);
}

#[test]
fn looking_often_writes_little() {
    let (mut world, team) = team();
    let mut written = 0;
    for _ in 0..100 {
        world.now_ms += 1_000;
        let caller = Caller { token: Some(&team[0].1), request_id: None };
        let ctx = &mut Ctx { now_ms: world.now_ms, rng: &mut world.rng, mac_key: &world.key };
        let step = world.state.authorise(caller, Scope::Read, ctx).unwrap();
        written += step.mutations.len();
        world.commit(&step.mutations);
    }
    assert_eq!(written, 2, "the time of the last use, once a minute");
}

#[test]
fn what_is_over_leaves_the_storage_and_the_alarm_knows_when() {
    let (mut world, team) = team();
    let [(_, ada), ..] = &team[..] else { panic!() };
    assert_eq!(world.state.next_due(), None);
    world.tell(ada, &seal(Target::Deployment)).unwrap();
    let begun = world.unseal(ada, Target::Deployment, None).unwrap();
    let proposed = world.propose(ada, Change::BeginRotation {}).unwrap();
    world.tell(&team[4].1, &seal(Target::Deployment)).unwrap_err();
    // A minute's refusals, then commands, then the unsealing, then the proposal.
    let mut dues = Vec::new();
    while let Some(Due(at_ms)) = world.state.next_due() {
        assert!(at_ms > world.now_ms, "the alarm would ring for ever");
        world.now_ms = at_ms;
        let step = world.state.tick(at_ms);
        assert!(!step.mutations.is_empty(), "it rang for nothing");
        assert!(step.mutations.iter().all(|it| !matches!(it, Mutation::Unsealed(_))), "time opened a seal");
        world.commit(&step.mutations);
        dues.push(at_ms);
    }
    assert_eq!(dues, [T0_MS + MINUTE_MS, T0_MS + 301_000, begun.deadline * 1000, proposed.deadline * 1000]);
    let kinds: std::collections::BTreeSet<_> = world.rows.keys().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["audit", "operator", "policy", "seal"]);
    assert_eq!(counted(&world, "unseal_expired", "").0 + counted(&world, "proposal_expired", "").0, 2);
    let Reply::Sealed(again) = world.tell(ada, &seal(Target::Deployment)).unwrap() else { panic!() };
    assert_eq!(again.sealed_at, T0_MS / 1000, "it is sealed all the time");
}

#[test]
fn a_command_of_nobody_costs_the_command_table_nothing() {
    let (mut world, _) = team();
    let stranger = OperatorToken::random(&mut ChaCha20Rng::seed_from_u64(1));
    for _ in 0..100 {
        world.tell(&stranger, &Command::RotateToken {}).unwrap_err();
    }
    assert!(!world.rows.keys().any(|(kind, _)| *kind == "command"));
}
