//! Where data-encryption keys are wrapped. Holders get operations, never key-encryption keys.
//!
//! Each holder has a key ring of its own ([`HolderHsm`]) with a KEK of its own, so that what the bunker can unwrap the
//! cosigner cannot. A provider that does not answer is an error with a name; there is no other provider behind it.
//!
//! Nothing here opens a socket, reads a clock or draws randomness: all three come from outside ([`Transport`]). What
//! was unwrapped is not kept; only access tokens are, in the provider that got them.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

pub mod aws;
pub mod azure;
mod error;
pub mod google;
pub mod http;
mod keyring;
pub mod retry;
pub mod simulator;
mod token;

use frost_wasm_core::sealed::Dek;
use rand_core::{CryptoRng, RngCore};
use serde::Serialize;

pub use error::HsmError;
pub use http::{HttpRequest, HttpResponse, Method, Transport, TransportError};
pub use keyring::{HolderHsm, Settings};

/// A data-encryption key as it is stored beside what it seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedDek {
    /// Which KEK wraps it: provider, holder and the KEK's name or fingerprint.
    pub kek_id: String,
    /// The provider's own format.
    pub wrapped: Vec<u8>,
}

/// What a holder may ask of its HSM.
///
/// Providers over HTTP wait, so these are futures; they need not be `Send`. Nothing that was checked before such a
/// wait may be taken for checked after it.
#[allow(async_fn_in_trait)]
pub trait Hsm {
    /// Wraps a data key under this holder's KEK.
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, rng: &mut R) -> Result<WrappedDek, HsmError>;

    /// Unwraps a data key that this holder's KEK has wrapped.
    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError>;

    /// Name and KEK, for people and logs.
    fn describe(&self) -> HsmDescription;

    /// Whether the KEK is what it has to be, and wraps and unwraps now. Must not be answered from memory.
    async fn health(&self) -> Result<(), HsmError>;
}

/// What people may know of a holder's HSM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HsmDescription {
    /// Provider's name.
    pub provider: &'static str,
    /// Id of the KEK in use.
    pub kek_id: String,
    /// Whether the KEK can't leave hardware.
    pub hardware: bool,
}

/// What a provider needs of the machine that it runs on.
pub trait Platform: Transport + google::JwtSigner + Clone {}

impl<P: Transport + google::JwtSigner + Clone> Platform for P {}

/// Wraps and unwraps a key that seals nothing, and compares.
async fn probe<T: Transport>(hsm: &impl Hsm, transport: &T) -> Result<(), HsmError> {
    let mut rng = TransportRng(transport);
    let dek = Dek::generate(&mut rng);
    let back = hsm.unwrap_dek(&hsm.wrap_dek(&dek, &mut rng).await?).await?;
    let same = back.expose_for_wrapping().ct_eq(dek.expose_for_wrapping());
    if same { Ok(()) } else { Err(HsmError::BadResponse) }
}

/// The transport's random source as a generator.
struct TransportRng<'a, T>(&'a T);

impl<T: Transport> RngCore for TransportRng<'_, T> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill_random(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill_random(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill_random(dest);
        Ok(())
    }
}

impl<T: Transport> CryptoRng for TransportRng<'_, T> {}
