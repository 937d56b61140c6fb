//! Ceremonies in which everybody is honest, judged by an independent implementation.
#![allow(missing_docs)]

mod cast;
mod common;

use cast::Cast;
use common::{MESSAGE, index, judge_accepts, rng};
use frost_wasm_core::{
    ceremony::{Body, Step, Transcript},
    frost::{keygen, sign},
    group::GroupPublic,
    share::KeyShare,
};

/// Every set of `threshold` shares, by position.
fn subsets(of: usize, needed: usize) -> Vec<Vec<usize>> {
    (0_u32..1 << of)
        .filter(|mask| mask.count_ones() as usize == needed)
        .map(|mask| (0..of).filter(|at| mask & (1 << at) != 0).collect())
        .collect()
}

/// The first of them finishes, the others commit and sign.
fn sign_with(shares: &[&KeyShare], seed: u64) -> [u8; 64] {
    let rng = &mut rng(seed);
    let committed: Vec<_> = shares.iter().map(|share| (share.index(), sign::commit(share, rng).unwrap())).collect();
    let commitments: Vec<_> = committed.iter().map(|(index, (_, commitment))| (*index, *commitment)).collect();
    let mut contributions = Vec::new();
    for (share, (own, (nonces, _))) in shares.iter().zip(committed) {
        let others: Vec<_> = commitments.iter().filter(|(index, _)| *index != own).copied().collect();
        contributions.push(sign::sign_committed(nonces, share, share.group().epoch, &MESSAGE, &others).unwrap());
    }
    sign::combine(shares[0].group(), &MESSAGE, &contributions).unwrap()
}

fn every_set_signs(public: &GroupPublic, shares: &[KeyShare]) {
    for (seed, set) in (0..).zip(subsets(shares.len(), usize::from(public.threshold))) {
        let chosen: Vec<_> = set.iter().map(|at| &shares[*at]).collect();
        assert!(judge_accepts(public, &MESSAGE, sign_with(&chosen, seed)), "{set:?}");
    }
}

#[test]
fn a_keygen_makes_a_key_that_every_set_signs_for_and_nobody_has() {
    for (threshold, holders) in [(2, 2), (2, 3), (3, 5), (7, 10)] {
        for seed in 0..4 {
            let cast = Cast::keygen(threshold, holders, seed);
            let transcript = cast.run(seed);
            assert_eq!(transcript.step(), Step::Verified);
            let public = &**transcript.group().unwrap();
            assert_eq!((public.threshold, public.holders.len()), (threshold, usize::from(holders)));
            let shares = cast.take_shares(&transcript);
            every_set_signs(public, &shares);
            if holders == 10 {
                break; // once is enough of 120 sets
            }
        }
    }
}

#[test]
fn a_ceremony_takes_five_rounds() {
    let keygen = Cast::keygen(2, 3, 1);
    assert_eq!(keygen.run(1).round(), 5);
    let (from, shares) = common::group(2, 3, 1);
    assert_eq!(Cast::reshare(&from, shares, &[1, 2], &[1, 2, 3], 2, 1).run(1).round(), 5);
}

#[test]
fn both_parities_of_the_key_come_out_even() {
    let mut keys = Vec::new();
    for seed in 0..12 {
        let cast = Cast::keygen(2, 3, seed);
        let shares = cast.take_shares(&cast.run(seed));
        let whole = keygen::assemble_whole_key_on_device(&shares).unwrap();
        let judge = secp256k1::SecretKey::from_byte_array(*whole.expose_secret()).unwrap();
        let (x_only, parity) = judge.x_only_public_key(secp256k1::SECP256K1);
        assert_eq!(parity, secp256k1::Parity::Even);
        assert_eq!(x_only.serialize(), *shares[0].group().pubkey.as_bytes());
        keys.push(x_only);
    }
    keys.dedup();
    assert_eq!(keys.len(), 12);
}

#[test]
fn a_reshare_keeps_the_key_for_other_holders_and_thresholds() {
    type Case<'a> = (u16, u16, &'a [u16], &'a [u16], u16);
    let cases: [Case<'_>; 6] = [
        (2, 3, &[1, 2], &[1, 2, 3], 2),          // a refresh
        (2, 3, &[1, 3], &[1, 3, 4], 2),          // holder 2 is lost, 4 takes its place
        (2, 3, &[2, 3], &[4, 5, 6], 2),          // everybody else
        (2, 3, &[1, 2], &[1, 2, 3, 4, 5], 3),    // a larger team
        (3, 5, &[1, 3, 5], &[1, 2], 2),          // a smaller one
        (3, 5, &[2, 3, 4], &[1, 2, 3, 4, 5], 3), // dealers that are not the first
    ];
    for (seed, (threshold, holders, dealers, seats, next)) in (0..).zip(cases) {
        let (from, shares) = common::group(threshold, holders, seed);
        let cast = Cast::reshare(&from, shares, dealers, seats, next, seed);
        let transcript = cast.run(seed);
        assert_eq!(transcript.step(), Step::Verified, "{:?}", transcript.failure());
        let public = &**transcript.group().unwrap();
        assert_eq!((public.pubkey, public.epoch, public.threshold), (from.pubkey, 1, next));
        every_set_signs(public, &cast.take_shares(&transcript));
    }
}

#[test]
fn shares_from_before_a_reshare_do_not_sign_with_those_after_it() {
    let (from, shares) = common::group(2, 3, 7);
    let old = shares.iter().map(|share| KeyShare::new(&from, share.index(), share.expose_signing_share()).unwrap());
    let old: Vec<_> = old.collect();
    let cast = Cast::reshare(&from, shares, &[1, 2], &[1, 2, 3], 2, 7);
    let transcript = cast.run(7);
    let fresh = cast.take_shares(&transcript);
    let (nonces, commitment) = sign::commit(&fresh[0], &mut rng(1)).unwrap();
    let refused = sign::sign_last(&old[1], 1, &MESSAGE, &[(index(1), commitment)], &mut rng(2)).unwrap_err();
    assert_eq!(refused, sign::SignError::WrongEpoch { share: 0, asked: 1 });
    // Whoever leaves the epoch out of it gets no signature either, and is named.
    let stale = sign::sign_last(&old[1], 0, &MESSAGE, &[(index(1), commitment)], &mut rng(3)).unwrap();
    let named = sign::finish(nonces, &fresh[0], &MESSAGE, &[stale]).unwrap_err();
    assert_eq!(named, sign::SignError::Culprits(vec![index(2)]));
}

#[test]
fn the_threshold_library_agrees_with_what_was_dealt() {
    use frost_secp256k1_tr::{Identifier, keys};
    let cast = Cast::keygen(3, 5, 3);
    let transcript = cast.run(3);
    let shares = cast.take_shares(&transcript);
    let public = &**transcript.group().unwrap();
    let verifying = public.holders.iter().map(|holder| {
        let identifier = Identifier::try_from(holder.index.get()).unwrap();
        (identifier, keys::VerifyingShare::deserialize(&holder.verifying_share.to_bytes()).unwrap())
    });
    for (share, (identifier, verifying)) in shares.iter().zip(verifying) {
        let signing = keys::SigningShare::deserialize(share.expose_signing_share().expose_secret()).unwrap();
        assert_eq!(keys::VerifyingShare::from(signing), verifying, "{identifier:?}");
    }
    // Each deal is a commitment of the library's own verifiable secret sharing.
    let points = transcript.packages().filter_map(|package| match cast::body(package) {
        Body::Deal { commitment, .. } => Some(commitment.points().iter().map(|point| point.to_bytes()).collect()),
        _ => None,
    });
    for points in points {
        let points: Vec<[u8; 33]> = points;
        let library = keys::VerifiableSecretSharingCommitment::deserialize(points.clone()).unwrap();
        assert_eq!(library.serialize().unwrap(), points);
    }
}

#[test]
fn a_transcript_that_is_read_again_is_the_one_it_was() {
    let cast = Cast::keygen(2, 3, 5);
    let transcript = cast.run(5);
    let mut again = Transcript::new(cast.terms.clone());
    for package in transcript.packages() {
        assert_eq!(again.take(package), Ok(true));
        assert_eq!(again.take(package), Ok(false), "the same bytes change nothing");
    }
    assert_eq!(again.step(), Step::Verified);
    assert_eq!(**again.group().unwrap(), **transcript.group().unwrap());
}
