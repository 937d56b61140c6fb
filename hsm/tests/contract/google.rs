//! Google Cloud KMS, with our own small server as its peer, which Google's own client has proven.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use crc::{CRC_32_ISCSI, Crc};
use passport_hsm::{
    HsmError, HttpRequest, Settings,
    google::{self, CryptoKey, ServiceAccount},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    lab::{Forms, Lab, Refusal, State, Subject},
    peer::{Peer, prove},
    wire::{Kind, Wire},
};

pub(crate) struct Fake {
    peer: Peer,
    proofs: usize,
}

impl Fake {
    /// Not before Google's client is content with it.
    pub(crate) fn start() -> Self {
        let proofs = prove("prove_google_kms.py");
        Self { peer: Peer::start("google_kms.py"), proofs }
    }

    /// The bunker's settings, with endpoints of his own.
    pub(crate) fn elsewhere(&self) -> Settings {
        let Settings::Google(settings) = self.settings(Subject::Bunker) else { panic!("other settings") };
        let mut settings = Arc::into_inner(settings).expect("the only one");
        settings.endpoint = Some("https://kms.passport.test".to_owned());
        settings.token_endpoint = Some("https://tokens.passport.test".to_owned());
        Settings::Google(Arc::new(settings))
    }

    /// Gives the key that is to replace the bunker's a new version.
    pub(crate) fn rotate_next(&self) {
        self.peer.command(&json!({"key": "next", "state": "rotated"}));
    }
}

impl Lab for Fake {
    fn title(&self) -> String {
        format!("google (our server, after {} proofs by google-cloud-kms)", self.proofs)
    }

    fn left_out(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("credentials that end are taken", "the service account's own do not end; its tokens do, in other cases"),
            ("another data key in the answer is noticed", "who alters a plaintext can alter its checksum: TLS has to"),
            ("no token is asked for in a stranger's name", "the token endpoint is configured, no answer names it"),
        ]
    }

    fn settings(&self, subject: Subject) -> Settings {
        let (key, account) = match subject {
            Subject::Bunker | Subject::BunkerAsCosigner => ("bunker", "bunker"),
            Subject::Cosigner => ("cosigner", "cosigner"),
            Subject::Next => ("next", "bunker"),
            Subject::WrongSecret => ("bunker", "wrong"),
            Subject::Unknown => ("bunker", "unknown"),
            Subject::Stranger => ("bunker", "stranger"),
            Subject::Wrapper => ("bunker", "wrapper"),
            Subject::Missing => ("missing", "bunker"),
            Subject::Software => ("software", "bunker"),
            Subject::OtherUse => ("signing", "bunker"),
            Subject::Session => panic!("{subject:?}"),
        };
        let file = self.peer.word(&format!("/accounts/{account}"));
        Settings::Google(Arc::new(google::Settings {
            key: CryptoKey::parse(&format!("{}/{key}", self.peer.word("/ring"))).expect("a key's name"),
            account: ServiceAccount::from_key_file(&file).expect("a key file"),
            endpoint: None,
            token_endpoint: None,
        }))
    }

    fn wire(&self) -> Wire {
        self.peer.wire(FORMS.kind)
    }

    fn names(&self) -> (&'static str, String) {
        ("google", format!("{}/bunker", self.peer.word("/ring")))
    }

    fn secrets(&self) -> Vec<String> {
        let file = self.peer.word("/accounts/bunker");
        let file: Value = serde_json::from_str(&file).expect("JSON");
        let pem = file["private_key"].as_str().expect("a PEM");
        pem.lines().filter(|line| !line.starts_with('-')).map(ToOwned::to_owned).collect()
    }

    fn set_state(&self, state: State) {
        let state = match state {
            State::Enabled => "enabled",
            State::Disabled => "disabled",
            State::PendingDeletion => "pending",
        };
        self.peer.command(&json!({"key": "bunker", "state": state}));
    }

    fn set_ahead_s(&self, seconds: i64) {
        self.peer.command(&json!({"ahead_s": seconds}));
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refusal =
            |status, word: &str, message: &str, error| Refusal { status, body: answer(status, word, message), error };
        let state = |state: &str| format!("projects/p/cryptoKeyVersions/1 is not enabled, current state is: {state}.");
        vec![
            refusal(401, "UNAUTHENTICATED", "invalid authentication credentials", HsmError::CredentialsRefused),
            refusal(403, "PERMISSION_DENIED", "Permission denied on resource", HsmError::CredentialsRefused),
            refusal(404, "NOT_FOUND", "CryptoKey not found", HsmError::KeyMissing),
            refusal(400, "FAILED_PRECONDITION", &state("DISABLED"), HsmError::KeyDisabled),
            refusal(400, "FAILED_PRECONDITION", &state("DESTROYED"), HsmError::KeyMissing),
            refusal(400, "FAILED_PRECONDITION", &state("DESTROY_SCHEDULED"), HsmError::KeyPendingDeletion),
            refusal(400, "FAILED_PRECONDITION", "not enabled for encryption", HsmError::WrongKey),
            refusal(400, "INVALID_ARGUMENT", "Decryption failed: verify that 'name'", HsmError::DoesNotOpen),
            refusal(
                400,
                "INVALID_ARGUMENT",
                "The checksum in field ciphertext_crc32c did not match the data in field ciphertext.",
                HsmError::BadResponse,
            ),
            refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded", HsmError::Throttled),
            refusal(500, "INTERNAL", "", HsmError::Unavailable),
            refusal(503, "UNAVAILABLE", "", HsmError::Unavailable),
            refusal(504, "DEADLINE_EXCEEDED", "", HsmError::TimedOut),
            refusal(400, "SOMETHING_NEW", "", HsmError::BadResponse),
        ]
    }

    fn forms(&self) -> &'static Forms {
        &FORMS
    }
}

fn answer(code: u16, status: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "status": status}})
}

/// Requests and answers.
pub(crate) static FORMS: Forms = Forms {
    kind,
    tamper: (Kind::Token, tamper),
    throttled: || (429, answer(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric")),
    name_other_key,
    replace_opened,
};

fn kind(request: &HttpRequest) -> Kind {
    let url = request.url.as_str();
    if ["https://oauth2.googleapis.com/token", "https://tokens.passport.test/token"].contains(&url) {
        return Kind::Token;
    }
    let is_kms =
        ["https://cloudkms.googleapis.com/", "https://kms.passport.test/"].iter().any(|it| url.starts_with(it));
    assert!(is_kms, "{url}");
    match url.rsplit_once(':') {
        Some((_, "encrypt")) => Kind::Wrap,
        Some((_, "decrypt")) => Kind::Unwrap,
        _ => Kind::Describe,
    }
}

fn tamper(request: &mut HttpRequest) {
    // One letter of the signed word, in what it claims.
    let mut text = String::from_utf8(request.body.to_vec()).expect("a form");
    let at = text.find('.').expect("a signed word") + 20;
    let letter = if &text[at..=at] == "A" { "B" } else { "A" };
    text.replace_range(at..=at, letter);
    request.body = Zeroizing::new(text.into_bytes());
}

fn name_other_key(kind: Kind, answer: &mut Value) -> bool {
    let other = "projects/passport-test/locations/europe-west3/keyRings/passport/cryptoKeys/bunker2";
    match kind {
        Kind::Describe => answer["name"] = other.into(),
        Kind::Wrap => answer["name"] = format!("{other}/cryptoKeyVersions/1").into(),
        // What decrypts has no name.
        Kind::Unwrap | Kind::Challenge | Kind::Token => return false,
    }
    true
}

fn replace_opened(answer: &mut Value, bytes: &[u8]) {
    answer["plaintext"] = STANDARD.encode(bytes).into();
    answer["plaintextCrc32c"] = Crc::<u32>::new(&CRC_32_ISCSI).checksum(bytes).to_string().into();
}
