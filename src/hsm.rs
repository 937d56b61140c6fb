//! Where data-encryption keys are wrapped. Holders get operations, never key-encryption keys.
//!
//! Each holder has an instance of its own with a KEK of its own, so that what the bunker can unwrap
//! the cosigner cannot. A provider that does not answer is an error with a name; there is no other
//! provider behind it.

pub mod simulator;

use frost_wasm_core::group::HolderRole;
use frost_wasm_core::sealed::Dek;
use rand_core::{CryptoRng, RngCore};
use serde::Serialize;
use thiserror::Error;

use self::simulator::Simulator;
use crate::config::secrets::SecretName;
use crate::config::{Config, HsmProvider};
use crate::problem::Problem;

/// A data-encryption key as it is stored beside what it seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedDek {
    /// Which KEK wraps it: provider, holder and the KEK's fingerprint.
    pub kek_id: String,
    /// The provider's own format.
    pub wrapped: Vec<u8>,
}

/// Why a key was not wrapped or unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HsmError {
    /// Holders on a person's device have no HSM here.
    #[error("the {0} holder keeps its share elsewhere")]
    NoSuchHolder(HolderRole),
    /// Wrapped by another KEK: of another holder, or one that was exchanged.
    #[error("this key was wrapped by another KEK")]
    OtherKek,
    /// The wrapped key was changed, or is not in the provider's format.
    #[error("this wrapped key does not open")]
    DoesNotOpen,
    /// The provider did not answer, or cannot do it.
    #[error("the HSM did not do it")]
    Unavailable,
}

impl From<HsmError> for Problem {
    fn from(error: HsmError) -> Self {
        Self::new(
            503,
            "hsm_unavailable",
            "The keys of this deployment can't be unlocked now. Nothing was signed or stored; try again later.",
        )
        .caused_by(error.to_string())
    }
}

/// What a holder may ask of its HSM.
///
/// Providers over HTTP wait, so these are futures; they need not be `Send`. Nothing that was
/// checked before such a wait may be taken for checked after it.
#[allow(async_fn_in_trait)]
pub trait Hsm {
    /// Wraps a data key under this holder's KEK.
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, rng: &mut R) -> Result<WrappedDek, HsmError>;

    /// Unwraps a data key that this holder's KEK has wrapped.
    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError>;

    /// Name and KEK, for people and logs.
    fn describe(&self) -> HsmDescription;

    /// Whether it wraps and unwraps now. Must not be answered from memory.
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

/// The HSM of one holder, of whichever provider is configured.
#[derive(Debug)]
pub enum HolderHsm {
    /// Software, for development and tests.
    Simulator(Simulator),
}

/// The HSM of a server-side holder.
///
/// # Errors
/// [`HsmError::NoSuchHolder`] for holders that are not on a server.
pub fn for_holder(config: &Config, role: HolderRole) -> Result<HolderHsm, HsmError> {
    let kek = match role {
        HolderRole::Bunker => SecretName::HsmSimulatorBunkerKek,
        HolderRole::Cosigner => SecretName::HsmSimulatorCosignerKek,
        HolderRole::Device | HolderRole::Recovery => return Err(HsmError::NoSuchHolder(role)),
    };
    match config.hsm_provider {
        HsmProvider::Simulator => Ok(HolderHsm::Simulator(Simulator::new(config.secret(kek), role))),
    }
}

impl Hsm for HolderHsm {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, rng: &mut R) -> Result<WrappedDek, HsmError> {
        match self {
            Self::Simulator(hsm) => hsm.wrap_dek(dek, rng).await,
        }
    }

    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError> {
        match self {
            Self::Simulator(hsm) => hsm.unwrap_dek(wrapped).await,
        }
    }

    fn describe(&self) -> HsmDescription {
        match self {
            Self::Simulator(hsm) => hsm.describe(),
        }
    }

    async fn health(&self) -> Result<(), HsmError> {
        match self {
            Self::Simulator(hsm) => hsm.health().await,
        }
    }
}
