//! The key ring of one holder: what wraps, and what may still unwrap.
//!
//! While a KEK is exchanged there are two. Only the current one wraps; a key goes to the one that its `kek_id` names
//! and to no other. [`HolderHsm::is_current`] tells the caller what it should wrap again.

use std::sync::Arc;

use frost_wasm_core::{group::HolderRole, sealed::Dek, secret::Secret32};
use rand_core::{CryptoRng, RngCore};

use crate::{
    Hsm, HsmDescription, HsmError, Platform, WrappedDek,
    aws::{self, Aws},
    azure::{self, Azure},
    google::{self, Google},
    simulator::Simulator,
};

/// Which key of which provider, and how to get at it.
#[derive(Debug, Clone)]
pub enum Settings {
    /// Software, under this KEK.
    Simulator(Arc<Secret32>),
    /// AWS KMS.
    Aws(Arc<aws::Settings>),
    /// Google Cloud KMS.
    Google(Arc<google::Settings>),
    /// Azure Key Vault or Managed HSM.
    Azure(Arc<azure::Settings>),
}

/// The KEKs of one holder.
#[derive(Debug)]
pub struct HolderHsm<P> {
    current: Provider<P>,
    previous: Option<Provider<P>>,
}

#[derive(Debug)]
enum Provider<P> {
    Simulator(Simulator),
    Aws(Aws<P>),
    Google(Google<P>),
    Azure(Azure<P>),
}

impl<P: Platform> HolderHsm<P> {
    /// The key ring of a server-side holder.
    ///
    /// # Errors
    /// [`HsmError::NoSuchHolder`] for holders that are not on a server.
    pub fn new(
        role: HolderRole,
        current: &Settings,
        previous: Option<&Settings>,
        platform: &P,
    ) -> Result<Self, HsmError> {
        if !role.is_on_server() {
            return Err(HsmError::NoSuchHolder(role));
        }
        let provider = |settings: &Settings| Provider::new(role, settings, platform.clone());
        Ok(Self { current: provider(current), previous: previous.map(provider) })
    }

    /// Whether the current KEK wraps it. What is not should be wrapped again.
    #[must_use]
    pub fn is_current(&self, wrapped: &WrappedDek) -> bool {
        wrapped.kek_id == self.current.kek_id()
    }
}

impl<P: Platform> Hsm for HolderHsm<P> {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, rng: &mut R) -> Result<WrappedDek, HsmError> {
        self.current.wrap_dek(dek, rng).await
    }

    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError> {
        let providers = [Some(&self.current), self.previous.as_ref()];
        let named = providers.into_iter().flatten().find(|it| it.kek_id() == wrapped.kek_id);
        named.ok_or(HsmError::OtherKek)?.unwrap_dek(wrapped).await
    }

    fn describe(&self) -> HsmDescription {
        self.current.describe()
    }

    async fn health(&self) -> Result<(), HsmError> {
        self.current.health().await?;
        match &self.previous {
            Some(previous) => previous.health().await,
            None => Ok(()),
        }
    }
}

impl<P: Platform> Provider<P> {
    fn new(role: HolderRole, settings: &Settings, platform: P) -> Self {
        match settings {
            Settings::Simulator(kek) => Self::Simulator(Simulator::new(kek, role)),
            Settings::Aws(settings) => Self::Aws(Aws::new(Arc::clone(settings), role, platform)),
            Settings::Google(settings) => Self::Google(Google::new(Arc::clone(settings), role, platform)),
            Settings::Azure(settings) => Self::Azure(Azure::new(Arc::clone(settings), role, platform)),
        }
    }

    fn kek_id(&self) -> &str {
        match self {
            Self::Simulator(hsm) => hsm.kek_id(),
            Self::Aws(hsm) => hsm.kek_id(),
            Self::Google(hsm) => hsm.kek_id(),
            Self::Azure(hsm) => hsm.kek_id(),
        }
    }
}

impl<P: Platform> Hsm for Provider<P> {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, rng: &mut R) -> Result<WrappedDek, HsmError> {
        match self {
            Self::Simulator(hsm) => hsm.wrap_dek(dek, rng).await,
            Self::Aws(hsm) => hsm.wrap_dek(dek, rng).await,
            Self::Google(hsm) => hsm.wrap_dek(dek, rng).await,
            Self::Azure(hsm) => hsm.wrap_dek(dek, rng).await,
        }
    }

    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError> {
        match self {
            Self::Simulator(hsm) => hsm.unwrap_dek(wrapped).await,
            Self::Aws(hsm) => hsm.unwrap_dek(wrapped).await,
            Self::Google(hsm) => hsm.unwrap_dek(wrapped).await,
            Self::Azure(hsm) => hsm.unwrap_dek(wrapped).await,
        }
    }

    fn describe(&self) -> HsmDescription {
        match self {
            Self::Simulator(hsm) => hsm.describe(),
            Self::Aws(hsm) => hsm.describe(),
            Self::Google(hsm) => hsm.describe(),
            Self::Azure(hsm) => hsm.describe(),
        }
    }

    async fn health(&self) -> Result<(), HsmError> {
        match self {
            Self::Simulator(hsm) => hsm.health().await,
            Self::Aws(hsm) => hsm.health().await,
            Self::Google(hsm) => hsm.health().await,
            Self::Azure(hsm) => hsm.health().await,
        }
    }
}
