//! The full name of a crypto key: `projects/…/locations/…/keyRings/…/cryptoKeys/…`.

use std::fmt;

/// A key's name, without a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CryptoKey(String);

impl CryptoKey {
    /// Parses the name of a key; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let [projects, project, locations, location, rings, ring, keys, key] = parts.as_slice() else { return None };
        let is_shape = [*projects, *locations, *rings, *keys] == ["projects", "locations", "keyRings", "cryptoKeys"];
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (is_shape && [*project, *location, *ring, *key].into_iter().all(is_name)).then(|| Self(text.to_owned()))
    }

    /// Whether that is the name of one of its versions.
    #[must_use]
    pub fn has_version(&self, name: &str) -> bool {
        let version = name.strip_prefix(&self.0).and_then(|rest| rest.strip_prefix("/cryptoKeyVersions/"));
        version.is_some_and(|version| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CryptoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_in_full_and_its_versions_are_told_from_others() {
        let name = "projects/p-1/locations/europe-west3/keyRings/passport/cryptoKeys/bunker";
        let key = CryptoKey::parse(name).unwrap();
        assert!(key.has_version(&format!("{name}/cryptoKeyVersions/12")));
        for other in [name.to_owned(), format!("{name}2/cryptoKeyVersions/1"), format!("{name}/cryptoKeyVersions/")] {
            assert!(!key.has_version(&other), "{other}");
        }
        let bad =
            [&name[1..], &format!("{name}/cryptoKeyVersions/1"), &name.replace("p-1", ""), &name.replace("p-1", "a?b")];
        for bad in bad {
            assert_eq!(CryptoKey::parse(bad), None, "{bad}");
        }
    }
}
