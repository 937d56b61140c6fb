//! What was said so far, and what is due next. Everything here follows from the terms and the packages alone, so
//! whoever has the same packages comes to the same result, and a transcript that is read again is the one it was.

mod judgement;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    package::{Body, Package, PackageError},
    terms::ValidTerms,
    verification::{Plan, Proof},
};
use crate::{
    frost::{
        dealing::{DealingError, DealtCommitment},
        lagrange,
        sign::Commitment,
    },
    group::{HolderIndex, ValidGroup},
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
    proof: Option<Proof>,
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
        Self { terms, rounds: vec![Round::new()], step: Step::Deal, failure: None, came_out: None, proof: None }
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

    /// The signatures that show that the group signs, once every set has given one.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.proof.as_ref()
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

    /// The newest commitments of a party.
    pub(super) fn commitments(&self, party: u16) -> Option<&[Commitment]> {
        self.rounds.iter().rev().find_map(|round| match &round.get(&party)?.body {
            Body::Confirm { commitments, .. } | Body::Commit { commitments } => Some(commitments.as_slice()),
            _ => None,
        })
    }

    /// In a reshare: the weight of a dealer's share among the dealers.
    pub(super) fn weight(&self, party: u16) -> Option<k256::Scalar> {
        let dealers: Vec<_> = self.terms.dealers().filter_map(|it| it.deals).map(HolderIndex::get).collect();
        lagrange::weight(self.terms.party(party)?.deals?.get(), &dealers, 0)
    }
}
