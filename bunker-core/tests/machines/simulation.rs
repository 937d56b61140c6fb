//! Random histories of one group: statements, requests, approvals, replays, evictions, duplicates, failing storage
//! and a lying coordinator. A ledger, written from the design and not from the code, says for each holder what it must do;
//! each holder must do exactly that.
//!
//! `PROPTEST_CASES=<number>` runs more histories than the few of every day.

mod ledger;
mod run;

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use self::run::Run;
use crate::world::seed;

/// Something that happens. An `Index` picks one of the connections or requests that exist by then.
#[derive(Debug, Clone)]
pub(super) enum Happens {
    Grant {
        rules: Index,
        lifetime_s: Option<u64>,
        is_connected: bool,
    },
    Revoke {
        at: Index,
        cosigner_first: bool,
    },
    Edit {
        at: Index,
        rules: Index,
        lifetime_s: Option<u64>,
    },
    Pause {
        at: Index,
        is_paused: bool,
    },
    Approve {
        approved: Approved,
        remember: Option<Option<u64>>,
        twist: Twist,
        cosigner_hears: bool,
        /// The shell has the request judged again, as it does unless it is evicted.
        at_once: bool,
    },
    Deny {
        approved: Approved,
    },
    /// The bunker's shell has a waiting request judged again.
    JudgeAgain {
        which: Index,
        course: Course,
    },
    /// A statement from before, delivered again.
    OldStatement {
        which: Index,
    },
    Ask {
        at: Index,
        what: Ask,
        by_stranger: bool,
        course: Course,
    },
    /// A request from before, delivered again.
    Replay {
        which: Index,
        course: Course,
    },
    Lie {
        which: Index,
        lie: Lie,
    },
    Wait {
        seconds: u64,
    },
    Forget,
}

/// Which request the owner speaks about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Approved {
    Waiting(Index),
    Any(Index),
}

/// What is wrong with an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twist {
    Nothing,
    OtherKind,
    OtherConnection,
}

/// What an app asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    Connect(Offer),
    Sign(u16),
    Encrypt,
    Ping,
    Logout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Offer {
    Right,
    Wrong,
    Nothing,
}

/// What happens to a request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Smooth,
    /// The bunker's object is evicted while it waits.
    EvictedBeforeContribution,
    /// The same, when the cosigner has contributed already.
    EvictedAfterContribution,
    /// The bunker's storage fails at the n-th commit of this request.
    BunkerStorageFails(usize),
    CosignerStorageFails,
    /// The cosigner's answer is exchanged for an earlier one.
    ContributionExchanged,
}

/// What a coordinator that was taken over sends to the cosigner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// All is as the client sent it, but the bunker has not let it through.
    NotJudged,
    AlteredContent,
    SignedByAnother,
    OtherConversationKey,
    OtherEpoch,
    NoCommitment,
    OwnIndex,
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        3 => prop_oneof![4 => Just(Offer::Right), 1 => Just(Offer::Wrong), 1 => Just(Offer::Nothing)]
            .prop_map(Ask::Connect),
        12 => prop_oneof![Just(0_u16), Just(1), Just(7)].prop_map(Ask::Sign),
        4 => Just(Ask::Encrypt),
        1 => Just(Ask::Ping),
        1 => Just(Ask::Logout),
    ]
}

fn course() -> impl Strategy<Value = Course> {
    prop_oneof![
        10 => Just(Course::Smooth),
        2 => Just(Course::EvictedBeforeContribution),
        2 => Just(Course::EvictedAfterContribution),
        1 => (0_usize..2).prop_map(Course::BunkerStorageFails),
        1 => Just(Course::CosignerStorageFails),
        1 => Just(Course::ContributionExchanged),
    ]
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        3 => Just(Lie::NotJudged),
        1 => other_lie(),
    ]
}

fn other_lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        Just(Lie::AlteredContent),
        Just(Lie::SignedByAnother),
        Just(Lie::OtherConversationKey),
        Just(Lie::OtherEpoch),
        Just(Lie::NoCommitment),
        Just(Lie::OwnIndex),
    ]
}

fn approved() -> impl Strategy<Value = Approved> {
    prop_oneof![
        5 => any::<Index>().prop_map(Approved::Waiting),
        1 => any::<Index>().prop_map(Approved::Any),
    ]
}

fn approve() -> impl Strategy<Value = Happens> {
    let remember = proptest::option::weighted(0.3, proptest::option::weighted(0.7, 1_u64..1200));
    let twist = prop_oneof![6 => Just(Twist::Nothing), 1 => Just(Twist::OtherKind), 1 => Just(Twist::OtherConnection)];
    (approved(), remember, twist, proptest::bool::weighted(0.9), proptest::bool::weighted(0.6)).prop_map(
        |(approved, remember, twist, cosigner_hears, at_once)| Happens::Approve {
            approved,
            remember,
            twist,
            cosigner_hears,
            at_once,
        },
    )
}

fn happens() -> impl Strategy<Value = Happens> {
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), proptest::option::weighted(0.2, 1_u64..1200), proptest::bool::weighted(0.8))
            .prop_map(|(rules, lifetime_s, is_connected)| Happens::Grant { rules, lifetime_s, is_connected }),
        1 => (index(), any::<bool>()).prop_map(|(at, cosigner_first)| Happens::Revoke { at, cosigner_first }),
        1 => (index(), index(), proptest::option::weighted(0.2, 1_u64..1200))
            .prop_map(|(at, rules, lifetime_s)| Happens::Edit { at, rules, lifetime_s }),
        1 => (index(), proptest::bool::weighted(0.4)).prop_map(|(at, is_paused)| Happens::Pause { at, is_paused }),
        4 => approve(),
        1 => approved().prop_map(|approved| Happens::Deny { approved }),
        6 => (index(), course()).prop_map(|(which, course)| Happens::JudgeAgain { which, course }),
        1 => index().prop_map(|which| Happens::OldStatement { which }),
        18 => (index(), ask(), proptest::bool::weighted(0.1), course())
            .prop_map(|(at, what, by_stranger, course)| Happens::Ask { at, what, by_stranger, course }),
        6 => (index(), course()).prop_map(|(which, course)| Happens::Replay { which, course }),
        3 => (index(), lie()).prop_map(|(which, lie)| Happens::Lie { which, lie }),
        2 => (0_u64..700).prop_map(|seconds| Happens::Wait { seconds }),
        1 => Just(Happens::Forget),
    ]
}

#[test]
fn whatever_happens_each_holder_does_what_the_owner_granted_and_no_more() {
    let seed = seed();
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: std::env::var("PROPTEST_CASES").map_or(32, |cases| cases.parse().expect("a number")),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let history = proptest::collection::vec(happens(), 1..100);
    let result = TestRunner::new_with_rng(config, rng).run(&history, |history| {
        let mut run = Run::new(seed);
        history.iter().for_each(|happens| run.happens(happens));
        run.check();
        Ok(())
    });
    if let Err(error) = result {
        panic!("SEED={seed}: {error}");
    }
}
