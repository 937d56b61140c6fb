//! Parsers are total: every input has an answer, and none is a panic. What is written is read back.

use bunker_core::event::{Event, Template};
use bunker_core::filter::Filter;
use bunker_core::keys::{EventId, PublicKey};
use bunker_core::nip19::{Address, Entity, EventPointer, Profile, decode_nsec};
use bunker_core::nip44::{ConversationKey, decrypt, encrypt, padded_len};
use bunker_core::nip46::{AuthUrl, ClientMetadata, Request, Response, requested_permissions};
use bunker_core::uri::{BunkerUri, ConnectionSecret, NostrConnectUri, RelayUrl};
use bunker_core::{nip04, uri::OfferedSecret};
use frost_wasm_core::secret::Secret32;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{rng, transport};

/// Any JSON, with the fields' real names often enough to get past the first check.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("id"),
        Just("pubkey"),
        Just("created_at"),
        Just("kind"),
        Just("tags"),
        Just("content"),
        Just("sig"),
        Just("method"),
        Just("params"),
        Just("result"),
        Just("error"),
        Just("ids"),
        Just("authors"),
        Just("kinds"),
        Just("#p"),
        Just("since"),
        Just("limit"),
        Just("#ü"),
        Just("name"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
        "[0-9a-f]{128}".prop_map(Value::from),
        Just(Value::from("connect")),
        Just(Value::from("sign_event")),
        Just(Value::from("nip44_decrypt")),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((name.clone(), inner), 0..8).prop_map(|fields| {
                let fields: Map<_, _> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                Value::Object(fields)
            }),
        ]
    })
}

fn read_everything(text: &str) {
    let key = ConversationKey::from_secret(Secret32::from_bytes([1; 32]));
    let _ = text.parse::<PublicKey>();
    let _ = text.parse::<EventId>();
    let _ = Event::parse(text).map(|event| event.into_verified());
    let _ = Template::parse(text);
    let _ = Filter::parse(text);
    if let Ok(request) = Request::parse(text) {
        let _ = request.call();
    }
    let _ = Response::parse(text);
    let _ = AuthUrl::new(text);
    let _ = ClientMetadata::from_json(text);
    let _ = requested_permissions(text);
    let _ = text.parse::<RelayUrl>();
    let _ = text.parse::<BunkerUri>();
    let _ = text.parse::<NostrConnectUri>();
    let _ = text.parse::<ConnectionSecret>();
    let _ = OfferedSecret::new(text);
    let _ = Entity::decode(text);
    let _ = decode_nsec(text);
    let _ = decrypt(&key, text);
    let _ = nip04::decrypt(&Secret32::from_bytes([1; 32]), text);
}

fn relays() -> impl Strategy<Value = Vec<RelayUrl>> {
    vec("wss?://[a-z0-9.:-]{1,30}(/[!-~&&[^\"'<>\\\\`#]]{0,40})?", 1..5)
        .prop_map(|urls| urls.iter().filter_map(|url| url.parse().ok()).collect())
}

fn template() -> impl Strategy<Value = Template> {
    let tags = vec(vec(any::<String>(), 1..5), 0..5);
    (0..=1_u64 << 53, any::<u16>(), tags, any::<String>()).prop_map(|(created_at, kind, tags, content)| Template {
        created_at,
        kind,
        tags,
        content,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        read_everything(&text);
    }

    #[test]
    fn no_json_makes_a_parser_panic(json in any_json()) {
        read_everything(&json.to_string());
    }

    #[test]
    fn no_identifier_makes_a_parser_panic(
        prefix in "(npub|nsec|note|nprofile|nevent|naddr|x)",
        data in vec(any::<u8>(), 0..200),
    ) {
        let prefix = bech32::Hrp::parse(&prefix).unwrap();
        read_everything(&bech32::encode::<bech32::Bech32>(prefix, &data).unwrap());
    }

    #[test]
    fn no_uri_makes_a_parser_panic(
        scheme in "(bunker|nostrconnect)://",
        query in "[?&=%+a-f0-9:/]{0,200}",
        named in "(relay|secret|perms|metadata|name)=[!-~]{0,40}",
    ) {
        let key = "83f3b2ae6aa368e8275397b9c26cf550101d63ebaab900d19dd4a4429f5ad8f5";
        read_everything(&format!("{scheme}{key}?relay=wss://r&{named}&{query}"));
    }

    #[test]
    fn no_payload_makes_a_parser_panic(data in vec(any::<u8>(), 95..400), version in 0..4_u8) {
        use base64::Engine as _;
        let mut data = data;
        data[0] = version;
        let text = base64::engine::general_purpose::STANDARD.encode(&data);
        read_everything(&text);
        read_everything(&format!("{text}?iv={}", &text[..24]));
    }

    #[test]
    fn events_round_trip_and_verify(template in template()) {
        let event = template.clone().sign_with(&transport(&"11".repeat(32)), &mut rng(1)).unwrap();
        let again = Event::parse(&event.to_json()).unwrap();
        prop_assert_eq!(&again, &event);
        prop_assert!(again.verify().is_ok());
        let json = serde_json::to_string(&template).unwrap();
        prop_assert_eq!(&Template::parse(&json).unwrap(), &template);
        let asked = json!({ "id": "1", "method": "sign_event", "params": [json] }).to_string();
        let call = Request::parse(&asked).unwrap().call().unwrap();
        prop_assert!(matches!(call, bunker_core::nip46::Call::SignEvent(asked) if asked == template));
    }

    #[test]
    fn nip44_round_trips(text in "(?s).{1,600}", key in any::<[u8; 32]>(), nonce in any::<[u8; 32]>()) {
        let key = ConversationKey::from_secret(Secret32::from_bytes(key));
        prop_assert_eq!(decrypt(&key, &encrypt(&key, &text, nonce).unwrap()).unwrap(), text);
    }

    #[test]
    fn padding_hides_the_length_and_never_shortens(bytes in 1..=u64::from(u32::MAX)) {
        let padded = padded_len(bytes);
        prop_assert!(padded >= bytes && padded >= 32 && padded.is_multiple_of(32));
        prop_assert!(padded_len(padded) == padded);
        prop_assert!(padded == 32 || padded - bytes < padded / 4);
    }

    #[test]
    fn nip04_round_trips(text in any::<String>(), key in any::<[u8; 32]>(), iv in any::<[u8; 16]>()) {
        let key = Secret32::from_bytes(key);
        prop_assert_eq!(nip04::decrypt(&key, &nip04::encrypt(&key, &text, iv).unwrap()).unwrap(), text);
    }

    #[test]
    fn nip19_round_trips(
        relays in relays(),
        id in any::<[u8; 32]>(),
        kind in any::<u16>(),
        identifier in ".{0,60}",
        seed in any::<u64>(),
    ) {
        let pubkey = bunker_core::keys::TransportSecret::random(&mut rng(seed)).public_key();
        let id = EventId::from_bytes(id);
        let author = Some(pubkey).filter(|_| kind % 2 == 0);
        for entity in [
            Entity::Npub(pubkey),
            Entity::Note(id),
            Entity::Profile(Profile { pubkey, relays: relays.clone() }),
            Entity::Event(EventPointer { id, relays: relays.clone(), author, kind: author.map(|_| kind) }),
            Entity::Address(Address { identifier: identifier.clone(), pubkey, kind, relays: relays.clone() }),
        ] {
            prop_assert_eq!(Entity::decode(&entity.encode().unwrap()).unwrap(), entity);
        }
    }

    #[test]
    fn bunker_uris_round_trip(relays in relays(), seed in any::<u64>()) {
        prop_assume!(!relays.is_empty());
        let mut rng = rng(seed);
        let remote_signer = bunker_core::keys::TransportSecret::random(&mut rng).public_key();
        let secret = ConnectionSecret::random(&mut rng);
        let text = secret.expose_secret().to_owned();
        let uri = BunkerUri { remote_signer, relays, secret: Some(secret) };
        let again: BunkerUri = uri.expose_with_secret().expose_secret().parse().unwrap();
        prop_assert_eq!(again.remote_signer, uri.remote_signer);
        prop_assert_eq!(again.relays, uri.relays);
        let secret = again.secret.unwrap();
        prop_assert_eq!(secret.expose_secret(), text);
    }

    #[test]
    fn replies_round_trip(id in ".{1,60}", result in any::<String>()) {
        let json = Response::ok(id.clone(), result.clone()).to_json();
        let again = Response::parse(&json).unwrap();
        prop_assert_eq!(again.id(), id);
        prop_assert_eq!(again.expose_result(), Some(result.as_str()));
    }
}
