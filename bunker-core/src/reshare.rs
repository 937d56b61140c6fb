//! New shares of the same key: the owner's word that they be dealt, and the epoch that came of it.
//!
//! The owner signs the digest of a ceremony's terms, which say who deals, who gets a share and how many act together
//! afterwards. A holder deals under no other terms. What came out is stored with terms and statement, so that it can be
//! held against the owner's word again whenever it is read.

use frost_wasm_core::{
    ceremony::{Digest32, Terms, Transcript, ValidTerms},
    group::{GroupId, GroupPublic},
};
use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    keys::PublicKey,
    statement::{Statement, StoredError, Verb},
};

/// The owner's word that the shares be dealt anew under these terms, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshare {
    statement: Event,
    terms: Digest32,
}

/// An epoch as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// The `reshare` statement as the owner signed it.
    pub statement: Event,
    /// The terms that it names.
    pub terms: Terms,
    /// The group that came out.
    pub public: GroupPublic,
}

/// An epoch after the first, held against the owner's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch(EpochRecord);

impl Reshare {
    pub(crate) fn said(statement: &Statement, terms: Digest32) -> Self {
        Self { statement: statement.event().clone(), terms }
    }

    /// Reads a stored statement, checking the owner's signature again.
    ///
    /// # Errors
    /// When it is not the owner's word about new shares of this group's key.
    pub fn restore(statement: Event, owner: &PublicKey, group: &GroupId) -> Result<Self, StoredError> {
        match Statement::restore(statement.clone(), owner, group)?.into_verb() {
            Verb::Reshare { terms } => Ok(Self { statement, terms }),
            _ => Err(StoredError::Foreign),
        }
    }

    /// The owner's statement.
    pub fn statement(&self) -> &Event {
        &self.statement
    }

    /// Whether it is about exactly these terms.
    pub fn is_about(&self, terms: &ValidTerms) -> bool {
        self.terms.as_bytes() == terms.digest()
    }
}

impl Epoch {
    /// What came out of a ceremony; `None` while nothing has, or if it is another's.
    pub(crate) fn of(reshare: &Reshare, transcript: &Transcript) -> Option<Self> {
        let (terms, public) = (transcript.terms(), transcript.group()?);
        let record =
            EpochRecord { statement: reshare.statement.clone(), terms: (**terms).clone(), public: (**public).clone() };
        reshare.is_about(terms).then_some(Self(record))
    }

    /// Reads a stored epoch, checking the owner's signature and that the group is one of the terms.
    ///
    /// # Errors
    /// When it is not what the owner's word led to.
    pub fn restore(record: EpochRecord, owner: &PublicKey, group: &GroupId) -> Result<Self, StoredError> {
        let reshare = Reshare::restore(record.statement.clone(), owner, group)?;
        let terms = record.terms.validate().map_err(|_| StoredError::Foreign)?;
        let seats = terms.receivers().map(|(_, seat)| (seat.index, seat.role));
        let goes_on = terms.present().is_some_and(|before| before.pubkey == record.public.pubkey);
        let fits = reshare.is_about(&terms)
            && goes_on
            && terms.group == *group
            && (record.public.group, record.public.epoch) == (terms.group, terms.epoch)
            && record.public.threshold == terms.threshold
            && seats.eq(record.public.holders.iter().map(|holder| (holder.index, holder.role)))
            && record.public.validate().is_ok();
        if fits { Ok(Self(record)) } else { Err(StoredError::Foreign) }
    }

    /// What is stored.
    pub fn record(&self) -> &EpochRecord {
        &self.0
    }

    /// The group from now on.
    pub fn public(&self) -> &GroupPublic {
        &self.0.public
    }
}
