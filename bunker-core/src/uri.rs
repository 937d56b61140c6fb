//! The two URIs that start a session: `bunker://` made by us, `nostrconnect://` made by a client.
//!
//! Guards that what a person pastes names one key, usable relays and one secret, with no second
//! reading: a parameter that may come once and comes twice is refused. A `bunker://` URI is a
//! credential for as long as its secret is unspent, so only [`BunkerUri::expose_with_secret`] prints
//! the secret.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/46.md#initiating-a-connection>

mod query;
mod secret;

use core::fmt;
use core::str::FromStr;

use frost_wasm_core::secret::SecretString;
use thiserror::Error;

use crate::keys::{KeyError, PublicKey};
use crate::limits::{MAX_RELAY_URL_BYTES, MAX_URI_BYTES, MAX_URI_RELAYS};
use crate::nip46::{ClientMetadata, Permission, requested_permissions};
use query::Query;
pub use secret::{ConnectionSecret, OfferedSecret, SecretFormError};

const BUNKER: &str = "bunker://";
const NOSTR_CONNECT: &str = "nostrconnect://";

/// Why a URI was refused. The texts are stable and quote no input.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum UriError {
    /// Longer than [`MAX_URI_BYTES`].
    #[error("uri is too long")]
    TooLong,
    /// Another scheme.
    #[error("uri does not begin with {0}")]
    Scheme(&'static str),
    /// The part before `?` is no public key.
    #[error("uri names no public key: {0}")]
    Key(KeyError),
    /// A broken percent escape, or bytes that are not UTF-8.
    #[error("uri is badly encoded")]
    Encoding,
    /// A relay is no `ws://` or `wss://` address.
    #[error("uri has an invalid relay")]
    Relay,
    /// No relay where one is needed.
    #[error("uri has no relay")]
    NoRelay,
    /// More than [`MAX_URI_RELAYS`].
    #[error("uri has too many relays")]
    TooManyRelays,
    /// No secret where one is needed.
    #[error("uri has no secret")]
    NoSecret,
    /// The secret has the wrong length or alphabet.
    #[error("uri has an invalid secret")]
    Secret,
    /// A parameter that may come once comes again.
    #[error("uri repeats {0}")]
    Repeated(&'static str),
}

/// The address of a relay: `wss://`, or `ws://` for one's own machine and tests. Kept as written.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RelayUrl(String);

impl RelayUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RelayUrl {
    type Err = UriError;

    fn from_str(url: &str) -> Result<Self, UriError> {
        let rest = url.strip_prefix("wss://").or_else(|| url.strip_prefix("ws://")).ok_or(UriError::Relay)?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let plain = url.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>\\`#".contains(&b));
        let named = !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@');
        if plain && named && url.len() <= MAX_RELAY_URL_BYTES { Ok(Self(url.to_owned())) } else { Err(UriError::Relay) }
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `bunker://<remote-signer key>?relay=…&secret=…`. `Display` leaves the secret out.
#[derive(Debug)]
pub struct BunkerUri {
    /// The connection's transport key.
    pub remote_signer: PublicKey,
    /// Where the signer listens, 1 to [`MAX_URI_RELAYS`].
    pub relays: Vec<RelayUrl>,
    /// What the client has to offer in `connect`.
    pub secret: Option<ConnectionSecret>,
}

impl BunkerUri {
    /// The whole URI.
    ///
    /// # Security
    ///
    /// Whoever has it first can open the session.
    pub fn expose_with_secret(&self) -> SecretString {
        let mut uri = self.to_string();
        if let Some(secret) = &self.secret {
            // Exact room, so that growing leaves no copy behind.
            let parameter = "&secret=";
            uri.reserve_exact(parameter.len() + secret.expose_secret().len());
            uri.push_str(parameter);
            uri.push_str(secret.expose_secret());
        }
        SecretString::from(uri)
    }
}

impl FromStr for BunkerUri {
    type Err = UriError;

    fn from_str(uri: &str) -> Result<Self, UriError> {
        let (remote_signer, query) = split(uri, BUNKER)?;
        let secret = match query.once("secret")?.filter(|secret| !secret.is_empty()) {
            Some(secret) => Some(secret.parse().map_err(|_| UriError::Secret)?),
            None => None,
        };
        Ok(Self { remote_signer, relays: relays(&query)?, secret })
    }
}

impl fmt::Display for BunkerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{BUNKER}{}", self.remote_signer)?;
        write_relays(f, &self.relays)
    }
}

/// `nostrconnect://<client key>?relay=…&secret=…&perms=…&name=…&url=…&image=…`. `Display` leaves the
/// secret out.
#[derive(Debug)]
pub struct NostrConnectUri {
    /// The client's key.
    pub client: PublicKey,
    /// Where the client listens, 1 to [`MAX_URI_RELAYS`].
    pub relays: Vec<RelayUrl>,
    /// What the signer has to answer, so that the client knows it is the one meant.
    pub secret: OfferedSecret,
    /// Permissions asked for: a wish to show to a person, never a right.
    pub permissions: Vec<Permission>,
    /// What the client says of itself: to show, never to decide on.
    pub metadata: ClientMetadata,
}

impl FromStr for NostrConnectUri {
    type Err = UriError;

    fn from_str(uri: &str) -> Result<Self, UriError> {
        let (client, query) = split(uri, NOSTR_CONNECT)?;
        let secret = query.once("secret")?.unwrap_or_default();
        if secret.is_empty() {
            return Err(UriError::NoSecret);
        }
        let secret = OfferedSecret::new(secret).map_err(|_| UriError::Secret)?;
        Ok(Self {
            client,
            relays: relays(&query)?,
            secret,
            permissions: requested_permissions(query.once("perms")?.unwrap_or_default()),
            metadata: metadata(&query)?,
        })
    }
}

impl fmt::Display for NostrConnectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NOSTR_CONNECT}{}", self.client)?;
        write_relays(f, &self.relays)
    }
}

fn split<'a>(uri: &'a str, scheme: &'static str) -> Result<(PublicKey, Query), UriError> {
    if uri.len() > MAX_URI_BYTES {
        return Err(UriError::TooLong);
    }
    let rest: &'a str = uri.trim().strip_prefix(scheme).ok_or(UriError::Scheme(scheme))?;
    let (key, query) = rest.split_once('?').unwrap_or((rest, ""));
    // Some URL libraries put a slash after the host.
    let key: PublicKey = key.strip_suffix('/').unwrap_or(key).parse().map_err(UriError::Key)?;
    key.validate().map_err(UriError::Key)?;
    Ok((key, Query::parse(query)?))
}

/// Clients of an older text send one stringified object instead of three parameters.
fn metadata(query: &Query) -> Result<ClientMetadata, UriError> {
    let fields = ["name", "url", "image"].map(|name| query.once(name));
    match (fields, query.once("metadata")?) {
        ([Ok(None), Ok(None), Ok(None)], Some(json)) => Ok(ClientMetadata::from_json(json)),
        ([name, url, image], _) => Ok(ClientMetadata::from_hints(name?, url?, image?)),
    }
}

fn relays(query: &Query) -> Result<Vec<RelayUrl>, UriError> {
    let relays = query.all("relay").map(str::parse).collect::<Result<Vec<_>, _>>()?;
    match relays.len() {
        0 => Err(UriError::NoRelay),
        n if n > MAX_URI_RELAYS => Err(UriError::TooManyRelays),
        _ => Ok(relays),
    }
}

fn write_relays(f: &mut fmt::Formatter<'_>, relays: &[RelayUrl]) -> fmt::Result {
    for (n, relay) in relays.iter().enumerate() {
        f.write_str(if n == 0 { "?relay=" } else { "&relay=" })?;
        f.write_str(&query::escape(relay.as_str()))?;
    }
    Ok(())
}
