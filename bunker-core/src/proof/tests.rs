use frost_wasm_core::kdf::SALT_BYTES;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use super::*;
use crate::keys::TransportSecret;

const NOW_S: u64 = 1_800_000_000;
const ORIGIN: &str = "https://passport.test";

fn owner() -> TransportSecret {
    TransportSecret::random(&mut ChaCha20Rng::from_seed([1; 32]))
}

fn kdf() -> KdfParams {
    KdfParams::with_salt([0xab; SALT_BYTES])
}

fn body<'a>(owner: &'a PublicKey, kdf: &'a KdfParams) -> Body<'a> {
    Body {
        username: "alice",
        password: "0".repeat(64).leak(),
        owner_pubkey: owner,
        owner_blob: Some("blob"),
        kdf: Some(kdf),
    }
}

fn sign(template: Template) -> Event {
    template.sign_with(&owner(), &mut ChaCha20Rng::from_seed([2; 32])).unwrap()
}

#[test]
fn a_body_has_the_digest_that_other_implementations_compute() {
    // python3: parts = ["alice", "0"*64, "02"*32, "blob", "ab"*16 + ":17:8:1"];
    // sha256(b"".join(len(p).to_bytes(4, "big") + p.encode() for p in parts))
    let (key, kdf) = (PublicKey::from_bytes([2; 32]), kdf());
    let digest = hex::encode(body(&key, &kdf).digest());
    assert_eq!(digest, "daa58990d9fa9b1aa4f52f9059650d16c7c23bf54c45d488411a25abff6567ce");
    let bare = Body { username: "", owner_blob: None, kdf: None, ..body(&key, &kdf) };
    assert_eq!(hex::encode(bare.digest()), "36427e97e96895a1f3735ee0ff48c1e81dd853d76d20a5094527cdf4809b3cbe");
}

#[test]
fn the_content_is_what_was_agreed_byte_for_byte() {
    let (key, kdf) = (owner().public_key(), kdf());
    let body = body(&key, &kdf);
    let template = AccountProof::template(ProofVerb::Recover, ORIGIN, Some("prc_x"), &body, NOW_S);
    let digest = hex::encode(body.digest());
    let content = format!(r#"{{"v":1,"verb":"recover","origin":"{ORIGIN}","challenge":"prc_x","body":"{digest}"}}"#);
    assert_eq!((template.kind, template.content), (27434, content));
    let template = AccountProof::template(ProofVerb::Register, ORIGIN, None, &body, NOW_S);
    assert!(template.content.contains(r#""verb":"register""#) && template.content.contains(r#""challenge":null"#));
}

#[test]
fn attack_19_a_proof_is_worth_nothing_for_anything_but_what_it_was_made_for() {
    let (key, kdf) = (owner().public_key(), kdf());
    let body = body(&key, &kdf);
    let event = sign(AccountProof::template(ProofVerb::Register, ORIGIN, None, &body, NOW_S));
    let verify = |verb, origin, challenge, body: &Body<'_>, now_s| {
        AccountProof::verify(&event, verb, origin, challenge, body, now_s)
    };
    use ProofVerb::{Recover, Register};
    assert_eq!(verify(Register, ORIGIN, None, &body, NOW_S), Ok(()));
    assert_eq!(verify(Recover, ORIGIN, None, &body, NOW_S), Err(ProofError::OtherVerb));
    assert_eq!(verify(Register, "https://other.test", None, &body, NOW_S), Err(ProofError::OtherOrigin));
    assert_eq!(verify(Register, ORIGIN, Some(""), &body, NOW_S), Err(ProofError::OtherChallenge));
    let stranger = PublicKey::from_bytes([2; 32]);
    let costlier = KdfParams { log_n: 18, ..kdf };
    for (other, error) in [
        (Body { owner_pubkey: &stranger, ..body }, ProofError::OtherKey),
        (Body { username: "mallory", ..body }, ProofError::OtherBody),
        (Body { password: "another", ..body }, ProofError::OtherBody),
        (Body { owner_blob: Some("another"), ..body }, ProofError::OtherBody),
        (Body { owner_blob: None, ..body }, ProofError::OtherBody),
        (Body { kdf: Some(&costlier), ..body }, ProofError::OtherBody),
        (Body { kdf: None, ..body }, ProofError::OtherBody),
    ] {
        assert_eq!(verify(Register, ORIGIN, None, &other, NOW_S), Err(error), "{other:?}");
    }
    for late_s in [NOW_S + PROOF_MAX_AGE_S + 1, NOW_S - PROOF_MAX_AGE_S - 1] {
        assert_eq!(verify(Register, ORIGIN, None, &body, late_s), Err(ProofError::Stale));
    }
    assert_eq!(verify(Register, ORIGIN, None, &body, NOW_S + PROOF_MAX_AGE_S), Ok(()));
}

#[test]
fn no_other_event_is_taken_for_a_proof() {
    let (key, kdf) = (owner().public_key(), kdf());
    let body = body(&key, &kdf);
    let good = AccountProof::template(ProofVerb::Register, ORIGIN, None, &body, NOW_S);
    let verify =
        |event: &Event| AccountProof::verify(event, ProofVerb::Register, ORIGIN, None, &body, NOW_S).unwrap_err();
    let mut altered = sign(good.clone());
    altered.created_at += 1;
    assert_eq!(verify(&altered), ProofError::Event(EventError::IdMismatch));
    let mut altered = sign(good.clone());
    altered.sig[63] ^= 1;
    assert_eq!(verify(&altered), ProofError::Event(EventError::BadSignature));
    let content = |from: &str, to: &str| Template { content: good.content.replace(from, to), ..good.clone() };
    for template in [
        Template { kind: 27433, ..good.clone() },
        Template { kind: 27235, ..good.clone() },
        Template { tags: vec![vec!["u".into()]], ..good.clone() },
        content("\"v\":1", "\"v\":2"),
        content("register", "erase"),
        content("\"challenge\":null,", ""),
        content("{", "{\"admin\":true,"),
        Template { content: String::new(), ..good.clone() },
    ] {
        assert_eq!(verify(&sign(template)), ProofError::NotAProof);
    }
}

#[test]
fn parts_can_not_be_moved_from_one_field_to_the_next() {
    let (key, kdf) = (PublicKey::from_bytes([2; 32]), kdf());
    let one = Body { username: "ab", password: "c", ..body(&key, &kdf) };
    let other = Body { username: "a", password: "bc", ..one };
    assert_ne!(one.digest(), other.digest());
}

#[test]
fn the_password_is_not_shown_by_debug() {
    let (key, kdf) = (PublicKey::from_bytes([2; 32]), kdf());
    assert!(!format!("{:?}", body(&key, &kdf)).contains("0000"));
}
