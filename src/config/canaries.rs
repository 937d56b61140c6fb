//! `CANARIES`: accounts, logins and tokens that exist to be found by whoever has no business here.
//!
//! Nobody uses them, so each use is somebody who looked where only an intruder looks. What then happens is the
//! deployment's object's to do ([`crate::durable::deployment`]).

use bunker_core::keys::PublicKey;
use frost_wasm_core::secret::SecretString;
use operations_core::text::Code;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ConfigError, Environment};
use crate::auth::username::Username;

const NAME: &str = "CANARIES";
const HINT: &str = "Set it to entries with commas between: `owner:` and an owner key of 64 hex digits, `login:` and a \
                    username, `token:` and the SHA-256 of a bearer token in hex. Fifty at most.";
const ACTION: &str = "CANARY_ACTION";
const ACTION_HINT: &str = "Set it to `alarm`, or to `seal` to seal the deployment; left out, it is `alarm`.";
const WEBHOOK: &str = "CANARY_WEBHOOK";
const WEBHOOK_HINT: &str = "Set it to the https:// address that is told, or leave it out. It is a secret.";
/// Most entries.
const MAX: usize = 50;

/// What nobody has reason to use, and what happens when somebody does.
#[derive(Debug, Default)]
pub struct Canaries {
    owners: Vec<(Code, PublicKey)>,
    logins: Vec<(Code, String)>,
    tokens: Vec<(Code, [u8; 32])>,
    /// Whether the deployment seals itself.
    pub seals: bool,
    /// Who is told.
    pub webhook: Option<SecretString>,
}

impl Canaries {
    pub(super) fn parse(
        lookup: &impl Fn(&str) -> Option<String>,
        environment: Environment,
    ) -> Result<Self, ConfigError> {
        let invalid = || ConfigError::Invalid { name: NAME, hint: HINT };
        let mut canaries = Self::default();
        let entries = lookup(NAME).unwrap_or_default();
        for (at, entry) in entries.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let (kind, value) = entry.split_once(':').filter(|_| at < MAX).ok_or_else(invalid)?;
            let name = format!("{kind}-{}", at + 1).parse::<Code>().map_err(|_| invalid())?;
            match kind {
                "owner" => canaries.owners.push((name, value.parse().map_err(|_| invalid())?)),
                "login" => {
                    canaries.logins.push((name, Username::parse(value).map_err(|_| invalid())?.to_string()));
                }
                "token" => {
                    let mut digest = [0; 32];
                    hex::decode_to_slice(value, &mut digest).map_err(|_| invalid())?;
                    canaries.tokens.push((name, digest));
                }
                _ => return Err(invalid()),
            }
        }
        canaries.seals = match lookup(ACTION).as_deref() {
            None | Some("alarm") => false,
            Some("seal") => true,
            Some(_) => return Err(ConfigError::Invalid { name: ACTION, hint: ACTION_HINT }),
        };
        canaries.webhook = lookup(WEBHOOK).map(|address| webhook(address, environment)).transpose()?;
        Ok(canaries)
    }

    /// The canary of an identity's owner.
    pub fn owner(&self, owner: &PublicKey) -> Option<&Code> {
        self.owners.iter().find(|(_, it)| it == owner).map(|(name, _)| name)
    }

    /// The canary of a login name.
    pub fn login(&self, username: &str) -> Option<&Code> {
        self.logins.iter().find(|(_, it)| it == username).map(|(name, _)| name)
    }

    /// The canary of a bearer token.
    pub fn token(&self, token: &str) -> Option<&Code> {
        if self.tokens.is_empty() {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        self.tokens.iter().find(|(_, it)| it.ct_eq(&digest).into()).map(|(name, _)| name)
    }
}

fn webhook(address: String, environment: Environment) -> Result<SecretString, ConfigError> {
    let is_fit = match environment {
        Environment::Development => address.starts_with("http://") || address.starts_with("https://"),
        Environment::Production => address.starts_with("https://"),
    };
    let is_fit = is_fit && address.bytes().all(|byte| byte.is_ascii_graphic());
    if is_fit {
        Ok(SecretString::from(address))
    } else {
        Err(ConfigError::Invalid { name: WEBHOOK, hint: WEBHOOK_HINT })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<Canaries, ConfigError> {
        let vars: HashMap<_, _> = vars.iter().copied().collect();
        Canaries::parse(&|name: &str| vars.get(name).map(|value| (*value).to_owned()), Environment::Production)
    }

    #[test]
    fn a_canary_is_found_by_what_was_touched_and_named_by_its_place_in_the_list() {
        let owner = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
        let token = hex::encode(Sha256::digest("pop_nobody"));
        let list = format!("owner:{owner}, login:backup-admin,token:{token}");
        let canaries = parse(&[(NAME, &list)]).unwrap();
        let name = |found: Option<&Code>| found.map(|name| name.as_str().to_owned());
        assert_eq!(name(canaries.owner(&owner.parse().unwrap())), Some("owner-1".to_owned()));
        assert_eq!(name(canaries.login("backup-admin")), Some("login-2".to_owned()));
        assert_eq!(name(canaries.token("pop_nobody")), Some("token-3".to_owned()));
        assert!(canaries.login("alice").is_none() && canaries.token("pop_somebody").is_none() && !canaries.seals);
        assert!(parse(&[]).unwrap().token("").is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused_by_its_name() {
        for list in ["owner:79be", "login:", "login:No Body", "token:00", "key:a", "alice"] {
            assert!(parse(&[(NAME, list)]).unwrap_err().to_string().starts_with(NAME), "{list}");
        }
        let many = vec!["login:nobody"; MAX + 1].join(",");
        assert!(parse(&[(NAME, &many)]).is_err());
        assert!(parse(&[(ACTION, "delete")]).unwrap_err().to_string().starts_with(ACTION));
        assert!(parse(&[(WEBHOOK, "http://hooks.test/a")]).unwrap_err().to_string().starts_with(WEBHOOK));
        let shown = format!("{:?}", parse(&[(WEBHOOK, "https://hooks.test/secret")]).unwrap());
        assert!(!shown.contains("secret"), "{shown}");
    }
}
