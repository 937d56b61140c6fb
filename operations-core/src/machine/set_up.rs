//! The first operators, set up once with a token from the deployment's configuration.
//!
//! And again when too few are left who could change who the operators are: otherwise nobody could ever open a seal
//! again. Then the old ones go, seals stay closed, and the chain goes on.

use frost_wasm_core::secret::Secret32;
use rand_core::{CryptoRng, RngCore};

use super::{Ctx, Refused, Step, draft::Draft};
use crate::{
    audit::DeploymentHappening,
    operator::{MAX_OPERATORS, MIN_OPERATORS_OF_OPERATORS, MIN_UNSEAL_THRESHOLD, Scope},
    refusal::Refusal,
    state::{DeploymentState, Mutation, Policy},
    text::{Code, RequestId},
    wire::{SetUpOperator, SetUpReply, SetUpRequest},
};

impl DeploymentState {
    /// Sets the first operators up. `presented` is the caller's set-up token, if it is one at all, and `configured`
    /// the deployment's.
    ///
    /// # Errors
    /// The refusal, with what has to be committed all the same.
    pub fn set_up<R: RngCore + CryptoRng>(
        &self,
        presented: Option<&Secret32>,
        configured: Option<&Secret32>,
        request: &SetUpRequest,
        request_id: Option<&RequestId>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<SetUpReply>, Refused> {
        let mut draft = Draft::new(self, ctx.now_ms);
        draft.speak_for(None, request_id.cloned());
        let judged = judge_token(presented, configured).and_then(|()| {
            let mut tried = draft.clone();
            let reply = tried.set_up(request, ctx)?;
            draft = tried;
            Ok(reply)
        });
        match judged {
            Ok(reply) => Ok(Step { mutations: draft.into_mutations(), reply }),
            Err(reason) => {
                let (command, code) = (Code::new("set_up"), Code::new(reason.code()));
                draft.record(DeploymentHappening::CommandRefused { command, reason: code, id: None });
                Err(Refused { mutations: draft.into_mutations(), reason })
            }
        }
    }
}

fn judge_token(presented: Option<&Secret32>, configured: Option<&Secret32>) -> Result<(), Refusal> {
    let configured = configured.ok_or(Refusal::SetupTokenNotSet)?;
    let is_it = presented.is_some_and(|presented| presented.ct_eq(configured));
    if is_it { Ok(()) } else { Err(Refusal::SetupTokenInvalid) }
}

impl Draft {
    fn set_up<R: RngCore + CryptoRng>(
        &mut self,
        request: &SetUpRequest,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<SetUpReply, Refusal> {
        if self.state.count_who_may(Scope::Operators, self.now_ms) >= MIN_OPERATORS_OF_OPERATORS {
            return Err(Refusal::AlreadySetUp);
        }
        if request.operators.len() > MAX_OPERATORS {
            return Err(Refusal::TooManyOperators);
        }
        let with = |scope| request.operators.iter().filter(|it| it.scopes.has(scope)).count();
        if with(Scope::Operators) < MIN_OPERATORS_OF_OPERATORS {
            return Err(Refusal::TooFewOperators);
        }
        let k = request.unseal_threshold;
        if k < MIN_UNSEAL_THRESHOLD || usize::try_from(k).is_ok_and(|k| k > with(Scope::Unseal)) {
            return Err(Refusal::UnsealThresholdInvalid);
        }
        let gone: Vec<_> = self.state.operators.keys().copied().collect();
        for operator in gone {
            self.push(Mutation::OperatorRemoved(operator));
            self.record(DeploymentHappening::OperatorRemoved { operator });
        }
        let mut operators = Vec::with_capacity(request.operators.len());
        for new in &request.operators {
            let (operator, token) = self.enlist(&new.name, &new.scopes, new.lifetime_s, ctx)?;
            operators.push(SetUpOperator {
                operator: operator.id,
                name: operator.name,
                scopes: operator.scopes,
                expires_at: operator.expires_at_ms / 1000,
                token,
            });
        }
        let export_delay_s = self.state.policy.and_then(|policy| policy.export_delay_s);
        self.push(Mutation::Policy(Policy { set_up_at_ms: self.now_ms, unseal_threshold: k, export_delay_s }));
        let ids = operators.iter().map(|it| it.operator).collect();
        self.record(DeploymentHappening::OperatorsSetUp { operators: ids, unseal_threshold: k });
        Ok(SetUpReply { operators })
    }
}
