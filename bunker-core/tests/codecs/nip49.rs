use bech32::{Bech32, Hrp};
use bunker_core::nip19::{Nip19Error, encode_nsec};
use bunker_core::nip49::{EncryptedKey, KeySecurity, Nip49Error};
use frost_wasm_core::secret::Secret32;
use nostr::nips::nip19::{FromBech32, ToBech32};
use nostr::nips::nip49::{EncryptedSecretKey, KeySecurity as TheirSecurity};
use nostr::prelude::SecretKey;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{rng, secret};

const HEX: &str = "3501454135014541350145413501453fefb02227e449e57cf4d3a3ce05378683";
const ENCRYPTED: &str = "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9m0w57lspw8gsq6yphnm8623nsl8xn9j4jdzz84zm3frztj3z7s35vpzmqf6ksu8r89qk5z2zxfmu5gv8th8wclt0h4p";
/// The password of the NIP's example of normalisation, as typed and in NFKC.
const COMPOSED: [&str; 2] = ["\u{212b}\u{2126}\u{1e9b}\u{323}", "\u{c5}\u{3a9}\u{1e69}"];

fn parsed(text: &str) -> Result<EncryptedKey, Nip49Error> {
    text.parse()
}

fn encrypted(password: &str) -> EncryptedKey {
    EncryptedKey::encrypt(&secret(HEX), password, 16, KeySecurity::NotHandledInsecurely, &mut rng(1)).unwrap()
}

fn data() -> Vec<u8> {
    bech32::decode(ENCRYPTED).unwrap().1
}

fn text(data: &[u8]) -> String {
    bech32::encode::<Bech32>(Hrp::parse("ncryptsec").unwrap(), data).unwrap()
}

#[test]
fn the_nips_example_decrypts() {
    let key = parsed(ENCRYPTED).unwrap();
    assert_eq!(key.log_n(), 16);
    assert_eq!(key.decrypt("nostr").unwrap().expose_secret(), secret(HEX).expose_secret());
    assert_eq!(key.to_string(), ENCRYPTED);
}

#[test]
fn one_password_typed_in_two_ways_is_one_password() {
    let [typed, normalised] = COMPOSED;
    assert_ne!(typed, normalised);
    assert!(encrypted(typed).decrypt(normalised).unwrap().ct_eq(&secret(HEX)));
}

#[test]
fn the_judge_reads_what_is_written_here_and_the_other_way_round() {
    for password in ["nostr", COMPOSED[0], "a longer one, with spaces"] {
        let ours = encrypted(password).to_string();
        let theirs = EncryptedSecretKey::from_bech32(&ours).unwrap();
        assert_eq!(theirs.key_security(), TheirSecurity::Medium);
        assert_eq!(theirs.decrypt(password).unwrap().to_secret_hex(), HEX);

        let key = SecretKey::from_hex(HEX).unwrap();
        let theirs = EncryptedSecretKey::new(&key, password, 16, TheirSecurity::Weak).unwrap();
        let ours = parsed(&theirs.to_bech32().unwrap()).unwrap();
        assert_eq!(ours.security(), KeySecurity::HandledInsecurely);
        assert!(ours.decrypt(password).unwrap().ct_eq(&secret(HEX)));
    }
}

#[test]
fn a_wrong_password_and_a_changed_text_give_nothing() {
    let key = parsed(ENCRYPTED).unwrap();
    assert_eq!(key.decrypt("Nostr").unwrap_err(), Nip49Error::DoesNotOpen);
    assert_eq!(key.decrypt("").unwrap_err(), Nip49Error::NoPassword);
    // Salt, nonce, key security, ciphertext and tag: whatever is changed, it does not open.
    for at in [2, 18, 42, 43, 90] {
        let mut data = data();
        data[at] ^= 1;
        let opened = parsed(&text(&data)).unwrap().decrypt("nostr");
        assert_eq!(opened.unwrap_err(), Nip49Error::DoesNotOpen, "{at}");
    }
}

#[test]
fn a_cost_that_no_device_can_bear_is_refused_before_it_is_tried() {
    for log_n in [21, 40, 64, 255] {
        let mut data = data();
        data[1] = log_n;
        let key = parsed(&text(&data)).unwrap();
        assert_eq!(key.decrypt("nostr").unwrap_err(), Nip49Error::TooCostly(log_n));
    }
    let mut data = data();
    data[1] = 0;
    assert_eq!(parsed(&text(&data)).unwrap().decrypt("nostr").unwrap_err(), Nip49Error::BadCost(0));
    for log_n in [0, 15, 21] {
        let made = EncryptedKey::encrypt(&secret(HEX), "nostr", log_n, KeySecurity::Untracked, &mut rng(1));
        assert_eq!(made.unwrap_err(), Nip49Error::BadCost(log_n));
    }
}

#[test]
fn what_is_no_encrypted_key_is_refused_by_name() {
    let with = |at: usize, byte: u8| {
        let mut data = data();
        data[at] = byte;
        parsed(&text(&data)).unwrap_err()
    };
    assert_eq!(with(0, 1), Nip49Error::UnknownVersion(1));
    assert_eq!(with(42, 3), Nip49Error::UnknownSecurity(3));
    assert_eq!(parsed(&text(&data()[..90])).unwrap_err(), Nip49Error::Length);
    assert_eq!(parsed(&text(&[data(), vec![0]].concat())).unwrap_err(), Nip49Error::Length);
    assert_eq!(parsed(&text(&[2])).unwrap_err(), Nip49Error::Length);
    let nsec = encode_nsec(&secret(HEX));
    let wrong_prefix = Nip49Error::Text(Nip19Error::WrongPrefix("ncryptsec"));
    assert_eq!(parsed(nsec.expose_secret()).unwrap_err(), wrong_prefix);
    assert!(matches!(parsed(&ENCRYPTED[..161]).unwrap_err(), Nip49Error::Text(_)));
    assert!(matches!(parsed(&ENCRYPTED.to_uppercase()).unwrap_err(), Nip49Error::Text(_)));
}

#[test]
fn what_is_no_key_is_not_encrypted_and_not_given_out() {
    let zero = Secret32::from_bytes([0; 32]);
    let made = EncryptedKey::encrypt(&zero, "nostr", 16, KeySecurity::Untracked, &mut rng(1));
    assert!(matches!(made.unwrap_err(), Nip49Error::Key(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn every_key_and_password_come_back(bytes in any::<[u8; 32]>(), password in "\\PC{1,40}", seed in any::<u64>()) {
        let made = EncryptedKey::encrypt(
            &Secret32::from_bytes(bytes), &password, 16, KeySecurity::Untracked, &mut rng(seed),
        );
        // One in 2^128 arrays is no key.
        let key: EncryptedKey = made.unwrap().to_string().parse().unwrap();
        let decrypted = key.decrypt(&password).unwrap();
        prop_assert_eq!(decrypted.expose_secret(), &bytes);
    }
}

proptest! {
    #[test]
    fn any_data_has_an_answer_and_reads_back_as_it_was_written(data in vec(any::<u8>(), 0..120)) {
        let text = text(&data);
        if let Ok(key) = parsed(&text) {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn any_text_has_an_answer(text in "(ncryptsec1)?\\PC{0,200}") {
        let _ = parsed(&text);
    }
}
