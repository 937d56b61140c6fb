//! A device's contribution where it may take several: it commits first, and signs when all who sign have committed. The
//! last one does both at once, so that where one device is enough it is asked once.

use frost_wasm_core::{
    frost::sign::{self, SignError, SigningNonces},
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};

use super::{
    cosigner::{ContributeError, contribute},
    wire::{ContributionReply, ContributionRequest},
};
use crate::session::Operation;

/// Makes this device's contribution to `operation`, which `call` asked for. `nonces` are those of an earlier commitment
/// to the same request, if they are still there; none are ever used twice. `None` when it is the others' turn.
///
/// # Errors
/// Why not. Nothing was released.
pub fn contribute_among<R: RngCore + CryptoRng>(
    operation: &Operation,
    call: &ContributionRequest,
    share: &KeyShare,
    nonces: &mut Option<SigningNonces>,
    rng: &mut R,
) -> Result<Option<ContributionReply>, ContributeError> {
    let ContributionRequest { event, epoch, commitments, .. } = call;
    let Operation::Sign { id, .. } = operation else {
        return contribute(operation, &event.id, share, *epoch, commitments, rng).map(Some);
    };
    if *epoch != share.group().epoch {
        return Err(SignError::WrongEpoch { share: share.group().epoch, asked: *epoch }.into());
    }
    let index = share.index();
    let others: Vec<_> = commitments.iter().filter(|(of, _)| *of != index).copied().collect();
    let own = commitments.iter().find(|(of, _)| *of == index).map(|(_, commitment)| commitment);
    let has_all = others.len() + 1 >= usize::from(share.group().threshold);
    let is_mine = nonces.as_ref().is_some_and(|kept| Some(kept.commitment()) == own);
    match (own, has_all) {
        // Nobody waits for a commitment of this device's: it is the last one.
        (None, true) => {
            Ok(Some(ContributionReply::Signed(sign::sign_last(share, *epoch, id.as_bytes(), &others, rng)?)))
        }
        (Some(_), false) if is_mine => Ok(None),
        (Some(_), true) if is_mine => {
            let Some(kept) = nonces.take() else { return Ok(None) };
            let signed = sign::sign_committed(kept, share, *epoch, id.as_bytes(), &others)?;
            Ok(Some(ContributionReply::Signed(signed)))
        }
        // The first word, or the nonces of an earlier one are gone.
        (None, false) | (Some(_), _) => {
            let (fresh, commitment) = sign::commit(share, rng)?;
            *nonces = Some(fresh);
            Ok(Some(ContributionReply::Committed { index, commitment }))
        }
    }
}
