//! One deployment as the shell carries it: what a step changes is stored before it is answered. After each commit the
//! rows that are stored are read back, in two orders, and have to give the state; the audit chain has to verify.

use std::collections::BTreeMap;

use bunker_core::audit::{AuditHead, verify_chain};
use frost_wasm_core::secret::Secret32;
use operations_core::{
    audit::DeploymentRecord,
    command::{Command, Issued},
    ids::{CommandId, OperatorId, UnsealingId},
    machine::{Caller, Ctx, Refused, Step},
    proposal::Change,
    refusal::Refusal,
    rows::{AUDIT, RowChange},
    seal::Target,
    state::{DeploymentState, Mutation},
    token::OperatorToken,
    wire::{ApproveReply, ProposalReply, Reply, SetUpReply, SetUpRequest, UnsealReply},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};
use serde_json::json;

/// When every world begins, Unix milliseconds.
pub(crate) const T0_MS: u64 = 1_800_000_000_000;

/// A deployment with its storage, and the clock and randomness that it is given.
pub(crate) struct World {
    pub(crate) state: DeploymentState,
    pub(crate) rows: BTreeMap<(&'static str, String), String>,
    pub(crate) records: Vec<DeploymentRecord>,
    pub(crate) now_ms: u64,
    pub(crate) rng: ChaCha20Rng,
    pub(crate) key: Secret32,
    /// Whether everything is checked after each commit, not only when [`World::check`] is called.
    pub(crate) is_watched: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            state: DeploymentState::default(),
            rows: BTreeMap::new(),
            records: Vec::new(),
            now_ms: T0_MS,
            rng: ChaCha20Rng::seed_from_u64(5),
            key: Secret32::from_bytes([7; 32]),
            is_watched: true,
        }
    }

    /// Stores and applies a step's changes as the shell will, and checks what stands there then.
    pub(crate) fn commit(&mut self, mutations: &[Mutation]) {
        for mutation in mutations {
            self.state.apply(mutation);
            if let Mutation::Audit(record) = mutation {
                self.records.push((**record).clone());
            }
            for change in mutation.rows() {
                match change {
                    RowChange::Put { kind, key, body } => drop(self.rows.insert((kind, key), body)),
                    RowChange::Remove { kind, key } => drop(self.rows.remove(&(kind, key))),
                    RowChange::RemoveThrough { kind, key } => self.rows.retain(|(k, at), _| *k != kind || *at > key),
                }
            }
        }
        if self.is_watched {
            self.check();
        }
    }

    /// What is stored gives the state, in any order; the chain verifies from its beginning, and what is left of it in
    /// the storage from the checkpoint.
    pub(crate) fn check(&self) {
        let read: Vec<_> = self.rows.iter().map(|((kind, _), body)| Mutation::read(kind, body).unwrap()).collect();
        let (mut forth, mut back) = (DeploymentState::default(), DeploymentState::default());
        read.iter().for_each(|mutation| forth.apply(mutation));
        read.iter().rev().for_each(|mutation| back.apply(mutation));
        assert_eq!(forth, self.state, "what is stored is not the state");
        assert_eq!(back, self.state, "what is stored depends on the order");
        let head = self.state.audit_head();
        verify_chain(AuditHead::default(), &self.records, Some(head)).unwrap();
        verify_chain(self.state.audit_checkpoint(), &self.kept(), Some(head)).unwrap();
    }

    /// The records that are stored, in order.
    pub(crate) fn kept(&self) -> Vec<DeploymentRecord> {
        let rows = self.rows.iter().filter(|((kind, _), _)| *kind == AUDIT);
        rows.map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }

    /// What happened last, as it stands in the record.
    pub(crate) fn last(&self) -> serde_json::Value {
        serde_json::to_value(&self.records.last().unwrap().entry).unwrap()
    }

    pub(crate) fn set_up(&mut self, operators: serde_json::Value, k: u32) -> Result<SetUpReply, Refusal> {
        let request = json!({ "operators": operators, "unseal_threshold": k });
        let request: SetUpRequest = serde_json::from_value(request).unwrap();
        let token = Secret32::from_bytes([3; 32]);
        let ctx = &mut Ctx { now_ms: self.now_ms, rng: &mut self.rng, mac_key: &self.key };
        let judged = self.state.set_up(Some(&token), Some(&token), &request, None, ctx);
        self.settle(judged)
    }

    /// Commits what was decided, refusals too.
    pub(crate) fn settle<T>(&mut self, judged: Result<Step<T>, Refused>) -> Result<T, Refusal> {
        match judged {
            Ok(step) => {
                self.commit(&step.mutations);
                Ok(step.reply)
            }
            Err(refused) => {
                self.commit(&refused.mutations);
                Err(refused.reason)
            }
        }
    }

    pub(crate) fn fresh(&mut self) -> Issued {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        Issued { command: CommandId::from_bytes(id), issued_at: self.now_ms / 1000 }
    }

    pub(crate) fn send(&mut self, token: &OperatorToken, issued: Issued, command: &Command) -> Result<Reply, Refusal> {
        let caller = Caller { token: Some(token), request_id: None };
        let ctx = &mut Ctx { now_ms: self.now_ms, rng: &mut self.rng, mac_key: &self.key };
        let judged = self.state.command(caller, issued, command, ctx);
        self.settle(judged)
    }

    pub(crate) fn tell(&mut self, token: &OperatorToken, command: &Command) -> Result<Reply, Refusal> {
        let issued = self.fresh();
        self.send(token, issued, command)
    }

    pub(crate) fn unseal(
        &mut self,
        token: &OperatorToken,
        target: Target,
        unsealing: Option<UnsealingId>,
    ) -> Result<UnsealReply, Refusal> {
        let command = Command::Unseal { target, reason: "all is well".parse().unwrap(), unsealing };
        match self.tell(token, &command)? {
            Reply::Unseal(reply) => Ok(reply),
            other => panic!("another reply: {other:?}"),
        }
    }

    pub(crate) fn propose(&mut self, token: &OperatorToken, what: Change) -> Result<ProposalReply, Refusal> {
        match self.tell(token, &Command::Propose { what })? {
            Reply::Proposed(reply) => Ok(reply),
            other => panic!("another reply: {other:?}"),
        }
    }

    pub(crate) fn approve(&mut self, token: &OperatorToken, of: &ProposalReply) -> Result<ApproveReply, Refusal> {
        match self.tell(token, &Command::Approve { proposal: of.proposal })? {
            Reply::Approved(reply) => Ok(reply),
            other => panic!("another reply: {other:?}"),
        }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.state.lease().sealed
    }
}

pub(crate) fn seal(target: Target) -> Command {
    Command::Seal { target, reason: "a leak".parse().unwrap() }
}

/// Four who may do everything, and a fifth who may only look; two words open a seal.
pub(crate) fn team() -> (World, Vec<(OperatorId, OperatorToken)>) {
    let mut world = World::new();
    let all = ["read", "seal", "unseal", "operators", "policy", "rotate", "audit"];
    let mut operators: Vec<_> =
        ["ada", "ben", "cleo", "dan"].iter().map(|name| json!({ "name": name, "scopes": all })).collect();
    operators.push(json!({ "name": "eve", "scopes": ["read"] }));
    let reply = world.set_up(json!(operators), 2).unwrap();
    let tokens = reply.operators.into_iter().map(|it| (it.operator, it.token)).collect();
    (world, tokens)
}
