//! One history, with both holders' ledgers beside it.

use std::collections::BTreeMap;

use bunker_core::{
    approval::{Approval, HOLD_MARGIN_S, MAX_HOLD_S, Remember},
    event::Event,
    grant::{ConnectionId, Terms as SignedTerms},
    joint::{ContributionReply, ContributionRequest},
    keys::EventId,
    policy::Permission,
    relay::NotTaken,
    replay::{MAX_AGE_S, MAX_AHEAD_S},
    session::StatementRefused,
    statement::{Statement, Verb},
};
use frost_wasm_core::frost::sign;
use serde_json::json;

use super::{
    Approved, Ask, Course, Happens, Lie, Offer, Twist,
    ledger::{Asked, Duty, Ledger, RULES, Terms, Word},
};
use crate::{
    judge::assert_signed,
    world::{App, Outcome, Uncontributed, Undelivered, World, body, index, policy, template, through_the_wire},
};

struct Connection {
    id: ConnectionId,
    app: App,
    stranger: App,
}

/// Who has a request judged.
#[derive(Clone, Copy)]
enum By {
    Relay,
    Shell,
}

fn is_living(ledger: &Ledger, connection: &ConnectionId) -> Result<(), StatementRefused> {
    if ledger.has_ended(connection) { Err(StatementRefused::ConnectionEnded) } else { Ok(()) }
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
    /// Requests that wait for the owner, and until when.
    waiting: BTreeMap<EventId, u64>,
    bunker: Ledger,
    cosigner: Ledger,
    earlier_contribution: Option<(EventId, ContributionReply)>,
}

impl Run {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            world: World::from_seed(seed),
            connections: Vec::new(),
            statements: Vec::new(),
            requests: Vec::new(),
            answers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            bunker: Ledger::new(),
            cosigner: Ledger::new(),
            earlier_contribution: None,
        }
    }

    pub(super) fn check(&self) {
        let now_s = self.world.now_s();
        self.bunker.check(&self.world.bunker, now_s);
        self.cosigner.check(&self.world.cosigner, now_s);
        let state = &self.world.bunker.state;
        let held: BTreeMap<_, _> = state.pending().map(|it| (it.event.id, it.expires_at_s)).collect();
        assert_eq!(held, self.waiting);
        assert_eq!(self.world.cosigner.state.pending().count(), 0);
        if let Some(first_s) = self.waiting.values().min() {
            assert!(state.next_due_s().is_some_and(|due_s| due_s <= *first_s), "a waiting request is overlooked");
        }
    }

    pub(super) fn happens(&mut self, happens: &Happens) {
        match happens {
            Happens::Grant { rules, lifetime_s, is_connected } => {
                self.grant(rules.index(RULES.len()), *lifetime_s);
                if *is_connected {
                    let request = self.ask(self.connections.len() - 1, Ask::Connect(Offer::Right), false);
                    self.deliver(request, Course::Smooth);
                }
            }
            Happens::Wait { seconds } => self.world.advance(*seconds),
            Happens::Forget => self.forget(),
            Happens::Revoke { at, cosigner_first } if !self.connections.is_empty() => {
                self.revoke(at.index(self.connections.len()), *cosigner_first);
            }
            Happens::Edit { at, rules, lifetime_s } if !self.connections.is_empty() => {
                self.edit(at.index(self.connections.len()), rules.index(RULES.len()), *lifetime_s);
            }
            Happens::Pause { at, is_paused } if !self.connections.is_empty() => {
                self.pause(at.index(self.connections.len()), *is_paused);
            }
            Happens::Approve { approved, remember, twist, cosigner_hears, at_once } => {
                if let Some(n) = self.choose(approved) {
                    self.approve(n, *remember, *twist, *cosigner_hears);
                    if *at_once && self.waiting.contains_key(&self.requests[n].asked.id) {
                        self.carry(n, Course::Smooth, By::Shell);
                    }
                }
            }
            Happens::Deny { approved } => {
                if let Some(n) = self.choose(approved) {
                    self.deny(n);
                }
            }
            Happens::JudgeAgain { which, course } => {
                if let Some(n) = self.choose(&Approved::Waiting(*which)) {
                    self.carry(n, *course, By::Shell);
                }
            }
            Happens::OldStatement { which } if !self.statements.is_empty() => {
                let statement = self.statements[which.index(self.statements.len())].clone();
                let (now_ms, seq) = (self.world.now_ms, statement.seq());
                for (holder, ledger) in self.world.holders().into_iter().zip([&self.bunker, &self.cosigner]) {
                    // A holder that has not heard it yet would hear it now.
                    if seq <= ledger.heard {
                        assert_eq!(holder.deliver(&statement, now_ms).is_ok(), seq == ledger.heard);
                    }
                }
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
            | Happens::Edit { .. }
            | Happens::Pause { .. }
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
        let id = app.connection;
        let statement = self.world.statement(&Verb::Grant(grant));
        let terms = Terms { rules, expires_at, seq: statement.seq() };
        self.tell(&statement, |_| Ok(()), |ledger| ledger.agree(id, terms));
        let stranger = self.world.stranger(&app);
        self.connections.push(Connection { id, app, stranger });
    }

    fn edit(&mut self, at: usize, rules: usize, lifetime_s: Option<u64>) {
        let connection = self.connections[at].id;
        let expires_at = lifetime_s.map(|lifetime_s| self.world.now_s() + lifetime_s);
        let policy = policy(RULES[rules].json);
        let signed = SignedTerms { label: "edited".into(), policy, expires_at, auth_url: true };
        let statement = self.world.statement(&Verb::Edit { connection, terms: signed });
        let terms = Terms { rules, expires_at, seq: statement.seq() };
        self.tell(&statement, |ledger| is_living(ledger, &connection), |ledger| ledger.agree(connection, terms));
    }

    fn pause(&mut self, at: usize, is_paused: bool) {
        let connection = self.connections[at].id;
        let verb = if is_paused { Verb::Pause { connection } } else { Verb::Resume { connection } };
        let statement = self.world.statement(&verb);
        self.tell(&statement, |ledger| is_living(ledger, &connection), |ledger| ledger.pause(connection, is_paused));
    }

    fn revoke(&mut self, at: usize, cosigner_first: bool) {
        let connection = self.connections[at].id;
        let statement = self.world.statement(&Verb::Revoke { connection });
        if cosigner_first {
            // While the bunker does not know yet, the app tries once more.
            self.world.cosigner.deliver(&statement, self.world.now_ms).unwrap();
            self.cosigner.heard = statement.seq();
            self.cosigner.revoke(connection);
            let request = self.ask(at, Ask::Sign(1), false);
            self.deliver(request, Course::Smooth);
        }
        self.tell(&statement, |_| Ok(()), |ledger| ledger.revoke(connection));
    }

    /// One of the requests, if there is one.
    fn choose(&self, approved: &Approved) -> Option<usize> {
        match approved {
            Approved::Waiting(which) => {
                let waiting: Vec<_> = self.waiting.keys().collect();
                let id = *waiting.get(which.index(waiting.len().max(1)))?;
                self.requests.iter().position(|request| request.asked.id == *id)
            }
            Approved::Any(which) => (!self.requests.is_empty()).then(|| which.index(self.requests.len())),
        }
    }

    fn approve(&mut self, n: usize, lasting_s: Option<Option<u64>>, twist: Twist, cosigner_hears: bool) {
        let Asked { id: request, mut connection, mut what, .. } = self.requests[n].asked;
        match twist {
            Twist::Nothing => {}
            Twist::OtherKind => what = if what == Ask::Sign(1) { Ask::Sign(7) } else { Ask::Sign(1) },
            Twist::OtherConnection => {
                connection = self.connections[(self.requests[n].connection + 1) % self.connections.len()].id
            }
        }
        let (method, kind) = match what {
            Ask::Sign(kind) => (Permission::SignEvent, Some(kind)),
            Ask::Encrypt => (Permission::Nip44Encrypt, None),
            Ask::Connect(_) | Ask::Ping | Ask::Logout => return,
        };
        let now_s = self.world.now_s();
        let remember = lasting_s.map(|lasting_s| lasting_s.map(|lasting_s| now_s + lasting_s));
        let approval =
            Approval { connection, request, method, kind, remember: remember.map(|until| Remember { until }) };
        let statement = self.world.statement(&Verb::Approve(approval));
        let is_twisted = (connection, what) != (self.requests[n].asked.connection, self.requests[n].asked.what);
        let word = Word::Approved(connection, what);
        self.tell_of_request(&statement, &connection, &request, is_twisted, cosigner_hears, |ledger| {
            ledger.decide(request, word, remember);
        });
    }

    fn deny(&mut self, n: usize) {
        let Asked { id: request, connection, .. } = self.requests[n].asked;
        let statement = self.world.statement(&Verb::Deny { connection, request });
        self.tell_of_request(&statement, &connection, &request, false, true, |ledger| {
            ledger.decide(request, Word::Denied(connection), None);
        });
    }

    /// Delivers a statement about a request. Only the bunker knows which requests wait, and a coordinator that
    /// lies delivers to the cosigner what the bunker refused.
    fn tell_of_request(
        &mut self,
        statement: &Statement,
        connection: &ConnectionId,
        request: &EventId,
        is_twisted: bool,
        cosigner_hears: bool,
        note: impl Fn(&mut Ledger),
    ) {
        let now_ms = self.world.now_ms;
        let is_waiting = self.waiting.get(request).is_some_and(|until_s| self.world.now_s() < *until_s);
        let expected = is_living(&self.bunker, connection).and(match (is_waiting, is_twisted) {
            (false, _) => Err(StatementRefused::NoSuchRequest),
            (true, true) => Err(StatementRefused::OtherRequest),
            (true, false) => Ok(()),
        });
        assert_eq!(self.world.bunker.deliver(statement, now_ms), expected.map_err(Undelivered::Refused));
        if expected.is_ok() {
            note(&mut self.bunker);
            self.bunker.heard = statement.seq();
        }
        if cosigner_hears {
            let expected = is_living(&self.cosigner, connection);
            assert_eq!(self.world.cosigner.deliver(statement, now_ms), expected.map_err(Undelivered::Refused));
            if expected.is_ok() {
                note(&mut self.cosigner);
                self.cosigner.heard = statement.seq();
            }
        }
        self.statements.push(statement.clone());
    }

    /// Delivers a statement to both holders, which must take it exactly as their ledgers say.
    fn tell(
        &mut self,
        statement: &Statement,
        expected: impl Fn(&Ledger) -> Result<(), StatementRefused>,
        note: impl Fn(&mut Ledger),
    ) {
        let now_ms = self.world.now_ms;
        let ledgers = [&mut self.bunker, &mut self.cosigner];
        for (holder, ledger) in self.world.holders().into_iter().zip(ledgers) {
            let expected = expected(ledger);
            assert_eq!(holder.deliver(statement, now_ms), expected.map_err(Undelivered::Refused));
            if expected.is_ok() {
                note(ledger);
                ledger.heard = statement.seq();
            }
        }
        self.statements.push(statement.clone());
    }

    fn forget(&mut self) {
        let now_s = self.world.now_s();
        for holder in self.world.holders() {
            let forget = holder.state.forget_expired(now_s);
            holder.commit(&forget).unwrap();
        }
        assert!(self.world.cosigner.state.next_due_s().is_none_or(|due_s| due_s > now_s), "forgetting has no end");
    }

    /// Makes a request; does not deliver it.
    fn ask(&mut self, at: usize, what: Ask, by_stranger: bool) -> usize {
        let Connection { id: connection, app, stranger } = &self.connections[at];
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
        let asked = Asked { id: event.id, connection: *connection, client: sender.pubkey(), what };
        self.requests.push(Request { asked, event, connection: at, by_stranger });
        self.requests.len() - 1
    }

    fn is_fresh(&self, created_at_s: u64) -> bool {
        let now_s = self.world.now_s();
        created_at_s + MAX_AGE_S >= now_s && created_at_s <= now_s + MAX_AHEAD_S
    }

    /// Publishes a request.
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
        self.carry(n, course, By::Relay);
    }

    /// A request's way through the holders, with something on that way.
    fn carry(&mut self, n: usize, course: Course, by: By) {
        match course {
            Course::BunkerStorageFails(n) => self.world.bunker.fail_storage_after(n),
            Course::CosignerStorageFails => self.world.cosigner.fail_storage_after(0),
            Course::Smooth
            | Course::EvictedBeforeContribution
            | Course::EvictedAfterContribution
            | Course::ContributionExchanged => {}
        }
        let (asked, event) = (self.requests[n].asked, self.requests[n].event.clone());
        self.run(n, &asked, &event, course, by);
        self.world.bunker.heal_storage();
        self.world.cosigner.heal_storage();
    }

    fn run(&mut self, n: usize, asked: &Asked, event: &Event, course: Course, by: By) {
        let now_s = self.world.now_s();
        let until_s = self.waiting.get(&asked.id).copied();
        let last_s = (now_s + MAX_HOLD_S).min(event.created_at + MAX_AGE_S - HOLD_MARGIN_S);
        let is_too_late =
            |duty| until_s.map_or(duty == Duty::AskTheOwner && last_s <= now_s, |until_s| until_s <= now_s);
        let duty = match self.bunker.duty(asked, now_s) {
            duty if is_too_late(duty) => Duty::Refuse,
            duty => duty,
        };
        let begun = match by {
            By::Relay => self.world.begin(event),
            By::Shell => self.world.take(event.clone().into_verified().unwrap()),
        };
        let is_committed = !matches!(begun, Err(Outcome::Silence));
        if is_committed && duty != Duty::AskTheOwner {
            self.waiting.remove(&asked.id);
        }
        let begun = match begun {
            Ok(begun) => begun,
            Err(Outcome::Reply(reply)) => {
                let is_answered = self.read(n, &reply);
                assert_eq!(is_answered, duty == Duty::GoAlong && asked.what == Ask::Ping);
                if is_answered {
                    self.bunker.record(asked);
                }
                return;
            }
            Err(Outcome::Held(challenge)) => {
                assert_eq!(duty, Duty::AskTheOwner);
                let is_told = until_s.is_none() && !self.bunker.went_along(&asked.id);
                assert_eq!(challenge.is_some(), is_told, "an app is told once");
                self.waiting.entry(asked.id).or_insert(last_s);
                return;
            }
            Err(Outcome::Silence) => return assert_eq!(course, Course::BunkerStorageFails(0)),
            Err(other) => panic!("{other:?}"),
        };
        assert!(duty == Duty::GoAlong && asked.what != Ask::Ping, "{:?} was let through", asked.what);
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
                let (of, earlier) = earlier;
                // To the same request, a partial ECDH is as good the second time.
                let is_same = of == asked.id && matches!(own, ContributionReply::Ecdh(_));
                let is_exchanged = !is_same && !matches!(own, ContributionReply::Recorded);
                (Ok(if is_exchanged { earlier } else { own }), is_exchanged)
            }
            (_, own, earlier) => {
                self.earlier_contribution = match &own {
                    Ok(reply @ (ContributionReply::Signed(_) | ContributionReply::Ecdh(_))) => {
                        Some((asked.id, through_the_wire(reply)))
                    }
                    Ok(
                        ContributionReply::Recorded
                        | ContributionReply::Refused { .. }
                        | ContributionReply::Committed { .. },
                    )
                    | Err(_) => earlier,
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
        let [bunker, cosigner] =
            [&self.world.bunker, &self.world.cosigner].map(|holder| holder.connection(&asked.connection).standing());
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
        let is_revoked = self.bunker.is_revoked(&asked.connection) || self.cosigner.is_revoked(&asked.connection);
        assert!(!(is_success && is_revoked) || asked.what == Ask::Ping, "a revoked client was answered");
        self.answers.insert(asked.id, reply.clone());
        is_success
    }

    /// Calls the cosigner, which must contribute exactly when its ledger says so.
    fn contribute(&mut self, asked: &Asked, call: &str) -> Result<ContributionReply, Uncontributed> {
        let is_permitted = self.cosigner.duty(asked, self.world.now_s()) == Duty::GoAlong;
        let reply = self.world.call_cosigner(call);
        match &reply {
            Ok(ContributionReply::Refused { text, .. }) => assert!(!is_permitted, "refused: {text}"),
            Ok(ContributionReply::Signed(_) | ContributionReply::Ecdh(_) | ContributionReply::Recorded) => {
                assert!(is_permitted, "contributed to {:?}", asked.what);
                self.cosigner.record(asked);
            }
            Err(Uncontributed::Storage) => {}
            Ok(ContributionReply::Committed { .. }) => panic!("a cosigner does not commit beforehand"),
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
            Lie::NotJudged => {}
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
        let duty = self.cosigner.duty(&asked, self.world.now_s());
        let is_permitted = self.is_fresh(event.created_at) && duty == Duty::GoAlong;
        let reply = self.world.call_cosigner(&call);
        let is_about_signing = matches!(lie, Lie::OtherEpoch | Lie::NoCommitment | Lie::OwnIndex);
        match (&reply, asked.what) {
            (Ok(ContributionReply::Signed(_) | ContributionReply::Ecdh(_) | ContributionReply::Recorded), what)
                if lie == Lie::NotJudged =>
            {
                assert!(is_permitted && what != Ask::Ping, "contributed to {what:?}");
                self.cosigner.record(&asked);
            }
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
            (Ok(ContributionReply::Refused { code, .. }), _) => {
                assert!(!is_permitted || asked.what == Ask::Ping, "{code}")
            }
            (Err(Uncontributed::Event(_) | Uncontributed::Unreadable(_)), _) => {}
            (other, what) => panic!("{lie:?} about {what:?} got {other:?}"),
        }
    }
}
