//! `HSM_…`: which HSM wraps the data keys of each holder, and which one did before it was exchanged.
//!
//! Bunker and cosigner have keys and credentials of their own, and the two keys differ: else what the one can unwrap the
//! other could. The names with `_PREVIOUS` are those of the KEKs that keys are being wrapped away from; they only
//! unwrap. Nothing here falls back: a provider that can't be set up whole stops the deployment by the name of what is
//! missing.

use std::sync::Arc;

use frost_wasm_core::group::HolderRole;
use frost_wasm_core::secret::SecretString;
use passport_hsm::Settings;
use passport_hsm::{aws, azure, google};

use super::secrets::Secrets;
use super::{ConfigError, Environment, SIMULATOR_OVERRIDE, SIMULATOR_OVERRIDE_VALUE};

/// Where Azure's applications get tokens, unless it is set.
const AZURE_AUTHORITY: &str = "https://login.microsoftonline.com";

/// The KEKs of both holders.
#[derive(Debug)]
pub struct HsmSettings {
    bunker: KeyRing,
    cosigner: KeyRing,
}

/// The KEKs of one holder.
#[derive(Debug)]
pub struct KeyRing {
    /// Wraps and unwraps.
    pub current: Settings,
    /// Unwraps what it once wrapped.
    pub previous: Option<Settings>,
}

impl HsmSettings {
    /// Those of a holder on the server.
    pub fn of(&self, role: HolderRole) -> Option<&KeyRing> {
        match role {
            HolderRole::Bunker => Some(&self.bunker),
            HolderRole::Cosigner => Some(&self.cosigner),
            HolderRole::Device | HolderRole::Recovery => None,
        }
    }

    /// Parses all variables of HSMs.
    pub(super) fn parse(
        lookup: &impl Fn(&str) -> Option<String>,
        environment: Environment,
        secrets: &mut Secrets,
    ) -> Result<Self, ConfigError> {
        let mut reading = Reading { lookup, environment, secrets };
        let [bunker, cosigner] = reading
            .generation(&CURRENT)?
            .ok_or(ConfigError::Missing { name: CURRENT.provider, hint: PROVIDER_HINT })?;
        let [previous_bunker, previous_cosigner] = match reading.generation(&PREVIOUS)? {
            Some([bunker, cosigner]) => [Some(bunker), Some(cosigner)],
            None => [None, None],
        };
        Ok(Self {
            bunker: KeyRing { current: bunker, previous: previous_bunker },
            cosigner: KeyRing { current: cosigner, previous: previous_cosigner },
        })
    }
}

const PROVIDER_HINT: &str = "Set it to `aws`, `google`, `azure` or, for development, `simulator`.";
const OVERRIDE_HINT: &str = "The simulator is software, not an HSM, and is refused in production. To accept \
                             that the KEKs are plain Worker secrets, set \
                             DANGER_ALLOW_HSM_SIMULATOR_IN_PRODUCTION=the-keks-are-plain-worker-secrets.";
const ARN_HINT: &str = "Set it to the key's full ARN, arn:aws:kms:REGION:ACCOUNT:key/ID. An alias is not taken.";
const STORE_HINT: &str = "Set it to `kms`, or to `cloudhsm` for a key in a custom key store; left out, it is `kms`.";
const CREDENTIAL_HINT: &str = "Set it to the credentials of the one principal that may use this holder's key.";
const CRYPTO_KEY_HINT: &str =
    "Set it to projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version, of a key with protection level HSM.";
const ACCOUNT_HINT: &str = "Set it to the JSON key file of the service account that may use this holder's key.";
const KEY_ID_HINT: &str = "Set it to https://VAULT/keys/NAME/VERSION, with its version.";
const ALGORITHM_HINT: &str = "Set it to `rsa-oaep-256` for an RSA-HSM key, or to `a256kw` for an oct-HSM key.";
const AZURE_HINT: &str = "Set it to what the application's registration shows.";
const ENDPOINT_HINT: &str = "Leave it out for the provider's own. Else set it to an https:// address without a path; http:// is for development.";

/// Names of one holder's variables, of one generation.
struct RoleNames {
    simulator_kek: &'static str,
    aws_key: &'static str,
    aws_access_key_id: &'static str,
    aws_secret_access_key: &'static str,
    aws_session_token: &'static str,
    google_key: &'static str,
    google_account: &'static str,
    azure_key: &'static str,
    azure_client_id: &'static str,
    azure_client_secret: &'static str,
}

/// Names of all variables of one generation.
struct Names {
    provider: &'static str,
    aws_key_store: &'static str,
    aws_endpoint: &'static str,
    google_endpoint: &'static str,
    google_token_endpoint: &'static str,
    azure_algorithm: &'static str,
    azure_tenant_id: &'static str,
    azure_authority: &'static str,
    /// Bunker, cosigner.
    roles: [RoleNames; 2],
}

macro_rules! role_names {
    ($role:literal, $suffix:literal) => {
        RoleNames {
            simulator_kek: concat!("HSM_SIMULATOR_", $role, "_KEK", $suffix),
            aws_key: concat!("HSM_AWS_", $role, "_KEY_ARN", $suffix),
            aws_access_key_id: concat!("HSM_AWS_", $role, "_ACCESS_KEY_ID", $suffix),
            aws_secret_access_key: concat!("HSM_AWS_", $role, "_SECRET_ACCESS_KEY", $suffix),
            aws_session_token: concat!("HSM_AWS_", $role, "_SESSION_TOKEN", $suffix),
            google_key: concat!("HSM_GOOGLE_", $role, "_KEY", $suffix),
            google_account: concat!("HSM_GOOGLE_", $role, "_ACCOUNT", $suffix),
            azure_key: concat!("HSM_AZURE_", $role, "_KEY_ID", $suffix),
            azure_client_id: concat!("HSM_AZURE_", $role, "_CLIENT_ID", $suffix),
            azure_client_secret: concat!("HSM_AZURE_", $role, "_CLIENT_SECRET", $suffix),
        }
    };
}

macro_rules! names {
    ($suffix:literal) => {
        Names {
            provider: concat!("HSM_PROVIDER", $suffix),
            aws_key_store: concat!("HSM_AWS_KEY_STORE", $suffix),
            aws_endpoint: concat!("HSM_AWS_ENDPOINT", $suffix),
            google_endpoint: concat!("HSM_GOOGLE_ENDPOINT", $suffix),
            google_token_endpoint: concat!("HSM_GOOGLE_TOKEN_ENDPOINT", $suffix),
            azure_algorithm: concat!("HSM_AZURE_ALGORITHM", $suffix),
            azure_tenant_id: concat!("HSM_AZURE_TENANT_ID", $suffix),
            azure_authority: concat!("HSM_AZURE_AUTHORITY", $suffix),
            roles: [role_names!("BUNKER", $suffix), role_names!("COSIGNER", $suffix)],
        }
    };
}

const CURRENT: Names = names!("");
const PREVIOUS: Names = names!("_PREVIOUS");

struct Reading<'a, L> {
    lookup: &'a L,
    environment: Environment,
    secrets: &'a mut Secrets,
}

impl<L: Fn(&str) -> Option<String>> Reading<'_, L> {
    /// Both holders' KEKs of a generation; `None` when no provider is named.
    fn generation(&mut self, names: &Names) -> Result<Option<[Settings; 2]>, ConfigError> {
        let name = names.provider;
        let Some(provider) = (self.lookup)(name) else { return Ok(None) };
        let [bunker, cosigner] = &names.roles;
        let both = match provider.as_str() {
            "simulator" => {
                self.allow_simulator(name)?;
                [self.simulator(bunker)?, self.simulator(cosigner)?]
            }
            "aws" => {
                let (a, b) = (self.aws(names, bunker)?, self.aws(names, cosigner)?);
                differ(a.key != b.key, bunker.aws_key, cosigner.aws_key)?;
                [Settings::Aws(Arc::new(a)), Settings::Aws(Arc::new(b))]
            }
            "google" => {
                let (a, b) = (self.google(names, bunker)?, self.google(names, cosigner)?);
                differ(a.key != b.key, bunker.google_key, cosigner.google_key)?;
                [Settings::Google(Arc::new(a)), Settings::Google(Arc::new(b))]
            }
            "azure" => {
                let (a, b) = (self.azure(names, bunker)?, self.azure(names, cosigner)?);
                differ(a.key != b.key, bunker.azure_key, cosigner.azure_key)?;
                [Settings::Azure(Arc::new(a)), Settings::Azure(Arc::new(b))]
            }
            _ => return Err(ConfigError::Invalid { name, hint: PROVIDER_HINT }),
        };
        Ok(Some(both))
    }

    fn allow_simulator(&self, name: &'static str) -> Result<(), ConfigError> {
        let is_allowed = match self.environment {
            Environment::Development => true,
            Environment::Production => (self.lookup)(SIMULATOR_OVERRIDE).as_deref() == Some(SIMULATOR_OVERRIDE_VALUE),
        };
        if is_allowed { Ok(()) } else { Err(ConfigError::Invalid { name, hint: OVERRIDE_HINT }) }
    }

    fn simulator(&mut self, names: &RoleNames) -> Result<Settings, ConfigError> {
        Ok(Settings::Simulator(self.secrets.parse_one(self.lookup, names.simulator_kek)?))
    }

    fn aws(&self, names: &Names, role: &RoleNames) -> Result<aws::Settings, ConfigError> {
        let key_store = match (self.lookup)(names.aws_key_store).as_deref() {
            None | Some("kms") => aws::KeyStore::Kms,
            Some("cloudhsm") => aws::KeyStore::CloudHsm,
            Some(_) => return Err(ConfigError::Invalid { name: names.aws_key_store, hint: STORE_HINT }),
        };
        Ok(aws::Settings {
            key: self.read(role.aws_key, ARN_HINT, aws::KeyArn::parse)?,
            key_store,
            access_key_id: self.text(role.aws_access_key_id, CREDENTIAL_HINT)?,
            secret_access_key: self.secret(role.aws_secret_access_key, CREDENTIAL_HINT)?,
            session_token: (self.lookup)(role.aws_session_token).map(SecretString::from),
            endpoint: self.endpoint(names.aws_endpoint)?,
        })
    }

    fn google(&self, names: &Names, role: &RoleNames) -> Result<google::Settings, ConfigError> {
        Ok(google::Settings {
            key: self.read(role.google_key, CRYPTO_KEY_HINT, google::CryptoKey::parse)?,
            account: self.read(role.google_account, ACCOUNT_HINT, google::ServiceAccount::from_key_file)?,
            endpoint: self.endpoint(names.google_endpoint)?,
            token_endpoint: self.endpoint(names.google_token_endpoint)?,
        })
    }

    fn azure(&self, names: &Names, role: &RoleNames) -> Result<azure::Settings, ConfigError> {
        let algorithm = |text: &str| match text {
            "rsa-oaep-256" => Some(azure::Algorithm::RsaOaep256),
            "a256kw" => Some(azure::Algorithm::A256Kw),
            _ => None,
        };
        Ok(azure::Settings {
            key: self.read(role.azure_key, KEY_ID_HINT, azure::KeyId::parse)?,
            algorithm: self.read(names.azure_algorithm, ALGORITHM_HINT, algorithm)?,
            tenant_id: self.text(names.azure_tenant_id, AZURE_HINT)?,
            client_id: self.text(role.azure_client_id, AZURE_HINT)?,
            client_secret: self.secret(role.azure_client_secret, AZURE_HINT)?,
            authority: self.endpoint(names.azure_authority)?.unwrap_or_else(|| AZURE_AUTHORITY.to_owned()),
        })
    }

    fn read<T>(
        &self,
        name: &'static str,
        hint: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let text = (self.lookup)(name).map(zeroize::Zeroizing::new).ok_or(ConfigError::Missing { name, hint })?;
        parse(&text).ok_or(ConfigError::Invalid { name, hint })
    }

    fn text(&self, name: &'static str, hint: &'static str) -> Result<String, ConfigError> {
        let is_fit = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| text.to_owned());
        self.read(name, hint, is_fit)
    }

    fn secret(&self, name: &'static str, hint: &'static str) -> Result<SecretString, ConfigError> {
        self.text(name, hint).map(SecretString::from)
    }

    /// Scheme and host. Without TLS only where nothing real is kept.
    fn endpoint(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(text) = (self.lookup)(name) else { return Ok(None) };
        let host = match (text.strip_prefix("https://"), self.environment) {
            (Some(host), _) => Some(host),
            (None, Environment::Development) => text.strip_prefix("http://"),
            (None, Environment::Production) => None,
        };
        let is_host = |host: &str| {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':'))
        };
        match host.filter(|host| is_host(host)) {
            Some(_) => Ok(Some(text)),
            None => Err(ConfigError::Invalid { name, hint: ENDPOINT_HINT }),
        }
    }
}

fn differ(they_do: bool, other: &'static str, name: &'static str) -> Result<(), ConfigError> {
    if they_do { Ok(()) } else { Err(ConfigError::SameKey { name, other }) }
}
