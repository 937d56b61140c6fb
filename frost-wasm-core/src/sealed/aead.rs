//! The one use of XChaCha20-Poly1305: derived key, random 24-byte nonce, bound associated data.

use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use rand_core::{CryptoRng, RngCore};
use sha2::Sha256;

use super::SealError;
use crate::secret::{Secret32, SecretBytes};

/// Bytes of an XChaCha20 nonce, long enough to be drawn at random.
pub(crate) const NONCE_BYTES: usize = 24;

/// A key for sealing in one domain.
pub(crate) struct AeadKey(Secret32);

impl AeadKey {
    /// Derives the key of one domain from a root secret.
    pub(crate) fn derive(root: &Secret32, domain: &str) -> Result<Self, SealError> {
        derive_secret(root, domain).map(Self)
    }

    pub(crate) fn seal<R: RngCore + CryptoRng>(
        &self,
        aad: &[u8],
        plaintext: &[u8],
        rng: &mut R,
    ) -> Result<([u8; NONCE_BYTES], Vec<u8>), SealError> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let payload = Payload {
            msg: plaintext,
            aad,
        };
        let ciphertext = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| SealError::TooLong)?;
        Ok((nonce, ciphertext))
    }

    pub(crate) fn open(
        &self,
        aad: &[u8],
        nonce: &[u8; NONCE_BYTES],
        ciphertext: &[u8],
    ) -> Result<SecretBytes, SealError> {
        let payload = Payload {
            msg: ciphertext,
            aad,
        };
        let opened = self.cipher().decrypt(XNonce::from_slice(nonce), payload);
        opened
            .map(SecretBytes::from)
            .map_err(|_| SealError::DoesNotOpen)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(self.0.expose_secret()))
    }
}

/// HKDF-SHA256 (RFC 5869) without salt, for roots that are uniformly random themselves.
pub(crate) fn derive_secret(root: &Secret32, domain: &str) -> Result<Secret32, SealError> {
    let mut secret = Secret32::zeroed();
    Hkdf::<Sha256>::new(None, root.expose_secret())
        .expand(domain.as_bytes(), secret.expose_mut())
        .map_err(|_| SealError::TooLong)?;
    Ok(secret)
}
