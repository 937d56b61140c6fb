//! AWS KMS, with moto as its peer.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use frost_wasm_core::{group::HolderRole, secret::SecretString};
use passport_hsm::{
    HolderHsm, HsmError, HttpRequest, Settings,
    aws::{self, KeyArn, KeyStore},
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    lab::{Forms, Lab, Refusal, State, Subject, forged, wrap},
    peer::Peer,
    wire::{Kind, Wire},
};

pub(crate) struct Moto(Peer);

impl Moto {
    pub(crate) fn start() -> Self {
        Self(Peer::start("moto_kms.py"))
    }

    /// The bunker's settings, with an endpoint of his own.
    pub(crate) fn elsewhere(&self) -> Settings {
        self.changed(|settings| settings.endpoint = Some("https://kms.passport.test".to_owned()))
    }

    /// The bunker with a key that is kept in one place, and a configuration that demands one.
    pub(crate) fn kept(&self, key: &str, demanded: KeyStore) -> Settings {
        self.changed(|settings| {
            settings.key = KeyArn::parse(&self.0.word(&format!("/keys/{key}"))).expect("an ARN");
            settings.key_store = demanded;
        })
    }

    fn changed(&self, change: impl FnOnce(&mut aws::Settings)) -> Settings {
        let Settings::Aws(settings) = self.settings(Subject::Bunker) else { panic!("other settings") };
        let mut settings = Arc::into_inner(settings).expect("the only one");
        change(&mut settings);
        Settings::Aws(Arc::new(settings))
    }
}

impl Lab for Moto {
    fn title(&self) -> String {
        format!("aws (moto {})", self.0.word("/version"))
    }

    fn left_out(&self) -> Vec<(&'static str, &'static str)> {
        const TOKENS: &str = "requests are signed, there are no tokens";
        const CHECKSUMS: &str = "its answers have no checksums; the ciphertext itself is authenticated";
        vec![
            ("a token is used again until its last minute", TOKENS),
            ("a refused token is forgotten", TOKENS),
            ("a failing token endpoint is asked again", TOKENS),
            ("no token is asked for in a stranger's name", TOKENS),
            ("an answer with a wrong checksum is not used", CHECKSUMS),
            ("an answer that does not say that the request arrived whole is not used", CHECKSUMS),
            ("an answer from outside hardware is not used", "only DescribeKey tells where a key is kept"),
            ("another data key in the answer is noticed", "nothing in an answer binds what was opened: TLS has to"),
        ]
    }

    fn settings(&self, subject: Subject) -> Settings {
        let (key, user) = match subject {
            Subject::Bunker | Subject::BunkerAsCosigner | Subject::WrongSecret | Subject::Unknown => {
                ("bunker", "bunker")
            }
            Subject::Cosigner => ("cosigner", "cosigner"),
            Subject::Next => ("next", "bunker"),
            Subject::Stranger => ("bunker", "stranger"),
            Subject::Wrapper => ("bunker", "wrapper"),
            Subject::Session => ("bunker", "session"),
            Subject::Missing => ("missing", "bunker"),
            Subject::Software => ("software", "bunker"),
            Subject::OtherUse => ("signing", "bunker"),
        };
        let word = |name: &str| self.0.word(&format!("/users/{user}/{name}"));
        let mut secret = word("secret");
        if subject == Subject::WrongSecret {
            secret = self.0.word("/users/cosigner/secret");
        }
        let id = if subject == Subject::Unknown { "AKIAAAAAAAAAAAAAAAAA".to_owned() } else { word("id") };
        let token = (subject == Subject::Session).then(|| SecretString::from(word("token")));
        Settings::Aws(Arc::new(aws::Settings {
            key: KeyArn::parse(&self.0.word(&format!("/keys/{key}"))).expect("an ARN"),
            key_store: KeyStore::Kms,
            access_key_id: id,
            secret_access_key: SecretString::from(secret),
            session_token: token,
            endpoint: None,
        }))
    }

    fn wire(&self) -> Wire {
        self.0.wire(FORMS.kind)
    }

    fn names(&self) -> (&'static str, String) {
        ("aws", self.0.word("/keys/bunker"))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.0.word("/users/bunker/secret"), self.0.word("/users/cosigner/secret")]
    }

    fn set_state(&self, state: State) {
        let state = match state {
            State::Enabled => "enabled",
            State::Disabled => "disabled",
            State::PendingDeletion => "pending",
        };
        self.0.command(&json!({"key": "bunker", "state": state}));
    }

    fn set_ahead_s(&self, _: i64) {
        panic!("no case sets moto's clock");
    }

    /// The first bytes of moto's ciphertexts are the key's name in plain, and it looks for that key.
    fn altered(&self) -> &'static [HsmError] {
        &[HsmError::DoesNotOpen, HsmError::CredentialsRefused, HsmError::KeyMissing]
    }

    fn refusals(&self) -> Vec<Refusal> {
        let refusal = |status, kind: &str, message: &str, error| Refusal {
            status,
            body: json!({"__type": kind, "message": message}),
            error,
        };
        let key = "arn:aws:kms:eu-central-1:123456789012:key/1";
        vec![
            refusal(400, "AccessDeniedException", "not authorized to perform", HsmError::CredentialsRefused),
            refusal(400, "UnrecognizedClientException", "The security token", HsmError::CredentialsRefused),
            refusal(400, "ExpiredTokenException", "The security token", HsmError::CredentialsRefused),
            refusal(400, "InvalidSignatureException", "The request signature", HsmError::CredentialsRefused),
            refusal(400, "InvalidSignatureException", "Signature expired: 2026", HsmError::ClockSkew),
            refusal(400, "InvalidSignatureException", "Signature not yet current: 2026", HsmError::ClockSkew),
            refusal(400, "DisabledException", &format!("{key} is disabled."), HsmError::KeyDisabled),
            refusal(
                400,
                "KMSInvalidStateException",
                &format!("{key} is pending deletion."),
                HsmError::KeyPendingDeletion,
            ),
            refusal(400, "KMSInvalidStateException", &format!("{key} is unavailable."), HsmError::Unavailable),
            refusal(400, "NotFoundException", &format!("Key '{key}' does not exist"), HsmError::KeyMissing),
            refusal(400, "InvalidCiphertextException", "", HsmError::DoesNotOpen),
            refusal(400, "IncorrectKeyException", "The key ID in the request does", HsmError::OtherKek),
            refusal(400, "InvalidKeyUsageException", "", HsmError::WrongKey),
            refusal(400, "LimitExceededException", "", HsmError::Throttled),
            refusal(500, "DependencyTimeoutException", "", HsmError::Unavailable),
            refusal(500, "KMSInternalException", "", HsmError::Unavailable),
            refusal(500, "KeyUnavailableException", "", HsmError::Unavailable),
            refusal(400, "CloudHsmClusterNotActiveException", "", HsmError::Unavailable),
            refusal(400, "com.amazonaws.kms#NotFoundException", "", HsmError::KeyMissing),
            refusal(400, "SomethingNew", "", HsmError::BadResponse),
        ]
    }

    fn forms(&self) -> &'static Forms {
        &FORMS
    }
}

/// The encryption context that a holder sends to wrap.
pub(crate) fn context_sent(role: HolderRole) -> serde_json::Map<String, Value> {
    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let settings = Settings::Aws(Arc::new(aws::Settings {
        key: KeyArn::parse(KEY).expect("an ARN"),
        key_store: KeyStore::Kms,
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: SecretString::from("secret".to_owned()),
        session_token: None,
        endpoint: None,
    }));
    let wire = Wire::nowhere(kind);
    let sent = Rc::new(RefCell::default());
    let seen = Rc::clone(&sent);
    wire.fault(move |call| match call.kind {
        Kind::Describe => forged(
            200,
            &json!({"KeyMetadata": {
                "Arn": KEY, "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT",
                "Origin": "AWS_KMS",
            }}),
        ),
        _ => {
            let body: Value = serde_json::from_slice(&call.request.body).expect("JSON");
            *seen.borrow_mut() = body["EncryptionContext"].as_object().expect("a context").clone();
            forged(200, &json!({"CiphertextBlob": "AAAA", "KeyId": KEY}))
        }
    });
    let hsm = HolderHsm::new(role, &settings, None, &wire).expect("a holder on a server");
    wrap(&hsm).expect("a wrapped key");
    sent.take()
}

/// Requests and answers.
pub(crate) static FORMS: Forms = Forms {
    kind,
    tamper: (Kind::Wrap, tamper),
    throttled: || (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})),
    name_other_key,
    replace_opened,
};

fn kind(request: &HttpRequest) -> Kind {
    let target = request.headers.iter().find(|(name, _)| *name == "x-amz-target").expect("a target");
    match target.1.as_str() {
        "TrentService.DescribeKey" => Kind::Describe,
        "TrentService.Encrypt" => Kind::Wrap,
        "TrentService.Decrypt" => Kind::Unwrap,
        other => panic!("{other}"),
    }
}

fn tamper(request: &mut HttpRequest) {
    let text = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(text.contains("\"bunker\""));
    request.body = Zeroizing::new(text.replace("\"bunker\"", "\"cosigner\"").into_bytes());
}

fn name_other_key(kind: Kind, answer: &mut Value) -> bool {
    let other = "arn:aws:kms:eu-central-1:123456789012:key/67b00c46-2e69-48ef-84fa-1accaf5a01fe";
    match kind {
        Kind::Describe => answer["KeyMetadata"]["Arn"] = other.into(),
        Kind::Wrap | Kind::Unwrap => answer["KeyId"] = other.into(),
        Kind::Challenge | Kind::Token => return false,
    }
    true
}

fn replace_opened(answer: &mut Value, bytes: &[u8]) {
    answer["Plaintext"] = STANDARD.encode(bytes).into()
}
