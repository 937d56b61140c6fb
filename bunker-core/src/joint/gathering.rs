//! What the bunker keeps of a request that devices contribute to, until as many have as have to. In memory only, like the
//! bunker's own nonces: when it is gone, all begin anew with fresh ones.
//!
//! A signature takes two words of each device but the last: its commitment, and its share over the commitments of all
//! who sign. Whoever commits anew, having lost its nonces, or leaves, undoes what the others signed, and nothing else.
//! So each share is given for one state of the commitments, its **round**, and is taken in that round alone: a share of
//! another one would be wrong without anybody's fault.

use std::collections::BTreeMap;

use frost_wasm_core::{
    frost::sign::Commitment,
    group::{HolderIndex, HolderRole},
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

use super::{
    bunker::{Pending, begin, finish},
    wire::ContributionReply,
};
use crate::{
    keys::EventId,
    session::{Answer, Failure, Operation},
};

/// For how long a device that has committed keeps its place without being heard, in milliseconds.
const PATIENCE_MS: u64 = 60_000;

/// One request's contributions so far.
#[derive(Debug)]
pub struct Gathering {
    pending: Pending,
    own: Vec<(HolderIndex, Commitment)>,
    needed: usize,
    parts: BTreeMap<HolderIndex, Part>,
}

#[derive(Debug)]
struct Part {
    said: ContributionReply,
    heard_at_ms: u64,
}

/// What a device is to contribute to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// With the commitments that are there; its own among them when it has committed.
    Contribute {
        /// Name of this state of the commitments, to be given with the contribution.
        round: u32,
        /// Of the bunker and of those who have committed. Empty unless something is signed.
        commitments: Vec<(HolderIndex, Commitment)>,
    },
    /// Its part is here; the others' are not.
    Given,
    /// As many as have to are at it already.
    Enough,
}

/// How the request stands after a contribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Others have to contribute, too.
    Waiting,
    /// It can be [finished](Gathering::finish).
    Complete,
}

/// Why a contribution was not taken. Nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It was made for another state of the commitments, or by one too many: ask again.
    #[error("it was made for what is not any more")]
    Outdated,
    /// It answers another question.
    #[error("it answers another question")]
    Unfit,
}

impl Gathering {
    /// Makes the bunker's own part.
    ///
    /// # Errors
    /// What the app is told.
    pub fn begin<R: RngCore + CryptoRng>(
        operation: Operation,
        request: &EventId,
        share: &KeyShare,
        rng: &mut R,
    ) -> Result<Self, Failure> {
        let (pending, own) = begin(operation, request, share, rng)?;
        let needed = usize::from(share.group().threshold).saturating_sub(1);
        Ok(Self { pending, own, needed, parts: BTreeMap::new() })
    }

    /// Who has said something, by ascending number.
    pub fn contributors(&self) -> impl Iterator<Item = HolderIndex> + '_ {
        self.parts.keys().copied()
    }

    /// A device asks what to contribute to.
    pub fn asked(&mut self, holder: HolderIndex, now_ms: u64) -> Asked {
        if let Some(part) = self.parts.get_mut(&holder) {
            part.heard_at_ms = now_ms;
        }
        self.give_up_the_silent(now_ms);
        match self.parts.get(&holder).map(|part| &part.said) {
            Some(ContributionReply::Committed { .. }) => {}
            Some(_) => return Asked::Given,
            None if self.parts.len() >= self.needed => return Asked::Enough,
            None => {}
        }
        let commitments = self.commitments();
        Asked::Contribute { round: round_of(&commitments), commitments }
    }

    /// Takes what a device says for the state that it was asked in. The same again changes nothing.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn take(
        &mut self,
        reply: ContributionReply,
        round: u32,
        share: &KeyShare,
        now_ms: u64,
    ) -> Result<Taken, NotTaken> {
        let index = reply.index().ok_or(NotTaken::Unfit)?;
        if share.group().holder(index).is_none_or(|it| it.role != HolderRole::Device) {
            return Err(NotTaken::Unfit);
        }
        let before = self.parts.get(&index).map(|part| &part.said);
        if before == Some(&reply) {
            return Ok(self.state());
        }
        let has_place = before.is_some() || self.parts.len() < self.needed;
        match (&reply, self.pending.is_signing()) {
            (ContributionReply::Committed { .. }, true) if self.needed > 1 => {
                if !has_place {
                    return Err(NotTaken::Outdated);
                }
                self.undo_signatures();
            }
            (ContributionReply::Signed(contribution), true) => {
                let fits = match before {
                    Some(ContributionReply::Committed { commitment, .. }) => {
                        *commitment == contribution.commitment && self.parts.len() == self.needed
                    }
                    Some(_) => false,
                    // The last one: it signed over everybody else's commitment.
                    None => self.parts.len() + 1 == self.needed,
                };
                if !fits || round != round_of(&self.commitments()) {
                    return Err(NotTaken::Outdated);
                }
            }
            (ContributionReply::Ecdh(_), false) if has_place => {}
            (ContributionReply::Ecdh(_), false) => return Err(NotTaken::Outdated),
            (
                ContributionReply::Committed { .. }
                | ContributionReply::Signed(_)
                | ContributionReply::Ecdh(_)
                | ContributionReply::Recorded
                | ContributionReply::Refused { .. },
                _,
            ) => return Err(NotTaken::Unfit),
        }
        self.parts.insert(index, Part { said: reply, heard_at_ms: now_ms });
        Ok(self.state())
    }

    /// Puts everything together. Eats the nonces, whatever comes of it.
    ///
    /// # Errors
    /// What the app is told; a holder that is to blame is named.
    pub fn finish<R: RngCore + CryptoRng>(self, share: &KeyShare, rng: &mut R) -> Result<Answer, Failure> {
        finish(self.pending, share, self.parts.into_values().map(|part| part.said).collect(), rng)
    }

    fn commitments(&self) -> Vec<(HolderIndex, Commitment)> {
        let commitment = |(index, part): (&HolderIndex, &Part)| match &part.said {
            ContributionReply::Committed { commitment, .. } => Some((*index, *commitment)),
            ContributionReply::Signed(contribution) => Some((*index, contribution.commitment)),
            ContributionReply::Ecdh(_) | ContributionReply::Recorded | ContributionReply::Refused { .. } => None,
        };
        self.own.iter().copied().chain(self.parts.iter().filter_map(commitment)).collect()
    }

    fn state(&self) -> Taken {
        let is_given = |part: &Part| !matches!(part.said, ContributionReply::Committed { .. });
        let is_complete = self.parts.len() == self.needed && self.parts.values().all(is_given);
        if is_complete { Taken::Complete } else { Taken::Waiting }
    }

    /// Who committed and is not heard any more makes room for others.
    fn give_up_the_silent(&mut self, now_ms: u64) {
        let before = self.parts.len();
        self.parts.retain(|_, part| {
            let is_committed = matches!(part.said, ContributionReply::Committed { .. });
            !is_committed || now_ms < part.heard_at_ms.saturating_add(PATIENCE_MS)
        });
        if self.parts.len() != before {
            self.undo_signatures();
        }
    }

    fn undo_signatures(&mut self) {
        self.parts.retain(|_, part| !matches!(part.said, ContributionReply::Signed(_)));
    }
}

/// A name for one state of the commitments, also after the bunker began anew. It guards against accidents: whoever makes
/// up one spoils its own contribution.
fn round_of(commitments: &[(HolderIndex, Commitment)]) -> u32 {
    let mut hash = Sha256::new();
    for (index, commitment) in commitments {
        hash.update(index.get().to_be_bytes());
        hash.update(commitment.to_string());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [first, second, third, fourth, ..] = digest;
    u32::from_be_bytes([first, second, third, fourth])
}
