//! Recovery: new credentials for an account, on the word of its owner key.
//!
//! The challenge keeps nothing on the server. It is an expiry and a MAC of owner key, expiry and the password hash
//! that the account has now, so it dies with the first use: a recovery replaces that hash. An owner key that no
//! account has gets a challenge of the same form.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bunker_core::event::Event;
use bunker_core::keys::PublicKey;
use bunker_core::proof::{AccountProof, Body, ProofVerb};
use frost_wasm_core::kdf::KdfParams;
use subtle::ConstantTimeEq;

use super::keys::{AuthKeys, mac};
use super::password::{LoginSecret, PasswordHash};
use crate::problem::Problem;
use crate::storage::{AccountStore, Credentials, Replacing};

/// How long a challenge is good for, in seconds: time to derive two keys on a slow phone.
pub const CHALLENGE_LIFETIME_S: u64 = 15 * 60;

/// Tells what it is at sight.
const PREFIX: &str = "prc_";
const EXPIRY_BYTES: usize = 8;
const MAC_BYTES: usize = 32;

/// Makes the challenge for an owner key; `password_hash` is that of its account, if it has one.
pub fn challenge(keys: &AuthKeys, owner: &PublicKey, password_hash: Option<&str>, now_s: u64) -> String {
    let expires_at_s = now_s.saturating_add(CHALLENGE_LIFETIME_S);
    let tag = tag(keys, owner, password_hash, expires_at_s);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&expires_at_s.to_be_bytes()[..], &tag].concat()))
}

/// What a recovery asks for.
#[derive(Debug)]
pub struct Recovery<'a> {
    /// The account's owner key.
    pub owner: &'a PublicKey,
    /// From [`challenge`].
    pub challenge: &'a str,
    /// The new login secret.
    pub secret: &'a LoginSecret,
    /// The owner secret, encrypted under the new password.
    pub owner_blob: &'a str,
    /// How the device derives the new login secret, checked.
    pub kdf: &'a KdfParams,
    /// The owner key's word for all of it.
    pub proof: &'a Event,
}

/// Replaces an account's credentials, ends its sessions and removes its passkeys. Gives the login name.
///
/// # Errors
/// `recovery_refused` for every reason that has to do with the account, the challenge or the proof.
pub async fn recover(
    store: &impl AccountStore,
    keys: &AuthKeys,
    origin: &str,
    asked: &Recovery<'_>,
    salt: [u8; 16],
    now_ms: u64,
) -> Result<String, Problem> {
    let body = Body {
        username: "",
        password: asked.secret.expose_text(),
        owner_pubkey: asked.owner,
        owner_blob: Some(asked.owner_blob),
        kdf: Some(asked.kdf),
    };
    let now_s = now_ms / 1000;
    // The signature first: nobody without the owner key gets as far as to what the account tells.
    AccountProof::verify(asked.proof, ProofVerb::Recover, origin, Some(asked.challenge), &body, now_s)
        .map_err(|error| refused().caused_by(error.to_string()))?;
    let account = store.account_by_owner(&asked.owner.to_hex()).await?;
    let password_hash = account.as_ref().map(|account| account.password_hash.as_str());
    if !is_good(keys, asked.owner, password_hash, asked.challenge, now_s) {
        return Err(refused());
    }
    let account = account.ok_or_else(refused)?;
    let credentials = Credentials {
        password_hash: PasswordHash::make(asked.secret, salt).to_string(),
        owner_blob: Some(asked.owner_blob.to_owned()),
        kdf: Some(super::kdf::stored(asked.kdf)?),
    };
    // Whoever replaced the credentials meanwhile spent the challenge.
    if store.replace_credentials(&account, &credentials, Replacing::Recovery, now_ms).await? {
        Ok(account.username)
    } else {
        Err(refused())
    }
}

fn is_good(keys: &AuthKeys, owner: &PublicKey, password_hash: Option<&str>, challenge: &str, now_s: u64) -> bool {
    let mut bytes = [0; EXPIRY_BYTES + MAC_BYTES];
    let text = challenge.strip_prefix(PREFIX).unwrap_or_default();
    let whole = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).is_ok_and(|read| read == bytes.len());
    let (expiry, claimed) = bytes.split_at(EXPIRY_BYTES);
    let expires_at_s = expiry.try_into().map_or(0, u64::from_be_bytes);
    let genuine: bool = tag(keys, owner, password_hash, expires_at_s).ct_eq(claimed).into();
    whole && genuine && now_s < expires_at_s
}

fn tag(keys: &AuthKeys, owner: &PublicKey, password_hash: Option<&str>, expires_at_s: u64) -> [u8; MAC_BYTES] {
    let version = password_hash.unwrap_or_default().as_bytes();
    mac(&keys.recovery, &[owner.as_bytes(), &expires_at_s.to_be_bytes(), version])
}

fn refused() -> Problem {
    Problem::unauthorized(
        "recovery_refused",
        "The account was not recovered. Ask for a new challenge, use the kit of this account on this server, and \
         check that the device's clock is right.",
    )
}

#[cfg(test)]
mod tests;
