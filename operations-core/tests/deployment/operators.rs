//! What operators may do and may not, through the machine's own doors.

use frost_wasm_core::secret::Secret32;
use operations_core::{
    command::{Command, Issued},
    ids::{OperatorId, UnsealingId},
    lease::{Lease, Sealed},
    machine::{Ctx, MAX_REFUSALS_PER_MINUTE},
    operator::Scope,
    proposal::Change,
    refusal::Refusal,
    seal::{Target, UNSEALING_LIFETIME_MS},
    token::OperatorToken,
    wire::{Reply, SetUpRequest},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::json;

use crate::world::{T0_MS, World, seal, team};

#[test]
fn operators_are_set_up_once_and_only_with_enough_of_them() {
    let one = |name: &str| json!({ "name": name, "scopes": ["unseal", "operators"] });
    let mut world = World::new();
    assert_eq!(world.set_up(json!([one("a")]), 2).unwrap_err(), Refusal::TooFewOperators);
    assert_eq!(world.set_up(json!([one("a"), one("b")]), 1).unwrap_err(), Refusal::UnsealThresholdInvalid);
    assert_eq!(world.set_up(json!([one("a"), one("b")]), 3).unwrap_err(), Refusal::UnsealThresholdInvalid);
    assert_eq!(world.set_up(json!([one("a"), one("a")]), 2).unwrap_err(), Refusal::OperatorNameTaken);
    assert!(world.set_up(json!([one("a"), one("b")]), 2).is_ok());
    assert_eq!(world.set_up(json!([one("c"), one("d")]), 2).unwrap_err(), Refusal::AlreadySetUp);
}

#[test]
fn operators_whose_time_is_over_are_set_up_anew_and_a_seal_stays_closed_until_then() {
    let mut world = World::new();
    let who = |name: &str, lifetime_s: u64| json!({ "name": name, "scopes": ["operators", "seal", "unseal"], "lifetime_s": lifetime_s });
    let old = world.set_up(json!([who("ada", 600), who("ben", 86_400)]), 2).unwrap().operators;
    world.tell(&old[1].token, &seal(Target::Deployment)).unwrap();
    let again = json!([who("cleo", 86_400), who("dan", 86_400), who("ben", 86_400)]);
    assert_eq!(world.set_up(again.clone(), 2).unwrap_err(), Refusal::AlreadySetUp);
    // One alone can neither add anybody nor open anything.
    world.now_ms += 600_000;
    let new = world.set_up(again.clone(), 2).unwrap().operators;
    assert!(world.state.lease().sealed, "new operators find what the old ones sealed");
    let refused = world.unseal(&old[1].token, Target::Deployment, None).unwrap_err();
    assert_eq!(refused, Refusal::OperatorTokenInvalid, "an old token says nothing any more");
    let begun = world.unseal(&new[0].token, Target::Deployment, None).unwrap();
    assert!(world.unseal(&new[1].token, Target::Deployment, Some(begun.unsealing)).unwrap().unsealed);
    assert_eq!(world.set_up(again, 2).unwrap_err(), Refusal::AlreadySetUp);
    let removed =
        world.records.iter().filter(|it| serde_json::to_value(&it.entry).unwrap()["what"] == "operator_removed");
    assert_eq!(removed.count(), 2, "the chain says who went");
}

#[test]
fn without_the_configured_set_up_token_nobody_sets_up() {
    let mut world = World::new();
    let request: SetUpRequest = serde_json::from_value(json!({ "operators": [], "unseal_threshold": 2 })).unwrap();
    let (right, wrong) = (Secret32::from_bytes([3; 32]), Secret32::from_bytes([4; 32]));
    let mut ask = |shown: Option<&Secret32>, configured: Option<&Secret32>| {
        let ctx = &mut Ctx { now_ms: world.now_ms, rng: &mut world.rng, mac_key: &world.key };
        world.state.set_up(shown, configured, &request, None, ctx).map(|_| ()).unwrap_err().reason
    };
    assert_eq!(ask(Some(&right), None), Refusal::SetupTokenNotSet);
    assert_eq!(ask(Some(&wrong), Some(&right)), Refusal::SetupTokenInvalid);
    assert_eq!(ask(None, Some(&right)), Refusal::SetupTokenInvalid);
}

#[test]
fn one_operator_seals_and_one_does_not_unseal() {
    let (mut world, team) = team();
    let [(_, ada), (_, ben), ..] = &team[..] else { panic!() };
    let owner = "02".repeat(32).parse().unwrap();
    assert_eq!(world.state.lease().judge(&owner), Ok(()));
    world.tell(ada, &seal(Target::Deployment)).unwrap();
    assert_eq!(world.state.lease().judge(&owner), Err(Sealed::Deployment));

    let begun = world.unseal(ada, Target::Deployment, None).unwrap();
    assert!(!begun.unsealed && world.is_sealed());
    let again = world.unseal(ada, Target::Deployment, Some(begun.unsealing)).unwrap();
    assert!(!again.unsealed && world.is_sealed(), "one person's word twice is one word");
    let second = world.unseal(ben, Target::Deployment, Some(begun.unsealing)).unwrap();
    assert!(second.unsealed && !world.is_sealed());
}

#[test]
fn an_account_is_sealed_alone() {
    let (mut world, team) = team();
    let [(_, ada), (_, ben), ..] = &team[..] else { panic!() };
    let (owner, other) = ("02".repeat(32).parse().unwrap(), "03".repeat(32).parse().unwrap());
    world.tell(ada, &seal(Target::of(Some(owner)))).unwrap();
    let lease = world.state.lease();
    assert_eq!((lease.judge(&owner), lease.judge(&other)), (Err(Sealed::Account), Ok(())));
    let begun = world.unseal(ada, Target::of(Some(owner)), None).unwrap();
    assert!(world.unseal(ben, Target::of(Some(owner)), Some(begun.unsealing)).unwrap().unsealed);
    assert_eq!(world.state.lease(), Lease::default());
}

#[test]
fn a_word_for_another_unsealing_counts_nowhere() {
    let (mut world, team) = team();
    let [(_, ada), (_, ben), ..] = &team[..] else { panic!() };
    let account = Target::of(Some("02".repeat(32).parse().unwrap()));
    world.tell(ada, &seal(Target::Deployment)).unwrap();
    world.tell(ada, &seal(account)).unwrap();
    let of_account = world.unseal(ada, account, None).unwrap().unsealing;
    world.unseal(ada, Target::Deployment, None).unwrap();
    let crossed = world.unseal(ben, Target::Deployment, Some(of_account));
    assert_eq!(crossed.unwrap_err(), Refusal::UnsealingUnknown);
    let invented = world.unseal(ben, Target::Deployment, Some(UnsealingId::from_bytes([9; 8])));
    assert_eq!(invented.unwrap_err(), Refusal::UnsealingUnknown);
    assert!(world.is_sealed());
}

#[test]
fn words_are_worth_nothing_after_the_deadline_after_a_new_seal_and_after_their_speaker_is_gone() {
    let (mut world, team) = team();
    let [(_, ada), (ben_id, ben), (_, cleo), ..] = &team[..] else { panic!() };
    world.tell(ada, &seal(Target::Deployment)).unwrap();

    let late = world.unseal(ada, Target::Deployment, None).unwrap().unsealing;
    world.now_ms += UNSEALING_LIFETIME_MS;
    assert_eq!(world.unseal(ben, Target::Deployment, Some(late)).unwrap_err(), Refusal::UnsealingUnknown);

    let overtaken = world.unseal(ben, Target::Deployment, None).unwrap().unsealing;
    world.tell(cleo, &Command::RemoveOperator { operator: *ben_id }).unwrap();
    let word = world.unseal(ada, Target::Deployment, Some(overtaken)).unwrap();
    assert!(!word.unsealed && world.is_sealed(), "the word of who was removed was counted");
    assert_eq!(word.words.len(), 1);
    assert!(world.unseal(cleo, Target::Deployment, Some(overtaken)).unwrap().unsealed);

    world.tell(ada, &seal(Target::Deployment)).unwrap();
    let before = world.unseal(ada, Target::Deployment, None).unwrap().unsealing;
    world.tell(cleo, &seal(Target::Deployment)).unwrap();
    assert_eq!(world.unseal(cleo, Target::Deployment, Some(before)).unwrap_err(), Refusal::UnsealingUnknown);
    assert!(world.is_sealed());
}

#[test]
fn the_word_of_who_is_out_of_time_when_the_last_one_is_said_does_not_count() {
    let mut world = World::new();
    let who = |name: &str, lifetime_s| json!({ "name": name, "scopes": ["seal", "unseal", "operators"], "lifetime_s": lifetime_s });
    let reply = world.set_up(json!([who("ada", 600), who("ben", 86_400), who("cleo", 86_400)]), 2).unwrap();
    let [ada, ben, cleo] = &reply.operators[..] else { panic!() };
    world.tell(&ben.token, &seal(Target::Deployment)).unwrap();
    let begun = world.unseal(&ada.token, Target::Deployment, None).unwrap().unsealing;
    world.now_ms += 600_000;
    let word = world.unseal(&ben.token, Target::Deployment, Some(begun)).unwrap();
    assert!(!word.unsealed && world.is_sealed());
    assert_eq!(word.words, std::slice::from_ref(&ben.name));
    assert!(world.unseal(&cleo.token, Target::Deployment, Some(begun)).unwrap().unsealed);
}

#[test]
fn a_command_works_once_and_only_while_it_is_fresh() {
    let (mut world, team) = team();
    let ada = &team[0].1;
    let issued = world.fresh();
    world.send(ada, issued, &seal(Target::Deployment)).unwrap();
    assert_eq!(world.send(ada, issued, &seal(Target::Deployment)).unwrap_err(), Refusal::CommandReplayed);
    // For as long as it is fresh by its time, and after that as well.
    for later_ms in [299_000, 300_000, 301_000, 302_000, 400_000] {
        world.now_ms = T0_MS + later_ms;
        let refusal = world.send(ada, issued, &seal(Target::Deployment)).unwrap_err();
        assert!(matches!(refusal, Refusal::CommandReplayed | Refusal::CommandStale), "{refusal}");
    }
    let ahead = Issued { issued_at: world.now_ms / 1000 + 61, ..world.fresh() };
    assert_eq!(world.send(ada, ahead, &seal(Target::Deployment)).unwrap_err(), Refusal::CommandStale);
}

#[test]
fn nobody_does_what_their_scopes_do_not_say() {
    let (mut world, team) = team();
    let (ada, eve) = (&team[0].1, &team[4].1);
    assert_eq!(world.tell(eve, &seal(Target::Deployment)).unwrap_err(), Refusal::ScopeMissing(Scope::Seal));
    assert_eq!(world.unseal(eve, Target::Deployment, None).unwrap_err(), Refusal::ScopeMissing(Scope::Unseal));
    let delay = Change::SetExportDelay { seconds: Some(86_400) };
    assert_eq!(world.propose(eve, delay.clone()).unwrap_err(), Refusal::ScopeMissing(Scope::Policy));
    let proposed = world.propose(ada, delay).unwrap();
    assert_eq!(world.approve(eve, &proposed).unwrap_err(), Refusal::ScopeMissing(Scope::Policy));
    assert!(!world.is_sealed());
    assert_eq!(world.state.lease().export_delay_s, None);
}

#[test]
fn a_change_takes_two_people() {
    let (mut world, team) = team();
    let [(_, ada), (ben_id, ben), (_, cleo), ..] = &team[..] else { panic!() };
    let delay = || Change::SetExportDelay { seconds: Some(86_400) };
    let proposed = world.propose(ada, delay()).unwrap();
    assert_eq!(world.approve(ada, &proposed).unwrap_err(), Refusal::SecondOperatorNeeded);
    assert_eq!(world.state.lease().export_delay_s, None);
    world.approve(ben, &proposed).unwrap();
    assert_eq!(world.state.lease().export_delay_s, Some(86_400));
    assert_eq!(world.approve(cleo, &proposed).unwrap_err(), Refusal::ProposalUnknown, "approved twice");

    let orphan = world.propose(ben, Change::BeginRotation {}).unwrap();
    world.tell(cleo, &Command::RemoveOperator { operator: *ben_id }).unwrap();
    assert_eq!(world.approve(ada, &orphan).unwrap_err(), Refusal::ProposerGone);
    assert!(world.state.rotation_next().is_none());
}

#[test]
fn a_new_operator_comes_by_two_people_and_a_new_token_ends_the_old_one() {
    let (mut world, team) = team();
    let [(_, ada), (_, ben), ..] = &team[..] else { panic!() };
    let what: Change =
        serde_json::from_value(json!({ "kind": "add_operator", "name": "fay", "scopes": ["seal"] })).unwrap();
    let proposed = world.propose(ada, what).unwrap();
    let fay = world.approve(ben, &proposed).unwrap().token.unwrap();
    let Reply::TokenRotated(reply) = world.tell(&fay, &Command::RotateToken {}).unwrap() else { panic!() };
    assert_eq!(world.tell(&fay, &seal(Target::Deployment)).unwrap_err(), Refusal::OperatorTokenInvalid);
    assert!(world.tell(&reply.token, &seal(Target::Deployment)).is_ok());
}

#[test]
fn a_stranger_and_an_expired_token_are_refused_alike() {
    let (mut world, team) = team();
    let stranger = OperatorToken::random(&mut ChaCha20Rng::seed_from_u64(1));
    assert_eq!(world.tell(&stranger, &seal(Target::Deployment)).unwrap_err(), Refusal::OperatorTokenInvalid);
    world.now_ms += 91 * 24 * 60 * 60 * 1000;
    assert_eq!(world.tell(&team[0].1, &seal(Target::Deployment)).unwrap_err(), Refusal::OperatorTokenInvalid);
    assert!(!world.is_sealed());
}

#[test]
fn those_who_can_unseal_are_never_fewer_than_it_takes() {
    let (mut world, team) = team();
    let [(ada_id, ada), (ben_id, _), (cleo_id, _), (dan_id, dan), _] = &team[..] else { panic!() };
    let remove = |operator: &OperatorId| Command::RemoveOperator { operator: *operator };
    assert_eq!(world.tell(ada, &remove(ada_id)).unwrap_err(), Refusal::CannotRemoveOneself);
    world.tell(ada, &remove(ben_id)).unwrap();
    world.tell(ada, &remove(cleo_id)).unwrap();
    assert_eq!(world.tell(ada, &remove(dan_id)).unwrap_err(), Refusal::TooFewUnsealers);
    assert_eq!(world.tell(dan, &remove(ada_id)).unwrap_err(), Refusal::TooFewUnsealers);
}

#[test]
fn a_flood_of_strangers_fills_no_storage_and_its_size_is_recorded() {
    let (mut world, _) = team();
    let before = world.records.len();
    let stranger = OperatorToken::random(&mut ChaCha20Rng::seed_from_u64(1));
    for _ in 0..1_000 {
        assert!(world.tell(&stranger, &seal(Target::Deployment)).is_err());
    }
    assert_eq!(world.records.len() - before, MAX_REFUSALS_PER_MINUTE as usize);
    world.now_ms += 60_000;
    let step = world.state.tick(world.now_ms);
    world.commit(&step.mutations);
    let last = serde_json::to_string(world.records.last().unwrap()).unwrap();
    assert!(last.contains(&(1_000 - MAX_REFUSALS_PER_MINUTE).to_string()), "{last}");
}

#[test]
fn no_token_is_in_what_is_stored_or_shown_and_no_owner_key_is_in_the_record() {
    let (mut world, team) = team();
    let owner = "02".repeat(32);
    world.tell(&team[0].1, &seal(Target::of(Some(owner.parse().unwrap())))).unwrap();
    let stored = format!("{:?} {:?}", world.rows, world.state);
    for (_, token) in &team {
        let text = token.expose_text();
        assert!(!stored.contains(text.expose_secret().strip_prefix("pop_").unwrap()));
        assert!(!format!("{token:?}").contains(text.expose_secret()));
    }
    assert!(!serde_json::to_string(&world.records).unwrap().contains(&owner));
}

/// A lease that was asked for before the seal ends before the seal call returns.
#[test]
fn no_lease_outlives_the_wait_of_a_seal() {
    let sealed_at_ms = T0_MS;
    for asked_before_ms in 0..=Lease::LEASE_MS {
        let asked_at_ms = sealed_at_ms - asked_before_ms;
        assert!(!Lease::is_good(asked_at_ms, sealed_at_ms + Lease::SEAL_SETTLES_MS));
    }
    assert!(Lease::is_good(T0_MS, T0_MS) && !Lease::is_good(T0_MS, T0_MS - 1), "a clock that was set back");
}
