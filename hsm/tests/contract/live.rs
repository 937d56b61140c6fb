//! The providers themselves, for who has keys there: the part of the contract that needs no power over keys and people.
//!
//! It runs where `PASSPORT_LIVE_AWS`, `PASSPORT_LIVE_GOOGLE` or `PASSPORT_LIVE_AZURE` is `1`, with the keys and
//! credentials of the same variables that the Worker takes (`docs/HSM.md`). It makes some hundred requests and leaves
//! nothing behind.

use std::sync::Arc;

use frost_wasm_core::secret::SecretString;
use passport_hsm::{
    HsmError, Settings,
    aws::{self, KeyArn, KeyStore},
    azure::{self, Algorithm, KeyId},
    google::{self, CryptoKey, ServiceAccount},
};

use crate::{
    cases,
    lab::{Forms, Lab, Refusal, State, Subject},
    wire::{Carrier, Wire},
};

/// What can be tried without changing keys or people.
const PROMISES: &[&str] = &[
    "what was wrapped comes back",
    "two wraps of one key differ",
    "another holder's KEK does not open it",
    "another holder does not open it under the same KEK",
    "every altered byte of a wrapped key is noticed",
    "a wrapped key that was cut or is too long is noticed",
    "people are told which KEK it is",
    "health is good when all is well",
    "the KEK is looked at before it wraps",
    "a wrong secret is refused",
    "what was altered on its way to the provider is refused",
    "a wrong clock is named so",
    "nothing secret is shown",
    "an answer that names another KEK is not used",
    "an answer with a wrong checksum is not used",
    "an answer that does not say that the request arrived whole is not used",
    "an answer from outside hardware is not used",
    "a data key of another length is not used",
    "no token is asked for in a stranger's name",
];

/// A provider's own service.
pub(crate) struct Live {
    provider: &'static str,
    /// Of `PROMISES`, those that the provider's peer leaves out too.
    not_for_it: &'static [&'static str],
    forms: &'static Forms,
    settings: fn(Subject) -> Settings,
    key: &'static str,
    secret: &'static str,
    carrier: Carrier,
}

impl Live {
    /// The live service, if it is asked for; it says so if not.
    pub(crate) fn asked_for(provider: &'static str) -> Option<Self> {
        let flag = format!("PASSPORT_LIVE_{}", provider.to_uppercase());
        if std::env::var(&flag).as_deref() != Ok("1") {
            println!(
                "{provider} (live): did not run. {flag}=1 runs it, with keys and credentials as docs/HSM.md names them"
            );
            return None;
        }
        const CHECKSUM: &str = "an answer with a wrong checksum is not used";
        const VERIFIED: &str = "an answer that does not say that the request arrived whole is not used";
        const PROTECTION: &str = "an answer from outside hardware is not used";
        const STRANGER: &str = "no token is asked for in a stranger's name";
        let (not_for_it, forms, settings, key, secret): (&[_], _, fn(Subject) -> Settings, _, _) = match provider {
            "aws" => (
                &[CHECKSUM, VERIFIED, PROTECTION, STRANGER],
                &crate::aws::FORMS,
                aws_settings,
                "HSM_AWS_BUNKER_KEY_ARN",
                "HSM_AWS_BUNKER_SECRET_ACCESS_KEY",
            ),
            "google" => (
                &[STRANGER],
                &crate::google::FORMS,
                google_settings,
                "HSM_GOOGLE_BUNKER_KEY",
                "HSM_GOOGLE_BUNKER_ACCOUNT",
            ),
            "azure" => (
                &[CHECKSUM, VERIFIED, PROTECTION, "a wrong clock is named so", "two wraps of one key differ"],
                &crate::azure::FORMS,
                azure_settings,
                "HSM_AZURE_BUNKER_KEY_ID",
                "HSM_AZURE_BUNKER_CLIENT_SECRET",
            ),
            other => panic!("{other}"),
        };
        Some(Self { provider, not_for_it, forms, settings, key, secret, carrier: Carrier::public() })
    }
}

impl Lab for Live {
    fn title(&self) -> String {
        format!("{} (live)", self.provider)
    }

    fn left_out(&self) -> Vec<(&'static str, &'static str)> {
        let is_tried = |name| PROMISES.contains(name) && !self.not_for_it.contains(name);
        let others = cases::all().filter(|(name, _)| !is_tried(name));
        others
            .map(|(name, _)| (*name, "not for this provider, or not without power over its keys and people"))
            .collect()
    }

    fn settings(&self, subject: Subject) -> Settings {
        (self.settings)(subject)
    }

    fn wire(&self) -> Wire {
        Wire::new(&self.carrier, self.forms.kind)
    }

    fn names(&self) -> (&'static str, String) {
        (self.provider, word(self.key))
    }

    fn secrets(&self) -> Vec<String> {
        vec![word(self.secret)]
    }

    fn set_state(&self, state: State) {
        panic!("{state:?}");
    }

    fn set_ahead_s(&self, seconds: i64) {
        panic!("{seconds}");
    }

    /// KMS names a ciphertext of another key as such.
    fn altered(&self) -> &'static [HsmError] {
        match self.provider {
            "aws" => &[HsmError::DoesNotOpen, HsmError::OtherKek, HsmError::CredentialsRefused, HsmError::KeyMissing],
            _ => &[HsmError::DoesNotOpen],
        }
    }

    fn wraps_when_disabled(&self) -> bool {
        self.provider == "azure"
    }

    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }

    fn forms(&self) -> &'static Forms {
        self.forms
    }
}

fn aws_settings(subject: Subject) -> Settings {
    let holder = holder(subject);
    let token = std::env::var(format!("HSM_AWS_{holder}_SESSION_TOKEN")).ok();
    Settings::Aws(Arc::new(aws::Settings {
        key: KeyArn::parse(&word(&format!("HSM_AWS_{holder}_KEY_ARN"))).expect("an ARN of a key"),
        key_store: match std::env::var("HSM_AWS_KEY_STORE").as_deref() {
            Ok("cloudhsm") => KeyStore::CloudHsm,
            _ => KeyStore::Kms,
        },
        access_key_id: word(&format!("HSM_AWS_{holder}_ACCESS_KEY_ID")),
        secret_access_key: secret(subject, word(&format!("HSM_AWS_{holder}_SECRET_ACCESS_KEY"))),
        session_token: token.map(SecretString::from),
        endpoint: None,
    }))
}

fn google_settings(subject: Subject) -> Settings {
    let holder = holder(subject);
    let mut file = word(&format!("HSM_GOOGLE_{holder}_ACCOUNT"));
    if subject == Subject::WrongSecret {
        // Another account's key, under this one's name.
        let mut json: serde_json::Value = serde_json::from_str(&file).expect("a key file");
        let other: serde_json::Value = serde_json::from_str(&word("HSM_GOOGLE_COSIGNER_ACCOUNT")).expect("a key file");
        json["private_key"] = other["private_key"].clone();
        file = json.to_string();
    }
    Settings::Google(Arc::new(google::Settings {
        key: CryptoKey::parse(&word(&format!("HSM_GOOGLE_{holder}_KEY"))).expect("a key's name"),
        account: ServiceAccount::from_key_file(&file).expect("a key file"),
        endpoint: None,
        token_endpoint: None,
    }))
}

fn azure_settings(subject: Subject) -> Settings {
    let holder = holder(subject);
    Settings::Azure(Arc::new(azure::Settings {
        key: KeyId::parse(&word(&format!("HSM_AZURE_{holder}_KEY_ID"))).expect("a key's id"),
        algorithm: match word("HSM_AZURE_ALGORITHM").as_str() {
            "rsa-oaep-256" => Algorithm::RsaOaep256,
            "a256kw" => Algorithm::A256Kw,
            other => panic!("HSM_AZURE_ALGORITHM is {other}"),
        },
        tenant_id: word("HSM_AZURE_TENANT_ID"),
        client_id: word(&format!("HSM_AZURE_{holder}_CLIENT_ID")),
        client_secret: secret(subject, word(&format!("HSM_AZURE_{holder}_CLIENT_SECRET"))),
        authority: std::env::var("HSM_AZURE_AUTHORITY").unwrap_or("https://login.microsoftonline.com".to_owned()),
    }))
}

fn holder(subject: Subject) -> &'static str {
    match subject {
        Subject::Bunker | Subject::BunkerAsCosigner | Subject::WrongSecret => "BUNKER",
        Subject::Cosigner => "COSIGNER",
        other => panic!("{other:?}"),
    }
}

/// A secret, or for who shall have a wrong one, one that is of the right form.
fn secret(subject: Subject, secret: String) -> SecretString {
    SecretString::from(match subject {
        Subject::WrongSecret => secret.chars().rev().collect(),
        _ => secret,
    })
}

fn word(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}
