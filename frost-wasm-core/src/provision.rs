//! From the owner's device to one holder: HPKE base mode (RFC 9180) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256
//! and ChaCha20-Poly1305, one message per encapsulation.
//!
//! It carries a holder's share and a connection's transport secret past everything in between, the coordinator
//! included. The purpose goes in as HPKE's `info` and the statement it belongs to as `aad`, so that a package opens
//! neither for another purpose nor under another statement.

use hpke::{
    Deserializable, Kem as _, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256 as Kem, single_shot_open, single_shot_seal,
};
use rand_core::{CryptoRng, RngCore};

use crate::{
    encoding::{EncodingError, decode_base64, encode_base64, hex_bytes},
    secret::{Secret32, SecretBytes},
};

/// The purpose under which a holder's share travels. `aad`: statement id, then the holder's index as u16 BE.
pub const SHARE_PURPOSE: &[u8] = b"passport/v1/share";

/// The purpose under which a connection's transport secret travels. `aad`: statement id.
pub const TRANSPORT_PURPOSE: &[u8] = b"passport/v1/transport";

/// Purpose of a share on its way back to the owner's device.
pub const EXPORT_PURPOSE: &[u8] = b"passport/v1/export";

/// Bytes of the encapsulated X25519 key in front of the ciphertext.
const ENCAPSULATED_BYTES: usize = 32;

/// Why a package was not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionError {
    /// The package is not base64, or too short.
    #[error("the package is malformed")]
    Malformed,
    /// The receiver's public key is unusable, for instance of low order.
    #[error("the receiver's key is unusable")]
    BadReceiver,
    /// Sealed to another key, for another purpose or statement, or altered.
    #[error("the package does not open here")]
    DoesNotOpen,
}

impl From<EncodingError> for ProvisionError {
    fn from(_: EncodingError) -> Self {
        Self::Malformed
    }
}

hex_bytes!(
    /// A holder's X25519 public key, 64 characters of lowercase hex.
    ReceivingPublic,
    32
);

/// A holder's static X25519 secret.
pub struct ReceivingKey {
    secret: <Kem as hpke::Kem>::PrivateKey,
    public: ReceivingPublic,
}

impl ReceivingKey {
    /// Takes 32 random bytes as the X25519 secret (clamped as in RFC 7748).
    pub fn from_secret(secret: &Secret32) -> Result<Self, ProvisionError> {
        let secret = <Kem as hpke::Kem>::PrivateKey::from_bytes(secret.expose_secret())
            .map_err(|_| ProvisionError::BadReceiver)?;
        let public = ReceivingPublic::from_bytes(Kem::sk_to_pk(&secret).to_bytes().into());
        Ok(Self { secret, public })
    }

    /// The key to seal to.
    #[must_use]
    pub fn public(&self) -> ReceivingPublic {
        self.public
    }

    /// Opens a package sealed to this key for this purpose and statement.
    pub fn open(&self, purpose: &[u8], aad: &[u8], package: &str) -> Result<SecretBytes, ProvisionError> {
        let bytes = decode_base64(package)?;
        let (encapsulated, ciphertext) = bytes.split_at_checked(ENCAPSULATED_BYTES).ok_or(ProvisionError::Malformed)?;
        let encapsulated =
            <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| ProvisionError::Malformed)?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.secret,
            &encapsulated,
            purpose,
            ciphertext,
            aad,
        )
        .map(SecretBytes::from)
        .map_err(|_| ProvisionError::DoesNotOpen)
    }
}

impl std::fmt::Debug for ReceivingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceivingKey").field("secret", &"<redacted>").field("public", &self.public).finish()
    }
}

/// Seals a secret to a holder's key. The result is base64 of the encapsulated key and the ciphertext.
pub fn seal<R: RngCore + CryptoRng>(
    to: &ReceivingPublic,
    purpose: &[u8],
    aad: &[u8],
    plaintext: &[u8],
    rng: &mut R,
) -> Result<String, ProvisionError> {
    let receiver = <Kem as hpke::Kem>::PublicKey::from_bytes(to.as_bytes()).map_err(|_| ProvisionError::BadReceiver)?;
    let (encapsulated, ciphertext) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem, _>(
        &OpModeS::Base,
        &receiver,
        purpose,
        plaintext,
        aad,
        rng,
    )
    .map_err(|_| ProvisionError::BadReceiver)?;
    Ok(encode_base64(&[encapsulated.to_bytes().as_slice(), &ciphertext].concat()))
}
