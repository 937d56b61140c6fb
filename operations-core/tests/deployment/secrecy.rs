//! What is not told: tokens are in one reply each, and the record knows people by blinded values only.

use std::collections::BTreeSet;

use frost_wasm_core::secret::Secret32;
use operations_core::{
    audit::{AuditTarget, DeploymentEntry, DeploymentHappening, LoginMethod, LoginOutcome},
    command::Command,
    ids::Blinded,
    proposal::Change,
    refusal::Refusal,
    seal::Target,
    text::{Code, OperatorName, Reason},
    token::OperatorToken,
    wire::Reply,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use serde_json::json;

use crate::world::{World, seal, team};

fn key(n: u8) -> Secret32 {
    Secret32::from_bytes([n; 32])
}

#[test]
fn a_blinded_value_is_the_same_under_one_key_and_another_under_another() {
    let values = ["alice", "alicf", "Alice", "", "alice\0"];
    let all: BTreeSet<_> =
        [1, 2].iter().flat_map(|n| values.map(|value| Blinded::of(&key(*n), value).to_string())).collect();
    assert_eq!(all.len(), 10);
    assert_eq!(Blinded::of(&key(1), "alice"), Blinded::of(&key(1), "alice"));
    for text in &all {
        assert!(text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()), "{text}");
        assert!(!text.contains(&hex::encode("alice")));
    }
    let owner = "02".repeat(32).parse().unwrap();
    assert_ne!(Blinded::of_owner(&key(1), &owner), Blinded::of_owner(&key(2), &owner));
}

/// Who has the key finds all records of one account, those of its seal among them.
#[test]
fn records_of_one_account_are_found_together_and_name_nobody() {
    let (mut world, team) = team();
    let owner = "02".repeat(32);
    world.tell(&team[0].1, &seal(Target::of(Some(owner.parse().unwrap())))).unwrap();
    let who = Blinded::of_owner(&world.key, &owner.parse().unwrap());
    let happenings = [
        DeploymentHappening::Login { outcome: LoginOutcome::Ok, method: LoginMethod::Password, who: Some(who) },
        DeploymentHappening::CredentialsChanged { who },
        DeploymentHappening::AccountDeleted { who },
    ];
    for happening in happenings {
        let mutations = world.state.record(DeploymentEntry::of(happening), world.now_ms);
        world.commit(&mutations);
    }
    let text = serde_json::to_string(&world.records).unwrap();
    assert_eq!(text.matches(&who.to_string()).count(), 4);
    assert!(!text.contains(&owner));
    let sealed = &world.records.iter().find_map(|it| match &it.entry.happening {
        DeploymentHappening::Sealed { target, .. } => Some(*target),
        _ => None,
    });
    assert_eq!(*sealed, Some(AuditTarget::Account(who)));
}

#[test]
fn the_name_of_a_proposed_operator_is_not_in_the_record() {
    let (mut world, team) = team();
    let what = json!({ "kind": "add_operator", "name": "Gwendolyn Nguyen", "scopes": ["read"] });
    let proposed = world.propose(&team[0].1, serde_json::from_value(what).unwrap()).unwrap();
    world.approve(&team[1].1, &proposed).unwrap();
    assert!(!serde_json::to_string(&world.records).unwrap().contains("Gwendolyn"));
}

/// Everything that is ever stored, recorded, answered or printed, and each token in one answer.
#[test]
fn a_token_is_in_the_one_reply_that_shows_it_and_nowhere_else() {
    let mut world = World::new();
    let all = json!(["read", "unseal", "operators"]);
    let operators = json!([{ "name": "ada", "scopes": all }, { "name": "ben", "scopes": all }]);
    let set_up = world.set_up(operators, 2).unwrap();
    let mut replies = vec![serde_json::to_string(&set_up).unwrap()];
    let mut told = format!("{set_up:?}");
    let mut tokens: Vec<_> = set_up.operators.into_iter().map(|it| it.token).collect();
    let what = json!({ "kind": "add_operator", "name": "fay", "scopes": ["read"] });
    let proposed = world.propose(&tokens[0], serde_json::from_value::<Change>(what).unwrap()).unwrap();
    let approved = world.approve(&tokens[1], &proposed).unwrap();
    replies.push(serde_json::to_string(&approved).unwrap());
    told += &format!("{approved:?}");
    tokens.push(approved.token.unwrap());
    let rotated = world.tell(&tokens[2], &Command::RotateToken {}).unwrap();
    replies.push(serde_json::to_string(&rotated).unwrap());
    told += &format!("{rotated:?}");
    let Reply::TokenRotated(rotated) = rotated else { panic!() };
    tokens.push(rotated.token);
    told += &format!("{:?}{:?}{tokens:?}", world.state, world.rows);
    told += &serde_json::to_string(&world.records).unwrap();
    for token in &tokens {
        let text = token.expose_text();
        let secret = text.expose_secret().strip_prefix("pop_").unwrap();
        assert!(!told.contains(secret));
        assert_eq!(replies.iter().map(|it| it.matches(secret).count()).sum::<usize>(), 1);
    }
    assert!(tokens.iter().map(|it| it.expose_text().expose_secret().to_owned()).collect::<BTreeSet<_>>().len() == 4);
}

#[test]
fn what_is_stored_of_a_token_opens_nothing() {
    let (mut world, team) = team();
    let (_, row) =
        world.rows.iter().find(|((kind, id), _)| *kind == "operator" && *id == team[0].0.to_string()).unwrap();
    let stored = serde_json::from_str::<serde_json::Value>(row).unwrap()["token_mac"].as_str().unwrap().to_owned();
    let mac: [u8; 32] = hex::decode(&stored).unwrap().try_into().unwrap();
    assert_eq!(team[0].1.mac(&world.key), team[0].1.mac(&world.key));
    assert_ne!(team[0].1.mac(&world.key), team[0].1.mac(&key(9)), "the key is part of it");
    let as_token = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, mac);
    let thief = OperatorToken::parse(&format!("pop_{as_token}")).unwrap();
    assert_eq!(world.tell(&thief, &seal(Target::Deployment)).unwrap_err(), Refusal::OperatorTokenInvalid);
    assert!(OperatorToken::parse(&stored).is_none());
}

#[test]
fn a_token_has_one_spelling() {
    let token = OperatorToken::random(&mut ChaCha20Rng::seed_from_u64(1)).expose_text();
    let text = token.expose_secret();
    assert_eq!(text.len(), 47);
    assert!(OperatorToken::parse(text).is_some());
    let body = text.strip_prefix("pop_").unwrap();
    let others = [
        body.to_owned(),
        format!("POP_{body}"),
        format!("{text}="),
        format!("{text}A"),
        format!(" {text}"),
        text[..46].to_owned(),
    ];
    for other in others {
        assert!(OperatorToken::parse(&other).is_none(), "{other}");
    }
}

#[test]
fn names_and_reasons_cannot_pretend_to_be_something_else() {
    for text in ["", " ada", "ada ", "a\nda", "a\u{202e}da", "a\u{200b}da", "a\u{0}da", &"a".repeat(65)] {
        assert!(text.parse::<OperatorName>().is_err(), "{text:?}");
    }
    assert!("Ada von Lovelace 漢".parse::<OperatorName>().is_ok());
    assert!("a".repeat(280).parse::<Reason>().is_ok() && "a".repeat(281).parse::<Reason>().is_err());
    for text in ["Alice", "alice@example", "a b", "é"] {
        assert!(text.parse::<Code>().is_err(), "{text:?}");
    }
    let (ada, other): (OperatorName, OperatorName) = ("Ada".parse().unwrap(), "ADA".parse().unwrap());
    assert!(ada.reads_like(&other));
}
