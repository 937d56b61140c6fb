//! What was said so far, and what is due next. Everything here follows from the terms and the packages alone, so
//! whoever has the same packages comes to the same result, and a transcript that is read again is the one it was.

use std::collections::{BTreeMap, BTreeSet};

use k256::ProjectivePoint;

use super::{
    package::{Body, Digest32, Package, PackageError},
    terms::ValidTerms,
    verification::{self, Given, Plan},
};
use crate::{
    frost::{
        dealing::{Binding, DealingError, DealtCommitment},
        lagrange,
        sign::{Commitment, SignatureShare},
    },
    group::{GroupPublic, HolderIndex, HolderPublic, ValidGroup},
    point::{Point, XOnlyKey},
    secret::Secret32,
};

/// How often nonces may be lost before the ceremony is given up.
const MAX_TRIES: usize = 8;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Dealers commit.
    Deal,
    /// Dealers hand out values.
    Share,
    /// Receivers confirm, or complain.
    Confirm,
    /// Accused dealers show what they handed out.
    Answer,
    /// Receivers commit to fresh nonces.
    Commit,
    /// Receivers sign.
    Prove,
    /// Receivers accept the group.
    Accept,
    /// Every holder has checked and accepted: the group may be used.
    Verified,
    /// It has failed for good.
    Failed,
}

/// Why it failed for good, and who is to blame, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// They showed different parties different deals, each under their own signature.
    TwoFaced(Vec<u16>),
    /// Dealers handed out a value that does not fit their commitment and could not show one that does; or receivers
    /// complained about a value that was right.
    Sharing {
        /// Such dealers.
        dealers: Vec<u16>,
        /// Such receivers.
        accusers: Vec<u16>,
    },
    /// The deals make no group, which a checked deal of one honest dealer rules out.
    NoGroup,
    /// They signed wrongly.
    BadSignature(Vec<u16>),
    /// Nonces were lost too often.
    Tries,
}

/// Why a package was not taken. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not what it claims to be.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// For a round that is over, or has not begun.
    #[error("the package is for round {got}; round {due} is due")]
    Round {
        /// The round that is due.
        due: u16,
        /// The package's.
        got: u16,
    },
    /// This party has nothing to say in this round.
    #[error("party {0} has nothing to say in this round")]
    NotDue(u16),
    /// This party has said something else in this round.
    #[error("party {0} said something else in this round before")]
    Altered(u16),
    /// Says something else than is due.
    #[error("the package of party {0} does not say what is due in this round")]
    OtherStep(u16),
    /// A dealing that is refused.
    #[error("the deal of party {party} is refused: {error}")]
    Deal {
        /// The dealer.
        party: u16,
        /// What is wrong with it.
        error: DealingError,
    },
    /// Not one entry for each that there has to be.
    #[error("the package of party {0} has not one entry for each that is due")]
    Entries(u16),
    /// It shows deals that are not those of this ceremony.
    #[error("the package of party {0} shows a deal that its dealer did not sign")]
    Seen(u16),
    /// A point of these commitments was committed to before, here or by somebody else.
    #[error("the commitments of party {0} repeat a point")]
    RepeatedCommitment(u16),
    /// Confirms another group than came out here.
    #[error("party {0} came to another group")]
    OtherGroup(u16),
    /// The ceremony is over.
    #[error("the ceremony is over")]
    Over,
}

#[derive(Debug, Clone)]
struct Said {
    package: Package,
    body: Body,
}

type Round = BTreeMap<u16, Said>;

/// The packages of one ceremony, as one of its parties or its coordinator has them.
#[derive(Debug, Clone)]
pub struct Transcript {
    terms: ValidTerms,
    rounds: Vec<Round>,
    step: Step,
    failure: Option<Failure>,
    came_out: Option<CameOut>,
}

/// What the deals make.
#[derive(Debug, Clone)]
struct CameOut {
    group: ValidGroup,
    plan: Plan,
    /// The polynomials make the odd form of the key, so that each receiver negates its share.
    is_odd: bool,
}

impl Failure {
    /// The numbers of those who are to blame.
    #[must_use]
    pub fn culprits(&self) -> Vec<u16> {
        match self {
            Self::TwoFaced(culprits) | Self::BadSignature(culprits) => culprits.clone(),
            Self::Sharing { dealers, accusers } => {
                let both: BTreeSet<_> = dealers.iter().chain(accusers).copied().collect();
                both.into_iter().collect()
            }
            Self::NoGroup | Self::Tries => Vec::new(),
        }
    }
}

impl Transcript {
    /// Nothing was said yet.
    #[must_use]
    pub fn new(terms: ValidTerms) -> Self {
        Self { terms, rounds: vec![Round::new()], step: Step::Deal, failure: None, came_out: None }
    }

    /// Takes a package. The same one again changes nothing; `true` when it was new.
    pub fn take(&mut self, package: &Package) -> Result<bool, Refused> {
        let Some(body) = self.examine(package)? else { return Ok(false) };
        if let Some(round) = self.rounds.last_mut() {
            round.insert(package.party, Said { package: package.clone(), body });
        }
        if self.waits_for().is_empty() {
            self.advance();
        }
        Ok(true)
    }

    /// Whether [`take`](Self::take) would take it, without taking it: what it says, or `None` if it is known.
    pub fn examine(&self, package: &Package) -> Result<Option<Body>, Refused> {
        let party = package.party;
        if let Some(said) = self.said(package.round, party) {
            return if said == package { Ok(None) } else { Err(Refused::Altered(party)) };
        }
        if self.is_over() {
            return Err(Refused::Over);
        }
        if package.round != self.round() {
            return Err(Refused::Round { due: self.round(), got: package.round });
        }
        let body = package.open(&self.terms)?;
        if !self.due().contains(&party) {
            return Err(Refused::NotDue(party));
        }
        self.check(party, &body)?;
        Ok(Some(body))
    }

    /// The terms.
    #[must_use]
    pub fn terms(&self) -> &ValidTerms {
        &self.terms
    }

    /// What is due.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// The round that is due, from 1.
    #[must_use]
    pub fn round(&self) -> u16 {
        u16::try_from(self.rounds.len()).unwrap_or(u16::MAX)
    }

    /// Whether nothing more can be said.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.step, Step::Verified | Step::Failed)
    }

    /// Those who have not spoken in this round yet.
    #[must_use]
    pub fn waits_for(&self) -> Vec<u16> {
        let round = self.rounds.last();
        self.due().into_iter().filter(|party| round.is_none_or(|round| !round.contains_key(party))).collect()
    }

    /// Why it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// The group that came out, from when it is known. Not to be used before [`Step::Verified`].
    #[must_use]
    pub fn group(&self) -> Option<&ValidGroup> {
        self.came_out.as_ref().map(|it| &it.group)
    }

    /// Which sets of holders prove it.
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.came_out.as_ref().map(|it| &it.plan)
    }

    /// All packages, in an order in which another transcript takes them.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.rounds.iter().flat_map(|round| round.values().map(|said| &said.package))
    }

    /// What a party has said in a round.
    #[must_use]
    pub fn said(&self, round: u16, party: u16) -> Option<&Package> {
        let at = usize::from(round).checked_sub(1)?;
        self.rounds.get(at)?.get(&party).map(|said| &said.package)
    }

    /// Who has to speak in this round.
    fn due(&self) -> Vec<u16> {
        let dealers = || self.terms.dealers().map(|party| party.number).collect();
        let receivers = || self.terms.receivers().map(|(party, _)| party.number).collect();
        match self.step {
            Step::Deal | Step::Share => dealers(),
            Step::Confirm | Step::Commit | Step::Prove | Step::Accept => receivers(),
            Step::Answer => {
                self.complaints().into_iter().map(|(_, dealer)| dealer).collect::<BTreeSet<_>>().into_iter().collect()
            }
            Step::Verified | Step::Failed => Vec::new(),
        }
    }

    fn check(&self, party: u16, body: &Body) -> Result<(), Refused> {
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
                if asked.eq(values.iter().map(|(receiver, _)| *receiver)) {
                    Ok(())
                } else {
                    Err(Refused::Entries(party))
                }
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

    /// The round is complete: what comes next.
    fn advance(&mut self) {
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

    /// Whether each receiver negates its share, so that the key is the one with even Y.
    pub(super) fn is_odd(&self) -> bool {
        self.came_out.as_ref().is_some_and(|it| it.is_odd)
    }

    /// The commitments of the first round, by dealer.
    pub(super) fn deals(&self) -> impl Iterator<Item = (u16, &DealtCommitment)> {
        self.rounds.first().into_iter().flatten().filter_map(|(party, said)| match &said.body {
            Body::Deal { commitment, .. } => Some((*party, commitment)),
            _ => None,
        })
    }

    /// What `dealer` sealed to `receiver`.
    pub(super) fn sealed(&self, dealer: u16, receiver: u16) -> Option<&str> {
        match &self.rounds.get(1)?.get(&dealer)?.body {
            Body::Share { sealed, .. } => sealed.iter().find(|(to, _)| *to == receiver).map(|(_, text)| text.as_str()),
            _ => None,
        }
    }

    /// Who complained about whom, as (receiver, dealer).
    pub(super) fn complaints(&self) -> Vec<(u16, u16)> {
        let round = self.rounds.get(2).into_iter().flatten();
        round
            .flat_map(|(receiver, said)| match &said.body {
                Body::Complain { against } => against.iter().map(|dealer| (*receiver, *dealer)).collect(),
                _ => Vec::new(),
            })
            .collect()
    }

    fn judge_complaints(&self) -> Failure {
        let deals: BTreeMap<u16, &DealtCommitment> = self.deals().collect();
        let (mut dealers, mut accusers) = (BTreeSet::new(), BTreeSet::new());
        for (receiver, dealer) in self.complaints() {
            let shown = self.rounds.last().and_then(|round| round.get(&dealer)).and_then(|said| match &said.body {
                Body::Answer { values } => values.iter().find(|(to, _)| *to == receiver),
                _ => None,
            });
            let value = shown.and_then(|(_, text)| Secret32::from_hex(text).ok());
            let seat = self.terms.party(receiver).and_then(|it| it.receives);
            let fits = match (value, seat, deals.get(&dealer)) {
                (Some(value), Some(seat), Some(commitment)) => commitment.check_value(seat.index, &value).is_ok(),
                _ => false,
            };
            if fits {
                accusers.insert(receiver)
            } else {
                dealers.insert(dealer)
            };
        }
        Failure::Sharing { dealers: dealers.into_iter().collect(), accusers: accusers.into_iter().collect() }
    }

    fn end_of_proving(&self) -> Result<Step, Failure> {
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
        match plan.verify(&self.terms, group, &given.collect::<Vec<_>>()) {
            Ok(()) => Ok(Step::Accept),
            Err(holders) => Err(Failure::BadSignature(self.parties_of(&holders))),
        }
    }

    /// The newest commitments of a party.
    pub(super) fn commitments(&self, party: u16) -> Option<&[Commitment]> {
        self.rounds.iter().rev().find_map(|round| match &round.get(&party)?.body {
            Body::Confirm { commitments, .. } | Body::Commit { commitments } => Some(commitments.as_slice()),
            _ => None,
        })
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

    /// In a reshare: the point of what a dealer has to hand on, its weighted share of the present key.
    fn dealt_constant(&self, party: u16) -> Option<Point> {
        let present = self.terms.present()?;
        let index = self.terms.party(party)?.deals?;
        let weight = self.weight(party)?;
        present.holder(index)?.verifying_share.times(&weight)
    }

    /// In a reshare: the weight of a dealer's share among the dealers.
    pub(super) fn weight(&self, party: u16) -> Option<k256::Scalar> {
        let dealers: Vec<_> = self.terms.dealers().filter_map(|it| it.deals).map(HolderIndex::get).collect();
        lagrange::weight(self.terms.party(party)?.deals?.get(), &dealers, 0)
    }
}
