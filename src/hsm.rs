//! Which HSM wraps a holder's data-encryption keys, by the configuration. What an HSM is stands in `passport-hsm`; the
//! simulator is the one that this version can be configured with.
//!
//! Each holder has an instance of its own with a KEK of its own, so that what the bunker can unwrap the cosigner cannot.

use frost_wasm_core::group::HolderRole;
use passport_hsm::simulator::Simulator;
pub use passport_hsm::{Hsm, HsmError, WrappedDek};

use crate::config::secrets::SecretName;
use crate::config::{Config, HsmProvider};
use crate::problem::Problem;

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

/// The HSM of a server-side holder.
///
/// # Errors
/// [`HsmError::NoSuchHolder`] for holders that are not on a server.
pub fn for_holder(config: &Config, role: HolderRole) -> Result<Simulator, HsmError> {
    let kek = match role {
        HolderRole::Bunker => SecretName::HsmSimulatorBunkerKek,
        HolderRole::Cosigner => SecretName::HsmSimulatorCosignerKek,
        HolderRole::Device | HolderRole::Recovery => return Err(HsmError::NoSuchHolder(role)),
    };
    match config.hsm_provider {
        HsmProvider::Simulator => Ok(Simulator::new(config.secret(kek), role)),
    }
}
