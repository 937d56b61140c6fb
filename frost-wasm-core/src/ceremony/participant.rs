//! One party: answers a transcript, and takes its share out of it.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};
use sha2::Digest;
use zeroize::Zeroizing;

use super::{
    package::{Body, Package, PartyKeys, Shown},
    sealing,
    terms::{Seat, ValidTerms},
    transcript::{Step, Transcript},
    verification::{self, Plan},
};
use crate::{
    frost::{
        dealing::{self, Binding, Dealing, DealtCommitment},
        sign::{self, Commitment, SignError, SigningNonces},
    },
    group::{GroupPublic, HolderIndex},
    hash::tagged,
    secret::Secret32,
    share::{KeyShare, ShareError},
};

/// Why a party can't go on. What was said by others is judged by the transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParticipantError {
    /// The keys are not those of this party in the terms.
    #[error("these keys are not those of party {0}")]
    OtherKeys(u16),
    /// A dealer of a reshare needs its present share, of the group and index in the terms.
    #[error("the present share is missing, or of another group, epoch or holder")]
    PresentShare,
    /// The transcript is of another ceremony.
    #[error("the transcript is of another ceremony")]
    OtherCeremony,
    /// The group is not verified yet, or this party gets no share.
    #[error("there is no share to take yet")]
    NoShare,
    /// The share that came out is refused.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// Signing failed on what was checked before.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A secret was made that can't be used; a new ceremony draws another.
    #[error("the ceremony's secrets can't be used")]
    Internal,
}

/// What a party has in memory alone: the nonces between commitment and signature, the share that it opened, and what
/// it said last, so that it says the same again while it runs. Whoever loses it between commitment and signature says
/// [`Body::Lost`]. One for each ceremony.
#[derive(Debug, Default)]
pub struct Memory {
    share: Option<KeyShare>,
    nonces: Option<(u16, Vec<SigningNonces>)>,
    said: Option<Package>,
}

/// One party of a ceremony.
#[derive(Debug)]
pub struct Participant<'a> {
    terms: ValidTerms,
    number: u16,
    keys: &'a PartyKeys,
    present: Option<&'a KeyShare>,
}

impl<'a> Participant<'a> {
    /// The party with this number. A dealer of a reshare gives its present share.
    pub fn new(
        terms: ValidTerms,
        number: u16,
        keys: &'a PartyKeys,
        present: Option<&'a KeyShare>,
    ) -> Result<Self, ParticipantError> {
        let party = terms.party(number).ok_or(ParticipantError::OtherKeys(number))?;
        if party.signing != keys.signing_public() || party.receiving != keys.receiving_public() {
            return Err(ParticipantError::OtherKeys(number));
        }
        if let (Some(group), Some(index)) = (terms.present(), party.deals) {
            let fits = present.is_some_and(|share| **share.group() == **group && share.index() == index);
            if !fits {
                return Err(ParticipantError::PresentShare);
            }
        }
        Ok(Self { terms, number, keys, present })
    }

    /// What this party has to say now; `None` when nothing is due from it. Asked again it says the same, byte for
    /// byte; after a restart too, but for its nonces.
    pub fn answer<R: RngCore + CryptoRng>(
        &self,
        transcript: &Transcript,
        memory: &mut Memory,
        rng: &mut R,
    ) -> Result<Option<Package>, ParticipantError> {
        self.same(transcript)?;
        if !transcript.waits_for().contains(&self.number) {
            return Ok(None);
        }
        let round = transcript.round();
        if let Some(said) =
            memory.said.as_ref().filter(|said| said.round == round && said.ceremony == self.terms.ceremony)
        {
            return Ok(Some(said.clone()));
        }
        let body = match transcript.step() {
            Step::Deal => self.deal(transcript)?,
            Step::Share => self.share_out(transcript)?,
            Step::Confirm => self.confirm(transcript, memory, rng)?,
            Step::Answer => self.answer_complaints(transcript)?,
            Step::Commit => Body::Commit { commitments: self.commit(transcript, memory, rng)? },
            Step::Prove => self.prove(transcript, memory)?,
            Step::Accept => self.accept(transcript, memory)?,
            Step::Verified | Step::Failed => return Ok(None),
        };
        let aux = Secret32::random(&mut self.drawn("signature", round));
        let package = Package::sign(&self.terms, self.keys, self.number, round, &body, &aux);
        memory.said = package.clone();
        package.map(Some).ok_or(ParticipantError::Internal)
    }

    /// This party's share of the group, once every holder has accepted it.
    pub fn take_share(&self, transcript: &Transcript) -> Result<KeyShare, ParticipantError> {
        self.same(transcript)?;
        if transcript.step() != Step::Verified {
            return Err(ParticipantError::NoShare);
        }
        self.unproven_share(transcript)
    }

    /// The same from when every set of holders has signed with it: to be kept before this party accepts.
    pub fn proven_share(&self, transcript: &Transcript) -> Result<KeyShare, ParticipantError> {
        self.same(transcript)?;
        if !matches!(transcript.step(), Step::Accept | Step::Verified) {
            return Err(ParticipantError::NoShare);
        }
        self.unproven_share(transcript)
    }

    fn deal(&self, transcript: &Transcript) -> Result<Body, ParticipantError> {
        let dealing = self.dealing(transcript)?;
        let binding = Binding { terms: *self.terms.digest(), dealer: self.number };
        let proof = dealing.prove(&binding, &mut self.drawn("proof", 0));
        Ok(Body::Deal { commitment: dealing.commitment().clone(), proof })
    }

    fn share_out(&self, transcript: &Transcript) -> Result<Body, ParticipantError> {
        let dealing = self.dealing(transcript)?;
        let seen = self.terms.dealers().filter_map(|party| transcript.said(1, party.number)).cloned().collect();
        let others = self.terms.receivers().filter(|(party, _)| party.number != self.number);
        let sealed = others
            .map(|(party, seat)| {
                let (value, seed) = (dealing.value(seat.index), self.drawn_seed("sealing", party.number));
                let sealed = sealing::seal(&self.terms, self.number, party.number, &value, &seed);
                sealed.map(|text| (party.number, text)).ok_or(ParticipantError::Internal)
            })
            .collect::<Result<_, _>>()?;
        Ok(Body::Share { seen, sealed })
    }

    fn confirm<R: RngCore + CryptoRng>(
        &self,
        transcript: &Transcript,
        memory: &mut Memory,
        rng: &mut R,
    ) -> Result<Body, ParticipantError> {
        let values = match self.values(transcript)? {
            Ok(values) => values,
            Err(against) => return Ok(Body::Complain { against }),
        };
        memory.share = Some(self.share_of(transcript, &values)?);
        let public = verification::digest_of(self.group(transcript)?);
        Ok(Body::Confirm { public, commitments: self.commit(transcript, memory, rng)? })
    }

    fn answer_complaints(&self, transcript: &Transcript) -> Result<Body, ParticipantError> {
        let dealing = self.dealing(transcript)?;
        let mine = transcript.complaints().into_iter().filter(|(_, dealer)| *dealer == self.number);
        let values = mine.filter_map(|(receiver, _)| {
            let value = dealing.value(self.seat(receiver)?.index);
            let [value, seed] =
                [value, self.drawn_seed("sealing", receiver)].map(|it| it.to_hex().expose_secret().to_owned());
            Some(Shown { receiver, value, seed })
        });
        Ok(Body::Answer { values: values.collect() })
    }

    /// Draws nonces for each set that this holder is in, and keeps them in memory until they sign.
    fn commit<R: RngCore + CryptoRng>(
        &self,
        transcript: &Transcript,
        memory: &mut Memory,
        rng: &mut R,
    ) -> Result<Vec<Commitment>, ParticipantError> {
        let share = self.remembered(transcript, &mut memory.share)?;
        let count = transcript.plan().map_or(0, |plan| plan.count(share.index()));
        let pairs = (0..count).map(|_| sign::commit(share, rng)).collect::<Result<Vec<_>, _>>()?;
        let (nonces, commitments) = pairs.into_iter().unzip();
        memory.nonces = Some((transcript.round(), nonces));
        Ok(commitments)
    }

    /// Eats the nonces. Those of another round, or none, can't answer what was committed to.
    fn prove(&self, transcript: &Transcript, memory: &mut Memory) -> Result<Body, ParticipantError> {
        let before = transcript.round().saturating_sub(1);
        let nonces = match memory.nonces.take() {
            Some((round, nonces)) if round == before && self.committed(transcript, &nonces) => nonces,
            _ => return Ok(Body::Lost),
        };
        let share = self.remembered(transcript, &mut memory.share)?;
        let group = self.group(transcript)?;
        let message = verification::message(&self.terms, group);
        let plan = transcript.plan().ok_or(ParticipantError::NoShare)?;
        let mut shares = Vec::new();
        for ((position, set), nonces) in plan.sets_of(share.index()).zip(nonces) {
            let others = self.others(transcript, plan, set, position)?;
            let given = sign::sign_committed(nonces, share, group.epoch, &message, &others)?;
            shares.push(given.share);
        }
        Ok(Body::Prove { shares })
    }

    /// The transcript has checked every signature before it asks for this.
    fn accept(&self, transcript: &Transcript, memory: &mut Memory) -> Result<Body, ParticipantError> {
        self.remembered(transcript, &mut memory.share)?;
        Ok(Body::Accept { public: verification::digest_of(self.group(transcript)?) })
    }

    fn others(
        &self,
        transcript: &Transcript,
        plan: &Plan,
        set: &[HolderIndex],
        position: usize,
    ) -> Result<Vec<(HolderIndex, Commitment)>, ParticipantError> {
        let in_set =
            self.terms.receivers().filter(|(party, seat)| party.number != self.number && set.contains(&seat.index));
        in_set
            .map(|(party, seat)| {
                let place = plan.place(seat.index, position).ok_or(ParticipantError::Internal)?;
                let commitment = transcript.commitments(party.number).and_then(|all| all.get(place));
                commitment.map(|it| (seat.index, *it)).ok_or(ParticipantError::Internal)
            })
            .collect()
    }

    /// Whether these are the nonces that the transcript knows the commitments of.
    fn committed(&self, transcript: &Transcript, nonces: &[SigningNonces]) -> bool {
        let said = transcript.commitments(self.number).unwrap_or_default();
        nonces.len() == said.len() && nonces.iter().zip(said).all(|(nonces, said)| nonces.commitment() == said)
    }

    /// This party's polynomial: drawn from its seed, so that it is the same after a restart.
    fn dealing(&self, transcript: &Transcript) -> Result<Dealing, ParticipantError> {
        let rng = &mut self.drawn("polynomial", 0);
        match (self.terms.present(), self.present) {
            (None, _) => Ok(Dealing::fresh(self.terms.threshold, rng)),
            (Some(_), Some(share)) => {
                let weight = transcript.weight(self.number).ok_or(ParticipantError::PresentShare)?;
                let constant = Zeroizing::new(weight * share.scalar());
                Ok(Dealing::of(&constant, self.terms.threshold, rng))
            }
            (Some(_), None) => Err(ParticipantError::PresentShare),
        }
    }

    /// The share that came out, opened anew after a restart.
    fn remembered<'m>(
        &self,
        transcript: &Transcript,
        share: &'m mut Option<KeyShare>,
    ) -> Result<&'m KeyShare, ParticipantError> {
        match share {
            Some(share) => Ok(share),
            none => Ok(none.insert(self.unproven_share(transcript)?)),
        }
    }

    /// The share that came out, before it is proven to sign.
    fn unproven_share(&self, transcript: &Transcript) -> Result<KeyShare, ParticipantError> {
        let values = self.values(transcript)?.map_err(|_| ParticipantError::NoShare)?;
        self.share_of(transcript, &values)
    }

    fn share_of(&self, transcript: &Transcript, values: &[Secret32]) -> Result<KeyShare, ParticipantError> {
        let seat = self.seat(self.number).ok_or(ParticipantError::NoShare)?;
        let sum = dealing::add_up(values, transcript.is_odd()).ok_or(ParticipantError::Internal)?;
        let group = transcript.group().ok_or(ParticipantError::NoShare)?;
        Ok(KeyShare::in_group(group.clone(), seat.index, &sum)?)
    }

    /// The value of each dealer, or the dealers whose value does not fit.
    fn values(&self, transcript: &Transcript) -> Result<Result<Vec<Secret32>, Vec<u16>>, ParticipantError> {
        let seat = self.seat(self.number).ok_or(ParticipantError::NoShare)?;
        let deals: BTreeMap<u16, &DealtCommitment> = transcript.deals().collect();
        let (mut values, mut wrong) = (Vec::new(), Vec::new());
        for (dealer, commitment) in deals {
            let value = if dealer == self.number {
                Some(self.dealing(transcript)?.value(seat.index))
            } else {
                self.opened(transcript, dealer)
            };
            match value.filter(|value| commitment.check_value(seat.index, value).is_ok()) {
                Some(value) => values.push(value),
                None => wrong.push(dealer),
            }
        }
        Ok(if wrong.is_empty() { Ok(values) } else { Err(wrong) })
    }

    fn opened(&self, transcript: &Transcript, dealer: u16) -> Option<Secret32> {
        sealing::open(&self.terms, dealer, self.number, self.keys, transcript.sealed(dealer, self.number)?)
    }

    fn seat(&self, party: u16) -> Option<Seat> {
        self.terms.party(party)?.receives
    }

    fn group<'t>(&self, transcript: &'t Transcript) -> Result<&'t GroupPublic, ParticipantError> {
        transcript.group().map(|group| &**group).ok_or(ParticipantError::NoShare)
    }

    fn same(&self, transcript: &Transcript) -> Result<(), ParticipantError> {
        let same = transcript.terms().digest() == self.terms.digest();
        if same { Ok(()) } else { Err(ParticipantError::OtherCeremony) }
    }

    /// Randomness that is the same whenever this party draws for the same thing in the same ceremony.
    fn drawn(&self, what: &str, number: u16) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(*self.drawn_seed(what, number).expose_secret())
    }

    fn drawn_seed(&self, what: &str, number: u16) -> Secret32 {
        let seed = tagged("passport/v1/ceremony/drawn")
            .chain_update(self.keys.seed.expose_secret())
            .chain_update(self.terms.digest())
            .chain_update(self.number.to_be_bytes())
            .chain_update(what.as_bytes())
            .chain_update(number.to_be_bytes());
        Secret32::from_bytes(seed.finalize().into())
    }
}
