//! New shares of a key that people share: one of them leaves, another one comes, and the Nostr key stays.

use bunker_core::{
    keys::PublicKey,
    members::MembersError,
    session::{Entered, ReshareRefused, Step},
};
use frost_wasm_core::{frost::sign, group::HolderRole, secret::Secret32, share::KeyShare};

use super::{BUNKER, COSIGNER, Cast, DEVICE, Place, copy, wait_out_an_export, word};
use crate::world::{Person, World, index};

/// Stays with the share of this number, and deals.
const fn deals(number: u16) -> Place {
    (Some(number), Some((number, HolderRole::Device)))
}

/// Gets a share of this number.
const fn gets(number: u16) -> Place {
    (None, Some((number, HolderRole::Device)))
}

/// On whose word the bunker would do this, or why it does not. The key of a place that is a server's counts for nothing.
fn asked(world: &mut World, threshold: u16, places: &[(Place, &Secret32)]) -> Result<Cast, ReshareRefused> {
    let cast = Cast::of(world, threshold, places);
    world.say(&cast.verb()).unwrap();
    word(&world.bunker.state, &cast, world.now_ms).map(|_| cast)
}

fn keys(people: &[Person]) -> Vec<Secret32> {
    people.iter().map(|person| person.key.expose_secret()).collect()
}

fn stranger(byte: u8) -> Secret32 {
    Secret32::from_bytes([byte; 32])
}

#[test]
fn a_member_is_replaced_and_its_share_does_nothing_more() {
    let (mut world, people) = World::with_people(3, 2);
    let [owner, second, _] = keys(&people).try_into().unwrap();
    let new = stranger(7);
    let places = [(BUNKER, &owner), (deals(2), &owner), (deals(3), &second), (gets(5), &new)];
    let cast = asked(&mut world, 3, &places).unwrap();
    let present = [&copy(&world.bunker.share), &people[0].share, &people[1].share];
    let now_ms = world.now_ms;
    let word = word(&world.bunker.state, &cast, now_ms).unwrap();
    let transcript = cast.run(&present, &mut world.rng);
    let Step { mutations, effect } = world.bunker.state.enter_epoch(&word, &transcript, now_ms).unwrap();
    assert_eq!(effect, Entered::Seated);
    world.bunker.commit(&mutations).unwrap();
    world.bunker.wake();
    world.bunker.share = cast.share(1, &present, &transcript);

    let state = &world.bunker.state;
    let listed: Vec<_> = state.identity().members.list().iter().map(|it| it.holder.get()).collect();
    assert_eq!(listed, [3, 5], "whom the bunker takes contributions of");
    assert_eq!(state.person_of(index(4)), None);
    assert_eq!(state.identity().public.pubkey, world.public.pubkey);
    let shares: Vec<_> = (2..=4).map(|party| cast.share(party, &present, &transcript)).collect();
    assert_signs([&world.bunker.share, &shares[0], &shares[2]], &mut world.rng.clone());
    let old = sign::commit(&people[2].share, &mut world.rng).unwrap();
    let others = [(index(4), old.1)];
    assert!(sign::sign_last(&shares[0], 1, &[1; 32], &others, &mut world.rng).is_err());
}

/// These sign together.
fn assert_signs(shares: [&KeyShare; 3], rng: &mut rand_chacha::ChaCha20Rng) {
    let [first, second, last] = shares;
    let (own, first_commitment) = sign::commit(first, rng).unwrap();
    let (kept, second_commitment) = sign::commit(second, rng).unwrap();
    let epoch = first.group().epoch;
    let of = |share: &KeyShare, commitment| (share.index(), commitment);
    let others = [of(first, first_commitment), of(second, second_commitment)];
    let signed = sign::sign_last(last, epoch, &[9; 32], &others, rng).unwrap();
    let others = [of(first, first_commitment), of(last, signed.commitment)];
    let between = sign::sign_committed(kept, second, epoch, &[9; 32], &others).unwrap();
    let signature = sign::finish(own, first, &[9; 32], &[between, signed]).unwrap();
    let key = PublicKey::from_bytes(*first.group().pubkey.as_bytes());
    key.verify(&[9; 32], &signature).unwrap();
}

#[test]
fn everybody_deals_as_who_they_are() {
    let (mut world, people) = World::with_people(3, 2);
    let [owner, second, third] = keys(&people).try_into().unwrap();
    let crossed = [(BUNKER, &owner), (deals(2), &owner), (deals(3), &third), (gets(4), &second)];
    assert_eq!(asked(&mut world, 3, &crossed).err(), Some(ReshareRefused::OtherPerson(3)));
    let as_member = [(BUNKER, &owner), (deals(2), &second), (deals(3), &second), (gets(4), &third)];
    assert_eq!(asked(&mut world, 3, &as_member).err(), Some(ReshareRefused::OtherPerson(2)));
    // A refresh for the same people.
    let same = [(BUNKER, &owner), (deals(2), &owner), (deals(3), &second), (gets(4), &third)];
    assert!(asked(&mut world, 3, &same).is_ok());
}

#[test]
fn a_shared_key_stays_one_and_nobody_takes_it_alone() {
    let (mut world, people) = World::with_people(3, 2);
    let [owner, second, third] = keys(&people).try_into().unwrap();
    let kit = (None, Some((5, HolderRole::Recovery)));
    for (threshold, places) in [
        (2, vec![(BUNKER, &owner), (deals(2), &owner), ((Some(3), None), &second), (kit, &owner)]),
        (3, vec![(BUNKER, &owner), (deals(2), &owner), (deals(3), &second), (gets(4), &third), (kit, &owner)]),
        (3, vec![(BUNKER, &owner), (deals(2), &owner), ((Some(3), None), &second), (gets(4), &owner)]),
    ] {
        assert_eq!(asked(&mut world, threshold, &places).err(), Some(ReshareRefused::Custody));
    }
    let two = [(BUNKER, &owner), (deals(2), &owner), (deals(3), &second), (gets(4), &owner)];
    assert_eq!(asked(&mut world, 2, &two).err(), Some(ReshareRefused::Members(MembersError::WholeKey)));
    let two = [(BUNKER, &owner), (deals(2), &owner), (deals(3), &second), (gets(4), &second)];
    assert_eq!(asked(&mut world, 2, &two).err(), Some(ReshareRefused::Members(MembersError::WholeKey)));
}

#[test]
fn owner_and_newcomers_do_not_get_the_whole_key_before_an_exports_delay() {
    // One signs: the owner and a newcomer would have the key.
    let (mut world, people) = World::with_people(2, 1);
    let [owner, second] = keys(&people).try_into().unwrap();
    let new = stranger(7);
    let places = [(BUNKER, &owner), (deals(2), &owner), (gets(4), &new)];
    assert_eq!(asked(&mut world, 2, &places).err(), Some(ReshareRefused::NeedsExport));
    // With both who had it anyway, or for the same people, there is none.
    let both =
        [((None, Some((1, HolderRole::Bunker))), &owner), (deals(2), &owner), (deals(3), &second), (gets(4), &new)];
    assert!(asked(&mut world, 2, &both).is_ok());
    let same = [(BUNKER, &owner), (deals(2), &owner), (gets(3), &second)];
    assert!(asked(&mut world, 2, &same).is_ok());
    wait_out_an_export(&mut world);
    assert!(asked(&mut world, 2, &places).is_ok());

    // A key of one's own is shared: by the server's two holders after the delay, by device and kit at once.
    let mut world = World::new();
    let owner = world.owner.expose_secret();
    let places = [(BUNKER, &owner), ((Some(2), None), &owner), (gets(4), &owner), (gets(5), &new)];
    assert_eq!(asked(&mut world, 2, &places).err(), Some(ReshareRefused::NeedsExport));
    let with_cosigner = [(BUNKER, &owner), (COSIGNER, &owner), (gets(4), &new)];
    assert_eq!(asked(&mut world, 2, &with_cosigner).err(), Some(ReshareRefused::Custody));
    wait_out_an_export(&mut world);
    assert!(asked(&mut world, 2, &places).is_ok());
    let mut world = World::with_device();
    let owner = world.owner.expose_secret();
    let places =
        [((None, Some((1, HolderRole::Bunker))), &owner), (DEVICE, &owner), ((Some(3), None), &owner), (gets(4), &new)];
    assert!(asked(&mut world, 2, &places).is_ok());
}
