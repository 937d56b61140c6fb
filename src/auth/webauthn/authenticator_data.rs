//! Authenticator data: what the authenticator itself says and signs.
//!
//! Every byte is accounted for: what is cut off, what has something behind it, and flags that contradict the rest are
//! refused.
//!
//! <https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data>

use ciborium::Value;
use ciborium::de::from_reader_with_recursion_limit;

use super::WebauthnError;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

/// Longest credential id, in bytes (section 4).
const CREDENTIAL_ID_MAX_BYTES: usize = 1023;
/// Deepest nesting of CBOR that is read: extensions nest a map or two.
const CBOR_DEPTH_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct AuthenticatorData<'a> {
    pub(super) rp_id_hash: &'a [u8],
    pub(super) user_present: bool,
    pub(super) user_verified: bool,
    pub(super) sign_count: u32,
    pub(super) credential: Option<Credential<'a>>,
}

#[derive(Debug)]
pub(super) struct Credential<'a> {
    pub(super) id: &'a [u8],
    /// A COSE key, not yet looked into.
    pub(super) public_key: Value,
}

impl<'a> AuthenticatorData<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, WebauthnError> {
        let rest = &mut { bytes };
        let rp_id_hash = take(rest, 32)?;
        let flags = take(rest, 1)?.first().copied().unwrap_or_default();
        let has = |flag: u8| flags & flag != 0;
        if has(BACKED_UP) && !has(BACKUP_ELIGIBLE) {
            return Err(WebauthnError::AuthenticatorData);
        }
        let sign_count = u32::from_be_bytes(array(take(rest, 4)?)?);
        let credential = if has(HAS_CREDENTIAL) { Some(credential(rest)?) } else { None };
        if has(HAS_EXTENSIONS) && !cbor(rest)?.is_map() {
            return Err(WebauthnError::AuthenticatorData);
        }
        if !rest.is_empty() {
            return Err(WebauthnError::AuthenticatorData);
        }
        let (user_present, user_verified) = (has(USER_PRESENT), has(USER_VERIFIED));
        Ok(Self { rp_id_hash, user_present, user_verified, sign_count, credential })
    }
}

/// The authenticator data inside an attestation object. Its statement is not read.
pub(super) fn of_attestation_object(bytes: &[u8]) -> Result<Vec<u8>, WebauthnError> {
    let rest = &mut { bytes };
    let Value::Map(entries) = cbor(rest)? else {
        return Err(WebauthnError::AuthenticatorData);
    };
    let mut found = entries.into_iter().filter(|(name, _)| name.as_text() == Some("authData"));
    match (found.next(), found.next(), rest.is_empty()) {
        (Some((_, Value::Bytes(data))), None, true) => Ok(data),
        _ => Err(WebauthnError::AuthenticatorData),
    }
}

fn credential<'a>(rest: &mut &'a [u8]) -> Result<Credential<'a>, WebauthnError> {
    let _aaguid = take(rest, 16)?;
    let length = usize::from(u16::from_be_bytes(array(take(rest, 2)?)?));
    if !(1..=CREDENTIAL_ID_MAX_BYTES).contains(&length) {
        return Err(WebauthnError::AuthenticatorData);
    }
    Ok(Credential { id: take(rest, length)?, public_key: cbor(rest)? })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], WebauthnError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(WebauthnError::AuthenticatorData)?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], WebauthnError> {
    bytes.try_into().map_err(|_| WebauthnError::AuthenticatorData)
}

/// Reads one item and leaves what is behind it.
fn cbor(rest: &mut &[u8]) -> Result<Value, WebauthnError> {
    from_reader_with_recursion_limit(rest, CBOR_DEPTH_MAX).map_err(|_| WebauthnError::AuthenticatorData)
}
