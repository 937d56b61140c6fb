//! What the Worker checks of an owner statement before it passes it on.
//!
//! The holders check everything again for themselves, sequence number included. This keeps
//! statements of strangers, of other groups and of other verbs away from the objects.

use bunker_core::event::Event;
use bunker_core::keys::PublicKey;
use bunker_core::statement::{Statement, StatementError, Verb};
use frost_wasm_core::group::GroupId;

use super::dto::StatementDelivery;
use crate::durable::rpc::BunkerClient;
use crate::problem::Problem;

/// Verifies a statement and that this account's owner key signed it.
///
/// # Errors
/// `statement_invalid` with the reason, or `statement_not_by_owner`.
pub fn read(event: Event, owner: &PublicKey) -> Result<Statement, Problem> {
    let statement = Statement::verify(event)?;
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

/// Has the holders apply a statement that is about no connection.
///
/// # Errors
/// Why not.
pub async fn deliver(env: &worker::Env, statement: &Statement) -> Result<(), Problem> {
    let delivery = StatementDelivery { statement: statement.event().clone(), transport: None };
    BunkerClient::for_group(env, statement.group())?.deliver(&delivery).await.map(|_| ())
}

/// The statement is good, but not for this address.
pub fn misplaced() -> Problem {
    Problem::invalid(
        "statement_misplaced",
        "This statement has another verb, or names another group, connection or request, than the address it was sent to.",
    )
}

impl From<StatementError> for Problem {
    fn from(error: StatementError) -> Self {
        Self::invalid("statement_invalid", format!("Make and sign the statement anew: {error}."))
    }
}

#[cfg(test)]
mod tests {
    use bunker_core::event::Template;
    use bunker_core::keys::TransportSecret;

    use super::*;
    use crate::platform::rng;

    const GROUP: &str = "00112233445566778899aabbccddeeff";
    const OTHER: &str = "ffeeddccbbaa99887766554433221100";

    fn revoke(owner: &TransportSecret, group: &str) -> Event {
        let content = format!(r#"{{"v":1,"group":"{group}","seq":2,"verb":"revoke","connection":"{OTHER}"}}"#);
        let template = Template { created_at: 1, kind: 27433, tags: vec![], content };
        template.sign_with(owner, &mut rng()).unwrap()
    }

    fn group() -> GroupId {
        GROUP.parse().unwrap()
    }

    #[test]
    fn a_statement_of_a_stranger_is_not_passed_on() {
        let (owner, stranger) = (TransportSecret::random(&mut rng()), TransportSecret::random(&mut rng()));
        assert!(read(revoke(&owner, GROUP), &owner.public_key()).is_ok());
        let refused = read(revoke(&stranger, GROUP), &owner.public_key()).unwrap_err();
        assert_eq!(refused.code(), "statement_not_by_owner");
        let mut claimed = revoke(&stranger, GROUP);
        claimed.pubkey = owner.public_key();
        assert_eq!(read(claimed, &owner.public_key()).unwrap_err().code(), "statement_invalid");
    }

    #[test]
    fn a_statement_for_another_group_or_with_another_verb_is_not_passed_on() {
        let owner = TransportSecret::random(&mut rng());
        let key = owner.public_key();
        let is_revoke = |verb: &Verb| matches!(verb, Verb::Revoke { .. });
        let is_grant = |verb: &Verb| matches!(verb, Verb::Grant(_));
        assert!(read_for(revoke(&owner, GROUP), &key, &group(), is_revoke).is_ok());
        for refused in [
            read_for(revoke(&owner, OTHER), &key, &group(), is_revoke),
            read_for(revoke(&owner, GROUP), &key, &group(), is_grant),
        ] {
            assert_eq!(refused.unwrap_err().code(), "statement_misplaced");
        }
    }

    #[test]
    fn a_statement_that_was_changed_after_signing_is_refused() {
        let owner = TransportSecret::random(&mut rng());
        let mut changed = revoke(&owner, GROUP);
        changed.content = changed.content.replace("\"seq\":2", "\"seq\":9");
        assert_eq!(read(changed, &owner.public_key()).unwrap_err().code(), "statement_invalid");
    }
}
