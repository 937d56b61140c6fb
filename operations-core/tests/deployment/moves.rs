//! What operators, strangers and former operators may do next, drawn at random.

use operations_core::operator::Scope;
use proptest::{prelude::*, sample::Index};

/// Whose token is shown.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// One that is good.
    Living(Index),
    /// One that is or was.
    Any(Index),
}

/// What somebody does next. An index picks out of all that there ever was: tokens that are dead, proposals that are over.
#[derive(Debug, Clone)]
pub(crate) enum Move {
    Wait {
        ms: u64,
    },
    Give {
        who: Who,
        what: What,
        shift_s: i64,
    },
    /// A command that was given before, by anybody, and at the same time or another.
    Again {
        who: Who,
        which: Index,
        is_as_of_now: bool,
    },
    Stranger {
        what: What,
    },
    Tick,
    Batch {
        is_last: bool,
    },
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Seal(usize),
    /// A new unsealing, the last one of this target, or any that there ever was.
    Unseal(usize, Option<Option<Index>>),
    Add {
        name: usize,
        scopes: Vec<Scope>,
        lifetime_s: Option<u64>,
    },
    Threshold(u32),
    ExportDelay(Option<u64>),
    Rotation,
    /// The last proposal, or any.
    Approve(Option<Index>),
    Remove(Index),
    RotateToken,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![5 => any::<Index>().prop_map(Who::Living), 1 => any::<Index>().prop_map(Who::Any)]
}

fn target() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2)]
}

fn what() -> impl Strategy<Value = What> {
    let scope = prop::sample::select(vec![Scope::Read, Scope::Seal, Scope::Unseal, Scope::Operators, Scope::Policy]);
    let add = (
        0..6_usize,
        prop::collection::vec(scope, 1..4),
        prop::option::of(prop::sample::select(vec![0, 600, 40_000_000])),
    );
    prop_oneof![
        4 => target().prop_map(What::Seal),
        12 => (target(), prop_oneof![
            3 => Just(None),
            8 => Just(Some(None)),
            2 => any::<Index>().prop_map(|it| Some(Some(it))),
        ]).prop_map(|(target, which)| What::Unseal(target, which)),
        3 => add.prop_map(|(name, scopes, lifetime_s)| What::Add { name, scopes, lifetime_s }),
        2 => (1..6_u32).prop_map(What::Threshold),
        1 => prop::option::of(0..3_000_000_u64).prop_map(What::ExportDelay),
        1 => Just(What::Rotation),
        6 => prop::option::weighted(0.3, any::<Index>()).prop_map(What::Approve),
        2 => any::<Index>().prop_map(What::Remove),
        1 => Just(What::RotateToken),
    ]
}

pub(crate) fn a_move() -> impl Strategy<Value = Move> {
    let shift_s = prop_oneof![12 => Just(0_i64), 1 => -302..=-299_i64, 1 => 59..=62_i64];
    let ms = prop_oneof![
        8 => prop::sample::select(vec![1, 999, 61_000]),
        4 => prop::sample::select(vec![299_000, 301_000, 899_000, 900_000]),
        2 => prop::sample::select(vec![3_600_000, 86_399_000, 86_400_000]),
        1 => Just(2_600_000_000_u64),
    ];
    prop_oneof![
        4 => ms.prop_map(|ms| Move::Wait { ms }),
        24 => (who(), what(), shift_s).prop_map(|(who, what, shift_s)| Move::Give { who, what, shift_s }),
        3 => (who(), any::<Index>(), any::<bool>())
            .prop_map(|(who, which, is_as_of_now)| Move::Again { who, which, is_as_of_now }),
        1 => what().prop_map(|what| Move::Stranger { what }),
        1 => Just(Move::Tick),
        1 => any::<bool>().prop_map(|is_last| Move::Batch { is_last }),
    ]
}
