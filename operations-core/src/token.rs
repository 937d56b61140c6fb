//! Operators' tokens. A token is shown once; what is stored is its MAC under the deployment's key, so that a copy of
//! the storage opens nothing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frost_wasm_core::secret::{Secret32, SecretString};
use hmac::{Hmac, Mac};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// What every token begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "pop_";

/// An operator's token: `pop_` and 32 random bytes in base64url.
///
/// ```compile_fail,E0599
/// let token = operations_core::token::OperatorToken::parse("").unwrap();
/// let copy = token.clone();
/// ```
/// ```compile_fail,E0277
/// let token = operations_core::token::OperatorToken::parse("").unwrap();
/// serde_json::to_string(&token).unwrap();
/// ```
#[derive(Debug)]
pub struct OperatorToken(Secret32);

impl OperatorToken {
    /// Draws a token.
    pub fn random<R: RngCore + CryptoRng>(rng: &mut R) -> Self {
        Self(Secret32::random(rng))
    }

    /// Reads a token; `None` for a text that can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?);
        Secret32::from_slice(&bytes).map(Self)
    }

    /// The token as its operator keeps it. The caller answers for every copy.
    pub fn expose_text(&self) -> SecretString {
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.expose_secret()));
        let mut text = String::with_capacity(PREFIX.len() + encoded.len());
        text.push_str(PREFIX);
        text.push_str(&encoded);
        SecretString::from(text)
    }

    /// What is stored of the token.
    pub fn mac(&self, key: &Secret32) -> TokenMac {
        TokenMac(keyed(key, b"passport/v1/operator-token", self.0.expose_secret()))
    }
}

/// A token's MAC under the deployment's key.
#[derive(Clone, Copy)]
pub struct TokenMac([u8; 32]);

impl TokenMac {
    /// Compares without telling by time where the difference is.
    pub fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl PartialEq for TokenMac {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for TokenMac {}

impl std::fmt::Debug for TokenMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenMac(…)")
    }
}

impl Serialize for TokenMac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for TokenMac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(String::deserialize(deserializer)?, &mut bytes).map_err(D::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// The one way of a token into JSON: a reply that shows it to its operator.
pub(crate) mod shown_once {
    use super::{Deserialize, Deserializer, OperatorToken, Serializer, Zeroizing};
    use serde::de::Error as _;

    pub(crate) fn serialize<S: Serializer>(token: &OperatorToken, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(token.expose_text().expose_secret())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OperatorToken, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        OperatorToken::parse(&text).ok_or_else(|| D::Error::custom("not an operator's token"))
    }

    /// The same for a reply that shows a token only sometimes.
    pub(crate) mod optional {
        use super::{Deserialize, Deserializer, OperatorToken, Serializer, Zeroizing};
        use serde::de::Error as _;

        pub(crate) fn serialize<S: Serializer>(token: &Option<OperatorToken>, s: S) -> Result<S::Ok, S::Error> {
            match token {
                Some(token) => super::serialize(token, s),
                None => s.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<OperatorToken>, D::Error> {
            let Some(text) = Option::<String>::deserialize(d)?.map(Zeroizing::new) else { return Ok(None) };
            OperatorToken::parse(&text).map(Some).ok_or_else(|| D::Error::custom("not an operator's token"))
        }
    }
}

pub(crate) fn keyed(key: &Secret32, domain: &[u8], data: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let mac: Result<Hmac<Sha256>, _> = Mac::new_from_slice(key.expose_secret());
    let Ok(mut mac) = mac else { return [0; 32] };
    mac.update(domain);
    mac.update(&[0]);
    mac.update(data);
    mac.finalize().into_bytes().into()
}
