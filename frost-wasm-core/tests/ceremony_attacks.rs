//! Ceremonies with one party that does wrong: each way has a name here, and the culprit is named too.
#![allow(missing_docs)]

mod cast;
mod common;

use cast::{Cast, body};
use common::{index, rng};
use frost_wasm_core::{
    ceremony::{
        Body, CeremonyId, Digest32, Failure, Kind, Memory, Package, PackageError, Participant, ParticipantError,
        PartyKeys, Refused, Shown, Step, TermsError, Transcript,
    },
    frost::dealing::{Binding, Dealing, DealingError},
    group::{GroupError, HolderRole},
    provision,
    provision::ReceivingKey,
    secret::Secret32,
};

/// All of round one, and who would say what next.
fn after_round(cast: &Cast, rounds: u16, seed: u64) -> (Transcript, Vec<Memory>) {
    let mut transcript = Transcript::new(cast.terms.clone());
    let mut memories: Vec<_> = cast.keys.iter().map(|_| Memory::default()).collect();
    let rng = &mut rng(seed);
    while transcript.round() <= rounds {
        for (number, memory) in cast.numbers().into_iter().zip(&mut memories) {
            if let Some(package) = cast.participant(number).answer(&transcript, memory, rng).unwrap() {
                transcript.take(&package).unwrap();
            }
        }
    }
    (transcript, memories)
}

fn says(cast: &Cast, number: u16, transcript: &Transcript) -> Package {
    cast.participant(number).answer(transcript, &mut Memory::default(), &mut rng(99)).unwrap().unwrap()
}

fn deal_of(cast: &Cast, number: u16, dealing: &Dealing) -> Body {
    let binding = Binding { terms: *cast.terms.digest(), dealer: number };
    Body::Deal { commitment: dealing.commitment().clone(), proof: dealing.prove(&binding, &mut rng(5)) }
}

/// The one that cheats changes what it says in one round; the others are honest to the end.
fn with_cheat(cast: &Cast, number: u16, round: u16, change: impl Fn(Body) -> Body) -> Transcript {
    cast.run_with(3, |_, package| {
        if package.party == number && package.round == round {
            cast.forge(number, round, &change(body(&package)))
        } else {
            package
        }
    })
}

#[test]
fn attack_12_a_polynomial_of_the_wrong_degree_is_refused_and_its_dealer_named() {
    let cast = Cast::keygen(2, 3, 1);
    for degree in [1, 3] {
        let dealing = Dealing::fresh(degree, &mut rng(2));
        let refused = Transcript::new(cast.terms.clone()).take(&cast.forge(2, 1, &deal_of(&cast, 2, &dealing)));
        let error = DealingError::Degree { needed: 2, got: usize::from(degree) };
        assert_eq!(refused, Err(Refused::Deal { party: 2, error }));
    }
}

#[test]
fn attack_12_a_proof_of_knowledge_from_another_session_is_refused() {
    let (cast, other) = (Cast::keygen(2, 3, 1), Cast::keygen(2, 3, 1_001));
    let old = says(&other, 2, &Transcript::new(other.terms.clone()));
    let refused = Transcript::new(cast.terms.clone()).take(&cast.forge(2, 1, &body(&old)));
    assert_eq!(refused, Err(Refused::Deal { party: 2, error: DealingError::Proof }));
}

#[test]
fn attack_12_a_deal_copied_from_another_dealer_is_refused() {
    let cast = Cast::keygen(2, 3, 1);
    let mut transcript = Transcript::new(cast.terms.clone());
    let honest = says(&cast, 1, &transcript);
    transcript.take(&honest).unwrap();
    let refused = transcript.take(&cast.forge(2, 1, &body(&honest)));
    assert_eq!(refused, Err(Refused::Deal { party: 2, error: DealingError::Proof }));
}

#[test]
fn attack_12_a_rogue_key_that_cancels_the_others_has_no_proof() {
    let cast = Cast::keygen(2, 2, 1);
    let mut transcript = Transcript::new(cast.terms.clone());
    let honest = says(&cast, 1, &transcript);
    transcript.take(&honest).unwrap();
    // The cheat knows the polynomial that it wants as the sum, and commits to the difference.
    let Body::Deal { commitment, .. } = body(&honest) else { unreachable!() };
    let wanted = Dealing::fresh(2, &mut rng(2));
    let difference: Vec<_> = wanted
        .commitment()
        .points()
        .iter()
        .zip(commitment.points())
        .map(|(wanted, theirs)| {
            let point = |bytes: [u8; 33]| secp256k1::PublicKey::from_byte_array_compressed(bytes).unwrap();
            let minus = point(theirs.to_bytes()).negate(secp256k1::SECP256K1);
            hex::encode(point(wanted.to_bytes()).combine(&minus).unwrap().serialize())
        })
        .collect();
    let binding = Binding { terms: *cast.terms.digest(), dealer: 2 };
    let proof = wanted.prove(&binding, &mut rng(5));
    let text = serde_json::json!({ "says": "deal", "commitment": difference, "proof": proof }).to_string();
    let refused = transcript.take(&cast.forge_text(2, 1, &text));
    assert_eq!(refused, Err(Refused::Deal { party: 2, error: DealingError::Proof }));
}

#[test]
fn attack_12_a_dealer_that_shows_two_faces_is_named_by_its_own_signatures() {
    let cast = Cast::keygen(2, 3, 1);
    let second = cast.forge(2, 1, &deal_of(&cast, 2, &Dealing::fresh(2, &mut rng(8))));
    // Party 3 was shown the other one, and passes on what it saw.
    let transcript = with_cheat(&cast, 3, 2, |said| match said {
        Body::Share { mut seen, sealed } => {
            seen[1] = second.clone();
            Body::Share { seen, sealed }
        }
        other => other,
    });
    assert_eq!(transcript.failure(), Some(&Failure::TwoFaced(vec![2])));
}

#[test]
fn attack_12_nobody_can_be_framed_with_a_deal_that_it_did_not_sign() {
    let cast = Cast::keygen(2, 3, 1);
    let (mut transcript, _) = after_round(&cast, 1, 1);
    let Body::Share { mut seen, sealed } = body(&says(&cast, 3, &transcript)) else { unreachable!() };
    let forged = cast.forge(3, 1, &deal_of(&cast, 2, &Dealing::fresh(2, &mut rng(8))));
    seen[1] = Package { party: 2, ..forged };
    let refused = transcript.take(&cast.forge(3, 2, &Body::Share { seen, sealed }));
    assert_eq!(refused, Err(Refused::Seen(3)));
}

#[test]
fn attack_12_values_can_not_be_read_by_the_coordinator_or_another_party() {
    let cast = Cast::keygen(2, 3, 1);
    let (transcript, _) = after_round(&cast, 2, 1);
    // What party 1 sealed to party 2 is put where party 3 finds it: it does not open there, and party 3 complains.
    let Body::Share { seen, sealed } = body(transcript.said(2, 1).unwrap()) else { unreachable!() };
    let moved = vec![(2, sealed[0].1.clone()), (3, sealed[0].1.clone())];
    let swapped = with_cheat(&cast, 1, 2, |_| Body::Share { seen: seen.clone(), sealed: moved.clone() });
    let said: Vec<_> = swapped.packages().filter(|it| it.round == 3 && it.party == 3).map(body).collect();
    assert_eq!(said, [Body::Complain { against: vec![1] }]);
}

/// A value that opens at its receiver and is another one than was committed to.
fn wrong_value(cast: &Cast, dealer: u16, receiver: u16) -> String {
    let aad = [cast.terms.digest().as_slice(), &dealer.to_be_bytes(), &receiver.to_be_bytes()].concat();
    let to = cast.terms.party(receiver).unwrap().receiving;
    provision::seal(&to, b"passport/v1/ceremony/value", &aad, &[7; 32], &mut rng(6)).unwrap()
}

/// Dealer 1 seals a wrong value to party 3, and answers the complaint with `answer` of its honest answer.
fn with_wrong_value(cast: &Cast, sealed_text: &str, answer: impl Fn(Shown) -> Shown) -> Transcript {
    cast.run_with(3, |_, package| match (package.party, package.round, body(&package)) {
        (1, 2, Body::Share { seen, mut sealed }) => {
            sealed[1].1 = sealed_text.to_owned();
            cast.forge(1, 2, &Body::Share { seen, sealed })
        }
        (1, 4, Body::Answer { values }) => {
            cast.forge(1, 4, &Body::Answer { values: values.into_iter().map(&answer).collect() })
        }
        _ => package,
    })
}

#[test]
fn a_wrong_value_names_its_dealer_whatever_it_answers() {
    let cast = Cast::keygen(2, 3, 1);
    let blamed = Failure::Sharing { dealers: vec![1], accusers: vec![] };
    for sealed in [wrong_value(&cast, 1, 3), "AAAA".to_owned(), String::new()] {
        // The value that it should have handed out does not help afterwards: it is not what was sealed.
        let answers: [&dyn Fn(Shown) -> Shown; 4] = [
            &|shown| shown,
            &|shown| Shown { value: "07".repeat(32), ..shown },
            &|shown| Shown { value: "xx".to_owned(), ..shown },
            &|shown| Shown { seed: "01".repeat(32), ..shown },
        ];
        for answer in answers {
            let transcript = with_wrong_value(&cast, &sealed, answer);
            assert_eq!(transcript.failure(), Some(&blamed));
            assert_eq!(transcript.failure().unwrap().culprits(), [1]);
        }
    }
}

#[test]
fn a_false_complaint_names_who_made_it() {
    let cast = Cast::keygen(2, 3, 1);
    let transcript = with_cheat(&cast, 3, 3, |_| Body::Complain { against: vec![1, 2] });
    assert_eq!(transcript.failure(), Some(&Failure::Sharing { dealers: vec![], accusers: vec![3] }));
}

#[test]
fn a_wrong_signature_share_names_its_holder_and_the_group_fails_for_good() {
    let cast = Cast::keygen(2, 3, 1);
    let transcript = with_cheat(&cast, 2, 4, |said| match said {
        Body::Prove { mut shares } => {
            shares.reverse();
            Body::Prove { shares }
        }
        other => other,
    });
    assert_eq!(transcript.failure(), Some(&Failure::BadSignature(vec![2])));
    let late = cast.forge(1, 5, &Body::Lost);
    assert_eq!(transcript.clone().take(&late), Err(Refused::Over));
    let none = cast.participant(1).take_share(&transcript);
    assert!(matches!(none, Err(ParticipantError::NoShare)), "no share of a group that failed");
}

#[test]
fn promise_3_commitments_that_repeat_a_point_are_refused_and_their_holder_named() {
    let cast = Cast::keygen(2, 3, 1);
    let (mut transcript, _) = after_round(&cast, 2, 1);
    let first = says(&cast, 1, &transcript);
    transcript.take(&first).unwrap();
    let Body::Confirm { public, commitments } = body(&first) else { unreachable!() };
    let own = cast.participant(2).answer(&transcript, &mut Memory::default(), &mut rng(98)).unwrap().unwrap();
    let Body::Confirm { commitments: own, .. } = body(&own) else { unreachable!() };
    for repeated in [vec![own[0]; 2], commitments.clone(), vec![own[0], commitments[1]]] {
        let refused = transcript.take(&cast.forge(2, 3, &Body::Confirm { public, commitments: repeated }));
        assert_eq!(refused, Err(Refused::RepeatedCommitment(2)));
    }
}

#[test]
fn attack_4_a_package_of_another_ceremony_round_or_party_is_refused() {
    let (cast, other) = (Cast::keygen(2, 3, 1), Cast::keygen(2, 3, 2));
    let mut transcript = Transcript::new(cast.terms.clone());
    let good = says(&cast, 1, &transcript);
    let foreign = says(&other, 1, &Transcript::new(other.terms.clone()));
    let of = |error| Err(Refused::Package(error));
    assert_eq!(transcript.take(&foreign), of(PackageError::OtherCeremony));
    assert_eq!(transcript.take(&Package { ceremony: good.ceremony, ..foreign }), of(PackageError::Signature(1)));
    assert_eq!(transcript.take(&Package { party: 2, ..good.clone() }), of(PackageError::Signature(2)));
    assert_eq!(transcript.take(&Package { party: 9, ..good.clone() }), of(PackageError::UnknownParty(9)));
    assert_eq!(transcript.take(&Package { round: 2, ..good.clone() }), Err(Refused::Round { due: 1, got: 2 }));
    let text = Package { body: good.body.replace("deal", "lost"), ..good.clone() };
    assert_eq!(transcript.take(&text), of(PackageError::Signature(1)));
    assert_eq!(transcript.take(&good), Ok(true));
}

#[test]
fn an_old_round_is_refused_and_an_altered_retry_too() {
    let cast = Cast::keygen(2, 3, 1);
    let (mut transcript, _) = after_round(&cast, 1, 1);
    let altered = cast.forge(2, 1, &deal_of(&cast, 2, &Dealing::fresh(2, &mut rng(8))));
    assert_eq!(transcript.take(&altered), Err(Refused::Altered(2)));
    let same = transcript.said(1, 2).unwrap().clone();
    assert_eq!(transcript.take(&same), Ok(false));
}

#[test]
fn garbage_is_refused_by_name_and_the_ceremony_goes_on() {
    let cast = Cast::keygen(2, 3, 1);
    let mut transcript = Transcript::new(cast.terms.clone());
    for text in ["", "{}", "null", "{\"says\":\"deal\"}", "{\"says\":\"rob\"}", "{\"says\":\"lost\",\"x\":1}"] {
        let refused = transcript.take(&cast.forge_text(2, 1, text));
        let known = [Err(Refused::Package(PackageError::Body(2))), Err(Refused::OtherStep(2))];
        assert!(known.contains(&refused), "{text}: {refused:?}");
    }
    assert_eq!(transcript.take(&cast.forge(2, 1, &Body::Lost)), Err(Refused::OtherStep(2)));
    assert_eq!(transcript.take(&says(&cast, 2, &transcript)), Ok(true));
}

#[test]
fn a_party_that_is_silent_is_known() {
    let cast = Cast::keygen(3, 5, 1);
    let mut transcript = Transcript::new(cast.terms.clone());
    for number in [1, 2, 4] {
        transcript.take(&says(&cast, number, &transcript)).unwrap();
    }
    assert_eq!((transcript.step(), transcript.waits_for()), (Step::Deal, vec![3, 5]));
}

#[test]
fn lists_that_leave_out_or_repeat_somebody_are_refused() {
    let cast = Cast::keygen(2, 3, 1);
    let (mut transcript, _) = after_round(&cast, 1, 1);
    let Body::Share { seen, sealed } = body(&says(&cast, 1, &transcript)) else { unreachable!() };
    let shares = [
        (seen[..2].to_vec(), sealed.clone()),
        (vec![seen[0].clone(), seen[0].clone(), seen[2].clone()], sealed.clone()),
        (seen.clone(), sealed[..1].to_vec()),
        (seen.clone(), vec![sealed[0].clone(), sealed[0].clone()]),
        (seen.clone(), vec![sealed[1].clone(), sealed[0].clone()]),
    ];
    for (seen, sealed) in shares {
        let refused = transcript.take(&cast.forge(1, 2, &Body::Share { seen, sealed }));
        assert_eq!(refused, Err(Refused::Entries(1)));
    }
    let (mut transcript, _) = after_round(&cast, 2, 1);
    let wrong = Digest32::from_bytes([1; 32]);
    let confirm = Body::Confirm { public: wrong, commitments: vec![] };
    assert_eq!(transcript.take(&cast.forge(1, 3, &confirm)), Err(Refused::OtherGroup(1)));
    for against in [vec![], vec![1], vec![2, 2], vec![3, 2], vec![7]] {
        let refused = transcript.take(&cast.forge(1, 3, &Body::Complain { against }));
        assert_eq!(refused, Err(Refused::Entries(1)));
    }
}

#[test]
fn a_reshare_that_hands_on_another_secret_is_refused() {
    let (from, shares) = common::group(2, 3, 1);
    let cast = Cast::reshare(&from, shares, &[1, 2], &[1, 2, 3], 2, 1);
    let dealing = Dealing::fresh(2, &mut rng(2));
    let refused = Transcript::new(cast.terms.clone()).take(&cast.forge(2, 1, &deal_of(&cast, 2, &dealing)));
    assert_eq!(refused, Err(Refused::Deal { party: 2, error: DealingError::OtherSecret }));
}

#[test]
fn a_dealer_without_the_present_share_or_with_other_keys_can_not_take_part() {
    let (from, shares) = common::group(2, 3, 1);
    let (_, strangers) = common::group(2, 3, 2);
    let cast = Cast::reshare(&from, shares, &[1, 2], &[1, 2, 3], 2, 1);
    let new = |keys: usize, share| Participant::new(cast.terms.clone(), 1, &cast.keys[keys], share).err();
    assert_eq!(new(0, None), Some(ParticipantError::PresentShare));
    assert_eq!(new(0, Some(&strangers[0])), Some(ParticipantError::PresentShare));
    assert_eq!(new(0, cast.shares[1].as_ref()), Some(ParticipantError::PresentShare));
    assert_eq!(new(1, cast.shares[0].as_ref()), Some(ParticipantError::OtherKeys(1)));
    let other = Cast::keygen(2, 3, 4);
    let foreign = cast.participant(1).answer(&Transcript::new(other.terms), &mut Memory::default(), &mut rng(1));
    assert_eq!(foreign, Err(ParticipantError::OtherCeremony));
}

#[test]
fn terms_that_make_no_group_are_refused() {
    let good = (*Cast::keygen(2, 3, 1).terms).clone();
    let changed = |change: &dyn Fn(&mut frost_wasm_core::ceremony::Terms)| {
        let mut terms = good.clone();
        change(&mut terms);
        terms.validate().unwrap_err()
    };
    assert_eq!(changed(&|it| it.v = 2), TermsError::Version(2));
    let size = |threshold, holders| TermsError::Group(GroupError::Size { threshold, holders });
    assert_eq!(changed(&|it| it.threshold = 1), size(1, 3));
    assert_eq!(changed(&|it| it.threshold = 4), size(4, 3));
    assert_eq!(changed(&|it| it.epoch = 1), TermsError::Epoch);
    assert_eq!(changed(&|it| it.parties[1].number = 7), TermsError::Party(7));
    assert_eq!(changed(&|it| it.parties[1].receiving = it.parties[0].receiving), TermsError::SharedKey(2));
    assert_eq!(changed(&|it| it.parties[1].deals = Some(index(1))), TermsError::Dealer(2));
    assert_eq!(changed(&|it| it.parties[1].deals = None), TermsError::Dealer(2));
    let mut eleven = Cast::keygen(2, 10, 1);
    let mut terms = (*eleven.terms).clone();
    let keys = PartyKeys::random(&mut rng(4)).unwrap();
    eleven.keys.push(keys);
    let mut last = terms.parties[9].clone();
    (last.number, last.deals) = (11, Some(index(11)));
    last.receives = Some(frost_wasm_core::ceremony::Seat { index: index(11), role: HolderRole::Device });
    (last.signing, last.receiving) = (eleven.keys[10].signing_public(), eleven.keys[10].receiving_public());
    terms.parties.push(last);
    assert_eq!(terms.validate().unwrap_err(), size(2, 11));
}

#[test]
fn a_reshare_of_another_epoch_group_or_by_too_few_is_refused() {
    let (from, shares) = common::group(2, 3, 1);
    let good = (*Cast::reshare(&from, shares, &[1, 2], &[1, 2, 3], 2, 1).terms).clone();
    let changed = |change: &dyn Fn(&mut frost_wasm_core::ceremony::Terms)| {
        let mut terms = good.clone();
        change(&mut terms);
        terms.validate().unwrap_err()
    };
    assert_eq!(changed(&|it| it.epoch = 0), TermsError::Epoch);
    assert_eq!(changed(&|it| it.epoch = 2), TermsError::Epoch);
    assert_eq!(changed(&|it| it.group = common::group(2, 3, 9).0.group), TermsError::Epoch);
    assert_eq!(changed(&|it| it.parties[1].deals = None), TermsError::Dealers { needed: 2, got: 1 });
    assert_eq!(changed(&|it| it.parties[2].deals = Some(index(3))), TermsError::Dealers { needed: 2, got: 3 });
    assert_eq!(changed(&|it| it.parties[1].deals = Some(index(9))), TermsError::Dealer(2));
    let odd = changed(&|it| match &mut it.purpose {
        Kind::Reshare { from } => from.holders.swap(0, 1),
        Kind::Keygen => unreachable!(),
    });
    assert!(matches!(odd, TermsError::Group(_)), "{odd:?}");
}

#[test]
fn two_ceremonies_with_the_same_seed_deal_different_secrets() {
    let cast = Cast::keygen(2, 3, 1);
    let mut terms = (*cast.terms).clone();
    terms.ceremony = CeremonyId::random(&mut rng(77));
    let again = terms.validate().unwrap();
    let deal = |terms: &frost_wasm_core::ceremony::ValidTerms| {
        let transcript = Transcript::new(terms.clone());
        let participant = Participant::new(terms.clone(), 1, &cast.keys[0], None).unwrap();
        let package = participant.answer(&transcript, &mut Memory::default(), &mut rng(1)).unwrap().unwrap();
        match body(&package) {
            Body::Deal { commitment, .. } => commitment,
            _ => unreachable!(),
        }
    };
    assert_ne!(deal(&cast.terms), deal(&again), "an aborted ceremony begins anew with fresh secrets");
    assert_eq!(deal(&cast.terms), deal(&cast.terms), "a party that was restarted says the same again");
}

#[test]
fn one_person_may_hold_two_seats_and_speaks_for_each_by_its_number() {
    let cast = Cast::keygen(2, 3, 1);
    let mut terms = (*cast.terms).clone();
    terms.parties[1].signing = terms.parties[0].signing;
    let terms = terms.validate().unwrap();
    let keys: Vec<_> = (0..2)
        .map(|at| {
            let receiving = ReceivingKey::from_secret(&Secret32::from_bytes([at + 1; 32]));
            PartyKeys::new(&Secret32::from_bytes([9; 32]), receiving.unwrap(), Secret32::from_bytes([at; 32])).unwrap()
        })
        .collect();
    let mut terms = (*terms).clone();
    for (party, keys) in terms.parties.iter_mut().zip(&keys) {
        (party.signing, party.receiving) = (keys.signing_public(), keys.receiving_public());
    }
    let terms = terms.validate().unwrap();
    let mut transcript = Transcript::new(terms.clone());
    let says = |number: u16, transcript: &Transcript| {
        let keys = &keys[usize::from(number) - 1];
        let party = Participant::new(terms.clone(), number, keys, None).unwrap();
        party.answer(transcript, &mut Memory::default(), &mut rng(1)).unwrap().unwrap()
    };
    let (first, second) = (says(1, &transcript), says(2, &transcript));
    let as_the_other = Package { party: 2, ..first.clone() };
    assert_eq!(transcript.take(&as_the_other), Err(Refused::Package(PackageError::Signature(2))));
    assert_eq!(transcript.take(&first), Ok(true));
    assert_eq!(transcript.take(&second), Ok(true));
}
