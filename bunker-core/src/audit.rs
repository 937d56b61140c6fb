//! The audit chain of one holder: what was asked, what was decided, what left, in an order that can't be edited.
//!
//! Each record carries the hash of the one before it, so a changed, removed, inserted or reordered record breaks
//! the chain at its place. A cut at the end is found by comparing with a head that was kept elsewhere. A record
//! is written before what it describes is released; records hold no plaintext and no secret.
//!
//! What a record says is a [`ChainEntry`]: an [`Entry`] in a group's chain, something else in the deployment's. Each
//! kind of chain has its own domain, so a record of one follows in no other.
//!
//! Out of scope: who wrote the chain. A holder that lies from the start writes a chain that verifies.

use frost_wasm_core::ceremony::CeremonyId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{grant::ConnectionId, keys::EventId, keys::PublicKey};

/// What the records of one kind of chain say.
pub trait ChainEntry: Serialize {
    /// What is hashed before everything else. None may be the beginning of another's.
    const DOMAIN: &'static [u8];
}

impl ChainEntry for Entry {
    const DOMAIN: &'static [u8] = b"passport/v1/audit";
}

/// SHA-256 of a record; 64 lowercase hex characters in JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditHash([u8; 32]);

impl AuditHash {
    /// What the first record names as the hash before it.
    pub const GENESIS: Self = Self([0; 32]);
}

impl std::fmt::Display for AuditHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for AuditHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AuditHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        let is_lowercase = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(&text, &mut bytes) {
            Ok(()) if is_lowercase => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("an audit hash is 64 lowercase hex characters")),
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Happening {
    /// An owner statement took effect.
    StatementApplied {
        /// Its verb.
        verb: String,
        /// Its sequence number.
        seq: u64,
        /// Its event id.
        statement: EventId,
    },
    /// A request passed grant and policy; the threshold operation follows.
    RequestAdmitted,
    /// A request waits for the owner.
    RequestHeld,
    /// This holder contributed to the operation, as the cosigner.
    Contributed,
    /// A request was answered.
    RequestAnswered {
        /// The id of the event that was signed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        signed: Option<EventId>,
    },
    /// A request was refused.
    RequestRefused {
        /// Stable code of the reason.
        reason: String,
    },
    /// A request was admitted, and could not be carried out.
    RequestFailed {
        /// Stable code of the reason; names a holder where one is to blame.
        reason: String,
    },
    /// This holder's share was sealed to the owner's device and handed out.
    ShareReleased {
        /// The event id of the owner's `export` statement.
        statement: EventId,
    },
    /// This holder's share was replaced by one of the next epoch.
    EpochEntered {
        /// The epoch.
        epoch: u32,
        /// The ceremony that it came out of.
        ceremony: CeremonyId,
    },
}

/// What happened, to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The happening.
    #[serde(flatten)]
    pub happening: Happening,
    /// The connection concerned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub connection: Option<ConnectionId>,
    /// The request event.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request: Option<EventId>,
    /// The NIP-46 method, as the app named it (at most 32 characters).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<String>,
    /// The kind of the template.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<u16>,
    /// The other party of an encryption or decryption.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peer: Option<PublicKey>,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord<E = Entry> {
    /// Position, from 1.
    pub n: u64,
    /// When, Unix milliseconds by the holder's clock.
    pub at_ms: u64,
    /// Hash of record `n - 1`.
    pub prev: AuditHash,
    /// What happened.
    pub entry: E,
    /// SHA-256 over the fields before it.
    pub hash: AuditHash,
}

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Position of the last record; 0 before the first.
    pub n: u64,
    /// Its hash.
    pub hash: AuditHash,
}

impl Default for AuditHead {
    fn default() -> Self {
        Self { n: 0, hash: AuditHash::GENESIS }
    }
}

/// Where a chain is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A record is missing, doubled or out of order.
    #[error("audit record {expected} is missing: found {found} in its place")]
    Gap {
        /// The position that should follow.
        expected: u64,
        /// The position that was found.
        found: u64,
    },
    /// A record does not follow from the one before it.
    #[error("audit record {n} does not follow from the record before it")]
    Unlinked {
        /// Its position.
        n: u64,
    },
    /// A record's content was changed.
    #[error("audit record {n} was changed after it was written")]
    Altered {
        /// Its position.
        n: u64,
    },
    /// The chain ends elsewhere than at the expected head.
    #[error("the audit chain ends at record {found} instead of the expected end at record {expected}")]
    WrongHead {
        /// Position of the expected head.
        expected: u64,
        /// Position of the last record.
        found: u64,
    },
}

impl AuditHead {
    /// Makes the record that follows.
    pub fn append<E: ChainEntry>(&self, at_ms: u64, entry: E) -> AuditRecord<E> {
        let n = self.n.saturating_add(1);
        let hash = record_hash(n, at_ms, &self.hash, &entry);
        AuditRecord { n, at_ms, prev: self.hash, entry, hash }
    }

    /// Checks that a record follows, and gives the head after it.
    ///
    /// # Errors
    /// What is wrong with the record.
    pub fn follow<E: ChainEntry>(&self, record: &AuditRecord<E>) -> Result<Self, ChainError> {
        let expected = self.n.saturating_add(1);
        if record.n != expected {
            return Err(ChainError::Gap { expected, found: record.n });
        }
        if record.prev != self.hash {
            return Err(ChainError::Unlinked { n: record.n });
        }
        if record.hash != record_hash(record.n, record.at_ms, &record.prev, &record.entry) {
            return Err(ChainError::Altered { n: record.n });
        }
        Ok(record.head())
    }
}

impl<E> AuditRecord<E> {
    /// The chain's head when this record is the last.
    pub fn head(&self) -> AuditHead {
        AuditHead { n: self.n, hash: self.hash }
    }
}

/// Verifies records in order, starting after `from`, and compares their end with `expected` when it is given.
///
/// # Errors
/// The first place where the chain is broken.
pub fn verify_chain<'a, E: ChainEntry + 'a>(
    from: AuditHead,
    records: impl IntoIterator<Item = &'a AuditRecord<E>>,
    expected: Option<AuditHead>,
) -> Result<AuditHead, ChainError> {
    let end = records.into_iter().try_fold(from, |head, record| head.follow(record))?;
    match expected {
        Some(expected) if expected != end => Err(ChainError::WrongHead { expected: expected.n, found: end.n }),
        _ => Ok(end),
    }
}

fn record_hash<E: ChainEntry>(n: u64, at_ms: u64, prev: &AuditHash, entry: &E) -> AuditHash {
    // Field order of the struct is the order of the JSON, so one entry has one encoding.
    let entry = serde_json::to_vec(entry).unwrap_or_default();
    let mut hasher = Sha256::new();
    hasher.update(E::DOMAIN);
    hasher.update(n.to_be_bytes());
    hasher.update(at_ms.to_be_bytes());
    hasher.update(prev.0);
    hasher.update(entry);
    AuditHash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(length: u64) -> Vec<AuditRecord> {
        let mut head = AuditHead::default();
        (0..length)
            .map(|at| {
                let happening = Happening::RequestRefused { reason: format!("reason-{at}") };
                let entry = Entry {
                    happening,
                    connection: None,
                    request: None,
                    method: Some("ping".into()),
                    kind: Some(1),
                    peer: None,
                };
                let record = head.append(1_000 + at, entry);
                head = record.head();
                record
            })
            .collect()
    }

    #[test]
    fn an_untouched_chain_verifies_also_in_pages_and_after_json() {
        let records = chain(20);
        let text = serde_json::to_string(&records).unwrap();
        let records: Vec<AuditRecord> = serde_json::from_str(&text).unwrap();
        let half = verify_chain(AuditHead::default(), &records[..10], None).unwrap();
        let end = verify_chain(half, &records[10..], Some(records[19].head())).unwrap();
        assert_eq!(end.n, 20);
    }

    #[test]
    fn the_hashes_of_a_groups_chain_are_those_of_the_first_version() {
        let entry = r#"{"what":"request_refused","reason":"used_up","method":"sign_event","kind":1}"#;
        let record = AuditHead::default().append(5, serde_json::from_str::<Entry>(entry).unwrap());
        // Taken before there was a second kind of chain.
        let pinned = "336415c56acccc63168c91a117968858800417a3c7042c9991689f9f022c8d8e";
        assert_eq!(record.hash.to_string(), pinned);
    }

    #[test]
    fn a_record_of_one_kind_of_chain_follows_in_no_other() {
        #[derive(Clone, Serialize)]
        #[serde(transparent)]
        struct Other(Entry);
        impl ChainEntry for Other {
            const DOMAIN: &'static [u8] = b"test/other";
        }
        for AuditRecord { n, at_ms, prev, entry, hash } in chain(1) {
            let foreign = AuditRecord { n, at_ms, prev, entry: Other(entry), hash };
            assert_eq!(AuditHead::default().follow(&foreign), Err(ChainError::Altered { n: 1 }));
        }
    }

    #[test]
    fn a_changed_record_is_found_and_named() {
        for at in 0..5 {
            let mut records = chain(5);
            records[at].at_ms += 1;
            let n = at as u64 + 1;
            assert_eq!(verify_chain(AuditHead::default(), &records, None), Err(ChainError::Altered { n }));
            let mut records = chain(5);
            records[at].entry.kind = None;
            assert_eq!(verify_chain(AuditHead::default(), &records, None), Err(ChainError::Altered { n }));
        }
    }

    #[test]
    fn a_changed_record_with_a_new_hash_is_found_at_the_next() {
        let mut records = chain(5);
        records[1].at_ms += 1;
        records[1].hash = record_hash(2, records[1].at_ms, &records[1].prev, &records[1].entry);
        assert_eq!(verify_chain(AuditHead::default(), &records, None), Err(ChainError::Unlinked { n: 3 }));
    }

    #[test]
    fn a_removed_or_moved_record_is_found() {
        let mut records = chain(5);
        records.remove(2);
        assert_eq!(verify_chain(AuditHead::default(), &records, None), Err(ChainError::Gap { expected: 3, found: 4 }));
        let mut records = chain(5);
        records.swap(1, 2);
        assert_eq!(verify_chain(AuditHead::default(), &records, None), Err(ChainError::Gap { expected: 2, found: 3 }));
    }

    #[test]
    fn a_cut_at_the_end_is_found_by_a_head_kept_elsewhere() {
        let mut records = chain(5);
        let head = records[4].head();
        records.pop();
        let error = verify_chain(AuditHead::default(), &records, Some(head));
        assert_eq!(error, Err(ChainError::WrongHead { expected: 5, found: 4 }));
    }
}
