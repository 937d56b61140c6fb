//! Mutations as rows of storage: a kind, a key and JSON. Writing all of a step's changes in order, and reading back
//! what then stands there in any order, gives the same state.

use serde::{Serialize, de::DeserializeOwned};

use crate::{audit::RefusalClass, seal::Target, state::Mutation};

/// The kind of row that holds audit records. Its keys are zero-padded, so that they sort by position.
pub const AUDIT: &str = "audit";

/// One change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// Write or overwrite.
    Put {
        /// Kind of the row.
        kind: &'static str,
        /// Its key within the kind.
        key: String,
        /// JSON.
        body: String,
    },
    /// Remove.
    Remove {
        /// Kind of the row.
        kind: &'static str,
        /// Its key within the kind.
        key: String,
    },
    /// Remove all of the kind up to this key.
    RemoveThrough {
        /// Kind of the rows.
        kind: &'static str,
        /// The last key.
        key: String,
    },
}

/// A row that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row of kind {kind:?} can't be read: {cause}")]
pub struct UnreadableRow {
    /// The kind.
    pub kind: String,
    /// What is wrong with it.
    pub cause: String,
}

/// The key of an audit record.
pub fn audit_key(n: u64) -> String {
    format!("{n:020}")
}

impl Mutation {
    /// What changes in storage, in order.
    pub fn rows(&self) -> Vec<RowChange> {
        let change = match self {
            Self::Policy(policy) => put("policy", "", policy),
            Self::Operator(operator) => put("operator", operator.id, operator),
            Self::OperatorRemoved(id) => remove("operator", id),
            Self::Sealed(seal) => put("seal", target_key(&seal.target), seal),
            Self::Unsealed(target) => remove("seal", target_key(target)),
            Self::Unsealing(unsealing) => put("unsealing", unsealing.id, unsealing),
            Self::UnsealingEnded(id) => remove("unsealing", id),
            Self::Proposal(proposal) => put("proposal", proposal.id, proposal),
            Self::ProposalEnded(id) => remove("proposal", id),
            Self::Seen(id, seen) => put("command", id, &(id, seen)),
            Self::Forgotten(id) => remove("command", id),
            Self::Tally(class, tally) => put("tally", class_key(*class), &(class, tally)),
            Self::TallyDone(class) => remove("tally", class_key(*class)),
            Self::Rotation(rotation) => put("rotation", "", rotation),
            Self::Audit(record) => put(AUDIT, audit_key(record.n), record),
            Self::Checkpoint(head) => {
                let gone = RowChange::RemoveThrough { kind: AUDIT, key: audit_key(head.n) };
                return vec![put("checkpoint", "", head), gone];
            }
        };
        vec![change]
    }

    /// Reads a row.
    ///
    /// # Errors
    /// A kind that there is not, or JSON that is not of the kind.
    pub fn read(kind: &str, body: &str) -> Result<Self, UnreadableRow> {
        fn of<T: DeserializeOwned>(body: &str) -> Result<T, String> {
            serde_json::from_str(body).map_err(|error| error.to_string())
        }
        let read = match kind {
            "policy" => of(body).map(Self::Policy),
            "operator" => of(body).map(Self::Operator),
            "seal" => of(body).map(Self::Sealed),
            "unsealing" => of(body).map(Self::Unsealing),
            "proposal" => of(body).map(Self::Proposal),
            "command" => of(body).map(|(id, seen)| Self::Seen(id, seen)),
            "tally" => of(body).map(|(class, tally)| Self::Tally(class, tally)),
            "rotation" => of(body).map(Self::Rotation),
            AUDIT => of(body).map(Self::Audit),
            "checkpoint" => of(body).map(Self::Checkpoint),
            _ => Err("no such kind".to_owned()),
        };
        read.map_err(|cause| UnreadableRow { kind: kind.to_owned(), cause })
    }
}

fn put(kind: &'static str, key: impl ToString, body: &impl Serialize) -> RowChange {
    // Maps with text keys, numbers and texts always serialise.
    RowChange::Put { kind, key: key.to_string(), body: serde_json::to_string(body).unwrap_or_default() }
}

fn remove(kind: &'static str, key: impl ToString) -> RowChange {
    RowChange::Remove { kind, key: key.to_string() }
}

fn target_key(target: &Target) -> String {
    target.owner().map_or_else(|| "deployment".to_owned(), |owner| owner.to_hex())
}

fn class_key(class: RefusalClass) -> &'static str {
    match class {
        RefusalClass::Stranger => "stranger",
        RefusalClass::Operator => "operator",
        RefusalClass::Login => "login",
        RefusalClass::Canary => "canary",
    }
}
