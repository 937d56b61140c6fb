//! What stands in a statement's content: one strict schema per verb.

use frost_wasm_core::{
    ceremony::Digest32,
    group::{GroupId, GroupPublic},
    provision::ReceivingPublic,
};
use serde::{Deserialize, Serialize};

use super::{STATEMENT_VERSION, StatementError, Verb};
use crate::{
    approval::{Approval, Remember},
    grant::{ConnectionId, Grant, MAX_LABEL_BYTES, SecretHash, Terms},
    keys::{EventId, PublicKey},
    members::{Member, Members},
    policy::{Permission, Policy},
};

#[derive(Deserialize)]
struct Header {
    v: u64,
    verb: String,
}

/// A content's struct: what every statement has, in the order in which it is written, then the verb's own fields.
macro_rules! content {
    ($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            v: u64,
            group: GroupId,
            seq: u64,
            verb: String,
            $($(#[$meta])* $field: $type,)*
        }
    };
}

content!(CreateGroupContent {
    public: GroupPublic,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    members: Vec<Member>,
});

content!(GrantContent {
    connection: ConnectionId,
    transport_pubkey: PublicKey,
    secret_sha256: SecretHash,
    label: String,
    policy: Policy,
    expires_at: Option<u64>,
    #[serde(default = "yes")]
    auth_url: bool,
});

content!(EditContent {
    connection: ConnectionId,
    label: String,
    policy: Policy,
    // Null says "without end"; nothing said is a mistake. The same below.
    #[serde(deserialize_with = "Option::deserialize")]
    expires_at: Option<u64>,
    #[serde(default = "yes")]
    auth_url: bool,
});

// pause, resume, revoke
content!(ConnectionContent { connection: ConnectionId });

content!(ApproveContent {
    connection: ConnectionId,
    request: EventId,
    method: Permission,
    #[serde(deserialize_with = "Option::deserialize")]
    kind: Option<u16>,
    #[serde(deserialize_with = "Option::deserialize")]
    remember: Option<RememberContent>,
});

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RememberContent {
    #[serde(deserialize_with = "Option::deserialize")]
    until: Option<u64>,
}

content!(DenyContent { connection: ConnectionId, request: EventId });

content!(ExportContent { receiver: ReceivingPublic });

content!(ReshareContent { terms: Digest32 });

// cancel_export, delete_group
content!(BareContent {});

fn yes() -> bool {
    true
}

/// Writes a content.
pub(super) fn write(group: GroupId, seq: u64, said: &Verb) -> String {
    let (v, verb) = (STATEMENT_VERSION, said.name().to_owned());
    match said {
        Verb::CreateGroup { public, members } => {
            encode(&CreateGroupContent { v, group, seq, verb, public: public.clone(), members: members.list() })
        }
        Verb::Grant(grant) => encode(&GrantContent {
            v,
            group,
            seq,
            verb,
            connection: grant.connection,
            transport_pubkey: grant.transport_pubkey,
            secret_sha256: grant.secret_sha256,
            label: grant.label.clone(),
            policy: grant.policy.clone(),
            expires_at: grant.expires_at,
            auth_url: grant.auth_url,
        }),
        Verb::Edit { connection, terms } => {
            let Terms { label, policy, expires_at, auth_url } = terms.clone();
            encode(&EditContent { v, group, seq, verb, connection: *connection, label, policy, expires_at, auth_url })
        }
        Verb::Pause { connection } | Verb::Resume { connection } | Verb::Revoke { connection } => {
            encode(&ConnectionContent { v, group, seq, verb, connection: *connection })
        }
        Verb::Approve(it) => encode(&ApproveContent {
            v,
            group,
            seq,
            verb,
            connection: it.connection,
            request: it.request,
            method: it.method,
            kind: it.kind,
            remember: it.remember.map(|Remember { until }| RememberContent { until }),
        }),
        Verb::Deny { connection, request } => {
            encode(&DenyContent { v, group, seq, verb, connection: *connection, request: *request })
        }
        Verb::Export { receiver } => encode(&ExportContent { v, group, seq, verb, receiver: *receiver }),
        Verb::Reshare { terms } => encode(&ReshareContent { v, group, seq, verb, terms: *terms }),
        Verb::CancelExport | Verb::DeleteGroup => encode(&BareContent { v, group, seq, verb }),
    }
}

/// Reads a content.
pub(super) fn read(content: &str) -> Result<(GroupId, u64, Verb), StatementError> {
    let header: Header = decode(content)?;
    if header.v != STATEMENT_VERSION {
        return Err(StatementError::UnknownVersion(header.v));
    }
    let about_connection = |verb: fn(ConnectionId) -> Verb| {
        let it: ConnectionContent = decode(content)?;
        Ok((it.group, it.seq, verb(it.connection)))
    };
    let bare = |verb: Verb| decode::<BareContent>(content).map(|it| (it.group, it.seq, verb));
    match header.verb.as_str() {
        "create_group" => {
            let it: CreateGroupContent = decode(content)?;
            it.public.validate()?;
            if it.public.group != it.group {
                return Err(StatementError::Content("public names another group".into()));
            }
            let members = Members::of(&it.members, &it.public)?;
            Ok((it.group, it.seq, Verb::CreateGroup { public: it.public, members }))
        }
        "grant" => {
            let it: GrantContent = decode(content)?;
            let grant = Grant {
                connection: it.connection,
                transport_pubkey: it.transport_pubkey,
                secret_sha256: it.secret_sha256,
                label: it.label,
                policy: it.policy,
                expires_at: it.expires_at,
                auth_url: it.auth_url,
            };
            check(&grant.label, &grant.policy)?;
            Ok((it.group, it.seq, Verb::Grant(grant)))
        }
        "edit" => {
            let it: EditContent = decode(content)?;
            let terms = Terms { label: it.label, policy: it.policy, expires_at: it.expires_at, auth_url: it.auth_url };
            check(&terms.label, &terms.policy)?;
            Ok((it.group, it.seq, Verb::Edit { connection: it.connection, terms }))
        }
        "pause" => about_connection(|connection| Verb::Pause { connection }),
        "resume" => about_connection(|connection| Verb::Resume { connection }),
        "revoke" => about_connection(|connection| Verb::Revoke { connection }),
        "approve" => {
            let it: ApproveContent = decode(content)?;
            if it.kind.is_some() != it.method.has_kind() {
                return Err(StatementError::Content("kind belongs to sign_event, and sign_event has one".into()));
            }
            let approval = Approval {
                connection: it.connection,
                request: it.request,
                method: it.method,
                kind: it.kind,
                remember: it.remember.map(|RememberContent { until }| Remember { until }),
            };
            Ok((it.group, it.seq, Verb::Approve(approval)))
        }
        "deny" => {
            let it: DenyContent = decode(content)?;
            Ok((it.group, it.seq, Verb::Deny { connection: it.connection, request: it.request }))
        }
        "export" => {
            let it: ExportContent = decode(content)?;
            Ok((it.group, it.seq, Verb::Export { receiver: it.receiver }))
        }
        "cancel_export" => bare(Verb::CancelExport),
        "reshare" => {
            let it: ReshareContent = decode(content)?;
            Ok((it.group, it.seq, Verb::Reshare { terms: it.terms }))
        }
        "delete_group" => bare(Verb::DeleteGroup),
        _ => Err(StatementError::UnknownVerb(header.verb.chars().take(32).collect())),
    }
}

fn check(label: &str, policy: &Policy) -> Result<(), StatementError> {
    policy.validate()?;
    if label.len() > MAX_LABEL_BYTES {
        return Err(StatementError::Content(format!("label is longer than {MAX_LABEL_BYTES} bytes")));
    }
    Ok(())
}

fn decode<'a, T: Deserialize<'a>>(content: &'a str) -> Result<T, StatementError> {
    serde_json::from_str(content).map_err(|error| StatementError::Content(error.to_string()))
}

fn encode<T: Serialize>(content: &T) -> String {
    // Structs of strings, numbers and lists always encode.
    serde_json::to_string(content).unwrap_or_default()
}
