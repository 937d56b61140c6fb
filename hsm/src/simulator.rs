//! A software stand-in for an HSM: XChaCha20-Poly1305 under a KEK from the Worker's secrets.
//!
//! It behaves as the real ones do towards the code above, and protects against a leaked database
//! only: whoever has the Worker's secrets has the KEKs. Production refuses it unless loudly allowed.
//!
//! Form of a wrapped key: version byte, 24-byte nonce, 32 bytes of ciphertext, 16-byte tag. The KEK
//! id is authenticated, so a key cannot be passed off as wrapped by another KEK.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use frost_wasm_core::group::HolderRole;
use frost_wasm_core::sealed::Dek;
use frost_wasm_core::secret::{Secret32, SecretBytes};
use rand_core::{CryptoRng, RngCore};
use sha2::{Digest, Sha256};

use crate::{Hsm, HsmDescription, HsmError, WrappedDek};

/// The one format of wrapped keys.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const DOMAIN: &[u8] = b"passport/v1/hsm-simulator/dek";
/// Bytes of a KEK's fingerprint: enough to notice an exchanged KEK, useless to search for it.
const FINGERPRINT_BYTES: usize = 8;

/// The simulated HSM of one holder.
pub struct Simulator {
    kek: XChaCha20Poly1305,
    kek_id: String,
}

impl Simulator {
    /// From the holder's own KEK.
    #[must_use]
    pub fn new(kek: &Secret32, role: HolderRole) -> Self {
        let fingerprint = Sha256::new()
            .chain_update(b"passport/v1/hsm-simulator/kek-id")
            .chain_update(kek.expose_secret())
            .finalize();
        let fingerprint = hex::encode(fingerprint.get(..FINGERPRINT_BYTES).unwrap_or_default());
        Self {
            kek: XChaCha20Poly1305::new(kek.expose_secret().into()),
            kek_id: format!("simulator:{role}:{fingerprint}"),
        }
    }

    pub(crate) fn kek_id(&self) -> &str {
        &self.kek_id
    }

    fn aad(&self) -> Vec<u8> {
        [DOMAIN, &[VERSION], self.kek_id.as_bytes()].concat()
    }
}

impl Hsm for Simulator {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, rng: &mut R) -> Result<WrappedDek, HsmError> {
        let mut nonce = XNonce::default();
        rng.try_fill_bytes(&mut nonce).map_err(|_| HsmError::Unavailable)?;
        let secret = dek.expose_for_wrapping();
        let aad = self.aad();
        let payload = Payload { msg: secret.expose_secret(), aad: &aad };
        let sealed = self.kek.encrypt(&nonce, payload).map_err(|_| HsmError::Unavailable)?;
        Ok(WrappedDek { kek_id: self.kek_id.clone(), wrapped: [&[VERSION], nonce.as_slice(), &sealed].concat() })
    }

    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError> {
        if wrapped.kek_id != self.kek_id {
            return Err(HsmError::OtherKek);
        }
        let (version, rest) = wrapped.wrapped.split_first().ok_or(HsmError::DoesNotOpen)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or(HsmError::DoesNotOpen)?;
        if *version != VERSION {
            return Err(HsmError::DoesNotOpen);
        }
        let aad = self.aad();
        let opened = self
            .kek
            .decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: &aad })
            .map_err(|_| HsmError::DoesNotOpen)?;
        let secret = SecretBytes::from(opened).into_fixed().ok_or(HsmError::DoesNotOpen)?;
        Ok(Dek::from_secret(secret))
    }

    fn describe(&self) -> HsmDescription {
        HsmDescription { provider: "simulator", kek_id: self.kek_id.clone(), hardware: false }
    }

    async fn health(&self) -> Result<(), HsmError> {
        // Always the same words under the same nonce, so that no randomness is needed and nothing is given away.
        let payload = || Payload { msg: b"health", aad: b"passport/v1/hsm-simulator/health" };
        let nonce = XNonce::default();
        let sealed = self.kek.encrypt(&nonce, payload()).map_err(|_| HsmError::Unavailable)?;
        let opened = self.kek.decrypt(&nonce, Payload { msg: &sealed, ..payload() });
        if opened.is_ok_and(|opened| opened == b"health") { Ok(()) } else { Err(HsmError::Unavailable) }
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("kek_id", &self.kek_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use rand_core::OsRng;

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the simulator waited"),
        }
    }

    fn bunker() -> Simulator {
        Simulator::new(&Secret32::from_bytes([1; 32]), HolderRole::Bunker)
    }

    fn cosigner() -> Simulator {
        Simulator::new(&Secret32::from_bytes([2; 32]), HolderRole::Cosigner)
    }

    fn wrapped() -> WrappedDek {
        now(bunker().wrap_dek(&Dek::from_secret(Secret32::from_bytes([9; 32])), &mut OsRng)).unwrap()
    }

    #[test]
    fn a_wrapped_key_comes_back_and_is_wrapped_differently_each_time() {
        let back = now(bunker().unwrap_dek(&wrapped())).unwrap();
        assert_eq!(back.expose_for_wrapping().expose_secret(), &[9; 32]);
        assert_ne!(wrapped(), wrapped());
        assert!(now(bunker().health()).is_ok());
    }

    #[test]
    fn one_holders_kek_never_opens_the_other_holders_key() {
        let mut stolen = wrapped();
        assert_eq!(now(cosigner().unwrap_dek(&stolen)).unwrap_err(), HsmError::OtherKek);
        stolen.kek_id = cosigner().kek_id;
        assert_eq!(now(cosigner().unwrap_dek(&stolen)).unwrap_err(), HsmError::DoesNotOpen);
    }

    #[test]
    fn an_exchanged_kek_is_told_from_a_damaged_key() {
        let other = Simulator::new(&Secret32::from_bytes([3; 32]), HolderRole::Bunker);
        assert_eq!(now(other.unwrap_dek(&wrapped())).unwrap_err(), HsmError::OtherKek);
    }

    #[test]
    fn the_same_kek_under_another_role_or_id_opens_nothing() {
        let same_kek = Simulator::new(&Secret32::from_bytes([1; 32]), HolderRole::Cosigner);
        let mut moved = wrapped();
        moved.kek_id = same_kek.kek_id.clone();
        assert_eq!(now(same_kek.unwrap_dek(&moved)).unwrap_err(), HsmError::DoesNotOpen);
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let good = wrapped();
        for at in 0..good.wrapped.len() {
            let mut changed = good.clone();
            changed.wrapped[at] ^= 1;
            assert_eq!(now(bunker().unwrap_dek(&changed)).unwrap_err(), HsmError::DoesNotOpen);
            let mut cut = good.clone();
            cut.wrapped.truncate(at);
            assert_eq!(now(bunker().unwrap_dek(&cut)).unwrap_err(), HsmError::DoesNotOpen);
        }
    }

    #[test]
    fn the_kek_is_in_no_output() {
        let shown = format!("{:?} {:?}", bunker(), bunker().describe());
        assert!(!shown.contains(&hex::encode([1; 32])) && !shown.contains("1, 1, 1"));
    }
}
