//! Typed configuration: parsed whole, or refused by the name of the variable that is wrong.
//!
//! Guards against missing, example, zero and shared secrets, and against a software stand-in for
//! the HSM in production. Nothing has a default that could be forgotten. The names are those of
//! `wrangler.toml` (vars) and `.dev.vars` (secrets).

mod canaries;
mod delay;
mod group_size;
mod hsm;
pub mod secrets;
mod url;

use std::sync::{Arc, OnceLock};

use frost_wasm_core::ceremony::PartyKeys;
use frost_wasm_core::group::HolderRole;
use frost_wasm_core::point::XOnlyKey;
use frost_wasm_core::provision::ReceivingPublic;
use frost_wasm_core::secret::Secret32;
use thiserror::Error;

pub use self::canaries::Canaries;
pub use self::group_size::GroupSize;
pub use self::hsm::{HsmSettings, KeyRing};
use self::secrets::{SecretFault, SecretName, Secrets};
pub use self::url::PublicUrl;
use crate::problem::Problem;

/// Set to [`SIMULATOR_OVERRIDE_VALUE`] to run the HSM simulator with `ENVIRONMENT=production`.
pub const SIMULATOR_OVERRIDE: &str = "DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION";
/// The only value of [`SIMULATOR_OVERRIDE`] that counts.
pub const SIMULATOR_OVERRIDE_VALUE: &str = "the-keks-are-plain-worker-secrets";

/// Where this deployment runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine or a test.
    Development,
    /// Real keys of real people.
    Production,
}

/// How hard the guard limits logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginLimits {
    /// The limits of [`crate::auth::guard`].
    Standard,
    /// The same limits with room for a test suite that signs in hundreds of people from one address. The guard
    /// does all its work. Refused in production.
    Wide,
}

/// Where audit records go beside the objects' own storage and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSink {
    /// Nowhere.
    None,
    /// Into an R2 bucket; what it does not take is not done.
    R2,
}

/// The whole configuration of a deployment.
#[derive(Debug)]
pub struct Config {
    /// Where this deployment runs.
    pub environment: Environment,
    /// The origin under which clients reach it.
    pub public_url: PublicUrl,
    /// What wraps the data-encryption keys.
    pub hsm: HsmSettings,
    /// How long holders wait before they release shares to the owner's device, in milliseconds.
    pub export_delay_ms: u64,
    /// How long an unwrapped data key stays in an object's memory at most, in milliseconds.
    pub dek_lifetime_ms: u64,
    /// Where audit records go beside the objects' own storage and the log.
    pub audit_sink: AuditSink,
    /// What nobody has reason to use.
    pub canaries: Canaries,
    /// How hard the guard limits logins.
    pub login_limits: LoginLimits,
    /// How large the groups may be that ceremonies make.
    pub group_size: GroupSize,
    /// SHA-256 of the deployed WASM, set by the build scripts.
    pub wasm_sha256: Option<String>,
    secrets: Secrets,
}

/// Why a configuration is refused, by the name of the variable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// Not set, or empty.
    #[error("{name} is not set. {hint}")]
    Missing {
        /// Name of the variable.
        name: &'static str,
        /// How to make a value.
        hint: &'static str,
    },
    /// A variable with a value that is not one of those it can have.
    #[error("{name} has a value that cannot be used. {hint}")]
    Invalid {
        /// Name of the variable.
        name: &'static str,
        /// What it can be.
        hint: &'static str,
    },
    /// A secret that is malformed, an example, or too regular to be random.
    #[error("{name} {fault}. {}", secrets::HOW_TO_MAKE)]
    Secret {
        /// Name of the secret.
        name: &'static str,
        /// What is wrong with it. Never a part of the value.
        fault: SecretFault,
    },
    /// Both holders with one KEK.
    #[error("{name} is the same key as {other}. Bunker and cosigner each need one of their own.")]
    SameKey {
        /// The cosigner's.
        name: &'static str,
        /// The bunker's.
        other: &'static str,
    },
    /// Two secrets with one value.
    #[error("{name} has the same value as {other}. {}", secrets::HOW_TO_MAKE)]
    Shared {
        /// Name of the second.
        name: &'static str,
        /// Name of the first.
        other: &'static str,
    },
}

impl Config {
    /// The configuration of this isolate; parsed once, when it is first asked for.
    ///
    /// # Errors
    /// [`ConfigError`] names the first variable that is wrong. A refusal is not kept.
    pub fn from_env(env: &worker::Env) -> Result<Arc<Self>, ConfigError> {
        static PARSED: OnceLock<Arc<Config>> = OnceLock::new();
        if let Some(config) = PARSED.get() {
            return Ok(Arc::clone(config));
        }
        let config = Self::parse(|name| env.var(name).ok().map(|value| value.to_string()))?;
        Ok(Arc::clone(PARSED.get_or_init(|| Arc::new(config))))
    }

    /// Parses what `lookup` gives for each name.
    ///
    /// # Errors
    /// [`ConfigError`] names the first variable that is wrong.
    pub fn parse(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let environment = environment(&lookup)?;
        let public_url = PublicUrl::parse(lookup("PUBLIC_URL"), environment)?;
        let export_delay_ms = delay::export_delay_ms(lookup("EXPORT_DELAY"), environment)?;
        let dek_lifetime_ms = delay::dek_lifetime_ms(lookup("DEK_LIFETIME"))?;
        let audit_sink = audit_sink(&lookup)?;
        let canaries = Canaries::parse(&lookup, environment)?;
        let login_limits = login_limits(&lookup, environment)?;
        let group_size = GroupSize::parse(&lookup)?;
        let mut secrets = Secrets::parse(&lookup)?;
        let hsm = HsmSettings::parse(&lookup, environment, &mut secrets)?;
        let wasm_sha256 = lookup("WASM_SHA256");
        Ok(Self {
            environment,
            public_url,
            hsm,
            export_delay_ms,
            dek_lifetime_ms,
            audit_sink,
            canaries,
            login_limits,
            group_size,
            wasm_sha256,
            secrets,
        })
    }

    /// One of the secrets, by name.
    pub fn secret(&self, name: SecretName) -> &Secret32 {
        self.secrets.get(name)
    }

    /// The signing key of access tokens before the present one, while it is still set.
    pub fn jwt_signing_key_previous(&self) -> Option<&Secret32> {
        self.secrets.jwt_signing_key_previous()
    }

    /// What whoever reads the metrics shows, if anybody may.
    pub fn metrics_token(&self) -> Option<&Secret32> {
        self.secrets.metrics_token()
    }

    /// What whoever sets the first operators up shows, if anybody may.
    pub fn operator_setup_token(&self) -> Option<&Secret32> {
        self.secrets.operator_setup_token()
    }

    /// The X25519 secret under which a server-side holder receives its packages; `None` for
    /// holders that are not on a server.
    pub fn receiving_secret(&self, role: HolderRole) -> Option<&Secret32> {
        match role {
            HolderRole::Bunker => Some(self.secret(SecretName::BunkerReceivingKey)),
            HolderRole::Cosigner => Some(self.secret(SecretName::CosignerReceivingKey)),
            HolderRole::Device | HolderRole::Recovery => None,
        }
    }

    /// What a server-side holder has in a ceremony; the seed is its own for each. `None` for holders that are not on
    /// a server.
    pub fn party_keys(&self, role: HolderRole, seed: Secret32) -> Option<PartyKeys> {
        PartyKeys::of_holder(self.receiving_secret(role)?, seed)
    }

    /// What anybody may know of those: the key it speaks under, and the key that values are sealed to.
    pub fn party_public(&self, role: HolderRole) -> Option<(XOnlyKey, ReceivingPublic)> {
        let keys = self.party_keys(role, Secret32::from_bytes([0; 32]))?;
        Some((keys.signing_public(), keys.receiving_public()))
    }
}

impl ConfigError {
    /// The answer to every request of a deployment that is configured wrongly.
    pub fn to_problem(&self) -> Problem {
        Problem::new(503, "configuration_invalid", self.to_string()).caused_by(self.to_string())
    }
}

fn environment(lookup: &impl Fn(&str) -> Option<String>) -> Result<Environment, ConfigError> {
    const NAME: &str = "ENVIRONMENT";
    const HINT: &str = "Set it to `development` or `production`.";
    match lookup(NAME).as_deref() {
        Some("development") => Ok(Environment::Development),
        Some("production") => Ok(Environment::Production),
        Some(_) => Err(ConfigError::Invalid { name: NAME, hint: HINT }),
        None => Err(ConfigError::Missing { name: NAME, hint: HINT }),
    }
}

fn audit_sink(lookup: &impl Fn(&str) -> Option<String>) -> Result<AuditSink, ConfigError> {
    const NAME: &str = "AUDIT_SINK";
    const HINT: &str = "Set it to `r2`, with a bucket bound as AUDIT_BUCKET, or leave it out for `none`.";
    match lookup(NAME).as_deref() {
        None | Some("none") => Ok(AuditSink::None),
        Some("r2") => Ok(AuditSink::R2),
        Some(_) => Err(ConfigError::Invalid { name: NAME, hint: HINT }),
    }
}

fn login_limits(
    lookup: &impl Fn(&str) -> Option<String>,
    environment: Environment,
) -> Result<LoginLimits, ConfigError> {
    const NAME: &str = "LOGIN_LIMITS";
    const HINT: &str = "Set it to `standard`. For tests on this machine there is `wide`, which production refuses.";
    match (lookup(NAME).as_deref(), environment) {
        (Some("standard"), _) => Ok(LoginLimits::Standard),
        (Some("wide"), Environment::Development) => Ok(LoginLimits::Wide),
        (Some(_), _) => Err(ConfigError::Invalid { name: NAME, hint: HINT }),
        (None, _) => Err(ConfigError::Missing { name: NAME, hint: HINT }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
