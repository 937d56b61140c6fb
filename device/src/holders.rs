//! The server-side holders, as far as they are believed: two of them, with two keys.

use frost_wasm_core::{
    group::{HolderIndex, HolderRole},
    point::XOnlyKey,
    provision::ReceivingPublic,
};
use serde::Deserialize;

use crate::Failure;

pub(crate) const BUNKER: u16 = 1;
pub(crate) const COSIGNER: u16 = 2;
pub(crate) const RECOVERY: u16 = 3;

/// Answer to `GET /holders`
#[derive(Debug, Clone, Deserialize)]
pub struct HolderList {
    /// The holders on the server.
    pub holders: Vec<HolderEntry>,
}

/// A holder and its receiving key.
#[derive(Debug, Clone, Deserialize)]
pub struct HolderEntry {
    /// Its role.
    pub role: HolderRole,
    /// Its FROST identifier.
    pub index: HolderIndex,
    /// Where to seal to.
    pub receiving_key: ReceivingPublic,
    /// Under which it speaks in ceremonies.
    pub signing_key: XOnlyKey,
}

/// The keys of one server-side holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HolderKeys {
    /// Where to seal to.
    pub(crate) receiving: ReceivingPublic,
    /// Under which it speaks.
    pub(crate) signing: XOnlyKey,
}

/// The keys of the server-side holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holders {
    pub(crate) bunker: HolderKeys,
    pub(crate) cosigner: HolderKeys,
}

impl Holders {
    /// Takes the server's list: exactly a bunker (1) and a cosigner (2), with two different keys. With one key for
    /// both, whoever has it would have the whole Nostr key.
    pub fn from_list(list: &HolderList) -> Result<Self, Failure> {
        let key = |role, index| {
            let mut matching = list.holders.iter().filter(|holder| holder.role == role);
            match (matching.next(), matching.next()) {
                (Some(one), None) if one.index.get() == index => {
                    Some(HolderKeys { receiving: one.receiving_key, signing: one.signing_key })
                }
                (Some(_) | None, _) => None,
            }
        };
        let bunker = key(HolderRole::Bunker, BUNKER);
        let cosigner = key(HolderRole::Cosigner, COSIGNER);
        match (bunker, cosigner) {
            (Some(bunker), Some(cosigner)) if bunker.receiving != cosigner.receiving => Ok(Self { bunker, cosigner }),
            (Some(_), Some(_)) => Err(Failure::new(
                "holders_not_separate",
                "The server's two holders have the same key, so one of them would get the whole of yours. Nothing was sent.",
            )),
            (Some(_) | None, _) => Err(Failure::new(
                "holders_unsupported",
                "The server does not have the two holders that this device splits keys for.",
            )),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use frost_wasm_core::{ceremony::PartyKeys, provision::ReceivingKey, secret::Secret32};

    use super::*;

    pub(crate) fn receiving(byte: u8) -> ReceivingKey {
        ReceivingKey::from_secret(&Secret32::from_bytes([byte; 32])).unwrap()
    }

    pub(crate) fn holders() -> Holders {
        Holders { bunker: keys_of(1), cosigner: keys_of(2) }
    }

    /// A server-side holder's secrets in a ceremony.
    pub(crate) fn party(byte: u8) -> PartyKeys {
        PartyKeys::of_holder(&Secret32::from_bytes([byte; 32]), Secret32::from_bytes([byte + 100; 32])).unwrap()
    }

    fn keys_of(byte: u8) -> HolderKeys {
        HolderKeys { receiving: receiving(byte).public(), signing: party(byte).signing_public() }
    }

    fn list(keys: [(&str, u16, u8); 2]) -> HolderList {
        let holders: Vec<_> = keys
            .into_iter()
            .map(|(role, index, byte)| {
                serde_json::json!({
                    "role": role, "index": index, "receiving_key": keys_of(byte).receiving,
                    "signing_key": keys_of(byte).signing,
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({ "holders": holders })).unwrap()
    }

    #[test]
    fn holders_that_are_one_and_the_same_get_nothing() {
        assert!(Holders::from_list(&list([("bunker", 1, 1), ("cosigner", 2, 2)])).is_ok());
        for (wrong, code) in [
            ([("bunker", 1, 1), ("cosigner", 2, 1)], "holders_not_separate"),
            ([("bunker", 2, 1), ("cosigner", 1, 2)], "holders_unsupported"),
            ([("bunker", 1, 1), ("bunker", 1, 2)], "holders_unsupported"),
            ([("bunker", 1, 1), ("device", 2, 2)], "holders_unsupported"),
        ] {
            let failure = Holders::from_list(&list(wrong)).unwrap_err();
            assert_eq!(failure.code(), code);
        }
    }
}
