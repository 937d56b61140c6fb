//! A cosigner that answers wrongly: it is named, and nothing leaves. Also what a coordinator may not put into a
//! signing package.

use bunker_core::{
    event::Event,
    joint::{ContributeError, ContributionReply},
    keys::{PublicKey, TransportSecret},
    nip46::Response,
};
use frost_wasm_core::{
    frost::{
        dleq::Proof,
        ecdh::{self, Context, PartialEcdh, Peer, Purpose},
        sign::{self, Commitment, Contribution, SignError, SignatureShare},
    },
    group::MemberError,
    point::Point,
};
use k256::{
    ProjectivePoint, Scalar,
    elliptic_curve::{Field, PrimeField, group::GroupEncoding, sec1::ToEncodedPoint},
};
use serde_json::{Value, json};

use crate::{
    judge::{Correspondent, assert_signed},
    world::{App, EVERYTHING, Uncontributed, World, body, index, template},
};

const NAMED: &str = "holder_misbehaved:cosigner";

/// Submits a request whose contribution is exchanged on its way, and asserts that the cosigner is named for it and
/// that nothing is given.
#[track_caller]
fn blames_the_cosigner(
    world: &mut World,
    app: &App,
    request: &Event,
    exchange: impl FnOnce(&mut World, ContributionReply) -> ContributionReply,
) {
    let response = exchanged(world, app, request, exchange);
    assert_eq!(response.expose_result(), None, "something was released");
    let text = response.error_text().unwrap();
    assert!(text.contains("holder cosigner"), "{text}");
    assert!(!text.contains("bunker") && !text.contains("recovery"), "{text}");
    let last = serde_json::to_value(world.bunker.audit().pop().unwrap()).unwrap();
    assert_eq!(last["entry"]["what"], "request_failed");
    assert_eq!(last["entry"]["reason"], NAMED, "{text}");
}

fn exchanged(
    world: &mut World,
    app: &App,
    request: &Event,
    exchange: impl FnOnce(&mut World, ContributionReply) -> ContributionReply,
) -> Response {
    let reply = world.submit_through(request, |world, body| {
        let honest = world.call_cosigner(body)?;
        Ok(exchange(world, honest))
    });
    app.read(&reply.reply())
}

fn signed(reply: ContributionReply) -> Contribution {
    match reply {
        ContributionReply::Signed(contribution) => contribution,
        other => panic!("{other:?}"),
    }
}

fn part(reply: ContributionReply) -> PartialEcdh {
    match reply {
        ContributionReply::Ecdh(part) => part,
        other => panic!("{other:?}"),
    }
}

fn sign_request(world: &mut World, app: &App) -> Event {
    world.request(app, "sign_event", json!([template(1, "x")]))
}

#[test]
fn promise_4_a_corrupt_signature_share_names_its_holder_and_nothing_is_signed() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for _ in 0..4 {
        let request = sign_request(&mut world, &app);
        blames_the_cosigner(&mut world, &app, &request, |world, honest| {
            let scalar = Scalar::random(&mut world.rng);
            let share = SignatureShare::from_bytes(&scalar.to_repr().into()).unwrap();
            ContributionReply::Signed(Contribution { share, ..signed(honest) })
        });
    }
    let request = sign_request(&mut world, &app);
    blames_the_cosigner(&mut world, &app, &request, |_, honest| {
        let mut bytes = [0; 32];
        hex::decode_to_slice(signed_share(&signed_copy(&honest)), &mut bytes).unwrap();
        let one_more = Scalar::from_repr(bytes.into()).unwrap() + Scalar::ONE;
        let share = SignatureShare::from_bytes(&one_more.to_repr().into()).unwrap();
        ContributionReply::Signed(Contribution { share, ..signed(honest) })
    });
    assert_signed(&world.sign(&app, 1), &world.npub());
}

fn signed_copy(reply: &ContributionReply) -> Contribution {
    signed(crate::world::through_the_wire(reply))
}

fn signed_share(contribution: &Contribution) -> String {
    contribution.share.to_string()
}

#[test]
fn promise_4_a_share_that_belongs_to_another_commitment_message_or_attempt_names_its_holder() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = sign_request(&mut world, &app);
    blames_the_cosigner(&mut world, &app, &request, |world, honest| {
        let (_, commitment) = sign::commit(&world.cosigner.share, &mut world.rng).unwrap();
        ContributionReply::Signed(Contribution { commitment, ..signed(honest) })
    });
    // Signed over another message than the one that was asked for.
    let request = sign_request(&mut world, &app);
    let begun = world.begin(&request).ok().unwrap();
    let commitments = begun.commitments.clone();
    let response = world.finish(begun, |world, _| {
        let (share, rng) = (&world.cosigner.share, &mut world.rng);
        let other = sign::sign_last(share, 0, &[7; 32], &commitments, rng).unwrap();
        Ok(ContributionReply::Signed(other))
    });
    let response = app.read(&response.reply());
    assert!(response.error_text().unwrap().contains("holder cosigner"));
    // Of an earlier attempt at the same request.
    let request = sign_request(&mut world, &app);
    let earlier = world.begin(&request).ok().unwrap();
    let earlier = world.call_cosigner(&earlier.body).unwrap();
    blames_the_cosigner(&mut world, &app, &request, |_, _| earlier);
}

#[test]
fn promise_4_a_commitment_copied_from_the_bunker_names_its_holder() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let request = sign_request(&mut world, &app);
    let begun = world.begin(&request).ok().unwrap();
    let (_, commitment) = begun.commitments[0];
    let reply = world.finish(begun, |world, body| {
        let honest = signed(world.call_cosigner(body)?);
        Ok(ContributionReply::Signed(Contribution { commitment, ..honest }))
    });
    let response = app.read(&reply.reply());
    let text = response.error_text().unwrap();
    assert!(text.contains("holder cosigner") && text.contains("commitment"), "{text}");
}

#[test]
fn promise_4_a_cosigner_that_answers_as_another_holder_is_named_itself() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for other in [1, 3, 9] {
        let request = sign_request(&mut world, &app);
        blames_the_cosigner(&mut world, &app, &request, |_, honest| {
            ContributionReply::Signed(Contribution { index: index(other), ..signed(honest) })
        });
        let peer = TransportSecret::random(&mut world.rng).public_key().to_hex();
        let request = world.request(&app, "nip44_encrypt", json!([peer, "x"]));
        blames_the_cosigner(&mut world, &app, &request, |_, honest| {
            ContributionReply::Ecdh(PartialEcdh { index: index(other), ..part(honest) })
        });
    }
}

/// An encryption and a decryption request of each kind, with the peer they are about.
fn ecdh_requests(world: &mut World, app: &App) -> Vec<(TransportSecret, Event)> {
    let npub = world.npub();
    let mut requests = Vec::new();
    for method in ["nip44_encrypt", "nip44_decrypt", "nip04_encrypt", "nip04_decrypt"] {
        let secret = TransportSecret::random(&mut world.rng);
        let peer = Correspondent::new(&secret);
        let text = match method {
            "nip44_decrypt" => peer.writes_nip44(&npub, "hello"),
            "nip04_decrypt" => peer.writes_nip04(&npub, "hello"),
            _ => "hello".to_owned(),
        };
        let request = world.request(app, method, json!([peer.hex(), text]));
        requests.push((secret, request));
    }
    requests
}

fn context(world: &World, session: &Event, purpose: Purpose) -> Context {
    Context { group: world.public.group, epoch: world.public.epoch, session: *session.id.as_bytes(), purpose }
}

fn point(point: ProjectivePoint) -> Point {
    let bytes: [u8; 33] = point.to_affine().to_bytes().into();
    Point::from_bytes(&bytes).unwrap()
}

#[test]
fn promise_4_a_corrupt_ecdh_point_names_its_holder_and_nothing_is_encrypted_or_decrypted() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for (_, request) in ecdh_requests(&mut world, &app) {
        blames_the_cosigner(&mut world, &app, &request, |world, honest| {
            let wrong = point(ProjectivePoint::GENERATOR * Scalar::random(&mut world.rng));
            ContributionReply::Ecdh(PartialEcdh { point: wrong, ..part(honest) })
        });
    }
}

#[test]
fn promise_4_a_corrupt_proof_names_its_holder() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for (_, request) in ecdh_requests(&mut world, &app) {
        let decrypts_nip44 = is_nip44_decrypt(&app, &request);
        let corrupt = |_: &mut World, honest: ContributionReply| {
            let honest = part(honest);
            let mut proof: Value = serde_json::to_value(honest.proof).unwrap();
            let text = proof.as_str().unwrap();
            let last = if text.ends_with('0') { "1" } else { "0" };
            proof = json!(format!("{}{last}", &text[..text.len() - 1]));
            let proof: Proof = serde_json::from_value(proof).unwrap();
            ContributionReply::Ecdh(PartialEcdh { proof, ..honest })
        };
        if decrypts_nip44 {
            // The point is right, and the message's own MAC says so.
            let response = exchanged(&mut world, &app, &request, corrupt);
            assert_eq!(response.expose_result(), Some("hello"));
        } else {
            blames_the_cosigner(&mut world, &app, &request, corrupt);
        }
    }
}

fn is_nip44_decrypt(app: &App, request: &Event) -> bool {
    bunker_core::nip44::decrypt(&app.conversation(), &request.content).unwrap().contains("nip44_decrypt")
}

#[test]
fn promise_4_a_part_made_for_another_request_peer_or_purpose_names_its_holder() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let other_request = sign_request(&mut world, &app);
    let other_peer = TransportSecret::random(&mut world.rng).public_key();
    for (secret, request) in ecdh_requests(&mut world, &app) {
        if is_nip44_decrypt(&app, &request) {
            continue; // there the point decides, not the proof
        }
        let own = peer(&secret.public_key());
        for (peer, session, purposes) in [
            (peer(&other_peer), &request, [Purpose::Nip44, Purpose::Nip04]),
            (own, &other_request, [Purpose::Nip44, Purpose::Nip04]),
        ] {
            for purpose in purposes {
                let request = renewed(&mut world, &app, &request);
                let session = if std::ptr::eq(session, &other_request) { session } else { &request };
                let context = context(&world, session, purpose);
                blames_the_cosigner(&mut world, &app, &request, |world, _| {
                    let (share, rng) = (&world.cosigner.share, &mut world.rng);
                    ContributionReply::Ecdh(ecdh::contribute(share, &peer, &context, rng).unwrap())
                });
            }
        }
        let request = renewed(&mut world, &app, &request);
        let text = bunker_core::nip44::decrypt(&app.conversation(), &request.content).unwrap();
        let wrong = if text.contains("nip44") { Purpose::Nip04 } else { Purpose::Nip44 };
        let context = context(&world, &request, wrong);
        blames_the_cosigner(&mut world, &app, &request, |world, _| {
            let (share, rng) = (&world.cosigner.share, &mut world.rng);
            ContributionReply::Ecdh(ecdh::contribute(share, &own, &context, rng).unwrap())
        });
    }
}

fn peer(key: &PublicKey) -> Peer {
    Peer::from_hex(&key.to_hex()).unwrap()
}

/// The same request in a new event.
fn renewed(world: &mut World, app: &App, request: &Event) -> Event {
    let text = bunker_core::nip44::decrypt(&app.conversation(), &request.content).unwrap();
    world.sealed(app, &text)
}

#[test]
fn promise_4_a_part_that_cancels_the_bunkers_out_names_its_holder() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for (secret, request) in ecdh_requests(&mut world, &app) {
        blames_the_cosigner(&mut world, &app, &request, |world, honest| {
            // Knowing the peer's secret p, the bunker's part is p times its verifying share. The weights of 1 and 2
            // are 2 and -1.
            let share = world.bunker.share.expose_signing_share();
            let share = Scalar::from_repr((*share.expose_secret()).into()).unwrap();
            let secret = secret.expose_secret();
            let secret = Scalar::from_repr((*secret.expose_secret()).into()).unwrap();
            let base = ProjectivePoint::GENERATOR * secret;
            let is_odd = base.to_affine().to_encoded_point(true).as_bytes()[0] == 3;
            let base = if is_odd { -base } else { base };
            let cancelling = point(base * share * Scalar::from(2_u64));
            ContributionReply::Ecdh(PartialEcdh { point: cancelling, ..part(honest) })
        });
    }
}

#[test]
fn promise_4_an_answer_to_another_question_names_its_holder() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let sign = sign_request(&mut world, &app);
    let begun = world.begin(&sign).ok().unwrap();
    let signed = world.call_cosigner(&begun.body).unwrap();
    let (secret, encrypt) = ecdh_requests(&mut world, &app).remove(0);
    let context = context(&world, &encrypt, Purpose::Nip44);
    let part = ecdh::contribute(&world.cosigner.share, &peer(&secret.public_key()), &context, &mut world.rng);
    let part = ContributionReply::Ecdh(part.unwrap());
    let copy = crate::world::through_the_wire;

    let request = sign_request(&mut world, &app);
    blames_the_cosigner(&mut world, &app, &request, |_, _| ContributionReply::Recorded);
    let request = sign_request(&mut world, &app);
    blames_the_cosigner(&mut world, &app, &request, |_, _| copy(&part));
    blames_the_cosigner(&mut world, &app, &encrypt, |_, _| copy(&signed));
    let request = renewed(&mut world, &app, &encrypt);
    blames_the_cosigner(&mut world, &app, &request, |_, _| ContributionReply::Recorded);
    let request = world.request(&app, "logout", json!([]));
    blames_the_cosigner(&mut world, &app, &request, |_, _| copy(&part));
}

#[test]
fn a_message_that_does_not_decrypt_blames_no_honest_holder() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let npub = world.npub();
    let writer = Correspondent::new(&TransportSecret::random(&mut world.rng));
    let named = TransportSecret::random(&mut world.rng).public_key().to_hex();
    let payload = writer.writes_nip44(&npub, "hello");
    let text = world.refused(&app, "nip44_decrypt", json!([named, payload]));
    assert!(text.contains("cannot decrypt") && !text.contains("holder"), "{text}");
}

#[test]
fn attack_4_a_cosigner_signs_no_package_with_wrong_commitments() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let (bunker, cosigner, recovery) = (index(1), index(2), index(3));
    let commit = |world: &mut World| sign::commit(&world.bunker.share, &mut world.rng).unwrap().1;
    let (one, two) = (commit(&mut world), commit(&mut world));
    let text = one.to_string();
    let repeated: Commitment = [&text[..66], &text[..66]].concat().parse().unwrap();
    let members = |error| ContributeError::Sign(SignError::Members(error));
    let count = |got| members(MemberError::Count { needed: 1, got });
    let cases = [
        (vec![], count(0)),
        (vec![(bunker, one), (recovery, two)], count(2)),
        (vec![(bunker, one), (bunker, one)], members(MemberError::Duplicate(bunker))),
        (vec![(cosigner, one)], members(MemberError::OwnIndex(cosigner))),
        (vec![(bunker, one), (cosigner, two)], members(MemberError::OwnIndex(cosigner))),
        (vec![(index(7), one)], members(MemberError::Unknown(index(7)))),
        (vec![(bunker, repeated)], ContributeError::Sign(SignError::RepeatedCommitment(bunker))),
    ];
    for (commitments, expected) in cases {
        let request = sign_request(&mut world, &app);
        let call = body(&request, &app.conversation(), 0, &commitments);
        let refused = world.call_cosigner(&call).unwrap_err();
        assert_eq!(refused, Uncontributed::Failed(expected));
    }
}

#[test]
fn attack_4_a_cosigner_contributes_for_its_own_epoch_only() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    let wrong = |asked| SignError::WrongEpoch { share: 0, asked };
    let (_, commitment) = sign::commit(&world.bunker.share, &mut world.rng).unwrap();
    let request = sign_request(&mut world, &app);
    let call = body(&request, &app.conversation(), 1, &[(index(1), commitment)]);
    let refused = world.call_cosigner(&call).unwrap_err();
    assert_eq!(refused, Uncontributed::Failed(ContributeError::Sign(wrong(1))));
    let (_, request) = ecdh_requests(&mut world, &app).remove(0);
    let call = body(&request, &app.conversation(), 1, &[]);
    let refused = world.call_cosigner(&call).unwrap_err();
    assert!(matches!(refused, Uncontributed::Failed(ContributeError::Ecdh(_))), "{refused:?}");
}

#[test]
fn attack_6_no_reply_ever_holds_a_signature_that_does_not_verify() {
    let mut world = World::new();
    let app = world.connected(EVERYTHING);
    for round in 0..20_u64 {
        let request = sign_request(&mut world, &app);
        let is_corrupt = round % 3 != 0;
        let response = exchanged(&mut world, &app, &request, |world, honest| {
            let honest = signed(honest);
            let scalar = Scalar::random(&mut world.rng);
            let share = SignatureShare::from_bytes(&scalar.to_repr().into()).unwrap();
            let share = if is_corrupt { share } else { honest.share };
            ContributionReply::Signed(Contribution { share, ..honest })
        });
        assert_eq!(response.expose_result().is_none(), is_corrupt);
        if let Some(result) = response.expose_result() {
            assert_signed(&Event::parse(result).unwrap(), &world.npub());
        }
    }
}
