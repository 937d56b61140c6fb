//! The cosigner's side: it judges the client's own request for itself, records, and contributes to just that.

use super::{
    Mutation, Operation, Refusal, Step,
    judgement::{Allowed, Judgement, Task, Unreadable},
    state::HolderState,
};
use crate::{
    audit::Happening,
    event::VerifiedEvent,
    nip44::ConversationKey,
    replay::{Progress, Seen},
};

/// What the cosigner does after its record is committed.
#[derive(Debug)]
pub enum CosignerEffect {
    /// Contribute to exactly this.
    Contribute(Operation),
    /// Contribute nothing, and say why.
    Refuse(Refusal),
}

impl HolderState {
    /// Takes a request event that a coordinator forwards, with the key it says the event decrypts under.
    ///
    /// # Errors
    /// When the event is not a request of a client of this group.
    pub fn contribute(
        &self,
        event: &VerifiedEvent,
        conversation: &ConversationKey,
        now_ms: u64,
    ) -> Result<Step<CosignerEffect>, Unreadable> {
        let now_s = now_ms / 1000;
        let Judgement { connection, subject, verdict, .. } = self.judge(event, conversation, now_s)?;
        let id = connection.grant().connection;
        let verdict = verdict.and_then(|Allowed { task, is_counted, rule, attempt, standing }| match task {
            Task::Joint(operation) => Ok((operation, is_counted, rule, attempt, standing)),
            Task::Local(_) => Err(Refusal::NothingToContribute),
        });
        let (operation, is_counted, rule, attempt, standing) = match verdict {
            Ok(allowed) => allowed,
            Err(refusal) => {
                let happening = Happening::RequestRefused { reason: refusal.code().to_owned() };
                let audit = self.audit_request(now_ms, happening, id, event.id, subject);
                return Ok(Step { mutations: vec![audit], effect: CosignerEffect::Refuse(refusal) });
            }
        };
        let mut mutations = Vec::new();
        if let Some(standing) = standing {
            mutations.push(Mutation::Connection(Box::new(connection.with_standing(standing))));
        }
        if !is_counted {
            mutations.push(Mutation::Usage(id, self.usage_of(&id).counted(now_s, rule)));
        }
        let progress = Progress::Admitted { attempts: attempt, terms: connection.terms_seq() };
        let seen = Seen { created_at_s: event.created_at, progress };
        mutations.push(Mutation::Seen(event.id, seen));
        mutations.push(self.audit_request(now_ms, Happening::Contributed, id, event.id, subject));
        Ok(Step { mutations, effect: CosignerEffect::Contribute(operation) })
    }
}
