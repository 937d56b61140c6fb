//! What the hot path pays for reading a request: event id, signature, NIP-44, the request itself.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use bunker_core::event::{Event, Template, compute_id};
use bunker_core::keys::TransportSecret;
use bunker_core::nip44::{decrypt, encrypt};
use bunker_core::nip46::Request;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use frost_wasm_core::secret::Secret32;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::hint::black_box;

fn secret(byte: u8) -> TransportSecret {
    match TransportSecret::from_secret(&Secret32::from_bytes([byte; 32])) {
        Ok(secret) => secret,
        Err(error) => unreachable!("{error}"),
    }
}

fn template(bytes: usize) -> Template {
    let tags = vec![vec!["p".to_owned(), secret(2).public_key().to_hex()]];
    Template { created_at: 1_714_078_911, kind: 24_133, tags, content: "x".repeat(bytes) }
}

fn event(bytes: usize) -> Event {
    match template(bytes).sign_with(&secret(1), &mut ChaCha20Rng::seed_from_u64(1)) {
        Ok(event) => event,
        Err(error) => unreachable!("{error}"),
    }
}

fn events(c: &mut Criterion) {
    let event = event(1000);
    let json = event.to_json();
    let (key, template) = (secret(1).public_key(), template(1000));
    c.bench_function("event/parse 1 kB", |b| b.iter(|| Event::parse(black_box(&json))));
    c.bench_function("event/id 1 kB", |b| b.iter(|| compute_id(&key, black_box(&template))));
    c.bench_function("event/verify 1 kB", |b| b.iter(|| black_box(&event).verify()));
}

fn nip44(c: &mut Criterion) {
    let (ours, theirs) = (secret(1), secret(2).public_key());
    c.bench_function("nip44/conversation key", |b| {
        b.iter(|| ours.conversation_key(black_box(&theirs)));
    });
    let Ok(key) = ours.conversation_key(&theirs) else {
        unreachable!("both keys are on the curve");
    };
    for (name, bytes) in [("300 B", 300), ("64 kB", 64_000)] {
        let text = "x".repeat(bytes);
        let mut group = c.benchmark_group("nip44");
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("encrypt {name}"), |b| {
            b.iter(|| encrypt(&key, black_box(&text), [1; 32]));
        });
        let Ok(payload) = encrypt(&key, &text, [1; 32]) else {
            unreachable!("the text is within the limits");
        };
        group.bench_function(format!("decrypt {name}"), |b| {
            b.iter(|| decrypt(&key, black_box(&payload)));
        });
        group.finish();
    }
}

fn requests(c: &mut Criterion) {
    let template = serde_json::json!(template(1000)).to_string();
    let json = serde_json::json!({ "id": "1", "method": "sign_event", "params": [template] });
    let json = json.to_string();
    c.bench_function("nip46/parse sign_event 1 kB", |b| {
        b.iter(|| Request::parse(black_box(&json)).map(|request| request.call()));
    });
}

criterion_group!(benches, events, nip44, requests);
criterion_main!(benches);
