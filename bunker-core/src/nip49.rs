//! NIP-49: a secret key under a password, `ncryptsec1…`.
//!
//! The cost stands in the text, which comes from anywhere: above [`MAX_LOG_N`] it is refused before any memory is
//! taken. A wrong password and an altered text can't be told apart. For a person's own device only.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/49.md>

use core::fmt;
use core::str::FromStr;

use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use frost_wasm_core::{
    kdf,
    secret::{Secret32, SecretBytes},
};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;

use crate::keys::{KeyError, TransportSecret};
use crate::nip19::{self, Nip19Error};

/// How every encrypted key begins.
pub const PREFIX: &str = "ncryptsec";
/// log2 of the most rounds taken: 1 GiB, the most that a browser can be expected to give.
pub const MAX_LOG_N: u8 = 20;
/// log2 of the fewest rounds that are written here, the least in NIP-49's table: 64 MiB.
pub const MIN_WRITTEN_LOG_N: u8 = 16;

const VERSION: u8 = 2;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
/// The key and Poly1305's tag.
const CIPHERTEXT_BYTES: usize = 48;
const ALL_BYTES: usize = 1 + 1 + SALT_BYTES + NONCE_BYTES + 1 + CIPHERTEXT_BYTES;

/// Why a text was not read, or a key not encrypted or decrypted. The texts are stable and quote no input.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Nip49Error {
    /// Not bech32, mistyped, or another prefix.
    #[error(transparent)]
    Text(#[from] Nip19Error),
    /// Not 91 bytes.
    #[error("encrypted key has a wrong length")]
    Length,
    /// A version that this code does not know.
    #[error("encrypted key has version {0}, which is not known here")]
    UnknownVersion(u8),
    /// A key security byte that NIP-49 does not define.
    #[error("encrypted key has an unknown key security byte {0}")]
    UnknownSecurity(u8),
    /// Decrypting it would take more than a device can be asked for.
    #[error("decrypting would take 2^{0} rounds, and at most 2^{MAX_LOG_N} are done")]
    TooCostly(u8),
    /// A cost at which nothing is encrypted here, or that scrypt does not have.
    #[error("scrypt has no cost of 2^{0} rounds here")]
    BadCost(u8),
    /// The password is empty.
    #[error("the password is empty")]
    NoPassword,
    /// Another password's, or altered.
    #[error("wrong password, or the encrypted key was altered")]
    DoesNotOpen,
    /// What was encrypted is no secret key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What is known of how the key was handled before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum KeySecurity {
    /// It was stored or pasted in the clear.
    HandledInsecurely = 0,
    /// It is not known to have been.
    NotHandledInsecurely = 1,
    /// Whoever wrote this does not track it.
    Untracked = 2,
}

/// An encrypted secret key. Its parts are public; the key is not in them without the password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EncryptedKey {
    log_n: u8,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_BYTES],
    security: KeySecurity,
    ciphertext: [u8; CIPHERTEXT_BYTES],
}

impl EncryptedKey {
    /// log2 of scrypt's rounds; memory is `2^log_n` KiB.
    pub fn log_n(&self) -> u8 {
        self.log_n
    }

    /// How the key was handled before it was encrypted.
    pub fn security(&self) -> KeySecurity {
        self.security
    }

    /// The costly part of decrypting: from the password to the symmetric key. Refuses a cost above [`MAX_LOG_N`].
    pub fn stretch(&self, password: &str) -> Result<Secret32, Nip49Error> {
        match self.log_n {
            // scrypt's N is larger than 1.
            0 => Err(Nip49Error::BadCost(0)),
            1..=MAX_LOG_N => stretch(password, &self.salt, self.log_n),
            _ => Err(Nip49Error::TooCostly(self.log_n)),
        }
    }

    /// Decrypts with what [`EncryptedKey::stretch`] gave.
    pub fn open(&self, key: &Secret32) -> Result<Secret32, Nip49Error> {
        let payload = Payload { msg: &self.ciphertext, aad: &[self.security as u8] };
        let opened = cipher(key)
            .decrypt(XNonce::from_slice(&self.nonce), payload)
            .map(SecretBytes::from)
            .map_err(|_| Nip49Error::DoesNotOpen)?;
        let secret = opened.into_fixed().ok_or(Nip49Error::DoesNotOpen)?;
        // A transport secret has the range of every secp256k1 secret; this one is dropped at once.
        TransportSecret::from_secret(&secret)?;
        Ok(secret)
    }

    /// Decrypts. Takes `2^log_n` KiB of memory.
    pub fn decrypt(&self, password: &str) -> Result<Secret32, Nip49Error> {
        self.open(&self.stretch(password)?)
    }

    /// Encrypts a key with `2^log_n` rounds, from [`MIN_WRITTEN_LOG_N`] to [`MAX_LOG_N`].
    pub fn encrypt<R: RngCore + CryptoRng>(
        secret: &Secret32,
        password: &str,
        log_n: u8,
        security: KeySecurity,
        rng: &mut R,
    ) -> Result<Self, Nip49Error> {
        if !(MIN_WRITTEN_LOG_N..=MAX_LOG_N).contains(&log_n) {
            return Err(Nip49Error::BadCost(log_n));
        }
        TransportSecret::from_secret(secret)?;
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let key = stretch(password, &salt, log_n)?;
        let payload = Payload { msg: secret.expose_secret(), aad: &[security as u8] };
        let ciphertext = cipher(&key).encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| Nip49Error::Length)?;
        let ciphertext = ciphertext.try_into().map_err(|_| Nip49Error::Length)?;
        Ok(Self { log_n, salt, nonce, security, ciphertext })
    }
}

impl FromStr for EncryptedKey {
    type Err = Nip49Error;

    fn from_str(text: &str) -> Result<Self, Nip49Error> {
        let (prefix, data) = nip19::decode(text)?;
        if prefix != PREFIX {
            return Err(Nip19Error::WrongPrefix(PREFIX).into());
        }
        let (version, rest) = data.split_first().ok_or(Nip49Error::Length)?;
        if *version != VERSION {
            return Err(Nip49Error::UnknownVersion(*version));
        }
        let (log_n, rest) = rest.split_first().ok_or(Nip49Error::Length)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(Nip49Error::Length)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(Nip49Error::Length)?;
        let (security, rest) = rest.split_first().ok_or(Nip49Error::Length)?;
        let security = match security {
            0 => KeySecurity::HandledInsecurely,
            1 => KeySecurity::NotHandledInsecurely,
            2 => KeySecurity::Untracked,
            other => return Err(Nip49Error::UnknownSecurity(*other)),
        };
        let ciphertext = rest.try_into().map_err(|_| Nip49Error::Length)?;
        Ok(Self { log_n: *log_n, salt: *salt, nonce: *nonce, security, ciphertext })
    }
}

impl fmt::Display for EncryptedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut data = Vec::with_capacity(ALL_BYTES);
        data.extend_from_slice(&[VERSION, self.log_n]);
        data.extend_from_slice(&self.salt);
        data.extend_from_slice(&self.nonce);
        data.push(self.security as u8);
        data.extend_from_slice(&self.ciphertext);
        f.write_str(&nip19::encode(PREFIX, &data))
    }
}

fn stretch(password: &str, salt: &[u8; SALT_BYTES], log_n: u8) -> Result<Secret32, Nip49Error> {
    kdf::scrypt_of(password, salt, log_n, SCRYPT_R, SCRYPT_P).map_err(|error| match error {
        kdf::KdfError::Empty => Nip49Error::NoPassword,
        kdf::KdfError::CostOutOfBounds { log_n, .. } => Nip49Error::BadCost(log_n),
    })
}

fn cipher(key: &Secret32) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(Key::from_slice(key.expose_secret()))
}
