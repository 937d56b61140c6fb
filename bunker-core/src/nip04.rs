//! NIP-04: the older direct-message encryption, AES-256-CBC under the shared x coordinate.
//!
//! Guards little: it has no MAC, so a changed message may decrypt to something else. It is here for
//! apps that still read and write old messages, on their explicit `nip04_…` calls only; nothing falls
//! back to it. Bad padding and bad UTF-8 are one error, so that the text of a refusal is no padding
//! oracle.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/04.md>

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use frost_wasm_core::secret::Secret32;
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::limits::{MAX_NIP04_MESSAGE_BYTES, MAX_NIP04_PLAINTEXT_BYTES};

/// Bytes of an AES block and of the IV.
const BLOCK_BYTES: usize = 16;

/// What stands between ciphertext and IV.
const IV_MARK: &str = "?iv=";

/// Why a message was not encrypted or not decrypted. The texts are stable and quote no input.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Nip04Error {
    /// The message is longer than [`MAX_NIP04_MESSAGE_BYTES`].
    #[error("invalid message size: {0} bytes")]
    MessageSize(usize),
    /// No `?iv=`.
    #[error("message has no iv")]
    NoIv,
    /// Ciphertext or IV is not standard base64 with padding.
    #[error("invalid base64")]
    Base64,
    /// The IV has not 16 bytes.
    #[error("invalid iv size: {0} bytes")]
    IvSize(usize),
    /// The ciphertext is empty or no whole number of blocks.
    #[error("invalid ciphertext size: {0} bytes")]
    CiphertextSize(usize),
    /// It decrypts to nothing readable: another key, or a changed message.
    #[error("message does not decrypt")]
    Unreadable,
    /// The plaintext is longer than [`MAX_NIP04_PLAINTEXT_BYTES`].
    #[error("invalid plaintext size: {0} bytes")]
    PlaintextSize(usize),
}

/// Encrypts under a fresh random IV. `shared_x`: the x coordinate shared with the other party.
pub fn encrypt_random<R: RngCore + CryptoRng>(
    shared_x: &Secret32,
    plaintext: &str,
    rng: &mut R,
) -> Result<String, Nip04Error> {
    let mut iv = [0; BLOCK_BYTES];
    rng.fill_bytes(&mut iv);
    encrypt(shared_x, plaintext, iv)
}

/// Encrypts under a given IV, which must be random: see [`encrypt_random`].
pub fn encrypt(shared_x: &Secret32, plaintext: &str, iv: [u8; BLOCK_BYTES]) -> Result<String, Nip04Error> {
    if plaintext.len() > MAX_NIP04_PLAINTEXT_BYTES {
        return Err(Nip04Error::PlaintextSize(plaintext.len()));
    }
    let ciphertext = cbc::Encryptor::<Aes256>::new(shared_x.expose_secret().into(), &iv.into())
        .encrypt_padded_vec_mut::<Pkcs7>(plaintext.as_bytes());
    Ok(STANDARD.encode(ciphertext) + IV_MARK + &STANDARD.encode(iv))
}

/// Decrypts `<base64>?iv=<base64>`.
pub fn decrypt(shared_x: &Secret32, message: &str) -> Result<String, Nip04Error> {
    if message.len() > MAX_NIP04_MESSAGE_BYTES {
        return Err(Nip04Error::MessageSize(message.len()));
    }
    let (ciphertext, iv) = message.split_once(IV_MARK).ok_or(Nip04Error::NoIv)?;
    let iv = STANDARD.decode(iv).map_err(|_| Nip04Error::Base64)?;
    let iv = <[u8; BLOCK_BYTES]>::try_from(iv).map_err(|iv| Nip04Error::IvSize(iv.len()))?;
    let ciphertext = STANDARD.decode(ciphertext).map_err(|_| Nip04Error::Base64)?;
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK_BYTES) {
        return Err(Nip04Error::CiphertextSize(ciphertext.len()));
    }
    let mut buffer = Zeroizing::new(ciphertext);
    let plaintext = cbc::Decryptor::<Aes256>::new(shared_x.expose_secret().into(), &iv.into())
        .decrypt_padded_mut::<Pkcs7>(&mut buffer)
        .map_err(|_| Nip04Error::Unreadable)?;
    String::from_utf8(plaintext.to_vec()).map_err(|error| {
        error.into_bytes().zeroize();
        Nip04Error::Unreadable
    })
}
