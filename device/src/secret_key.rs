//! Reading a secret key that a person has: nsec, hex or ncryptsec.

use bunker_core::{
    keys::TransportSecret,
    nip19,
    nip49::{EncryptedKey, MAX_LOG_N, Nip49Error, PREFIX},
};
use frost_wasm_core::secret::Secret32;

use crate::Failure;

/// How a key was written in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// `nsec1…`
    Nsec,
    /// 64 characters of lowercase hex.
    Hex,
}

/// A secret key as a person gave it.
#[derive(Debug)]
pub enum GivenKey {
    /// In the clear.
    Plain(Secret32, Written),
    /// `ncryptsec1…`, which takes a password.
    Encrypted(EncryptedKey),
}

impl GivenKey {
    /// Reads one of the three forms.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let text = text.trim();
        if text.is_empty() {
            return Err(no_key("There is nothing."));
        }
        if ["npub1", "nprofile1", "note1", "nevent1", "naddr1"].iter().any(|prefix| text.starts_with(prefix)) {
            return Err(no_key("It is public; nothing can be signed with it."));
        }
        if text.starts_with("bunker://") || text.starts_with("nostrconnect://") {
            return Err(no_key("It is the link of a connection."));
        }
        if text.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('1')) {
            let key: EncryptedKey = text.parse().map_err(|error: Nip49Error| no_key(&format!("The {error}.")))?;
            return Ok(Self::Encrypted(key));
        }
        if text.starts_with("nsec1") {
            let secret = nip19::decode_nsec(text).map_err(|error| no_key(&format!("The {error}.")))?;
            return Ok(Self::Plain(secret, Written::Nsec));
        }
        let secret =
            Secret32::from_hex(text).map_err(|_| no_key("It is neither an nsec nor 64 lowercase hex characters."))?;
        TransportSecret::from_secret(&secret).map_err(|_| no_key("The number is out of range for a key."))?;
        Ok(Self::Plain(secret, Written::Hex))
    }
}

/// The costly part of opening an encrypted key.
pub fn stretch(key: &EncryptedKey, password: &str) -> Result<Secret32, Failure> {
    key.stretch(password).map_err(not_decrypted)
}

/// Opens an encrypted key with what [`stretch`] gave.
pub fn open(key: &EncryptedKey, stretched: &Secret32) -> Result<Secret32, Failure> {
    key.open(stretched).map_err(not_decrypted)
}

/// What is said of an encrypted key without a password.
#[must_use]
pub fn needs_password() -> Failure {
    Failure::new("needs_password", "This key is encrypted. Type the password it was encrypted with.")
}

fn not_decrypted(error: Nip49Error) -> Failure {
    match error {
        Nip49Error::NoPassword => needs_password(),
        Nip49Error::DoesNotOpen => Failure::new(
            "wrong_password",
            "The key does not open with this password. Is it the one it was encrypted with?",
        ),
        Nip49Error::TooCostly(log_n) => Failure::new(
            "too_costly",
            format!(
                "This key was encrypted at a cost of 2^{log_n}, which takes {} GiB of memory; at most 1 GiB (2^{MAX_LOG_N}) \
                 is taken here. Decrypt it with the program that made it, or encrypt it again at a lower cost.",
                1_u64
                    .checked_shl(u32::from(log_n.saturating_sub(MAX_LOG_N)))
                    .map_or_else(|| "too many".into(), |gib| gib.to_string()),
            ),
        ),
        other => no_key(&format!("It could not be decrypted: {other}.")),
    }
}

fn no_key(why: &str) -> Failure {
    Failure::new(
        "not_a_secret_key",
        format!("This is no secret key. {why} A secret key begins with nsec1 or ncryptsec1, or is 64 hex characters."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    const HEX: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
    const ENCRYPTED: &str = "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p";

    #[test]
    fn an_nsec_and_its_hex_are_the_same_key() {
        for (text, form) in [(NSEC, Written::Nsec), (HEX, Written::Hex), (&format!(" {NSEC}\n"), Written::Nsec)] {
            let Ok(GivenKey::Plain(secret, written)) = GivenKey::parse(text) else {
                panic!("{text}");
            };
            assert_eq!((secret.to_hex().expose_secret(), written), (HEX, form));
        }
    }

    #[test]
    fn an_encrypted_key_opens_with_its_password_only() {
        let Ok(GivenKey::Encrypted(key)) = GivenKey::parse(ENCRYPTED) else {
            panic!("not read");
        };
        let secret = open(&key, &stretch(&key, "nostr").unwrap()).unwrap();
        assert_eq!(secret.to_hex().expose_secret(), "3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683");
        assert_eq!(stretch(&key, "").unwrap_err().code(), "needs_password");
        let wrong = open(&key, &stretch(&key, "nostR").unwrap()).unwrap_err();
        assert_eq!(wrong.code(), "wrong_password");
    }

    #[test]
    fn what_is_no_secret_key_is_refused_without_being_repeated() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for text in [
            "",
            "hunter2-hunter2",
            &HEX[1..],
            &HEX.to_uppercase(),
            &format!("{NSEC} {NSEC}"),
            &NSEC[..62],
            &"0".repeat(64),
            order,
            "npub1sn0wdenkukak0d9dfczzeacvhkrgz92ak56egt7vdgzn8pv2wfqqhrjdv9",
            &ENCRYPTED[..100],
            "bunker://3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d?relay=wss%3A%2F%2Fa.example",
        ] {
            let failure = GivenKey::parse(text).unwrap_err();
            assert_eq!(failure.code(), "not_a_secret_key");
            assert!(text.is_empty() || !failure.to_string().contains(text), "{failure}");
        }
    }
}
