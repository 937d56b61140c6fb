//! Bodies of requests and answers, and what has to be true of the answers.

use base64::{Engine, engine::general_purpose::STANDARD};
use crc::{CRC_32_ISCSI, Crc};
use frost_wasm_core::secret::SecretBytes;
use serde::{Deserialize, Deserializer, Serialize};

use super::CryptoKey;
use crate::{HsmError, http::SecretText};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// CRC-32C (Castagnoli).
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EncryptRequest<'a> {
    pub(super) plaintext: &'a str,
    pub(super) plaintext_crc32c: String,
    pub(super) additional_authenticated_data: String,
    pub(super) additional_authenticated_data_crc32c: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DecryptRequest {
    pub(super) ciphertext: String,
    pub(super) ciphertext_crc32c: String,
    pub(super) additional_authenticated_data: String,
    pub(super) additional_authenticated_data_crc32c: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Encrypted {
    name: String,
    ciphertext: String,
    ciphertext_crc32c: Checksum,
    #[serde(default)]
    verified_plaintext_crc32c: bool,
    #[serde(default)]
    verified_additional_authenticated_data_crc32c: bool,
    #[serde(default)]
    protection_level: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Decrypted {
    plaintext: SecretText,
    plaintext_crc32c: Checksum,
    #[serde(default)]
    protection_level: String,
}

#[derive(Deserialize)]
pub(super) struct CryptoKeyAnswer {
    name: String,
    #[serde(default)]
    purpose: String,
    primary: Option<Version>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    protection_level: String,
}

/// A 64-bit number, which JSON has as text.
struct Checksum(u32);

impl Encrypted {
    /// The ciphertext, if all that goes with it is as it has to be.
    pub(super) fn check(self, key: &CryptoKey) -> Result<Vec<u8>, HsmError> {
        let arrived_whole = self.verified_plaintext_crc32c && self.verified_additional_authenticated_data_crc32c;
        let ciphertext = STANDARD.decode(&self.ciphertext).map_err(|_| HsmError::BadResponse)?;
        if !arrived_whole || crc32c(&ciphertext) != self.ciphertext_crc32c.0 {
            return Err(HsmError::BadResponse);
        }
        if !key.has_version(&self.name) {
            return Err(HsmError::WrongKey);
        }
        is_hsm(&self.protection_level)?;
        Ok(ciphertext)
    }
}

impl Decrypted {
    /// The plaintext, if all that goes with it is as it has to be.
    pub(super) fn check(self) -> Result<SecretBytes, HsmError> {
        let opened = STANDARD.decode(self.plaintext.0.as_bytes()).map_err(|_| HsmError::BadResponse)?;
        let opened = SecretBytes::from(opened);
        if crc32c(opened.expose_secret()) != self.plaintext_crc32c.0 {
            return Err(HsmError::BadResponse);
        }
        is_hsm(&self.protection_level)?;
        Ok(opened)
    }
}

impl CryptoKeyAnswer {
    /// Whether it is the configured key, for encryption, with a primary version in hardware that is enabled.
    pub(super) fn check(&self, key: &CryptoKey) -> Result<(), HsmError> {
        if self.name != key.as_str() || self.purpose != "ENCRYPT_DECRYPT" {
            return Err(HsmError::WrongKey);
        }
        let primary = self.primary.as_ref().ok_or(HsmError::KeyDisabled)?;
        if !key.has_version(&primary.name) {
            return Err(HsmError::WrongKey);
        }
        match primary.state.as_str() {
            "ENABLED" => is_hsm(&primary.protection_level),
            "DISABLED" => Err(HsmError::KeyDisabled),
            "DESTROY_SCHEDULED" => Err(HsmError::KeyPendingDeletion),
            "DESTROYED" => Err(HsmError::KeyMissing),
            _ => Err(HsmError::Unavailable),
        }
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| serde::de::Error::custom("no checksum"))
    }
}

fn is_hsm(level: &str) -> Result<(), HsmError> {
    if level == "HSM" { Ok(()) } else { Err(HsmError::NotHardware) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_rfc_3720() {
        // RFC 3720, B.4: 32 bytes of zeros, of ones, and counting.
        assert_eq!(super::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(super::crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(super::crc32c(&std::array::from_fn::<u8, 32, _>(|at| at as u8)), 0x46dd_794e);
    }
}
