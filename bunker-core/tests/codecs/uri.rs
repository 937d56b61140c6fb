use bunker_core::keys::KeyError;
use bunker_core::nip46::Method;
use bunker_core::uri::{BunkerUri, ConnectionSecret, NostrConnectUri, OfferedSecret, RelayUrl, UriError};

use super::{public, rng, sha256_hex};

const KEY: &str = "83f3b2ae6aa368e8275397b9c26cf550101d63ebaab900d19dd4a4429f5ad8f5";
const SECRET: &str = "abcdefghABCDEFGH0123456789";

#[test]
fn a_bunker_uri_is_read_as_written_and_shows_its_secret_only_on_demand() {
    let uri = BunkerUri {
        remote_signer: public(KEY),
        relays: ["wss://bunker.example/relay/0a?x=1&y=2", "ws://127.0.0.1:8787/relay/0a"]
            .map(|url| url.parse().unwrap())
            .into(),
        secret: Some(SECRET.parse().unwrap()),
    };
    let relays =
        "relay=wss%3A%2F%2Fbunker.example%2Frelay%2F0a%3Fx%3D1%26y%3D2&relay=ws%3A%2F%2F127.0.0.1%3A8787%2Frelay%2F0a";
    assert_eq!(uri.to_string(), format!("bunker://{KEY}?{relays}"));
    let whole = uri.expose_with_secret();
    assert_eq!(whole.expose_secret(), format!("bunker://{KEY}?{relays}&secret={SECRET}"));
    for printed in [format!("{uri}"), format!("{uri:?}"), format!("{whole:?}")] {
        assert!(!printed.contains(SECRET), "{printed}");
    }
    let again: BunkerUri = whole.expose_secret().parse().unwrap();
    assert_eq!(again.remote_signer, uri.remote_signer);
    assert_eq!(again.relays, uri.relays);
    assert_eq!(again.secret.unwrap().expose_secret(), SECRET);
    // As people write them: nothing escaped.
    let plain: BunkerUri = format!("bunker://{KEY}?relay=wss://r.example/x").parse().unwrap();
    assert_eq!(plain.relays[0].as_str(), "wss://r.example/x");
    assert!(plain.secret.is_none());
}

/// The example in the text of NIP-46.
#[test]
fn the_nips_nostrconnect_example_is_read() {
    let uri: NostrConnectUri = format!("nostrconnect://{KEY}?relay=wss%3A%2F%2Frelay1.example.com&perms=nip44_encrypt%2Cnip44_decrypt%2Csign_event%3A13%2Csign_event%3A14%2Csign_event%3A1059&name=My+Client&secret=0s8j2djs&relay=wss%3A%2F%2Frelay2.example2.com").parse().unwrap();
    assert_eq!(uri.client, public(KEY));
    let relays: Vec<_> = uri.relays.iter().map(RelayUrl::as_str).collect();
    assert_eq!(relays, ["wss://relay1.example.com", "wss://relay2.example2.com"]);
    assert_eq!(uri.secret.expose_secret(), "0s8j2djs");
    assert_eq!(uri.metadata.name.as_deref(), Some("My Client"));
    assert_eq!(uri.permissions.len(), 5);
    assert_eq!(uri.permissions[0].method, Method::Nip44Encrypt);
    assert_eq!((&uri.permissions[4].method, uri.permissions[4].kind), (&Method::SignEvent, Some(1059)));
    assert!(!format!("{uri:?} {uri}").contains("0s8j2djs"));
    println!("nip46 uri examples of the text: 1 vector");
}

#[test]
fn what_an_older_client_says_of_itself_is_read_too() {
    let uri: NostrConnectUri = format!("nostrconnect://{KEY}?metadata=%7B%22name%22%3A%22Old%22%2C%22url%22%3A%22https%3A%2F%2Fold.example%22%7D&relay=wss://r&secret=x").parse().unwrap();
    assert_eq!(uri.metadata.name.as_deref(), Some("Old"));
    assert_eq!(uri.metadata.url.as_deref(), Some("https://old.example"));
}

#[test]
fn a_uri_with_a_second_reading_is_refused() {
    let relay = "relay=wss://r.example";
    let many = format!("{relay}&").repeat(11);
    let upper = KEY.to_uppercase();
    let off_curve = "f".repeat(64);
    let cases = [
        (format!("bunker:{KEY}?{relay}"), UriError::Scheme("bunker://")),
        (format!("BUNKER://{KEY}?{relay}"), UriError::Scheme("bunker://")),
        (format!("nostrconnect://{KEY}?{relay}"), UriError::Scheme("bunker://")),
        (format!("bunker://{upper}?{relay}"), UriError::Key(KeyError::NotLowercaseHex)),
        (format!("bunker://{off_curve}?{relay}"), UriError::Key(KeyError::NotOnCurve)),
        (format!("bunker://user@{KEY}?{relay}"), UriError::Key(KeyError::WrongLength(69))),
        (format!("bunker://?{relay}"), UriError::Key(KeyError::WrongLength(0))),
        (format!("bunker://{KEY}"), UriError::NoRelay),
        (format!("bunker://{KEY}?secret={SECRET}"), UriError::NoRelay),
        (format!("bunker://{KEY}?{many}"), UriError::TooManyRelays),
        (format!("bunker://{KEY}?relay=https://r.example"), UriError::Relay),
        (format!("bunker://{KEY}?relay=wss://"), UriError::Relay),
        (format!("bunker://{KEY}?relay=wss:///x"), UriError::Relay),
        (format!("bunker://{KEY}?relay=wss://a%40r.example"), UriError::Relay),
        (format!("bunker://{KEY}?relay=wss://r.example/%23x"), UriError::Relay),
        (format!("bunker://{KEY}?relay=wss://r.example/%0a"), UriError::Relay),
        (format!("bunker://{KEY}?relay=%zz"), UriError::Encoding),
        (format!("bunker://{KEY}?relay=%f"), UriError::Encoding),
        (format!("bunker://{KEY}?relay=%+1"), UriError::Encoding),
        (format!("bunker://{KEY}?relay=%ff"), UriError::Encoding),
        (format!("bunker://{KEY}?{relay}&secret=short"), UriError::Secret),
        (format!("bunker://{KEY}?{relay}&secret={SECRET}%2B"), UriError::Secret),
        (format!("bunker://{KEY}?{relay}&secret={SECRET}&secret={SECRET}"), UriError::Repeated("secret")),
        (format!("bunker://{KEY}?{relay}&x={}", "x".repeat(8192)), UriError::TooLong),
    ];
    for (uri, expected) in cases {
        assert_eq!(uri.parse::<BunkerUri>().unwrap_err(), expected, "{uri}");
    }
    let cases = [
        (format!("nostrconnect://{KEY}?{relay}"), UriError::NoSecret),
        (format!("nostrconnect://{KEY}?{relay}&secret="), UriError::NoSecret),
        (format!("nostrconnect://{KEY}?secret=x"), UriError::NoRelay),
        (format!("nostrconnect://{KEY}?{relay}&secret={}", "x".repeat(257)), UriError::Secret),
        (format!("nostrconnect://{KEY}?{relay}&secret=x&name=a&name=b"), UriError::Repeated("name")),
        (format!("nostrconnect://{KEY}?{relay}&secret=x&perms=a&perms=b"), UriError::Repeated("perms")),
    ];
    for (uri, expected) in cases {
        assert_eq!(uri.parse::<NostrConnectUri>().unwrap_err(), expected, "{uri}");
    }
}

#[test]
fn connection_secrets_have_the_form_every_client_takes() {
    let mut rng = rng(4);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let secret = ConnectionSecret::random(&mut rng);
        let text = secret.expose_secret();
        assert_eq!(text.len(), 32);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(text.parse::<ConnectionSecret>().unwrap().sha256(), secret.sha256());
        assert_eq!(hex::encode(secret.sha256()), sha256_hex(text));
        assert_eq!(OfferedSecret::new(text).unwrap().sha256(), secret.sha256());
        assert_eq!(format!("{secret:?}"), "ConnectionSecret(<redacted>)");
        seen.extend(text.bytes());
    }
    assert_eq!(seen.len(), 62);
    for bad in ["", "fifteenletters0", &"x".repeat(65), "0123456789abcde+", "0123456789abcde ", "0123456789abcdeä"] {
        assert!(bad.parse::<ConnectionSecret>().is_err(), "{bad}");
    }
    for good in ["x".repeat(16), "9".repeat(64)] {
        assert!(good.parse::<ConnectionSecret>().is_ok());
    }
}
