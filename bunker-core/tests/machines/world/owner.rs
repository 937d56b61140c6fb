//! The owner's device: it makes the group, signs statements, and hands out bunker URLs.

use bunker_core::{
    approval::{Approval, Remember},
    event::Event,
    grant::{ConnectionId, Grant, SecretHash},
    keys::TransportSecret,
    members::Members,
    nip44,
    nip46::{Call, Request},
    policy::Policy,
    statement::{Statement, Verb},
    uri::ConnectionSecret,
};
use frost_wasm_core::{
    frost::keygen,
    group::{GroupId, GroupPublic, HolderRole},
    share::KeyShare,
};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use serde_json::json;

use super::{App, Undelivered, World, index};

/// A new key, split as in hosted mode.
pub(crate) fn split(rng: &mut ChaCha20Rng) -> (GroupPublic, Vec<KeyShare>) {
    split_with(HolderRole::Cosigner, rng)
}

/// A new key, split between the bunker, this holder and the kit.
pub(crate) fn split_with(second: HolderRole, rng: &mut ChaCha20Rng) -> (GroupPublic, Vec<KeyShare>) {
    split_among(&[(1, HolderRole::Bunker), (2, second), (3, HolderRole::Recovery)], 2, rng)
}

pub(super) fn split_among(
    holders: &[(u16, HolderRole)],
    threshold: u16,
    rng: &mut ChaCha20Rng,
) -> (GroupPublic, Vec<KeyShare>) {
    let holders: Vec<_> = holders.iter().map(|(number, role)| (index(*number), *role)).collect();
    let secret = keygen::fresh_secret(rng);
    keygen::split(secret, GroupId::random(rng), &holders, threshold, rng).unwrap()
}

pub(super) fn create_group(
    owner: &TransportSecret,
    public: &GroupPublic,
    members: Members,
    now_s: u64,
    rng: &mut ChaCha20Rng,
) -> Statement {
    let verb = Verb::CreateGroup { public: public.clone(), members };
    let template = Statement::template(public.group, 1, &verb, now_s);
    Statement::verify(template.sign_with(owner, rng).unwrap()).unwrap()
}

pub(crate) fn policy(text: &str) -> Policy {
    let policy: Policy = serde_json::from_str(text).unwrap();
    policy.validate().unwrap();
    policy
}

impl World {
    /// The owner's next statement.
    pub(crate) fn statement(&mut self, verb: &Verb) -> Statement {
        self.seq += 1;
        self.statement_at(self.seq, verb)
    }

    pub(crate) fn statement_at(&mut self, seq: u64, verb: &Verb) -> Statement {
        let template = Statement::template(self.public.group, seq, verb, self.now_s());
        let event = template.sign_with(&self.owner, &mut self.rng).unwrap();
        Statement::verify(event).unwrap()
    }

    /// A new connection's grant, and the app that gets its URL. Not delivered yet.
    pub(crate) fn new_grant(&mut self, policy_json: &str, expires_at: Option<u64>) -> (Grant, App) {
        let transport = TransportSecret::random(&mut self.rng);
        let secret = ConnectionSecret::random(&mut self.rng);
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        let grant = Grant {
            connection: ConnectionId::from_bytes(id),
            transport_pubkey: transport.public_key(),
            secret_sha256: SecretHash::of(secret.expose_secret()),
            label: "an app".into(),
            policy: policy(policy_json),
            expires_at,
            auth_url: true,
        };
        let app = App {
            key: TransportSecret::random(&mut self.rng),
            transport: transport.public_key(),
            connection: grant.connection,
            secret: secret.expose_secret().to_owned(),
        };
        self.transports.insert(transport.public_key(), transport);
        (grant, app)
    }

    /// Grants a connection at both holders.
    pub(crate) fn granted(&mut self, policy_json: &str) -> App {
        self.granted_until(policy_json, None)
    }

    pub(crate) fn granted_until(&mut self, policy_json: &str, expires_at: Option<u64>) -> App {
        let (grant, app) = self.new_grant(policy_json, expires_at);
        let statement = self.statement(&Verb::Grant(grant));
        self.deliver(&statement).unwrap();
        app
    }

    /// Grants a connection and connects an app to it.
    pub(crate) fn connected(&mut self, policy_json: &str) -> App {
        let app = self.granted(policy_json);
        assert_eq!(self.connect(&app), "ack");
        app
    }

    /// `connect` with the URL's secret, which must succeed.
    #[track_caller]
    pub(crate) fn connect(&mut self, app: &App) -> String {
        let params = json!([app.transport.to_hex(), app.secret]);
        self.ok(app, "connect", params)
    }

    pub(crate) fn revocation(&mut self, app: &App) -> Statement {
        let connection = app.connection;
        self.statement(&Verb::Revoke { connection })
    }

    /// Revokes at both holders.
    pub(crate) fn revoke(&mut self, app: &App) {
        let statement = self.revocation(app);
        self.deliver(&statement).unwrap();
    }

    /// The owner's approval of a request that `app` sent, as it is.
    pub(crate) fn approval(&mut self, app: &App, request: &Event, remember: Option<Remember>) -> Approval {
        let asked = nip44::decrypt(&app.conversation(), &request.content).unwrap();
        let call = Request::parse(&asked).unwrap();
        let method = serde_json::from_value(json!(call.method.name())).expect("a method that is asked about");
        let kind = match call.call().unwrap() {
            Call::SignEvent(template) => Some(template.kind),
            _ => None,
        };
        Approval { connection: app.connection, request: request.id, method, kind, remember }
    }

    /// Approves at both holders.
    #[track_caller]
    pub(crate) fn approve(&mut self, app: &App, request: &Event, remember: Option<Remember>) {
        let approval = self.approval(app, request, remember);
        self.say(&Verb::Approve(approval)).unwrap();
    }

    /// Signs and delivers.
    pub(crate) fn say(&mut self, verb: &Verb) -> Result<(), Undelivered> {
        let statement = self.statement(verb);
        self.deliver(&statement)
    }

    /// Delivers to both holders; both must say the same. Only the bunker has a queue: what it refuses about one
    /// of the requests there is not passed on.
    pub(crate) fn deliver(&mut self, statement: &Statement) -> Result<(), Undelivered> {
        let now_ms = self.now_ms;
        if matches!(statement.verb(), Verb::Approve(_) | Verb::Deny { .. }) {
            self.bunker.deliver(statement, now_ms)?;
            return self.cosigner.deliver(statement, now_ms);
        }
        let [bunker, cosigner] = self.holders().map(|holder| holder.deliver(statement, now_ms));
        assert_eq!(bunker, cosigner, "the holders judge a statement differently");
        bunker
    }
}
