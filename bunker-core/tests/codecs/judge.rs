//! The `nostr` crate, which stands on libsecp256k1 and has its own framing, as independent judge.

use bunker_core::event::{Event, Template};
use bunker_core::keys::TransportSecret;
use bunker_core::nip19::{Address, Entity, EventPointer, Profile};
use bunker_core::nip46::{Call, Request, Response, open_request, seal_response};
use bunker_core::uri::{BunkerUri, ConnectionSecret};
use bunker_core::{nip04, nip19, nip44};
use nostr::nips::nip01::Coordinate;
use nostr::nips::nip19::{FromBech32, Nip19Coordinate, Nip19Event, Nip19Profile, ToBech32};
use nostr::nips::nip46::{NostrConnectEventBuilder, NostrConnectMessage, NostrConnectRequest, NostrConnectUri};
use nostr::prelude::{
    EventBuilder, FinalizeEvent as _, FinalizeUnsignedEvent as _, Keys, Kind, RelayUrl, Tag, Timestamp,
};
use rand_core::RngCore;

use super::rng;

const TEXTS: [&str; 6] = [
    "x",
    "Hello, I'm signing remotely",
    "\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/ \u{7f}",
    "ä\u{80}\u{2028}\u{2029}\u{feff}😀 שלום",
    "{\"a\":[1,2.0]}",
    "a line\nanother",
];

fn theirs(ours: &TransportSecret) -> Keys {
    Keys::parse(&hex::encode(ours.expose_secret().expose_secret())).unwrap()
}

#[test]
fn the_judge_accepts_our_events() {
    let mut rng = rng(10);
    for (n, text) in (0_u64..).zip(TEXTS) {
        let secret = TransportSecret::random(&mut rng);
        let tags = vec![vec!["t".to_owned(), text.to_owned()], vec!["-".to_owned()]];
        let kind = u16::try_from(n).unwrap() * 13_107;
        let template = Template { created_at: n << 30, kind, tags, content: text.to_owned() };
        let event = template.sign_with(&secret, &mut rng).unwrap();
        let judged = nostr::prelude::Event::from_json(event.to_json()).unwrap();
        judged.verify().unwrap();
        assert_eq!(judged.id.to_hex(), event.id.to_hex());
        assert_eq!(judged.content, text);
    }
}

#[test]
fn we_accept_the_judges_events() {
    for text in TEXTS {
        let keys = Keys::generate();
        let event = EventBuilder::new(Kind::from_u16(30_023), text)
            .tag(Tag::parse(["d", text]).unwrap())
            .custom_created_at(Timestamp::from_secs(1_714_078_911))
            .finalize(&keys)
            .unwrap();
        let ours = Event::parse(&event.as_json()).unwrap();
        ours.verify().unwrap();
        assert_eq!(ours.id.to_hex(), event.id.to_hex());
    }
}

#[test]
fn nip44_is_read_in_both_directions() {
    let mut rng = rng(11);
    let long = ["x".repeat(65_535), "x".repeat(65_536), "ä".repeat(50_000), "y".repeat(300_000)];
    for text in TEXTS.into_iter().chain(long.iter().map(String::as_str)) {
        let ours = TransportSecret::random(&mut rng);
        let keys = Keys::generate();
        let peer = keys.public_key().to_hex().parse().unwrap();
        let key = ours.conversation_key(&peer).unwrap();
        let our_key = nostr::prelude::PublicKey::from_hex(&ours.public_key().to_hex()).unwrap();
        let payload = nip44::encrypt_random(&key, text, &mut rng).unwrap();
        let read = nostr::nips::nip44::decrypt(keys.secret_key(), &our_key, &payload).unwrap();
        assert_eq!(read, text);
        let payload =
            nostr::nips::nip44::encrypt(keys.secret_key(), &our_key, text, nostr::nips::nip44::Version::V2).unwrap();
        assert_eq!(nip44::decrypt(&key, &payload).unwrap(), text);
    }
}

#[test]
fn nip04_is_read_in_both_directions() {
    let mut rng = rng(12);
    for text in TEXTS.into_iter().chain([""]) {
        let ours = TransportSecret::random(&mut rng);
        let keys = Keys::generate();
        let shared_x = ours.shared_x(&keys.public_key().to_hex().parse().unwrap()).unwrap();
        let our_key = nostr::prelude::PublicKey::from_hex(&ours.public_key().to_hex()).unwrap();
        let message = nip04::encrypt_random(&shared_x, text, &mut rng).unwrap();
        let read = nostr::nips::nip04::decrypt(keys.secret_key(), &our_key, &message).unwrap();
        assert_eq!(read, text);
        let message = nostr::nips::nip04::encrypt(keys.secret_key(), &our_key, text).unwrap();
        assert_eq!(nip04::decrypt(&shared_x, &message).unwrap(), text);
    }
}

#[test]
fn nip19_is_the_same_text_in_both_directions() {
    let mut rng = rng(13);
    for n in 0..16_u16 {
        let secret = TransportSecret::random(&mut rng);
        let keys = theirs(&secret);
        let npub = keys.public_key().to_bech32().unwrap();
        assert_eq!(nip19::encode_npub(&secret.public_key()), npub);
        assert_eq!(nip19::decode_npub(&npub).unwrap(), secret.public_key());
        let nsec = keys.secret_key().to_bech32().unwrap();
        assert_eq!(nip19::encode_nsec(&secret.expose_secret()).expose_secret(), nsec);
        let decoded = nip19::decode_nsec(&nsec).unwrap();
        assert!(decoded.ct_eq(&secret.expose_secret()));

        let mut id = [0; 32];
        rng.fill_bytes(&mut id);
        let their_id = nostr::prelude::EventId::from_slice(&id).unwrap();
        let id = bunker_core::keys::EventId::from_bytes(id);
        assert_eq!(Entity::Note(id).encode().unwrap(), their_id.to_bech32().unwrap());

        let urls: Vec<String> = (0..n % 3).map(|n| format!("wss://r{n}.example/x/")).collect();
        let relays: Vec<_> = urls.iter().map(|url| url.parse().unwrap()).collect();
        let their_relays: Vec<_> = urls.iter().map(|url| RelayUrl::parse(url).unwrap()).collect();
        let profile = Profile { pubkey: secret.public_key(), relays: relays.clone() };
        let theirs = Nip19Profile::new(keys.public_key(), their_relays.clone());
        let text = theirs.to_bech32().unwrap();
        assert_eq!(Entity::decode(&text).unwrap(), Entity::Profile(profile.clone()));
        assert_eq!(Nip19Profile::from_bech32(&Entity::Profile(profile).encode().unwrap()).unwrap(), theirs);

        let event =
            EventPointer { id, relays: relays.clone(), author: Some(secret.public_key()), kind: Some(n * 4000) };
        let theirs = Nip19Event::new(their_id)
            .author(keys.public_key())
            .kind(Kind::from_u16(n * 4000))
            .relays(their_relays.clone());
        let text = theirs.to_bech32().unwrap();
        assert_eq!(Entity::decode(&text).unwrap(), Entity::Event(event.clone()));
        assert_eq!(Nip19Event::from_bech32(&Entity::Event(event).encode().unwrap()).unwrap(), theirs);

        let address = Address { identifier: format!("ä{n}"), pubkey: secret.public_key(), kind: 30_000 + n, relays };
        let coordinate = Coordinate::new(Kind::from_u16(30_000 + n), keys.public_key()).identifier(format!("ä{n}"));
        let theirs = Nip19Coordinate::new(coordinate, their_relays);
        let text = theirs.to_bech32().unwrap();
        assert_eq!(Entity::decode(&text).unwrap(), Entity::Address(address.clone()));
        assert_eq!(Nip19Coordinate::from_bech32(&Entity::Address(address).encode().unwrap()).unwrap(), theirs);
    }
}

#[test]
fn nip46_requests_and_replies_are_read_in_both_directions() {
    let mut rng = rng(14);
    let signer = TransportSecret::random(&mut rng);
    let signer_key = nostr::prelude::PublicKey::from_hex(&signer.public_key().to_hex()).unwrap();
    let client = Keys::generate();
    let client_key = client.public_key().to_hex().parse().unwrap();
    let key = signer.conversation_key(&client_key).unwrap();
    let requests = [
        NostrConnectRequest::Ping,
        NostrConnectRequest::GetPublicKey,
        NostrConnectRequest::Connect {
            remote_signer_public_key: signer_key,
            secret: Some("0123456789abcdef".to_owned()),
        },
        NostrConnectRequest::Nip44Encrypt { public_key: signer_key, text: "x".to_owned() },
        NostrConnectRequest::Nip04Decrypt { public_key: signer_key, ciphertext: "x".to_owned() },
    ];
    for request in requests {
        let method = request.method();
        let message = NostrConnectMessage::request(&request);
        let event = NostrConnectEventBuilder::new(signer_key, message.clone()).finalize(&client).unwrap();
        let event = Event::parse(&event.as_json()).unwrap().into_verified().unwrap();
        let opened = open_request(&event, &key).unwrap();
        assert_eq!(opened.id, message.id());
        assert_eq!(opened.call().unwrap().method().name(), method.to_string());

        for response in [Response::ok(&opened.id, "ack"), Response::error(&opened.id, "not allowed")] {
            let reply = seal_response(&response, &signer, &key, client_key, 1, &mut rng).unwrap();
            let reply = nostr::prelude::Event::from_json(reply.to_json()).unwrap();
            reply.verify().unwrap();
            let json = nostr::nips::nip44::decrypt(client.secret_key(), &signer_key, &reply.content).unwrap();
            let NostrConnectMessage::Response { id, result, error } = NostrConnectMessage::from_json(json).unwrap()
            else {
                panic!("not taken for a response");
            };
            assert_eq!(id, opened.id);
            assert_eq!(error.as_deref(), response.error_text());
            assert_eq!(result.as_deref(), Some(response.expose_result().unwrap_or("error")));
        }
    }
}

#[test]
fn the_judges_sign_event_request_gives_the_template_it_holds() {
    let keys = Keys::generate();
    let unsigned = EventBuilder::new(Kind::TextNote, TEXTS[2])
        .tag(Tag::parse(["t", TEXTS[3]]).unwrap())
        .custom_created_at(Timestamp::from_secs(5))
        .finalize_unsigned(keys.public_key());
    let message = NostrConnectMessage::request(&NostrConnectRequest::SignEvent(unsigned));
    let Call::SignEvent(template) = Request::parse(&message.as_json()).unwrap().call().unwrap() else {
        panic!("not taken for sign_event");
    };
    assert_eq!(template.content, TEXTS[2]);
    assert_eq!(template.tags, [["t", TEXTS[3]]]);
    assert_eq!((template.created_at, template.kind), (5, 1));
}

#[test]
fn the_judge_reads_our_bunker_uri() {
    let mut rng = rng(15);
    let signer = TransportSecret::random(&mut rng).public_key();
    let secret = ConnectionSecret::random(&mut rng);
    let text = secret.expose_secret().to_owned();
    let relays = ["wss://bunker.example/relay/0a1b?x=1&y=%20", "ws://127.0.0.1:8787/r"];
    let uri = BunkerUri {
        remote_signer: signer,
        relays: relays.map(|url| url.parse().unwrap()).into(),
        secret: Some(secret),
    };
    let judged = NostrConnectUri::parse(uri.expose_with_secret().expose_secret()).unwrap();
    assert_eq!(judged.remote_signer_public_key().unwrap().to_hex(), signer.to_hex());
    assert_eq!(judged.secret(), Some(text.as_str()));
    let read: Vec<_> = judged.relays().iter().map(ToString::to_string).collect();
    assert_eq!(read, relays);
}
