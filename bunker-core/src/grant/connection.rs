//! A connection: the owner's grant, the owner's later words about it, and what became of it.

use frost_wasm_core::group::GroupId;
use serde::{Deserialize, Serialize};

use super::{Grant, Terms};
use crate::{
    approval::{Allowance, Approval},
    event::Event,
    keys::PublicKey,
    nip46::ClientMetadata,
    policy::Ask,
    statement::{Statement, StoredError, Verb},
};

/// How a connection stands, apart from its expiry and from pauses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Standing {
    /// Its secret is not used yet.
    AwaitingClient,
    /// A client has shown the secret, which is spent.
    Connected {
        /// The only key that may use the connection.
        client: PublicKey,
        /// What the client says of itself: a hint for people, never a reason for a decision.
        metadata: Option<ClientMetadata>,
    },
    /// The client said `logout`.
    LoggedOut {
        /// The client that was bound.
        client: PublicKey,
    },
    /// The owner revoked it.
    Revoked {
        /// The owner's statement.
        statement: Box<Event>,
        /// The client that was bound, to whom the end is told.
        client: Option<PublicKey>,
    },
}

/// A connection as it is stored: the owner's statements and the holder's record of what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// The grant statement as the owner signed it.
    pub grant: Event,
    /// The newest `edit` statement, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Event>,
    /// The `pause` statement, while it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Event>,
    /// The `approve` statements that are remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remembered: Vec<Event>,
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
}

/// A connection whose owner statements were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    grant: Grant,
    terms: Terms,
    /// Number of the `edit` statement that made the terms; 0 while they are the grant's.
    terms_seq: u64,
    /// One for each remembered statement, in the same order.
    allowances: Vec<Allowance>,
    record: ConnectionRecord,
}

impl Connection {
    /// A new connection from the owner's grant.
    pub(crate) fn granted(statement: &Statement, grant: &Grant) -> Self {
        let record = ConnectionRecord {
            grant: statement.event().clone(),
            edit: None,
            pause: None,
            remembered: Vec::new(),
            standing: Standing::AwaitingClient,
        };
        Self { grant: grant.clone(), terms: grant.terms(), terms_seq: 0, allowances: Vec::new(), record }
    }

    /// Reads a stored connection, checking the owner's signatures again.
    ///
    /// # Errors
    /// When a statement is not the owner's word about this connection.
    pub fn restore(record: ConnectionRecord, owner: &PublicKey, group: &GroupId) -> Result<Self, StoredError> {
        let read = |event: &Event| Statement::restore(event.clone(), owner, group);
        let Verb::Grant(grant) = read(&record.grant)?.into_verb() else {
            return Err(StoredError::Foreign);
        };
        let about_it = |event: &Event| {
            let statement = read(event)?;
            let is_about_it = statement.verb().connection() == Some(&grant.connection);
            if is_about_it { Ok(statement) } else { Err(StoredError::Foreign) }
        };
        let (terms, terms_seq) = match record.edit.as_ref().map(about_it).transpose()? {
            None => (grant.terms(), 0),
            Some(edit) => match (edit.seq(), edit.into_verb()) {
                (seq, Verb::Edit { terms, .. }) => (terms, seq),
                _ => return Err(StoredError::Foreign),
            },
        };
        if let Some(pause) = &record.pause
            && !matches!(about_it(pause)?.verb(), Verb::Pause { .. })
        {
            return Err(StoredError::Foreign);
        }
        if let Standing::Revoked { statement, .. } = &record.standing
            && !matches!(about_it(statement)?.verb(), Verb::Revoke { .. })
        {
            return Err(StoredError::Foreign);
        }
        let allowance = |event: &Event| {
            let statement = about_it(event)?;
            match statement.verb() {
                // New terms end what was allowed under the old ones.
                Verb::Approve(approval) if statement.seq() > terms_seq => {
                    Allowance::of(approval).ok_or(StoredError::Foreign)
                }
                _ => Err(StoredError::Foreign),
            }
        };
        let allowances = record.remembered.iter().map(allowance).collect::<Result<_, _>>()?;
        Ok(Self { terms, terms_seq, allowances, grant, record })
    }

    /// The owner's grant. What holds now is in [`Self::terms`].
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The terms that hold now.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// When the owner signed the grant, Unix seconds.
    pub fn granted_at_s(&self) -> u64 {
        self.record.grant.created_at
    }

    /// How it stands.
    pub fn standing(&self) -> &Standing {
        &self.record.standing
    }

    /// What is stored.
    pub fn record(&self) -> &ConnectionRecord {
        &self.record
    }

    /// True when the time of its terms is over.
    pub fn is_expired(&self, now_s: u64) -> bool {
        self.terms.expires_at.is_some_and(|end_s| end_s <= now_s)
    }

    /// True while the owner has paused it.
    pub fn is_paused(&self) -> bool {
        self.record.pause.is_some()
    }

    /// True when nothing brings it back: it was revoked, or the client logged out.
    pub fn has_ended(&self) -> bool {
        match &self.record.standing {
            Standing::AwaitingClient | Standing::Connected { .. } => false,
            Standing::LoggedOut { .. } | Standing::Revoked { .. } => true,
        }
    }

    /// What the owner allowed while approving, as far as it is not over.
    pub fn allowances(&self, now_s: u64) -> impl Iterator<Item = &Allowance> {
        self.allowances.iter().filter(move |allowance| !allowance.is_over(now_s))
    }

    /// The client that is or was bound.
    pub fn client(&self) -> Option<&PublicKey> {
        match &self.record.standing {
            Standing::AwaitingClient => None,
            Standing::Connected { client, .. } | Standing::LoggedOut { client } => Some(client),
            Standing::Revoked { client, .. } => client.as_ref(),
        }
    }

    /// Whether `secret` is the one of the grant; takes the same time for every wrong one.
    pub fn secret_matches(&self, secret: &str) -> bool {
        self.grant.secret_sha256.matches(secret)
    }

    /// Number of the statement that changed the terms last; 0 while they are the grant's.
    pub(crate) fn terms_seq(&self) -> u64 {
        self.terms_seq
    }

    pub(crate) fn allows(&self, ask: &Ask, now_s: u64) -> bool {
        self.allowances.iter().any(|allowance| allowance.covers(ask, now_s))
    }

    pub(crate) fn with_standing(&self, standing: Standing) -> Self {
        let mut next = self.clone();
        next.record.standing = standing;
        if next.has_ended() {
            next.allowances.clear();
            next.record.remembered.clear();
            next.record.pause = None;
        }
        next
    }

    pub(crate) fn with_terms(&self, statement: &Statement, terms: Terms) -> Self {
        let mut next = self.clone();
        next.terms = terms;
        next.terms_seq = statement.seq();
        next.record.edit = Some(statement.event().clone());
        next.allowances.clear();
        next.record.remembered.clear();
        next
    }

    pub(crate) fn with_pause(&self, pause: Option<&Statement>) -> Self {
        let mut next = self.clone();
        next.record.pause = pause.map(|statement| statement.event().clone());
        next
    }

    /// Remembers what an approval allows; `None` if it allows nothing beyond its request. What is over, and what
    /// was allowed before for the same method and kind, goes.
    pub(crate) fn with_allowance(&self, statement: &Statement, approval: &Approval, now_s: u64) -> Option<Self> {
        let allowance = Allowance::of(approval)?;
        let is_kept =
            |old: &Allowance| !old.is_over(now_s) && (old.method, old.kind) != (allowance.method, allowance.kind);
        let kept = self.allowances.iter().copied().zip(self.record.remembered.iter().cloned());
        let (mut allowances, mut remembered): (Vec<_>, Vec<_>) = kept.filter(|(old, _)| is_kept(old)).unzip();
        allowances.push(allowance);
        remembered.push(statement.event().clone());
        let mut next = self.clone();
        next.allowances = allowances;
        next.record.remembered = remembered;
        Some(next)
    }
}
