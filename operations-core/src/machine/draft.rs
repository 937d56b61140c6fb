//! A step in the making: the state as it will be, and the mutations that make it so.

use crate::{
    audit::{DeploymentEntry, DeploymentHappening},
    ids::OperatorId,
    state::{DeploymentState, Mutation},
    text::RequestId,
};

#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) state: DeploymentState,
    pub(super) now_ms: u64,
    mutations: Vec<Mutation>,
    by: Option<OperatorId>,
    request_id: Option<RequestId>,
}

impl Draft {
    pub(super) fn new(state: &DeploymentState, now_ms: u64) -> Self {
        Self { state: state.clone(), now_ms, mutations: Vec::new(), by: None, request_id: None }
    }

    /// In whose name records are written from here on.
    pub(super) fn speak_for(&mut self, by: Option<OperatorId>, request_id: Option<RequestId>) {
        self.by = by;
        self.request_id = request_id;
    }

    pub(super) fn push(&mut self, mutation: Mutation) {
        self.state.apply(&mutation);
        self.mutations.push(mutation);
    }

    pub(super) fn record(&mut self, happening: DeploymentHappening) {
        let entry = DeploymentEntry { happening, by: self.by, request_id: self.request_id.clone() };
        for mutation in self.state.record(entry, self.now_ms) {
            self.push(mutation);
        }
    }

    pub(super) fn into_mutations(self) -> Vec<Mutation> {
        self.mutations
    }
}
