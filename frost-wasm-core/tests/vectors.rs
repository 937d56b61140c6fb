//! Published vectors. Each test prints how many it ran.
#![allow(missing_docs, clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;

use common::{context, index, parts, rng, sign_two, split};
use frost_wasm_core::{
    frost::{
        dleq::{self, Proof, Statement},
        ecdh::{self, Peer, PeerError},
        sign,
    },
    group::{GroupId, GroupPublic, HolderPublic, HolderRole},
    point::{Point, XOnlyKey},
    provision::ReceivingKey,
    secret::Secret32,
    share::KeyShare,
};
use serde_json::Value;

fn array<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

fn rows(csv: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    csv.lines().skip(1).map(|line| line.splitn(8, ',').collect())
}

/// A random generator that gives the bytes a vector prescribes, and nothing after them.
struct Prescribed(Vec<u8>);

impl rand_core::RngCore for Prescribed {
    fn next_u32(&mut self) -> u32 {
        unimplemented_draw()
    }
    fn next_u64(&mut self) -> u64 {
        unimplemented_draw()
    }
    fn fill_bytes(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<_>>());
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(out);
        Ok(())
    }
}

impl rand_core::CryptoRng for Prescribed {}

fn unimplemented_draw<T>() -> T {
    panic!("the vectors prescribe bytes")
}

#[test]
fn bip340() {
    let mut ran = 0;
    let mut signed_by_shares = 0;
    for row in rows(include_str!("vectors/bip340.csv")) {
        let [_, secret, public, aux, message, signature, valid, _] = row[..] else { panic!("{row:?}") };
        let message = hex::decode(message).unwrap();
        let public: [u8; 32] = array(public);
        let verified = k256::schnorr::VerifyingKey::from_bytes(&public).is_ok_and(|key| {
            let signature = hex::decode(signature).unwrap();
            k256::schnorr::Signature::try_from(&signature[..]).is_ok_and(|s| key.verify_raw(&message, &s).is_ok())
        });
        assert_eq!(verified, valid == "TRUE", "{row:?}");
        if !secret.is_empty() {
            let key = k256::schnorr::SigningKey::from_bytes(&array::<32>(secret)).unwrap();
            assert_eq!(key.sign_raw(&message, &array(aux)).unwrap().to_bytes(), array::<64>(signature));
            signed_by_shares += usize::from(signs_by_shares(secret, &public, &message));
        }
        ran += 1;
    }
    println!("BIP-340: {ran} vectors, {signed_by_shares} of their keys and messages signed by shares too");
    assert_eq!((ran, signed_by_shares), (19, 4));
}

/// Splits the vector's key and signs its message, where that has the 32 bytes Nostr signs.
fn signs_by_shares(secret: &str, public: &[u8; 32], message: &[u8]) -> bool {
    let Ok(message) = message.try_into() else {
        return false;
    };
    let mut rng = rng(340);
    let (group, shares) = split(Secret32::from_bytes(array(secret)), 2, 3, &mut rng);
    assert_eq!(group.pubkey.as_bytes(), public);
    let signature = secp256k1::schnorr::Signature::from_byte_array(sign_two(&shares[2], &shares[0], message, &mut rng));
    let key = secp256k1::XOnlyPublicKey::from_byte_array(*public).unwrap();
    secp256k1::SECP256K1.verify_schnorr(&signature, message, &key).unwrap();
    true
}

#[test]
fn bip374_generate() {
    let mut ran = 0;
    for row in rows(include_str!("vectors/bip374_generate.csv")) {
        let [_, generator, secret, base, aux, message, proof, _] = row[..] else { panic!("{row:?}") };
        let message = (!message.is_empty()).then(|| array::<32>(message));
        // An infinite point has no spelling that parses: the type refuses it before the proof could.
        let made = base.parse().ok().and_then(|base: Point| {
            let statement = Statement { generator: generator.parse().unwrap(), base, message: message.as_ref() };
            let secret = Secret32::from_hex(secret).unwrap();
            dleq::prove(&secret, &statement, &array(aux)).ok().map(|(_, proof)| proof.to_string())
        });
        assert_eq!(made.as_deref().unwrap_or("INVALID"), proof, "{row:?}");
        ran += 1;
    }
    println!("BIP-374: {ran} proofs to generate");
    assert_eq!(ran, 11);
}

#[test]
fn bip374_verify() {
    let mut ran = 0;
    for line in include_str!("vectors/bip374_verify.csv").lines().skip(1) {
        let row: Vec<_> = line.splitn(9, ',').collect();
        let [_, generator, a, b, c, proof, message, valid, _] = row[..] else { panic!("{row:?}") };
        let message = (!message.is_empty()).then(|| array::<32>(message));
        let points = [generator, a, b, c].map(str::parse::<Point>);
        let holds = match points {
            [Ok(generator), Ok(a), Ok(base), Ok(c)] => {
                let statement = Statement { generator, base, message: message.as_ref() };
                dleq::verify(a, c, &statement, &proof.parse::<Proof>().unwrap())
            }
            _ => false,
        };
        assert_eq!(holds, valid == "TRUE", "{row:?}");
        ran += 1;
    }
    println!("BIP-374: {ran} proofs to verify");
    assert_eq!(ran, 15);
}

/// Both suites have one shape; only the crate differs.
macro_rules! check_frost_vectors {
    ($frost:ident, $json:expr) => {{
        use $frost::{
            Identifier, SigningPackage, VerifyingKey,
            keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare},
            round1::{NonceCommitment, SigningCommitments, SigningNonces},
            round2,
        };
        let json: Value = serde_json::from_str($json).unwrap();
        let bytes = |v: &Value| hex::decode(v.as_str().unwrap()).unwrap();
        let id = |v: &Value| Identifier::try_from(u16::try_from(v["identifier"].as_u64().unwrap()).unwrap()).unwrap();
        let inputs = &json["inputs"];
        let key = VerifyingKey::deserialize(&bytes(&inputs["verifying_key_key"])).unwrap();

        let mut packages = BTreeMap::new();
        let mut verifying = BTreeMap::new();
        for holder in inputs["participant_shares"].as_array().unwrap() {
            let signing = SigningShare::deserialize(&bytes(&holder["participant_share"])).unwrap();
            let public = VerifyingShare::from(signing);
            verifying.insert(id(holder), public);
            packages.insert(id(holder), KeyPackage::new(id(holder), signing, public, key, 2));
        }
        let mut nonces = BTreeMap::new();
        let mut commitments = BTreeMap::new();
        for one in json["round_one_outputs"]["outputs"].as_array().unwrap() {
            let nonce =
                |name: &str| frost_core::round1::Nonce::<$frost::Suite>::deserialize(&bytes(&one[name])).unwrap();
            let commitment = |name: &str| NonceCommitment::deserialize(&bytes(&one[name])).unwrap();
            let pair = SigningNonces::from_nonces(nonce("hiding_nonce"), nonce("binding_nonce"));
            let published =
                SigningCommitments::new(commitment("hiding_nonce_commitment"), commitment("binding_nonce_commitment"));
            assert_eq!(SigningCommitments::from(&pair), published);
            nonces.insert(id(one), pair);
            commitments.insert(id(one), published);
        }
        let package = SigningPackage::new(commitments, &bytes(&inputs["message"]));
        let mut shares = BTreeMap::new();
        for one in json["round_two_outputs"]["outputs"].as_array().unwrap() {
            let share = round2::sign(&package, &nonces[&id(one)], &packages[&id(one)]).unwrap();
            assert_eq!(share.serialize(), bytes(&one["sig_share"]));
            shares.insert(id(one), share);
        }
        let public = PublicKeyPackage::new(verifying, key, Some(2));
        let signature = $frost::aggregate(&package, &shares, &public).unwrap();
        assert_eq!(signature.serialize().unwrap(), bytes(&json["final_output"]["sig"]));
        shares.len()
    }};
}

mod frost_base {
    pub(crate) use frost_secp256k1::*;
    pub(crate) type Suite = Secp256K1Sha256;
}

mod frost_tr {
    pub(crate) use frost_secp256k1_tr::*;
    pub(crate) type Suite = Secp256K1Sha256TR;
}

#[test]
fn rfc9591_base_suite() {
    let ran = check_frost_vectors!(frost_base, include_str!("vectors/frost_secp256k1.json"));
    println!("RFC 9591 FROST(secp256k1, SHA-256): 1 signature, {ran} shares");
}

#[test]
fn frost_bip340_suite() {
    let json = include_str!("vectors/frost_secp256k1_tr.json");
    let ran = check_frost_vectors!(frost_tr, json);
    let ours = commitments_through_our_interface(json);
    println!("FROST(secp256k1, SHA-256, BIP-340): 1 signature, {ran} shares, {ours} commitments through our interface");
    assert_eq!(ours, 2);
}

/// Our group and share types take the vector's group, and our `commit` gives the vector's commitments from its
/// randomness. (Its message has 4 bytes, so signing it is left to the library.)
fn commitments_through_our_interface(json: &str) -> usize {
    let json: Value = serde_json::from_str(json).unwrap();
    let inputs = &json["inputs"];
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let secrets: Vec<_> = inputs["participant_shares"].as_array().unwrap().iter().collect();
    let holders = secrets
        .iter()
        .map(|one| {
            let secret = k256::SecretKey::from_slice(&hex::decode(text(&one["participant_share"])).unwrap()).unwrap();
            HolderPublic {
                index: serde_json::from_value(one["identifier"].clone()).unwrap(),
                role: HolderRole::Device,
                verifying_share: Point::from_bytes(&secret.public_key().to_sec1_bytes()[..].try_into().unwrap())
                    .unwrap(),
            }
        })
        .collect();
    let pubkey: XOnlyKey = text(&inputs["verifying_key_key"])[2..].parse().unwrap();
    let public = GroupPublic { group: GroupId::from_bytes([0; 16]), epoch: 0, threshold: 2, pubkey, holders };
    let outputs = json["round_one_outputs"]["outputs"].as_array().unwrap();
    for one in outputs {
        let number = one["identifier"].as_u64().unwrap();
        let secret = Secret32::from_hex(&text(&secrets[number as usize - 1]["participant_share"])).unwrap();
        let share = KeyShare::new(&public, index(number as u16), secret).unwrap();
        let randomness = text(&one["hiding_nonce_randomness"]) + &text(&one["binding_nonce_randomness"]);
        let (_, commitment) = sign::commit(&share, &mut Prescribed(hex::decode(randomness).unwrap())).unwrap();
        let expected = text(&one["hiding_nonce_commitment"]) + &text(&one["binding_nonce_commitment"]);
        assert_eq!(commitment.to_string(), expected);
    }
    outputs.len()
}

#[test]
fn rfc9180_base_mode() {
    let json: Value = serde_json::from_str(include_str!("vectors/rfc9180_x25519_chacha20poly1305.json")).unwrap();
    let text = |name: &str| json[name].as_str().unwrap();
    let bytes = |name: &str| hex::decode(text(name)).unwrap();
    let receiver = ReceivingKey::from_secret(&Secret32::from_hex(text("skRm")).unwrap()).unwrap();
    assert_eq!(receiver.public().to_string(), text("pkRm"));
    use base64::{Engine, engine::general_purpose::STANDARD};
    let package = STANDARD.encode([bytes("enc"), bytes("ct")].concat());
    let opened = receiver.open(&bytes("info"), &bytes("aad"), &package).unwrap();
    assert_eq!(opened.expose_secret(), bytes("pt"));
    println!("RFC 9180 X25519/HKDF-SHA256/ChaCha20Poly1305: 1 vector");
}

// --- Wycheproof

fn wycheproof(json: &str) -> Vec<(Value, Value)> {
    let json: Value = serde_json::from_str(json).unwrap();
    let groups = json["testGroups"].as_array().unwrap();
    let of_group = |group: &Value| {
        let tests = group["tests"].as_array().unwrap().clone();
        tests.into_iter().map(|test| (group.clone(), test)).collect::<Vec<_>>()
    };
    groups.iter().flat_map(of_group).collect()
}

fn field(test: &Value, name: &str) -> Vec<u8> {
    hex::decode(test[name].as_str().unwrap()).unwrap()
}

/// The x coordinate inside a plain SubjectPublicKeyInfo of secp256k1, compressed or not.
fn spki_x(public: &str) -> Option<[u8; 32]> {
    let uncompressed =
        public.strip_prefix("3056301006072a8648ce3d020106052b8104000a03420004").filter(|k| k.len() == 128);
    let compressed = public
        .strip_prefix("3036301006072a8648ce3d020106052b8104000a032200")
        .filter(|k| k.len() == 66)
        .map(|k| &k[2..]);
    uncompressed.or(compressed).map(|key| array(&key[..64]))
}

#[test]
fn wycheproof_ecdh_through_shares() {
    let (mut agreed, mut refused, mut generator, mut unsayable) = (0, 0, 0, 0);
    for (_, test) in wycheproof(include_str!("vectors/wycheproof_ecdh_secp256k1.json")) {
        let valid = test["result"] != "invalid";
        let Some(x) = spki_x(test["public"].as_str().unwrap()) else {
            unsayable += 1;
            continue;
        };
        let peer = match Peer::new(XOnlyKey::from_bytes(x)) {
            Ok(peer) if valid => peer,
            Err(PeerError::OffCurve) if !valid => {
                refused += 1;
                continue;
            }
            Err(PeerError::Generator) => {
                generator += 1;
                continue;
            }
            // Invalid for its y, of which an x-only key has none.
            Ok(_) => {
                unsayable += 1;
                continue;
            }
            Err(error) => panic!("{error}: {test}"),
        };
        let mut secret = [0; 32];
        let private = field(&test, "private");
        let private = private.strip_prefix(&[0]).filter(|p| p.len() == 32).unwrap_or(&private);
        secret[32 - private.len()..].copy_from_slice(private);
        let mut rng = rng(1);
        let (public, shares) = split(Secret32::from_bytes(secret), 2, 2, &mut rng);
        let parts = parts(&[&shares[0], &shares[1]], &peer, &context(&public), &mut rng);
        let shared = ecdh::combine_unverified(shares[0].group(), &context(&public), &parts).unwrap();
        assert_eq!(shared.expose_secret()[..], field(&test, "shared"), "{test}");
        agreed += 1;
    }
    println!(
        "Wycheproof ECDH secp256k1: {} vectors run ({agreed} agreed, {refused} off the curve refused, {generator} \
         generator refused), {unsayable} without an x-only form",
        agreed + refused + generator
    );
    assert!(agreed > 450 && refused > 0, "{agreed} {refused}");
    assert_eq!(agreed + refused + generator + unsayable, 752);
}

#[test]
fn wycheproof_hkdf_sha256() {
    let tests = wycheproof(include_str!("vectors/wycheproof_hkdf_sha256.json"));
    for (_, test) in &tests {
        let size = test["size"].as_u64().unwrap() as usize;
        let (salt, mut out) = (field(test, "salt"), vec![0; size]);
        let hkdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(&salt), &field(test, "ikm"));
        let expanded = hkdf.expand(&field(test, "info"), &mut out).is_ok();
        assert_eq!(expanded, test["result"] == "valid", "{test}");
        if expanded {
            assert_eq!(out, field(test, "okm"), "{test}");
        }
    }
    println!("Wycheproof HKDF-SHA-256: {} vectors", tests.len());
    assert_eq!(tests.len(), 86);
}

#[test]
fn wycheproof_hmac_sha256() {
    use hmac::Mac;
    let tests = wycheproof(include_str!("vectors/wycheproof_hmac_sha256.json"));
    for (group, test) in &tests {
        let tag_bytes = group["tagSize"].as_u64().unwrap() as usize / 8;
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&field(test, "key")).unwrap();
        mac.update(&field(test, "msg"));
        let tag = mac.finalize().into_bytes();
        assert_eq!(tag[..tag_bytes] == field(test, "tag"), test["result"] == "valid", "{test}");
    }
    println!("Wycheproof HMAC-SHA-256: {} vectors", tests.len());
    assert_eq!(tests.len(), 174);
}
