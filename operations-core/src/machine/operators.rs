//! Operators come by two people's word, go by one's, and replace their own tokens.

use rand_core::{CryptoRng, RngCore};

use super::{Ctx, draft::Draft};
use crate::{
    audit::DeploymentHappening,
    ids::{OperatorId, random_bytes},
    operator::{
        DEFAULT_LIFETIME_S, MAX_LIFETIME_S, MAX_OPERATORS, MIN_OPERATORS_OF_OPERATORS, Operator, Scope, Scopes,
    },
    refusal::Refusal,
    state::Mutation,
    text::OperatorName,
    token::OperatorToken,
    wire::{RemoveReply, TokenReply},
};

impl Draft {
    /// Checks that there may be such an operator.
    pub(super) fn judge_new(&self, name: &OperatorName, lifetime_s: Option<u64>) -> Result<u64, Refusal> {
        if self.state.operators.len() >= MAX_OPERATORS {
            return Err(Refusal::TooManyOperators);
        }
        if self.state.operators.values().any(|it| it.name.reads_like(name)) {
            return Err(Refusal::OperatorNameTaken);
        }
        let lifetime_s = lifetime_s.unwrap_or(DEFAULT_LIFETIME_S);
        if (1..=MAX_LIFETIME_S).contains(&lifetime_s) { Ok(lifetime_s) } else { Err(Refusal::LifetimeInvalid) }
    }

    /// Makes an operator and their first token.
    pub(super) fn enlist<R: RngCore + CryptoRng>(
        &mut self,
        name: &OperatorName,
        scopes: &Scopes,
        lifetime_s: Option<u64>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<(Operator, OperatorToken), Refusal> {
        let lifetime_s = self.judge_new(name, lifetime_s)?;
        let token = OperatorToken::random(ctx.rng);
        let operator = Operator {
            id: OperatorId::from_bytes(random_bytes(ctx.rng)),
            name: name.clone(),
            scopes: scopes.clone(),
            created_at_ms: self.now_ms,
            lifetime_s,
            expires_at_ms: self.now_ms.saturating_add(lifetime_s.saturating_mul(1000)),
            last_used_at_ms: None,
            token_mac: token.mac(ctx.mac_key),
        };
        self.push(Mutation::Operator(Box::new(operator.clone())));
        Ok((operator, token))
    }

    pub(super) fn remove_operator(&mut self, by: OperatorId, operator: OperatorId) -> Result<RemoveReply, Refusal> {
        let gone = self.state.operators.get(&operator).ok_or(Refusal::OperatorUnknown)?;
        if by == operator {
            return Err(Refusal::CannotRemoveOneself);
        }
        // Who does not count any more can always go.
        let left = |scope| {
            let now = self.state.count_who_may(scope, self.now_ms);
            if gone.may(scope, self.now_ms) { now.saturating_sub(1) } else { usize::MAX }
        };
        if left(Scope::Unseal) < self.state.unseal_threshold() {
            return Err(Refusal::TooFewUnsealers);
        }
        if left(Scope::Operators) < MIN_OPERATORS_OF_OPERATORS {
            return Err(Refusal::TooFewOperators);
        }
        self.push(Mutation::OperatorRemoved(operator));
        self.record(DeploymentHappening::OperatorRemoved { operator });
        Ok(RemoveReply { operator })
    }

    pub(super) fn rotate_token<R: RngCore + CryptoRng>(
        &mut self,
        by: OperatorId,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<TokenReply, Refusal> {
        let mut operator = self.state.operators.get(&by).cloned().ok_or(Refusal::OperatorUnknown)?;
        let token = OperatorToken::random(ctx.rng);
        operator.token_mac = token.mac(ctx.mac_key);
        operator.expires_at_ms = self.now_ms.saturating_add(operator.lifetime_s.saturating_mul(1000));
        let expires_at = operator.expires_at_ms / 1000;
        self.push(Mutation::Operator(Box::new(operator)));
        self.record(DeploymentHappening::OperatorTokenRotated { operator: by });
        Ok(TokenReply { token, expires_at })
    }

    pub(super) fn name_of(&self, operator: OperatorId) -> Result<OperatorName, Refusal> {
        self.state.operators.get(&operator).map(|it| it.name.clone()).ok_or(Refusal::OperatorUnknown)
    }
}
