//! A device that holds a share contributes to exactly what its person was shown, and to nothing else.
#![allow(missing_docs)]

use bunker_core::{
    event::{Event, Template},
    grant::{ConnectionId, ConnectionRecord, Grant, SecretHash, Standing},
    joint::{self, ContributionRequest, Pending},
    keys::TransportSecret,
    nip44, nip46,
    policy::Policy,
    session::{Evidence, Operation},
    statement::Verb,
};
use frost_wasm_core::{
    frost::keygen,
    group::{GroupId, HolderIndex, HolderRole},
    share::KeyShare,
};
use passport_device::{
    contribution::{Offer, ShownRequest, contribute},
    owner::OwnerKey,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

const NOW_S: u64 = 1_790_000_000;
const EVERYTHING: &str = r#"{"rules":[{"effect":"allow","methods":"all"}]}"#;

/// One waiting request, and everybody around it.
struct World {
    rng: ChaCha20Rng,
    owner: OwnerKey,
    bunker: KeyShare,
    device: KeyShare,
    evidence: Evidence,
    client: TransportSecret,
    transport: TransportSecret,
}

fn index(number: u16) -> HolderIndex {
    HolderIndex::new(number).unwrap()
}

impl World {
    fn new(policy: &str) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let owner = OwnerKey::fresh(&mut rng);
        let holders =
            [(index(1), HolderRole::Bunker), (index(2), HolderRole::Device), (index(3), HolderRole::Recovery)];
        let group = GroupId::random(&mut rng);
        let (public, shares) = keygen::split(keygen::fresh_secret(&mut rng), group, &holders, 2, &mut rng).unwrap();
        let [bunker, device, _]: [KeyShare; 3] = shares.try_into().unwrap();
        let created = owner.sign(group, 1, &Verb::CreateGroup(public), NOW_S, &mut rng).unwrap();
        let (client, transport) = (TransportSecret::random(&mut rng), TransportSecret::random(&mut rng));
        let policy: Policy = serde_json::from_str(policy).unwrap();
        let grant = Grant {
            connection: ConnectionId::from_bytes([5; 16]),
            transport_pubkey: transport.public_key(),
            secret_sha256: SecretHash::of("secret"),
            label: "An app".into(),
            policy,
            expires_at: None,
            auth_url: true,
        };
        let grant = owner.sign(group, 2, &Verb::Grant(grant), NOW_S, &mut rng).unwrap();
        let standing = Standing::Connected { client: client.public_key(), metadata: None };
        let connection = ConnectionRecord { grant, edit: None, pause: None, remembered: Vec::new(), standing };
        let evidence = Evidence { created, connection, decision: None };
        Self { rng, owner, bunker, device, evidence, client, transport }
    }

    fn request(&mut self, method: &str, params: Value) -> Event {
        let text = json!({"id": "1", "method": method, "params": params}).to_string();
        let conversation = self.client.conversation_key(&self.transport.public_key()).unwrap();
        let template = Template {
            created_at: NOW_S,
            kind: nip46::KIND,
            tags: vec![vec!["p".into(), self.transport.public_key().to_hex()]],
            content: nip44::encrypt_random(&conversation, &text, &mut self.rng).unwrap(),
        };
        template.sign_with(&self.client, &mut self.rng).unwrap()
    }

    /// A request for a note, how the server shows it, and what it offers.
    fn note(&mut self) -> (Value, Value, Pending) {
        let template = json!({"kind": 1, "created_at": NOW_S, "tags": [["t", "x"]], "content": "hello"});
        let request = self.request("sign_event", json!([template.to_string()]));
        let shown = json!({
            "request": request.id, "connection": "05".repeat(16), "label": "An app", "method": "sign_event",
            "kind": 1, "template": template, "peer": null, "plaintext": null, "ciphertext": null,
        });
        let (offer, pending) = self.offer(&request, &template);
        (shown, offer, pending)
    }

    fn offer(&mut self, request: &Event, template: &Value) -> (Value, Pending) {
        let pubkey = bunker_core::keys::PublicKey::from_bytes(*self.bunker.group().pubkey.as_bytes());
        let template = Template {
            created_at: NOW_S,
            kind: 1,
            tags: vec![vec!["t".into(), "x".into()]],
            content: template["content"].as_str().unwrap().into(),
        };
        let id = bunker_core::event::compute_id(&pubkey, &template);
        let operation = Operation::Sign { template, id };
        let (pending, commitments) = joint::begin(operation, &request.id, &self.bunker, &mut self.rng).unwrap();
        let conversation = self.transport.conversation_key(&self.client.public_key()).unwrap();
        let call = ContributionRequest::encode(request, &conversation, 0, &commitments);
        let to_owner = self.transport.conversation_key(&self.owner.public_key()).unwrap();
        let sealed = nip44::encrypt_random(&to_owner, &call, &mut self.rng).unwrap();
        (json!({"evidence": self.evidence, "contribution": sealed}), pending)
    }

    fn contribute(
        &mut self,
        shown: &Value,
        offer: &Value,
    ) -> Result<passport_device::contribution::Contributed, &'static str> {
        let shown: ShownRequest = serde_json::from_value(shown.clone()).unwrap();
        let offer: Offer = serde_json::from_value(offer.clone()).unwrap();
        contribute(&self.device, &self.owner, &shown, &offer, None, NOW_S * 1000, &mut self.rng).map_err(|it| it.code())
    }
}

#[test]
fn what_was_shown_is_signed_together_with_the_bunker() {
    let mut world = World::new(EVERYTHING);
    let (shown, offer, pending) = world.note();
    let made = world.contribute(&shown, &offer).unwrap();
    assert_eq!(made.memory.client, world.client.public_key());
    let answer = joint::finish(pending, &world.bunker, made.reply, &mut world.rng).unwrap();
    let signed = Event::parse(&answer.result).unwrap();
    signed.verify().unwrap();
    assert_eq!((signed.content.as_str(), signed.kind), ("hello", 1));
}

#[test]
fn nothing_is_signed_that_is_not_what_was_shown() {
    let mut world = World::new(EVERYTHING);
    let (shown, offer, _) = world.note();
    for (field, other) in [
        ("template", json!({"kind": 1, "created_at": NOW_S, "tags": [["t", "x"]], "content": "harmless"})),
        ("template", json!({"kind": 0, "created_at": NOW_S, "tags": [["t", "x"]], "content": "hello"})),
        ("template", json!({"kind": 1, "created_at": NOW_S + 1, "tags": [["t", "x"]], "content": "hello"})),
        ("template", json!({"kind": 1, "created_at": NOW_S, "tags": [], "content": "hello"})),
        ("template", Value::Null),
        ("method", json!("nip44_encrypt")),
        ("request", json!("07".repeat(32))),
        ("connection", json!("06".repeat(16))),
        ("label", json!("Another app")),
    ] {
        let mut other_shown = shown.clone();
        other_shown[field] = other;
        assert_eq!(world.contribute(&other_shown, &offer).map(drop), Err("request_misled"), "{field}");
    }
}

#[test]
fn an_offer_that_does_not_stand_on_the_owners_own_word_is_refused() {
    let mut world = World::new(EVERYTHING);
    let (shown, offer, _) = world.note();
    let stranger = World { owner: OwnerKey::fresh(&mut world.rng), ..World::new(EVERYTHING) };
    let mut foreign = offer.clone();
    foreign["evidence"]["created"]["pubkey"] = json!(stranger.owner.public_key());
    assert_eq!(world.contribute(&shown, &foreign).map(drop), Err("request_misled"));
    let mut broken = offer.clone();
    broken["contribution"] = json!("{}");
    assert_eq!(world.contribute(&shown, &broken).map(drop), Err("request_misled"));
    // Another owner, who has the token: it reads nothing.
    let owner = std::mem::replace(&mut world.owner, OwnerKey::fresh(&mut world.rng));
    assert_eq!(world.contribute(&shown, &offer).map(drop), Err("request_misled"));
    world.owner = owner;
    // The owner's own rules count here too, whatever the bunker says.
    let mut strict = World::new(r#"{"rules":[{"effect":"allow","methods":["sign_event"],"kinds":[7]}]}"#);
    let (shown, offer, _) = strict.note();
    assert_eq!(strict.contribute(&shown, &offer).map(drop), Err("request_refused"));
}
