//! Owner statements: the only authority over a group (kind 27433, signed by the owner key, never published).
//!
//! Every verb has one strict content schema with a version. A statement names its group and carries a sequence
//! number; a holder refuses one that is not newer than the last it applied, so an old word can't come back.
//! Unknown versions and verbs are refused by name instead of being half understood.

mod content;

use frost_wasm_core::{
    ceremony::Digest32,
    group::{GroupError, GroupId, GroupPublic},
    provision::ReceivingPublic,
};

use crate::{
    approval::Approval,
    event::{Event, EventError, Template},
    grant::{ConnectionId, Grant, Terms},
    keys::{EventId, PublicKey},
    members::{Members, MembersError},
    policy::PolicyError,
};

/// Event kind of owner statements. Unassigned, and never sent to a relay.
pub const STATEMENT_KIND: u16 = 27433;
/// Version of the content schemas.
pub const STATEMENT_VERSION: u64 = 1;

/// What the owner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// These holders hold the shares of this key.
    CreateGroup {
        /// The key and its holders.
        public: GroupPublic,
        /// Whose the devices among them are that are not the owner's.
        members: Members,
    },
    /// This connection may do these things.
    Grant(Grant),
    /// From now on these terms hold for this connection.
    Edit {
        /// The connection.
        connection: ConnectionId,
        /// All of its terms, not only what changes.
        terms: Terms,
    },
    /// This connection may do nothing until it is resumed.
    Pause {
        /// The connection.
        connection: ConnectionId,
    },
    /// This connection may do again what its terms say.
    Resume {
        /// The connection.
        connection: ConnectionId,
    },
    /// This connection may do nothing more.
    Revoke {
        /// The connection.
        connection: ConnectionId,
    },
    /// This one request may be carried out, and perhaps others like it.
    Approve(Approval),
    /// This one request is not carried out.
    Deny {
        /// The connection it came through.
        connection: ConnectionId,
        /// The request event.
        request: EventId,
    },
    /// After a delay, each holder may seal its share to this key.
    Export {
        /// A key of the owner's device.
        receiver: ReceivingPublic,
    },
    /// Nothing is exported.
    CancelExport,
    /// The shares are dealt anew, in a ceremony of just these terms.
    Reshare {
        /// Digest of the terms.
        terms: Digest32,
    },
    /// The holders wipe what they have of the group.
    DeleteGroup,
}

impl Verb {
    /// The verb's name in the content and in the audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateGroup { .. } => "create_group",
            Self::Grant(_) => "grant",
            Self::Edit { .. } => "edit",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Revoke { .. } => "revoke",
            Self::Approve(_) => "approve",
            Self::Deny { .. } => "deny",
            Self::Export { .. } => "export",
            Self::CancelExport => "cancel_export",
            Self::Reshare { .. } => "reshare",
            Self::DeleteGroup => "delete_group",
        }
    }

    /// The connection it is about, if it is about one.
    pub fn connection(&self) -> Option<&ConnectionId> {
        match self {
            Self::Grant(Grant { connection, .. })
            | Self::Edit { connection, .. }
            | Self::Pause { connection }
            | Self::Resume { connection }
            | Self::Revoke { connection }
            | Self::Approve(Approval { connection, .. })
            | Self::Deny { connection, .. } => Some(connection),
            Self::CreateGroup { .. }
            | Self::Export { .. }
            | Self::CancelExport
            | Self::Reshare { .. }
            | Self::DeleteGroup => None,
        }
    }
}

/// A statement whose signature and content were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    event: Event,
    group: GroupId,
    seq: u64,
    verb: Verb,
}

/// Why an event is not a statement that can be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Id or signature is wrong.
    #[error("the statement is not a valid event: {0}")]
    Event(#[from] EventError),
    /// Another kind.
    #[error("a statement is an event of kind {STATEMENT_KIND} without tags")]
    NotAStatement,
    /// A version from the future, or none.
    #[error("statement version {0} is not known here; this server knows version {STATEMENT_VERSION}")]
    UnknownVersion(u64),
    /// A verb that this version does not have.
    #[error("statement verb {0:?} is not known here")]
    UnknownVerb(String),
    /// The content does not fit its schema.
    #[error("the statement's content is wrong: {0}")]
    Content(String),
    /// The group's public facts contradict themselves.
    #[error("the statement's group is wrong: {0}")]
    Group(#[from] GroupError),
    /// The people who share the key can't be these.
    #[error("the statement's members are wrong: {0}")]
    Members(#[from] MembersError),
    /// The policy can't be accepted.
    #[error("the statement's policy is wrong: {0}")]
    Policy(#[from] PolicyError),
}

/// A stored statement that is not what the owner signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// It does not verify.
    #[error("a stored statement is damaged: {0}")]
    Statement(#[from] StatementError),
    /// It verifies, but is another's, of another group, of another verb, or about something else.
    #[error("a stored statement belongs elsewhere")]
    Foreign,
}

impl Statement {
    /// Verifies an event's id, signature and content.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(event: Event) -> Result<Self, StatementError> {
        event.verify()?;
        if event.kind != STATEMENT_KIND || !event.tags.is_empty() {
            return Err(StatementError::NotAStatement);
        }
        let (group, seq, verb) = content::read(&event.content)?;
        Ok(Self { event, group, seq, verb })
    }

    /// Verifies a statement that was stored, and that it is `owner`'s word about `group`.
    ///
    /// # Errors
    /// When it is not.
    pub fn restore(event: Event, owner: &PublicKey, group: &GroupId) -> Result<Self, StoredError> {
        let statement = Self::verify(event)?;
        let is_ours = statement.owner() == owner && statement.group() == group;
        if is_ours { Ok(statement) } else { Err(StoredError::Foreign) }
    }

    /// The event to be signed by the owner key for a verb.
    pub fn template(group: GroupId, seq: u64, verb: &Verb, created_at_s: u64) -> Template {
        let content = content::write(group, seq, verb);
        Template { created_at: created_at_s, kind: STATEMENT_KIND, tags: Vec::new(), content }
    }

    /// The key that signed it. Whether that is the group's owner is for the holder to say.
    pub fn owner(&self) -> &PublicKey {
        &self.event.pubkey
    }

    /// The event's id.
    pub fn id(&self) -> &EventId {
        &self.event.id
    }

    /// The group it is about.
    pub fn group(&self) -> &GroupId {
        &self.group
    }

    /// Its sequence number in the group.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What it says.
    pub fn verb(&self) -> &Verb {
        &self.verb
    }

    /// What it says, without the rest.
    pub fn into_verb(self) -> Verb {
        self.verb
    }

    /// The event as it was signed.
    pub fn event(&self) -> &Event {
        &self.event
    }
}
