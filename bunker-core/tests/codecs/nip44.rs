use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bunker_core::limits::{MAX_NIP44_PAYLOAD_BYTES, MAX_NIP44_PLAINTEXT_BYTES};
use bunker_core::nip44::{ConversationKey, Nip44Error, decrypt, encrypt, encrypt_random, padded_len};
use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use frost_wasm_core::secret::Secret32;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::{public, rng, secret, sha256_hex, transport};

const VECTORS: &str = include_str!("../vectors/nip44.vectors.json");

fn vectors(kind: &str, section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    all["v2"][kind][section].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap()
}

fn bytes<const N: usize>(vector: &Value, field: &str) -> [u8; N] {
    hex::decode(text(vector, field)).unwrap().try_into().unwrap()
}

fn key(vector: &Value) -> ConversationKey {
    ConversationKey::from_secret(secret(text(vector, "conversation_key")))
}

#[test]
fn the_vector_file_is_the_one_the_nip_names() {
    assert_eq!(sha256_hex(VECTORS), "269ed0f69e4c192512cc779e78c555090cebc7c785b609e338a62afc3ce25040");
}

#[test]
fn conversation_keys_match_the_vectors() {
    let vectors = vectors("valid", "get_conversation_key");
    for vector in &vectors {
        let key = transport(text(vector, "sec1")).conversation_key(&public(text(vector, "pub2"))).unwrap();
        assert_eq!(hex::encode(key.expose_secret()), text(vector, "conversation_key"));
    }
    println!("nip44 valid.get_conversation_key: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 35);
}

#[test]
fn conversation_keys_are_refused_for_bad_secrets_and_points_off_the_curve() {
    let vectors = vectors("invalid", "get_conversation_key");
    for vector in &vectors {
        let key = bunker_core::keys::TransportSecret::from_secret(&secret(text(vector, "sec1")))
            .and_then(|secret| secret.conversation_key(&public(text(vector, "pub2"))));
        assert!(key.is_err(), "{}", vector["note"]);
    }
    println!("nip44 invalid.get_conversation_key: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 8);
}

/// The message keys do not leave the module, so they are judged by what they make: the vector's keys,
/// used here by hand, have to give the payload that the codec gives.
#[test]
fn message_keys_match_the_vectors() {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let section = &all["v2"]["valid"]["get_message_keys"];
    let key = key(section);
    let vectors = section["keys"].as_array().unwrap();
    for vector in vectors {
        let nonce = bytes::<32>(vector, "nonce");
        let payload = encrypt(&key, "a", nonce).unwrap();
        let mut padded = [0_u8; 34];
        padded[1] = 1;
        padded[2] = b'a';
        ChaCha20::new(&bytes::<32>(vector, "chacha_key").into(), &bytes::<12>(vector, "chacha_nonce").into())
            .apply_keystream(&mut padded);
        let mut mac = Hmac::<Sha256>::new_from_slice(&bytes::<32>(vector, "hmac_key")).unwrap();
        mac.update(&nonce);
        mac.update(&padded);
        let mut data = vec![2];
        data.extend(nonce);
        data.extend(padded);
        data.extend(mac.finalize().into_bytes());
        assert_eq!(payload, STANDARD.encode(data));
    }
    println!("nip44 valid.get_message_keys: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 32);
}

#[test]
fn padded_lengths_match_the_vectors() {
    let vectors = vectors("valid", "calc_padded_len");
    for vector in &vectors {
        let [unpadded, padded] = [0, 1].map(|n| vector[n].as_u64().unwrap());
        assert_eq!(padded_len(unpadded), padded);
    }
    println!("nip44 valid.calc_padded_len: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 24);
    // The text's own extremes.
    assert_eq!(padded_len(1), 32);
    assert_eq!(padded_len(65_537), 81_920);
    assert_eq!(padded_len(u64::from(u32::MAX)), 1 << 32);
}

#[test]
fn payloads_match_the_vectors_in_both_directions() {
    let vectors = vectors("valid", "encrypt_decrypt");
    for vector in &vectors {
        let [one, two] = ["sec1", "sec2"].map(|field| transport(text(vector, field)));
        let ours = one.conversation_key(&two.public_key()).unwrap();
        let theirs = two.conversation_key(&one.public_key()).unwrap();
        assert_eq!(hex::encode(ours.expose_secret()), text(vector, "conversation_key"));
        let payload = encrypt(&ours, text(vector, "plaintext"), bytes(vector, "nonce")).unwrap();
        assert_eq!(payload, text(vector, "payload"));
        assert_eq!(decrypt(&theirs, &payload).unwrap(), text(vector, "plaintext"));
    }
    println!("nip44 valid.encrypt_decrypt: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 10);
}

#[test]
fn long_payloads_match_the_vectors() {
    let vectors = vectors("valid", "encrypt_decrypt_long_msg");
    for vector in &vectors {
        let times = usize::try_from(vector["repeat"].as_u64().unwrap()).unwrap();
        let plaintext = text(vector, "pattern").repeat(times);
        assert_eq!(sha256_hex(&plaintext), text(vector, "plaintext_sha256"));
        let payload = encrypt(&key(vector), &plaintext, bytes(vector, "nonce")).unwrap();
        assert_eq!(sha256_hex(&payload), text(vector, "payload_sha256"));
        assert_eq!(decrypt(&key(vector), &payload).unwrap(), plaintext);
    }
    println!("nip44 valid.encrypt_decrypt_long_msg: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 3);
}

/// The file is older than the extended length prefix and lists 65536 and more as invalid. By the text
/// they are valid now, so of its four lengths only 0 and the one past our own limit are refused.
#[test]
fn plaintext_lengths_are_refused_at_zero_and_past_the_limit_only() {
    let vectors = vectors("invalid", "encrypt_msg_lengths");
    let key = ConversationKey::from_secret(Secret32::from_bytes([7; 32]));
    for vector in &vectors {
        let bytes = usize::try_from(vector.as_u64().unwrap()).unwrap();
        let result = encrypt(&key, &"x".repeat(bytes), [9; 32]);
        match bytes {
            0 | 10_000_000 => assert_eq!(result, Err(Nip44Error::PlaintextSize(bytes))),
            65_536 | 100_000 => {
                assert_eq!(decrypt(&key, &result.unwrap()).unwrap().len(), bytes);
            }
            _ => panic!("a length the file did not have"),
        }
    }
    println!("nip44 invalid.encrypt_msg_lengths: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 4);
}

#[test]
fn broken_payloads_are_refused_by_the_reason_the_vectors_name() {
    let vectors = vectors("invalid", "decrypt");
    for vector in &vectors {
        let payload = text(vector, "payload");
        let error = decrypt(&key(vector), payload).unwrap_err();
        let expected = match text(vector, "note") {
            "unknown encryption version" => Nip44Error::UnknownEncoding,
            "unknown encryption version 0" => Nip44Error::UnknownVersion(0),
            "invalid base64" => Nip44Error::Base64,
            "invalid MAC" => Nip44Error::Mac,
            "invalid padding" => Nip44Error::Padding,
            // The text's pseudocode takes an empty payload for an unknown version.
            "invalid payload length: 0" => Nip44Error::UnknownEncoding,
            note if note.starts_with("invalid payload length") => Nip44Error::PayloadSize(payload.len()),
            note => panic!("a note the file did not have: {note}"),
        };
        assert_eq!(error, expected, "{}", vector["note"]);
    }
    println!("nip44 invalid.decrypt: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 12);
}

/// The table at the end of the NIP: `a` repeated, one key, one nonce.
#[test]
fn extended_length_payloads_match_the_nips_table() {
    let key = ConversationKey::from_secret(secret("c41c775356fd92eadc63ff5a0dc1da211b268cbea22316767095b2871ea1412d"));
    let mut nonce = [0; 32];
    nonce[31] = 1;
    let rows = [
        (
            65_535,
            65_536,
            "6e1bebca6a8229364a162a72ef064826c4cd7457bf54f190ef782bd9deff3e42",
            "6d8c2810d1e870fbaa1f0a0937126cca837a15f9260e27060c331d70a3c0bc84",
        ),
        (
            65_536,
            65_536,
            "bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a",
            "b7b4edb36ba92e267d322d56d9aebc22e7fa96ff52e3c12adc07f07a43cbc616",
        ),
        (
            65_537,
            81_920,
            "008ffc88d3c96a9f307524eb361e47c5222a887fc45fa0c1fb8d429c5c23b430",
            "eeb7c7c5373894ea2c1547cfd3ccb15d5a0b2d619da852e5c79df792dcc9e435",
        ),
    ];
    for (bytes, padded, plaintext_sha256, payload_sha256) in rows {
        let plaintext = "a".repeat(bytes);
        assert_eq!(padded_len(bytes as u64), padded);
        assert_eq!(sha256_hex(&plaintext), plaintext_sha256);
        let payload = encrypt(&key, &plaintext, nonce).unwrap();
        assert_eq!(sha256_hex(&payload), payload_sha256);
        assert_eq!(decrypt(&key, &payload).unwrap(), plaintext);
    }
    println!("nip44 extended length prefix: {} vectors", rows.len());
}

/// Encrypts a padded form as it stands, valid or not, as somebody who has the key could.
fn forge(key: &ConversationKey, padded: &[u8]) -> String {
    let nonce = [3; 32];
    let mut keys = [0; 76];
    Hkdf::<Sha256>::from_prk(key.expose_secret()).unwrap().expand(&nonce, &mut keys).unwrap();
    let mut data = [&[2][..], &nonce, padded].concat();
    ChaCha20::new(keys[..32].into(), keys[32..44].into()).apply_keystream(&mut data[33..]);
    let mut mac = Hmac::<Sha256>::new_from_slice(&keys[44..]).unwrap();
    mac.update(&data[1..]);
    data.extend(mac.finalize().into_bytes());
    STANDARD.encode(data)
}

#[test]
fn one_plaintext_has_one_padded_form() {
    let key = ConversationKey::from_secret(Secret32::from_bytes([7; 32]));
    let padded = |prefix: &[u8], text: &[u8], zeros: usize| [prefix, text, &vec![0; zeros]].concat();
    assert_eq!(decrypt(&key, &forge(&key, &padded(&[0, 5], b"hello", 27))).unwrap(), "hello");
    let mut not_zero = padded(&[0, 5], b"hello", 27);
    not_zero[33] = 1;
    let long = [b'x'; 65_535];
    let cases = [
        ("a short length in the extended form", padded(&[0, 0, 0, 0, 0, 5], b"hello", 27)),
        ("65535 in the extended form", padded(&[0, 0, 0, 0, 255, 255], &long, 1)),
        ("an extended length of zero", padded(&[0; 6], b"", 32)),
        ("an extended length past the end", padded(&[0, 0, 0, 1, 0, 0], b"hello", 27)),
        ("the largest extended length", padded(&[0, 0, 255, 255, 255, 255], b"hello", 27)),
        ("a length past the end", padded(&[0, 40], b"hello", 27)),
        ("one zero byte too many", padded(&[0, 5], b"hello", 28)),
        ("a whole step too many", padded(&[0, 5], b"hello", 59)),
        ("padding that is not zero", not_zero),
    ];
    for (what, padded) in cases {
        assert_eq!(decrypt(&key, &forge(&key, &padded)), Err(Nip44Error::Padding), "{what}");
    }
    let not_utf8 = forge(&key, &padded(&[0, 2], &[0xc3, 0x28], 30));
    assert_eq!(decrypt(&key, &not_utf8), Err(Nip44Error::NotUtf8));
}

#[test]
fn the_longest_plaintext_fits_the_longest_payload() {
    let key = ConversationKey::from_secret(Secret32::from_bytes([7; 32]));
    let longest = "x".repeat(MAX_NIP44_PLAINTEXT_BYTES);
    let payload = encrypt_random(&key, &longest, &mut rng(1)).unwrap();
    assert!(payload.len() <= MAX_NIP44_PAYLOAD_BYTES);
    assert_eq!(decrypt(&key, &payload).unwrap(), longest);
    let too_long = longest + "x";
    assert_eq!(encrypt(&key, &too_long, [1; 32]), Err(Nip44Error::PlaintextSize(MAX_NIP44_PLAINTEXT_BYTES + 1)));
}

#[test]
fn an_oversized_payload_is_refused_before_base64_is_read() {
    let key = ConversationKey::from_secret(Secret32::from_bytes([7; 32]));
    let not_even_base64 = "!".repeat(MAX_NIP44_PAYLOAD_BYTES + 1);
    assert_eq!(decrypt(&key, &not_even_base64), Err(Nip44Error::PayloadSize(MAX_NIP44_PAYLOAD_BYTES + 1)));
}

#[test]
fn any_changed_byte_is_refused() {
    let key = ConversationKey::from_secret(Secret32::from_bytes([7; 32]));
    let payload = encrypt(&key, "hello", [1; 32]).unwrap();
    let data = STANDARD.decode(&payload).unwrap();
    for n in 0..data.len() {
        let mut changed = data.clone();
        changed[n] ^= 1;
        let expected = if n == 0 { Nip44Error::UnknownVersion(3) } else { Nip44Error::Mac };
        assert_eq!(decrypt(&key, &STANDARD.encode(changed)), Err(expected), "byte {n}");
    }
}

#[test]
fn another_key_reads_nothing() {
    let [one, two] = [[7; 32], [8; 32]].map(|k| ConversationKey::from_secret(Secret32::from_bytes(k)));
    let payload = encrypt(&one, "hello", [1; 32]).unwrap();
    assert_eq!(decrypt(&two, &payload), Err(Nip44Error::Mac));
}

#[test]
fn a_conversation_key_is_not_printed() {
    let key = ConversationKey::from_secret(Secret32::from_bytes([0xab; 32]));
    assert_eq!(format!("{key:?}"), "ConversationKey(<redacted>)");
}
