//! Proofs that two points have the same discrete logarithm (BIP-374 version 0.2.0).
//!
//! `A = a*G` and `C = a*B`: the prover shows that one `a` made both, which is how an ECDH contribution shows that it
//! was made with the holder's own share. Every point given here is a [`Point`], hence never infinite.

use k256::{
    ProjectivePoint, Scalar,
    elliptic_curve::{PrimeField, ops::LinearCombination},
};
use sha2::Digest;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    encoding::hex_bytes,
    hash::tagged,
    point::{Point, nonzero_scalar, reduced_scalar},
    secret::Secret32,
};

hex_bytes!(
    /// A BIP-374 proof: `e` and `s`, 128 characters of lowercase hex.
    Proof,
    64
);

/// Why no proof was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DleqError {
    /// The secret is zero or not below the group order.
    #[error("the secret is not a valid scalar")]
    NotAScalar,
    /// The hash gave a zero nonce, or the proof made did not verify.
    #[error("the proof could not be made")]
    Failed,
}

/// What a proof speaks about, apart from `C`.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// `G`, under which `A = a*G`.
    pub generator: Point,
    /// `B`, the other party's point.
    pub base: Point,
    /// `m`, what else the proof is bound to.
    pub message: Option<&'a [u8; 32]>,
}

/// BIP-374 `GenerateProof`. Returns `C = a*B` with the proof. `aux` is 32 bytes of fresh randomness.
pub fn prove(secret: &Secret32, statement: &Statement<'_>, aux: &[u8; 32]) -> Result<(Point, Proof), DleqError> {
    let a = Zeroizing::new(nonzero_scalar(secret).ok_or(DleqError::NotAScalar)?);
    let public = statement.generator.times(&a).ok_or(DleqError::NotAScalar)?;
    prove_with(&a, public, statement, aux)
}

/// As [`prove`], for a caller that has `A` already.
pub(crate) fn prove_with(
    a: &Scalar,
    public: Point,
    statement: &Statement<'_>,
    aux: &[u8; 32],
) -> Result<(Point, Proof), DleqError> {
    let result = statement.base.times(a).ok_or(DleqError::NotAScalar)?;
    let k = nonce(a, public, result, statement, aux)?;
    let r1 = statement.generator.times(&k).ok_or(DleqError::Failed)?;
    let r2 = statement.base.times(&k).ok_or(DleqError::Failed)?;

    let e = challenge(public, result, statement, r1, r2);
    let s = *k + reduced_scalar(&e) * a;
    let mut proof = [0; 64];
    let (left, right) = proof.split_at_mut(32);
    left.copy_from_slice(&e);
    right.copy_from_slice(&s.to_bytes());
    let proof = Proof::from_bytes(proof);

    // The BIP asks for this: a fault while proving could otherwise give `a` away.
    if verify(public, result, statement, &proof) { Ok((result, proof)) } else { Err(DleqError::Failed) }
}

/// BIP-374 `VerifyProof`: that `public = a*G` and `result = a*B` for one `a`.
#[must_use]
pub fn verify(public: Point, result: Point, statement: &Statement<'_>, proof: &Proof) -> bool {
    let (Some(e), Some(s)) = (proof.as_bytes().first_chunk::<32>(), proof.as_bytes().last_chunk::<32>()) else {
        return false;
    };
    let Some(s) = Option::<Scalar>::from(Scalar::from_repr((*s).into())) else {
        return false;
    };
    let minus_e = -reduced_scalar(e);
    let commitment = |base: Point, image: Point| {
        Point::from_projective(ProjectivePoint::lincomb(&base.projective(), &s, &image.projective(), &minus_e))
    };
    let (Some(r1), Some(r2)) = (commitment(statement.generator, public), commitment(statement.base, result)) else {
        return false;
    };
    *e == challenge(public, result, statement, r1, r2)
}

fn nonce(
    a: &Scalar,
    public: Point,
    result: Point,
    statement: &Statement<'_>,
    aux: &[u8; 32],
) -> Result<Zeroizing<Scalar>, DleqError> {
    let mut t = Zeroizing::new(<[u8; 32]>::from(a.to_bytes()));
    for (byte, mask) in t.iter_mut().zip(tagged("BIP0374/aux").chain_update(aux).finalize()) {
        *byte ^= mask;
    }
    let mut rand: [u8; 32] = tagged("BIP0374/nonce")
        .chain_update(t.as_slice())
        .chain_update(public.to_bytes())
        .chain_update(result.to_bytes())
        .chain_update(statement.message.map_or(&[][..], |m| m.as_slice()))
        .finalize()
        .into();
    let k = Zeroizing::new(reduced_scalar(&rand));
    rand.zeroize();
    if bool::from(k.is_zero()) { Err(DleqError::Failed) } else { Ok(k) }
}

fn challenge(public: Point, result: Point, statement: &Statement<'_>, r1: Point, r2: Point) -> [u8; 32] {
    let mut hash = tagged("BIP0374/challenge");
    for point in [public, statement.base, result, statement.generator, r1, r2] {
        hash.update(point.to_bytes());
    }
    hash.update(statement.message.map_or(&[][..], |m| m.as_slice()));
    hash.finalize().into()
}
