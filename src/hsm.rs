//! Which HSM wraps a holder's data-encryption keys, by the configuration. What an HSM is, and what each provider wants,
//! stands in `passport-hsm`; [`edge`] carries its requests.
//!
//! Each holder has an instance of its own with a KEK of its own, so that what the bunker can unwrap the cosigner cannot.

pub(crate) mod edge;

use std::cell::RefCell;
use std::rc::Rc;

use frost_wasm_core::{group::HolderRole, sealed::Dek};
use passport_hsm::{HolderHsm, HsmDescription};
pub use passport_hsm::{Hsm, HsmError, WrappedDek};
use rand_core::{CryptoRng, RngCore};

use self::edge::Edge;
use crate::config::Config;
use crate::metrics::labels::{HsmOperation, HsmOutcome, HsmRole};
use crate::metrics::{self, Counter, Timing};
use crate::platform::{self, now_ms};
use crate::problem::Problem;

impl From<HsmError> for Problem {
    fn from(error: HsmError) -> Self {
        Self::new(
            503,
            "hsm_unavailable",
            "The keys of this deployment can't be unlocked now. Nothing was signed; send the same request again later.",
        )
        .caused_by(error.to_string())
    }
}

/// The HSM of a server-side holder: one for each isolate, so that tokens of providers are asked for once.
///
/// # Errors
/// [`HsmError::NoSuchHolder`] for holders that are not on a server.
pub fn for_holder(config: &Config, role: HolderRole) -> Result<Rc<Counted>, HsmError> {
    let counted_as = match role {
        HolderRole::Bunker => HsmRole::Bunker,
        HolderRole::Cosigner => HsmRole::Cosigner,
        HolderRole::Device | HolderRole::Recovery => return Err(HsmError::NoSuchHolder(role)),
    };
    let kept = HSMS.with_borrow(|hsms| hsms.iter().find(|hsm| hsm.role == counted_as).cloned());
    if let Some(hsm) = kept {
        return Ok(hsm);
    }
    let keys = config.hsm.of(role).ok_or(HsmError::NoSuchHolder(role))?;
    let hsm = HolderHsm::new(role, &keys.current, keys.previous.as_ref(), &Edge)?;
    let hsm = Rc::new(Counted { role: counted_as, hsm });
    HSMS.with_borrow_mut(|hsms| hsms.push(hsm.clone()));
    Ok(hsm)
}

thread_local! {
    /// The configuration of an isolate never changes, so neither do these.
    static HSMS: RefCell<Vec<Rc<Counted>>> = const { RefCell::new(Vec::new()) };
}

/// An HSM whose calls are counted and timed.
#[derive(Debug)]
pub struct Counted {
    role: HsmRole,
    hsm: HolderHsm<Edge>,
}

impl Hsm for Counted {
    async fn wrap_dek<R: RngCore + CryptoRng>(&self, dek: &Dek, rng: &mut R) -> Result<WrappedDek, HsmError> {
        self.count(HsmOperation::Wrap, self.hsm.wrap_dek(dek, rng)).await
    }

    async fn unwrap_dek(&self, wrapped: &WrappedDek) -> Result<Dek, HsmError> {
        self.count(HsmOperation::Unwrap, self.hsm.unwrap_dek(wrapped)).await
    }

    fn describe(&self) -> HsmDescription {
        self.hsm.describe()
    }

    async fn health(&self) -> Result<(), HsmError> {
        self.count(HsmOperation::Health, self.hsm.health()).await
    }
}

impl Counted {
    /// Wraps a data key under the present KEK; `None` when it is already.
    ///
    /// # Errors
    /// Why not. Nothing has changed then.
    pub async fn rewrap(&self, kek_id: &str, wrapped: &[u8]) -> Result<Option<WrappedDek>, HsmError> {
        let present = WrappedDek { kek_id: kek_id.to_owned(), wrapped: wrapped.to_owned() };
        if self.hsm.is_current(&present) {
            return Ok(None);
        }
        let dek = self.unwrap_dek(&present).await?;
        self.wrap_dek(&dek, &mut platform::rng()).await.map(Some)
    }

    async fn count<T>(
        &self,
        operation: HsmOperation,
        call: impl Future<Output = Result<T, HsmError>>,
    ) -> Result<T, HsmError> {
        let began_ms = now_ms();
        let answered = call.await;
        let outcome = answered.as_ref().map_or_else(|error| HsmOutcome::of(*error), |_| HsmOutcome::Ok);
        metrics::count(Counter::HsmCalls { role: self.role, operation, outcome });
        metrics::observe(Timing::Hsm { operation }, now_ms().saturating_sub(began_ms));
        answered
    }
}
