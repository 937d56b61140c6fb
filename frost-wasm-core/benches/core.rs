//! What one signature and one ECDH cost, step by step, in a 2-of-3 group; and a whole keygen.
#![allow(missing_docs)]

#[path = "../tests/cast/mod.rs"]
mod cast;
#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use cast::Cast;
use common::{MESSAGE, context, group, index, parts, peer, rng, sign_two};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use frost_wasm_core::{
    frost::{ecdh, sign},
    sealed::{Dek, SealedShare},
};

fn signing(c: &mut Criterion) {
    let (_, shares) = group(2, 3, 1);
    let mut rng = rng(1);
    let (_, commitment) = sign::commit(&shares[0], &mut rng).unwrap();
    let others = [(index(1), commitment)];

    c.bench_function("sign/commit", |b| b.iter(|| sign::commit(black_box(&shares[0]), &mut rng).unwrap()));
    c.bench_function("sign/sign_last", |b| {
        b.iter(|| sign::sign_last(black_box(&shares[1]), 0, &MESSAGE, &others, &mut rng).unwrap());
    });
    c.bench_function("sign/finish_with_verification", |b| {
        b.iter_batched(
            || {
                let (nonces, own) = sign::commit(&shares[0], &mut rng).unwrap();
                let theirs = sign::sign_last(&shares[1], 0, &MESSAGE, &[(index(1), own)], &mut rng).unwrap();
                (nonces, theirs)
            },
            |(nonces, theirs)| sign::finish(nonces, &shares[0], &MESSAGE, &[theirs]).unwrap(),
            BatchSize::SmallInput,
        );
    });
    c.bench_function("sign/whole_signature_2_of_3", |b| {
        b.iter(|| sign_two(black_box(&shares[0]), &shares[1], &MESSAGE, &mut rng));
    });
}

fn conversing(c: &mut Criterion) {
    let (public, shares) = group(2, 3, 2);
    let (_, peer) = peer(3);
    let mut rng = rng(2);
    let context = context(&public);
    let parts = parts(&[&shares[0], &shares[1]], &peer, &context, &mut rng);
    let valid = shares[0].group();

    c.bench_function("ecdh/contribute_with_proof", |b| {
        b.iter(|| ecdh::contribute(black_box(&shares[0]), &peer, &context, &mut rng).unwrap());
    });
    c.bench_function("ecdh/combine_verified", |b| {
        b.iter(|| ecdh::combine_verified(valid, &peer, &context, black_box(&parts)).unwrap());
    });
    c.bench_function("ecdh/combine_unverified", |b| {
        b.iter(|| ecdh::combine_unverified(valid, &context, black_box(&parts)).unwrap());
    });
}

fn ceremonies(c: &mut Criterion) {
    // All parties' work and the coordinator's, one after the other.
    for (threshold, holders) in [(2, 3), (3, 5)] {
        let cast = Cast::keygen(threshold, holders, 1);
        c.bench_function(&format!("ceremony/keygen_{threshold}_of_{holders}"), |b| b.iter(|| black_box(&cast).run(1)));
    }
}

fn sealing(c: &mut Criterion) {
    let (public, shares) = group(2, 3, 4);
    let mut rng = rng(4);
    let dek = Dek::generate(&mut rng);
    let sealed = SealedShare::seal(&shares[1], &dek, "kek", vec![0; 60], &mut rng).unwrap();

    c.bench_function("group/validate", |b| b.iter(|| black_box(&public).validate().unwrap()));
    c.bench_function("sealed/seal", |b| {
        b.iter(|| SealedShare::seal(black_box(&shares[1]), &dek, "kek", vec![0; 60], &mut rng).unwrap());
    });
    c.bench_function("sealed/open_with_group_validation", |b| {
        b.iter(|| black_box(&sealed).open(&dek, &public, index(2)).unwrap());
    });
    let valid = public.validate().unwrap();
    c.bench_function("sealed/open_in_valid_group", |b| {
        b.iter(|| black_box(&sealed).open_in(&dek, valid.clone(), index(2)).unwrap());
    });
}

criterion_group!(benches, signing, conversing, sealing, ceremonies);
criterion_main!(benches);
