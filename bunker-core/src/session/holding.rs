//! Requests that wait for the owner, at the bunker: taken in, told to the app once, and given up in time.

use rand_core::{CryptoRng, RngCore};

use super::{
    BunkerEffect, Ctx, Mutation, Received, Refusal, Step,
    coordinator::seal,
    judgement::{Judgement, Subject},
    state::HolderState,
};
use crate::{
    approval::{MAX_GROUP_PENDING_BYTES, MAX_HOLD_S, MAX_PENDING, MAX_PENDING_BYTES, Pending},
    audit::Happening,
    event::Event,
    nip46::{AuthUrl, Response, SealError},
};

impl HolderState {
    /// The request as it waits, or why it does not.
    pub(super) fn pending_of_judgement(
        &self,
        judgement: &Judgement<'_>,
        event: &Event,
        now_s: u64,
    ) -> Result<Pending, Refusal> {
        let ask = judgement.ask.ok_or(Refusal::NeedsApproval)?;
        let pending = Pending {
            connection: judgement.connection.grant().connection,
            event: event.clone(),
            request_id: judgement.request_id.clone(),
            method: ask.permission,
            kind: ask.kind,
            peer: ask.peer,
            held_at_s: now_s,
            expires_at_s: judgement.askable_until_s.min(now_s.saturating_add(MAX_HOLD_S)),
        };
        if pending.is_over(now_s) {
            return Err(Refusal::NotApprovedInTime);
        }
        if self.has_room_for(&pending) { Ok(pending) } else { Err(Refusal::TooManyPending) }
    }

    fn has_room_for(&self, new: &Pending) -> bool {
        let of_connection = || self.pending_of(&new.connection);
        let fits = |bytes: usize, limit: usize| bytes.saturating_add(new.bytes()) <= limit;
        of_connection().count() < MAX_PENDING
            && fits(of_connection().map(Pending::bytes).sum(), MAX_PENDING_BYTES)
            && fits(self.pending().map(Pending::bytes).sum(), MAX_GROUP_PENDING_BYTES)
    }

    /// Takes the request in and, the first time, tells the app where its person can approve.
    pub(super) fn held<R: RngCore + CryptoRng>(
        &self,
        pending: Pending,
        judgement: &Judgement<'_>,
        received: Received<'_>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<BunkerEffect>, SealError> {
        let event = received.event;
        // Clients take a second challenge under one id for a refusal.
        let is_known = self.replay.get(&event.id).is_some()
            || self.pending_of(&pending.connection).any(|other| other.request_id == pending.request_id);
        let url = match judgement.connection.terms().auth_url && !is_known {
            true => AuthUrl::new(&format!("{}{}", received.approve_at, event.id)).ok(),
            false => None,
        };
        let challenge = match url {
            Some(url) => {
                let response = Response::auth_url(pending.request_id.clone(), url);
                Some(seal(&response, received.transport, received.conversation, event.pubkey, ctx)?)
            }
            None => None,
        };
        let (id, subject) = (pending.connection, judgement.subject.clone());
        let audit = self.audit_request(ctx.now_ms, Happening::RequestHeld, id, event.id, subject);
        let mutations = vec![Mutation::Pending(event.id, Box::new(pending)), audit];
        Ok(Step { mutations, effect: BunkerEffect::Hold(challenge.map(Box::new)) })
    }

    /// Answers a request that waited too long, fresh or not.
    pub(super) fn given_up<R: RngCore + CryptoRng>(
        &self,
        pending: &Pending,
        received: Received<'_>,
        ctx: &mut Ctx<'_, R>,
    ) -> Result<Step<BunkerEffect>, SealError> {
        let refusal = Refusal::NotApprovedInTime;
        let happening = Happening::RequestRefused { reason: refusal.code().to_owned() };
        let subject =
            Subject { method: Some(pending.method.name().to_owned()), kind: pending.kind, peer: pending.peer };
        let request = received.event.id;
        let audit = self.audit_request(ctx.now_ms, happening, pending.connection, request, subject);
        let response = Response::error(pending.request_id.clone(), refusal.to_string());
        self.replied(vec![Mutation::Settled(request)], audit, response, received, ctx)
    }
}
