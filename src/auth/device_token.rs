//! Device tokens: how a device shows that somebody signed in to this account on it before.
//!
//! A token opens nothing. It only lets a device count its failures apart from strangers', so that a stranger's
//! guesses don't keep the owner out. It is an id and a MAC of the account and the id; nothing is stored for it.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use super::keys::{AuthKeys, mac};

/// Tells the token's type at sight, so that it can't be taken for another kind.
const PREFIX: &str = "pdt_";
/// Bytes of a device's id.
const ID_BYTES: usize = 16;
/// Bytes of the MAC.
const MAC_BYTES: usize = 32;
/// Stands for the account where there is none; no account has this id.
const NOBODY: &str = "";

/// A device of an account, 16 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceId([u8; ID_BYTES]);

impl DeviceId {
    /// From fresh random bytes.
    pub fn from_random(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The device's token for an account.
    pub fn token(&self, keys: &AuthKeys, account: &str) -> String {
        let tag = tag(keys, account, &self.0);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&self.0[..], &tag].concat()))
    }

    /// The device behind a token, if it was given out for this account. Without an account the same work is done.
    pub fn of(keys: &AuthKeys, account: Option<&str>, token: &str) -> Option<Self> {
        let mut bytes = [0; ID_BYTES + MAC_BYTES];
        let read = URL_SAFE_NO_PAD.decode_slice(token.strip_prefix(PREFIX)?, &mut bytes).ok()?;
        let (id, claimed) = bytes.split_at_checked(ID_BYTES)?;
        let genuine: bool = tag(keys, account.unwrap_or(NOBODY), id).ct_eq(claimed).into();
        let whole = read == bytes.len();
        (genuine && whole && account.is_some()).then_some(Self(id.try_into().ok()?))
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

fn tag(keys: &AuthKeys, account: &str, id: &[u8]) -> [u8; MAC_BYTES] {
    mac(&keys.device_token, &[account.as_bytes(), id])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::for_tests;

    #[test]
    fn a_token_is_known_to_its_own_account_on_its_own_deployment_only() {
        let (here, elsewhere) = (for_tests(), for_tests());
        let device = DeviceId::from_random([7; 16]);
        let token = device.token(&here, "a1");
        assert_eq!(DeviceId::of(&here, Some("a1"), &token), Some(device));
        assert_eq!(DeviceId::of(&here, Some("a2"), &token), None);
        assert_eq!(DeviceId::of(&here, None, &token), None);
        assert_eq!(DeviceId::of(&elsewhere, Some("a1"), &token), None);
        assert_eq!(DeviceId::of(&here, None, &device.token(&here, NOBODY)), None);
    }

    #[test]
    fn no_other_text_is_a_known_device() {
        let keys = for_tests();
        let token = DeviceId::from_random([7; 16]).token(&keys, "a1");
        let body = token.strip_prefix(PREFIX).unwrap();
        for at in 0..body.len() {
            let other = if &body[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{PREFIX}{}{other}{}", &body[..at], &body[at + 1..]);
            assert_eq!(DeviceId::of(&keys, Some("a1"), &changed), None, "{changed}");
        }
        for bad in
            ["", PREFIX, body, &format!("{token}A"), &token[..token.len() - 1], &format!("{PREFIX}{}", "A".repeat(999))]
        {
            assert_eq!(DeviceId::of(&keys, Some("a1"), bad), None, "{bad}");
        }
    }
}
