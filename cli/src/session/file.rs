//! The file in which a sign-in is kept, `session.json`, version 1.

use std::borrow::Cow;

use bunker_core::audit::AuditHead;
use frost_wasm_core::{group::GroupId, secret::SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{failure::Failure, home::Home, owner::SealedOwner, server::Address};

const NAME: &str = "session.json";
const VERSION: u32 = 1;

/// A sign-in.
pub(crate) struct SignIn {
    /// Where.
    pub(crate) server: Address,
    /// Whose.
    pub(crate) username: String,
    /// The owner key; without its sealed secret after signing out.
    pub(crate) owner: Option<SealedOwner>,
    /// Tells the server that this device was signed in to the account before. Opens nothing.
    pub(crate) device_token: Option<SecretString>,
    /// None after signing out.
    pub(crate) tokens: Option<Tokens>,
    /// The keys this device has seen.
    pub(crate) keys: Vec<KnownKey>,
}

/// What proves the sign-in to the server.
pub(crate) struct Tokens {
    /// For requests.
    pub(crate) access_token: SecretString,
    /// Unix seconds by this device's clock.
    pub(crate) access_expires_at_s: u64,
    /// For the next tokens, once.
    pub(crate) refresh_token: SecretString,
}

/// A key this device has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownKey {
    /// Its group.
    pub(crate) group: GroupId,
    /// Its identity, which never changes.
    pub(crate) npub: String,
    /// How far its activity was seen: a history that was changed since does not lead here.
    #[serde(default)]
    pub(crate) activity_seen: Option<AuditHead>,
}

#[derive(Deserialize)]
struct Header {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: u32,
    server: String,
    username: String,
    owner: Option<SealedOwner>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_token: Option<Cow<'a, str>>,
    tokens: Option<StoredTokens<'a>>,
    keys: Vec<KnownKey>,
}

#[derive(Serialize, Deserialize)]
struct StoredTokens<'a> {
    access_token: Cow<'a, str>,
    access_expires_at: u64,
    refresh_token: Cow<'a, str>,
}

/// Reads it; `None` if this device has none.
pub(super) fn read(home: &Home) -> Result<Option<SignIn>, Failure> {
    let Some(bytes) = home.read(NAME)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let damaged = || {
        Failure::stopped(
            "session_damaged",
            format!("{} is not what this client wrote. Move it away and sign in again.", home.path(NAME).display()),
        )
    };
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    if header.v != VERSION {
        return Err(Failure::stopped(
            "session_version_unknown",
            format!(
                "{} has version {}, and this client knows {VERSION}. Use the client that wrote it.",
                home.path(NAME).display(),
                header.v
            ),
        ));
    }
    let stored: Stored<'_> = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
    let secret = |text: Cow<'_, str>| SecretString::from(text.into_owned());
    Ok(Some(SignIn {
        server: stored.server.parse().map_err(|_| damaged())?,
        username: stored.username,
        owner: stored.owner,
        device_token: stored.device_token.map(secret),
        tokens: stored.tokens.map(|tokens| Tokens {
            access_token: secret(tokens.access_token),
            access_expires_at_s: tokens.access_expires_at,
            refresh_token: secret(tokens.refresh_token),
        }),
        keys: stored.keys,
    }))
}

/// Replaces it.
pub(super) fn write(home: &Home, sign_in: &SignIn) -> Result<(), Failure> {
    let stored = Stored {
        v: VERSION,
        server: sign_in.server.to_string(),
        username: sign_in.username.clone(),
        owner: sign_in.owner.clone(),
        device_token: sign_in.device_token.as_ref().map(|token| token.expose_secret().into()),
        tokens: sign_in.tokens.as_ref().map(|tokens| StoredTokens {
            access_token: tokens.access_token.expose_secret().into(),
            access_expires_at: tokens.access_expires_at_s,
            refresh_token: tokens.refresh_token.expose_secret().into(),
        }),
        keys: sign_in.keys.clone(),
    };
    let bytes = serde_json::to_vec_pretty(&stored)
        .map(Zeroizing::new)
        .map_err(|_| Failure::stopped("internal", "The sign-in could not be written."))?;
    home.replace(NAME, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_in() -> SignIn {
        SignIn {
            server: "https://passport.example".parse().unwrap(),
            username: "alice".into(),
            owner: None,
            device_token: Some(SecretString::from("device".to_owned())),
            tokens: Some(Tokens {
                access_token: SecretString::from("access".to_owned()),
                access_expires_at_s: 7,
                refresh_token: SecretString::from("refresh".to_owned()),
            }),
            keys: vec![KnownKey {
                group: GroupId::from_bytes([1; 16]),
                npub: "npub1x".into(),
                activity_seen: Some(AuditHead::default()),
            }],
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert!(read(&home).unwrap().is_none());
        write(&home, &sign_in()).unwrap();
        let read = read(&home).unwrap().unwrap();
        assert_eq!(read.username, "alice");
        assert_eq!(read.device_token.unwrap().expose_secret(), "device");
        assert_eq!(read.keys, sign_in().keys);
        let tokens = read.tokens.unwrap();
        assert_eq!(tokens.refresh_token.expose_secret(), "refresh");
        assert_eq!(tokens.access_expires_at_s, 7);
    }

    #[test]
    fn a_file_without_a_device_token_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let text =
            br#"{"v":1,"server":"https://passport.example","username":"alice","owner":null,"tokens":null,"keys":[]}"#;
        home.replace(NAME, text).unwrap();
        assert!(read(&home).unwrap().unwrap().device_token.is_none());
    }

    #[test]
    fn a_file_from_the_future_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.replace(NAME, br#"{"v":2,"everything":"else"}"#).unwrap();
        let failure = read(&home).err().unwrap();
        assert_eq!(failure.code(), "session_version_unknown");
        home.replace(NAME, b"{").unwrap();
        assert_eq!(read(&home).err().unwrap().code(), "session_damaged");
    }
}
