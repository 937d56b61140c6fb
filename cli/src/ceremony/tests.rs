use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use frost_wasm_core::{
    ceremony::{
        Kind, Seat,
        coordinator::{End, Limits, Mutation},
        meeting::{Change, Invitation, Invited, Meeting},
    },
    group::{GroupId, HolderIndex, HolderRole},
    point::XOnlyKey,
    provision::ReceivingKey,
    secret::Secret32,
};
use passport_device::{
    holders::{HolderList, Holders},
    owner::OwnerKey,
};
use serde_json::{Value, json};

use super::*;

/// A ceremony of these people, of whom the first has joined, as the server shows it.
pub(crate) fn view(members: &[PublicKey], status: &str) -> CeremonyView {
    let participants: Vec<_> = (1..)
        .zip(members)
        .map(|(number, owner)| json!({"number": number, "role": "device", "owner": owner, "joined": number == 1}))
        .collect();
    let view = json!({
        "operation_id": "01".repeat(16), "kind": "keygen", "status": status, "group": "02".repeat(16),
        "threshold": 2, "round": 0, "waits_for": [2], "due_at": 1_790_000_000_u64, "participants": participants,
        "terms": null, "packages": [], "next": 0, "reason": null, "culprits": [], "public": null, "proof": null,
    });
    serde_json::from_value(view).unwrap()
}

/// The server's holders.
pub(crate) fn holders() -> Holders {
    let key = |byte: u8| ReceivingKey::from_secret(&Secret32::from_bytes([byte; 32])).unwrap().public();
    let list = json!({"holders": [
        {"role": "bunker", "index": 1, "receiving_key": key(1), "signing_key": person(1)},
        {"role": "cosigner", "index": 2, "receiving_key": key(2), "signing_key": person(2)},
    ]});
    let list: HolderList = serde_json::from_value(list).unwrap();
    Holders::from_list(&list).unwrap()
}

/// Somebody's owner key, which need not be one.
pub(crate) fn person(byte: u8) -> PublicKey {
    PublicKey::from_bytes([byte; 32])
}

/// A server with one ceremony of two people, at which the other one always speaks at once.
struct Table {
    meeting: Meeting,
    said: Vec<Package>,
    other: Attendance,
}

/// What happens to a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It is taken, and the answer is lost.
    Lost,
    /// Another round is due, it says.
    Late,
}

impl Table {
    fn of(owner: &OwnerKey, seed: &Secret32) -> Self {
        let (other, second) = (OwnerKey::fresh(&mut platform::rng()), Secret32::random(&mut platform::rng()));
        let members = [owner.public_key(), other.public_key()];
        let mut view = view(&members, "joining");
        let keys = [(owner, seed), (&other, &second)].map(|(owner, seed)| {
            let joined =
                serde_json::to_value(Attendance::resume(owner, &holders(), &view, seed).unwrap().join()).unwrap();
            serde_json::from_value(joined["keys"][0]["receiving_key"].clone()).unwrap()
        });
        let invited = (1..).zip(members).zip(keys).map(|((number, owner), receiving)| {
            let index = HolderIndex::new(number).unwrap();
            let receives = Some(Seat { index, role: HolderRole::Device });
            let signing = XOnlyKey::from_bytes(*owner.as_bytes());
            Invited { number, signing, receiving: Some(receiving), deals: Some(index), receives }
        });
        let invitation = Invitation {
            ceremony: view.operation_id,
            purpose: Kind::Keygen,
            group: GroupId::from_bytes([2; 16]),
            epoch: 0,
            threshold: 2,
            parties: invited.collect(),
        };
        let meeting = Meeting::start(invitation, Limits { round_ms: 1000, kept_ms: 1000 }, 0).unwrap();
        view.status = "running".into();
        let other = Attendance::resume(&other, &holders(), &view, &second).unwrap();
        let mut table = Self { meeting, said: Vec::new(), other };
        table.have_the_other_speak();
        table
    }

    fn submit(&mut self, package: &Package) {
        for change in self.meeting.submit(package.party, package, 0).unwrap() {
            self.meeting.apply(&change);
            if let Change::Run(Mutation::Taken { package, .. }) = change {
                self.said.push(*package);
            }
        }
    }

    fn have_the_other_speak(&mut self) {
        loop {
            let view = serde_json::from_value(self.shown(self.other.next())).unwrap();
            let packages = self.other.take(&view, &mut platform::rng()).unwrap();
            if packages.is_empty() {
                return;
            }
            packages.iter().for_each(|package| self.submit(package));
        }
    }

    fn shown(&self, after: u64) -> Value {
        let invitation = self.meeting.invitation();
        let transcript = self.meeting.run().unwrap().transcript();
        let participants: Vec<_> = invitation
            .parties
            .iter()
            .map(|it| json!({"number": it.number, "role": "device", "owner": it.signing, "joined": true}))
            .collect();
        json!({
            "operation_id": invitation.ceremony, "kind": "keygen", "group": invitation.group, "threshold": invitation.threshold,
            "status": if self.meeting.end() == Some(End::Verified) { "verified" } else { "running" },
            "round": transcript.round(), "waits_for": self.meeting.waits_for(), "due_at": 1,
            "participants": participants, "terms": **transcript.terms(),
            "packages": self.said[usize::try_from(after).unwrap()..], "next": self.said.len(),
            "reason": null, "culprits": [],
        })
    }

    /// Serves until it has answered with the end; gives what was asked for.
    fn serve(mut self, listener: &TcpListener, mut fates: impl Iterator<Item = Fate>) -> Vec<String> {
        let mut asked = Vec::new();
        loop {
            let (stream, _) = listener.accept().unwrap();
            let (line, body) = request(&stream);
            let (path, after) = line.split_once("?after=").unwrap();
            asked.push(path.rsplit_once('/').unwrap().1.to_owned());
            let fate = fates.next().unwrap_or(Fate::Answered);
            if fate == Fate::Late {
                answer(&stream, "409 Conflict", &json!({"code": "round_over", "detail": "Go on."}));
                continue;
            }
            if !body.is_empty() {
                let body: Value = serde_json::from_slice(&body).unwrap();
                self.submit(&serde_json::from_value(body["participant_data"].clone()).unwrap());
                self.have_the_other_speak();
            }
            if fate == Fate::Answered {
                answer(&stream, "200 OK", &self.shown(after.parse().unwrap()));
                if self.meeting.end().is_some() {
                    return asked;
                }
            }
        }
    }
}

/// The first line's method and path, and the body.
fn request(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (first.trim_end().trim_end_matches(" HTTP/1.1").to_owned(), body)
}

fn answer(mut stream: &TcpStream, status: &str, body: &Value) {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
}

/// Takes part with a server at which the requests have these fates; gives what the server was asked for.
fn attended(fates: &[Fate]) -> Vec<String> {
    let (owner, seed) = (OwnerKey::fresh(&mut platform::rng()), Secret32::random(&mut platform::rng()));
    let table = Table::of(&owner, &seed);
    let mut view: CeremonyView = serde_json::from_value(table.shown(0)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let fates = fates.to_vec();
    let server = thread::spawn(move || table.serve(&listener, fates.into_iter()));

    let folder = tempfile::tempdir().unwrap();
    let mut session = Session::signed_in_for_test(folder.path(), address);
    let mut attendance = Attendance::resume(&owner, &holders(), &view, &seed).unwrap();
    let outcome = attend(&mut session, &mut attendance, &mut view, &Output::new(true)).unwrap();
    assert_eq!((view.status.as_str(), outcome.shares[0].index().get()), ("verified", 1));
    server.join().unwrap()
}

#[test]
fn each_round_is_one_round_trip_when_nobody_is_waited_for() {
    assert_eq!(attended(&[]), ["1", "2", "3", "4", "5"]);
}

#[test]
fn a_lost_answer_is_asked_for_again_and_one_who_is_late_looks_again() {
    use Fate::{Answered, Late, Lost};
    let id = "01".repeat(16);
    // Said again at once; and when that is lost, too, it looks.
    let asked = attended(&[Answered, Lost, Answered, Lost, Lost, Answered, Answered, Lost]);
    assert_eq!(asked, ["1", "2", "2", "3", "3", id.as_str(), "4", "5", "5"]);
    let asked = attended(&[Late]);
    assert_eq!(asked, ["1", id.as_str(), "1", "2", "3", "4", "5"]);
}

#[test]
fn a_person_sees_who_takes_part_and_the_server_can_not_steer_the_terminal() {
    let shown = describe(&view(&[person(1), person(2)], "joining\u{1b}[2J"), &person(2));
    assert!(shown.contains("any 2 of whom"), "{shown}");
    assert!(shown.contains(&format!(" 1  {}, has joined", person(1))), "{shown}");
    assert!(shown.contains(&format!(" 2  {} (you)", person(2))) && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn a_person_sees_who_has_a_share_afterwards_and_who_owns_the_key() {
    let mut it = view(&[person(1), person(2), person(3)], "joining");
    it.participants[0].role = HolderRole::Bunker;
    it.participants[0].owner = None;
    let shown = describe(&it, &person(3));
    assert!(shown.contains("a new key of 2 people; any one of them signs together with the server"), "{shown}");
    assert!(shown.contains("the server's bunker"), "{shown}");
    assert!(shown.contains(&format!("{}, owns the key", person(2))), "{shown}");

    it.kind = RESHARE.into();
    it.participants[1].deals = HolderIndex::new(2).ok();
    it.participants[2].receives = HolderIndex::new(4).ok();
    let shown = describe(&it, &person(3));
    assert!(shown.contains("afterwards 1 people share it"), "{shown}");
    assert!(shown.contains(&format!("{}, has no share afterwards", person(2))), "{shown}");
    assert!(shown.contains(&format!("{} (you), owns the key", person(3))), "{shown}");
}

#[test]
fn how_far_it_is_is_told_in_rounds() {
    let participants = view(&[person(1), person(2)], "joining").participants;
    assert!(stand(0, &participants).starts_with("1 of 2 have joined"));
    assert_eq!(stand(3, &participants), "Round 3 of 5 …");
    assert!(stand(6, &participants).contains("interrupted"));
}

#[test]
fn an_answer_about_another_ceremony_is_refused() {
    let view = view(&[person(1), person(2)], "joining");
    assert!(of(view.operation_id, view.clone()).is_ok());
    assert_eq!(of(CeremonyId::from_bytes([9; 16]), view).unwrap_err().code(), "ceremony_misled");
}
