//! Access tokens: compact JWS with Ed25519 (RFC 7515, RFC 8037) and the claims of RFC 9068.
//!
//! Guards against every game with the header: it is one constant text, so `alg`, `kid` and `typ`
//! are pinned by comparing bytes before anything is decoded, and a header with anything else in it
//! (`jwk`, `jku`, `crit`, another order) is not ours. While a signing key is being replaced there are two
//! such headers, each with its own key: tokens of the old one are taken until they expire, and none is issued.
//! Times are arguments.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use frost_wasm_core::secret::Secret32;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use utoipa::ToSchema;

/// How long an access token is good for, in seconds. It outlives a logout by no more than this
/// where the session is not looked up, and every route of ours does look it up.
pub const ACCESS_TOKEN_LIFETIME_S: u64 = 15 * 60;
/// How far `iat` may lie in the future, in seconds: clocks of different machines.
const CLOCK_SKEW_MAX_S: u64 = 30;
/// Longest token that is looked at, in bytes. Ours have about 400.
const TOKEN_MAX_BYTES: usize = 1024;
/// The one audience: this deployment's own API.
const AUDIENCE: &str = "passport-api";

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessClaims {
    /// The deployment's public origin.
    pub iss: String,
    /// [`AUDIENCE`]
    pub aud: String,
    /// Account id, 32 hex digits.
    pub sub: String,
    /// Session (refresh-token family), 32 hex digits.
    pub sid: String,
    /// Issued at, unix seconds.
    pub iat: u64,
    /// Expires at, unix seconds.
    pub exp: u64,
}

/// Why a token is not taken. Callers hear one answer for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AccessTokenError {
    /// Longer than any of ours, or not three parts.
    #[error("not a compact JWS")]
    Malformed,
    /// Another `alg`, `kid` or `typ`, or any further field.
    #[error("header is not ours")]
    ForeignHeader,
    /// Not signed by the key that the header names.
    #[error("signature is wrong")]
    BadSignature,
    /// Signed by us, but not the claims of an access token for this deployment.
    #[error("claims are not ours")]
    ForeignClaims,
    /// Too late.
    #[error("expired")]
    Expired,
    /// Issued in the future.
    #[error("not valid yet")]
    NotYetValid,
}

/// Signs and checks access tokens.
pub struct AccessTokens {
    signing: SigningKey,
    issuer: String,
    current: Verifier,
    previous: Option<Verifier>,
}

/// A public key and the one header that goes with it.
#[derive(Debug)]
struct Verifier {
    key: VerifyingKey,
    kid: String,
    header: String,
}

impl Verifier {
    fn new(key: VerifyingKey) -> Self {
        let kid = thumbprint(&key);
        let header = format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}"}}"#);
        Self { key, kid, header: URL_SAFE_NO_PAD.encode(header) }
    }

    fn jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP",
            crv: "Ed25519",
            x: URL_SAFE_NO_PAD.encode(self.key.as_bytes()),
            kid: self.kid.clone(),
            r#use: "sig",
            alg: "EdDSA",
        }
    }
}

impl AccessTokens {
    /// From the Ed25519 seed, the one before it while that is still set, and the deployment's origin.
    pub fn new(seed: &Secret32, previous: Option<&Secret32>, issuer: String) -> Self {
        let signing = SigningKey::from_bytes(seed.expose_secret());
        let current = Verifier::new(signing.verifying_key());
        // Of the old key only the public half is kept: nothing can be signed with it here.
        let public_half = |seed: &Secret32| SigningKey::from_bytes(seed.expose_secret()).verifying_key();
        let previous = previous.map(|seed| Verifier::new(public_half(seed)));
        Self { signing, issuer, current, previous }
    }

    /// Issues a token. The same arguments give the same bytes.
    pub fn issue(&self, account: &str, session: &str, issued_at_s: u64) -> String {
        let claims = AccessClaims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: account.to_owned(),
            sid: session.to_owned(),
            iat: issued_at_s,
            exp: issued_at_s + ACCESS_TOKEN_LIFETIME_S,
        };
        // Strings and numbers always serialise.
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default());
        let signed = format!("{}.{claims}", self.current.header);
        let signature = self.signing.sign(signed.as_bytes()).to_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Checks a token and gives its claims.
    ///
    /// # Errors
    /// [`AccessTokenError`]; nothing of the token was believed before its signature was checked.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<AccessClaims, AccessTokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(AccessTokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(AccessTokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(AccessTokenError::Malformed)?;
        let verifier = self.verifiers().find(|verifier| header == verifier.header);
        let verifier = verifier.ok_or(AccessTokenError::ForeignHeader)?;
        let signature: [u8; 64] = decode(signature)?.try_into().map_err(|_| AccessTokenError::BadSignature)?;
        verifier
            .key
            .verify_strict(signed.as_bytes(), &Signature::from_bytes(&signature))
            .map_err(|_| AccessTokenError::BadSignature)?;
        let claims: AccessClaims =
            serde_json::from_slice(&decode(claims)?).map_err(|_| AccessTokenError::ForeignClaims)?;
        self.check(&claims, now_s)?;
        Ok(claims)
    }

    /// The public keys as a JWK set, for anyone who wants to check our tokens; the present one first.
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: self.verifiers().map(Verifier::jwk).collect() }
    }

    fn verifiers(&self) -> impl Iterator<Item = &Verifier> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    fn check(&self, claims: &AccessClaims, now_s: u64) -> Result<(), AccessTokenError> {
        let lifetime_s = claims.exp.checked_sub(claims.iat);
        if claims.iss != self.issuer || claims.aud != AUDIENCE || lifetime_s != Some(ACCESS_TOKEN_LIFETIME_S) {
            return Err(AccessTokenError::ForeignClaims);
        }
        if claims.iat > now_s.saturating_add(CLOCK_SKEW_MAX_S) {
            return Err(AccessTokenError::NotYetValid);
        }
        if now_s >= claims.exp {
            return Err(AccessTokenError::Expired);
        }
        Ok(())
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens")
            .field("signing", &"<redacted>")
            .field("kid", &self.current.kid)
            .finish_non_exhaustive()
    }
}

/// A JWK set (RFC 7517 section 5).
#[derive(Debug, Serialize, ToSchema)]
pub struct JwkSet {
    /// The keys: one, or two while the signing key is being replaced.
    pub keys: Vec<Jwk>,
}

/// An Ed25519 public key (RFC 8037 section 2).
#[derive(Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// `OKP`
    pub kty: &'static str,
    /// `Ed25519`
    pub crv: &'static str,
    /// The public key, base64url.
    pub x: String,
    /// Its thumbprint (RFC 7638).
    pub kid: String,
    /// `sig`
    pub r#use: &'static str,
    /// `EdDSA`
    pub alg: &'static str,
}

/// RFC 7638 with the members RFC 8037 section 2 requires.
fn thumbprint(key: &VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

fn decode(part: &str) -> Result<Vec<u8>, AccessTokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AccessTokenError::Malformed)
}

#[cfg(test)]
mod tests;
