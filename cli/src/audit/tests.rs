//! Corrupted files, each with the record and the word that it has to be found by.

use bunker_core::audit::Happening;

use super::*;

fn lines<D: Domain>(length: u64) -> Vec<String> {
    let mut head = AuditHead::default();
    (1..=length)
        .map(|at| {
            let text = format!(r#"{{"what":"request_refused","reason":"reason-{at}","method":"ping"}}"#);
            let entry = Verbatim::<D>(RawValue::from_string(text).unwrap(), PhantomData);
            let record = head.append(at, entry);
            head = record.head();
            serde_json::to_string(&record).unwrap()
        })
        .collect()
}

fn check(lines: &[String], expected: Option<AuditHead>) -> Result<Checked, Fault> {
    let mut follower = Follower::new(None, expected);
    follower.read(lines.join("\n").as_bytes(), |_| {})?;
    follower.finish()
}

fn found(lines: &[String], expected: Option<AuditHead>) -> (u64, &'static str) {
    match check(lines, expected) {
        Err(Fault::Broken(it)) => (it.record, it.how),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_chain_of_either_kind_verifies_and_tells_its_kind() {
    for (kind, lines) in [(Kind::Group, lines::<OfGroup>(9)), (Kind::Deployment, lines::<OfDeployment>(9))] {
        let checked = check(&lines, None).unwrap();
        assert_eq!((checked.kind, checked.first, checked.head.n), (kind, 1, 9));
        assert!(check(&lines, Some(checked.head)).is_ok());
    }
}

#[test]
fn records_of_the_core_verify_as_they_are_written() {
    let entry = Entry {
        happening: Happening::RequestAdmitted,
        connection: None,
        request: None,
        method: Some("sign_event".into()),
        kind: Some(1),
        peer: None,
    };
    let text = serde_json::to_string(&AuditHead::default().append(7, entry)).unwrap();
    assert_eq!(check(&[text], None).unwrap().kind, Kind::Group);
}

#[test]
fn a_chain_is_verified_from_where_the_file_begins() {
    let checked = check(&lines::<OfGroup>(9)[4..], None).unwrap();
    assert_eq!((checked.first, checked.head.n), (5, 9));
}

#[test]
fn a_missing_an_edited_a_moved_and_a_cut_record_are_each_named() {
    let whole = lines::<OfDeployment>(9);
    let head = check(&whole, None).unwrap().head;
    let mut missing = whole.clone();
    missing.remove(3);
    assert_eq!(found(&missing, None), (4, "missing"));
    let mut moved = whole.clone();
    moved.swap(3, 4);
    assert_eq!(found(&moved, None), (4, "reordered"));
    let mut twice = whole.clone();
    twice.insert(4, whole[3].clone());
    assert_eq!(found(&twice, None).1, "reordered");
    for (from, to) in [
        ("reason-5", "reason-6"),
        (r#""method":"ping""#, r#""method":"ping","more":1"#),
        (r#""at_ms":5"#, r#""at_ms":6"#),
    ] {
        let mut edited = whole.clone();
        edited[4] = edited[4].replace(from, to);
        assert_eq!(found(&edited, None), (5, "edited"));
    }
    assert_eq!(check(&whole[..7], None).unwrap().head.n, 7);
    assert_eq!(found(&whole[..7], Some(head)), (8, "cut"));
}

#[test]
fn a_chain_that_was_written_anew_is_found_by_a_head_that_was_kept() {
    let kept = check(&lines::<OfGroup>(5), None).unwrap().head;
    assert_eq!(found(&lines::<OfDeployment>(5), Some(kept)), (5, "edited"));
}

#[test]
fn pages_are_read_as_the_server_gives_them_and_their_ends_are_held_to() {
    let whole = lines::<OfGroup>(6);
    let head = check(&whole, None).unwrap().head;
    let page = |lines: &[String], head: AuditHead| {
        format!(r#"{{"records":[{}],"head":{},"next":null}}"#, lines.join(","), serde_json::to_string(&head).unwrap())
    };
    let pages = [page(&whole[..3], head), page(&whole[3..], head)];
    assert_eq!(check(&pages, None).unwrap().head, head);
    let other = check(&lines::<OfDeployment>(6), None).unwrap().head;
    assert_eq!(found(&[page(&whole[..3], other), page(&whole[3..], head)], None), (6, "edited"));
}

#[test]
fn what_is_no_chain_is_refused() {
    for text in ["", "{}", "[]", "x", r#"{"n":1}"#] {
        assert!(matches!(check(&[text.into()], None), Err(Fault::NoRecords(_))), "{text}");
    }
    assert!("5:ab".parse::<GivenHead>().is_err());
    assert!(format!("5:{}", AuditHash::GENESIS).parse::<GivenHead>().is_ok());
}

#[test]
fn fifty_thousand_records_are_verified() {
    let text = lines::<OfDeployment>(50_000);
    let before = crate::platform::now_ms();
    assert_eq!(check(&text, None).unwrap().head.n, 50_000);
    println!("50,000 records: {} ms", crate::platform::now_ms() - before);
}
