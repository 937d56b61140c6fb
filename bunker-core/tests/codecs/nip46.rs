use bunker_core::event::{EventError, Template};
use bunker_core::keys::PublicKey;
use bunker_core::limits::MAX_ERROR_TEXT_BYTES;
use bunker_core::nip44::{Nip44Error, encrypt};
use bunker_core::nip46::{
    AuthUrl, BadRequest, Call, ClientMetadata, KIND, Method, OpenError, Permission, Request, RequestError, Response,
    open_request, requested_permissions, seal_response,
};
use serde_json::{Value, json};

use super::{rng, sha256_hex, transport};

const KEY: &str = "fa984bd7dbb282f07e16e7ae87b26a2a7b9b90b7246a44771f0cf5ae58018f52";

fn call(method: &str, params: Value) -> Result<Call, RequestError> {
    let request = json!({ "id": "1", "method": method, "params": params }).to_string();
    Request::parse(&request).unwrap().call()
}

fn bad(json: Value) -> (Option<String>, RequestError) {
    let BadRequest { id, error } = Request::parse(&json.to_string()).unwrap_err();
    (id, error)
}

#[test]
fn every_method_of_the_text_is_read() {
    let template = json!({ "kind": 1, "content": "x", "tags": [], "created_at": 1_714_078_911 });
    let expected = Template { created_at: 1_714_078_911, kind: 1, tags: vec![], content: "x".into() };
    let peer: PublicKey = KEY.parse().unwrap();
    assert!(matches!(call("ping", json!([])), Ok(Call::Ping)));
    assert!(matches!(call("get_public_key", json!([])), Ok(Call::GetPublicKey)));
    assert!(matches!(call("switch_relays", json!([])), Ok(Call::SwitchRelays)));
    assert!(matches!(call("logout", json!([])), Ok(Call::Logout)));
    assert!(matches!(call("sign_event", json!([template.to_string()])), Ok(Call::SignEvent(t)) if t == expected));
    assert!(matches!(call("sign_event", json!([template])), Ok(Call::SignEvent(t)) if t == expected));
    assert!(
        matches!(call("nip04_encrypt", json!([KEY, "x"])), Ok(Call::Nip04Encrypt { peer: p, plaintext }) if p == peer && plaintext.expose_secret() == "x")
    );
    assert!(
        matches!(call("nip44_encrypt", json!([KEY, "x"])), Ok(Call::Nip44Encrypt { peer: p, plaintext }) if p == peer && plaintext.expose_secret() == "x")
    );
    assert!(
        matches!(call("nip04_decrypt", json!([KEY, "x"])), Ok(Call::Nip04Decrypt { peer: p, ciphertext }) if p == peer && ciphertext == "x")
    );
    assert!(
        matches!(call("nip44_decrypt", json!([KEY, "x"])), Ok(Call::Nip44Decrypt { peer: p, ciphertext }) if p == peer && ciphertext == "x")
    );
    assert!(matches!(call("connect", json!([KEY])), Ok(Call::Connect(_))));
    for method in Method::KNOWN {
        assert_eq!(Method::from_name(method.name()), method);
    }
}

/// Clients send an empty string or a stranger's key as the first parameter, null for what they leave
/// out, and metadata as text or object.
#[test]
fn connect_is_read_from_every_client() {
    let metadata = json!({ "name": "App", "url": "https://app.example", "image": "https://app.example/i.png" });
    let connect = |params| match call("connect", params) {
        Ok(Call::Connect(connect)) => connect,
        other => panic!("{other:?}"),
    };
    for params in [
        json!(["", "secret", "nip44_encrypt,sign_event:4", metadata.to_string()]),
        json!([KEY, "secret", "nip44_encrypt, sign_event:4", metadata]),
        json!(["anything", "secret", "nip44_encrypt,,?,sign_event:4", metadata.to_string()]),
        json!([null, "secret", "nip44_encrypt,sign_event:4", metadata.to_string()]),
    ] {
        let connect = connect(params);
        assert_eq!(hex::encode(connect.secret.unwrap().sha256()), sha256_hex("secret"));
        let sign = Permission { method: Method::SignEvent, kind: Some(4) };
        let encrypt = Permission { method: Method::Nip44Encrypt, kind: None };
        assert_eq!(connect.permissions, [encrypt, sign]);
        assert_eq!(connect.metadata.name.as_deref(), Some("App"));
        assert_eq!(connect.metadata.image.as_deref(), Some("https://app.example/i.png"));
    }
    for params in
        [json!([]), json!([KEY]), json!([KEY, ""]), json!([KEY, null, null, null]), json!([KEY, "", "", "not json"])]
    {
        let connect = connect(params);
        assert!(connect.secret.is_none());
        assert!(connect.permissions.is_empty());
        assert_eq!(connect.metadata, ClientMetadata::default());
    }
}

#[test]
fn bad_parameters_are_refused_by_name() {
    let count = |method: Method, got| RequestError::ParamCount { method, got };
    let upper = KEY.to_uppercase();
    let off_curve = "f".repeat(64);
    let cases = [
        ("ping", json!(["x"]), count(Method::Ping, 1)),
        ("logout", json!([null]), count(Method::Logout, 1)),
        ("get_public_key", json!(["x"]), count(Method::GetPublicKey, 1)),
        ("switch_relays", json!(["x"]), count(Method::SwitchRelays, 1)),
        ("connect", json!(["", "", "", "", ""]), count(Method::Connect, 5)),
        ("connect", json!([KEY, {}]), RequestError::ParamType(1)),
        ("connect", json!([KEY, "x".repeat(257)]), RequestError::SecretLength),
        ("sign_event", json!([]), count(Method::SignEvent, 0)),
        ("sign_event", json!([{}, {}]), count(Method::SignEvent, 2)),
        ("sign_event", json!([null]), RequestError::ParamType(0)),
        ("sign_event", json!(["{"]), RequestError::Template(EventError::NotJson)),
        ("sign_event", json!([{}]), RequestError::Template(EventError::Missing("created_at"))),
        ("nip44_encrypt", json!([KEY]), count(Method::Nip44Encrypt, 1)),
        ("nip44_encrypt", json!([KEY, "x", "y"]), count(Method::Nip44Encrypt, 3)),
        ("nip44_decrypt", json!([KEY, null]), RequestError::ParamType(1)),
        ("nip44_decrypt", json!([upper, "x"]), RequestError::Peer),
        ("nip04_decrypt", json!([off_curve, "x"]), RequestError::Peer),
        ("nip04_encrypt", json!(["", "x"]), RequestError::Peer),
        ("sign_message", json!(["x"]), RequestError::UnknownMethod("sign_message".into())),
        ("Ping", json!([]), RequestError::UnknownMethod("Ping".into())),
    ];
    for (method, params, expected) in cases {
        assert_eq!(call(method, params.clone()).unwrap_err(), expected, "{method} {params}");
    }
}

#[test]
fn a_bad_request_with_an_id_can_be_answered() {
    let id = Some("7".to_owned());
    let cases = [
        (json!({ "id": "7" }), id.clone(), RequestError::NoMethod),
        (json!({ "id": "7", "method": 1, "params": [] }), id.clone(), RequestError::NoMethod),
        (json!({ "id": "7", "method": "", "params": [] }), id.clone(), RequestError::NoMethod),
        (json!({ "id": "7", "method": "x".repeat(65), "params": [] }), id.clone(), RequestError::NoMethod),
        (json!({ "id": "7", "method": "ping" }), id.clone(), RequestError::ParamsNotAnArray),
        (json!({ "id": "7", "method": "ping", "params": {} }), id.clone(), RequestError::ParamsNotAnArray),
        (json!({ "id": "7", "method": "ping", "params": [1] }), id.clone(), RequestError::ParamType(0)),
        (json!({ "id": "7", "method": "ping", "params": ["", [[]]] }), id.clone(), RequestError::ParamType(1)),
        (
            json!({ "id": "7", "method": "ping", "params": vec![""; 9] }),
            id,
            RequestError::ParamCount { method: Method::Ping, got: 9 },
        ),
        (json!({ "method": "ping", "params": [] }), None, RequestError::NoId),
        (json!({ "id": 7, "method": "ping", "params": [] }), None, RequestError::IdNotAString),
        (json!({ "id": null, "method": "ping", "params": [] }), None, RequestError::IdNotAString),
        (json!({ "id": "", "method": "ping", "params": [] }), None, RequestError::IdLength),
        (json!({ "id": "x".repeat(129), "method": "ping", "params": [] }), None, RequestError::IdLength),
        (json!([]), None, RequestError::NotAnObject),
    ];
    for (json, id, error) in cases {
        assert_eq!(bad(json.clone()), (id, error), "{json}");
    }
    assert_eq!(Request::parse("{").unwrap_err().error, RequestError::NotJson);
}

/// `result` is always a string; success omits `error`; failure has the result `"error"`.
#[test]
fn replies_have_the_one_form_every_client_takes() {
    let url = AuthUrl::new("https://bunker.example/approve/1").unwrap();
    let cases = [
        (Response::ok("1", "ack"), json!({ "id": "1", "result": "ack" })),
        (Response::ok("1", "null"), json!({ "id": "1", "result": "null" })),
        (Response::ok("1", ""), json!({ "id": "1", "result": "" })),
        (Response::error("1", "not allowed"), json!({ "id": "1", "result": "error", "error": "not allowed" })),
        (Response::error("1", ""), json!({ "id": "1", "result": "error", "error": "error" })),
        (
            Response::auth_url("1", url),
            json!({ "id": "1", "result": "auth_url", "error": "https://bunker.example/approve/1" }),
        ),
    ];
    for (response, expected) in cases {
        let json = response.to_json();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), expected);
        assert_eq!(Response::parse(&json).unwrap().to_json(), json);
    }
    let long = Response::error("1", "ä".repeat(MAX_ERROR_TEXT_BYTES));
    assert_eq!(long.error_text().unwrap().len(), MAX_ERROR_TEXT_BYTES);
}

#[test]
fn an_auth_url_is_https_except_for_this_machine() {
    for good in [
        "https://bunker.example/approve",
        "http://localhost:8787/approve",
        "http://127.0.0.1:8787/approve",
        "http://[::1]/approve",
        "http://localhost",
    ] {
        assert!(AuthUrl::new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "https://",
        "https:///x",
        "http://bunker.example/approve",
        "http://localhost.example/",
        "http://localhost@bunker.example/",
        "http://localhost:8787@bunker.example/",
        "http://127.0.0.1.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "HTTPS://bunker.example",
        "https://bunker.example/ä",
        "https://bunker.example/a b",
        "https://bunker.example/\n",
        "//bunker.example",
    ] {
        assert!(AuthUrl::new(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_a_client_says_of_itself_is_cut_to_what_may_be_shown() {
    let hints = ClientMetadata::from_hints;
    let shown = hints(Some(" Pay\u{202e}Pal\u{0}\n "), Some("https://a.example"), None);
    assert_eq!(shown.name.as_deref(), Some("PayPal"));
    assert_eq!(shown.url.as_deref(), Some("https://a.example"));
    for name in ["", " \u{200b} ", &"x".repeat(65)] {
        assert_eq!(hints(Some(name), None, None).name, None);
    }
    for url in [
        "javascript:alert(1)",
        "http://a.example",
        "https://",
        "https:///x",
        "https://a.example/\"onload=",
        "https://a.example/<",
        &format!("https://{}", "a".repeat(512)),
    ] {
        let shown = hints(None, Some(url), Some(url));
        assert_eq!((shown.url, shown.image), (None, None), "{url}");
    }
    assert_eq!(ClientMetadata::from_json(&format!("{{\"name\":\"{}\"}}", "x".repeat(5000))), ClientMetadata::default());
    assert_eq!(ClientMetadata::from_json("[1]"), ClientMetadata::default());
    assert_eq!(
        ClientMetadata::from_json(r#"{"name":1,"url":"https://a.example"}"#).url.as_deref(),
        Some("https://a.example")
    );
}

#[test]
fn requested_permissions_are_read_or_dropped_one_by_one() {
    let of = |method, kind| Permission { method, kind };
    assert_eq!(
        requested_permissions("nip44_encrypt,sign_event:4"),
        [of(Method::Nip44Encrypt, None), of(Method::SignEvent, Some(4))]
    );
    assert_eq!(
        requested_permissions("sign_event, sign_event:0 ,future_call"),
        [of(Method::SignEvent, None), of(Method::SignEvent, Some(0)), of(Method::Unknown("future_call".into()), None)]
    );
    for bad in [
        "",
        "sign_event:",
        "sign_event:65536",
        "sign_event:-1",
        "sign_event:+1",
        "sign_event:01",
        "sign_event:1:2",
        "ping:1",
        "Ping",
        "a b",
        "<b>",
    ] {
        assert_eq!(requested_permissions(bad), [], "{bad}");
    }
    assert_eq!(requested_permissions(&"ping,".repeat(500)).len(), 128);
}

#[test]
fn a_request_is_opened_with_the_right_key_only_and_answered_to_its_sender() {
    let mut rng = rng(5);
    let client = transport(&"11".repeat(32));
    let signer = transport(&"22".repeat(32));
    let key = client.conversation_key(&signer.public_key()).unwrap();
    let json = json!({ "id": "abc", "method": "ping", "params": [] }).to_string();
    let event = |kind, content| {
        let tags = vec![vec!["p".to_owned(), signer.public_key().to_hex()]];
        let template = Template { created_at: 1, kind, tags, content };
        template.sign_with(&client, &mut super::rng(6)).unwrap().into_verified().unwrap()
    };
    let sealed = encrypt(&key, &json, [1; 32]).unwrap();
    let request = open_request(&event(KIND, sealed.clone()), &key).unwrap();
    assert_eq!((request.id.as_str(), &request.method), ("abc", &Method::Ping));
    assert_eq!(request.to_json(), json);

    assert_eq!(open_request(&event(1, sealed.clone()), &key).unwrap_err(), OpenError::WrongKind);
    let wrong = client.conversation_key(&client.public_key()).unwrap();
    assert_eq!(open_request(&event(KIND, sealed), &wrong).unwrap_err(), OpenError::Decrypt(Nip44Error::Mac));
    let not_json = encrypt(&key, "x", [1; 32]).unwrap();
    let error = BadRequest { id: None, error: RequestError::NotJson };
    assert_eq!(open_request(&event(KIND, not_json), &key).unwrap_err(), OpenError::Request(error));

    let reply =
        seal_response(&Response::ok("abc", "pong"), &signer, &key, client.public_key(), 1_714_078_911, &mut rng)
            .unwrap();
    reply.verify().unwrap();
    assert_eq!((reply.kind, reply.created_at, reply.pubkey), (KIND, 1_714_078_911, signer.public_key()));
    assert_eq!(reply.tags, [["p".to_owned(), client.public_key().to_hex()]]);
    let json = bunker_core::nip44::decrypt(&key, &reply.content).unwrap();
    assert_eq!(json, r#"{"id":"abc","result":"pong"}"#);
}

/// An app that still speaks NIP-04 gets no answer in it.
#[test]
fn a_nip04_envelope_is_not_read_in_place_of_nip44() {
    let client = transport(&"11".repeat(32));
    let signer = transport(&"22".repeat(32)).public_key();
    let shared_x = client.shared_x(&signer).unwrap();
    let key = client.conversation_key(&signer).unwrap();
    let json = json!({ "id": "abc", "method": "ping", "params": [], "more": "x".repeat(200) }).to_string();
    let content = bunker_core::nip04::encrypt(&shared_x, &json, [1; 16]).unwrap();
    let template = Template { created_at: 1, kind: KIND, tags: vec![], content };
    let event = template.sign_with(&client, &mut rng(7)).unwrap().into_verified().unwrap();
    assert_eq!(open_request(&event, &key).unwrap_err(), OpenError::Decrypt(Nip44Error::Base64));
}

#[test]
fn secrets_and_messages_in_requests_and_replies_are_not_printed() {
    let secret = "correcthorsebatterystaple";
    let printed = [
        format!(
            "{:?}",
            Request::parse(&json!({ "id": "1", "method": "connect", "params": ["", secret, {}] }).to_string()).unwrap()
        ),
        format!("{:?}", call("connect", json!(["", secret])).unwrap()),
        format!("{:?}", call("nip44_encrypt", json!([KEY, secret])).unwrap()),
        format!("{:?}", call("nip44_encrypt", json!([secret, "x"])).unwrap_err()),
        format!("{:?}", call("sign_event", json!([secret])).unwrap_err()),
        format!("{:?}", Response::ok("1", secret)),
    ];
    for printed in printed {
        assert!(!printed.contains(secret), "{printed}");
    }
}
