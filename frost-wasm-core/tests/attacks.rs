//! One test per attack on signing, on groups and on shares. Nonce reuse has its own file, and so has ECDH.
#![allow(missing_docs)]

mod common;

use common::{MESSAGE, group, index, rng};
use frost_wasm_core::{
    frost::{
        keygen,
        sign::{self, Commitment, Contribution, SignError, SignatureShare},
    },
    group::{GroupError, GroupPublic, HolderIndex, MemberError},
    point::{Point, XOnlyKey},
    secret::Secret32,
    share::{KeyShare, ShareError},
};
use k256::{
    ProjectivePoint, Scalar,
    elliptic_curve::{PrimeField, sec1::ToEncodedPoint},
};

fn commitment(share: &KeyShare, seed: u64) -> Commitment {
    sign::commit(share, &mut rng(seed)).unwrap().1
}

fn refused(share: &KeyShare, others: &[(HolderIndex, Commitment)]) -> SignError {
    sign::sign_last(share, 0, &MESSAGE, others, &mut rng(99)).unwrap_err()
}

fn negated(point: &Point) -> Point {
    let mut bytes = point.to_bytes();
    bytes[0] ^= 1;
    Point::from_bytes(&bytes).unwrap()
}

/// The same share, moved to another epoch.
fn at_epoch(epoch: u32, share: &KeyShare) -> KeyShare {
    let public = GroupPublic { epoch, ..GroupPublic::clone(share.group()) };
    KeyShare::new(&public, share.index(), share.expose_signing_share()).unwrap()
}

// --- signing packages that are not what they should be

#[test]
fn a_holder_does_not_sign_when_it_stands_among_the_others_itself() {
    let (_, shares) = group(2, 3, 1);
    let others = [(index(2), commitment(&shares[0], 1))];
    assert_eq!(refused(&shares[1], &others), MemberError::OwnIndex(index(2)).into());
}

#[test]
fn a_holder_listed_twice_is_refused_even_when_not_adjacent() {
    let (_, shares) = group(4, 5, 2);
    let others = [
        (index(1), commitment(&shares[0], 1)),
        (index(3), commitment(&shares[2], 2)),
        (index(1), commitment(&shares[0], 3)),
    ];
    assert_eq!(refused(&shares[1], &others), MemberError::Duplicate(index(1)).into());
}

#[test]
fn a_stranger_among_the_others_is_refused() {
    let (_, shares) = group(2, 3, 3);
    let others = [(index(9), commitment(&shares[0], 1))];
    assert_eq!(refused(&shares[1], &others), MemberError::Unknown(index(9)).into());
}

#[test]
fn fewer_others_than_the_threshold_needs_are_refused() {
    let (_, shares) = group(3, 5, 4);
    let others = [(index(1), commitment(&shares[0], 1))];
    assert_eq!(refused(&shares[1], &others), MemberError::Count { needed: 2, got: 1 }.into());
    assert_eq!(refused(&shares[1], &[]), MemberError::Count { needed: 2, got: 0 }.into());
}

#[test]
fn more_others_than_the_threshold_needs_are_refused() {
    let (_, shares) = group(2, 3, 5);
    let others = [(index(1), commitment(&shares[0], 1)), (index(3), commitment(&shares[2], 2))];
    assert_eq!(refused(&shares[1], &others), MemberError::Count { needed: 1, got: 2 }.into());
}

#[test]
fn a_request_of_another_epoch_is_refused() {
    let (_, shares) = group(2, 3, 6);
    let others = [(index(1), commitment(&shares[0], 1))];
    let result = sign::sign_last(&shares[1], 1, &MESSAGE, &others, &mut rng(1));
    assert_eq!(result.unwrap_err(), SignError::WrongEpoch { share: 0, asked: 1 });
}

#[test]
fn one_commitment_given_for_two_holders_is_refused() {
    let (_, shares) = group(3, 5, 7);
    let copied = commitment(&shares[0], 1);
    let others = [(index(1), copied), (index(3), copied)];
    assert_eq!(refused(&shares[1], &others), SignError::RepeatedCommitment(index(3)));
}

#[test]
fn a_commitment_whose_two_points_are_one_is_refused() {
    let (_, shares) = group(2, 3, 8);
    let text = commitment(&shares[0], 1).to_string();
    let doubled: Commitment = [&text[..66], &text[..66]].concat().parse().unwrap();
    assert_eq!(refused(&shares[1], &[(index(1), doubled)]), SignError::RepeatedCommitment(index(1)));
}

#[test]
fn a_commitment_that_echoes_the_coordinators_own_is_refused_on_finishing() {
    let (_, shares) = group(2, 3, 9);
    let mut rng = rng(9);
    let (nonces, own) = sign::commit(&shares[0], &mut rng).unwrap();
    let mut theirs = sign::sign_last(&shares[1], 0, &MESSAGE, &[(index(1), own)], &mut rng).unwrap();
    theirs.commitment = own;
    let result = sign::finish(nonces, &shares[0], &MESSAGE, &[theirs]);
    assert_eq!(result.unwrap_err(), SignError::RepeatedCommitment(index(2)));
}

#[test]
fn an_identity_or_off_curve_commitment_does_not_parse() {
    let identity = "00".repeat(66);
    assert!(identity.parse::<Commitment>().is_err());
    // x = 5 is not on the curve.
    let off_curve = format!("02{:064x}02{:064x}", 5, 5);
    assert!(off_curve.parse::<Commitment>().is_err());
    let (_, shares) = group(2, 3, 10);
    let good = commitment(&shares[0], 1).to_string();
    assert!(good.to_uppercase().parse::<Commitment>().is_err());
    assert!(good[2..].parse::<Commitment>().is_err());
}

#[test]
fn a_contribution_from_another_ceremony_names_its_holder_and_gives_no_signature() {
    let (_, shares) = group(2, 3, 11);
    let mut rng = rng(11);
    let (nonces, _) = sign::commit(&shares[0], &mut rng).unwrap();
    let (_, elsewhere) = sign::commit(&shares[0], &mut rng).unwrap();
    let theirs = sign::sign_last(&shares[1], 0, &MESSAGE, &[(index(1), elsewhere)], &mut rng).unwrap();
    let result = sign::finish(nonces, &shares[0], &MESSAGE, &[theirs]);
    assert_eq!(result.unwrap_err(), SignError::Culprits(vec![index(2)]));
}

#[test]
fn a_contribution_to_another_message_names_its_holder_and_gives_no_signature() {
    let (_, shares) = group(2, 3, 12);
    let mut rng = rng(12);
    let (nonces, own) = sign::commit(&shares[0], &mut rng).unwrap();
    let theirs = sign::sign_last(&shares[1], 0, &[0; 32], &[(index(1), own)], &mut rng).unwrap();
    let result = sign::finish(nonces, &shares[0], &MESSAGE, &[theirs]);
    assert_eq!(result.unwrap_err(), SignError::Culprits(vec![index(2)]));
}

#[test]
fn a_contribution_from_another_group_names_its_holder_and_gives_no_signature() {
    let ((_, ours), (_, theirs)) = (group(2, 3, 13), group(2, 3, 14));
    let mut rng = rng(13);
    let (nonces, own) = sign::commit(&ours[0], &mut rng).unwrap();
    let foreign = sign::sign_last(&theirs[1], 0, &MESSAGE, &[(index(1), own)], &mut rng).unwrap();
    let result = sign::finish(nonces, &ours[0], &MESSAGE, &[foreign]);
    assert_eq!(result.unwrap_err(), SignError::Culprits(vec![index(2)]));
}

#[test]
fn nonces_of_another_group_epoch_or_holder_do_not_sign() {
    let (_, shares) = group(2, 3, 15);
    let (_, others) = group(2, 3, 16);
    let later = at_epoch(1, &shares[0]);
    for maker in [&others[0], &later, &shares[2]] {
        let mut rng = rng(15);
        let (nonces, own) = sign::commit(maker, &mut rng).unwrap();
        let theirs = sign::sign_last(&shares[1], 0, &MESSAGE, &[(index(1), own)], &mut rng).unwrap();
        let result = sign::finish(nonces, &shares[0], &MESSAGE, &[theirs]);
        assert_eq!(result.unwrap_err(), SignError::ForeignNonces);
    }
}

// --- corrupt holders

#[test]
fn a_corrupt_share_is_reported_with_its_holder_instead_of_a_signature() {
    let (_, shares) = group(2, 3, 20);
    let mut rng = rng(20);
    let (nonces, own) = sign::commit(&shares[0], &mut rng).unwrap();
    let mut theirs = sign::sign_last(&shares[2], 0, &MESSAGE, &[(index(1), own)], &mut rng).unwrap();
    theirs.share = SignatureShare::from_bytes(&[1; 32]).unwrap();
    let result = sign::finish(nonces, &shares[0], &MESSAGE, &[theirs]);
    assert_eq!(result.unwrap_err(), SignError::Culprits(vec![index(3)]));
}

#[test]
fn every_corrupt_holder_is_named_and_no_honest_one() {
    let (_, shares) = group(4, 5, 21);
    let mut rng = rng(21);
    let (first_nonces, first) = sign::commit(&shares[0], &mut rng).unwrap();
    let (second_nonces, second) = sign::commit(&shares[1], &mut rng).unwrap();
    let (third_nonces, third) = sign::commit(&shares[2], &mut rng).unwrap();
    let (i, j, k, l) = (index(1), index(2), index(3), index(4));
    let last = sign::sign_last(&shares[3], 0, &MESSAGE, &[(i, first), (j, second), (k, third)], &mut rng).unwrap();
    let fourth = last.commitment;
    let mut mine =
        sign::sign_committed(second_nonces, &shares[1], 0, &MESSAGE, &[(i, first), (k, third), (l, fourth)]).unwrap();
    let honest =
        sign::sign_committed(third_nonces, &shares[2], 0, &MESSAGE, &[(i, first), (j, second), (l, fourth)]).unwrap();
    let mut corrupt = last;
    mine.share = corrupt.share;
    corrupt.share = SignatureShare::from_bytes(&[2; 32]).unwrap();
    let result = sign::finish(first_nonces, &shares[0], &MESSAGE, &[mine, honest, corrupt]);
    assert_eq!(result.unwrap_err(), SignError::Culprits(vec![j, l]));
}

#[test]
fn a_signature_share_beyond_the_group_order_does_not_parse() {
    assert!("ff".repeat(32).parse::<SignatureShare>().is_err());
    let contribution = serde_json::json!({"index": 0, "commitment": "", "share": ""});
    assert!(serde_json::from_value::<Contribution>(contribution).is_err());
}

// --- registrations that do not fit

#[test]
fn a_share_that_does_not_fit_its_verifying_share_is_refused() {
    let (public, shares) = group(2, 3, 30);
    let result = KeyShare::new(&public, index(1), shares[1].expose_signing_share());
    assert_eq!(result.unwrap_err(), ShareError::DoesNotFit(index(1)));
}

#[test]
fn a_share_of_a_holder_that_the_group_does_not_list_is_refused() {
    let (public, shares) = group(2, 3, 31);
    let result = KeyShare::new(&public, index(4), shares[1].expose_signing_share());
    assert_eq!(result.unwrap_err(), ShareError::UnknownHolder(index(4)));
}

#[test]
fn a_zero_or_oversized_share_is_refused() {
    let (public, _) = group(2, 3, 32);
    for bytes in [[0; 32], [0xff; 32]] {
        let result = KeyShare::new(&public, index(1), Secret32::from_bytes(bytes));
        assert_eq!(result.unwrap_err(), ShareError::NotAScalar);
    }
}

#[test]
fn shares_under_a_strangers_public_key_are_refused() {
    let (mut public, _) = group(2, 3, 33);
    public.pubkey = group(2, 3, 34).0.pubkey;
    assert_eq!(public.validate().unwrap_err(), GroupError::ShareOffPolynomial(index(2)));
}

#[test]
fn a_public_key_off_the_curve_is_refused() {
    let (mut public, _) = group(2, 3, 35);
    let mut x = [0; 32];
    x[31] = 5;
    public.pubkey = XOnlyKey::from_bytes(x);
    assert_eq!(public.validate().unwrap_err(), GroupError::PubkeyOffCurve);
}

#[test]
fn a_verifying_share_off_the_polynomial_is_refused_at_every_place() {
    for place in 0..5 {
        let (mut public, _) = group(3, 5, 36);
        public.holders[place].verifying_share = Point::GENERATOR;
        assert!(matches!(public.validate(), Err(GroupError::ShareOffPolynomial(_))));
    }
}

#[test]
fn a_polynomial_of_higher_degree_than_the_threshold_allows_is_refused() {
    let (mut public, _) = group(3, 5, 37);
    public.threshold = 2;
    assert!(matches!(public.validate(), Err(GroupError::ShareOffPolynomial(_))));
}

#[test]
fn groups_of_impossible_size_or_order_are_refused() {
    let (good, _) = group(2, 3, 38);
    let size = |threshold, holders| GroupError::Size { threshold, holders };

    let public = GroupPublic { threshold: 1, ..good.clone() };
    assert_eq!(public.validate().unwrap_err(), size(1, 3));
    let public = GroupPublic { threshold: 4, ..good.clone() };
    assert_eq!(public.validate().unwrap_err(), size(4, 3));
    let public = GroupPublic { holders: good.holders.repeat(4), ..good.clone() };
    assert_eq!(public.validate().unwrap_err(), size(2, 12));

    let mut public = good.clone();
    public.holders.swap(0, 1);
    assert_eq!(public.validate().unwrap_err(), GroupError::Order(index(1)));
    let mut public = good.clone();
    public.holders[1] = public.holders[0];
    assert_eq!(public.validate().unwrap_err(), GroupError::Order(index(1)));
}

#[test]
fn a_group_with_unknown_fields_or_a_zero_index_does_not_parse() {
    let (good, _) = group(2, 3, 39);
    let good = serde_json::to_value(&good).unwrap();
    let mut extra = good.clone();
    extra["extra"] = 1.into();
    let mut zero = good.clone();
    zero["holders"][0]["index"] = 0.into();
    let mut upper = good.clone();
    upper["pubkey"] = good["pubkey"].as_str().unwrap().to_uppercase().into();
    let mut identity = good.clone();
    identity["holders"][0]["verifying_share"] = "00".repeat(33).into();
    for bad in [extra, zero, upper, identity] {
        assert!(serde_json::from_value::<GroupPublic>(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn a_key_is_not_split_into_an_impossible_group() {
    let mut rng = rng(40);
    let roles = common::group(2, 3, 1).0.holders.iter().map(|h| (h.index, h.role)).collect::<Vec<_>>();
    let id = frost_wasm_core::group::GroupId::random(&mut rng);
    for (holders, threshold) in [(&roles[..], 1), (&roles[..], 4), (&[roles[0], roles[0]][..], 2)] {
        let secret = keygen::fresh_secret(&mut rng);
        assert!(keygen::split(secret, id, holders, threshold, &mut rng).is_err());
    }
    let zero = Secret32::from_bytes([0; 32]);
    assert_eq!(keygen::split(zero, id, &roles, 2, &mut rng).unwrap_err(), keygen::KeygenError::NotAKey);
}

// --- mixed forms and stale parts

#[test]
fn a_share_in_odd_y_form_is_refused() {
    let (public, shares) = group(2, 3, 50);
    let scalar = Scalar::from_repr((*shares[0].expose_signing_share().expose_secret()).into()).unwrap();
    let odd = Secret32::from_bytes((-scalar).to_bytes().into());
    let result = KeyShare::new(&public, index(1), odd);
    assert_eq!(result.unwrap_err(), ShareError::DoesNotFit(index(1)));
}

#[test]
fn verifying_shares_in_odd_y_form_are_refused_altogether_and_mixed() {
    let (good, _) = group(2, 3, 51);
    let mut all = good.clone();
    for holder in &mut all.holders {
        holder.verifying_share = negated(&holder.verifying_share);
    }
    assert!(matches!(all.validate(), Err(GroupError::ShareOffPolynomial(_))));
    for place in 0..3 {
        let mut mixed = good.clone();
        mixed.holders[place].verifying_share = negated(&mixed.holders[place].verifying_share);
        assert!(matches!(mixed.validate(), Err(GroupError::ShareOffPolynomial(_))));
    }
}

/// The same key shared out again, as a refresh does.
fn refreshed(public: &GroupPublic, shares: &[KeyShare]) -> (GroupPublic, Vec<Secret32>) {
    let whole = keygen::assemble_whole_key_on_device(shares).unwrap();
    let roles: Vec<_> = public.holders.iter().map(|h| (h.index, h.role)).collect();
    let (new, shares) = keygen::split(whole, public.group, &roles, public.threshold, &mut rng(77)).unwrap();
    (GroupPublic { epoch: public.epoch + 1, ..new }, shares.iter().map(KeyShare::expose_signing_share).collect())
}

#[test]
fn a_verifying_share_left_stale_after_a_refresh_is_refused() {
    let (old, shares) = group(2, 3, 52);
    let (new, _) = refreshed(&old, &shares);
    assert!(new.validate().is_ok());
    for place in 0..3 {
        let mut stale = new.clone();
        stale.holders[place].verifying_share = old.holders[place].verifying_share;
        assert!(matches!(stale.validate(), Err(GroupError::ShareOffPolynomial(_))));
    }
}

#[test]
fn a_share_from_before_a_refresh_does_not_load_into_the_new_epoch() {
    let (old, shares) = group(2, 3, 53);
    let (new, secrets) = refreshed(&old, &shares);
    let result = KeyShare::new(&new, index(1), shares[0].expose_signing_share());
    assert_eq!(result.unwrap_err(), ShareError::DoesNotFit(index(1)));
    for (holder, secret) in new.holders.iter().zip(secrets) {
        KeyShare::new(&new, holder.index, secret).unwrap();
    }
}

#[test]
fn a_share_repaired_with_a_corrupted_part_is_refused() {
    let (public, shares) = group(2, 3, 54);
    let scalar = Scalar::from_repr((*shares[2].expose_signing_share().expose_secret()).into()).unwrap();
    let corrupted = Secret32::from_bytes((scalar + Scalar::ONE).to_bytes().into());
    let result = KeyShare::new(&public, index(3), corrupted);
    assert_eq!(result.unwrap_err(), ShareError::DoesNotFit(index(3)));
}

#[test]
fn shares_of_two_epochs_do_not_assemble_a_key() {
    let (_, shares) = group(2, 3, 55);
    let mixed = [at_epoch(1, &shares[0]), at_epoch(0, &shares[1])];
    let result = keygen::assemble_whole_key_on_device(&mixed);
    assert_eq!(result.unwrap_err(), keygen::KeygenError::MixedShares);
    let result = keygen::assemble_whole_key_on_device(&shares[..1]);
    assert_eq!(result.unwrap_err(), keygen::KeygenError::TooFewShares { needed: 2, got: 1 });
}

#[test]
fn the_verifying_shares_published_are_the_shares_times_the_generator() {
    let (public, shares) = group(3, 5, 56);
    for (holder, share) in public.holders.iter().zip(&shares) {
        let scalar = Scalar::from_repr((*share.expose_signing_share().expose_secret()).into()).unwrap();
        let point = (ProjectivePoint::GENERATOR * scalar).to_affine().to_encoded_point(true);
        assert_eq!(holder.verifying_share.to_bytes(), point.as_bytes());
    }
}
