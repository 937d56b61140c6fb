use bech32::{Bech32, Hrp};
use bunker_core::keys::KeyError;
use bunker_core::nip19::{
    Address, Entity, EventPointer, Nip19Error, Profile, decode_npub, decode_nsec, encode_npub, encode_nsec,
};

use super::{public, secret};

const KEY: &str = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";
const NPUB: &str = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6";
const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";

fn bech32(prefix: &str, data: &[u8]) -> String {
    bech32::encode::<Bech32>(Hrp::parse(prefix).unwrap(), data).unwrap()
}

/// The four examples in the text of NIP-19.
#[test]
fn the_nips_examples_decode_and_encode() {
    let keys = [
        (KEY, NPUB),
        (
            "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e",
            "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg",
        ),
    ];
    for (hex, npub) in keys {
        assert_eq!(decode_npub(npub).unwrap(), public(hex));
        assert_eq!(encode_npub(&public(hex)), npub);
    }
    let hex = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";
    assert_eq!(decode_nsec(NSEC).unwrap().expose_secret(), secret(hex).expose_secret());
    assert_eq!(encode_nsec(&secret(hex)).expose_secret(), NSEC);
    let nprofile = "nprofile1qqsrhuxx8l9ex335q7he0f09aej04zpazpl0ne2cgukyawd24mayt8gpp4mhxue69uhhytnc9e3k7mgpz4mhxue69uhkg6nzv9ejuumpv34kytnrdaksjlyr9p";
    let profile = Entity::Profile(Profile {
        pubkey: public(KEY),
        relays: ["wss://r.x.com", "wss://djbas.sadkb.com"].map(|url| url.parse().unwrap()).into(),
    });
    assert_eq!(Entity::decode(nprofile).unwrap(), profile);
    assert_eq!(profile.encode().unwrap(), nprofile);
    println!("nip19 examples of the text: 4 vectors");
}

/// Identifiers that other implementations published with their meaning; origin in the vectors' README.
#[test]
fn identifiers_of_other_implementations_decode() {
    let note = "note1m99r7nwc0wdrkzldrqan96gklg5usqspq7z9696j6unf0ljnpxjspqfw99";
    let id = "d94a3f4dd87b9a3b0bed183b32e916fa29c8020107845d1752d72697fe5309a5".parse().unwrap();
    assert_eq!(Entity::decode(note).unwrap(), Entity::Note(id));
    assert_eq!(Entity::Note(id).encode().unwrap(), note);

    let nevent = "nevent1qqsdhet4232flykq3048jzc9msmaa3hnxuesxy3lnc33vd0wt9xwk6szyqewrqnkx4zsaweutf739s0cu7et29zrntqs5elw70vlm8zudr3y24sqsgy";
    let event = Entity::Event(EventPointer {
        id: "dbe57554549f92c08bea790b05dc37dec6f3373303123f9e231635ee594ceb6a".parse().unwrap(),
        relays: vec![],
        author: Some(public("32e1827635450ebb3c5a7d12c1f8e7b2b514439ac10a67eef3d9fd9c5c68e245")),
        kind: None,
    });
    assert_eq!(Entity::decode(nevent).unwrap(), event);
    assert_eq!(event.encode().unwrap(), nevent);

    let naddr = "naddr1qq98yetxv4ex2mnrv4esygrl54h466tz4v0re4pyuavvxqptsejl0vxcmnhfl60z3rth2xkpjspsgqqqw4rsf34vl5";
    let address = Entity::Address(Address {
        identifier: "references".to_owned(),
        pubkey: public("7fa56f5d6962ab1e3cd424e758c3002b8665f7b0d8dcee9fe9e288d7751ac194"),
        kind: 30_023,
        relays: vec![],
    });
    assert_eq!(Entity::decode(naddr).unwrap(), address);
    assert_eq!(address.encode().unwrap(), naddr);

    // Fields in another order than ours.
    let naddr = "naddr1qqrxyctwv9hxzq3q80cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsxpqqqp65wqfwwaehxw309aex2mrp0yhxummnw3ezuetcv9khqmr99ekhjer0d4skjm3wv4uxzmtsd3jjucm0d5q3vamnwvaz7tmwdaehgu3wvfskuctwvyhxxmmd0zfmwx";
    let address = Entity::Address(Address {
        identifier: "banana".to_owned(),
        pubkey: public(KEY),
        kind: 30_023,
        relays: ["wss://relay.nostr.example.mydomain.example.com", "wss://nostr.banana.com"]
            .map(|url| url.parse().unwrap())
            .into(),
    });
    assert_eq!(Entity::decode(naddr).unwrap(), address);
    println!("nip19 of other implementations: 4 vectors");
}

#[test]
fn a_secret_key_is_not_taken_for_something_public() {
    assert_eq!(Entity::decode(NSEC), Err(Nip19Error::SecretKey));
    assert_eq!(decode_npub(NSEC), Err(Nip19Error::SecretKey));
    assert_eq!(decode_nsec(NPUB).unwrap_err(), Nip19Error::WrongPrefix("nsec"));
    assert!(!format!("{:?}", encode_nsec(&secret(KEY))).contains("nsec1"));
}

#[test]
fn one_thing_has_one_text() {
    assert_eq!(Entity::decode(&NPUB.to_uppercase()), Err(Nip19Error::NotLowercase));
    assert_eq!(Entity::decode(&format!(" {NPUB}")), Err(Nip19Error::Bech32));
    assert_eq!(Entity::decode(&NPUB.replace('g', "q")), Err(Nip19Error::Bech32));
    let bech32m = bech32::encode::<bech32::Bech32m>(Hrp::parse("npub").unwrap(), &[1; 32]).unwrap();
    assert_eq!(Entity::decode(&bech32m), Err(Nip19Error::Bech32));
    // 32 bytes fill 51.2 characters: the last four bits of the 52nd have to be zero.
    use bech32::primitives::iter::{ByteIterExt as _, Fe32IterExt as _};
    let mut digits: Vec<_> = public(KEY).as_bytes().iter().copied().bytes_to_fes().collect();
    *digits.last_mut().unwrap() += bech32::Fe32::P;
    let prefix = Hrp::parse("npub").unwrap();
    let spare_bit: String = digits.into_iter().with_checksum::<Bech32>(&prefix).chars().collect();
    assert_eq!(Entity::decode(&spare_bit), Err(Nip19Error::Bech32));
}

#[test]
fn broken_identifiers_are_refused_by_name() {
    let key = *public(KEY).as_bytes();
    let id = [&[0, 32][..], &key].concat();
    let author = [&[2, 32][..], &key].concat();
    let kind = [3, 4, 0, 0, 0, 1];
    let cases = [
        ("", vec![], Nip19Error::Bech32),
        ("npub", vec![1; 31], Nip19Error::Length),
        ("npub", vec![1; 33], Nip19Error::Length),
        ("npub", vec![0xff; 32], Nip19Error::Key(KeyError::NotOnCurve)),
        ("note", vec![1; 31], Nip19Error::Length),
        ("nrelay", vec![0, 3, b'w', b's', b's'], Nip19Error::UnknownPrefix),
        ("bc", vec![1; 32], Nip19Error::UnknownPrefix),
        ("nprofile", vec![], Nip19Error::Missing("public key")),
        ("nprofile", vec![0], Nip19Error::Truncated),
        ("nprofile", vec![0, 32, 1], Nip19Error::Truncated),
        ("nprofile", [&id[..], &id].concat(), Nip19Error::Repeated("its subject")),
        ("nprofile", [&id[..], &[1, 3, b'w', b's', b's']].concat(), Nip19Error::Invalid("relay")),
        ("nprofile", [&[0, 32][..], &[0xff; 32]].concat(), Nip19Error::Key(KeyError::NotOnCurve)),
        ("nevent", author.clone(), Nip19Error::Missing("event id")),
        ("nevent", vec![0, 2, 1, 1], Nip19Error::Length),
        ("nevent", [&id[..], &author, &author].concat(), Nip19Error::Repeated("its author")),
        ("nevent", [&id[..], &kind, &kind].concat(), Nip19Error::Repeated("its kind")),
        ("nevent", [&id[..], &[3, 4, 0, 1, 0, 0]].concat(), Nip19Error::Invalid("kind")),
        ("nevent", [&id[..], &[3, 2, 0, 1]].concat(), Nip19Error::Invalid("kind")),
        ("naddr", [&author[..], &kind].concat(), Nip19Error::Missing("identifier")),
        ("naddr", [&[0, 0][..], &kind].concat(), Nip19Error::Missing("author")),
        ("naddr", [&[0, 0][..], &author].concat(), Nip19Error::Missing("kind")),
        ("naddr", [&[0, 1, 0xff][..], &author, &kind].concat(), Nip19Error::Invalid("identifier")),
    ];
    for (prefix, data, expected) in cases {
        let text = if prefix.is_empty() { String::new() } else { bech32(prefix, &data) };
        assert_eq!(Entity::decode(&text), Err(expected), "{text}");
    }
    assert_eq!(decode_nsec(&bech32("nsec", &[0; 32])).unwrap_err(), Nip19Error::Key(KeyError::SecretOutOfRange));
    assert_eq!(Entity::decode(&"q".repeat(5001)), Err(Nip19Error::TooLong));
}

#[test]
fn fields_that_are_not_known_are_skipped() {
    let data = [&[0, 32][..], public(KEY).as_bytes(), &[9, 2, 1, 1]].concat();
    let profile = Profile { pubkey: public(KEY), relays: vec![] };
    assert_eq!(Entity::decode(&bech32("nprofile", &data)), Ok(Entity::Profile(profile)));
}

#[test]
fn what_does_not_fit_is_not_encoded() {
    let address =
        |identifier: String| Entity::Address(Address { identifier, pubkey: public(KEY), kind: 1, relays: vec![] });
    let fits = address("x".repeat(255)).encode().unwrap();
    assert_eq!(Entity::decode(&fits), Ok(address("x".repeat(255))));
    assert_eq!(address("x".repeat(256)).encode(), Err(Nip19Error::Invalid("identifier")));
    let relay = |bytes: usize| format!("wss://{}", "r".repeat(bytes - 6)).parse().unwrap();
    let profile = |relays| Entity::Profile(Profile { pubkey: public(KEY), relays });
    assert_eq!(profile(vec![relay(256)]).encode(), Err(Nip19Error::Invalid("relay")));
    assert_eq!(profile(vec![relay(100); 21]).encode(), Err(Nip19Error::Invalid("relay list")));
    assert_eq!(profile(vec![relay(255); 20]).encode(), Err(Nip19Error::TooLong));
}
