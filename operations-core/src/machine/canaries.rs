//! What happens when something is touched that nobody has reason to touch.

use super::{Step, draft::Draft};
use crate::{
    audit::{AuditTarget, DeploymentHappening},
    seal::{Seal, Target},
    state::{DeploymentState, Mutation},
    text::{Code, OperatorName, Reason},
};

impl DeploymentState {
    /// Records that a canary was touched, and seals the deployment when a reason for that is given. A seal that is closed
    /// already stays as it is. The reply says whether the deployment is sealed now.
    pub fn canary(&self, name: &Code, touched: &Code, seal: Option<(OperatorName, Reason)>, now_ms: u64) -> Step<bool> {
        let mut draft = Draft::new(self, now_ms);
        draft.record(DeploymentHappening::Canary { name: name.clone(), touched: touched.clone() });
        if let Some((by, reason)) = seal {
            draft.close_by_itself(by, reason);
        }
        let is_sealed = draft.state.lease().sealed;
        Step { mutations: draft.into_mutations(), reply: is_sealed }
    }
}

impl Draft {
    fn close_by_itself(&mut self, by: OperatorName, reason: Reason) {
        let target = Target::Deployment;
        self.end_unsealing(target, AuditTarget::Deployment, &reason);
        if !self.state.seals.contains_key(&target) {
            let since_ms = self.now_ms;
            self.push(Mutation::Sealed(Box::new(Seal { target, since_ms, by, reason: reason.clone() })));
            self.record(DeploymentHappening::Sealed { target: AuditTarget::Deployment, reason });
        }
    }
}
