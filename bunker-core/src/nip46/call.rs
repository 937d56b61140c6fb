//! What a request asks for, with every parameter checked.

use core::fmt;

use zeroize::Zeroizing;

use super::hints::{ClientMetadata, Permission, requested_permissions};
use super::method::Method;
use super::request::{Param, Request, RequestError};
use crate::event::Template;
use crate::keys::PublicKey;
use crate::uri::OfferedSecret;

/// A call that can be decided on.
#[derive(Debug)]
pub enum Call {
    /// Opens a session.
    Connect(Connect),
    /// Signs exactly this template as the user.
    SignEvent(Template),
    /// Asks whether the signer is there.
    Ping,
    /// Asks for the user's public key.
    GetPublicKey,
    /// Encrypts with NIP-04.
    Nip04Encrypt {
        /// Whom for. On the curve.
        peer: PublicKey,
        /// What.
        plaintext: Plaintext,
    },
    /// Decrypts with NIP-04.
    Nip04Decrypt {
        /// Whom from. On the curve.
        peer: PublicKey,
        /// The message, `<base64>?iv=<base64>`, not looked at yet.
        ciphertext: String,
    },
    /// Encrypts with NIP-44.
    Nip44Encrypt {
        /// Whom for. On the curve.
        peer: PublicKey,
        /// What.
        plaintext: Plaintext,
    },
    /// Decrypts with NIP-44.
    Nip44Decrypt {
        /// Whom from. On the curve.
        peer: PublicKey,
        /// The payload in base64, not looked at yet.
        ciphertext: String,
    },
    /// Asks for the relays to be used from now on.
    SwitchRelays,
    /// Ends the session.
    Logout,
}

/// The parameters of `connect`.
#[derive(Debug)]
pub struct Connect {
    /// What the client takes for the remote signer's key. Some clients send an empty string, so it
    /// decides nothing: the event's `p` tag says which connection is meant.
    pub remote: String,
    /// The secret offered, if one was.
    pub secret: Option<OfferedSecret>,
    /// Permissions asked for: a wish to show to a person, never a right.
    pub permissions: Vec<Permission>,
    /// What the client says of itself: to show, never to decide on.
    pub metadata: ClientMetadata,
}

/// A private message on its way to be encrypted. Zeroized on drop, prints as `<redacted>`.
pub struct Plaintext(Zeroizing<String>);

impl Plaintext {
    /// The text.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(<redacted>)")
    }
}

impl Call {
    /// The method that makes this call.
    pub fn method(&self) -> Method {
        match self {
            Self::Connect(_) => Method::Connect,
            Self::SignEvent(_) => Method::SignEvent,
            Self::Ping => Method::Ping,
            Self::GetPublicKey => Method::GetPublicKey,
            Self::Nip04Encrypt { .. } => Method::Nip04Encrypt,
            Self::Nip04Decrypt { .. } => Method::Nip04Decrypt,
            Self::Nip44Encrypt { .. } => Method::Nip44Encrypt,
            Self::Nip44Decrypt { .. } => Method::Nip44Decrypt,
            Self::SwitchRelays => Method::SwitchRelays,
            Self::Logout => Method::Logout,
        }
    }

    pub(super) fn from_request(request: &Request) -> Result<Self, RequestError> {
        match &request.method {
            Method::Connect => connect(request).map(Self::Connect),
            Method::SignEvent => sign_event(request).map(Self::SignEvent),
            Method::Ping => none(request).map(|()| Self::Ping),
            Method::GetPublicKey => none(request).map(|()| Self::GetPublicKey),
            Method::Nip04Encrypt => {
                let (peer, text) = peer_and_text(request)?;
                Ok(Self::Nip04Encrypt { peer, plaintext: plaintext(text) })
            }
            Method::Nip04Decrypt => {
                let (peer, text) = peer_and_text(request)?;
                Ok(Self::Nip04Decrypt { peer, ciphertext: text.to_owned() })
            }
            Method::Nip44Encrypt => {
                let (peer, text) = peer_and_text(request)?;
                Ok(Self::Nip44Encrypt { peer, plaintext: plaintext(text) })
            }
            Method::Nip44Decrypt => {
                let (peer, text) = peer_and_text(request)?;
                Ok(Self::Nip44Decrypt { peer, ciphertext: text.to_owned() })
            }
            Method::SwitchRelays => none(request).map(|()| Self::SwitchRelays),
            Method::Logout => none(request).map(|()| Self::Logout),
            Method::Unknown(name) => Err(RequestError::UnknownMethod(name.clone())),
        }
    }
}

fn plaintext(text: &str) -> Plaintext {
    Plaintext(Zeroizing::new(text.to_owned()))
}

fn count(request: &Request) -> RequestError {
    RequestError::ParamCount { method: request.method.clone(), got: request.params.len() }
}

fn none(request: &Request) -> Result<(), RequestError> {
    match request.params.as_slice() {
        [] => Ok(()),
        _ => Err(count(request)),
    }
}

fn text(n: usize, param: &Param) -> Result<&str, RequestError> {
    match param {
        Param::Text(text) => Ok(text),
        Param::Object(_) | Param::Null => Err(RequestError::ParamType(n)),
    }
}

/// What is left out or empty is absent.
fn optional_text(n: usize, param: Option<&Param>) -> Result<Option<&str>, RequestError> {
    match param {
        None | Some(Param::Null) => Ok(None),
        Some(param) => text(n, param).map(|text| Some(text).filter(|text| !text.is_empty())),
    }
}

fn peer_and_text(request: &Request) -> Result<(PublicKey, &str), RequestError> {
    let [peer, body] = request.params.as_slice() else {
        return Err(count(request));
    };
    let peer: PublicKey = text(0, peer)?.parse().map_err(|_| RequestError::Peer)?;
    peer.validate().map_err(|_| RequestError::Peer)?;
    Ok((peer, text(1, body)?))
}

fn sign_event(request: &Request) -> Result<Template, RequestError> {
    let template = match request.params.as_slice() {
        [Param::Text(json)] => Template::parse(json),
        [Param::Object(object)] => Template::from_object(object.clone()),
        [Param::Null] => return Err(RequestError::ParamType(0)),
        _ => return Err(count(request)),
    };
    template.map_err(RequestError::Template)
}

fn connect(request: &Request) -> Result<Connect, RequestError> {
    let params = request.params.as_slice();
    if params.len() > 4 {
        return Err(count(request));
    }
    let remote = optional_text(0, params.first())?.unwrap_or_default();
    let secret = optional_text(1, params.get(1))?;
    let secret = secret.map(OfferedSecret::new).transpose().map_err(|_| RequestError::SecretLength)?;
    let permissions = optional_text(2, params.get(2))?.unwrap_or_default();
    let metadata = match params.get(3) {
        Some(Param::Text(json)) => ClientMetadata::from_json(json),
        Some(Param::Object(object)) => ClientMetadata::from_object(object),
        Some(Param::Null) | None => ClientMetadata::default(),
    };
    Ok(Connect { remote: remote.to_owned(), secret, permissions: requested_permissions(permissions), metadata })
}
