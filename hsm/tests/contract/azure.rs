//! Azure Key Vault and Managed HSM, with our own small servers as their peer, which Microsoft's own clients have proven.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frost_wasm_core::secret::SecretString;
use passport_hsm::{
    HsmError, HttpRequest, Method, Settings,
    azure::{self, Algorithm, KeyId},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    lab::{Forms, Lab, Refusal, State, Subject},
    peer::{Peer, prove},
    wire::{Kind, Wire},
};

/// One kind of store.
pub(crate) struct Fake {
    peer: Peer,
    proofs: usize,
    algorithm: Algorithm,
}

impl Fake {
    /// Not before Microsoft's clients are content with it.
    pub(crate) fn start(algorithm: Algorithm) -> Self {
        let proofs = prove("prove_azure_keys.py");
        Self { peer: Peer::start("azure_keys.py"), proofs, algorithm }
    }

    /// Ends the time of the bunker's key.
    pub(crate) fn expire(&self) {
        self.peer.command(&json!({"key": "bunker", "state": "expired"}));
    }

    /// Deletes the bunker's key, so that it can be recovered.
    pub(crate) fn delete(&self) {
        self.peer.command(&json!({"key": "bunker", "state": "deleted"}));
    }

    fn store(&self) -> &'static str {
        match self.algorithm {
            Algorithm::RsaOaep256 => "vault",
            Algorithm::A256Kw => "hsm",
        }
    }
}

impl Lab for Fake {
    fn title(&self) -> String {
        let store = match self.algorithm {
            Algorithm::RsaOaep256 => "Key Vault, RSA",
            Algorithm::A256Kw => "Managed HSM, AES",
        };
        format!("azure ({store}: our server, after {} proofs by azure-keyvault-keys and azure-identity)", self.proofs)
    }

    fn left_out(&self) -> Vec<(&'static str, &'static str)> {
        const CHECKSUMS: &str = "its answers have no checksums; a MAC binds what comes back";
        let mut left_out = vec![
            (
                "credentials that end are taken",
                "a client secret that has ended is a wrong secret; tokens end, in other cases",
            ),
            ("a wrong clock is named so", "a client secret carries no time"),
            (
                "a KEK that is going to be deleted is named so",
                "of a deleted key the vault says only that it is not there",
            ),
            ("an answer with a wrong checksum is not used", CHECKSUMS),
            ("an answer that does not say that the request arrived whole is not used", CHECKSUMS),
            ("an answer from outside hardware is not used", "the key's kind is told only where the key is told"),
        ];
        if self.algorithm == Algorithm::A256Kw {
            left_out.push(("two wraps of one key differ", "AES key wrap has no randomness"));
        }
        left_out
    }

    fn settings(&self, subject: Subject) -> Settings {
        let (key, application) = match subject {
            Subject::Bunker | Subject::BunkerAsCosigner | Subject::WrongSecret | Subject::Unknown => {
                ("bunker", "bunker")
            }
            Subject::Cosigner => ("cosigner", "cosigner"),
            Subject::Next => ("next", "bunker"),
            Subject::Stranger => ("bunker", "stranger"),
            Subject::Wrapper => ("bunker", "wrapper"),
            Subject::Missing => ("missing", "bunker"),
            Subject::Software => ("software", "bunker"),
            Subject::OtherUse => ("signing", "bunker"),
            Subject::Session => panic!("{subject:?}"),
        };
        let word = |name: &str| self.peer.word(&format!("/applications/{application}/{name}"));
        let (mut id, mut secret) = (word("id"), word("secret"));
        match subject {
            Subject::WrongSecret => secret = self.peer.word("/applications/cosigner/secret"),
            Subject::Unknown => id = "00000000-0000-0000-0000-000000000000".to_owned(),
            _ => {}
        }
        let key = self.peer.word(&format!("/keys/{}/{key}", self.store()));
        Settings::Azure(Arc::new(azure::Settings {
            key: KeyId::parse(&key).expect("a key's id"),
            algorithm: self.algorithm,
            tenant_id: self.peer.word("/tenant"),
            client_id: id,
            client_secret: SecretString::from(secret),
            authority: "https://login.microsoftonline.com".to_owned(),
        }))
    }

    fn wire(&self) -> Wire {
        self.peer.wire(FORMS.kind)
    }

    fn names(&self) -> (&'static str, String) {
        ("azure", self.peer.word(&format!("/keys/{}/bunker", self.store())))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.peer.word("/applications/bunker/secret"), self.peer.word("/applications/cosigner/secret")]
    }

    fn set_state(&self, state: State) {
        let state = match state {
            State::Enabled => "enabled",
            State::Disabled => "disabled",
            State::PendingDeletion => panic!("{state:?}"),
        };
        self.peer.command(&json!({"key": "bunker", "state": state}));
    }

    fn set_ahead_s(&self, seconds: i64) {
        self.peer.command(&json!({"ahead_s": seconds}));
    }

    fn wraps_when_disabled(&self) -> bool {
        true
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refusal =
            |status, code: &str, inner: Option<&str>, error| Refusal { status, body: answer(code, "", inner), error };
        vec![
            refusal(401, "Unauthorized", None, HsmError::CredentialsRefused),
            refusal(403, "Forbidden", Some("AccessDenied"), HsmError::CredentialsRefused),
            refusal(403, "Forbidden", Some("ForbiddenByRbac"), HsmError::CredentialsRefused),
            refusal(403, "Forbidden", Some("ForbiddenByFirewall"), HsmError::CredentialsRefused),
            refusal(403, "Forbidden", None, HsmError::CredentialsRefused),
            refusal(403, "Forbidden", Some("KeyDisabled"), HsmError::KeyDisabled),
            refusal(404, "KeyNotFound", None, HsmError::KeyMissing),
            refusal(409, "Conflict", Some("ObjectIsDeletedButRecoverable"), HsmError::KeyPendingDeletion),
            refusal(409, "Conflict", Some("ObjectIsBeingDeleted"), HsmError::KeyPendingDeletion),
            refusal(400, "BadParameter", None, HsmError::DoesNotOpen),
            refusal(429, "Throttled", None, HsmError::Throttled),
            refusal(500, "InternalServerError", None, HsmError::Unavailable),
            refusal(503, "ServiceUnavailable", None, HsmError::Unavailable),
            refusal(418, "SomethingNew", None, HsmError::BadResponse),
        ]
    }

    fn forms(&self) -> &'static Forms {
        &FORMS
    }
}

fn answer(code: &str, message: &str, inner: Option<&str>) -> Value {
    match inner {
        Some(inner) => json!({"error": {"code": code, "message": message, "innererror": {"code": inner}}}),
        None => json!({"error": {"code": code, "message": message}}),
    }
}

/// Requests and answers.
pub(crate) static FORMS: Forms = Forms {
    kind,
    tamper: (Kind::Wrap, tamper),
    throttled: || {
        (429, answer("Throttled", "Request was not processed because too many requests were received.", None))
    },
    name_other_key,
    replace_opened,
};

fn kind(request: &HttpRequest) -> Kind {
    let path = request.url.split('?').next().expect("a path");
    let has_token = request.headers.iter().any(|(name, _)| *name == "authorization");
    match (request.method, path) {
        (Method::Post, path) if path.starts_with("https://login.microsoftonline.com/") => Kind::Token,
        (Method::Post, path) if path.ends_with("/wrapkey") => Kind::Wrap,
        (Method::Post, path) if path.ends_with("/unwrapkey") => Kind::Unwrap,
        (Method::Get, _) if has_token => Kind::Describe,
        (Method::Get, _) => Kind::Challenge,
        (Method::Post, other) => panic!("{other}"),
    }
}

fn tamper(request: &mut HttpRequest) {
    for (name, value) in &mut request.headers {
        if *name == "authorization" {
            *value = Zeroizing::new(value.replacen("Bearer ", "Bearer x", 1));
        }
    }
}

fn name_other_key(kind: Kind, answer: &mut Value) -> bool {
    let other = "https://passport.vault.azure.net/keys/bunker/0123456789abcdef0123456789abcdef";
    match kind {
        Kind::Describe => answer["key"]["kid"] = other.into(),
        Kind::Wrap | Kind::Unwrap => answer["kid"] = other.into(),
        Kind::Challenge | Kind::Token => return false,
    }
    true
}

fn replace_opened(answer: &mut Value, bytes: &[u8]) {
    answer["value"] = URL_SAFE_NO_PAD.encode(bytes).into()
}
