//! NIP-19: keys, ids and pointers as bech32 text.
//!
//! Guards that one thing has one text: lowercase, checksum and padding bits right, no field twice. A
//! secret key is never decoded by accident: [`Entity::decode`] refuses `nsec1…` by name, and
//! [`decode_nsec`] gives a secret type.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/19.md>

mod tlv;

use core::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::primitives::iter::{ByteIterExt as _, Fe32IterExt as _};
use bech32::{Bech32, Checksum, Hrp};
use frost_wasm_core::secret::{Secret32, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::keys::{EventId, KeyError, PublicKey, TransportSecret};
use crate::limits::MAX_NIP19_CHARS;
use crate::uri::RelayUrl;

const NPUB: &str = "npub";
const NSEC: &str = "nsec";
const NOTE: &str = "note";
const NPROFILE: &str = "nprofile";
const NEVENT: &str = "nevent";
const NADDR: &str = "naddr";

/// Why a text was not decoded, or a pointer not encoded. The texts are stable and quote no input.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Nip19Error {
    /// Longer than [`MAX_NIP19_CHARS`].
    #[error("identifier is too long")]
    TooLong,
    /// An uppercase letter.
    #[error("identifier is not lowercase")]
    NotLowercase,
    /// Not bech32, or the checksum does not hold.
    #[error("identifier is not bech32, or was mistyped")]
    Bech32,
    /// A prefix that is not known here.
    #[error("unknown kind of identifier")]
    UnknownPrefix,
    /// The text is a secret key, where something public was expected.
    #[error("this is a secret key: do not enter it here")]
    SecretKey,
    /// Another prefix than the one asked for.
    #[error("identifier is no {0}")]
    WrongPrefix(&'static str),
    /// A key or id has not 32 bytes.
    #[error("identifier has a wrong length")]
    Length,
    /// A public key is not on the curve, or a secret key out of range.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A field is cut off.
    #[error("identifier is cut off")]
    Truncated,
    /// A field that is needed is missing.
    #[error("identifier has no {0}")]
    Missing(&'static str),
    /// A field that may come once comes again.
    #[error("identifier repeats {0}")]
    Repeated(&'static str),
    /// A field has the wrong length or form, or does not fit 255 bytes.
    #[error("identifier has an invalid {0}")]
    Invalid(&'static str),
}

/// What a NIP-19 text can name in public.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Entity {
    /// `npub`: a public key, on the curve.
    Npub(PublicKey),
    /// `note`: an event's id.
    Note(EventId),
    /// `nprofile`: a public key and where to look.
    Profile(Profile),
    /// `nevent`: an event's id and where to look.
    Event(EventPointer),
    /// `naddr`: an addressable event.
    Address(Address),
}

/// What `nprofile` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    /// On the curve.
    pub pubkey: PublicKey,
    /// Where the profile may be found.
    pub relays: Vec<RelayUrl>,
}

/// What `nevent` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventPointer {
    /// The event's id.
    pub id: EventId,
    /// Where the event may be found.
    pub relays: Vec<RelayUrl>,
    /// On the curve.
    pub author: Option<PublicKey>,
    /// The event's kind.
    pub kind: Option<u16>,
}

/// What `naddr` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The `d` tag; empty for replaceable events. At most 255 bytes.
    pub identifier: String,
    /// On the curve.
    pub pubkey: PublicKey,
    /// The event's kind.
    pub kind: u16,
    /// Where the event may be found.
    pub relays: Vec<RelayUrl>,
}

impl Entity {
    /// Decodes any of the public forms.
    pub fn decode(text: &str) -> Result<Self, Nip19Error> {
        let (prefix, data) = decode(text)?;
        match prefix.as_str() {
            NPUB => public_key(&data).map(Self::Npub),
            NOTE => fixed(&data).map(EventId::from_bytes).map(Self::Note),
            NPROFILE => tlv::profile(&data).map(Self::Profile),
            NEVENT => tlv::event(&data).map(Self::Event),
            NADDR => tlv::address(&data).map(Self::Address),
            NSEC => Err(Nip19Error::SecretKey),
            _ => Err(Nip19Error::UnknownPrefix),
        }
    }

    /// Encodes. Fails if a field is too long for its one-byte length, or the whole is too long.
    pub fn encode(&self) -> Result<String, Nip19Error> {
        let text = match self {
            Self::Npub(key) => encode(NPUB, key.as_bytes()),
            Self::Note(id) => encode(NOTE, id.as_bytes()),
            Self::Profile(profile) => encode(NPROFILE, &tlv::from_profile(profile)?),
            Self::Event(event) => encode(NEVENT, &tlv::from_event(event)?),
            Self::Address(address) => encode(NADDR, &tlv::from_address(address)?),
        };
        if text.len() > MAX_NIP19_CHARS {
            return Err(Nip19Error::TooLong);
        }
        Ok(text)
    }
}

impl FromStr for Entity {
    type Err = Nip19Error;

    fn from_str(text: &str) -> Result<Self, Nip19Error> {
        Self::decode(text)
    }
}

/// `npub1…` of a public key.
pub fn encode_npub(key: &PublicKey) -> String {
    encode(NPUB, key.as_bytes())
}

/// The public key in `npub1…`, on the curve.
pub fn decode_npub(text: &str) -> Result<PublicKey, Nip19Error> {
    match Entity::decode(text)? {
        Entity::Npub(key) => Ok(key),
        Entity::Note(_) | Entity::Profile(_) | Entity::Event(_) | Entity::Address(_) => {
            Err(Nip19Error::WrongPrefix(NPUB))
        }
    }
}

/// `nsec1…` of a secret key, itself a secret.
///
/// # Security
///
/// Whoever reads it is the user from then on. For a person's own device only.
pub fn encode_nsec(secret: &Secret32) -> SecretString {
    SecretString::from(encode(NSEC, secret.expose_secret()))
}

/// The secret key in `nsec1…`, in range. For a person's own device only: no server takes one.
pub fn decode_nsec(text: &str) -> Result<Secret32, Nip19Error> {
    let (prefix, data) = decode(text)?;
    if prefix != NSEC {
        return Err(Nip19Error::WrongPrefix(NSEC));
    }
    let secret = Secret32::from_slice(&data).ok_or(Nip19Error::Length)?;
    // A transport secret has the range of every secp256k1 secret; this one is dropped at once.
    TransportSecret::from_secret(&secret)?;
    Ok(secret)
}

/// Bech32 with the length that NIP-19 allows.
enum LongBech32 {}

impl Checksum for LongBech32 {
    type MidstateRepr = <Bech32 as Checksum>::MidstateRepr;
    const CODE_LENGTH: usize = MAX_NIP19_CHARS;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32::TARGET_RESIDUE;
}

/// Room for the text of 32 bytes, so that a secret's text is not copied by growing.
const SHORT_CHARS: usize = 64;

pub(crate) fn encode(prefix: &str, data: &[u8]) -> String {
    let prefix = Hrp::parse_unchecked(prefix);
    let mut text = String::with_capacity(SHORT_CHARS);
    text.extend(data.iter().copied().bytes_to_fes().with_checksum::<LongBech32>(&prefix).chars());
    text
}

/// Prefix and bytes. The bytes may be a secret and are wiped on drop.
pub(crate) fn decode(text: &str) -> Result<(String, Zeroizing<Vec<u8>>), Nip19Error> {
    if text.len() > MAX_NIP19_CHARS {
        return Err(Nip19Error::TooLong);
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(Nip19Error::NotLowercase);
    }
    let checked = CheckedHrpstring::new::<LongBech32>(text).map_err(|_| Nip19Error::Bech32)?;
    let prefix = checked.hrp().to_string();
    let bytes = checked.byte_iter();
    let mut data = Zeroizing::new(Vec::with_capacity(bytes.len()));
    data.extend(bytes);
    // Left-over bits that are set, or a whole spare character, would be a second text for the same.
    let again = Zeroizing::new(encode(&prefix, &data));
    if again.as_str() != text {
        return Err(Nip19Error::Bech32);
    }
    Ok((prefix, data))
}

fn fixed(data: &[u8]) -> Result<[u8; 32], Nip19Error> {
    data.try_into().map_err(|_| Nip19Error::Length)
}

fn public_key(data: &[u8]) -> Result<PublicKey, Nip19Error> {
    let key = PublicKey::from_bytes(fixed(data)?);
    key.validate()?;
    Ok(key)
}
