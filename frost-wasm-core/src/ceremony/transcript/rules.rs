//! What a package has to say to be taken: checked before anything changes, with the party named.

use std::collections::{BTreeMap, BTreeSet};

use super::{Refused, Step, Transcript};
use crate::{
    ceremony::{
        package::{Body, Digest32, Package},
        verification,
    },
    frost::{dealing::Binding, sign::Commitment},
    point::Point,
};

impl Transcript {
    pub(super) fn check(&self, party: u16, body: &Body) -> Result<(), Refused> {
        match (self.step, body) {
            (Step::Deal, Body::Deal { commitment, proof }) => {
                let binding = Binding { terms: *self.terms.digest(), dealer: party };
                let refused = |error| Refused::Deal { party, error };
                commitment.check(self.terms.threshold, &binding, proof).map_err(refused)?;
                match self.dealt_constant(party) {
                    Some(point) => commitment.check_constant(&point).map_err(refused),
                    None => Ok(()),
                }
            }
            (Step::Share, Body::Share { seen, sealed }) => {
                self.check_seen(party, seen)?;
                let others = self.terms.receivers().map(|(it, _)| it.number).filter(|it| *it != party);
                if others.eq(sealed.iter().map(|(receiver, _)| *receiver)) {
                    Ok(())
                } else {
                    Err(Refused::Entries(party))
                }
            }
            (Step::Confirm, Body::Confirm { public, commitments }) => {
                self.check_public(party, public)?;
                self.check_commitments(party, commitments)
            }
            (Step::Confirm, Body::Complain { against }) => {
                let ascending = against.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
                let dealers =
                    against.iter().all(|it| *it != party && self.terms.dealers().any(|other| other.number == *it));
                if ascending && dealers && !against.is_empty() { Ok(()) } else { Err(Refused::Entries(party)) }
            }
            (Step::Answer, Body::Answer { values }) => {
                let asked =
                    self.complaints().into_iter().filter(|(_, dealer)| *dealer == party).map(|(receiver, _)| receiver);
                if asked.eq(values.iter().map(|shown| shown.receiver)) { Ok(()) } else { Err(Refused::Entries(party)) }
            }
            (Step::Commit, Body::Commit { commitments }) => self.check_commitments(party, commitments),
            (Step::Prove, Body::Prove { shares }) => self.check_count(party, shares.len()),
            (Step::Prove, Body::Lost) => Ok(()),
            (Step::Accept, Body::Accept { public }) => self.check_public(party, public),
            (_, _) => Err(Refused::OtherStep(party)),
        }
    }

    /// Each deal that is shown has to be signed by its dealer for this ceremony. Whether it is the one seen here is
    /// judged when the round is complete.
    fn check_seen(&self, party: u16, seen: &[Package]) -> Result<(), Refused> {
        let dealers = self.terms.dealers().map(|it| it.number);
        if !dealers.eq(seen.iter().map(|package| package.party)) {
            return Err(Refused::Entries(party));
        }
        let known = |package: &Package| self.said(1, package.party) == Some(package);
        let signed = |package: &Package| package.round == 1 && package.open(&self.terms).is_ok();
        if seen.iter().all(|package| known(package) || signed(package)) { Ok(()) } else { Err(Refused::Seen(party)) }
    }

    fn check_public(&self, party: u16, public: &Digest32) -> Result<(), Refused> {
        let own = self.group().map(|group| verification::digest_of(group));
        if own.as_ref() == Some(public) { Ok(()) } else { Err(Refused::OtherGroup(party)) }
    }

    /// Honest points are random: one that comes twice would let one nonce sign twice.
    fn check_commitments(&self, party: u16, commitments: &[Commitment]) -> Result<(), Refused> {
        self.check_count(party, commitments.len())?;
        let before = self.rounds.iter().flat_map(BTreeMap::values).flat_map(|said| match &said.body {
            Body::Confirm { commitments, .. } | Body::Commit { commitments } => commitments.as_slice(),
            _ => &[],
        });
        let mut known: BTreeSet<_> = before.flat_map(Commitment::points).collect();
        let fresh = commitments.iter().flat_map(Commitment::points).all(|point| known.insert(point));
        if fresh { Ok(()) } else { Err(Refused::RepeatedCommitment(party)) }
    }

    fn check_count(&self, party: u16, count: usize) -> Result<(), Refused> {
        let seat = self.terms.party(party).and_then(|it| it.receives);
        let needed = seat.zip(self.plan()).map(|(seat, plan)| plan.count(seat.index));
        if needed == Some(count) { Ok(()) } else { Err(Refused::Entries(party)) }
    }

    /// In a reshare: the point of what a dealer has to hand on, its weighted share of the present key.
    fn dealt_constant(&self, party: u16) -> Option<Point> {
        let present = self.terms.present()?;
        let index = self.terms.party(party)?.deals?;
        let weight = self.weight(party)?;
        present.holder(index)?.verifying_share.times(&weight)
    }
}
