//! The secret that opens a session, as we make it and as clients offer it.

use core::fmt;
use core::str::FromStr;

use rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::MAX_OFFERED_SECRET_BYTES;

/// Characters of a secret we make: 190 bits.
const MADE_CHARS: usize = 32;

/// Fewest and most characters of a secret of ours. One client wants 8 to 128; 16 keep guessing out.
const CHARS: core::ops::RangeInclusive<usize> = 16..=64;

/// Letters and digits: one client's URL pattern refuses more.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The secret is too short, too long, or has other characters than letters and digits.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a connection secret has 16 to 64 letters and digits")]
pub struct SecretFormError;

/// The secret of one connection: 16 to 64 characters of `[A-Za-z0-9]`, spent by the first client.
///
/// # Security
///
/// Zeroized on drop, not `Clone`, prints as `<redacted>`. Servers keep [`ConnectionSecret::sha256`]
/// only.
pub struct ConnectionSecret(Zeroizing<String>);

impl ConnectionSecret {
    /// Draws 32 characters, each equally likely.
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(MADE_CHARS));
        while text.len() < MADE_CHARS {
            let mut byte = Zeroizing::new([0_u8]);
            rng.fill_bytes(byte.as_mut());
            // Six bits; 62 and 63 are drawn again, so that no character is more likely.
            let [drawn] = *byte;
            if let Some(c) = ALPHABET.get(usize::from(drawn >> 2)) {
                text.push(char::from(*c));
            }
        }
        Self(text)
    }

    /// The text.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// What a grant names the secret by.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl FromStr for ConnectionSecret {
    type Err = SecretFormError;

    fn from_str(text: &str) -> Result<Self, SecretFormError> {
        if CHARS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(SecretFormError)
        }
    }
}

impl fmt::Debug for ConnectionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionSecret(<redacted>)")
    }
}

/// A secret a client sent, of any form: 1 to [`MAX_OFFERED_SECRET_BYTES`] bytes. It opens a session
/// only if its hash is the one in the grant.
///
/// # Security
///
/// Zeroized on drop, not `Clone`, prints as `<redacted>`.
pub struct OfferedSecret(Zeroizing<String>);

impl OfferedSecret {
    /// Takes what was sent.
    pub fn new(text: &str) -> Result<Self, SecretFormError> {
        if (1..=MAX_OFFERED_SECRET_BYTES).contains(&text.len()) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(SecretFormError)
        }
    }

    /// The text, to be answered to a client that wants its own secret back.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// To be compared with the grant's hash.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for OfferedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfferedSecret(<redacted>)")
    }
}
