//! Our signer of AWS requests against two judges: the vectors of AWS's own signers, and botocore.
//!
//! `vectors/sigv4/README.md` tells where the vectors come from and which of the suite's cases our requests can't meet.
//! `peers/botocore_samples.json` is what `peers/botocore_samples.py` printed; the test that needs Python prints it anew.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use passport_hsm::{
    HttpRequest, Method,
    aws::sign::{Signing, canonical},
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What one judge made of a request.
struct Expected<'a> {
    canonical: &'a str,
    string_to_sign: &'a str,
    authorization: &'a str,
}

#[derive(Deserialize)]
struct Context {
    credentials: Credentials,
    region: String,
    service: String,
    sign_body: bool,
    timestamp: String,
}

#[derive(Deserialize)]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Samples {
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    name: String,
    now_ms: u64,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    region: String,
    host: String,
    headers: BTreeMap<String, String>,
    body: String,
    canonical_request: String,
    string_to_sign: String,
    signed: BTreeMap<String, String>,
}

#[test]
fn requests_are_signed_as_the_vectors_of_aws_say() {
    let hashes = fs::read_to_string(vectors().join("SHA256SUMS")).unwrap();
    let mut cases = Vec::new();
    for line in hashes.lines() {
        let (hash, path) = line.split_once("  ").unwrap();
        assert_eq!(hex::encode(Sha256::digest(fs::read(vectors().join(path)).unwrap())), hash, "{path} was changed");
        let (case, _) = path.split_once('/').unwrap();
        if cases.last() != Some(&case) {
            cases.push(case);
        }
    }
    for case in &cases {
        signs_as_the_vector(case);
    }
    println!("{} vectors of aws-sigv4", cases.len());
    assert_eq!(cases.len(), 12);
}

#[test]
fn requests_are_signed_as_botocore_signs_them() {
    let Samples { samples } = serde_json::from_str(&fs::read_to_string(samples_file()).unwrap()).unwrap();
    assert!(samples.len() >= 20, "{} samples", samples.len());
    for sample in &samples {
        let mut request = request(Method::Post, &sample.headers, sample.body.as_bytes());
        let signing = Signing {
            access_key_id: &sample.access_key_id,
            secret_access_key: &sample.secret_access_key,
            session_token: sample.session_token.as_deref(),
            region: &sample.region,
            service: "kms",
            now_ms: sample.now_ms,
        };
        let expected = Expected {
            canonical: &sample.canonical_request,
            string_to_sign: &sample.string_to_sign,
            authorization: &sample.signed["authorization"],
        };
        check(&sample.name, &signing, &mut request, &sample.host, &expected);
        // And nothing was added, changed or left out besides.
        let sent: BTreeMap<String, String> =
            request.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
        let all: BTreeMap<_, _> = sample.headers.clone().into_iter().chain(sample.signed.clone()).collect();
        assert_eq!(sent, all, "{}", sample.name);
        assert_eq!(request.headers.len(), all.len(), "{}: a header twice", sample.name);
    }
    println!("{} samples of botocore", samples.len());
}

#[test]
#[ignore = "needs the peers: npm test -- --only=hsm"]
fn the_samples_are_what_botocore_makes_now() {
    let python = std::env::var("PASSPORT_PEERS_PYTHON").expect("PASSPORT_PEERS_PYTHON names the peers' Python");
    let script = samples_file().with_extension("py");
    let made = Command::new(python).arg(script).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(made.stdout == fs::read(samples_file()).unwrap(), "botocore makes other samples than those in git");
}

fn signs_as_the_vector(case: &str) {
    let file = |name: &str| fs::read_to_string(vectors().join(case).join(name)).unwrap();
    let context: Context = serde_json::from_str(&file("context.json")).unwrap();
    assert_eq!(context.timestamp, "2015-08-30T12:36:00Z");
    let text = file("request.txt");
    let (method, mut headers, body) = parsed(&text);
    if context.sign_body {
        headers.insert("x-amz-content-sha256".into(), hex::encode(Sha256::digest(body)));
    }
    let host = headers.remove("host").unwrap();
    let signing = Signing {
        access_key_id: &context.credentials.access_key_id,
        secret_access_key: &context.credentials.secret_access_key,
        session_token: context.credentials.token.as_deref(),
        region: &context.region,
        service: &context.service,
        now_ms: 1_440_938_160_000,
    };
    let mut request = request(method, &headers, body.as_bytes());
    let signed_request = file("header-signed-request.txt");
    let (_, signed, _) = parsed(&signed_request);
    let expected = Expected {
        canonical: &file("header-canonical-request.txt"),
        string_to_sign: &file("header-string-to-sign.txt"),
        authorization: &signed["authorization"],
    };
    check(case, &signing, &mut request, &host, &expected);
    assert!(signed["authorization"].ends_with(&file("header-signature.txt")), "{case}");
}

/// Signs, and compares every step with what the judge has.
fn check(name: &str, signing: &Signing<'_>, request: &mut HttpRequest, host: &str, expected: &Expected<'_>) {
    signing.sign(request, host);
    let (last, before) = request.headers.split_last().unwrap();
    assert_eq!(last.0, "authorization");
    let unsigned = HttpRequest {
        method: request.method,
        url: String::new(),
        headers: before.to_vec(),
        body: request.body.clone(),
    };
    let (canonical, _) = canonical(&unsigned, host);
    assert_eq!(canonical.as_str(), expected.canonical, "{name}");
    assert_eq!(signing.string_to_sign(&canonical), expected.string_to_sign, "{name}");
    assert_eq!(last.1.as_str(), expected.authorization, "{name}");
}

fn request(method: Method, headers: &BTreeMap<String, String>, body: &[u8]) -> HttpRequest {
    // A request's own names are known when it is compiled; these come from files.
    let header = |(name, value): (&String, &String)| (&*name.clone().leak(), Zeroizing::new(value.clone()));
    let headers = headers.iter().map(header).collect();
    HttpRequest { method, url: String::new(), headers, body: Zeroizing::new(body.to_vec()) }
}

/// Method, headers and body of a request in text. A line that begins with space goes on with the header before it.
fn parsed(text: &str) -> (Method, BTreeMap<String, String>, &str) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let method = match lines.next().unwrap().split(' ').next() {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        other => panic!("{other:?}"),
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        match line.split_once(':') {
            Some((name, value)) if !line.starts_with(' ') => headers.push((name.to_lowercase(), value.to_owned())),
            _ => headers.last_mut().unwrap().1.extend(["\n", line]),
        }
    }
    (method, headers.into_iter().collect(), body)
}

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sigv4")
}

fn samples_file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/botocore_samples.json")
}
