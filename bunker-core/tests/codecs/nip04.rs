use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bunker_core::limits::{MAX_NIP04_MESSAGE_BYTES, MAX_NIP04_PLAINTEXT_BYTES};
use bunker_core::nip04::{Nip04Error, decrypt, encrypt};
use cbc::cipher::{BlockEncryptMut, KeyIvInit, block_padding::NoPadding};
use frost_wasm_core::secret::Secret32;

use super::transport;

/// Sender's secret, receiver's secret, message, plaintext: as other implementations published them.
fn vectors() -> Vec<[String; 4]> {
    let text = include_str!("../vectors/nip04.json");
    serde_json::from_str(text).unwrap()
}

#[test]
fn messages_of_other_implementations_are_read_by_both_parties_and_written_the_same() {
    let vectors = vectors();
    for [sender, receiver, message, plaintext] in &vectors {
        let [sender, receiver] = [sender, receiver].map(|hex| transport(hex));
        let ours = sender.shared_x(&receiver.public_key()).unwrap();
        let theirs = receiver.shared_x(&sender.public_key()).unwrap();
        assert_eq!(&decrypt(&ours, message).unwrap(), plaintext);
        assert_eq!(&decrypt(&theirs, message).unwrap(), plaintext);
        let (_, iv) = message.split_once("?iv=").unwrap();
        let iv = STANDARD.decode(iv).unwrap().try_into().unwrap();
        assert_eq!(&encrypt(&ours, plaintext, iv).unwrap(), message);
    }
    println!("nip04: {} vectors", vectors.len());
    assert_eq!(vectors.len(), 3);
}

#[test]
fn broken_messages_are_refused_by_name() {
    let key = Secret32::from_bytes([7; 32]);
    let iv = STANDARD.encode([1; 16]);
    let cases = [
        ("", Nip04Error::NoIv),
        ("aGVsbG8=", Nip04Error::NoIv),
        (&format!("****?iv={iv}"), Nip04Error::Base64),
        (&format!("AAAAAAAAAAAAAAAAAAAAAA?iv={iv}"), Nip04Error::Base64),
        ("AAAAAAAAAAAAAAAAAAAAAA==?iv=*", Nip04Error::Base64),
        ("AAAAAAAAAAAAAAAAAAAAAA==?iv=", Nip04Error::IvSize(0)),
        ("AAAAAAAAAAAAAAAAAAAAAA==?iv=AAAAAAAAAAAAAAAA", Nip04Error::IvSize(12)),
        (&format!("?iv={iv}"), Nip04Error::CiphertextSize(0)),
        (&format!("AAAA?iv={iv}"), Nip04Error::CiphertextSize(3)),
        (
            &format!("{}?iv={iv}", "A".repeat(MAX_NIP04_MESSAGE_BYTES)),
            Nip04Error::MessageSize(MAX_NIP04_MESSAGE_BYTES + 28),
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(decrypt(&key, message), Err(expected));
    }
    let too_long = "x".repeat(MAX_NIP04_PLAINTEXT_BYTES + 1);
    assert_eq!(encrypt(&key, &too_long, [1; 16]), Err(Nip04Error::PlaintextSize(MAX_NIP04_PLAINTEXT_BYTES + 1)));
    let longest = "x".repeat(MAX_NIP04_PLAINTEXT_BYTES);
    let message = encrypt(&key, &longest, [1; 16]).unwrap();
    assert!(message.len() <= MAX_NIP04_MESSAGE_BYTES);
    assert_eq!(decrypt(&key, &message).unwrap(), longest);
}

/// Every last block there can be with bad padding, and good padding over text that is not UTF-8, read
/// as the same refusal: its text tells nothing about the padding.
#[test]
fn a_refusal_is_no_padding_oracle() {
    let key = Secret32::from_bytes([7; 32]);
    let iv = [1; 16];
    let seal = |block: [u8; 16]| {
        let data = cbc::Encryptor::<Aes256>::new(key.expose_secret().into(), &iv.into())
            .encrypt_padded_vec_mut::<NoPadding>(&block);
        format!("{}?iv={}", STANDARD.encode(data), STANDARD.encode(iv))
    };
    for last in (0..=255_u8).filter(|last| *last != 1) {
        let mut block = [b'a'; 16];
        block[15] = last;
        assert_eq!(decrypt(&key, &seal(block)), Err(Nip04Error::Unreadable), "padding byte {last}");
    }
    let mut not_utf8 = [0xff; 16];
    not_utf8[15] = 1;
    assert_eq!(decrypt(&key, &seal(not_utf8)), Err(Nip04Error::Unreadable));
    let mut good = [b'a'; 16];
    good[15] = 1;
    assert_eq!(decrypt(&key, &seal(good)).unwrap(), "a".repeat(15));
}
