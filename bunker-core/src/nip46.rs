//! NIP-46 messages: what an app may ask a remote signer, and what it is answered.
//!
//! Guards that a request is one of the known calls with exactly its parameters before anything decides
//! on it, that a bad request still tells which id to answer, and that replies have the one form that
//! all clients understand. Out of scope: whether a call is allowed.
//!
//! Spec: <https://github.com/nostr-protocol/nips/blob/master/46.md>

mod call;
mod hints;
mod method;
mod request;
mod response;

use rand_core::{CryptoRng, RngCore};
use thiserror::Error;

pub use call::{Call, Connect, Plaintext};
pub use hints::{ClientMetadata, Permission, PermissionError, requested_permissions};
pub use method::Method;
pub use request::{BadRequest, Param, Request, RequestError};
pub use response::{AuthUrl, AuthUrlError, Response, ResponseParseError};

use crate::event::{Event, Template, VerifiedEvent};
use crate::keys::{KeyError, PublicKey, TransportSecret};
use crate::nip44::{self, ConversationKey, Nip44Error};

/// The kind of request and response events. Ephemeral: never stored, never replayed.
pub const KIND: u16 = 24_133;

/// Why a request event could not be opened.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum OpenError {
    /// The event is not of kind [`KIND`].
    #[error("event is not of kind 24133")]
    WrongKind,
    /// The content does not decrypt under this key.
    #[error(transparent)]
    Decrypt(#[from] Nip44Error),
    /// It decrypts, but holds no usable request.
    #[error(transparent)]
    Request(#[from] BadRequest),
}

/// Why a reply could not be sealed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SealError {
    /// The reply is too long.
    #[error(transparent)]
    Encrypt(#[from] Nip44Error),
    /// The transport key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Decrypts and parses the request in an event of kind [`KIND`].
///
/// A wrong key fails the payload's MAC, which the client's signature covers: whoever opens a
/// [`VerifiedEvent`] has what the client asked for.
pub fn open_request(event: &VerifiedEvent, key: &ConversationKey) -> Result<Request, OpenError> {
    if event.kind != KIND {
        return Err(OpenError::WrongKind);
    }
    let json = zeroize::Zeroizing::new(nip44::decrypt(key, &event.content)?);
    Ok(Request::parse(&json)?)
}

/// Encrypts a reply to `client` and signs it with the connection's transport key. `created_at_s`:
/// seconds since 1970.
pub fn seal_response<R: RngCore + CryptoRng>(
    response: &Response,
    transport: &TransportSecret,
    key: &ConversationKey,
    client: PublicKey,
    created_at_s: u64,
    rng: &mut R,
) -> Result<Event, SealError> {
    let json = zeroize::Zeroizing::new(response.to_json());
    let template = Template {
        created_at: created_at_s,
        kind: KIND,
        tags: vec![vec!["p".to_owned(), client.to_hex()]],
        content: nip44::encrypt_random(key, &json, rng)?,
    };
    Ok(template.sign_with(transport, rng)?)
}
