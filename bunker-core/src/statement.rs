//! Owner statements: the only authority over a group (kind 27433, signed by the owner key, never published).
//!
//! Every verb has one strict content schema with a version. A statement names its group and carries a sequence
//! number; a holder refuses one that is not newer than the last it applied, so an old word can't come back.
//! Unknown versions and verbs are refused by name instead of being half understood.

use frost_wasm_core::group::{GroupError, GroupId, GroupPublic};
use serde::{Deserialize, Serialize};

use crate::{
    event::{Event, EventError, Template},
    grant::{ConnectionId, Grant, MAX_LABEL_BYTES, SecretHash},
    keys::{EventId, PublicKey},
    policy::{Policy, PolicyError},
};

/// Event kind of owner statements. Unassigned, and never sent to a relay.
pub const STATEMENT_KIND: u16 = 27433;
/// Version of the content schemas.
pub const STATEMENT_VERSION: u64 = 1;

/// What the owner says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// These holders hold the shares of this key.
    CreateGroup(GroupPublic),
    /// This connection may do these things.
    Grant(Grant),
    /// This connection may do nothing more.
    Revoke {
        /// The connection.
        connection: ConnectionId,
    },
}

impl Verb {
    /// The verb's name in the content and in the audit.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateGroup(_) => "create_group",
            Self::Grant(_) => "grant",
            Self::Revoke { .. } => "revoke",
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
    /// The policy can't be accepted.
    #[error("the statement's policy is wrong: {0}")]
    Policy(#[from] PolicyError),
}

#[derive(Deserialize)]
struct Header {
    v: u64,
    verb: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateGroupContent {
    v: u64,
    group: GroupId,
    seq: u64,
    verb: String,
    public: GroupPublic,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantContent {
    v: u64,
    group: GroupId,
    seq: u64,
    verb: String,
    connection: ConnectionId,
    transport_pubkey: PublicKey,
    secret_sha256: SecretHash,
    label: String,
    policy: Policy,
    expires_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeContent {
    v: u64,
    group: GroupId,
    seq: u64,
    verb: String,
    connection: ConnectionId,
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
        let (group, seq, verb) = parse(&event.content)?;
        Ok(Self { event, group, seq, verb })
    }

    /// The event to be signed by the owner key for a verb.
    pub fn template(group: GroupId, seq: u64, verb: &Verb, created_at_s: u64) -> Template {
        let (v, name) = (STATEMENT_VERSION, verb.name().to_owned());
        let content = match verb {
            Verb::CreateGroup(public) => {
                encode(&CreateGroupContent { v, group, seq, verb: name, public: public.clone() })
            }
            Verb::Grant(grant) => encode(&GrantContent {
                v,
                group,
                seq,
                verb: name,
                connection: grant.connection,
                transport_pubkey: grant.transport_pubkey,
                secret_sha256: grant.secret_sha256,
                label: grant.label.clone(),
                policy: grant.policy.clone(),
                expires_at: grant.expires_at,
            }),
            Verb::Revoke { connection } => {
                encode(&RevokeContent { v, group, seq, verb: name, connection: *connection })
            }
        };
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

fn parse(content: &str) -> Result<(GroupId, u64, Verb), StatementError> {
    let header: Header = decode(content)?;
    if header.v != STATEMENT_VERSION {
        return Err(StatementError::UnknownVersion(header.v));
    }
    match header.verb.as_str() {
        "create_group" => {
            let it: CreateGroupContent = decode(content)?;
            it.public.validate()?;
            if it.public.group != it.group {
                return Err(StatementError::Content("public names another group".into()));
            }
            Ok((it.group, it.seq, Verb::CreateGroup(it.public)))
        }
        "grant" => {
            let it: GrantContent = decode(content)?;
            it.policy.validate()?;
            if it.label.len() > MAX_LABEL_BYTES {
                return Err(StatementError::Content(format!("label is longer than {MAX_LABEL_BYTES} bytes")));
            }
            let grant = Grant {
                connection: it.connection,
                transport_pubkey: it.transport_pubkey,
                secret_sha256: it.secret_sha256,
                label: it.label,
                policy: it.policy,
                expires_at: it.expires_at,
            };
            Ok((it.group, it.seq, Verb::Grant(grant)))
        }
        "revoke" => {
            let it: RevokeContent = decode(content)?;
            Ok((it.group, it.seq, Verb::Revoke { connection: it.connection }))
        }
        _ => Err(StatementError::UnknownVerb(header.verb.chars().take(32).collect())),
    }
}

fn decode<'a, T: Deserialize<'a>>(content: &'a str) -> Result<T, StatementError> {
    serde_json::from_str(content).map_err(|error| StatementError::Content(error.to_string()))
}

fn encode<T: Serialize>(content: &T) -> String {
    // Structs of strings, numbers and lists always encode.
    serde_json::to_string(content).unwrap_or_default()
}
