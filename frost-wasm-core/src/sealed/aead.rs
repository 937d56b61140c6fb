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
        let payload = Payload { msg: plaintext, aad };
        let ciphertext = self.cipher().encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok((nonce, ciphertext))
    }

    pub(crate) fn open(
        &self,
        aad: &[u8],
        nonce: &[u8; NONCE_BYTES],
        ciphertext: &[u8],
    ) -> Result<SecretBytes, SealError> {
        let payload = Payload { msg: ciphertext, aad };
        let opened = self.cipher().decrypt(XNonce::from_slice(nonce), payload);
        opened.map(SecretBytes::from).map_err(|_| SealError::DoesNotOpen)
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    struct Prescribed(Vec<u8>);

    impl RngCore for Prescribed {
        fn next_u32(&mut self) -> u32 {
            0
        }
        fn next_u64(&mut self) -> u64 {
            0
        }
        fn fill_bytes(&mut self, out: &mut [u8]) {
            out.copy_from_slice(&self.0);
        }
        fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
            self.fill_bytes(out);
            Ok(())
        }
    }

    impl CryptoRng for Prescribed {}

    #[test]
    #[allow(clippy::print_stdout)]
    fn wycheproof_xchacha20_poly1305() {
        let json = include_str!("../../tests/vectors/wycheproof_xchacha20_poly1305.json");
        let json: Value = serde_json::from_str(json).unwrap();
        let (mut ran, mut wrong_nonce_length) = (0, 0);
        for test in json["testGroups"].as_array().unwrap().iter().flat_map(|g| g["tests"].as_array().unwrap()) {
            let field = |name: &str| hex::decode(test[name].as_str().unwrap()).unwrap();
            let sealed = [field("ct"), field("tag")].concat();
            let Ok(nonce) = <[u8; NONCE_BYTES]>::try_from(field("iv")) else {
                // The type has one length of nonce, so these cannot even be asked for.
                assert_eq!(test["result"], "invalid");
                wrong_nonce_length += 1;
                continue;
            };
            let key = AeadKey(Secret32::from_slice(&field("key")).unwrap());
            let opened = key.open(&field("aad"), &nonce, &sealed);
            assert_eq!(opened.is_ok(), test["result"] == "valid", "{test}");
            if let Ok(opened) = opened {
                assert_eq!(opened.expose_secret(), field("msg"), "{test}");
                let again = key.seal(&field("aad"), &field("msg"), &mut Prescribed(nonce.to_vec())).unwrap();
                assert_eq!(again, (nonce, sealed), "{test}");
            }
            ran += 1;
        }
        println!("Wycheproof XChaCha20-Poly1305: {ran} vectors, {wrong_nonce_length} with a nonce that has no type");
        assert_eq!((ran, wrong_nonce_length), (306, 9));
    }
}
