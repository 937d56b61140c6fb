//! `PUBLIC_URL`: the origin under which clients reach this deployment.

use http::Uri;

use super::{ConfigError, Environment};

const NAME: &str = "PUBLIC_URL";
const HINT: &str = "Set it to the origin people open, scheme and host without a path. In \
                    production it has to be https and no example name.";

/// Scheme, host and port; never a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    https: bool,
    authority: String,
}

impl PublicUrl {
    /// Parses the variable.
    ///
    /// # Errors
    /// [`ConfigError`] when it is missing, not an origin, or not https in production.
    pub fn parse(value: Option<String>, environment: Environment) -> Result<Self, ConfigError> {
        let value = value.ok_or(ConfigError::Missing { name: NAME, hint: HINT })?;
        Self::parse_origin(&value)
            .filter(|url| environment == Environment::Development || url.is_for_production())
            .ok_or(ConfigError::Invalid { name: NAME, hint: HINT })
    }

    /// `https://host[:port]`
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// The host alone, as WebAuthn's RP ID wants it.
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// `wss://host[:port]/relay/<bunker_id>`
    pub fn relay(&self, bunker_id: &str) -> String {
        let scheme = if self.https { "wss" } else { "ws" };
        format!("{scheme}://{}/relay/{bunker_id}", self.authority)
    }

    /// https, and not a name that is reserved for examples (RFC 2606).
    fn is_for_production(&self) -> bool {
        let host = self.authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let example = [".example", ".invalid", ".test", "example.com", "example.net", "example.org"]
            .iter()
            .any(|name| host.ends_with(name));
        self.https && !example
    }

    fn parse_origin(value: &str) -> Option<Self> {
        let uri: Uri = value.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        (bare && !authority.contains('@')).then(|| Self { https, authority: authority.to_owned() })
    }
}
