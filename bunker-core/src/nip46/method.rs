//! The methods of NIP-46 by name.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A method. One that is not known survives parsing, so that it can be answered by name and shown in
/// the record of what was asked.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Method {
    /// Opens a session with the connection's secret.
    Connect,
    /// Signs an event as the user.
    SignEvent,
    /// Asks whether the signer is there.
    Ping,
    /// Asks for the user's public key.
    GetPublicKey,
    /// Encrypts for a third party with NIP-04.
    Nip04Encrypt,
    /// Decrypts from a third party with NIP-04.
    Nip04Decrypt,
    /// Encrypts for a third party with NIP-44.
    Nip44Encrypt,
    /// Decrypts from a third party with NIP-44.
    Nip44Decrypt,
    /// Asks for the relays to be used from now on.
    SwitchRelays,
    /// Ends the session.
    Logout,
    /// Any other name.
    Unknown(String),
}

impl Method {
    /// Every method that is known.
    pub const KNOWN: [Self; 10] = [
        Self::Connect,
        Self::SignEvent,
        Self::Ping,
        Self::GetPublicKey,
        Self::Nip04Encrypt,
        Self::Nip04Decrypt,
        Self::Nip44Encrypt,
        Self::Nip44Decrypt,
        Self::SwitchRelays,
        Self::Logout,
    ];

    /// The method called `name`.
    pub fn from_name(name: &str) -> Self {
        Self::KNOWN.into_iter().find(|method| method.name() == name).unwrap_or_else(|| Self::Unknown(name.to_owned()))
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Connect => "connect",
            Self::SignEvent => "sign_event",
            Self::Ping => "ping",
            Self::GetPublicKey => "get_public_key",
            Self::Nip04Encrypt => "nip04_encrypt",
            Self::Nip04Decrypt => "nip04_decrypt",
            Self::Nip44Encrypt => "nip44_encrypt",
            Self::Nip44Decrypt => "nip44_decrypt",
            Self::SwitchRelays => "switch_relays",
            Self::Logout => "logout",
            Self::Unknown(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::from_name(&name))
    }
}
