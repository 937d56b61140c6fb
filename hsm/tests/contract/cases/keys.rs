//! What is wrapped, by which key, and what opens it.

use passport_hsm::{HolderHsm, Hsm, HsmError};

use super::Case;
use crate::{
    lab::{DEK, Holder, Lab, State, Subject, now, role, unwrap, wrap},
    wire::Kind,
};

pub(crate) const CASES: &[Case] = &[
    ("what was wrapped comes back", comes_back),
    ("two wraps of one key differ", two_wraps_differ),
    ("what another KEK wrapped is refused without asking", refused_without_asking),
    ("another holder's KEK does not open it", another_holders_kek),
    ("another holder does not open it under the same KEK", another_holder_same_kek),
    ("every altered byte of a wrapped key is noticed", altered_bytes),
    ("a wrapped key that was cut or is too long is noticed", cuts),
    ("a KEK is exchanged and what the old one wrapped still opens", exchange),
    ("people are told which KEK it is", described),
    ("health is good when all is well", healthy),
    ("health is never answered from memory", health_is_fresh),
    ("the KEK is looked at before it wraps", looked_at),
    ("a disabled KEK is named so", disabled),
    ("a KEK that is going to be deleted is named so", pending_deletion),
    ("a missing KEK is named so", missing),
    ("a KEK outside hardware wraps nothing", software),
    ("a KEK for another use wraps nothing", other_use),
];

fn comes_back(lab: &dyn Lab) {
    for subject in [Subject::Bunker, Subject::Cosigner] {
        let holder = Holder::new(lab, subject);
        let wrapped = holder.wrap().unwrap();
        assert!(!wrapped.wrapped.windows(8).any(|part| DEK.windows(8).any(|secret| part == secret)));
        assert_eq!(holder.unwrap(&wrapped), Ok(DEK));
        // And for somebody who starts anew.
        assert_eq!(Holder::new(lab, subject).unwrap(&wrapped), Ok(DEK));
    }
}

fn two_wraps_differ(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    assert_ne!(holder.wrap().unwrap().wrapped, holder.wrap().unwrap().wrapped);
}

fn refused_without_asking(lab: &dyn Lab) {
    let wrapped = Holder::new(lab, Subject::Bunker).wrap().unwrap();
    for subject in [Subject::Cosigner, Subject::BunkerAsCosigner, Subject::Next] {
        let other = Holder::new(lab, subject);
        other.wire.fault(|_| panic!("it asked"));
        assert_eq!(other.unwrap(&wrapped), Err(HsmError::OtherKek), "{subject:?}");
    }
}

fn another_holders_kek(lab: &dyn Lab) {
    let wrapped = Holder::new(lab, Subject::Bunker).wrap().unwrap();
    let cosigner = Holder::new(lab, Subject::Cosigner);
    let error = cosigner.unwrap(&cosigner.relabelled(&wrapped)).unwrap_err();
    assert!(lab.altered().contains(&error), "{error:?}");
}

fn another_holder_same_kek(lab: &dyn Lab) {
    let wrapped = Holder::new(lab, Subject::Bunker).wrap().unwrap();
    let cosigner = Holder::new(lab, Subject::BunkerAsCosigner);
    assert_eq!(cosigner.unwrap(&cosigner.relabelled(&wrapped)), Err(HsmError::DoesNotOpen));
    // Nothing is wrong with the key as such.
    assert_eq!(Holder::new(lab, Subject::Bunker).unwrap(&wrapped), Ok(DEK));
}

fn altered_bytes(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    let wrapped = holder.wrap().unwrap();
    let mut usual = 0;
    for at in 0..wrapped.wrapped.len() {
        let mut altered = wrapped.clone();
        altered.wrapped[at] ^= 1 << (at % 8);
        let error = holder.unwrap(&altered).unwrap_err();
        assert!(lab.altered().contains(&error), "byte {at}: {error:?}");
        usual += usize::from(error == lab.altered()[0]);
    }
    assert!(usual * 2 > wrapped.wrapped.len(), "only {usual} were told for what they are");
}

fn cuts(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    let wrapped = holder.wrap().unwrap();
    for length in 0..wrapped.wrapped.len() {
        let mut cut = wrapped.clone();
        cut.wrapped.truncate(length);
        let error = holder.unwrap(&cut).unwrap_err();
        assert!(lab.altered().contains(&error), "{length} bytes: {error:?}");
    }
    for more in [1, 16, 100_000] {
        let mut long = wrapped.clone();
        long.wrapped.resize(wrapped.wrapped.len() + more, 0);
        assert_eq!(holder.unwrap(&long), Err(HsmError::DoesNotOpen), "{more} more bytes");
    }
}

fn exchange(lab: &dyn Lab) {
    let old = Holder::new(lab, Subject::Bunker);
    let wrapped = old.wrap().unwrap();
    let [current, previous] = [Subject::Next, Subject::Bunker].map(|subject| lab.settings(subject));
    let ring = HolderHsm::new(role(Subject::Next), &current, Some(&previous), &lab.wire()).unwrap();
    assert!(!ring.is_current(&wrapped));
    assert_eq!(unwrap(&ring, &wrapped), Ok(DEK));
    let again = wrap(&ring).unwrap();
    assert!(ring.is_current(&again));
    assert_eq!(unwrap(&ring, &again), Ok(DEK));
    assert_eq!(now(ring.health()), Ok(()));
    // Without the one before, what it wrapped waits for it; what was wrapped again does not.
    let next = Holder::new(lab, Subject::Next);
    assert_eq!(next.unwrap(&wrapped), Err(HsmError::OtherKek));
    assert_eq!(next.unwrap(&again), Ok(DEK));
}

fn described(lab: &dyn Lab) {
    let (provider, key) = lab.names();
    let holder = Holder::new(lab, Subject::Bunker);
    let said = holder.hsm.describe();
    assert_eq!(said.provider, provider);
    assert_eq!(said.kek_id, format!("{provider}:bunker:{key}"));
    assert_eq!(said.hardware, provider != "simulator");
    assert_eq!(holder.wrap().unwrap().kek_id, said.kek_id);
}

fn healthy(lab: &dyn Lab) {
    for subject in [Subject::Bunker, Subject::Cosigner] {
        assert_eq!(Holder::new(lab, subject).health(), Ok(()), "{subject:?}");
    }
}

fn health_is_fresh(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    assert_eq!(holder.health(), Ok(()));
    lab.set_state(State::Disabled);
    let disabled = holder.health();
    lab.set_state(State::Enabled);
    assert_eq!(disabled, Err(HsmError::KeyDisabled));
    assert_eq!(holder.health(), Ok(()));
}

fn looked_at(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Bunker);
    holder.wire.fault(|call| {
        assert!(call.kind != Kind::Wrap || call.before > 0 || call.wire_sent(Kind::Describe) == 1, "not looked at");
        call.pass()
    });
    for _ in 0..3 {
        holder.wrap().unwrap();
    }
    // Once is enough where the provider itself refuses to wrap under a KEK that was switched off since.
    let looks = if lab.wraps_when_disabled() { 3 } else { 1 };
    assert_eq!((holder.wire.sent(Kind::Describe), holder.wire.sent(Kind::Wrap)), (looks, 3));
}

fn disabled(lab: &dyn Lab) {
    let used = Holder::new(lab, Subject::Bunker);
    let wrapped = used.wrap().unwrap();
    lab.set_state(State::Disabled);
    let new = Holder::new(lab, Subject::Bunker);
    let said = (new.wrap().err(), used.wrap().err(), used.unwrap(&wrapped).err());
    lab.set_state(State::Enabled);
    let named = Some(HsmError::KeyDisabled);
    assert_eq!(said, (named, named, named));
    assert_eq!(used.unwrap(&wrapped), Ok(DEK));
    assert_eq!(new.wrap().map(drop), Ok(()));
}

fn pending_deletion(lab: &dyn Lab) {
    let used = Holder::new(lab, Subject::Bunker);
    let wrapped = used.wrap().unwrap();
    lab.set_state(State::PendingDeletion);
    let new = Holder::new(lab, Subject::Bunker);
    let said = (new.wrap().err(), used.wrap().err(), used.unwrap(&wrapped).err(), used.health().err());
    lab.set_state(State::Enabled);
    let named = Some(HsmError::KeyPendingDeletion);
    assert_eq!(said, (named, named, named, named));
    assert_eq!(used.unwrap(&wrapped), Ok(DEK));
}

fn missing(lab: &dyn Lab) {
    let holder = Holder::new(lab, Subject::Missing);
    let wrapped = holder.relabelled(&Holder::new(lab, Subject::Bunker).wrap().unwrap());
    assert_eq!(holder.wrap().unwrap_err(), HsmError::KeyMissing);
    assert_eq!(holder.unwrap(&wrapped), Err(HsmError::KeyMissing));
    assert_eq!(holder.health(), Err(HsmError::KeyMissing));
}

fn software(lab: &dyn Lab) {
    refuses_to_wrap(lab, Subject::Software, HsmError::NotHardware);
}

fn other_use(lab: &dyn Lab) {
    refuses_to_wrap(lab, Subject::OtherUse, HsmError::WrongKey);
}

/// No data key was sent under a KEK that is not as it has to be, however often it is tried.
fn refuses_to_wrap(lab: &dyn Lab, subject: Subject, error: HsmError) {
    let holder = Holder::new(lab, subject);
    for _ in 0..2 {
        assert_eq!(holder.wrap().unwrap_err(), error);
        assert_eq!(holder.health(), Err(error));
    }
    assert_eq!(holder.wire.sent(Kind::Wrap), 0);
}
