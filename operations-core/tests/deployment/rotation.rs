//! Wrapping all keys anew: begun by two people, counted batch by batch, and recorded now and then.

use operations_core::{
    proposal::Change,
    refusal::Refusal,
    rotation::{Batch, NotThisBatch},
};

use crate::world::{World, team};

fn begin(world: &mut World, team: &[(operations_core::ids::OperatorId, operations_core::token::OperatorToken)]) {
    let proposed = world.propose(&team[0].1, Change::BeginRotation {}).unwrap();
    world.approve(&team[1].1, &proposed).unwrap();
}

fn report(world: &mut World, batch: &Batch) -> Result<(), NotThisBatch> {
    let step = world.state.rotation_progress(batch, world.now_ms)?;
    world.commit(&step.mutations);
    Ok(())
}

fn happenings(world: &World) -> Vec<String> {
    let entries = world.records.iter().map(|it| serde_json::to_value(&it.entry).unwrap());
    let words = entries.map(|it| it["what"].as_str().unwrap().to_owned());
    words.filter(|it| it.starts_with("rotation")).collect()
}

fn batch(from: Option<&str>, next: Option<&str>, done: u64, failed: u64) -> Batch {
    Batch { from: from.map(Into::into), next: next.map(Into::into), total: 100, done, failed }
}

#[test]
fn a_rotation_goes_on_where_it_was_and_ends_once() {
    let (mut world, team) = team();
    assert!(world.state.rotation_next().is_none());
    assert_eq!(report(&mut world, &batch(None, Some("a"), 1, 0)), Err(NotThisBatch), "nobody began one");
    begin(&mut world, &team);
    report(&mut world, &batch(None, Some("a"), 40, 1)).unwrap();
    let now = world.state.rotation_next().unwrap();
    assert_eq!((now.cursor.as_deref(), now.done, now.failed), (Some("a"), 40, 1));
    report(&mut world, &batch(Some("a"), None, 58, 1)).unwrap();
    assert!(world.state.rotation_next().is_none());
    assert_eq!(report(&mut world, &batch(None, Some("a"), 1, 0)), Err(NotThisBatch), "it is over");
    let done = world.last();
    assert_eq!((&done["what"], &done["done"], &done["failed"]), (&"rotation_done".into(), &98.into(), &2.into()));
}

#[test]
fn a_batch_that_is_reported_twice_or_out_of_turn_counts_once() {
    let (mut world, team) = team();
    begin(&mut world, &team);
    let first = batch(None, Some("a"), 5, 0);
    report(&mut world, &first).unwrap();
    assert_eq!(report(&mut world, &first), Err(NotThisBatch));
    assert_eq!(report(&mut world, &batch(Some("b"), Some("c"), 5, 0)), Err(NotThisBatch));
    assert_eq!(world.state.rotation_next().unwrap().done, 5);
}

#[test]
fn progress_is_recorded_in_tenths_and_not_for_every_batch() {
    let (mut world, team) = team();
    begin(&mut world, &team);
    let marks: Vec<String> = (0..=100).map(|n| format!("{n:03}")).collect();
    for n in 0..100 {
        let from = (n > 0).then(|| marks[n].as_str());
        let next = (n < 99).then(|| marks[n + 1].as_str());
        report(&mut world, &batch(from, next, 1, 0)).unwrap();
    }
    let mut expected = vec!["rotation_begun"];
    expected.extend(["rotation_progress"; 9]);
    expected.push("rotation_done");
    assert_eq!(happenings(&world), expected);
}

#[test]
fn there_is_one_rotation_at_a_time_and_the_next_counts_anew() {
    let (mut world, team) = team();
    let early = world.propose(&team[0].1, Change::BeginRotation {}).unwrap();
    begin(&mut world, &team);
    assert_eq!(world.propose(&team[0].1, Change::BeginRotation {}).unwrap_err(), Refusal::RotationRunning);
    assert_eq!(world.approve(&team[1].1, &early).unwrap_err(), Refusal::RotationRunning);
    report(&mut world, &batch(None, None, 100, 0)).unwrap();
    begin(&mut world, &team);
    assert_eq!(world.state.rotation_next().map(|it| (it.done, it.total)), Some((0, 0)));
    // Of a deployment without keys.
    report(&mut world, &Batch { from: None, next: None, total: 0, done: 0, failed: 0 }).unwrap();
    assert_eq!(world.last()["what"], "rotation_done");
}
