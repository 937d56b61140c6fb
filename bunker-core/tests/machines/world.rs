//! A world in which everything happens by one seed and one clock: an owner, a 2-of-3 group with a bunker and a
//! cosigner that each have their own storage, and apps.
//!
//! At the end of every test each holder's log must give its live state, and its audit chain must verify.

mod app;
mod holder;
mod owner;
mod path;

use std::collections::BTreeMap;

use bunker_core::{
    event::{Event, Template},
    keys::{PublicKey, TransportSecret},
    members::{Member, Members},
    nip44,
    nip46::{self, Response},
    replay::MAX_AGE_S,
};
use frost_wasm_core::{
    frost::sign::SigningNonces,
    group::{GroupPublic, HolderIndex, HolderRole},
    share::KeyShare,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{OsRng, RngCore, SeedableRng};
use serde_json::{Value, json};

pub(crate) use self::{
    app::App,
    holder::{RULES, TestHolder, Undelivered},
    owner::{policy, split},
    path::{Outcome, Uncontributed, body, refusal_code, through_the_wire},
};

/// A policy without restriction.
pub(crate) const EVERYTHING: &str = r#"{"rules":[{"effect":"allow","methods":"all"}]}"#;

/// Where the owner approves, up to the request's id.
pub(crate) const APPROVE_AT: &str = "https://passport.example/approve/";

pub(crate) struct World {
    /// Where the shell says that the owner approves.
    pub(crate) approve_at: String,
    /// Whether the owner's device contributes to what is judged now.
    pub(crate) device_is_here: bool,
    pub(crate) seed: u64,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) now_ms: u64,
    pub(crate) owner: TransportSecret,
    pub(crate) seq: u64,
    pub(crate) public: GroupPublic,
    pub(crate) bunker: TestHolder,
    pub(crate) cosigner: TestHolder,
    pub(crate) recovery: KeyShare,
    /// The connections' keys, as the bunker has them.
    pub(crate) transports: BTreeMap<PublicKey, TransportSecret>,
}

/// One of the people who share a key, on a device of their own.
pub(crate) struct Person {
    pub(crate) key: TransportSecret,
    pub(crate) share: KeyShare,
    /// Of what was committed to and not signed.
    pub(crate) nonces: Option<SigningNonces>,
}

pub(crate) fn copy(share: &KeyShare) -> KeyShare {
    KeyShare::new(share.group(), share.index(), share.expose_signing_share()).unwrap()
}

pub(crate) fn index(n: u16) -> HolderIndex {
    HolderIndex::new(n).unwrap()
}

/// The seed of this run: `SEED`, or a new one.
pub(crate) fn seed() -> u64 {
    match std::env::var("SEED") {
        Ok(text) => text.parse().expect("SEED is a number"),
        Err(_) => OsRng.next_u64(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::from_seed(seed())
    }

    /// A world in which the owner's device holds the share that a cosigner holds otherwise.
    pub(crate) fn with_device() -> Self {
        Self::from(seed(), HolderRole::Device)
    }

    pub(crate) fn from_seed(seed: u64) -> Self {
        Self::from(seed, HolderRole::Cosigner)
    }

    /// A world in which this many people share a key, of whom so many sign together with the bunker. The owner is the
    /// first, with share 2.
    pub(crate) fn with_people(people: u16, signers: u16) -> (Self, Vec<Person>) {
        Self::with_people_from(seed(), people, signers)
    }

    pub(crate) fn with_people_from(seed: u64, people: u16, signers: u16) -> (Self, Vec<Person>) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let keys: Vec<_> = (0..people).map(|_| TransportSecret::random(&mut rng)).collect();
        let devices = (2..people + 2).map(|number| (number, HolderRole::Device));
        let holders: Vec<_> = std::iter::once((1, HolderRole::Bunker)).chain(devices).collect();
        let (public, shares) = owner::split_among(&holders, signers + 1, &mut rng);
        let member =
            |(holder, key): (u16, &TransportSecret)| Member { holder: index(holder), person: key.public_key() };
        let list: Vec<_> = (2..).zip(&keys).skip(1).map(member).collect();
        let members = Members::of(&list, &public).unwrap();
        let owner = TransportSecret::from_secret(&keys[0].expose_secret()).unwrap();
        let copies = shares.iter().map(copy).collect();
        let world = Self::of(seed, rng, owner, (public, members), copies);
        let people = keys.into_iter().zip(shares.into_iter().skip(1));
        (world, people.map(|(key, share)| Person { key, share, nonces: None }).collect())
    }

    fn from(seed: u64, second: HolderRole) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let owner = TransportSecret::random(&mut rng);
        let (public, shares) = owner::split_with(second, &mut rng);
        Self::of(seed, rng, owner, (public, Members::default()), shares)
    }

    fn of(
        seed: u64,
        mut rng: ChaCha20Rng,
        owner: TransportSecret,
        (public, members): (GroupPublic, Members),
        shares: Vec<KeyShare>,
    ) -> Self {
        let now_ms = 1_790_000_000_000;
        let created = owner::create_group(&owner, &public, members, now_ms / 1000, &mut rng);
        let mut shares = shares.into_iter();
        let [bunker, cosigner, recovery] = std::array::from_fn(|_| shares.next().unwrap());
        Self {
            approve_at: APPROVE_AT.to_owned(),
            device_is_here: false,
            seed,
            now_ms,
            seq: created.seq(),
            bunker: TestHolder::create(&created, bunker, now_ms),
            cosigner: TestHolder::create(&created, cosigner, now_ms),
            recovery,
            public,
            owner,
            transports: BTreeMap::new(),
            rng,
        }
    }

    pub(crate) fn now_s(&self) -> u64 {
        self.now_ms / 1000
    }

    pub(crate) fn advance(&mut self, seconds: u64) {
        self.now_ms += seconds * 1000;
    }

    /// Far enough that no request from before is fresh.
    pub(crate) fn outlive_requests(&mut self) {
        self.advance(2 * MAX_AGE_S + 2);
    }

    /// The group's key.
    pub(crate) fn npub(&self) -> PublicKey {
        PublicKey::from_bytes(*self.public.pubkey.as_bytes())
    }

    pub(crate) fn holders(&mut self) -> [&mut TestHolder; 2] {
        [&mut self.bunker, &mut self.cosigner]
    }

    /// Another app that has the same bunker URL.
    pub(crate) fn stranger(&mut self, app: &App) -> App {
        App {
            key: TransportSecret::random(&mut self.rng),
            transport: app.transport,
            connection: app.connection,
            secret: app.secret.clone(),
        }
    }

    /// A request event as `app` sends it now.
    pub(crate) fn request(&mut self, app: &App, method: &str, params: Value) -> Event {
        let id = hex::encode(self.rng.next_u64().to_be_bytes());
        let text = json!({ "id": id, "method": method, "params": params }).to_string();
        self.sealed(app, &text)
    }

    /// A request event with any plaintext.
    pub(crate) fn sealed(&mut self, app: &App, plaintext: &str) -> Event {
        let template = Template {
            created_at: self.now_s(),
            kind: nip46::KIND,
            tags: vec![vec!["p".into(), app.transport.to_hex()]],
            content: nip44::encrypt_random(&app.conversation(), plaintext, &mut self.rng).unwrap(),
        };
        template.sign_with(&app.key, &mut self.rng).unwrap()
    }

    /// Signs an event again as `key`, after a change.
    pub(crate) fn signed(&mut self, key: &TransportSecret, event: &Event) -> Event {
        let template = Template {
            created_at: event.created_at,
            kind: event.kind,
            tags: event.tags.clone(),
            content: event.content.clone(),
        };
        template.sign_with(key, &mut self.rng).unwrap()
    }

    /// A request and what the app reads in the reply.
    pub(crate) fn ask(&mut self, app: &App, method: &str, params: Value) -> Response {
        let request = self.request(app, method, params);
        let reply = self.submit(&request).reply();
        let response = app.read(&reply);
        let asked = nip44::decrypt(&app.conversation(), &request.content).unwrap();
        let asked: Value = serde_json::from_str(&asked).unwrap();
        assert_eq!(asked["id"], response.id());
        response
    }

    /// The result of a request that must succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, app: &App, method: &str, params: Value) -> String {
        let response = self.ask(app, method, params);
        match response.expose_result() {
            Some(result) => result.to_owned(),
            None => panic!("{method} failed: {:?}", response.error_text()),
        }
    }

    /// The error text of a request that must fail.
    #[track_caller]
    pub(crate) fn refused(&mut self, app: &App, method: &str, params: Value) -> String {
        let response = self.ask(app, method, params);
        let text = response.error_text().map(str::to_owned);
        text.unwrap_or_else(|| panic!("{method} succeeded"))
    }

    /// Has an event signed, and gives it.
    #[track_caller]
    pub(crate) fn sign(&mut self, app: &App, kind: u16) -> Event {
        let params = json!([template(kind, "hello")]);
        Event::parse(&self.ok(app, "sign_event", params)).unwrap()
    }
}

/// The text of a template.
pub(crate) fn template(kind: u16, content: &str) -> String {
    json!({ "kind": kind, "created_at": 1_790_000_000, "tags": [["t", "x"]], "content": content }).to_string()
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("run again with SEED={}", self.seed);
            return;
        }
        let seed = self.seed;
        for holder in self.holders() {
            let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| holder.check()));
            if let Err(failure) = checked {
                eprintln!("run again with SEED={seed}");
                std::panic::resume_unwind(failure);
            }
        }
    }
}
