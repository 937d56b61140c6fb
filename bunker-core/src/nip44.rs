//! NIP-44 version 2: payload encryption between two keys.
//!
//! Guards that nothing is decrypted before its MAC holds, that a plaintext has exactly one padded
//! form, and that an unknown version is named instead of guessed at. Includes the extended length
//! prefix for plaintexts of 64 KiB and more. Out of scope: who may have something decrypted.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/44.md>

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use frost_wasm_core::secret::Secret32;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_core::{CryptoRng, RngCore};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::{MAX_NIP44_PAYLOAD_BYTES, MAX_NIP44_PLAINTEXT_BYTES};

/// The only version there is.
const VERSION: u8 = 2;

/// HKDF salt that gives conversation keys their domain.
const SALT: &[u8] = b"nip44-v2";

/// Bytes: version, nonce.
const HEAD_BYTES: usize = 1 + 32;

/// Bytes of the HMAC-SHA256 at the end.
const MAC_BYTES: usize = 32;

/// Base64 characters of the shortest payload, which holds one byte padded to 32.
const MIN_PAYLOAD_BYTES: usize = 132;

/// Bytes of the shortest payload after base64.
const MIN_DATA_BYTES: usize = 99;

/// Plaintexts of this many bytes and more have the six-byte length prefix.
const EXTENDED_PREFIX_BYTES: u32 = 65_536;

/// Why a payload was not encrypted or not decrypted. The texts are stable and quote no input.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Nip44Error {
    /// The payload is empty or begins with `#`: an encoding this version does not know.
    #[error("unknown encryption version")]
    UnknownEncoding,
    /// The version byte is not 2.
    #[error("unknown encryption version {0}")]
    UnknownVersion(u8),
    /// Fewer base64 characters than the shortest payload has, or more than
    /// [`MAX_NIP44_PAYLOAD_BYTES`].
    #[error("invalid payload size: {0} bytes")]
    PayloadSize(usize),
    /// Not standard base64 with padding.
    #[error("invalid base64")]
    Base64,
    /// Fewer bytes than the shortest payload has.
    #[error("invalid data size: {0} bytes")]
    DataSize(usize),
    /// The MAC does not hold: another key, or a changed payload.
    #[error("invalid MAC")]
    Mac,
    /// Length prefix, zero bytes or padded length are not what the plaintext's length demands.
    #[error("invalid padding")]
    Padding,
    /// The plaintext is not UTF-8.
    #[error("plaintext is not UTF-8")]
    NotUtf8,
    /// The plaintext is empty or longer than [`MAX_NIP44_PLAINTEXT_BYTES`].
    #[error("invalid plaintext size: {0} bytes")]
    PlaintextSize(usize),
    /// A key length was refused below; all are fixed, so this is a defect of ours.
    #[error("key derivation failed")]
    KeyDerivation,
}

/// The key two parties share for NIP-44.
///
/// # Security
///
/// Opens everything the two ever wrote to each other. It never leaves to a client. Zeroized on drop,
/// not `Clone`, prints as `<redacted>`.
pub struct ConversationKey(Secret32);

impl ConversationKey {
    /// HKDF-extract over the shared point's x coordinate.
    pub fn from_shared_x(shared_x: &Secret32) -> Self {
        let (key, _) = Hkdf::<Sha256>::extract(Some(SALT), shared_x.expose_secret());
        let key = Zeroizing::new(<[u8; 32]>::from(key));
        Self(Secret32::from_bytes(*key))
    }

    /// Takes a conversation key that another holder forwarded.
    pub fn from_secret(key: Secret32) -> Self {
        Self(key)
    }

    /// The 32 bytes, to be forwarded to a holder that has to read the same request.
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConversationKey(<redacted>)")
    }
}

/// Encrypts under a fresh random nonce. Plaintext: 1 to [`MAX_NIP44_PLAINTEXT_BYTES`] bytes.
pub fn encrypt_random<R: RngCore + CryptoRng>(
    key: &ConversationKey,
    plaintext: &str,
    rng: &mut R,
) -> Result<String, Nip44Error> {
    let mut nonce = [0; 32];
    rng.fill_bytes(&mut nonce);
    encrypt(key, plaintext, nonce)
}

/// Encrypts under a given nonce.
///
/// # Security
///
/// A nonce must be random and never come twice under one key: two plaintexts under the same nonce
/// give away their difference. [`encrypt_random`] sees to that.
pub fn encrypt(key: &ConversationKey, plaintext: &str, nonce: [u8; 32]) -> Result<String, Nip44Error> {
    let keys = MessageKeys::derive(key, &nonce)?;
    let mut body = Zeroizing::new(pad(plaintext)?);
    keys.apply_keystream(&mut body);
    let mut data = Vec::with_capacity(HEAD_BYTES + body.len() + MAC_BYTES);
    data.push(VERSION);
    data.extend_from_slice(&nonce);
    data.extend_from_slice(&body);
    data.extend_from_slice(&keys.mac(&nonce, &body)?.finalize().into_bytes());
    Ok(STANDARD.encode(data))
}

/// Decrypts a payload. The MAC is compared in constant time and before anything is decrypted.
pub fn decrypt(key: &ConversationKey, payload: &str) -> Result<String, Nip44Error> {
    let data = decode(payload)?;
    let frame = Frame::split(&data)?;
    let keys = MessageKeys::derive(key, frame.nonce)?;
    keys.mac(frame.nonce, frame.ciphertext)?.verify(frame.mac.into()).map_err(|_| Nip44Error::Mac)?;
    let mut padded = Zeroizing::new(frame.ciphertext.to_vec());
    keys.apply_keystream(&mut padded);
    unpad(&padded)
}

/// Bytes that a plaintext of `unpadded_bytes` is padded to, without its prefix.
pub fn padded_len(unpadded_bytes: u64) -> u64 {
    if unpadded_bytes <= 32 {
        return 32;
    }
    // 64-bit on purpose: the padded form of 2^32 - 1 bytes has 2^32.
    let next_power = 1_u64 << ((unpadded_bytes - 1).ilog2() + 1);
    let chunk = if next_power <= 256 { 32 } else { next_power / 8 };
    chunk * ((unpadded_bytes - 1) / chunk + 1)
}

/// The three keys of one message: ChaCha20's key and nonce, and the MAC's key.
struct MessageKeys {
    cipher_key: Zeroizing<[u8; 32]>,
    cipher_nonce: [u8; 12],
    mac_key: Zeroizing<[u8; 32]>,
}

impl MessageKeys {
    fn derive(key: &ConversationKey, nonce: &[u8; 32]) -> Result<Self, Nip44Error> {
        let mut okm = Zeroizing::new([0; 76]);
        Hkdf::<Sha256>::from_prk(key.expose_secret())
            .map_err(|_| Nip44Error::KeyDerivation)?
            .expand(nonce, okm.as_mut())
            .map_err(|_| Nip44Error::KeyDerivation)?;
        let (cipher_key, rest) = okm.split_first_chunk().ok_or(Nip44Error::KeyDerivation)?;
        let (cipher_nonce, rest) = rest.split_first_chunk().ok_or(Nip44Error::KeyDerivation)?;
        let (mac_key, _) = rest.split_first_chunk().ok_or(Nip44Error::KeyDerivation)?;
        Ok(Self {
            cipher_key: Zeroizing::new(*cipher_key),
            cipher_nonce: *cipher_nonce,
            mac_key: Zeroizing::new(*mac_key),
        })
    }

    fn apply_keystream(&self, data: &mut [u8]) {
        ChaCha20::new((&*self.cipher_key).into(), (&self.cipher_nonce).into()).apply_keystream(data);
    }

    fn mac(&self, nonce: &[u8; 32], ciphertext: &[u8]) -> Result<Hmac<Sha256>, Nip44Error> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&*self.mac_key).map_err(|_| Nip44Error::KeyDerivation)?;
        mac.update(nonce);
        mac.update(ciphertext);
        Ok(mac)
    }
}

/// The parts of a decoded payload.
struct Frame<'a> {
    nonce: &'a [u8; 32],
    ciphertext: &'a [u8],
    mac: &'a [u8; MAC_BYTES],
}

impl<'a> Frame<'a> {
    fn split(data: &'a [u8]) -> Result<Self, Nip44Error> {
        let too_short = Nip44Error::DataSize(data.len());
        if data.len() < MIN_DATA_BYTES {
            return Err(too_short);
        }
        let (version, rest) = data.split_first().ok_or(too_short)?;
        if *version != VERSION {
            return Err(Nip44Error::UnknownVersion(*version));
        }
        let (nonce, rest) = rest.split_first_chunk().ok_or(too_short)?;
        let (ciphertext, mac) = rest.split_last_chunk().ok_or(too_short)?;
        Ok(Self { nonce, ciphertext, mac })
    }
}

fn decode(payload: &str) -> Result<Vec<u8>, Nip44Error> {
    if payload.is_empty() || payload.starts_with('#') {
        return Err(Nip44Error::UnknownEncoding);
    }
    if !(MIN_PAYLOAD_BYTES..=MAX_NIP44_PAYLOAD_BYTES).contains(&payload.len()) {
        return Err(Nip44Error::PayloadSize(payload.len()));
    }
    STANDARD.decode(payload).map_err(|_| Nip44Error::Base64)
}

fn pad(plaintext: &str) -> Result<Vec<u8>, Nip44Error> {
    let bytes = plaintext.len();
    if !(1..=MAX_NIP44_PLAINTEXT_BYTES).contains(&bytes) {
        return Err(Nip44Error::PlaintextSize(bytes));
    }
    let padded_bytes = usize::try_from(padded_len(bytes as u64)).map_err(|_| Nip44Error::PlaintextSize(bytes))?;
    let mut padded = Vec::with_capacity(6 + padded_bytes);
    match u16::try_from(bytes) {
        Ok(short) => padded.extend_from_slice(&short.to_be_bytes()),
        Err(_) => {
            let long = u32::try_from(bytes).map_err(|_| Nip44Error::PlaintextSize(bytes))?;
            padded.extend_from_slice(&[0, 0]);
            padded.extend_from_slice(&long.to_be_bytes());
        }
    }
    padded.extend_from_slice(plaintext.as_bytes());
    padded.resize(padded.len() + padded_bytes - bytes, 0);
    Ok(padded)
}

/// Refuses a short length in the extended form, and zero bytes that are not zero: one plaintext has
/// one padded form.
fn unpad(padded: &[u8]) -> Result<String, Nip44Error> {
    let (short, rest) = padded.split_first_chunk().ok_or(Nip44Error::Padding)?;
    let (bytes, body) = match u16::from_be_bytes(*short) {
        0 => {
            let (long, rest) = rest.split_first_chunk().ok_or(Nip44Error::Padding)?;
            let bytes = u32::from_be_bytes(*long);
            if bytes < EXTENDED_PREFIX_BYTES {
                return Err(Nip44Error::Padding);
            }
            (bytes, rest)
        }
        short => (u32::from(short), rest),
    };
    if body.len() as u64 != padded_len(u64::from(bytes)) {
        return Err(Nip44Error::Padding);
    }
    let bytes = usize::try_from(bytes).map_err(|_| Nip44Error::Padding)?;
    let (text, zeros) = body.split_at_checked(bytes).ok_or(Nip44Error::Padding)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(Nip44Error::Padding);
    }
    String::from_utf8(text.to_vec()).map_err(|_| Nip44Error::NotUtf8)
}
