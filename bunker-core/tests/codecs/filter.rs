use bunker_core::event::{Event, Template};
use bunker_core::filter::{Field, Filter, FilterError};
use serde_json::json;

use super::{rng, transport};

const KEY: &str = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";

fn event(tags: &[&[&str]]) -> Event {
    let tags = tags.iter().map(|tag| tag.iter().map(ToString::to_string).collect()).collect();
    let template = Template { created_at: 1000, kind: 24_133, tags, content: String::new() };
    template.sign_with(&transport(KEY), &mut rng(1)).unwrap()
}

#[test]
fn every_condition_must_hold() {
    let event = event(&[&["p", KEY, "wss://r"], &["t", "a"], &["t", "b"], &["t"]]);
    let other = "0".repeat(64);
    let cases = [
        (json!({}), true),
        (json!({ "ids": [event.id] }), true),
        (json!({ "ids": [other] }), false),
        (json!({ "authors": [other, event.pubkey] }), true),
        (json!({ "authors": [other] }), false),
        (json!({ "kinds": [1, 24133] }), true),
        (json!({ "kinds": [1] }), false),
        (json!({ "since": 1000, "until": 1000 }), true),
        (json!({ "since": 1001 }), false),
        (json!({ "until": 999 }), false),
        (json!({ "#p": [KEY] }), true),
        (json!({ "#p": [other] }), false),
        (json!({ "#t": ["x", "b"] }), true),
        (json!({ "#T": ["a"] }), false),
        (json!({ "#t": ["wss://r"] }), false),
        (json!({ "kinds": [24133], "#p": [KEY], "#t": ["c"] }), false),
        (json!({ "kinds": [24133], "#p": [KEY], "since": 10, "limit": 0 }), true),
    ];
    for (filter, expected) in cases {
        let parsed = Filter::parse(&filter.to_string()).unwrap();
        assert_eq!(parsed.matches(&event), expected, "{filter}");
        assert_eq!(serde_json::to_value(&parsed).unwrap(), filter);
    }
}

#[test]
fn a_filter_that_cannot_be_meant_is_refused_and_names_the_field() {
    let upper = KEY.to_uppercase();
    let cases = [
        (json!([]), FilterError::NotAnObject),
        (json!({ "search": "x" }), FilterError::UnknownField),
        (json!({ "#": ["x"] }), FilterError::UnknownField),
        (json!({ "#pp": ["x"] }), FilterError::UnknownField),
        (json!({ "#1": ["x"] }), FilterError::UnknownField),
        (json!({ "#ä": ["x"] }), FilterError::UnknownField),
        (json!({ "ids": "x" }), FilterError::Invalid(Field::Ids)),
        (json!({ "ids": [&KEY[1..]] }), FilterError::Invalid(Field::Ids)),
        (json!({ "authors": [upper] }), FilterError::Invalid(Field::Authors)),
        (json!({ "authors": [null] }), FilterError::Invalid(Field::Authors)),
        (json!({ "authors": [] }), FilterError::Empty(Field::Authors)),
        (json!({ "kinds": [65536] }), FilterError::Invalid(Field::Kinds)),
        (json!({ "kinds": [-1] }), FilterError::Invalid(Field::Kinds)),
        (json!({ "kinds": [1.0] }), FilterError::Invalid(Field::Kinds)),
        (json!({ "kinds": ["1"] }), FilterError::Invalid(Field::Kinds)),
        (json!({ "kinds": vec![1; 257] }), FilterError::TooMany(Field::Kinds)),
        (json!({ "#p": [upper] }), FilterError::Invalid(Field::Tag('p'))),
        (json!({ "#e": ["x"] }), FilterError::Invalid(Field::Tag('e'))),
        (json!({ "#t": [1] }), FilterError::Invalid(Field::Tag('t'))),
        (json!({ "#t": ["x".repeat(1025)] }), FilterError::TooMany(Field::Tag('t'))),
        (json!({ "since": -1 }), FilterError::Invalid(Field::Since)),
        (json!({ "until": 1.5 }), FilterError::Invalid(Field::Until)),
        (json!({ "until": (1_u64 << 53) + 1 }), FilterError::Invalid(Field::Until)),
        (json!({ "limit": "1" }), FilterError::Invalid(Field::Limit)),
    ];
    for (filter, expected) in cases {
        assert_eq!(Filter::parse(&filter.to_string()), Err(expected), "{filter}");
    }
    assert_eq!(Filter::parse("{"), Err(FilterError::NotJson));
    assert_eq!(FilterError::Invalid(Field::Tag('p')).to_string(), "filter has an invalid #p");
}
