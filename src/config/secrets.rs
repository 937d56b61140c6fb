//! The secrets: five that every deployment has, three that it may have, and the simulator's KEKs where there is one.
//! 32 random bytes each, all different, none of them an example.

use std::fmt;
use std::sync::Arc;

use frost_wasm_core::secret::Secret32;
use zeroize::{Zeroize, Zeroizing};

use super::ConfigError;

/// How a person makes a value for any of them.
pub const HOW_TO_MAKE: &str = "Make a value of its own for each secret with `openssl rand -hex 32` \
                               and set it with `wrangler secret put NAME`; locally, \
                               `npm run setup` writes .dev.vars.";

/// Fewest different byte values in a secret. 32 random bytes have about 30; fewer than 16 happens
/// less than once in 10^15 draws, a typed pattern nearly always.
const DISTINCT_BYTES_MIN: usize = 16;

/// Names of the secrets, and with them their only uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretName {
    /// Tags the relay addresses, so that nobody can name an object into existence.
    RoutingKey,
    /// Root of the refresh-token MAC, the token successor, the fake KDF parameters, device tokens, recovery
    /// challenges and the names of guard objects.
    TokenKey,
    /// Ed25519 seed of the access tokens.
    JwtSigningKey,
    /// X25519 secret of the bunker holder.
    BunkerReceivingKey,
    /// X25519 secret of the cosigner holder.
    CosignerReceivingKey,
}

impl SecretName {
    /// Every secret, in the order in which they are checked.
    pub const ALL: [Self; 5] =
        [Self::RoutingKey, Self::TokenKey, Self::JwtSigningKey, Self::BunkerReceivingKey, Self::CosignerReceivingKey];

    /// Name of the variable.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::RoutingKey => "ROUTING_KEY",
            Self::TokenKey => "TOKEN_KEY",
            Self::JwtSigningKey => "JWT_SIGNING_KEY",
            Self::BunkerReceivingKey => "BUNKER_RECEIVING_KEY",
            Self::CosignerReceivingKey => "COSIGNER_RECEIVING_KEY",
        }
    }
}

/// What is wrong with a secret, in words that give nothing of it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretFault {
    /// Not 64 lower-case hex digits.
    NotHex64,
    /// A placeholder from an example file.
    Example,
    /// All zero, all equal, a sequence or a short repeated pattern.
    NotRandom,
}

impl fmt::Display for SecretFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHex64 => "is not 32 bytes as 64 lower-case hex digits",
            Self::Example => "still has a placeholder in it",
            Self::NotRandom => "is too regular to be random",
        })
    }
}

/// Name of the optional secret: the signing key of access tokens before the present one. Set it when
/// `JWT_SIGNING_KEY` is replaced, and remove it once the last of its tokens has expired.
pub const JWT_SIGNING_KEY_PREVIOUS: &str = "JWT_SIGNING_KEY_PREVIOUS";

/// Name of the optional secret that whoever reads `GET /metrics` shows.
pub const METRICS_TOKEN: &str = "METRICS_TOKEN";

/// Name of the optional secret with which the first operators are set up. It is good once; remove it afterwards.
pub const OPERATOR_SETUP_TOKEN: &str = "OPERATOR_SETUP_TOKEN";

/// The parsed secrets.
#[derive(Debug)]
pub struct Secrets {
    /// In the order of [`SecretName::ALL`], and then every other one.
    all: Vec<(&'static str, Arc<Secret32>)>,
}

impl Secrets {
    /// Parses and cross-checks all but the KEKs.
    ///
    /// # Errors
    /// [`ConfigError`] names the first that is missing, unusable or equal to another.
    pub fn parse(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut secrets = Self { all: Vec::new() };
        for secret in SecretName::ALL {
            secrets.parse_one(lookup, secret.variable())?;
        }
        for name in [JWT_SIGNING_KEY_PREVIOUS, METRICS_TOKEN, OPERATOR_SETUP_TOKEN] {
            if lookup(name).is_some() {
                secrets.parse_one(lookup, name)?;
            }
        }
        Ok(secrets)
    }

    /// Parses a secret that has to differ from those before it.
    ///
    /// # Errors
    /// The same.
    pub(super) fn parse_one(
        &mut self,
        lookup: &impl Fn(&str) -> Option<String>,
        name: &'static str,
    ) -> Result<Arc<Secret32>, ConfigError> {
        let value = lookup(name).map(Zeroizing::new).ok_or(ConfigError::Missing { name, hint: HOW_TO_MAKE })?;
        let value = parse_secret(&value).map_err(|fault| ConfigError::Secret { name, fault })?;
        if let Some((other, _)) = self.all.iter().find(|(_, earlier)| earlier.ct_eq(&value)) {
            return Err(ConfigError::Shared { name, other });
        }
        let value = Arc::new(value);
        self.all.push((name, Arc::clone(&value)));
        Ok(value)
    }

    /// The secret of that name.
    pub fn get(&self, name: SecretName) -> &Secret32 {
        &self.all[name as usize].1
    }

    /// The signing key of access tokens before the present one, while it is still set.
    pub fn jwt_signing_key_previous(&self) -> Option<&Secret32> {
        self.named(JWT_SIGNING_KEY_PREVIOUS)
    }

    /// What whoever reads the metrics shows, if anybody may.
    pub fn metrics_token(&self) -> Option<&Secret32> {
        self.named(METRICS_TOKEN)
    }

    /// What whoever sets the first operators up shows, if anybody may.
    pub fn operator_setup_token(&self) -> Option<&Secret32> {
        self.named(OPERATOR_SETUP_TOKEN)
    }

    fn named(&self, name: &str) -> Option<&Secret32> {
        self.all.iter().find(|(it, _)| *it == name).map(|(_, secret)| &**secret)
    }
}

fn parse_secret(value: &str) -> Result<Secret32, SecretFault> {
    let lower = Zeroizing::new(value.to_ascii_lowercase());
    let placeholders = ["change", "example", "replace", "secret", "todo", "your"];
    if placeholders.iter().any(|word| lower.contains(word)) {
        return Err(SecretFault::Example);
    }
    if value.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return Err(SecretFault::NotHex64);
    }
    let mut bytes = [0; 32];
    hex::decode_to_slice(value, &mut bytes).map_err(|_| SecretFault::NotHex64)?;
    let regular = is_regular(&bytes);
    let secret = Secret32::from_bytes(bytes);
    bytes.zeroize();
    if regular { Err(SecretFault::NotRandom) } else { Ok(secret) }
}

/// All equal, few different values, or equal steps from byte to byte.
fn is_regular(bytes: &[u8; 32]) -> bool {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    let step = bytes[1].wrapping_sub(bytes[0]);
    let equal_steps = bytes.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    distinct < DISTINCT_BYTES_MIN || equal_steps
}
