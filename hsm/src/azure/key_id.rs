//! The full name of a key's version: `https://<vault>.<domain>/keys/<name>/<version>`.

use std::fmt;

/// A key with its version, as Azure names it in answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId {
    text: String,
    host: String,
}

impl KeyId {
    /// Parses the https address of a key's version; `None` for anything else, and for a key without a version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.strip_prefix("https://")?.split('/').collect();
        let [authority, "keys", name, version] = parts.as_slice() else { return None };
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let (host, port) = authority.split_once(':').map_or((*authority, None), |(host, port)| (host, Some(port)));
        let is_host =
            host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
                && host.contains('.')
                && !host.starts_with('.');
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
        (is_host && is_port && is_name(name) && is_name(version))
            .then(|| Self { text: text.to_owned(), host: host.to_owned() })
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The vault's host, without a port.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_with_its_vault_and_version() {
        let id = KeyId::parse("https://passport.vault.azure.net/keys/bunker/0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(id.host(), "passport.vault.azure.net");
        assert_eq!(
            KeyId::parse("https://passport.vault.test:8443/keys/bunker/01").unwrap().host(),
            "passport.vault.test"
        );
        for bad in [
            "http://passport.vault.azure.net/keys/bunker/01",
            "https://passport.vault.azure.net/keys/bunker",
            "https://passport.vault.azure.net/keys/bunker/",
            "https://passport.vault.azure.net/secrets/bunker/01",
            "https://a@passport.vault.azure.net/keys/bunker/01",
            "https://passport.vault.azure.net/keys/bunker/01?x",
            "https:///keys/bunker/01",
        ] {
            assert_eq!(KeyId::parse(bad), None, "{bad}");
        }
    }
}
