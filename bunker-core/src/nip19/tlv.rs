//! The fields inside `nprofile`, `nevent` and `naddr`: type, length and value, one byte each for the
//! first two. Types that are not known are skipped, as NIP-19 asks.

use super::{Address, EventPointer, Nip19Error, Profile, fixed, public_key};
use crate::keys::{EventId, PublicKey};
use crate::limits::MAX_NIP19_RELAYS;
use crate::uri::RelayUrl;

const SPECIAL: u8 = 0;
const RELAY: u8 = 1;
const AUTHOR: u8 = 2;
const KIND: u8 = 3;

/// The known fields as they stand.
#[derive(Default)]
struct Fields<'a> {
    special: Option<&'a [u8]>,
    relays: Vec<RelayUrl>,
    author: Option<PublicKey>,
    kind: Option<u16>,
}

pub(super) fn profile(data: &[u8]) -> Result<Profile, Nip19Error> {
    let fields = Fields::parse(data)?;
    let pubkey = public_key(fields.special.ok_or(Nip19Error::Missing("public key"))?)?;
    Ok(Profile { pubkey, relays: fields.relays })
}

pub(super) fn event(data: &[u8]) -> Result<EventPointer, Nip19Error> {
    let Fields { special, relays, author, kind } = Fields::parse(data)?;
    let id = fixed(special.ok_or(Nip19Error::Missing("event id"))?).map(EventId::from_bytes)?;
    Ok(EventPointer { id, relays, author, kind })
}

pub(super) fn address(data: &[u8]) -> Result<Address, Nip19Error> {
    let Fields { special, relays, author, kind } = Fields::parse(data)?;
    let identifier = special.ok_or(Nip19Error::Missing("identifier"))?;
    let identifier = core::str::from_utf8(identifier).map_err(|_| Nip19Error::Invalid("identifier"))?.to_owned();
    let pubkey = author.ok_or(Nip19Error::Missing("author"))?;
    let kind = kind.ok_or(Nip19Error::Missing("kind"))?;
    Ok(Address { identifier, pubkey, kind, relays })
}

pub(super) fn from_profile(profile: &Profile) -> Result<Vec<u8>, Nip19Error> {
    let mut data = Vec::new();
    push(&mut data, SPECIAL, profile.pubkey.as_bytes(), "public key")?;
    push_relays(&mut data, &profile.relays)?;
    Ok(data)
}

pub(super) fn from_event(event: &EventPointer) -> Result<Vec<u8>, Nip19Error> {
    let mut data = Vec::new();
    push(&mut data, SPECIAL, event.id.as_bytes(), "event id")?;
    push_relays(&mut data, &event.relays)?;
    if let Some(author) = &event.author {
        push(&mut data, AUTHOR, author.as_bytes(), "author")?;
    }
    if let Some(kind) = event.kind {
        push(&mut data, KIND, &u32::from(kind).to_be_bytes(), "kind")?;
    }
    Ok(data)
}

pub(super) fn from_address(address: &Address) -> Result<Vec<u8>, Nip19Error> {
    let mut data = Vec::new();
    push(&mut data, SPECIAL, address.identifier.as_bytes(), "identifier")?;
    push_relays(&mut data, &address.relays)?;
    push(&mut data, AUTHOR, address.pubkey.as_bytes(), "author")?;
    push(&mut data, KIND, &u32::from(address.kind).to_be_bytes(), "kind")?;
    Ok(data)
}

impl<'a> Fields<'a> {
    fn parse(mut data: &'a [u8]) -> Result<Self, Nip19Error> {
        let mut fields = Self::default();
        while let Some((kind, rest)) = data.split_first() {
            let (length, rest) = rest.split_first().ok_or(Nip19Error::Truncated)?;
            let (value, rest) = rest.split_at_checked(usize::from(*length)).ok_or(Nip19Error::Truncated)?;
            fields.take(*kind, value)?;
            data = rest;
        }
        Ok(fields)
    }

    fn take(&mut self, kind: u8, value: &'a [u8]) -> Result<(), Nip19Error> {
        match kind {
            SPECIAL => once(&mut self.special, value, "its subject"),
            RELAY if self.relays.len() >= MAX_NIP19_RELAYS => Err(Nip19Error::Invalid("relay list")),
            RELAY => {
                self.relays.push(relay(value)?);
                Ok(())
            }
            AUTHOR => once(&mut self.author, public_key(value)?, "its author"),
            KIND => once(&mut self.kind, event_kind(value)?, "its kind"),
            _ => Ok(()),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Result<(), Nip19Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Nip19Error::Repeated(name)),
    }
}

fn relay(value: &[u8]) -> Result<RelayUrl, Nip19Error> {
    core::str::from_utf8(value).ok().and_then(|url| url.parse().ok()).ok_or(Nip19Error::Invalid("relay"))
}

fn event_kind(value: &[u8]) -> Result<u16, Nip19Error> {
    <[u8; 4]>::try_from(value)
        .ok()
        .and_then(|bytes| u16::try_from(u32::from_be_bytes(bytes)).ok())
        .ok_or(Nip19Error::Invalid("kind"))
}

fn push(data: &mut Vec<u8>, kind: u8, value: &[u8], name: &'static str) -> Result<(), Nip19Error> {
    let length = u8::try_from(value.len()).map_err(|_| Nip19Error::Invalid(name))?;
    data.extend_from_slice(&[kind, length]);
    data.extend_from_slice(value);
    Ok(())
}

fn push_relays(data: &mut Vec<u8>, relays: &[RelayUrl]) -> Result<(), Nip19Error> {
    if relays.len() > MAX_NIP19_RELAYS {
        return Err(Nip19Error::Invalid("relay list"));
    }
    relays.iter().try_for_each(|relay| push(data, RELAY, relay.as_str().as_bytes(), "relay"))
}
