//! The bunker's part: its own contribution, the other's, the check, the answer.

use frost_wasm_core::{
    frost::{
        ecdh::{self, Context, EcdhError, PartialEcdh, Peer, Purpose, SharedX},
        sign::{self, Commitment, Contribution, SignError, SigningNonces},
    },
    group::{HolderIndex, HolderRole},
    secret::Secret32,
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use super::{
    cosigner::{context, peer},
    wire::ContributionReply,
};
use crate::{
    event::Template,
    keys::EventId,
    nip04,
    nip44::{self, ConversationKey},
    nip46::Plaintext,
    session::{Answer, Custody, Failure, Operation},
};

/// Length of a cosigner's reason in the record, in characters. Ours are shorter.
const MAX_REFUSAL_CODE_CHARS: usize = 64;

/// An operation that waits for the other holder. Holds secret nonces: never stored, dropped with the object.
#[derive(Debug)]
pub struct Pending(Waiting);

#[derive(Debug)]
enum Waiting {
    Record,
    Sign { nonces: SigningNonces, template: Template, id: EventId },
    Encrypt { ecdh: OwnPart, plaintext: Plaintext },
    Decrypt { ecdh: OwnPart, ciphertext: String },
}

#[derive(Debug)]
struct OwnPart {
    peer: Peer,
    context: Context,
    part: PartialEcdh,
}

/// Makes the bunker's own contribution. Gives what waits, and the commitments that the other holder signs over.
///
/// # Errors
/// What the app is told.
pub fn begin<R: RngCore + CryptoRng>(
    operation: Operation,
    request: &EventId,
    share: &KeyShare,
    rng: &mut R,
) -> Result<(Pending, Vec<(HolderIndex, Commitment)>), Failure> {
    let mut own_part = |key, purpose: Purpose| -> Result<OwnPart, Failure> {
        let peer = peer(&key).map_err(|error| Failure::new("bad_peer", error))?;
        let context = context(share, share.group().epoch, request, purpose);
        let part = ecdh::contribute(share, &peer, &context, rng).map_err(internal)?;
        Ok(OwnPart { peer, context, part })
    };
    let waiting = match operation {
        Operation::Connect | Operation::Logout => Waiting::Record,
        Operation::Encrypt { purpose, peer, plaintext } => {
            Waiting::Encrypt { ecdh: own_part(peer, purpose)?, plaintext }
        }
        Operation::Decrypt { purpose, peer, ciphertext } => {
            Waiting::Decrypt { ecdh: own_part(peer, purpose)?, ciphertext }
        }
        Operation::Sign { template, id } => {
            let (nonces, commitment) = sign::commit(share, rng).map_err(internal)?;
            let pending = Pending(Waiting::Sign { nonces, template, id });
            return Ok((pending, vec![(share.index(), commitment)]));
        }
    };
    Ok((Pending(waiting), Vec::new()))
}

/// Puts the contributions together: of one cosigner, or of as many devices as have to be there. The result is verified
/// before it is returned.
///
/// # Errors
/// What the app is told; a holder that is to blame is named.
pub fn finish<R: RngCore + CryptoRng>(
    pending: Pending,
    share: &KeyShare,
    replies: Vec<ContributionReply>,
    rng: &mut R,
) -> Result<Answer, Failure> {
    let other = other_role(share);
    let (mut signatures, mut parts, mut recorded) = (Vec::new(), Vec::new(), 0);
    for reply in replies {
        if reply.index().is_some_and(|index| share.group().holder(index).is_none_or(|it| it.role != other)) {
            return Err(misbehaved(other, "answered as another holder"));
        }
        match reply {
            ContributionReply::Refused { code, text } => {
                // Another holder's words: bounded before they are recorded.
                let code: String = code.chars().take(MAX_REFUSAL_CODE_CHARS).collect();
                let words = format_args!("the {other} refused: {text}");
                return Err(Failure::new(&format!("{other}_refused:{code}"), words));
            }
            ContributionReply::Signed(contribution) => signatures.push(contribution),
            ContributionReply::Ecdh(part) => parts.push(part),
            ContributionReply::Recorded => recorded += 1,
            ContributionReply::Committed { .. } => return Err(misbehaved(other, "answered another question")),
        }
    }
    match (pending.0, signatures.as_slice(), parts.as_slice(), recorded) {
        (Waiting::Record, [], [], 1) => Ok(Answer::text("ack")),
        (Waiting::Sign { nonces, template, id }, [_, ..], [], 0) => signed(nonces, template, id, share, &signatures),
        (Waiting::Encrypt { ecdh, plaintext }, [], [_, ..], 0) => encrypted(ecdh, plaintext, share, &parts, rng),
        (Waiting::Decrypt { ecdh, ciphertext }, [], [_, ..], 0) => decrypted(ecdh, &ciphertext, share, &parts),
        (Waiting::Record | Waiting::Sign { .. } | Waiting::Encrypt { .. } | Waiting::Decrypt { .. }, ..) => {
            Err(misbehaved(other, "answered another question"))
        }
    }
}

impl Pending {
    /// Whether it waits for signature shares, which take commitments first where several devices give theirs.
    pub(super) fn is_signing(&self) -> bool {
        matches!(self.0, Waiting::Sign { .. })
    }
}

/// Who contributes beside the bunker.
fn other_role(share: &KeyShare) -> HolderRole {
    match Custody::of(share.group()) {
        Custody::Hosted { .. } => HolderRole::Cosigner,
        Custody::Device => HolderRole::Device,
    }
}

fn misbehaved(role: HolderRole, how: &str) -> Failure {
    Failure::new(&format!("holder_misbehaved:{role}"), format_args!("holder {role} {how}; nothing was released"))
}

fn signed(
    nonces: SigningNonces,
    template: Template,
    id: EventId,
    share: &KeyShare,
    contributions: &[Contribution],
) -> Result<Answer, Failure> {
    let signature = match sign::finish(nonces, share, id.as_bytes(), contributions) {
        Ok(signature) => signature,
        Err(SignError::Culprits(culprits)) => {
            return Err(blamed(share, &culprits, "signature share"));
        }
        Err(SignError::RepeatedCommitment(culprit)) => {
            return Err(blamed(share, &[culprit], "commitment"));
        }
        Err(
            error @ (SignError::Members(_)
            | SignError::WrongEpoch { .. }
            | SignError::ForeignNonces
            | SignError::Unverified
            | SignError::Internal(_)),
        ) => return Err(internal(error)),
    };
    let pubkey = crate::keys::PublicKey::from_bytes(*share.group().pubkey.as_bytes());
    let event = template.into_signed(pubkey, signature);
    Ok(Answer { result: Zeroizing::new(event.to_json()), signed: Some(id) })
}

fn encrypted<R: RngCore + CryptoRng>(
    own: OwnPart,
    plaintext: Plaintext,
    share: &KeyShare,
    others: &[PartialEcdh],
    rng: &mut R,
) -> Result<Answer, Failure> {
    // All proofs first: a holder that chose its part late could otherwise choose the key.
    let shared = verified(&own, share, others)?;
    let text = plaintext.expose_secret();
    let ciphertext = match own.context.purpose {
        Purpose::Nip44 => nip44::encrypt_random(&conversation(&shared), text, rng).map_err(cannot_encrypt)?,
        Purpose::Nip04 => nip04::encrypt_random(&secret(&shared), text, rng).map_err(cannot_encrypt)?,
    };
    Ok(Answer::text(&ciphertext))
}

fn decrypted(own: OwnPart, ciphertext: &str, share: &KeyShare, others: &[PartialEcdh]) -> Result<Answer, Failure> {
    match own.context.purpose {
        Purpose::Nip44 => {
            let (peer, context, parts) = (own.peer, own.context, [&[own.part], others].concat());
            let opened = ecdh::combine_unverified(share.group(), &context, &parts)
                .map_err(|error| ecdh_failed(share, error))
                .and_then(|shared| nip44::decrypt(&conversation(&shared), ciphertext).map_err(cannot_decrypt));
            // Whatever went wrong, a part that is not what it claims to be is the reason.
            opened.map(Answer::secret).map_err(|failure| {
                match ecdh::blame(share.group(), &peer, &context, &parts).as_slice() {
                    [] => failure,
                    culprits => blamed(share, culprits, "ECDH part"),
                }
            })
        }
        // NIP-04 has no authentication that a wrong part would fail.
        Purpose::Nip04 => {
            let shared = verified(&own, share, others)?;
            nip04::decrypt(&secret(&shared), ciphertext).map(Answer::secret).map_err(cannot_decrypt)
        }
    }
}

fn verified(own: &OwnPart, share: &KeyShare, others: &[PartialEcdh]) -> Result<SharedX, Failure> {
    let parts = [std::slice::from_ref(&own.part), others].concat();
    ecdh::combine_verified(share.group(), &own.peer, &own.context, &parts).map_err(|error| ecdh_failed(share, error))
}

fn ecdh_failed(share: &KeyShare, error: EcdhError) -> Failure {
    match error {
        EcdhError::Culprits(culprits) => blamed(share, &culprits, "ECDH part"),
        error @ (EcdhError::Members(_)
        | EcdhError::WrongGroup
        | EcdhError::WrongEpoch { .. }
        | EcdhError::Identity
        | EcdhError::Internal) => internal(error),
    }
}

fn blamed(share: &KeyShare, culprits: &[HolderIndex], what: &str) -> Failure {
    let names: Vec<_> = culprits.iter().filter_map(|index| name(share, *index)).collect();
    let names = names.join(", ");
    Failure::new(
        &format!("holder_misbehaved:{names}"),
        format_args!("holder {names} gave an invalid {what}; nothing was released"),
    )
}

/// A holder by its role, and by its number where that is not enough.
fn name(share: &KeyShare, index: HolderIndex) -> Option<String> {
    let role = share.group().holder(index)?.role;
    let is_only_one = share.group().holders.iter().filter(|holder| holder.role == role).count() == 1;
    Some(if is_only_one { role.to_string() } else { format!("{role} {index}") })
}

fn conversation(shared: &SharedX) -> ConversationKey {
    ConversationKey::from_shared_x(&secret(shared))
}

fn secret(shared: &SharedX) -> Secret32 {
    Secret32::from_bytes(*shared.expose_secret())
}

fn cannot_encrypt(error: impl std::fmt::Display) -> Failure {
    Failure::new("cannot_encrypt", format_args!("cannot encrypt: {error}"))
}

fn cannot_decrypt(error: impl std::fmt::Display) -> Failure {
    Failure::new("cannot_decrypt", format_args!("cannot decrypt: {error}"))
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure {
        cause: Some(error.to_string()),
        ..Failure::new("internal", "the operation failed inside the bunker; nothing was released; try again")
    }
}

impl Failure {
    /// A failure with a stable code, and words for the person.
    pub fn new(code: &str, text: impl std::fmt::Display) -> Self {
        Self { code: code.to_owned(), text: text.to_string(), cause: None }
    }
}

impl Answer {
    fn text(result: &str) -> Self {
        Self::secret(result.to_owned())
    }

    fn secret(result: String) -> Self {
        Self { result: Zeroizing::new(result), signed: None }
    }
}
