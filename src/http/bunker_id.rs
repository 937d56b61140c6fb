//! The opaque name of a group's relay: group id and a MAC of it.
//!
//! Guards against objects being named into existence: the router checks the MAC before any object
//! is touched, so only names we gave out lead anywhere.

use frost_wasm_core::group::GroupId;
use frost_wasm_core::secret::Secret32;
use hmac::{Hmac, Mac};
use sha2::Sha256;

const DOMAIN: &[u8] = b"passport/v1/bunker-id";
/// Bytes of the MAC that stand in the name: 64 bits, each guess a request of its own.
const TAG_BYTES: usize = 8;
const GROUP_HEX: usize = 32;

/// Name of the group's relay: 32 hex digits of the group, 16 of its tag.
pub fn bunker_id(routing_key: &Secret32, group: &GroupId) -> String {
    let tag = keyed(routing_key, group).finalize().into_bytes();
    format!("{group}{}", hex::encode(&tag[..TAG_BYTES]))
}

/// The group behind a name; `None` for names we did not give out. Compares in constant time.
pub fn group_of(routing_key: &Secret32, bunker_id: &str) -> Option<GroupId> {
    let (group, tag) = bunker_id.split_at_checked(GROUP_HEX)?;
    let group: GroupId = group.parse().ok()?;
    let mut claimed = [0; TAG_BYTES];
    hex::decode_to_slice(tag, &mut claimed).ok()?;
    let upper = tag.bytes().any(|digit| digit.is_ascii_uppercase());
    let genuine = keyed(routing_key, &group).verify_truncated_left(&claimed).is_ok();
    (genuine && !upper).then_some(group)
}

fn keyed(routing_key: &Secret32, group: &GroupId) -> Hmac<Sha256> {
    let mac: Hmac<Sha256> = match Mac::new_from_slice(routing_key.expose_secret()) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes keys of every length"),
    };
    mac.chain_update(DOMAIN).chain_update(group.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Secret32 {
        Secret32::from_bytes([byte; 32])
    }

    fn group() -> GroupId {
        "00112233445566778899aabbccddeeff".parse().unwrap()
    }

    #[test]
    fn a_name_we_gave_out_leads_to_its_group() {
        let id = bunker_id(&key(1), &group());
        assert_eq!(id.len(), 48);
        assert_eq!(group_of(&key(1), &id), Some(group()));
    }

    #[test]
    fn the_name_is_pinned_because_people_keep_it_in_their_apps() {
        // python: hmac.new(bytes([1]*32), b"passport/v1/bunker-id" + group, sha256)
        let tag = bunker_id(&key(1), &group())[32..].to_owned();
        assert_eq!(tag, "c79ba467ab78128d");
    }

    #[test]
    fn no_other_name_leads_anywhere() {
        let id = bunker_id(&key(1), &group());
        assert_eq!(group_of(&key(2), &id), None);
        for at in 0..id.len() {
            let digit = if &id[at..=at] == "0" { "1" } else { "0" };
            let changed = format!("{}{digit}{}", &id[..at], &id[at + 1..]);
            assert_eq!(group_of(&key(1), &changed), None, "{changed}");
        }
        for bad in [&id[..47], &id[..32], "", &format!("{id}0"), &id.to_uppercase(), "é"] {
            assert_eq!(group_of(&key(1), bad), None, "{bad}");
        }
    }
}
