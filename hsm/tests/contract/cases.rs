//! What every provider promises, as one list of named cases.

mod answers;
mod keys;
mod people;
mod trouble;

use crate::lab::Lab;

/// A promise, and how it is tried.
pub(crate) type Case = (&'static str, fn(&dyn Lab));

/// All of them. A provider leaves one out only by its name and with a reason.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    [keys::CASES, people::CASES, trouble::CASES, answers::CASES].into_iter().flatten()
}
