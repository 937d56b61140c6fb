//! The relying party's half of WebAuthn Level 3: what is checked of a new passkey and of its use.
//!
//! Pure: bytes in, verdict out. Discoverable credentials with user verification, ES256 and EdDSA, no attestation: the
//! make of an authenticator is not our business, so its statement is not read. The published verifiers read the
//! system's clock inside, which does not exist on this platform, and bring RSA and two more curves along; the steps
//! that apply here are few, and are named below by their numbers in the specification.
//!
//! <https://www.w3.org/TR/webauthn-3/#sctn-rp-operations>

mod authenticator_data;
mod client_data;
mod public_key;

use sha2::{Digest, Sha256};
use thiserror::Error;

pub use public_key::{ALGORITHMS, PasskeyPublicKey};

use authenticator_data::AuthenticatorData;
use client_data::Ceremony;

/// What the deployment expects of either ceremony.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Host of the deployment.
    pub rp_id: &'a str,
    /// Origin of its pages.
    pub origin: &'a str,
    /// The challenge that was given out, base64url.
    pub challenge: &'a str,
}

/// A passkey that was just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// The authenticator's id of it.
    pub credential_id: Vec<u8>,
    /// Checks its signatures.
    pub public_key: PasskeyPublicKey,
    /// Where its counter begins; 0 for those that don't count.
    pub sign_count: u32,
}

/// Use of a passkey.
#[derive(Debug, Clone, Copy)]
pub struct Assertion<'a> {
    /// `clientDataJSON`
    pub client_data: &'a [u8],
    /// `authenticatorData`
    pub authenticator_data: &'a [u8],
    /// `signature`
    pub signature: &'a [u8],
}

/// Why an answer of an authenticator is not taken. Callers hear one answer for all of them; the log hears which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebauthnError {
    /// The client data is not what a browser writes.
    #[error("client data is malformed")]
    ClientData,
    /// A registration where a use is asked for, or the other way round.
    #[error("client data is of the other ceremony")]
    OtherCeremony,
    /// Another challenge.
    #[error("client data has another challenge")]
    OtherChallenge,
    /// Another origin, or a page inside another.
    #[error("client data is of another origin")]
    OtherOrigin,
    /// The attestation object or the authenticator data is cut off, has something behind it or contradicts itself.
    #[error("authenticator data is malformed")]
    AuthenticatorData,
    /// Scoped to another host.
    #[error("authenticator data is for another RP ID")]
    OtherRpId,
    /// Nobody touched the authenticator.
    #[error("the user was not present")]
    NotPresent,
    /// The authenticator did not check who touched it.
    #[error("the user was not verified")]
    NotVerified,
    /// Another algorithm, or no point of its curve.
    #[error("the public key can't be used")]
    PublicKey,
    /// The signature does not hold.
    #[error("the signature is wrong")]
    Signature,
    /// The counter did not rise: there is a copy of the passkey.
    #[error("the signature counter went back")]
    CounterWentBack,
}

/// Checks a new passkey (section 7.1).
///
/// # Errors
/// What is wrong with it.
pub fn register(
    expected: &Expected<'_>,
    client_data: &[u8],
    attestation_object: &[u8],
) -> Result<NewPasskey, WebauthnError> {
    // Steps 5 to 11.
    client_data::check(client_data, Ceremony::Create, expected)?;
    // Step 13. Steps 21 to 24, the attestation statement, are left out: none was asked for.
    let bytes = authenticator_data::of_attestation_object(attestation_object)?;
    // Steps 14 to 19.
    let data = checked(&bytes, expected)?;
    // Steps 20 and 25; 26, that nobody has the credential yet, is the store's.
    let credential = data.credential.ok_or(WebauthnError::AuthenticatorData)?;
    Ok(NewPasskey {
        credential_id: credential.id.to_vec(),
        public_key: PasskeyPublicKey::from_cose(&credential.public_key)?,
        sign_count: data.sign_count,
    })
}

/// Checks a use of a passkey and gives the new counter (section 7.2). That the passkey is the one that was named, and
/// of the account that its user handle names, is the caller's to check (steps 5 and 6).
///
/// # Errors
/// What is wrong with it.
pub fn verify(
    expected: &Expected<'_>,
    public_key: &PasskeyPublicKey,
    sign_count: u32,
    assertion: &Assertion<'_>,
) -> Result<u32, WebauthnError> {
    // Steps 8 to 14.
    client_data::check(assertion.client_data, Ceremony::Get, expected)?;
    // Steps 15 to 19.
    let data = checked(assertion.authenticator_data, expected)?;
    // Steps 20 and 21.
    let signed = [assertion.authenticator_data, &Sha256::digest(assertion.client_data)].concat();
    public_key.verify(&signed, assertion.signature)?;
    // Step 22. An authenticator that does not count says 0 every time.
    let counts = sign_count != 0 || data.sign_count != 0;
    if counts && data.sign_count <= sign_count {
        return Err(WebauthnError::CounterWentBack);
    }
    Ok(data.sign_count)
}

fn checked<'a>(bytes: &'a [u8], expected: &Expected<'_>) -> Result<AuthenticatorData<'a>, WebauthnError> {
    let data = AuthenticatorData::parse(bytes)?;
    if data.rp_id_hash != Sha256::digest(expected.rp_id).as_slice() {
        return Err(WebauthnError::OtherRpId);
    }
    if !data.user_present {
        return Err(WebauthnError::NotPresent);
    }
    if !data.user_verified {
        return Err(WebauthnError::NotVerified);
    }
    Ok(data)
}

#[cfg(test)]
pub(crate) mod tests;
