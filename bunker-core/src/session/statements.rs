//! Owner statements at a holder: made once, in order, by the owner that came with the share.

use frost_wasm_core::group::{GroupPublic, HolderIndex};

use super::{
    Mutation,
    state::{HolderState, Identity, LastStatement},
};
use crate::{
    audit::{Entry, Happening},
    grant::{Connection, ConnectionId, MAX_CONNECTIONS, Standing},
    keys::PublicKey,
    statement::{Statement, Verb},
};

/// Why a holder does not apply a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatementRefused {
    /// It is signed by another key than the group's owner.
    #[error("the statement is not signed by this group's owner key")]
    NotTheOwner,
    /// It is about another group.
    #[error("the statement is about another group")]
    OtherGroup,
    /// Its sequence number is not above the last one.
    #[error("the statement's sequence number {seq} is not above {last}, the last one; sign it again with a higher one")]
    NotNewer {
        /// The statement's number.
        seq: u64,
        /// The last number that was applied.
        last: u64,
    },
    /// A `create_group` for a holder that has its group already, or another verb before it.
    #[error("a group is created once, by its first statement")]
    WrongMoment,
    /// The group does not list this holder.
    #[error("the statement's group has no such holder")]
    NotAHolder,
    /// The owner key, or a connection's transport key, is the group's own or one of its shares'.
    #[error("an owner or transport key is a key of its own: never the group's, and never a share")]
    KeyOfTheGroup,
    /// The connection exists.
    #[error("a connection with this id or transport key exists already; make a new one")]
    ConnectionExists,
    /// No such connection.
    #[error("this group has no such connection")]
    NoSuchConnection,
    /// [`MAX_CONNECTIONS`] reached.
    #[error("a group has at most {MAX_CONNECTIONS} connections, those that ended included")]
    TooManyConnections,
}

impl HolderState {
    /// The first state of a holder, from the owner's `create_group` statement.
    ///
    /// # Errors
    /// When the statement is another, or does not list the holder.
    pub fn create(
        statement: &Statement,
        holder: HolderIndex,
        now_ms: u64,
    ) -> Result<(Self, Vec<Mutation>), StatementRefused> {
        let Verb::CreateGroup(public) = statement.verb() else {
            return Err(StatementRefused::WrongMoment);
        };
        if !public.holders.iter().any(|listed| listed.index == holder) {
            return Err(StatementRefused::NotAHolder);
        }
        // An app that may sign anything could otherwise sign statements.
        if is_key_of(public, statement.owner()) {
            return Err(StatementRefused::KeyOfTheGroup);
        }
        let mut state = Self::new(Identity {
            statement: statement.event().clone(),
            owner: *statement.owner(),
            public: public.clone(),
            holder,
        });
        let mutations = state.applied(statement, None, now_ms);
        mutations.iter().for_each(|mutation| state.apply(mutation));
        Ok((state, mutations))
    }

    /// Applies a later statement. The same statement delivered again changes nothing.
    ///
    /// # Errors
    /// Why it is not applied.
    pub fn deliver(&self, statement: &Statement, now_ms: u64) -> Result<Vec<Mutation>, StatementRefused> {
        if *statement.owner() != self.identity.owner {
            return Err(StatementRefused::NotTheOwner);
        }
        if statement.group() != self.group() {
            return Err(StatementRefused::OtherGroup);
        }
        if *statement.id() == self.last_statement.id {
            return Ok(Vec::new());
        }
        let (seq, last) = (statement.seq(), self.last_statement.seq);
        if seq <= last {
            return Err(StatementRefused::NotNewer { seq, last });
        }
        let connection = match statement.verb() {
            Verb::CreateGroup(_) => return Err(StatementRefused::WrongMoment),
            Verb::Grant(grant) => {
                let is_taken = self.connections.contains_key(&grant.connection)
                    || self.connection_of(&grant.transport_pubkey).is_some();
                if is_taken {
                    return Err(StatementRefused::ConnectionExists);
                }
                // A share as transport key: a partial ECDH would be its own transport secret.
                if is_key_of(&self.identity.public, &grant.transport_pubkey) {
                    return Err(StatementRefused::KeyOfTheGroup);
                }
                if self.connections.len() >= MAX_CONNECTIONS {
                    return Err(StatementRefused::TooManyConnections);
                }
                Connection::granted(statement, grant)
            }
            Verb::Revoke { connection } => self.revoked(connection, statement)?,
        };
        Ok(self.applied(statement, Some(connection), now_ms))
    }

    fn revoked(&self, id: &ConnectionId, statement: &Statement) -> Result<Connection, StatementRefused> {
        let connection = self.connections.get(id).ok_or(StatementRefused::NoSuchConnection)?;
        let client = connection.client().copied();
        Ok(connection.with_standing(Standing::Revoked { statement: Box::new(statement.event().clone()), client }))
    }

    fn applied(&self, statement: &Statement, connection: Option<Connection>, now_ms: u64) -> Vec<Mutation> {
        let happening = Happening::StatementApplied {
            verb: statement.verb().name().to_owned(),
            seq: statement.seq(),
            statement: *statement.id(),
        };
        let named = connection.as_ref().map(|connection| connection.grant().connection);
        let entry = Entry { happening, connection: named, request: None, method: None, kind: None, peer: None };
        let mut mutations = vec![Mutation::LastStatement(LastStatement { seq: statement.seq(), id: *statement.id() })];
        mutations.extend(connection.map(|connection| Mutation::Connection(Box::new(connection))));
        mutations.push(self.audit_entry(now_ms, entry));
        mutations
    }
}

fn is_key_of(public: &GroupPublic, key: &PublicKey) -> bool {
    let is_share =
        public.holders.iter().any(|holder| holder.verifying_share.to_bytes().get(1..) == Some(key.as_bytes()));
    is_share || public.pubkey.as_bytes() == key.as_bytes()
}
