//! Independent judges of what leaves the bunker: libsecp256k1 and the `nostr` crate.

use bunker_core::{
    event::Event,
    keys::{PublicKey, TransportSecret},
};
use nostr::{
    nips::{nip04, nip44},
    prelude::Keys,
};

/// Asserts that `event` is what any other Nostr software takes for an event of `pubkey`.
#[track_caller]
pub(crate) fn assert_signed(event: &Event, pubkey: &PublicKey) {
    assert_eq!(event.pubkey, *pubkey);
    let judged = nostr::prelude::Event::from_json(event.to_json()).unwrap();
    judged.verify().unwrap();
    assert_eq!(judged.id.to_hex(), event.id.to_hex());
    secp256k1::Secp256k1::verification_only()
        .verify_schnorr(
            &secp256k1::schnorr::Signature::from_byte_array(event.sig),
            event.id.as_bytes(),
            &secp256k1::XOnlyPublicKey::from_byte_array(*pubkey.as_bytes()).unwrap(),
        )
        .unwrap();
}

/// The other party of a conversation, with the `nostr` crate's own encryption.
pub(crate) struct Correspondent(Keys);

impl Correspondent {
    pub(crate) fn new(secret: &TransportSecret) -> Self {
        let secret = secret.expose_secret();
        Self(Keys::parse(secret.to_hex().expose_secret()).unwrap())
    }

    pub(crate) fn hex(&self) -> String {
        self.0.public_key().to_hex()
    }

    pub(crate) fn reads_nip44(&self, from: &PublicKey, payload: &str) -> String {
        nip44::decrypt(self.0.secret_key(), &theirs(from), payload).unwrap()
    }

    pub(crate) fn writes_nip44(&self, to: &PublicKey, text: &str) -> String {
        let v2 = nip44::Version::V2;
        nip44::encrypt(self.0.secret_key(), &theirs(to), text, v2).unwrap()
    }

    pub(crate) fn reads_nip04(&self, from: &PublicKey, message: &str) -> String {
        nip04::decrypt(self.0.secret_key(), &theirs(from), message).unwrap()
    }

    pub(crate) fn writes_nip04(&self, to: &PublicKey, text: &str) -> String {
        nip04::encrypt(self.0.secret_key(), &theirs(to), text).unwrap()
    }
}

fn theirs(key: &PublicKey) -> nostr::prelude::PublicKey {
    nostr::prelude::PublicKey::from_hex(&key.to_hex()).unwrap()
}
