//! Judges: the test vectors of WebAuthn Level 3, section 16 (`tests/vectors.json`), and an authenticator of our own
//! that can get everything wrong.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::cbor;
use ed25519_dalek::Signer as _;
use serde_json::{Value as Json, json};

use super::authenticator_data::{AuthenticatorData, of_attestation_object};
use super::*;

const RP_ID: &str = "passport.test";
const ORIGIN: &str = "https://passport.test";
const CHALLENGE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn expected() -> Expected<'static> {
    Expected { rp_id: RP_ID, origin: ORIGIN, challenge: CHALLENGE }
}

/// One pair of ceremonies of the specification.
struct Vector(Json);

impl Vector {
    fn of(name: &str) -> Self {
        let all: Json = serde_json::from_str(include_str!("tests/vectors.json")).unwrap();
        Self(all[name].clone())
    }

    fn bytes(&self, ceremony: &str, field: &str) -> Vec<u8> {
        hex::decode(self.0[ceremony][field].as_str().unwrap()).unwrap()
    }

    fn challenge(&self, ceremony: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes(ceremony, "challenge"))
    }

    fn register(&self) -> Result<NewPasskey, WebauthnError> {
        let challenge = self.challenge("register");
        let expected = Expected { rp_id: "example.org", origin: "https://example.org", challenge: &challenge };
        let client_data = self.bytes("register", "clientDataJSON");
        register(&expected, &client_data, &self.bytes("register", "attestationObject"))
    }

    fn public_key(&self) -> Result<PasskeyPublicKey, WebauthnError> {
        let data = of_attestation_object(&self.bytes("register", "attestationObject"))?;
        let credential = AuthenticatorData::parse(&data)?.credential.unwrap();
        assert_eq!(credential.id, self.bytes("register", "credential_id"));
        PasskeyPublicKey::from_cose(&credential.public_key)
    }

    fn verify(&self) -> Result<u32, WebauthnError> {
        let challenge = self.challenge("authenticate");
        let expected = Expected { rp_id: "example.org", origin: "https://example.org", challenge: &challenge };
        let [client_data, authenticator_data, signature] =
            ["clientDataJSON", "authenticatorData", "signature"].map(|field| self.bytes("authenticate", field));
        let assertion =
            Assertion { client_data: &client_data, authenticator_data: &authenticator_data, signature: &signature };
        verify(&expected, &self.public_key()?, 0, &assertion)
    }

    /// The signature alone: most vectors are of authenticators that did not check who touched them.
    fn signature_holds(&self) -> bool {
        let hash = Sha256::digest(self.bytes("authenticate", "clientDataJSON"));
        let signed = [&self.bytes("authenticate", "authenticatorData")[..], &hash].concat();
        let key = self.public_key().unwrap();
        let altered = [&signed[..], &[0]].concat();
        let signature = self.bytes("authenticate", "signature");
        assert_eq!(key.verify(&altered, &signature), Err(WebauthnError::Signature));
        key.verify(&signed, &signature).is_ok()
    }
}

#[test]
fn the_vectors_of_the_specification_verify() {
    for name in ["none.ES256", "packed-self.ES256", "none.ES256.long-credential-id", "packed.EdDSA"] {
        assert!(Vector::of(name).signature_holds(), "{name}");
    }
    let made = Vector::of("packed-self.ES256").register().unwrap();
    assert_eq!(made.credential_id, Vector::of("packed-self.ES256").bytes("register", "credential_id"));
    assert_eq!(Vector::of("none.ES256.long-credential-id").verify(), Ok(0));
}

#[test]
fn the_vectors_that_are_not_for_us_are_refused_each_for_its_reason() {
    for (name, registered, used) in [
        ("none.ES256", WebauthnError::NotVerified, WebauthnError::NotVerified),
        ("packed.EdDSA", WebauthnError::NotVerified, WebauthnError::NotVerified),
        ("none.ES256.crossOrigin", WebauthnError::OtherOrigin, WebauthnError::OtherOrigin),
        ("none.ES256.topOrigin", WebauthnError::OtherOrigin, WebauthnError::OtherOrigin),
        ("packed.ES384", WebauthnError::NotVerified, WebauthnError::PublicKey),
        ("packed.RS256", WebauthnError::PublicKey, WebauthnError::PublicKey),
    ] {
        let vector = Vector::of(name);
        assert_eq!(vector.register(), Err(registered), "{name}");
        assert_eq!(vector.verify(), Err(used), "{name}");
    }
}

/// What a passkey signs with.
pub(crate) enum Secret {
    Es256(p256::ecdsa::SigningKey),
    EdDsa(ed25519_dalek::SigningKey),
}

/// A software authenticator. What it says can be changed before it is signed.
pub(crate) struct Authenticator {
    pub(crate) secret: Secret,
    pub(crate) credential_id: Vec<u8>,
    pub(crate) rp_id: String,
    pub(crate) origin: String,
    pub(crate) flags: u8,
    pub(crate) sign_count: u32,
    pub(crate) extensions: Vec<u8>,
    /// Further fields of the client data.
    pub(crate) client_data: Json,
}

impl Authenticator {
    pub(crate) fn new(secret: Secret) -> Self {
        Self {
            secret,
            credential_id: vec![0xc1; 32],
            rp_id: RP_ID.to_owned(),
            origin: ORIGIN.to_owned(),
            flags: 0x05,
            sign_count: 0,
            extensions: Vec::new(),
            client_data: json!({}),
        }
    }

    pub(crate) fn es256() -> Self {
        Self::new(Secret::Es256(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap()))
    }

    fn eddsa() -> Self {
        Self::new(Secret::EdDsa(ed25519_dalek::SigningKey::from_bytes(&[7; 32])))
    }

    fn cose(&self) -> ciborium::Value {
        match &self.secret {
            Secret::Es256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                let (x, y) = (point.x().unwrap().to_vec(), point.y().unwrap().to_vec());
                let (x, y) = (ciborium::Value::Bytes(x), ciborium::Value::Bytes(y));
                cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => x, -3 => y }).unwrap()
            }
            Secret::EdDsa(key) => {
                let x = ciborium::Value::Bytes(key.verifying_key().as_bytes().to_vec());
                cbor!({ 1 => 1, 3 => -8, -1 => 6, -2 => x }).unwrap()
            }
        }
    }

    fn data(&self, credential: &[u8]) -> Vec<u8> {
        let flags = self.flags | if credential.is_empty() { 0 } else { 0x40 };
        let count = self.sign_count.to_be_bytes();
        [Sha256::digest(&self.rp_id).as_slice(), &[flags], &count, credential, &self.extensions].concat()
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let mut data = json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false });
        for (name, value) in self.client_data.as_object().unwrap() {
            data[name] = value.clone();
        }
        data.to_string().into_bytes()
    }

    /// `clientDataJSON` and `attestationObject`.
    pub(crate) fn register(&self, challenge: &str) -> (Vec<u8>, Vec<u8>) {
        self.register_with(challenge, &self.cose())
    }

    fn register_with(&self, challenge: &str, key: &ciborium::Value) -> (Vec<u8>, Vec<u8>) {
        let length = u16::try_from(self.credential_id.len()).unwrap().to_be_bytes();
        let credential = [&[0; 16][..], &length, &self.credential_id, &encoded(key)].concat();
        let data = ciborium::Value::Bytes(self.data(&credential));
        let object = cbor!({ "fmt" => "none", "attStmt" => {}, "authData" => data }).unwrap();
        (self.client_data("webauthn.create", challenge), encoded(&object))
    }

    /// `clientDataJSON`, `authenticatorData` and `signature`.
    pub(crate) fn sign(&self, challenge: &str) -> [Vec<u8>; 3] {
        let (client_data, data) = (self.client_data("webauthn.get", challenge), self.data(&[]));
        let signed = [&data[..], &Sha256::digest(&client_data)].concat();
        let signature = match &self.secret {
            Secret::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(&signed);
                signature.to_der().as_bytes().to_vec()
            }
            Secret::EdDsa(key) => key.sign(&signed).to_bytes().to_vec(),
        };
        [client_data, data, signature]
    }

    fn registered(&self) -> Result<NewPasskey, WebauthnError> {
        let (client_data, object) = self.register(CHALLENGE);
        register(&expected(), &client_data, &object)
    }

    fn used(&self, stored_count: u32) -> Result<u32, WebauthnError> {
        let key = PasskeyPublicKey::from_cose(&self.cose()).unwrap();
        checked_use(&key, stored_count, &self.sign(CHALLENGE))
    }
}

fn checked_use(key: &PasskeyPublicKey, count: u32, parts: &[Vec<u8>; 3]) -> Result<u32, WebauthnError> {
    let [client_data, authenticator_data, signature] = parts;
    verify(&expected(), key, count, &Assertion { client_data, authenticator_data, signature })
}

fn encoded(value: &ciborium::Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn with(change: impl Fn(&mut Authenticator)) -> Authenticator {
    let mut it = Authenticator::es256();
    change(&mut it);
    it
}

#[test]
fn a_passkey_of_either_kind_is_registered_kept_as_text_and_used() {
    for it in [Authenticator::es256(), Authenticator::eddsa()] {
        let made = it.registered().unwrap();
        assert_eq!(made.credential_id, it.credential_id);
        let kept: PasskeyPublicKey = made.public_key.to_string().parse().unwrap();
        assert_eq!(kept, made.public_key);
        assert_eq!(checked_use(&kept, 0, &it.sign(CHALLENGE)), Ok(0));
    }
    for bad in ["", "es256:", "es256:00", "eddsa:00", "rs256:00", &format!("eddsa:{}", "00".repeat(32))] {
        assert!(bad.parse::<PasskeyPublicKey>().is_err(), "{bad}");
    }
}

#[test]
fn what_an_authenticator_may_add_is_let_pass() {
    let extensions = encoded(&cbor!({ "credProtect" => 2, "hmac-secret" => true }).unwrap());
    let it = with(|it| {
        it.flags |= 0x98; // backup eligible, backed up, extensions
        it.extensions = extensions.clone();
        it.client_data = json!({ "extraData": "a field of tomorrow" });
    });
    assert!(it.registered().is_ok());
    assert!(it.used(0).is_ok());
}

#[test]
fn no_answer_to_another_question_place_or_page_is_taken() {
    type Change = fn(&mut Authenticator);
    let cases: [(WebauthnError, Change); 11] = [
        (WebauthnError::OtherRpId, |it| it.rp_id = "evil.test".into()),
        (WebauthnError::OtherOrigin, |it| it.origin = "https://evil.test".into()),
        (WebauthnError::OtherOrigin, |it| it.origin = "http://passport.test".into()),
        (WebauthnError::OtherOrigin, |it| it.origin = "https://passport.test.evil.test".into()),
        (WebauthnError::OtherOrigin, |it| it.origin = "https://passport.test/".into()),
        (WebauthnError::OtherOrigin, |it| it.client_data = json!({ "crossOrigin": true })),
        (WebauthnError::OtherOrigin, |it| it.client_data = json!({ "topOrigin": "https://evil.test" })),
        (WebauthnError::OtherChallenge, |it| it.client_data = json!({ "challenge": "BBBB" })),
        (WebauthnError::NotPresent, |it| it.flags = 0x04),
        (WebauthnError::NotVerified, |it| it.flags = 0x01),
        (WebauthnError::AuthenticatorData, |it| it.flags = 0x15), // backed up without being eligible
    ];
    for (error, change) in cases {
        let it = with(change);
        assert_eq!(it.registered(), Err(error));
        assert_eq!(it.used(0), Err(error));
    }
    let swap = |kind: &str| with(|it| it.client_data = json!({ "type": kind }));
    assert_eq!(swap("webauthn.get").registered(), Err(WebauthnError::OtherCeremony));
    assert_eq!(swap("webauthn.create").used(0), Err(WebauthnError::OtherCeremony));
}

#[test]
fn a_signature_counter_that_goes_back_is_refused() {
    let at = |sign_count| with(|it| it.sign_count = sign_count);
    assert_eq!(at(8).used(7), Ok(8));
    assert_eq!(at(1).used(0), Ok(1));
    for (stored, said) in [(7, 7), (7, 6), (7, 0), (u32::MAX, 0)] {
        assert_eq!(at(said).used(stored), Err(WebauthnError::CounterWentBack), "{stored} {said}");
    }
}

#[test]
fn nothing_can_be_changed_after_signing() {
    let it = Authenticator::es256();
    let key = it.registered().unwrap().public_key;
    let parts = it.sign(CHALLENGE);
    assert_eq!(checked_use(&key, 0, &parts), Ok(0));
    for part in 0..3 {
        for at in 0..parts[part].len() {
            let mut changed = parts.clone();
            changed[part][at] ^= 1;
            assert!(checked_use(&key, 0, &changed).is_err(), "part {part}, byte {at}");
        }
    }
    let other = Authenticator::new(Secret::Es256(p256::ecdsa::SigningKey::from_slice(&[8; 32]).unwrap()));
    assert_eq!(checked_use(&other.registered().unwrap().public_key, 0, &parts), Err(WebauthnError::Signature));
    let eddsa = Authenticator::eddsa().registered().unwrap().public_key;
    assert_eq!(checked_use(&eddsa, 0, &parts), Err(WebauthnError::Signature));
}

#[test]
fn cut_off_overlong_and_contradictory_data_is_refused_and_nothing_panics() {
    let it = Authenticator::es256();
    let (client_data, object) = it.register(CHALLENGE);
    for length in 0..object.len() {
        assert!(register(&expected(), &client_data, &object[..length]).is_err(), "{length}");
    }
    let longer = [&object[..], &[0]].concat();
    assert_eq!(register(&expected(), &client_data, &longer), Err(WebauthnError::AuthenticatorData));
    // A use's data has no credential in it.
    let [_, data, _] = it.sign(CHALLENGE);
    let bare = encoded(&cbor!({ "authData" => ciborium::Value::Bytes(data) }).unwrap());
    assert_eq!(register(&expected(), &client_data, &bare), Err(WebauthnError::AuthenticatorData));
    for (flags, extensions) in [(0x05, vec![0xa0]), (0x85, vec![]), (0x85, vec![0x01]), (0x85, vec![0xa0, 0xa0])] {
        let it = with(|it| (it.flags, it.extensions) = (flags, extensions.clone()));
        assert_eq!(it.registered(), Err(WebauthnError::AuthenticatorData));
        assert_eq!(it.used(0), Err(WebauthnError::AuthenticatorData));
    }
    for id in [vec![], vec![1; 1024]] {
        assert!(with(|it| it.credential_id = id.clone()).registered().is_err());
    }
    // Deep nesting is refused before it costs a stack.
    let deep = [vec![0x81; 10_000], vec![0x00]].concat();
    assert_eq!(register(&expected(), &client_data, &deep), Err(WebauthnError::AuthenticatorData));
    for text in ["", "{}", "[]", "null", r#"{"type":"webauthn.create","type":"webauthn.get"}"#] {
        assert_eq!(register(&expected(), text.as_bytes(), &object), Err(WebauthnError::ClientData));
    }
}

#[test]
fn keys_of_other_kinds_and_points_off_the_curve_are_refused() {
    let bytes = |byte: u8, length| ciborium::Value::Bytes(vec![byte; length]);
    let it = Authenticator::es256();
    let ciborium::Value::Map(good) = it.cose() else { panic!() };
    let twice = ciborium::Value::Map([&good[..], &[(3.into(), (-7).into())]].concat());
    for key in [
        cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(1, 32), -3 => bytes(1, 32) }).unwrap(),
        cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(0, 32), -3 => bytes(0, 32) }).unwrap(),
        cbor!({ 1 => 2, 3 => -7, -1 => 1, -2 => bytes(1, 31), -3 => bytes(1, 33) }).unwrap(),
        cbor!({ 1 => 2, 3 => -35, -1 => 2, -2 => bytes(1, 48), -3 => bytes(1, 48) }).unwrap(),
        cbor!({ 1 => 2, 3 => -7, -1 => 8, -2 => bytes(1, 32), -3 => bytes(1, 32) }).unwrap(),
        cbor!({ 1 => 3, 3 => -257, -1 => bytes(1, 256), -2 => bytes(1, 3) }).unwrap(),
        cbor!({ 1 => 1, 3 => -8, -1 => 6, -2 => bytes(0, 32) }).unwrap(), // of small order
        cbor!({ 1 => 1, 3 => -8, -1 => 6 }).unwrap(),
        cbor!({}).unwrap(),
        cbor!(1).unwrap(),
        twice,
    ] {
        let (client_data, object) = it.register_with(CHALLENGE, &key);
        assert_eq!(register(&expected(), &client_data, &object), Err(WebauthnError::PublicKey), "{key:?}");
    }
}
