//! From what a person remembers to a key: scrypt (RFC 7914) over the NFKC form of the text, so that a passphrase
//! typed on another system gives the same key.
//!
//! The cost comes from outside (a server, a kit file), so it is bounded both ways: a lower one would let whoever
//! names it guess cheaply, a higher one would take the device's memory away.

use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::{encoding::hex_array, secret::Secret32};

/// log2 of scrypt's N for new keys: 128 MiB with `r = 8`, about half a second on a phone.
pub const DEFAULT_LOG_N: u8 = 17;

/// Lowest log2 N taken. It is the default, so that a server cannot ask for a cheaper login secret.
pub const MIN_LOG_N: u8 = 17;

/// Highest log2 N taken: 1 GiB, the most that a browser can be expected to give.
pub const MAX_LOG_N: u8 = 20;

/// scrypt's block size, the only one taken. In units of 128 bytes.
pub const R: u32 = 8;

/// Most passes taken: each repeats the whole time.
pub const MAX_P: u32 = 4;

/// Bytes of salt.
pub const SALT_BYTES: usize = 16;

/// Why no key was derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KdfError {
    /// The cost is outside the bounds of this module.
    #[error("scrypt cost log_n={log_n}, r={r}, p={p} is out of bounds")]
    CostOutOfBounds {
        /// log2 of N.
        log_n: u8,
        /// Block size.
        r: u32,
        /// Passes.
        p: u32,
    },
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    Empty,
}

/// Salt and cost of one derivation, as they are stored and sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KdfParams {
    /// Random salt, 32 characters of lowercase hex.
    #[serde(with = "hex_array")]
    pub salt: [u8; SALT_BYTES],
    /// log2 of scrypt's N.
    pub log_n: u8,
    /// scrypt's block size.
    pub r: u32,
    /// scrypt's number of passes.
    pub p: u32,
}

impl KdfParams {
    /// A fresh salt at the default cost.
    #[must_use]
    pub fn fresh<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        Self::with_salt(salt)
    }

    /// A given salt at the default cost.
    #[must_use]
    pub const fn with_salt(salt: [u8; SALT_BYTES]) -> Self {
        Self { salt, log_n: DEFAULT_LOG_N, r: R, p: 1 }
    }

    /// Refuses a cost outside the bounds.
    pub fn check(&self) -> Result<(), KdfError> {
        let Self { log_n, r, p, salt: _ } = *self;
        if (MIN_LOG_N..=MAX_LOG_N).contains(&log_n) && r == R && (1..=MAX_P).contains(&p) {
            Ok(())
        } else {
            Err(KdfError::CostOutOfBounds { log_n, r, p })
        }
    }

    /// Stretches a passphrase: takes the memory and time that these parameters ask for.
    pub fn stretch(&self, passphrase: &str) -> Result<Stretched, KdfError> {
        self.check()?;
        Ok(Stretched { key: scrypt_of(passphrase, &self.salt, self.log_n, self.r, self.p)?, params: *self })
    }
}

/// A passphrase after scrypt, with the parameters it went through. What it opens is derived from it, so that the
/// costly part can run elsewhere than the rest.
pub struct Stretched {
    key: Secret32,
    params: KdfParams,
}

impl Stretched {
    /// Takes what [`KdfParams::stretch`] gave elsewhere. Refuses parameters outside the bounds.
    pub fn from_secret(key: Secret32, params: KdfParams) -> Result<Self, KdfError> {
        params.check()?;
        Ok(Self { key, params })
    }

    /// The parameters it went through.
    #[must_use]
    pub fn params(&self) -> &KdfParams {
        &self.params
    }

    /// The key, to be handed to where it is used. The caller answers for every copy.
    #[must_use]
    pub fn expose_secret(&self) -> &Secret32 {
        &self.key
    }
}

impl std::fmt::Debug for Stretched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stretched(<redacted>)")
    }
}

/// scrypt over the NFKC form of a text, at a cost that the caller has bounded.
pub fn scrypt_of(passphrase: &str, salt: &[u8], log_n: u8, r: u32, p: u32) -> Result<Secret32, KdfError> {
    let out_of_bounds = KdfError::CostOutOfBounds { log_n, r, p };
    if passphrase.is_empty() {
        return Err(KdfError::Empty);
    }
    let normalised: Zeroizing<String> = Zeroizing::new(passphrase.nfkc().collect());
    let mut key = Secret32::zeroed();
    let params = scrypt::Params::new(log_n, r, p, key.expose_secret().len()).map_err(|_| out_of_bounds)?;
    scrypt::scrypt(normalised.as_bytes(), salt, &params, key.expose_mut()).map_err(|_| out_of_bounds)?;
    Ok(key)
}
