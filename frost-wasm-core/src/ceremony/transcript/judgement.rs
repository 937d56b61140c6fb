//! What follows when a round is complete: the next step, or a failure with those to blame.

use std::collections::{BTreeMap, BTreeSet};

use k256::ProjectivePoint;

use super::{CameOut, Failure, MAX_TRIES, Round, Step, Transcript};
use crate::{
    ceremony::{
        package::Body,
        sealing,
        verification::{Given, Plan},
    },
    frost::sign::SignatureShare,
    group::{GroupPublic, HolderIndex, HolderPublic},
    point::{Point, XOnlyKey},
    secret::Secret32,
};

impl Transcript {
    /// The round is complete: what comes next.
    pub(super) fn advance(&mut self) {
        let next = match self.step {
            Step::Deal => Ok(Step::Share),
            Step::Share => self.end_of_sharing(),
            Step::Confirm if !self.complaints().is_empty() => Ok(Step::Answer),
            Step::Confirm | Step::Commit => Ok(Step::Prove),
            Step::Answer => Err(self.judge_complaints()),
            Step::Prove => self.end_of_proving(),
            Step::Accept => Ok(Step::Verified),
            Step::Verified | Step::Failed => return,
        };
        match next {
            Ok(step) => {
                self.step = step;
                if step != Step::Verified {
                    self.rounds.push(Round::new());
                }
            }
            Err(failure) => {
                self.step = Step::Failed;
                self.failure = Some(failure);
            }
        }
    }

    fn end_of_sharing(&mut self) -> Result<Step, Failure> {
        let two_faced = self.two_faced();
        if !two_faced.is_empty() {
            return Err(Failure::TwoFaced(two_faced));
        }
        // With at least one honest dealer the sum is never the identity, and a checked deal has the right degree.
        self.came_out = self.come_out();
        match &self.came_out {
            Some(_) => Ok(Step::Confirm),
            None => Err(Failure::NoGroup),
        }
    }

    /// Dealers of whom somebody was shown another signed deal.
    fn two_faced(&self) -> Vec<u16> {
        let shown = self.rounds.last().into_iter().flat_map(BTreeMap::values).flat_map(|said| match &said.body {
            Body::Share { seen, .. } => seen.as_slice(),
            _ => &[],
        });
        let other = shown.filter(|it| self.said(1, it.party) != Some(*it)).map(|package| package.party);
        other.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The group that the deals make, with even Y.
    fn come_out(&self) -> Option<CameOut> {
        let deals: Vec<_> = self.deals().map(|(_, commitment)| commitment).collect();
        let at = |index: u16| deals.iter().map(|it| it.at(index)).sum::<ProjectivePoint>();
        let key = Point::from_projective(at(0))?;
        let even = |point: ProjectivePoint| if key.has_even_y() { point } else { -point };
        let holders = self
            .terms
            .receivers()
            .map(|(_, seat)| {
                let verifying_share = Point::from_projective(even(at(seat.index.get())))?;
                Some(HolderPublic { index: seat.index, role: seat.role, verifying_share })
            })
            .collect::<Option<Vec<_>>>()?;
        let public = GroupPublic {
            group: self.terms.group,
            epoch: self.terms.epoch,
            threshold: self.terms.threshold,
            pubkey: XOnlyKey::from_bytes(key.x_bytes()),
            holders,
        };
        let goes_on = self.terms.present().is_none_or(|present| present.pubkey == public.pubkey);
        let group = public.validate().ok().filter(|_| goes_on)?;
        Some(CameOut { plan: Plan::of(&group), group, is_odd: !key.has_even_y() })
    }

    fn judge_complaints(&self) -> Failure {
        let (mut dealers, mut accusers) = (BTreeSet::new(), BTreeSet::new());
        for (receiver, dealer) in self.complaints() {
            match self.has_shown(dealer, receiver) {
                Some(true) => accusers.insert(receiver),
                _ => dealers.insert(dealer),
            };
        }
        Failure::Sharing { dealers: dealers.into_iter().collect(), accusers: accusers.into_iter().collect() }
    }

    /// Whether a dealer has shown that it handed the right value to a receiver: it fits the commitment, and sealed again
    /// it is what was sealed.
    fn has_shown(&self, dealer: u16, receiver: u16) -> Option<bool> {
        let values = match &self.rounds.last()?.get(&dealer)?.body {
            Body::Answer { values } => values,
            _ => return None,
        };
        let shown = values.iter().find(|shown| shown.receiver == receiver)?;
        let [value, seed] = [&shown.value, &shown.seed].map(|text| Secret32::from_hex(text).ok());
        let (value, seed) = (value?, seed?);
        let seat = self.terms.party(receiver)?.receives?;
        let (_, commitment) = self.deals().find(|(party, _)| *party == dealer)?;
        let sealed = sealing::seal(&self.terms, dealer, receiver, &value, &seed)?;
        Some(commitment.check_value(seat.index, &value).is_ok() && self.sealed(dealer, receiver) == Some(&sealed))
    }

    fn end_of_proving(&mut self) -> Result<Step, Failure> {
        let round = self.rounds.last();
        let lost = round.is_some_and(|round| round.values().any(|said| matches!(said.body, Body::Lost)));
        if lost {
            let tries = self.rounds.len().saturating_sub(3) / 2;
            return if tries < MAX_TRIES { Ok(Step::Commit) } else { Err(Failure::Tries) };
        }
        let Some(CameOut { group, plan, .. }) = &self.came_out else { return Err(Failure::NoGroup) };
        let receivers = self.terms.receivers();
        let given = receivers.filter_map(|(party, seat)| {
            let (commitments, shares) = (self.commitments(party.number)?, self.shares(party.number)?);
            Some(Given { index: seat.index, commitments, shares })
        });
        let proven = plan.verify(&self.terms, group, &given.collect::<Vec<_>>());
        match proven {
            Ok(proof) => {
                self.proof = Some(proof);
                Ok(Step::Accept)
            }
            Err(holders) => Err(Failure::BadSignature(self.parties_of(&holders))),
        }
    }

    fn shares(&self, party: u16) -> Option<&[SignatureShare]> {
        match &self.rounds.last()?.get(&party)?.body {
            Body::Prove { shares } => Some(shares),
            _ => None,
        }
    }

    fn parties_of(&self, holders: &[HolderIndex]) -> Vec<u16> {
        let receivers = self.terms.receivers();
        receivers.filter(|(_, seat)| holders.contains(&seat.index)).map(|(party, _)| party.number).collect()
    }
}
