//! Secret bytes: wiped on drop, printed as `<redacted>`, neither `Clone` nor `Serialize`.
//!
//! The bytes live behind a box, so that moving a secret leaves no copy on the stack.
//!
//! ```compile_fail,E0599
//! let secret = frost_wasm_core::secret::Secret32::from_bytes([1; 32]);
//! let copy = secret.clone();
//! ```
//! ```compile_fail,E0277
//! let secret = frost_wasm_core::secret::Secret32::from_bytes([1; 32]);
//! serde_json::to_string(&secret).unwrap();
//! ```
//! ```compile_fail,E0599
//! let secret = frost_wasm_core::secret::SecretBytes::from(vec![1]);
//! let copy = secret.clone();
//! ```
//! ```compile_fail,E0277
//! let secret = frost_wasm_core::secret::Secret32::from_bytes([1; 32]).to_hex();
//! serde_json::to_string(&secret).unwrap();
//! ```

use std::fmt;

use rand_core::{CryptoRng, RngCore};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::encoding::{EncodingError, decode_hex};

/// `N` secret bytes.
pub struct Secret<const N: usize>(Box<Zeroizing<[u8; N]>>);

/// 32 secret bytes: a key, a share, a seed.
pub type Secret32 = Secret<32>;

impl<const N: usize> Secret<N> {
    /// Takes the bytes over and wipes the array they came in.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; N]) -> Self {
        let secret = Self(Box::new(Zeroizing::new(bytes)));
        bytes.zeroize();
        secret
    }

    /// Takes over bytes that are already wiped on drop.
    #[must_use]
    pub fn from_zeroizing(bytes: &Zeroizing<[u8; N]>) -> Self {
        let mut secret = Self::zeroed();
        secret.0.copy_from_slice(bytes.as_slice());
        secret
    }

    /// Copies exactly `N` bytes; `None` for another length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::zeroed();
        if bytes.len() != N {
            return None;
        }
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    /// Reads `2 * N` characters of lowercase hex.
    pub fn from_hex(text: &str) -> Result<Self, EncodingError> {
        decode_hex(text).map(Self::from_bytes)
    }

    /// Draws fresh bytes.
    #[must_use]
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        let mut secret = Self::zeroed();
        rng.fill_bytes(secret.0.as_mut_slice());
        secret
    }

    /// The bytes. The caller answers for every copy.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes as lowercase hex, still a secret.
    #[must_use]
    pub fn to_hex(&self) -> SecretString {
        SecretString(Zeroizing::new(hex::encode(self.expose_secret())))
    }

    /// Compares without telling by time where the difference is.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }

    pub(crate) fn zeroed() -> Self {
        Self(Box::new(Zeroizing::new([0; N])))
    }

    pub(crate) fn expose_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

/// Secret bytes of any length, such as an opened plaintext.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// The bytes. The caller answers for every copy.
    #[must_use]
    pub fn expose_secret(&self) -> &[u8] {
        &self.0
    }

    /// The same secret as exactly `N` bytes; `None` for another length.
    #[must_use]
    pub fn into_fixed<const N: usize>(self) -> Option<Secret<N>> {
        Secret::from_slice(&self.0)
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Secret text: an encoded key, a login secret.
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// The text. The caller answers for every copy.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}
