//! What those who share a key can count on when the server is gone for good: enough of them have the key, each from their
//! own files, and nobody gets a share that was not meant for them.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use bunker_core::{keys::TransportSecret, members::Member, nip19};
use frost_wasm_core::{
    ceremony::CeremonyId,
    frost::keygen,
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    kdf::KdfParams,
    secret::Secret32,
    share::KeyShare,
};
use passport_device::{
    ceremony::Outcome,
    enrolment::{Credentials, stretch},
    owner::OwnerKey,
    shares::SealedShares,
};
use rand_core::OsRng;
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "incorrect donkey charger paperclip";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";

/// A person with a device that is signed in.
struct Person {
    owner: OwnerKey,
    home: TempDir,
}

struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Person {
    fn new() -> Self {
        let (owner, home) = (OwnerKey::fresh(&mut OsRng), tempfile::tempdir().unwrap());
        let stretched = stretch(PASSWORD, &KdfParams::fresh(&mut OsRng)).unwrap();
        let credentials = Credentials::new(&stretched, &owner, &mut OsRng).unwrap();
        let session = json!({
            "v": 1, "server": NOWHERE, "username": "somebody", "keys": [],
            "owner": { "pubkey": owner.public_key(), "blob": credentials.owner_blob, "kdf": credentials.kdf },
            // Long over.
            "tokens": { "access_token": "a", "access_expires_at": 1, "refresh_token": "r" },
        });
        fs::write(home.path().join("session.json"), session.to_string()).unwrap();
        fs::create_dir(home.path().join("shares")).unwrap();
        Self { owner, home }
    }

    fn key(&self) -> String {
        self.owner.public_key().to_string()
    }

    fn run(&self, folder: &Path, args: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_passport"))
            .args(args)
            .env("PASSPORT_HOME", self.home.path())
            .env("PASSPORT_PASSWORD", PASSWORD)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that asks nothing reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    fn gets(&self, folder: &Path, args: &[&str]) -> Value {
        let said = self.run(folder, &[args, &["--json"]].concat(), "");
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        serde_json::from_str(&said.stdout).unwrap()
    }

    fn is_refused(&self, folder: &Path, args: &[&str], code: &str) -> String {
        let said = self.run(folder, &[args, &["--json"]].concat(), "");
        assert!(said.stderr.contains(&format!("[{code}]")), "{}", said.stderr);
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
        said.stderr
    }
}

/// Gives each of the people a share, as if a ceremony had; the server's goes to nobody.
fn shared(people: &[&Person], group: u8, threshold: u16, epoch: u32, suffix: &str) -> String {
    let index = |number| HolderIndex::new(number).unwrap();
    let seats = (2..).map(index).zip(people);
    let members: Vec<_> = seats.map(|(holder, it)| Member { holder, person: it.owner.public_key() }).collect();
    let devices = members.iter().map(|it| (it.holder, HolderRole::Device));
    let holders: Vec<_> = [(index(1), HolderRole::Bunker)].into_iter().chain(devices).collect();
    let (secret, group) = (Secret32::from_bytes([7; 32]), GroupId::from_bytes([group; 16]));
    let (public, shares) = keygen::split(secret, group, &holders, threshold, &mut OsRng).unwrap();
    let public = GroupPublic { epoch, ..public };
    for (share, person) in shares.iter().skip(1).zip(people) {
        let share = KeyShare::new(&public, share.index(), share.expose_signing_share()).unwrap();
        let ceremony = CeremonyId::from_bytes([1; 16]);
        let outcome = Outcome { ceremony, public: public.clone(), people: members.clone(), shares: vec![share] };
        let kept = SealedShares::seal(&outcome, &person.owner, &mut OsRng).unwrap().to_text().unwrap();
        fs::write(person.home.path().join(format!("shares/{group}{suffix}.json")), kept).unwrap();
    }
    let key = TransportSecret::from_secret(&Secret32::from_bytes([7; 32])).unwrap().public_key();
    nip19::encode_npub(&key)
}

fn is_of(nsec: &str, npub: &str) {
    let secret = nip19::decode_nsec(nsec.trim()).unwrap();
    assert_eq!(nip19::encode_npub(&TransportSecret::from_secret(&secret).unwrap().public_key()), npub);
}

#[test]
fn two_of_three_put_their_key_together_after_the_server_is_gone() {
    let (alice, bob, carol) = (Person::new(), Person::new(), Person::new());
    let npub = shared(&[&alice, &bob, &carol], 2, 2, 0, "");
    let folder = tempfile::tempdir().unwrap();
    let (at, key) = (folder.path(), alice.key());

    // Whoever does not say yes has written nothing, and was told what it means.
    let said = bob.run(at, &["export", "share", "--to", &key], "n\n");
    assert!(said.stderr.contains("Whoever has 2 shares of this key has the whole key, for good"), "{}", said.stderr);
    assert!(said.stderr.contains("[not_handed_over]"), "{}", said.stderr);
    assert_eq!(fs::read_dir(at).unwrap().count(), 0);

    let share = ["export", "share", "--to", &key, "--yes"];
    let handed = bob.gets(at, &share);
    let file = format!("{}.share-3-for-2.json", &npub[..16]);
    let pubkey = nip19::decode_npub(&npub).unwrap();
    let group = GroupId::from_bytes([2; 16]);
    let expected = json!({ "group": group, "pubkey": pubkey, "npub": npub, "index": 3, "to": key, "file": file });
    assert_eq!(handed, expected);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(at.join(&file)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // It is never written over.
    let before = fs::read(at.join(&file)).unwrap();
    bob.is_refused(at, &share, "share_not_written");
    assert_eq!(fs::read(at.join(&file)).unwrap(), before);
    let npub_of_alice = nip19::encode_npub(&alice.owner.public_key());
    let other = ["export", "share", "--to", &npub_of_alice, "--yes", "--out", "x.json", "--key", &npub];
    assert_eq!(bob.gets(at, &other)["file"], "x.json");

    let together = ["export", "together", &file, "--out", "nsec.txt"];
    assert_eq!(alice.gets(at, &together), json!({ "npub": npub, "file": "nsec.txt" }));
    is_of(&fs::read_to_string(at.join("nsec.txt")).unwrap(), &npub);
    alice.is_refused(at, &together, "key_not_written");
    let revealed = alice.gets(at, &["export", "together", "x.json", "--reveal", "--key", &npub]);
    is_of(revealed["nsec"].as_str().unwrap(), &npub);

    // It is for Alice alone, and altered for nobody.
    let told = carol.is_refused(at, &["export", "together", &file, "--reveal"], "share_not_for_you");
    assert!(told.contains(&file), "{told}");
    let text = String::from_utf8(before).unwrap();
    fs::write(at.join("to-carol.json"), text.replace(&key, &carol.key())).unwrap();
    carol.is_refused(at, &["export", "together", "to-carol.json", "--reveal"], "handed_share_damaged");
    fs::write(at.join("cut.json"), &text[..text.len() / 2]).unwrap();
    fs::write(at.join("bytes.json"), [0xff; 40]).unwrap();
    for file in ["cut.json", "bytes.json"] {
        alice.is_refused(at, &["export", "together", file, "--reveal"], "not_a_handed_share");
    }
    alice.is_refused(at, &["export", "together", "none.json", "--reveal"], "share_unreadable");
}

#[test]
fn three_of_four_are_needed_and_of_one_epoch() {
    let people = [Person::new(), Person::new(), Person::new(), Person::new()];
    let [alice, bob, carol, dave] = &people;
    let everybody = [alice, bob, carol, dave];
    let npub = shared(&everybody, 2, 3, 0, "");
    let folder = tempfile::tempdir().unwrap();
    let (at, key) = (folder.path(), dave.key());
    let hand = |person: &Person, out: &str, more: &[&str]| {
        person.gets(at, &[&["export", "share", "--to", &key, "--yes", "--out", out], more].concat());
    };
    hand(alice, "alice.json", &[]);
    let told = dave.is_refused(at, &["export", "together", "alice.json", "--reveal"], "shares_missing");
    assert!(told.contains("1 missing") && told.contains(&bob.key()) && !told.contains(&alice.key()), "{told}");
    dave.is_refused(at, &["export", "together", "alice.json", "alice.json", "--reveal"], "share_twice");
    hand(bob, "bob.json", &[]);
    let all = dave.gets(at, &["export", "together", "alice.json", "bob.json", "--reveal"]);
    is_of(all["nsec"].as_str().unwrap(), &npub);

    // New shares were dealt, and nobody has seen the end of it: any one epoch makes the key.
    shared(&everybody, 2, 3, 1, ".next");
    bob.is_refused(at, &["export", "share", "--to", &key, "--yes", "--out", "new.json"], "epoch_needed");
    hand(bob, "bob-1.json", &["--epoch", "1"]);
    hand(carol, "carol-1.json", &["--epoch", "1"]);
    hand(carol, "carol-0.json", &["--epoch", "0"]);
    for files in [["bob-1.json", "carol-1.json"], ["bob.json", "carol-0.json"]] {
        let all = dave.gets(at, &["export", "together", files[0], files[1], "--reveal"]);
        is_of(all["nsec"].as_str().unwrap(), &npub);
    }
    let mixed = ["export", "together", "bob-1.json", "alice.json", "--reveal"];
    let told = dave.is_refused(at, &mixed, "share_of_another_epoch");
    assert!(told.contains("alice.json"), "{told}");
}

#[test]
fn a_share_is_handed_to_nobody_who_has_none_and_of_no_key_that_it_does_not_make() {
    let (alice, bob, stranger) = (Person::new(), Person::new(), Person::new());
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let share = |to: &str, more: &[&str], code: &str| {
        alice.is_refused(at, &[&["export", "share", "--to", to, "--yes"], more].concat(), code)
    };
    share(&bob.key(), &[], "share_not_here");
    // Both sign, with the server.
    let npub = shared(&[&alice, &bob], 3, 3, 0, "");
    share(&bob.key(), &[], "server_needed");
    share(&stranger.key(), &["--key", &npub], "not_among_people");
    share(&alice.key(), &[], "not_among_people");
    share(&bob.key(), &["--key", "a label"], "share_not_here");
    shared(&[&alice, &bob], 4, 2, 0, "");
    let said = alice.run(at, &["export", "share", "--to", &bob.key(), "--yes"], "");
    assert!(said.code == Some(2) && said.stderr.contains("--key"), "{}", said.stderr);
    let group = GroupId::from_bytes([4; 16]).to_string();
    alice.gets(at, &["export", "share", "--to", &bob.key(), "--yes", "--key", &group, "--out", "x.json"]);
    // The files say which key it is, where none is named.
    bob.gets(at, &["export", "together", "x.json", "--reveal"]);
    let other = GroupId::from_bytes([3; 16]).to_string();
    bob.is_refused(at, &["export", "together", "x.json", "--reveal", "--key", &other], "share_of_another_key");
    assert_eq!(fs::read_dir(at).unwrap().count(), 1);
}
