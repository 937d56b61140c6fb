//! What the Worker checks of an owner statement before it passes it on.
//!
//! The holders check everything again for themselves, sequence number included. This keeps
//! statements of strangers, of other groups and of other verbs away from the objects.

use bunker_core::event::Event;
use bunker_core::keys::PublicKey;
use bunker_core::statement::{Statement, StatementError, Verb};
use frost_wasm_core::group::GroupId;

use crate::problem::Problem;

/// Verifies a statement and that this account's owner key signed it.
///
/// # Errors
/// `statement_invalid` with the reason, or `statement_not_by_owner`.
pub fn read(event: Event, owner: &PublicKey) -> Result<Statement, Problem> {
    let statement = Statement::verify(event).map_err(|error| refused(&error))?;
    if statement.owner() == owner {
        Ok(statement)
    } else {
        Err(Problem::new(403, "statement_not_by_owner", "Sign the statement with this account's owner key."))
    }
}

/// As [`read`], for a route that names the group and takes one verb.
///
/// # Errors
/// As [`read`], and `statement_misplaced` for another group or verb.
pub fn read_for(
    event: Event,
    owner: &PublicKey,
    group: &GroupId,
    takes: fn(&Verb) -> bool,
) -> Result<Statement, Problem> {
    let statement = read(event, owner)?;
    if statement.group() == group && takes(statement.verb()) { Ok(statement) } else { Err(misplaced()) }
}

/// The statement is good, but not for this address.
pub fn misplaced() -> Problem {
    Problem::invalid(
        "statement_misplaced",
        "This statement has another verb, or names another group or connection, than the address it was sent to.",
    )
}

fn refused(error: &StatementError) -> Problem {
    Problem::invalid("statement_invalid", format!("Make and sign the statement anew: {error}."))
}
