//! One test per attack on threshold ECDH.
#![allow(missing_docs)]

mod common;

use common::{context, group, index, parts, peer, rng};
use frost_wasm_core::{
    EncodingError,
    frost::ecdh::{self, Context, EcdhError, PartialEcdh, Peer, PeerError, Purpose},
    group::{GroupPublic, MemberError},
    point::Point,
    share::KeyShare,
};
use k256::{
    ProjectivePoint, Scalar,
    elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint},
};

fn projective(point: &Point) -> ProjectivePoint {
    let encoded = k256::EncodedPoint::from_bytes(point.to_bytes()).unwrap();
    ProjectivePoint::from_encoded_point(&encoded).unwrap()
}

fn point(point: ProjectivePoint) -> Point {
    Point::from_bytes(point.to_affine().to_encoded_point(true).as_bytes().try_into().unwrap()).unwrap()
}

struct Scene {
    public: GroupPublic,
    shares: Vec<KeyShare>,
    peer: Peer,
    context: Context,
}

impl Scene {
    fn new(threshold: u16, seed: u64) -> Self {
        let (public, shares) = group(threshold, 5, seed);
        let context = context(&public);
        Self { public, shares, peer: peer(seed).1, context }
    }

    fn parts(&self, indices: &[usize]) -> Vec<PartialEcdh> {
        let shares: Vec<_> = indices.iter().map(|i| &self.shares[*i]).collect();
        parts(&shares, &self.peer, &self.context, &mut rng(3))
    }

    fn verified(&self, parts: &[PartialEcdh]) -> Result<[u8; 32], EcdhError> {
        ecdh::combine_verified(self.shares[0].group(), &self.peer, &self.context, parts).map(|x| *x.expose_secret())
    }

    fn unverified(&self, parts: &[PartialEcdh]) -> Result<[u8; 32], EcdhError> {
        ecdh::combine_unverified(self.shares[0].group(), &self.context, parts).map(|x| *x.expose_secret())
    }

    fn refused_by_both(&self, parts: &[PartialEcdh], error: &EcdhError) {
        assert_eq!(self.verified(parts).as_ref(), Err(error));
        assert_eq!(self.unverified(parts).as_ref(), Err(error));
    }
}

// --- peers

#[test]
fn a_peer_off_the_curve_is_refused() {
    assert_eq!(Peer::from_hex(&format!("{:064x}", 5)).unwrap_err(), PeerError::OffCurve);
}

#[test]
fn the_identity_and_coordinates_beyond_the_field_are_no_peers() {
    let field_size = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";
    // The x of the generator plus nothing: only its one canonical spelling exists, so p + x has to fail.
    for text in ["0".repeat(64), "f".repeat(64), field_size.to_owned()] {
        assert_eq!(Peer::from_hex(&text).unwrap_err(), PeerError::OffCurve);
    }
}

#[test]
fn the_generator_is_no_peer_in_any_spelling() {
    let generator = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    assert_eq!(Peer::from_hex(generator).unwrap_err(), PeerError::Generator);
    let upper = Peer::from_hex(&generator.to_uppercase()).unwrap_err();
    assert_eq!(upper, PeerError::Encoding(EncodingError::NotLowercaseHex));
}

#[test]
fn uppercase_prefixed_padded_or_wrongly_long_hex_is_no_peer() {
    let good = peer(1).1.pubkey().to_string();
    assert!(Peer::from_hex(&good).is_ok());
    let length = |got| PeerError::Encoding(EncodingError::Length { expected: 64, got });
    for (text, error) in [
        (good.to_uppercase(), PeerError::Encoding(EncodingError::NotLowercaseHex)),
        (format!("{} ", &good[..63]), PeerError::Encoding(EncodingError::NotLowercaseHex)),
        (format!("0x{}", &good[..62]), PeerError::Encoding(EncodingError::NotLowercaseHex)),
        (format!(" {good}"), length(65)),
        (format!("02{good}"), length(66)),
        (good[..62].to_owned(), length(62)),
        (String::new(), length(0)),
    ] {
        assert_eq!(Peer::from_hex(&text).unwrap_err(), error, "{text:?}");
    }
}

// --- members

#[test]
fn fewer_parts_than_the_threshold_give_nothing() {
    let scene = Scene::new(3, 1);
    scene.refused_by_both(&scene.parts(&[0, 1]), &MemberError::Count { needed: 3, got: 2 }.into());
    scene.refused_by_both(&[], &MemberError::Count { needed: 3, got: 0 }.into());
}

#[test]
fn more_parts_than_the_threshold_are_refused() {
    let scene = Scene::new(2, 2);
    scene.refused_by_both(&scene.parts(&[0, 1, 2]), &MemberError::Count { needed: 2, got: 3 }.into());
}

#[test]
fn a_part_by_a_holder_outside_the_group_is_refused() {
    let scene = Scene::new(2, 3);
    let mut parts = scene.parts(&[0, 1]);
    parts[1].index = index(6);
    scene.refused_by_both(&parts, &MemberError::Unknown(index(6)).into());
}

#[test]
fn duplicate_parts_are_refused_even_when_not_adjacent() {
    let scene = Scene::new(3, 4);
    scene.refused_by_both(&scene.parts(&[0, 1, 0]), &MemberError::Duplicate(index(1)).into());
    scene.refused_by_both(&scene.parts(&[0, 0, 1]), &MemberError::Duplicate(index(1)).into());
}

#[test]
fn any_threshold_of_holders_in_any_order_gives_the_same_point() {
    let scene = Scene::new(3, 5);
    let expected = scene.verified(&scene.parts(&[0, 1, 2])).unwrap();
    for indices in [[2, 1, 0], [4, 0, 3], [3, 4, 2]] {
        assert_eq!(scene.verified(&scene.parts(&indices)).unwrap(), expected);
    }
}

#[test]
fn a_part_shown_under_another_holders_index_names_that_holder() {
    let scene = Scene::new(2, 6);
    let mut parts = scene.parts(&[0, 1]);
    parts[1].index = index(3);
    assert_eq!(scene.verified(&parts), Err(EcdhError::Culprits(vec![index(3)])));
}

// --- parts

#[test]
fn the_identity_as_a_part_does_not_parse() {
    let scene = Scene::new(2, 7);
    let mut json = serde_json::to_value(&scene.parts(&[0])[0]).unwrap();
    for bad in ["00".repeat(33), "00".to_owned(), format!("02{:064x}", 5), format!("04{:064x}", 5)] {
        json["point"] = bad.into();
        assert!(serde_json::from_value::<PartialEcdh>(json.clone()).is_err());
    }
}

#[test]
fn parts_that_cancel_each_other_out_are_refused() {
    let scene = Scene::new(2, 8);
    let mut parts = scene.parts(&[0, 1]);
    // The weights of holders 1 and 2 are 2 and -1.
    parts[1].point = point(projective(&parts[0].point) * Scalar::from(2u32));
    assert_eq!(scene.unverified(&parts), Err(EcdhError::Identity));
}

#[test]
fn a_rushing_holder_cannot_choose_the_shared_point_after_seeing_the_others_part() {
    let scene = Scene::new(2, 9);
    let mut parts = scene.parts(&[0, 1]);
    let chosen = ProjectivePoint::GENERATOR * Scalar::from(1234u32);
    parts[1].point = point(projective(&parts[0].point) * Scalar::from(2u32) - chosen);

    let forged = scene.unverified(&parts).unwrap();
    assert_eq!(forged, point(chosen).to_bytes()[1..], "without proofs the holder chooses");
    assert_eq!(scene.verified(&parts), Err(EcdhError::Culprits(vec![index(2)])));
    let blamed = ecdh::blame(scene.shares[0].group(), &scene.peer, &scene.context, &parts);
    assert_eq!(blamed, [index(2)], "and decrypting, which then fails, can tell who");
}

#[test]
fn every_holder_with_a_wrong_part_is_named_and_no_honest_one() {
    let scene = Scene::new(3, 10);
    let mut parts = scene.parts(&[0, 2, 4]);
    parts[0].point = Point::GENERATOR;
    parts[2].proof = parts[1].proof;
    assert_eq!(scene.verified(&parts), Err(EcdhError::Culprits(vec![index(1), index(5)])));
}

#[test]
fn a_part_does_not_serve_another_session_purpose_or_peer() {
    let scene = Scene::new(2, 11);
    let parts = scene.parts(&[0, 1]);
    let group = scene.shares[0].group();
    let all = Err(EcdhError::Culprits(vec![index(1), index(2)]));

    let session = Context { session: [8; 32], ..scene.context };
    assert_eq!(ecdh::combine_verified(group, &scene.peer, &session, &parts).map(|_| ()), all);
    let purpose = Context { purpose: Purpose::Nip04, ..scene.context };
    assert_eq!(ecdh::combine_verified(group, &scene.peer, &purpose, &parts).map(|_| ()), all);
    let other_peer = peer(12).1;
    assert_eq!(ecdh::combine_verified(group, &other_peer, &scene.context, &parts).map(|_| ()), all);
}

#[test]
fn a_part_does_not_serve_another_epoch_even_with_the_same_shares() {
    let scene = Scene::new(2, 13);
    let parts = scene.parts(&[0, 1]);
    let later = GroupPublic { epoch: 1, ..scene.public.clone() }.validate().unwrap();
    let context = Context { epoch: 1, ..scene.context };
    let result = ecdh::combine_verified(&later, &scene.peer, &context, &parts).map(|_| ());
    assert_eq!(result, Err(EcdhError::Culprits(vec![index(1), index(2)])));
}

#[test]
fn a_holder_contributes_only_to_its_own_group_and_epoch() {
    let scene = Scene::new(2, 14);
    let mut rng = rng(14);
    let other = Context { group: group(2, 3, 15).0.group, ..scene.context };
    let result = ecdh::contribute(&scene.shares[0], &scene.peer, &other, &mut rng);
    assert_eq!(result.unwrap_err(), EcdhError::WrongGroup);
    let later = Context { epoch: 1, ..scene.context };
    let result = ecdh::contribute(&scene.shares[0], &scene.peer, &later, &mut rng);
    assert_eq!(result.unwrap_err(), EcdhError::WrongEpoch { share: 0, asked: 1 });
}

#[test]
fn one_holder_alone_does_not_learn_the_shared_point() {
    let scene = Scene::new(2, 16);
    let parts = scene.parts(&[0, 1]);
    let shared = scene.verified(&parts).unwrap();
    for part in &parts {
        assert_ne!(part.point.to_bytes()[1..], shared);
    }
    let shown = format!("{parts:?}");
    assert!(!shown.contains(&parts[0].point.to_string()), "parts are not for logs");
}
