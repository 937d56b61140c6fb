use bunker_core::event::{Event, EventError, Template, compute_id};
use bunker_core::keys::PublicKey;
use serde_json::{Value, json};

use super::{public, rng, sha256_hex, transport};

const KEY: &str = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";

fn template(content: &str) -> Template {
    Template {
        created_at: 1_714_078_911,
        kind: 1,
        tags: vec![vec!["t".to_owned(), content.to_owned()]],
        content: content.to_owned(),
    }
}

fn signed() -> Event {
    template("Hello, I'm signing remotely").sign_with(&transport(KEY), &mut rng(1)).unwrap()
}

fn changed(field: &str, value: Value) -> String {
    let mut json = serde_json::to_value(signed()).unwrap();
    json[field] = value;
    json.to_string()
}

/// The seven escapes that NIP-01 lists, the control characters as `JSON.stringify` writes them, and
/// everything else as it is.
#[test]
fn the_id_hashes_exactly_nip_01s_serialisation() {
    let key = public(KEY);
    let content = "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1}\u{b}\u{1f} \u{7f}\u{80}ä\u{2028}\u{2029}😀\u{feff}<>&";
    let escaped = "\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u0001\\u000b\\u001f \u{7f}\u{80}ä\u{2028}\u{2029}😀\u{feff}<>&";
    let text = format!("[0,\"{KEY}\",1714078911,1,[[\"t\",\"{escaped}\"]],\"{escaped}\"]");
    assert_eq!(compute_id(&key, &template(content)).to_hex(), sha256_hex(text));
}

#[test]
fn the_serialisation_is_what_serde_json_writes_for_every_character() {
    let key = public(KEY);
    let all: String = ('\0'..=char::MAX).collect();
    let template = template(&all);
    let text = json!([0, key, template.created_at, template.kind, template.tags, all]).to_string();
    assert_eq!(compute_id(&key, &template).to_hex(), sha256_hex(text));
    let event = template.into_signed(key, [1; 64]);
    assert_eq!(event.to_json(), serde_json::to_string(&event).unwrap());
}

#[test]
fn what_is_written_is_read_back_the_same() {
    let event = signed();
    assert_eq!(Event::parse(&event.to_json()).unwrap(), event);
    assert_eq!(serde_json::from_str::<Event>(&serde_json::to_string(&event).unwrap()).unwrap(), event);
    event.verify().unwrap();
    assert_eq!(event.clone().into_verified().unwrap().event(), &event);
}

#[test]
fn an_event_with_any_field_changed_does_not_verify() {
    let zeros = "0".repeat(64);
    let cases = [
        ("id", json!(zeros), EventError::IdMismatch),
        ("pubkey", json!(zeros), EventError::IdMismatch),
        ("created_at", json!(1), EventError::IdMismatch),
        ("kind", json!(2), EventError::IdMismatch),
        ("tags", json!([]), EventError::IdMismatch),
        ("content", json!(""), EventError::IdMismatch),
        ("sig", json!("0".repeat(128)), EventError::BadSignature),
        ("sig", json!("f".repeat(128)), EventError::BadSignature),
    ];
    for (field, value, expected) in cases {
        let event = Event::parse(&changed(field, value)).unwrap();
        assert_eq!(event.verify(), Err(expected), "{field}");
        assert_eq!(event.into_verified(), Err(expected), "{field}");
    }
}

#[test]
fn another_key_over_the_right_id_does_not_verify() {
    let key = transport(&"1".repeat(64)).public_key();
    let event = template("x").into_signed(key, [0; 64]);
    let forged = transport(KEY).sign(event.id.as_bytes(), &mut rng(2)).unwrap();
    assert_eq!(Event { sig: forged, ..event }.verify(), Err(EventError::BadSignature));
    let off_curve = PublicKey::from_bytes([0xff; 32]);
    let event = template("x").into_signed(off_curve, forged);
    assert_eq!(event.verify(), Err(EventError::BadSignature));
}

/// BIP-340's own vectors, those with a 32-byte message, through the check that events go through.
#[test]
fn signatures_are_judged_as_bip_340_judges_them() {
    let csv = include_str!("../../../frost-wasm-core/tests/vectors/bip340.csv");
    let mut count = 0;
    for row in csv.lines().skip(1) {
        let fields: Vec<_> = row.split(',').collect();
        let Ok(message) = <[u8; 32]>::try_from(hex::decode(fields[4]).unwrap()) else {
            continue;
        };
        let key = public(&fields[2].to_lowercase());
        let signature = hex::decode(fields[5]).unwrap().try_into().unwrap();
        assert_eq!(key.verify(&message, &signature).is_ok(), fields[6] == "TRUE", "{row}");
        count += 1;
    }
    println!("bip340 verification: {count} vectors");
    assert_eq!(count, 15);
}

#[test]
fn events_that_cannot_be_read_one_way_only_are_refused_by_field() {
    let upper = KEY.to_uppercase();
    let cases = [
        ("id", json!(upper), EventError::Invalid("id")),
        ("id", json!(1), EventError::Invalid("id")),
        ("pubkey", json!(upper), EventError::Invalid("pubkey")),
        ("pubkey", json!(KEY[1..]), EventError::Invalid("pubkey")),
        ("pubkey", Value::Null, EventError::Invalid("pubkey")),
        ("sig", json!(KEY), EventError::Invalid("sig")),
        ("sig", json!("F".repeat(128)), EventError::Invalid("sig")),
        ("kind", json!(65_536), EventError::Invalid("kind")),
        ("kind", json!(-1), EventError::Invalid("kind")),
        ("kind", json!(1.0), EventError::Invalid("kind")),
        ("kind", json!("1"), EventError::Invalid("kind")),
        ("created_at", json!(1.5), EventError::Invalid("created_at")),
        ("created_at", json!(-1), EventError::Invalid("created_at")),
        ("created_at", json!("1"), EventError::Invalid("created_at")),
        ("created_at", json!((1_u64 << 53) + 1), EventError::Invalid("created_at")),
        ("tags", json!({}), EventError::Invalid("tags")),
        ("tags", json!(["t"]), EventError::Invalid("tags")),
        ("tags", json!([[]]), EventError::Invalid("tags")),
        ("tags", json!([["t", 1]]), EventError::Invalid("tags")),
        ("tags", json!([["t", null]]), EventError::Invalid("tags")),
        ("tags", json!(vec![["t"]; 10_001]), EventError::TagLimit),
        ("tags", json!([vec!["t"; 257]]), EventError::TagLimit),
        ("tags", json!([["t".repeat(65_537)]]), EventError::TagLimit),
        ("content", json!(1), EventError::Invalid("content")),
    ];
    for (field, value, expected) in cases {
        assert_eq!(Event::parse(&changed(field, value.clone())), Err(expected), "{field}: {value}");
    }
    for field in ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"] {
        let mut json = serde_json::to_value(signed()).unwrap();
        json.as_object_mut().unwrap().remove(field);
        assert_eq!(Event::parse(&json.to_string()), Err(EventError::Missing(field)));
    }
    assert_eq!(Event::parse("[]"), Err(EventError::NotAnObject));
    assert_eq!(Event::parse("{"), Err(EventError::NotJson));
    assert_eq!(Event::parse(r#"{"content":"\ud800"}"#), Err(EventError::NotJson));
    assert_eq!(Event::parse(&" ".repeat(1_048_577)), Err(EventError::TooLarge(1_048_577)));
    assert!(Event::parse(&changed("created_at", json!(1_u64 << 53))).is_ok());
    assert!(Event::parse(&changed("kind", json!(65_535))).is_ok());
}

#[test]
fn fields_nip_01_does_not_name_are_ignored() {
    let event = Event::parse(&changed("relays", json!(["wss://r"]))).unwrap();
    assert_eq!(event, signed());
}

/// Apps send `pubkey`, `id` and `sig` along, right, wrong or null: what is signed is the rest.
#[test]
fn a_template_is_kept_as_it_came_apart_from_pubkey_id_and_sig() {
    let expected = template("\u{0}ä\u{2028}\\u0041 ");
    let mut json = serde_json::to_value(&expected).unwrap();
    assert_eq!(Template::parse(&json.to_string()).unwrap(), expected);
    json["pubkey"] = json!("not a key");
    json["id"] = Value::Null;
    json["sig"] = json!(7);
    json["extra"] = json!({});
    assert_eq!(Template::parse(&json.to_string()).unwrap(), expected);
    assert_eq!(Template::from_value(json).unwrap(), expected);
}

#[test]
fn refusals_quote_nothing_of_the_event() {
    let secret = "correct horse";
    for field in ["id", "pubkey", "created_at", "kind", "tags", "sig"] {
        let error = Event::parse(&changed(field, json!(secret))).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret));
        let error = serde_json::from_str::<Event>(&changed(field, json!(secret))).unwrap_err();
        assert!(!error.to_string().contains(secret));
    }
}
