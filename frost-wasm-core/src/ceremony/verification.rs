//! The proof that a new group signs: every set of as many holders as act together signs one fixed message, and every
//! holder checks every signature. Where there are too many sets, the sample is the same for all, drawn by the group
//! itself, and has each holder in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::{
    package::{Digest32, PackageSignature},
    terms::ValidTerms,
};
use crate::{
    frost::sign::{self, Commitment, Contribution, SignError, SignatureShare},
    group::{GroupPublic, HolderIndex, ValidGroup},
    hash::tagged,
};

/// Most sets that are tried: 252 of ten holders would take everybody seconds.
pub const MAX_SETS: usize = 100;

/// Digest of a group's public facts.
pub(super) fn digest_of(public: &GroupPublic) -> Digest32 {
    // Plain data, which always serializes, and in one form only.
    let text = serde_json::to_vec(public).unwrap_or_default();
    Digest32::from_bytes(tagged("passport/v1/group").chain_update(text).finalize().into())
}

/// What is signed: it names ceremony and group and can be no event's id.
pub(super) fn message(terms: &ValidTerms, public: &GroupPublic) -> [u8; 32] {
    tagged("passport/v1/verification")
        .chain_update(terms.digest())
        .chain_update(digest_of(public).as_bytes())
        .finalize()
        .into()
}

/// Which sets of holders sign: the same for all parties of a ceremony.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    sets: Vec<Vec<HolderIndex>>,
    /// For each holder, the positions of the sets that it is in.
    places: BTreeMap<HolderIndex, Vec<usize>>,
}

impl Plan {
    pub(super) fn of(public: &GroupPublic) -> Self {
        let indices: Vec<_> = public.holders.iter().map(|holder| holder.index).collect();
        let mut sets = Vec::new();
        choose(&indices, usize::from(public.threshold), &mut Vec::new(), &mut sets);
        if sets.len() > MAX_SETS {
            sets = sample(public, &indices, sets);
        }
        let of = |index: &HolderIndex| {
            sets.iter().enumerate().filter(|(_, set)| set.contains(index)).map(|(at, _)| at).collect()
        };
        let places = indices.iter().map(|index| (*index, of(index))).collect();
        Self { sets, places }
    }

    /// How many sets a holder is in: so many nonces and signature shares it gives.
    pub(super) fn count(&self, index: HolderIndex) -> usize {
        self.places.get(&index).map_or(0, Vec::len)
    }

    /// The sets that a holder is in, with their positions.
    pub(super) fn sets_of(&self, index: HolderIndex) -> impl Iterator<Item = (usize, &[HolderIndex])> {
        let places = self.places.get(&index).into_iter().flatten();
        places.filter_map(|at| Some((*at, self.sets.get(*at)?.as_slice())))
    }

    /// Where among what a holder gives the one for the set at `position` stands.
    pub(super) fn place(&self, index: HolderIndex, position: usize) -> Option<usize> {
        self.places.get(&index)?.binary_search(&position).ok()
    }

    /// Puts together all signatures of one try, given by each holder in the order of the sets that it is in.
    ///
    /// # Errors
    /// The holders that cheated.
    pub(super) fn verify(
        &self,
        terms: &ValidTerms,
        group: &ValidGroup,
        given: &[Given<'_>],
    ) -> Result<Proof, Vec<HolderIndex>> {
        let message = message(terms, group);
        let mut culprits = BTreeSet::new();
        let mut signatures = Vec::new();
        for (position, set) in self.sets.iter().enumerate() {
            let of_set = given.iter().filter(|it| set.contains(&it.index));
            let contributions: Vec<_> =
                of_set.filter_map(|it| it.contribution(self.place(it.index, position)?)).collect();
            match sign::combine(group, &message, &contributions) {
                Ok(signature) => signatures.push((set.clone(), PackageSignature::from_bytes(signature))),
                Err(SignError::Culprits(found)) => culprits.extend(found),
                // A repeated commitment is a cheat too; anything else is a set that nobody completed.
                Err(SignError::RepeatedCommitment(index)) => culprits.extend([index]),
                Err(_) => culprits.extend(set),
            }
        }
        if culprits.is_empty() {
            Ok(Proof { message: Digest32::from_bytes(message), signatures })
        } else {
            Err(culprits.into_iter().collect())
        }
    }
}

/// What shows to anybody that a group signs: the message that names it, signed by each of the sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What was signed. It names ceremony and group.
    pub message: Digest32,
    /// Each set of holders with its BIP-340 signature under the group's key.
    pub signatures: Vec<(Vec<HolderIndex>, PackageSignature)>,
}

/// What one holder gave in one try.
pub(super) struct Given<'a> {
    pub(super) index: HolderIndex,
    pub(super) commitments: &'a [Commitment],
    pub(super) shares: &'a [SignatureShare],
}

impl Given<'_> {
    fn contribution(&self, place: usize) -> Option<Contribution> {
        let (commitment, share) = (*self.commitments.get(place)?, *self.shares.get(place)?);
        Some(Contribution { index: self.index, commitment, share })
    }
}

/// Draws lots, and adds what it takes for every holder to be in a set.
fn sample(public: &GroupPublic, indices: &[HolderIndex], mut sets: Vec<Vec<HolderIndex>>) -> Vec<Vec<HolderIndex>> {
    let digest = digest_of(public);
    sets.sort_by_cached_key(|set| -> [u8; 32] {
        let mut hash = tagged("passport/v1/verification/lot").chain_update(digest.as_bytes());
        set.iter().for_each(|index| hash.update(index.get().to_be_bytes()));
        hash.finalize().into()
    });
    let (kept, left) = sets.split_at(MAX_SETS.min(sets.len()));
    let missing = indices.iter().filter(|index| !kept.iter().any(|set| set.contains(*index)));
    let more = missing.filter_map(|index| left.iter().find(|set| set.contains(index)));
    kept.iter().chain(more).cloned().collect()
}

fn choose(from: &[HolderIndex], needed: usize, chosen: &mut Vec<HolderIndex>, all: &mut Vec<Vec<HolderIndex>>) {
    if needed == 0 {
        all.push(chosen.clone());
        return;
    }
    for (position, index) in from.iter().enumerate() {
        chosen.push(*index);
        choose(from.get(position + 1..).unwrap_or_default(), needed - 1, chosen, all);
        chosen.pop();
    }
}
