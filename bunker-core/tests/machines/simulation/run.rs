//! One history, with both holders' ledgers beside it.

use std::collections::BTreeMap;

use bunker_core::{
    event::Event,
    joint::{ContributionReply, ContributionRequest},
    keys::EventId,
    relay::NotTaken,
    replay::{MAX_AGE_S, MAX_AHEAD_S},
    statement::{Statement, Verb},
};
use frost_wasm_core::frost::sign;
use serde_json::json;

use super::{
    Ask, Course, Happens, Lie, Offer,
    ledger::{Asked, Ledger, Line, RULES},
};
use crate::{
    judge::assert_signed,
    world::{App, Outcome, Uncontributed, World, body, index, template, through_the_wire},
};

struct Connection {
    line: Line,
    app: App,
    stranger: App,
}

struct Request {
    asked: Asked,
    event: Event,
    connection: usize,
    by_stranger: bool,
}

pub(super) struct Run {
    world: World,
    connections: Vec<Connection>,
    statements: Vec<Statement>,
    requests: Vec<Request>,
    /// Replies as they were first sent.
    answers: BTreeMap<EventId, Event>,
    bunker: Ledger,
    cosigner: Ledger,
    earlier_contribution: Option<ContributionReply>,
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            world: World::from_seed(seed),
            connections: Vec::new(),
            statements: Vec::new(),
            requests: Vec::new(),
            answers: BTreeMap::new(),
            bunker: Ledger::default(),
            cosigner: Ledger::default(),
            earlier_contribution: None,
        }
    }

    pub(super) fn check(&self) {
        let lines = || self.connections.iter().map(|connection| connection.line);
        self.bunker.check(&self.world.bunker, lines());
        self.cosigner.check(&self.world.cosigner, lines());
    }

    pub(super) fn happens(&mut self, happens: &Happens) {
        match happens {
            Happens::Grant { rules, lifetime_s } => self.grant(rules.index(RULES.len()), *lifetime_s),
            Happens::Wait { seconds } => self.world.advance(*seconds),
            Happens::Forget => self.forget(),
            Happens::Revoke { at, cosigner_first } if !self.connections.is_empty() => {
                self.revoke(at.index(self.connections.len()), *cosigner_first);
            }
            Happens::OldStatement { which } if !self.statements.is_empty() => {
                let statement = self.statements[which.index(self.statements.len())].clone();
                let is_last = statement.seq() == self.world.seq;
                assert_eq!(self.world.deliver(&statement).is_ok(), is_last);
            }
            Happens::Ask { at, what, by_stranger, course } if !self.connections.is_empty() => {
                let request = self.ask(at.index(self.connections.len()), *what, *by_stranger);
                self.deliver(request, *course);
            }
            Happens::Replay { which, course } if !self.requests.is_empty() => {
                self.deliver(which.index(self.requests.len()), *course);
            }
            Happens::Lie { which, lie } if !self.requests.is_empty() => {
                self.lie(which.index(self.requests.len()), *lie);
            }
            Happens::Revoke { .. }
            | Happens::OldStatement { .. }
            | Happens::Ask { .. }
            | Happens::Replay { .. }
            | Happens::Lie { .. } => {}
        }
        self.check();
    }

    fn grant(&mut self, rules: usize, lifetime_s: Option<u64>) {
        let expires_at = lifetime_s.map(|lifetime_s| self.world.now_s() + lifetime_s);
        let (grant, app) = self.world.new_grant(RULES[rules].json, expires_at);
        let statement = self.world.statement(&Verb::Grant(grant));
        self.world.deliver(&statement).unwrap();
        self.statements.push(statement);
        let connection = app.connection;
        self.bunker.grant(connection);
        self.cosigner.grant(connection);
        let stranger = self.world.stranger(&app);
        let line = Line { connection, rules, expires_at };
        self.connections.push(Connection { line, app, stranger });
    }

    fn revoke(&mut self, at: usize, cosigner_first: bool) {
        let connection = self.connections[at].line.connection;
        let statement = self.world.statement(&Verb::Revoke { connection });
        self.statements.push(statement.clone());
        if cosigner_first {
            // While the bunker does not know yet, the app tries once more.
            self.world.cosigner.deliver(&statement, self.world.now_ms).unwrap();
            self.cosigner.revoke(connection);
            let request = self.ask(at, Ask::Sign(1), false);
            self.deliver(request, Course::Smooth);
            self.world.bunker.deliver(&statement, self.world.now_ms).unwrap();
        } else {
            self.world.deliver(&statement).unwrap();
            self.cosigner.revoke(connection);
        }
        self.bunker.revoke(connection);
    }

    fn forget(&mut self) {
        let now_s = self.world.now_s();
        for holder in self.world.holders() {
            let forget = holder.state.forget_expired(now_s);
            holder.commit(&forget).unwrap();
        }
    }

    /// Makes a request; does not deliver it.
    fn ask(&mut self, at: usize, what: Ask, by_stranger: bool) -> usize {
        let Connection { line, app, stranger } = &self.connections[at];
        let sender = if by_stranger { stranger } else { app };
        let (method, params) = match what {
            Ask::Connect(Offer::Right) => ("connect", json!(["", app.secret])),
            Ask::Connect(Offer::Wrong) => ("connect", json!(["", "not the secret of this URL"])),
            Ask::Connect(Offer::Nothing) => ("connect", json!([""])),
            Ask::Sign(kind) => ("sign_event", json!([template(kind, "x")])),
            Ask::Encrypt => ("nip44_encrypt", json!([self.world.npub(), "x"])),
            Ask::Ping => ("ping", json!([])),
            Ask::Logout => ("logout", json!([])),
        };
        let event = self.world.request(sender, method, params);
        let asked = Asked { id: event.id, line: *line, client: sender.pubkey(), what };
        self.requests.push(Request { asked, event, connection: at, by_stranger });
        self.requests.len() - 1
    }

    fn is_fresh(&self, created_at_s: u64) -> bool {
        let now_s = self.world.now_s();
        created_at_s + MAX_AGE_S >= now_s && created_at_s <= now_s + MAX_AHEAD_S
    }

    fn deliver(&mut self, n: usize, course: Course) {
        let (asked, event) = (self.requests[n].asked, self.requests[n].event.clone());
        let recorded = [self.world.bunker.log.len(), self.world.cosigner.log.len()];
        let is_unchanged = |world: &World| recorded == [world.bunker.log.len(), world.cosigner.log.len()];
        if !self.is_fresh(event.created_at) {
            let outcome = self.world.submit(&event);
            assert!(matches!(outcome, Outcome::NotTaken(NotTaken::Stale)), "{outcome:?}");
            assert!(is_unchanged(&self.world));
            return;
        }
        if let Some(first) = self.answers.get(&asked.id) {
            assert_eq!(self.world.submit(&event).reply(), *first);
            assert!(is_unchanged(&self.world));
            return;
        }
        match course {
            Course::BunkerStorageFails(n) => self.world.bunker.fail_storage_after(n),
            Course::CosignerStorageFails => self.world.cosigner.fail_storage_after(0),
            Course::Smooth
            | Course::EvictedBeforeContribution
            | Course::EvictedAfterContribution
            | Course::ContributionExchanged => {}
        }
        self.run(n, &asked, &event, course);
        self.world.bunker.heal_storage();
        self.world.cosigner.heal_storage();
    }

    fn run(&mut self, n: usize, asked: &Asked, event: &Event, course: Course) {
        let is_permitted = self.bunker.permits(asked, self.world.now_s());
        let begun = match self.world.begin(event) {
            Ok(begun) => begun,
            Err(Outcome::Reply(reply)) => {
                let is_answered = self.read(n, &reply);
                assert_eq!(is_answered, is_permitted && asked.what == Ask::Ping);
                if is_answered {
                    self.bunker.record(asked);
                }
                return;
            }
            Err(Outcome::Silence) => return assert_eq!(course, Course::BunkerStorageFails(0)),
            Err(other) => panic!("{other:?}"),
        };
        assert!(is_permitted && asked.what != Ask::Ping, "{:?} was let through", asked.what);
        self.bunker.record(asked);
        if course == Course::EvictedBeforeContribution {
            return;
        }
        let contribution = self.contribute(asked, &begun.body);
        if course == Course::EvictedAfterContribution {
            return;
        }
        let is_honest = matches!(&contribution, Ok(reply) if !matches!(reply, ContributionReply::Refused { .. }));
        let (contribution, is_exchanged) = match (course, contribution, self.earlier_contribution.take()) {
            (Course::ContributionExchanged, Ok(own), Some(earlier)) if is_honest => {
                let is_exchanged = !matches!(own, ContributionReply::Recorded);
                (Ok(if is_exchanged { earlier } else { own }), is_exchanged)
            }
            (_, own, earlier) => {
                self.earlier_contribution = match &own {
                    Ok(reply @ (ContributionReply::Signed(_) | ContributionReply::Ecdh(_))) => {
                        Some(through_the_wire(reply))
                    }
                    Ok(ContributionReply::Recorded | ContributionReply::Refused { .. }) | Err(_) => earlier,
                };
                (own, false)
            }
        };
        match self.world.finish(begun, |_, _| contribution) {
            Outcome::Reply(reply) => {
                let is_answered = self.read(n, &reply);
                assert_eq!(is_answered, is_honest && !is_exchanged);
                if is_answered {
                    self.agree(asked);
                }
            }
            Outcome::Silence => assert_eq!(course, Course::BunkerStorageFails(1)),
            other => panic!("{other:?}"),
        }
    }

    /// After an operation that both took part in, both believe the same of the connection.
    fn agree(&self, asked: &Asked) {
        let [bunker, cosigner] = [&self.world.bunker, &self.world.cosigner]
            .map(|holder| holder.connection(&asked.line.connection).standing());
        assert_eq!(bunker, cosigner);
    }

    /// What the app reads, remembered for replays. True for a success.
    fn read(&mut self, n: usize, reply: &Event) -> bool {
        let Request { asked, connection, by_stranger, .. } = &self.requests[n];
        let Connection { app, stranger, .. } = &self.connections[*connection];
        let sender = if *by_stranger { stranger } else { app };
        let response = sender.read(reply);
        if let (Ask::Sign(kind), Some(result)) = (asked.what, response.expose_result()) {
            let signed = Event::parse(result).unwrap();
            assert_signed(&signed, &self.world.npub());
            assert_eq!(signed.kind, kind);
        }
        let is_success = response.expose_result().is_some();
        let is_revoked =
            self.bunker.is_revoked(&asked.line.connection) || self.cosigner.is_revoked(&asked.line.connection);
        assert!(!(is_success && is_revoked) || asked.what == Ask::Ping, "a revoked client was answered");
        self.answers.insert(asked.id, reply.clone());
        is_success
    }

    /// Calls the cosigner, which must contribute exactly when its ledger says so.
    fn contribute(&mut self, asked: &Asked, call: &str) -> Result<ContributionReply, Uncontributed> {
        let is_permitted = self.cosigner.permits(asked, self.world.now_s());
        let reply = self.world.call_cosigner(call);
        match &reply {
            Ok(ContributionReply::Refused { text, .. }) => assert!(!is_permitted, "refused: {text}"),
            Ok(ContributionReply::Signed(_) | ContributionReply::Ecdh(_) | ContributionReply::Recorded) => {
                assert!(is_permitted, "contributed to {:?}", asked.what);
                self.cosigner.record(asked);
            }
            Err(Uncontributed::Storage) => {}
            Err(error) => panic!("{error:?}"),
        }
        reply
    }

    /// A coordinator makes something up about a request that exists.
    fn lie(&mut self, n: usize, lie: Lie) {
        let Request { asked, event, connection, by_stranger } = &self.requests[n];
        let (asked, mut event) = (*asked, event.clone());
        let Connection { app, stranger, .. } = &self.connections[*connection];
        let (sender, another) = if *by_stranger { (stranger, app) } else { (app, stranger) };
        let conversation = sender.conversation();
        let (_, commitment) = sign::commit(&self.world.bunker.share, &mut self.world.rng).unwrap();
        let mut commitments = vec![(index(1), commitment)];
        let mut epoch = 0;
        let mut key = *conversation.expose_secret();
        match lie {
            Lie::AlteredContent => event.content.push('A'),
            Lie::SignedByAnother => event.sig = self.world.signed(&another.key, &event).sig,
            Lie::OtherConversationKey => key[0] ^= 1,
            Lie::OtherEpoch => epoch = 1,
            Lie::NoCommitment => commitments.clear(),
            Lie::OwnIndex => commitments[0].0 = index(2),
        }
        let key = frost_wasm_core::secret::Secret32::from_bytes(key);
        let key = bunker_core::nip44::ConversationKey::from_secret(key);
        let call = body(&event, &key, epoch, &commitments);
        assert!(ContributionRequest::decode(&call).is_ok());
        let is_permitted = self.is_fresh(event.created_at) && self.cosigner.permits(&asked, self.world.now_s());
        let reply = self.world.call_cosigner(&call);
        let is_about_signing = matches!(lie, Lie::OtherEpoch | Lie::NoCommitment | Lie::OwnIndex);
        match (&reply, asked.what) {
            (Err(Uncontributed::Failed(_)), Ask::Sign(_) | Ask::Encrypt) => {
                assert!(is_about_signing && is_permitted);
                self.cosigner.record(&asked);
            }
            // Where nothing is signed, commitments and often the epoch do not matter.
            (Ok(ContributionReply::Ecdh(_)), Ask::Encrypt) => {
                assert!(matches!(lie, Lie::NoCommitment | Lie::OwnIndex) && is_permitted);
                self.cosigner.record(&asked);
            }
            (Ok(ContributionReply::Recorded), Ask::Connect(_) | Ask::Logout) => {
                assert!(is_about_signing && is_permitted);
                self.cosigner.record(&asked);
            }
            (Ok(ContributionReply::Refused { .. }), _) => assert!(!is_permitted || asked.what == Ask::Ping),
            (Err(Uncontributed::Event(_) | Uncontributed::Unreadable(_)), _) => {}
            (other, what) => panic!("{lie:?} about {what:?} got {other:?}"),
        }
    }
}
