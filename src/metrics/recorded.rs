//! Counts what a bunker records of its apps' requests: one count for each record of an end, so that the numbers and the
//! audit chain say the same.

use bunker_core::audit::{AuditRecord, Happening};
use bunker_core::session::Mutation;

use super::labels::{Reason, RequestMethod, RequestOutcome};
use super::{Counter, count};

/// Counts the requests that these changes record an end of, or that they let wait.
pub fn recorded(mutations: &[Mutation]) {
    for mutation in mutations {
        if let Mutation::Audit(record) = mutation {
            counters(record).for_each(count);
        }
    }
}

fn counters(record: &AuditRecord) -> impl Iterator<Item = Counter> {
    let (outcome, reason) = match &record.entry.happening {
        Happening::RequestAnswered { .. } => (Some(RequestOutcome::Answered), None),
        Happening::RequestHeld => (Some(RequestOutcome::Held), None),
        Happening::RequestFailed { .. } => (Some(RequestOutcome::Failed), None),
        Happening::RequestRefused { reason } => (Some(RequestOutcome::Refused), Some(Reason::of_code(reason))),
        Happening::RequestAdmitted
        | Happening::Contributed
        | Happening::StatementApplied { .. }
        | Happening::ShareReleased { .. }
        | Happening::EpochEntered { .. } => (None, None),
    };
    let method = RequestMethod::of_code(record.entry.method.as_deref().unwrap_or_default());
    let request = outcome.map(|outcome| Counter::SignRequests { method, outcome });
    request.into_iter().chain(reason.map(|reason| Counter::Refusals { reason }))
}

#[cfg(test)]
mod tests {
    use bunker_core::audit::{AuditHead, Entry};

    use super::*;

    fn counted(happening: Happening, method: &str) -> Vec<Counter> {
        let method = Some(method.to_owned());
        let entry = Entry { happening, connection: None, request: None, method, kind: None, peer: None };
        counters(&AuditHead::default().append(1, entry)).collect()
    }

    #[test]
    fn each_end_of_a_request_is_counted_once_and_a_refusal_with_its_reason() {
        let method = RequestMethod::SignEvent;
        let of = |outcome| Counter::SignRequests { method, outcome };
        let answered = Happening::RequestAnswered { signed: None };
        assert_eq!(counted(answered, "sign_event"), [of(RequestOutcome::Answered)]);
        assert_eq!(counted(Happening::RequestHeld, "sign_event"), [of(RequestOutcome::Held)]);
        let refused = Happening::RequestRefused { reason: "not_granted".to_owned() };
        let reason = Counter::Refusals { reason: Reason::NotGranted };
        assert_eq!(counted(refused, "sign_event"), [of(RequestOutcome::Refused), reason]);
        assert_eq!(counted(Happening::RequestAdmitted, "sign_event"), []);
        assert_eq!(counted(Happening::Contributed, "sign_event"), []);
    }

    #[test]
    fn a_method_that_an_app_made_up_makes_no_series() {
        let refused = Happening::RequestRefused { reason: "unknown_method".to_owned() };
        let method = RequestMethod::Other;
        let expected = Counter::SignRequests { method, outcome: RequestOutcome::Refused };
        assert_eq!(counted(refused, "alice@example")[0], expected);
    }
}
