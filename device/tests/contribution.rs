//! A device that holds a share contributes to exactly what its person was shown, and to nothing else.
#![allow(missing_docs)]

use bunker_core::{
    event::{Event, Template},
    grant::{ConnectionId, ConnectionRecord, Grant, SecretHash, Standing},
    joint::{self, Asked, ContributionRequest, Gathering, Pending, Taken},
    keys::{PublicKey, TransportSecret},
    members::{Member, Members},
    nip44, nip46,
    policy::Policy,
    session::{Evidence, Operation},
    statement::Verb,
};
use frost_wasm_core::{
    ceremony::CeremonyId,
    frost::{keygen, sign::SigningNonces},
    group::{GroupId, HolderIndex, HolderRole},
    login::OwnerBlobKey,
    secret::Secret32,
    share::KeyShare,
};
use passport_device::{
    ceremony::Outcome,
    contribution::{Contributed, Contributor, Offer, ShownRequest},
    owner::OwnerKey,
    shares::SealedShares,
    vault::Vault,
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
        let created =
            owner.sign(group, 1, &Verb::CreateGroup { public, members: Members::default() }, NOW_S, &mut rng).unwrap();
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

    fn operation(&self, template: &Value) -> Operation {
        let pubkey = bunker_core::keys::PublicKey::from_bytes(*self.bunker.group().pubkey.as_bytes());
        let template = Template {
            created_at: NOW_S,
            kind: 1,
            tags: vec![vec!["t".into(), "x".into()]],
            content: template["content"].as_str().unwrap().into(),
        };
        let id = bunker_core::event::compute_id(&pubkey, &template);
        Operation::Sign { template, id }
    }

    fn offer(&mut self, request: &Event, template: &Value) -> (Value, Pending) {
        let operation = self.operation(template);
        let (pending, commitments) = joint::begin(operation, &request.id, &self.bunker, &mut self.rng).unwrap();
        let conversation = self.transport.conversation_key(&self.client.public_key()).unwrap();
        let call = ContributionRequest::encode(request, &conversation, 0, &commitments);
        let to_owner = self.transport.conversation_key(&self.owner.public_key()).unwrap();
        let sealed = nip44::encrypt_random(&to_owner, &call, &mut self.rng).unwrap();
        (json!({"evidence": self.evidence, "contribution": sealed}), pending)
    }

    fn contribute(&mut self, shown: &Value, offer: &Value) -> Result<Contributed, &'static str> {
        let shown: ShownRequest = serde_json::from_value(shown.clone()).unwrap();
        let offer: Offer = serde_json::from_value(offer.clone()).unwrap();
        let device = Contributor { share: &self.device, own: &self.owner, authority: self.owner.public_key() };
        device.contribute(&shown, &offer, None, &mut None, NOW_S * 1000, &mut self.rng).map_err(|it| it.code())
    }
}

#[test]
fn what_was_shown_is_signed_together_with_the_bunker() {
    let mut world = World::new(EVERYTHING);
    let (shown, offer, pending) = world.note();
    let made = world.contribute(&shown, &offer).unwrap();
    assert_eq!(made.memory.client, world.client.public_key());
    let answer = joint::finish(pending, &world.bunker, vec![made.reply.unwrap()], &mut world.rng).unwrap();
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

/// A key of the bunker and three people, two of whom sign with it; the owner is none of the two here.
struct Team {
    world: World,
    members: Vec<(OwnerKey, KeyShare, Option<SigningNonces>)>,
    request: Event,
    shown: Value,
    gathering: Gathering,
}

const ROUND_MS: u64 = NOW_S * 1000;

impl Team {
    fn new(world: World) -> Self {
        let mut world = world;
        let holders = [HolderRole::Bunker, HolderRole::Device, HolderRole::Device, HolderRole::Device];
        let holders: Vec<_> = (1..).map(index).zip(holders).collect();
        let group = world.bunker.group().group;
        let (public, shares) =
            keygen::split(keygen::fresh_secret(&mut world.rng), group, &holders, 3, &mut world.rng).unwrap();
        let [bunker, _, third, fourth]: [KeyShare; 4] = shares.try_into().unwrap();
        world.bunker = bunker;
        let members: Vec<_> =
            [third, fourth].map(|share| (OwnerKey::fresh(&mut world.rng), share, None)).into_iter().collect();
        let list: Vec<_> =
            members.iter().map(|(key, share, _)| Member { holder: share.index(), person: key.public_key() }).collect();
        let verb = Verb::CreateGroup { members: Members::of(&list, &public).unwrap(), public };
        world.evidence.created = world.owner.sign(group, 1, &verb, NOW_S, &mut world.rng).unwrap();
        let template = json!({"kind": 1, "created_at": NOW_S, "tags": [["t", "x"]], "content": "hello"});
        let request = world.request("sign_event", json!([template.to_string()]));
        let shown = json!({
            "request": request.id, "connection": "05".repeat(16), "label": "An app", "method": "sign_event",
            "kind": 1, "template": template, "peer": null, "plaintext": null, "ciphertext": null,
        });
        let operation = world.operation(&template);
        let gathering = Gathering::begin(operation, &request.id, &world.bunker, &mut world.rng).unwrap();
        Self { world, members, request, shown, gathering }
    }

    /// What one device is offered. `None` when it has nothing to do.
    fn offer(&mut self, person: &PublicKey, holder: HolderIndex) -> Option<Value> {
        let Asked::Contribute { round, commitments } = self.gathering.asked(holder, ROUND_MS) else {
            return None;
        };
        let World { rng, evidence, client, transport, .. } = &mut self.world;
        let conversation = transport.conversation_key(&client.public_key()).unwrap();
        let call = ContributionRequest::encode(&self.request, &conversation, 0, &commitments);
        let to_member = transport.conversation_key(person).unwrap();
        let sealed = nip44::encrypt_random(&to_member, &call, rng).unwrap();
        Some(json!({"evidence": evidence, "contribution": sealed, "round": round}))
    }

    /// The people of the key, of whom this is one that is not in the list any more.
    fn evidence_people(&self, other: &OwnerKey, share: &KeyShare) -> Vec<Member> {
        let member = |key: &OwnerKey, holder| Member { holder, person: key.public_key() };
        let mut people = vec![member(&self.world.owner, index(2)), member(other, share.index())];
        people.extend(self.members.iter().map(|(key, share, _)| member(key, share.index())));
        people
    }

    /// One member's device asks for an offer, and answers it. `None` when it has nothing to say.
    fn turn(&mut self, at: usize) -> Option<Taken> {
        let (person, holder) = (self.members[at].0.public_key(), self.members[at].1.index());
        let offer: Offer = serde_json::from_value(self.offer(&person, holder)?).unwrap();
        let (key, share, nonces) = &mut self.members[at];
        let World { rng, owner, bunker, .. } = &mut self.world;
        let shown: ShownRequest = serde_json::from_value(self.shown.clone()).unwrap();
        // Statements count only of the group's owner, not of who holds the share.
        let mistaken = Contributor { share, own: key, authority: key.public_key() };
        let refused = mistaken.contribute(&shown, &offer, None, &mut None, ROUND_MS, rng).unwrap_err();
        assert_eq!(refused.code(), "request_misled");
        let device = Contributor { authority: owner.public_key(), ..mistaken };
        let Contributed { reply, round: echoed, .. } =
            device.contribute(&shown, &offer, None, nonces, ROUND_MS, rng).unwrap();
        Some(self.gathering.take(reply?, echoed, bunker, ROUND_MS).unwrap())
    }

    fn finish(mut self) -> Event {
        let answer = self.gathering.finish(&self.world.bunker, &mut self.world.rng).unwrap();
        let signed = Event::parse(&answer.result).unwrap();
        signed.verify().unwrap();
        signed
    }
}

#[test]
fn two_members_sign_with_the_bunker_the_last_of_them_at_once() {
    let mut team = Team::new(World::new(EVERYTHING));
    // The first commits, and has nothing more to say until the other came.
    assert_eq!(team.turn(0), Some(Taken::Waiting));
    assert_eq!(team.turn(0), None);
    assert!(team.members[0].2.is_some());
    // The last one commits and signs in one.
    assert_eq!(team.turn(1), Some(Taken::Waiting));
    assert!(team.members[1].2.is_none());
    assert_eq!(team.turn(1), None);
    assert_eq!(team.turn(0), Some(Taken::Complete));
    assert!(team.members[0].2.is_none(), "nonces are used once");
    assert_eq!(team.finish().content, "hello");
}

#[test]
fn a_member_whose_process_ended_commits_anew_and_nobody_is_blamed() {
    let mut team = Team::new(World::new(EVERYTHING));
    assert_eq!(team.turn(0), Some(Taken::Waiting));
    assert_eq!(team.turn(1), Some(Taken::Waiting));
    // Its nonces are gone: what the other one signed is gone with them.
    team.members[0].2 = None;
    assert_eq!(team.turn(0), Some(Taken::Waiting));
    assert_eq!(team.turn(1), Some(Taken::Waiting));
    assert_eq!(team.turn(0), Some(Taken::Complete));
    assert_eq!(team.finish().content, "hello");
}

#[test]
fn a_vault_keeps_its_nonces_until_the_others_have_committed() {
    let mut team = Team::new(World::new(EVERYTHING));
    let (own, share, _) = team.members.remove(0);
    let group = (**share.group()).clone();
    let people = team.evidence_people(&own, &share);
    let outcome = Outcome {
        ceremony: CeremonyId::from_bytes([1; 16]),
        public: group.clone(),
        people,
        shares: vec![KeyShare::new(&group, share.index(), share.expose_signing_share()).unwrap()],
    };
    let kept = SealedShares::seal(&outcome, &own, &mut team.world.rng).unwrap();
    assert_eq!(kept.authority(own.public_key()), team.world.owner.public_key());
    let prf = Secret32::from_bytes([4; 32]);
    let blob = own.seal(&OwnerBlobKey::from_passkey(&prf).unwrap(), &mut team.world.rng).unwrap();
    let mut vault = Vault::default();
    vault.unlock_with_passkey(&prf, &own.public_key(), &blob).unwrap();

    let shown: ShownRequest = serde_json::from_value(team.shown.clone()).unwrap();
    let mut turn = |team: &mut Team| {
        let offer = team.offer(&own.public_key(), share.index())?;
        let offer: Offer = serde_json::from_value(offer).unwrap();
        let made = vault.contribute(&kept, &shown, &offer, None, ROUND_MS, &mut team.world.rng).unwrap();
        let told = serde_json::to_value(&made).unwrap();
        assert_eq!(told["reply"].is_null(), made.reply.is_none());
        assert_eq!(told["round"], made.round);
        Some(team.gathering.take(made.reply?, made.round, &team.world.bunker, ROUND_MS).unwrap())
    };
    assert_eq!(turn(&mut team), Some(Taken::Waiting));
    assert_eq!(turn(&mut team), None);
    assert_eq!(team.turn(0), Some(Taken::Waiting));
    assert_eq!(turn(&mut team), Some(Taken::Complete));
    assert_eq!(team.finish().content, "hello");
}
