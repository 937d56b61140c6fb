use bunker_core::keys::TransportSecret;
use frost_wasm_core::kdf::SALT_BYTES;

use super::*;
use crate::auth::keys::for_tests;
use crate::auth::sign_in::tests::{ALICE, Fixture, PASSWORD, T0_MS, code, now, secret};
use crate::platform::{random_bytes, rng};
use crate::storage::{PasskeyRecord, PasskeyStore};

const ORIGIN: &str = "https://passport.test";
const NEW: &str = "incorrect horse battery";
const T0_S: u64 = T0_MS / 1000;

/// Alice, with an owner key that tests hold, a session and a passkey.
struct World {
    it: Fixture,
    owner: TransportSecret,
    kdf: KdfParams,
}

impl World {
    fn new() -> Self {
        let it = Fixture::new();
        let owner = TransportSecret::random(&mut rng());
        it.store.accounts.borrow_mut()[0].owner_pubkey = owner.public_key().to_hex();
        it.alice();
        let passkey = PasskeyRecord {
            passkey: "9a".repeat(16),
            account: ALICE.to_owned(),
            credential_id: "c1".to_owned(),
            public_key: String::new(),
            sign_count: 0,
            label: String::new(),
            owner_blob: None,
            created_at_ms: T0_MS,
            last_used_at_ms: None,
        };
        now(it.store.insert_passkey(&passkey, 16)).unwrap();
        Self { it, owner, kdf: KdfParams::with_salt([3; SALT_BYTES]) }
    }

    fn challenge(&self) -> String {
        let hash = self.it.store.accounts.borrow()[0].password_hash.clone();
        challenge(&self.it.keys, &self.owner.public_key(), Some(&hash), T0_S)
    }

    fn body<'a>(&'a self, password: &'a str, owner: &'a PublicKey) -> Body<'a> {
        Body { username: "", password, owner_pubkey: owner, owner_blob: Some("sealed anew"), kdf: Some(&self.kdf) }
    }

    fn proof(&self, signer: &TransportSecret, verb: ProofVerb, challenge: &str, password: &str) -> Event {
        let owner = self.owner.public_key();
        let template = AccountProof::template(verb, ORIGIN, Some(challenge), &self.body(password, &owner), T0_S);
        template.sign_with(signer, &mut rng()).unwrap()
    }

    fn recover(&self, challenge: &str, proof: &Event, password: &str, now_ms: u64) -> Result<String, Problem> {
        let (owner, secret) = (self.owner.public_key(), secret(password));
        let asked =
            Recovery { owner: &owner, challenge, secret: &secret, owner_blob: "sealed anew", kdf: &self.kdf, proof };
        now(recover(&self.it.store, &self.it.keys, ORIGIN, &asked, random_bytes(), now_ms))
    }

    fn good(&self, challenge: &str) -> Event {
        self.proof(&self.owner, ProofVerb::Recover, challenge, NEW)
    }

    fn sessions(&self) -> usize {
        self.it.store.sessions.borrow().values().filter(|session| session.revoked_at_ms.is_none()).count()
    }
}

#[test]
fn the_owner_key_gives_an_account_new_credentials_and_ends_what_was_open() {
    let world = World::new();
    let challenge = world.challenge();
    assert_eq!(world.recover(&challenge, &world.good(&challenge), NEW, T0_MS).unwrap(), "alice");
    let account = world.it.store.accounts.borrow()[0].clone();
    let hash = PasswordHash::parse(&account.password_hash).unwrap();
    assert!(hash.matches(&secret(NEW)) && !hash.matches(&secret(PASSWORD)));
    assert_eq!(account.owner_blob.as_deref(), Some("sealed anew"));
    assert_eq!(world.sessions(), 0);
    assert!(world.it.store.passkeys.borrow().is_empty());
}

#[test]
fn a_recovery_does_not_work_twice() {
    let world = World::new();
    let (challenge, other) = (world.challenge(), world.challenge());
    world.recover(&challenge, &world.good(&challenge), NEW, T0_MS).unwrap();
    world.it.store.accounts.borrow_mut()[0].owner_blob = None;
    for challenge in [challenge, other] {
        assert_eq!(code(world.recover(&challenge, &world.good(&challenge), NEW, T0_MS)), "recovery_refused");
    }
    assert_eq!(world.it.store.accounts.borrow()[0].owner_blob, None);
}

#[test]
fn attack_19_a_proof_for_one_body_is_worth_nothing_with_another() {
    let world = World::new();
    let challenge = world.challenge();
    let proof = world.good(&challenge);
    assert_eq!(code(world.recover(&challenge, &proof, "an attackers password", T0_MS)), "recovery_refused");
    assert_eq!(world.sessions(), 1);
}

#[test]
fn nobody_recovers_without_the_owner_key_of_that_account_for_that_purpose_now() {
    let world = World::new();
    let challenge = world.challenge();
    let stranger = TransportSecret::random(&mut rng());
    let good = world.good(&challenge);
    let mut altered = good.clone();
    altered.sig[0] ^= 1;
    let other = challenge_of(&stranger.public_key(), &world);
    for (challenge, proof, now_ms) in [
        (&challenge, world.proof(&stranger, ProofVerb::Recover, &challenge, NEW), T0_MS),
        (&challenge, world.proof(&world.owner, ProofVerb::Register, &challenge, NEW), T0_MS),
        (&challenge, world.good("prc_other"), T0_MS),
        (&challenge, altered, T0_MS),
        (&challenge, good.clone(), T0_MS + 601_000),
        (&other, world.good(&other), T0_MS),
        (&"prc_".to_owned(), world.good("prc_"), T0_MS),
        (&String::new(), world.good(""), T0_MS),
    ] {
        let refused = world.recover(challenge, &proof, NEW, now_ms).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (401, "recovery_refused"));
        assert!(refused.detail() == super::refused().detail(), "one answer for all of them");
    }
    assert!(world.recover(&challenge, &good, NEW, T0_MS).is_ok());
}

fn challenge_of(owner: &PublicKey, world: &World) -> String {
    challenge(&world.it.keys, owner, None, T0_S)
}

#[test]
fn a_challenge_expires_and_is_of_this_deployment() {
    let world = World::new();
    let owner = world.owner.public_key();
    let challenge = world.challenge();
    let account = world.it.store.accounts.borrow()[0].clone();
    let hash = Some(account.password_hash.as_str());
    let good_at = |keys: &AuthKeys, now_s| is_good(keys, &owner, hash, &challenge, now_s);
    assert!(good_at(&world.it.keys, T0_S + CHALLENGE_LIFETIME_S - 1));
    assert!(!good_at(&world.it.keys, T0_S + CHALLENGE_LIFETIME_S));
    assert!(!good_at(&for_tests(), T0_S));
    assert!(!is_good(&world.it.keys, &owner, Some("another hash"), &challenge, T0_S));
    assert!(!is_good(&world.it.keys, &owner, None, &challenge, T0_S));
}

#[test]
fn attack_22_an_owner_key_that_no_account_has_gets_a_challenge_of_the_same_form() {
    let world = World::new();
    let (known, unknown) = (world.challenge(), challenge_of(&world.owner.public_key(), &world));
    assert_eq!(known.len(), unknown.len());
    assert!(known != unknown);
    let expiry = |text: &str| URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap()[..8].to_vec();
    assert_eq!(expiry(&known), expiry(&unknown));
}

#[test]
fn a_store_that_fails_recovers_nobody() {
    for fails_after in 0..2 {
        let world = World::new();
        let challenge = world.challenge();
        world.it.store.fails_after.set(Some(fails_after));
        assert_eq!(code(world.recover(&challenge, &world.good(&challenge), NEW, T0_MS)), "unavailable");
        assert_eq!(world.sessions(), 1);
    }
}
