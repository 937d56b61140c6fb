//! A cosigner that is new in a key in use: it got its first share in a renewal, and the bunker tells it the rest.
//!
//! What it is told is the owner's signed word, and checked: the identity, the renewal, each connection's terms. Which
//! client a connection is bound to, what was used of it, and which statement was the last, are the bunker's notes and
//! believed, as a device believes what the first request of an app shows.

use frost_wasm_core::{
    ceremony::{Kind, Step as Stage, Transcript},
    group::{HolderIndex, HolderRole},
};
use serde::{Deserialize, Serialize};

use super::{
    Mutation,
    state::{HolderState, Identity, LastStatement},
};
use crate::{
    event::Event,
    grant::{Connection, ConnectionRecord, Usage},
    members::Members,
    reshare::{Epoch, Reshare},
    statement::{Statement, StoredError, Verb},
};

/// What a new cosigner is told beside the owner's `create_group` statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Induction {
    /// The owner's word for the renewal.
    pub word: Event,
    /// The newest statement.
    pub last_statement: LastStatement,
    /// All connections.
    pub connections: Vec<(ConnectionRecord, Usage)>,
}

/// Why a cosigner does not become one by this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InductionRefused {
    /// A statement is not the owner's, or not about this.
    #[error("the statements are not the owner's about this key: {0}")]
    NotTheOwners(#[from] StoredError),
    /// The ceremony is not finished, is another's, or gave this holder nothing.
    #[error("no share came of that renewal for this holder")]
    NotRenewed,
    /// Somebody else than the owner took part.
    #[error("somebody else than the owner took part in the renewal")]
    OtherPerson,
}

impl HolderState {
    /// What the cosigner has to be told that got its first share in the present epoch; `None` where there is none.
    pub fn induction(&self) -> Option<(HolderIndex, Induction)> {
        let epoch = self.epoch.as_ref()?.record();
        let Kind::Reshare { from } = &epoch.terms.purpose else { return None };
        let is_new = |index: &HolderIndex| from.holder(*index).is_none();
        let seats = epoch.terms.receivers().filter(|(_, seat)| seat.role == HolderRole::Cosigner);
        let holder = seats.map(|(_, seat)| seat.index).find(is_new)?;
        let connections = self.connections().map(|(connection, usage)| (connection.record().clone(), usage));
        let word = epoch.statement.clone();
        Some((holder, Induction { word, last_statement: self.last_statement, connections: connections.collect() }))
    }

    /// The first state of a new cosigner, from the owner's words and the ceremony that it took part in.
    ///
    /// # Errors
    /// Why not.
    pub fn inducted(
        created: &Statement,
        induction: &Induction,
        transcript: &Transcript,
        holder: HolderIndex,
        now_ms: u64,
    ) -> Result<(Self, Vec<Mutation>), InductionRefused> {
        let (owner, group, terms) = (created.owner(), created.group(), transcript.terms());
        let is_owner = |key: &[u8; 32]| key == owner.as_bytes();
        let mut people =
            terms.parties.iter().filter(|it| terms.holder_of(it).is_some_and(|it| !it.role.is_on_server()));
        if !people.all(|party| is_owner(party.signing.as_bytes())) {
            return Err(InductionRefused::OtherPerson);
        }
        let word = Reshare::restore(induction.word.clone(), owner, group)?;
        if transcript.step() != Stage::Verified {
            return Err(InductionRefused::NotRenewed);
        }
        let epoch = Epoch::of(&word, transcript).ok_or(InductionRefused::NotRenewed)?;
        let public = epoch.public();
        let is_here = public.holder(holder).is_some_and(|it| it.role == HolderRole::Cosigner);
        let is_it = match created.verb() {
            Verb::CreateGroup { public: it, .. } => (it.group, it.pubkey) == (public.group, public.pubkey),
            _ => false,
        };
        if !is_here || !is_it {
            return Err(InductionRefused::NotRenewed);
        }
        let mut state = Self::new(Identity {
            statement: created.event().clone(),
            owner: *owner,
            members: Members::default(),
            public: public.clone(),
            holder,
        });
        let record = state.epoch_entered(&epoch, now_ms);
        let mut mutations = vec![Mutation::LastStatement(induction.last_statement), Mutation::Epoch(Box::new(epoch))];
        for (kept, usage) in &induction.connections {
            let connection = Connection::restore(kept.clone(), owner, group)?;
            mutations.push(Mutation::Usage(connection.grant().connection, usage.clone()));
            mutations.push(Mutation::Connection(Box::new(connection)));
        }
        mutations.push(record);
        mutations.iter().for_each(|mutation| state.apply(mutation));
        Ok((state, mutations))
    }
}
