use bunker_core::keys::{EventId, KeyError, PublicKey, TransportSecret};
use frost_wasm_core::secret::Secret32;
use rand_core::RngCore;

use super::{public, rng, secret, transport};

const KEY: &str = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";

/// Uppercase hex past a comparison of texts is a second name for the same key.
#[test]
fn a_key_has_exactly_one_spelling() {
    assert_eq!(public(KEY).to_string(), KEY);
    let cases = [
        (KEY.to_uppercase(), KeyError::NotLowercaseHex),
        (format!("0x{}", &KEY[2..]), KeyError::NotLowercaseHex),
        (format!(" {}", &KEY[1..]), KeyError::NotLowercaseHex),
        (KEY[1..].to_owned(), KeyError::WrongLength(63)),
        (format!("02{KEY}"), KeyError::WrongLength(66)),
        (String::new(), KeyError::WrongLength(0)),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<PublicKey>(), Err(expected));
        assert_eq!(text.parse::<EventId>(), Err(expected));
        let json = serde_json::to_string(&text).unwrap();
        assert!(serde_json::from_str::<PublicKey>(&json).is_err());
        assert!(serde_json::from_str::<EventId>(&json).is_err());
    }
    assert_eq!(serde_json::to_string(&public(KEY)).unwrap(), format!("\"{KEY}\""));
    assert_eq!(format!("{:?}", public(KEY)), "PublicKey(3bf0c63f…)");
}

#[test]
fn points_off_the_curve_are_no_peers() {
    let secret = transport(KEY);
    let off = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000005",
        "eb1f7200aecaa86682376fb1c13cd12b732221e774f553b0a0857f88fa20f86d",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30",
    ];
    for hex in off {
        assert_eq!(public(hex).validate(), Err(KeyError::NotOnCurve));
        assert!(matches!(secret.shared_x(&public(hex)), Err(KeyError::NotOnCurve)));
        assert!(matches!(secret.conversation_key(&public(hex)), Err(KeyError::NotOnCurve)));
    }
}

#[test]
fn secrets_out_of_range_are_refused() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for hex in [order, &"0".repeat(64), &"f".repeat(64)] {
        let result = TransportSecret::from_secret(&secret(hex));
        assert!(matches!(result, Err(KeyError::SecretOutOfRange)), "{hex}");
    }
}

#[test]
fn a_sealed_and_reopened_transport_secret_is_the_same_key() {
    let mut rng = rng(1);
    let peer = TransportSecret::random(&mut rng).public_key();
    for _ in 0..32 {
        let drawn = Secret32::random(&mut rng);
        let first = TransportSecret::from_secret(&drawn).unwrap();
        let again = TransportSecret::from_secret(&first.expose_secret()).unwrap();
        assert_eq!(first.public_key(), again.public_key());
        let [a, b] = [&first, &again].map(|secret| secret.shared_x(&peer).unwrap());
        assert!(a.ct_eq(&b));
    }
}

#[test]
fn two_parties_share_one_secret() {
    let mut rng = rng(2);
    for _ in 0..16 {
        let one = TransportSecret::random(&mut rng);
        let two = TransportSecret::random(&mut rng);
        let ours = one.shared_x(&two.public_key()).unwrap();
        let theirs = two.shared_x(&one.public_key()).unwrap();
        assert!(ours.ct_eq(&theirs));
    }
}

#[test]
fn shared_secrets_agree_with_libsecp256k1() {
    let mut rng = rng(3);
    for _ in 0..16 {
        let ours = TransportSecret::random(&mut rng);
        let mut peer = [0; 32];
        rng.fill_bytes(&mut peer);
        let peer = secp256k1::SecretKey::from_byte_array(peer).unwrap();
        let (peer_x, _) = peer.x_only_public_key(&secp256k1::Secp256k1::new());
        let ours_point = secp256k1::PublicKey::from_x_only_public_key(
            secp256k1::XOnlyPublicKey::from_byte_array(*ours.public_key().as_bytes()).unwrap(),
            secp256k1::Parity::Even,
        );
        let point = secp256k1::ecdh::shared_secret_point(&ours_point, &peer);
        let x = ours.shared_x(&PublicKey::from_bytes(peer_x.serialize())).unwrap();
        assert_eq!(x.expose_secret()[..], point[..32]);
    }
}

#[test]
fn a_transport_secret_is_not_printed() {
    let printed = format!("{:?}", transport(KEY));
    assert_eq!(printed, "TransportSecret(<redacted>)");
}
