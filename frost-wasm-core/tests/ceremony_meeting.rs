//! Who may come to a ceremony, with what, and until when; and that what was stored gives what was live.
#![allow(missing_docs)]

mod cast;
mod common;

use cast::Cast;
use common::rng;
use frost_wasm_core::{
    ceremony::{
        Memory, Participant, PartyKeys, TermsError,
        coordinator::{End, Limits},
        meeting::{Change, Invitation, Invited, Meeting, MeetingRefused},
    },
    group::GroupError,
    provision::ReceivingPublic,
};

const LIMITS: Limits = Limits { round_ms: 1_000, kept_ms: 5_000 };

/// A meeting with its log. At the end of each test the log gives the live meeting.
struct Run {
    cast: Cast,
    invitation: Invitation,
    meeting: Meeting,
    log: Vec<Change>,
}

impl Run {
    /// Everybody is invited; `known` parties have come with the invitation.
    fn new(known: &[u16]) -> Self {
        let cast = Cast::keygen(2, 3, 1);
        let terms = &cast.terms;
        let parties = terms.parties.iter().map(|it| Invited {
            number: it.number,
            signing: it.signing,
            receiving: known.contains(&it.number).then_some(it.receiving),
            deals: it.deals,
            receives: it.receives,
        });
        let invitation = Invitation {
            ceremony: terms.ceremony,
            purpose: terms.purpose.clone(),
            group: terms.group,
            epoch: terms.epoch,
            threshold: terms.threshold,
            parties: parties.collect(),
        };
        let meeting = Meeting::start(invitation.clone(), LIMITS, 0).unwrap();
        Self { cast, invitation, meeting, log: Vec::new() }
    }

    fn key(&self, number: u16) -> ReceivingPublic {
        self.cast.keys[usize::from(number) - 1].receiving_public()
    }

    fn join(&mut self, number: u16, now_ms: u64) -> Result<usize, MeetingRefused> {
        let changes = self.meeting.join(number, self.key(number), now_ms)?;
        Ok(self.apply(changes))
    }

    fn apply(&mut self, changes: Vec<Change>) -> usize {
        changes.iter().for_each(|change| self.meeting.apply(change));
        let count = changes.len();
        self.log.extend(changes);
        count
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut again = Meeting::start(self.invitation.clone(), LIMITS, 0).unwrap();
        for change in &self.log {
            let stored: Change = serde_json::from_str(&serde_json::to_string(change).unwrap()).unwrap();
            again.apply(&stored);
        }
        assert_eq!(again.invitation(), self.meeting.invitation());
        assert_eq!((again.end(), again.due_ms()), (self.meeting.end(), self.meeting.due_ms()));
        let packages = |it: &Meeting| it.run().map(|run| run.transcript().packages().cloned().collect::<Vec<_>>());
        assert_eq!(packages(&again), packages(&self.meeting));
    }
}

#[test]
fn the_ceremony_begins_when_the_last_has_come_and_its_terms_are_what_each_brought() {
    let mut run = Run::new(&[1]);
    assert_eq!(run.meeting.waits_for(), [2, 3]);
    assert_eq!(run.join(3, 10), Ok(1));
    assert_eq!(run.join(3, 20), Ok(0)); // the same again
    assert!(run.meeting.run().is_none());
    assert_eq!(run.join(2, 30), Ok(1));
    let terms = run.meeting.run().unwrap().transcript().terms();
    assert_eq!(terms.digest(), run.cast.terms.digest());
    // Each round has its own time from then on.
    assert_eq!(run.meeting.due_ms(), 1_030);
    assert_eq!(run.join(2, 40), Ok(0));
}

#[test]
fn where_every_key_is_known_it_begins_at_once() {
    let run = Run::new(&[1, 2, 3]);
    assert!(run.meeting.run().is_some());
}

#[test]
fn nobody_comes_twice_uninvited_or_with_the_key_of_another() {
    let mut run = Run::new(&[1]);
    let (own, other) = (run.key(2), run.key(3));
    assert_eq!(run.meeting.join(9, own, 0), Err(MeetingRefused::NotInvited(9)));
    assert_eq!(run.meeting.join(2, run.key(1), 0), Err(MeetingRefused::Terms(TermsError::SharedKey(2))));
    run.join(2, 0).unwrap();
    assert_eq!(run.meeting.join(2, other, 0), Err(MeetingRefused::Altered(2)));
    assert_eq!(run.meeting.join(1, own, 0), Err(MeetingRefused::Altered(1)));
}

#[test]
fn nobody_speaks_before_all_have_come() {
    let run = Run::new(&[1, 2]);
    let package = Cast::keygen(2, 3, 1);
    let said = package.participant(1);
    let transcript = frost_wasm_core::ceremony::Transcript::new(package.terms.clone());
    let said = said.answer(&transcript, &mut Memory::default(), &mut rng(1)).unwrap().unwrap();
    assert_eq!(run.meeting.submit(1, &said, 0), Err(MeetingRefused::NotMet));
}

#[test]
fn an_invitation_from_which_no_group_can_come_is_refused_whoever_comes() {
    let good = Run::new(&[1]).invitation.clone();
    let size = |threshold, holders| TermsError::Group(GroupError::Size { threshold, holders });
    let started = |change: &dyn Fn(&mut Invitation)| {
        let mut invitation = good.clone();
        change(&mut invitation);
        Meeting::start(invitation, LIMITS, 0).map(|_| ()).unwrap_err()
    };
    assert_eq!(started(&|it| it.threshold = 1), size(1, 3));
    assert_eq!(started(&|it| it.threshold = 4), size(4, 3));
    assert_eq!(started(&|it| it.parties.truncate(1)), size(2, 1));
    assert_eq!(started(&|it| it.parties[1].deals = None), TermsError::Dealer(2));
    assert_eq!(started(&|it| it.parties[1].number = 5), TermsError::Party(5));
}

#[test]
fn who_does_not_come_in_time_ends_it_by_name_and_for_good() {
    let mut run = Run::new(&[1]);
    run.join(2, 10).unwrap();
    assert!(run.meeting.tick(999).is_empty());
    assert_eq!(run.meeting.join(3, run.key(3), 1_000), Err(MeetingRefused::Over));
    let changes = run.meeting.tick(1_000);
    assert_eq!(run.apply(changes), 1);
    assert_eq!(run.meeting.end(), Some(End::Expired { silent: vec![3] }));
    assert!(run.meeting.tick(2_000).is_empty());
    assert_eq!(run.meeting.cancel(1, 2_000), Err(MeetingRefused::Over));
    assert_eq!(run.meeting.join(3, run.key(3), 2_000), Err(MeetingRefused::Over));
    // The result stays for its time.
    assert!(!run.meeting.is_to_be_wiped(5_999));
    assert!(run.meeting.is_to_be_wiped(6_000));
}

#[test]
fn who_calls_it_off_ends_it_before_and_after_it_began() {
    let mut run = Run::new(&[1]);
    let changes = run.meeting.cancel(1, 10).unwrap();
    run.apply(changes);
    assert_eq!(run.meeting.end(), Some(End::Cancelled { by: 1 }));
    assert_eq!(run.meeting.join(2, run.key(2), 20), Err(MeetingRefused::Over));
    assert!(run.meeting.waits_for().is_empty());

    let mut run = Run::new(&[1, 2, 3]);
    let changes = run.meeting.cancel(3, 10).unwrap();
    run.apply(changes);
    assert_eq!(run.meeting.end(), Some(End::Cancelled { by: 3 }));
}

#[test]
fn it_goes_on_to_a_verified_group_and_shows_signatures_that_anybody_can_check() {
    let mut run = Run::new(&[1]);
    run.join(2, 0).unwrap();
    run.join(3, 0).unwrap();
    let mut memories: Vec<_> = (0..3).map(|_| Memory::default()).collect();
    while run.meeting.end().is_none() {
        for number in 1..=3_u16 {
            let at = usize::from(number) - 1;
            let keys: &PartyKeys = &run.cast.keys[at];
            let transcript = run.meeting.run().unwrap().transcript();
            let party = Participant::new(transcript.terms().clone(), number, keys, None).unwrap();
            let said = party.answer(transcript, &mut memories[at], &mut rng(7)).unwrap();
            if let Some(package) = said {
                let changes = run.meeting.submit(number, &package, 0).unwrap();
                run.apply(changes);
            }
        }
    }
    assert_eq!(run.meeting.end(), Some(End::Verified));
    let transcript = run.meeting.run().unwrap().transcript();
    let (proof, public) = (transcript.proof().unwrap(), transcript.group().unwrap());
    assert_eq!(proof.signatures.len(), 3);
    let key = secp256k1::XOnlyPublicKey::from_byte_array(*public.pubkey.as_bytes()).unwrap();
    for (set, signature) in &proof.signatures {
        assert_eq!(set.len(), 2);
        let signature = secp256k1::schnorr::Signature::from_byte_array(*signature.as_bytes());
        secp256k1::SECP256K1.verify_schnorr(&signature, proof.message.as_bytes(), &key).unwrap();
    }
}
