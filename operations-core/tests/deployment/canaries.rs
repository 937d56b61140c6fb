//! What nobody has reason to touch: it is never touched without a record, and seals where that is wanted.

use operations_core::{
    machine::MAX_REFUSALS_PER_MINUTE,
    seal::Target,
    text::{Code, OperatorName, Reason},
};

use crate::world::{World, seal, team};

fn touch(world: &mut World, seals: bool) -> bool {
    let seal: Option<(OperatorName, Reason)> = seals.then(|| ("a canary".parse().unwrap(), "touched".parse().unwrap()));
    let step = world.state.canary(&Code::new("owner-1"), &Code::new("key"), seal, world.now_ms);
    world.commit(&step.mutations);
    step.reply
}

#[test]
fn a_canary_is_recorded_and_seals_only_where_that_is_wanted() {
    let (mut world, _) = team();
    assert!(!touch(&mut world, false));
    assert!(!world.state.lease().sealed);
    assert_eq!((&world.last()["what"], &world.last()["name"]), (&"canary".into(), &"owner-1".into()));
    assert!(touch(&mut world, true));
    assert!(world.state.lease().sealed);
    assert_eq!((&world.last()["what"], &world.last()["reason"]), (&"sealed".into(), &"touched".into()));
}

#[test]
fn a_canary_seals_a_deployment_that_nobody_has_set_up() {
    let mut world = World::new();
    assert!(touch(&mut world, true) && world.state.lease().sealed);
}

#[test]
fn a_canary_ends_an_unsealing_and_leaves_a_seal_as_it_was() {
    let (mut world, team) = team();
    world.tell(&team[0].1, &seal(Target::Deployment)).unwrap();
    let since = world.state.clone();
    world.unseal(&team[0].1, Target::Deployment, None).unwrap();
    world.now_ms += 1_000;
    assert!(touch(&mut world, true));
    assert_eq!(world.last()["what"], "unseal_ended");
    assert_eq!(world.state.lease(), since.lease());
    // A word for what was ended opens nothing.
    let begun = world.unseal(&team[1].1, Target::Deployment, None).unwrap();
    assert!(!begun.unsealed && world.state.lease().sealed);
}

#[test]
fn a_canary_that_is_touched_all_day_does_not_fill_the_record() {
    let (mut world, _) = team();
    let before = world.records.len();
    for _ in 0..500 {
        touch(&mut world, true);
    }
    let most = usize::try_from(MAX_REFUSALS_PER_MINUTE).unwrap();
    assert_eq!(world.records.len() - before, most + 1, "each of the first, and one seal");
}
