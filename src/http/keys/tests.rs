use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bunker_core::keys::TransportSecret;
use bunker_core::members::{Member, Members};
use frost_wasm_core::frost::keygen;
use frost_wasm_core::group::{GroupId, HolderIndex};

use super::*;
use crate::platform::rng;
use crate::storage::memory::MemoryStore;

/// The fake never waits, so one poll is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the fake store waited"),
    }
}

fn key(account: &str, group: GroupId, statement: &str) -> KeyRecord {
    KeyRecord {
        group,
        account: account.to_owned(),
        pubkey: "02".repeat(32),
        label: "me".to_owned(),
        statement: statement.to_owned(),
        status: KeyStatus::Creating,
        created_at_ms: 1,
    }
}

fn group() -> GroupId {
    GroupId::random(&mut rng())
}

#[test]
fn the_same_request_again_finds_its_own_row_before_and_after_it_is_active() {
    let (store, group) = (MemoryStore::default(), group());
    let first = now(claim(&store, key("alice", group, "s1"))).unwrap();
    let mut later = key("alice", group, "s1");
    later.created_at_ms = 99;
    assert_eq!(now(claim(&store, later.clone())).unwrap(), first);
    now(store.activate_key(&group)).unwrap();
    assert_eq!(now(claim(&store, later)).unwrap().created_at_ms, 1);
}

#[test]
fn nobody_gets_the_group_of_another_account_at_any_stage() {
    let (store, group) = (MemoryStore::default(), group());
    now(claim(&store, key("alice", group, "s1"))).unwrap();
    for statement in ["s1", "s2"] {
        let refused = now(claim(&store, key("mallory", group, statement))).unwrap_err();
        assert_eq!(refused.code(), "group_exists");
    }
    now(store.activate_key(&group)).unwrap();
    let refused = now(claim(&store, key("mallory", group, "s1"))).unwrap_err();
    assert_eq!(refused.code(), "group_exists");
    assert_eq!(now(store.key_of("mallory", &group)).unwrap(), None);
    assert!(now(store.keys_of("mallory")).unwrap().is_empty());
}

#[test]
fn a_new_statement_replaces_an_unfinished_row_and_no_finished_one() {
    let (store, group) = (MemoryStore::default(), group());
    now(claim(&store, key("alice", group, "s1"))).unwrap();
    assert_eq!(now(claim(&store, key("alice", group, "s2"))).unwrap().statement, "s2");
    now(store.activate_key(&group)).unwrap();
    let refused = now(claim(&store, key("alice", group, "s3"))).unwrap_err();
    assert_eq!(refused.code(), "group_exists");
}

#[test]
fn an_account_has_at_most_64_keys_unfinished_ones_included() {
    let store = MemoryStore::default();
    for _ in 0..KEYS_MAX {
        now(claim(&store, key("alice", group(), "s"))).unwrap();
    }
    let refused = now(claim(&store, key("alice", group(), "s"))).unwrap_err();
    assert_eq!(refused.code(), "key_limit_reached");
    assert!(now(claim(&store, key("bob", group(), "s"))).is_ok());
}

#[test]
fn a_refused_creation_leaves_no_row_behind_and_a_finished_one_stays() {
    let (store, group) = (MemoryStore::default(), group());
    let row = now(claim(&store, key("alice", group, "s1"))).unwrap();
    now(store.release_claim(&row)).unwrap();
    assert!(store.keys.borrow().is_empty());
    let row = now(claim(&store, key("alice", group, "s1"))).unwrap();
    now(store.activate_key(&group)).unwrap();
    now(store.release_claim(&row)).unwrap();
    assert_eq!(now(store.keys_of("alice")).unwrap().len(), 1);
}

#[test]
fn a_store_that_fails_claims_nothing() {
    let store = MemoryStore::default();
    store.fails_after.set(Some(0));
    let failed = now(claim(&store, key("alice", group(), "s1"))).unwrap_err();
    assert_eq!(failed.code(), "unavailable");
}

#[test]
fn only_hosted_device_and_team_custody_are_taken_and_devices_get_their_shares_in_a_ceremony_only() {
    let member = TransportSecret::random(&mut rng()).public_key();
    let statement = |threshold, holders: &[(u16, HolderRole)], members: &[u16]| {
        let holders: Vec<_> = holders.iter().map(|(index, role)| (HolderIndex::new(*index).unwrap(), *role)).collect();
        let (secret, group) = (keygen::fresh_secret(&mut rng()), group());
        let (public, _) = keygen::split(secret, group, &holders, threshold, &mut rng()).unwrap();
        let member = |holder: &u16| Member { holder: HolderIndex::new(*holder).unwrap(), person: member };
        let members = Members::of(&members.iter().map(member).collect::<Vec<_>>(), &public).unwrap();
        let template = Statement::template(group, 1, &Verb::CreateGroup { public, members }, 1);
        let owner = TransportSecret::random(&mut rng());
        Statement::verify(template.sign_with(&owner, &mut rng()).unwrap()).unwrap()
    };
    use HolderRole::{Bunker, Cosigner, Device, Recovery};
    let hosted = [(1, Bunker), (2, Cosigner), (3, Recovery)];
    let device = [(1, Bunker), (2, Device), (3, Recovery)];
    let team = [(1, Bunker), (2, Device), (3, Device), (4, Device)];
    let packages = SharePackages { bunker: "a".into(), cosigner: "b".into() };
    let (split, ceremony) = (SharesOrigin::Packages(packages), SharesOrigin::Ceremony(CeremonyId::random(&mut rng())));
    assert!(supported_group(&statement(2, &hosted, &[]), &split).is_ok());
    assert!(supported_group(&statement(2, &hosted, &[]), &ceremony).is_ok());
    assert!(supported_group(&statement(2, &device, &[]), &ceremony).is_ok());
    for threshold in 2..=4 {
        assert!(supported_group(&statement(threshold, &team, &[3, 4]), &ceremony).is_ok());
    }
    let with_kit = [team[0], team[1], team[2], (4, Recovery)];
    for (threshold, holders, members, shares) in [
        (3, &hosted[..], &[][..], &split),
        (2, &hosted[..2], &[], &split),
        (2, &[(1, Cosigner), (2, Bunker), (3, Recovery)], &[], &split),
        (2, &device, &[], &split),
        (2, &device, &[2], &ceremony),
        (2, &[(1, Bunker), (2, Cosigner), (4, Recovery)], &[], &split),
        (2, &team, &[3, 4], &split),
        (2, &team, &[], &ceremony),
        (2, &team[1..], &[3, 4], &ceremony),
        (2, &with_kit, &[3], &ceremony),
        (2, &[team[0], team[1], (4, Device)], &[4], &ceremony),
    ] {
        let refused = supported_group(&statement(threshold, holders, members), shares).unwrap_err();
        assert_eq!(refused.code(), "holders_unsupported");
    }
}

#[test]
fn labels_that_cannot_be_shown_on_one_line_are_refused() {
    assert!(check_label("Meine Schlüssel 🔑").is_ok());
    for bad in ["", "  ", "a\nb", "a\u{7}", &"a".repeat(129)] {
        assert_eq!(check_label(bad).unwrap_err().code(), "label_invalid");
    }
}
