//! Account proofs: an owner key's word for one registration or one recovery (kind 27434, never published).
//!
//! A proof binds everything that the request asks for: the verb, the deployment, the server's challenge and the
//! hash of the body. So a proof for one body says nothing about another, one for a deployment is worth nothing at
//! the next, and a recovery can't be repeated once its challenge is spent. Whoever does not hold the owner key can
//! neither claim it for an account nor change the way into one.

use core::fmt;

use frost_wasm_core::kdf::KdfParams;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{
    event::{Event, EventError, Template},
    keys::PublicKey,
};

/// Event kind of account proofs. Unassigned, and never sent to a relay.
pub const PROOF_KIND: u16 = 27434;
/// Version of the content's schema.
pub const PROOF_VERSION: u64 = 1;
/// How far `created_at` may lie from the server's clock, in seconds: a device's clock may be wrong by minutes.
pub const PROOF_MAX_AGE_S: u64 = 600;

/// What a proof is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofVerb {
    /// A new account with this owner key.
    Register,
    /// New credentials for the account of this owner key.
    Recover,
}

/// What a request asks for, as far as a proof binds it.
#[derive(Clone, Copy)]
pub struct Body<'a> {
    /// The login name; empty for a recovery, which does not name one.
    pub username: &'a str,
    /// The login secret as it is sent.
    pub password: &'a str,
    /// The account's owner key.
    pub owner_pubkey: &'a PublicKey,
    /// The owner secret as the device encrypted it.
    pub owner_blob: Option<&'a str>,
    /// How the device derives the login secret.
    pub kdf: Option<&'a KdfParams>,
}

impl Body<'_> {
    /// SHA-256 over the parts, each behind its length in bytes (u32, big-endian), so that no two bodies collide.
    pub fn digest(&self) -> [u8; 32] {
        let owner = self.owner_pubkey.to_hex();
        let kdf = self.kdf.map(kdf_text).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [self.username, self.password, &owner, self.owner_blob.unwrap_or_default(), &kdf] {
            // A part longer than 4 GiB would not have been read into memory.
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("username", &self.username)
            .field("owner", self.owner_pubkey)
            .finish_non_exhaustive()
    }
}

/// Why an event does not prove what it is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Id or signature is wrong.
    #[error("the proof is not a valid event: {0}")]
    Event(#[from] EventError),
    /// Another kind, tags, or content that does not fit the schema.
    #[error("a proof is an event of kind {PROOF_KIND} without tags, with the content of version {PROOF_VERSION}")]
    NotAProof,
    /// Signed by another key than the one it is for.
    #[error("the proof is not signed by the owner key")]
    OtherKey,
    /// Registration for recovery, or the other way round.
    #[error("the proof is for another action")]
    OtherVerb,
    /// For another deployment.
    #[error("the proof is for another server: it names the address that was opened on the device")]
    OtherOrigin,
    /// For another challenge, or for none.
    #[error("the proof is for another challenge")]
    OtherChallenge,
    /// For another body.
    #[error("the proof is for another request body")]
    OtherBody,
    /// Too old, or from the future.
    #[error("the proof was made more than ten minutes ago or ahead: set the device's clock")]
    Stale,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u64,
    verb: ProofVerb,
    origin: String,
    // An `Option` would let it be left out.
    #[serde(deserialize_with = "Option::deserialize")]
    challenge: Option<String>,
    body: String,
}

/// The proofs themselves: [`template`](Self::template) on the device, [`verify`](Self::verify) on the server.
#[derive(Debug)]
pub struct AccountProof;

impl AccountProof {
    /// The event to be signed by the owner key. `origin` is the server's `PUBLIC_URL`, scheme and host without path.
    pub fn template(
        verb: ProofVerb,
        origin: &str,
        challenge: Option<&str>,
        body: &Body<'_>,
        created_at_s: u64,
    ) -> Template {
        let content = Content {
            v: PROOF_VERSION,
            verb,
            origin: origin.to_owned(),
            challenge: challenge.map(str::to_owned),
            body: hex::encode(body.digest()),
        };
        // Strings and a number always encode.
        let content = serde_json::to_string(&content).unwrap_or_default();
        Template { created_at: created_at_s, kind: PROOF_KIND, tags: Vec::new(), content }
    }

    /// Checks that the owner key of `body` signed exactly this request for exactly this server, now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(
        event: &Event,
        verb: ProofVerb,
        origin: &str,
        challenge: Option<&str>,
        body: &Body<'_>,
        now_s: u64,
    ) -> Result<(), ProofError> {
        event.verify()?;
        if event.kind != PROOF_KIND || !event.tags.is_empty() {
            return Err(ProofError::NotAProof);
        }
        let content: Content = serde_json::from_str(&event.content).map_err(|_| ProofError::NotAProof)?;
        if content.v != PROOF_VERSION {
            return Err(ProofError::NotAProof);
        }
        if event.pubkey != *body.owner_pubkey {
            return Err(ProofError::OtherKey);
        }
        if content.verb != verb {
            return Err(ProofError::OtherVerb);
        }
        if content.origin != origin {
            return Err(ProofError::OtherOrigin);
        }
        if content.challenge.as_deref() != challenge {
            return Err(ProofError::OtherChallenge);
        }
        if content.body != hex::encode(body.digest()) {
            return Err(ProofError::OtherBody);
        }
        if event.created_at.abs_diff(now_s) > PROOF_MAX_AGE_S {
            return Err(ProofError::Stale);
        }
        Ok(())
    }
}

fn kdf_text(kdf: &KdfParams) -> String {
    let KdfParams { salt, log_n, r, p } = kdf;
    format!("{}:{log_n}:{r}:{p}", hex::encode(salt))
}

#[cfg(test)]
mod tests;
