//! Verifiable secret sharing (Feldman 1987), as keygen and reshare use it: a dealer hands out the values of a
//! polynomial and commits to its coefficients, so that every receiver can check its own value.
//!
//! Each dealing proves that its dealer knows the constant term (a Schnorr proof), bound to one ceremony and one
//! dealer: a commitment that was copied, or chosen as the difference to the others', has no proof, and a proof from
//! another ceremony is none here.
//!
//! The threshold library has this too, but its proof is bound to no session, its distributed keygen adds a taproot
//! tweak that is not Nostr's, and it has no resharing. Tests have that library check what is dealt here.

use k256::{
    ProjectivePoint, Scalar,
    elliptic_curve::{
        Field, PrimeField,
        ops::{LinearCombination, MulByGenerator},
    },
};
use rand_core::{CryptoRng, RngCore};
use sha2::Digest;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    encoding::hex_bytes,
    group::HolderIndex,
    hash::tagged,
    point::{Point, reduced_scalar, scalar_of, secret_of},
    secret::Secret32,
};

hex_bytes!(
    /// A dealer's proof that it knows the constant term: `e` and `s`, 128 characters of lowercase hex.
    DealingProof,
    64
);

/// What a dealing is bound to: the digest of the ceremony's terms, and the dealer's number in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Digest of all that the ceremony is about.
    pub terms: [u8; 32],
    /// The dealer's number.
    pub dealer: u16,
}

/// Commitments to the coefficients, the constant term's first: as many points as the new threshold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct DealtCommitment(Vec<Point>);

/// Why a dealing was refused. The dealer is to blame for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DealingError {
    /// The polynomial has another degree than the threshold asks for.
    #[error("the dealing commits to {got} coefficients instead of {needed}")]
    Degree {
        /// The new threshold.
        needed: usize,
        /// Points given.
        got: usize,
    },
    /// The proof of knowledge does not hold in this ceremony for this dealer.
    #[error("the proof of knowledge does not hold")]
    Proof,
    /// The value does not lie on the polynomial that was committed to.
    #[error("the value does not fit the dealer's commitment")]
    Value,
    /// The constant term is not the dealer's own share of the present key.
    #[error("the dealer did not deal its own share")]
    OtherSecret,
}

/// A dealer's secret polynomial.
pub struct Dealing {
    coefficients: Zeroizing<Vec<Scalar>>,
    commitment: DealtCommitment,
}

impl Dealing {
    /// A polynomial with a fresh constant term.
    pub fn fresh<R: RngCore + CryptoRng>(threshold: u16, rng: &mut R) -> Self {
        let constant = Zeroizing::new(nonzero(rng));
        Self::of(&constant, threshold, rng)
    }

    /// A polynomial that hands on `constant`.
    pub(crate) fn of<R: RngCore + CryptoRng>(constant: &Scalar, threshold: u16, rng: &mut R) -> Self {
        let mut coefficients = Zeroizing::new(Vec::with_capacity(usize::from(threshold)));
        coefficients.push(*constant);
        for _ in 1..threshold {
            coefficients.push(nonzero(rng));
        }
        // No coefficient is zero, so each has its point.
        let commitment = DealtCommitment(coefficients.iter().filter_map(Point::of_scalar).collect());
        Self { coefficients, commitment }
    }

    /// The public commitment.
    #[must_use]
    pub fn commitment(&self) -> &DealtCommitment {
        &self.commitment
    }

    /// Proves knowledge of the constant term.
    #[must_use]
    pub fn prove<R: RngCore + CryptoRng>(&self, binding: &Binding, rng: &mut R) -> DealingProof {
        let constant = self.coefficients.first().copied().map(Zeroizing::new).unwrap_or_default();
        let nonce = nonce(&constant, binding, &self.commitment, rng);
        let challenge = Point::of_scalar(&nonce).map(|point| challenge(binding, &self.commitment, point));
        // Neither the nonce nor the point of it is ever zero.
        let challenge = challenge.unwrap_or_default();
        let response = *nonce + reduced_scalar(&challenge) * *constant;
        let mut proof = [0; 64];
        let (left, right) = proof.split_at_mut(32);
        left.copy_from_slice(&challenge);
        right.copy_from_slice(&response.to_bytes());
        DealingProof::from_bytes(proof)
    }

    /// The value for one receiver.
    #[must_use]
    pub fn value(&self, receiver: HolderIndex) -> Secret32 {
        let at = Scalar::from(u32::from(receiver.get()));
        let mut value = Zeroizing::new(Scalar::ZERO);
        for coefficient in self.coefficients.iter().rev() {
            *value = *value * at + coefficient;
        }
        secret_of(&value)
    }
}

impl std::fmt::Debug for Dealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dealing").field("commitment", &self.commitment).finish_non_exhaustive()
    }
}

impl DealtCommitment {
    /// Checks degree and proof.
    pub fn check(&self, threshold: u16, binding: &Binding, proof: &DealingProof) -> Result<(), DealingError> {
        let needed = usize::from(threshold);
        if self.0.len() != needed {
            return Err(DealingError::Degree { needed, got: self.0.len() });
        }
        let constant = self.0.first().ok_or(DealingError::Proof)?;
        let (Some(e), Some(s)) = (proof.as_bytes().first_chunk::<32>(), proof.as_bytes().last_chunk::<32>()) else {
            return Err(DealingError::Proof);
        };
        let s = Option::<Scalar>::from(Scalar::from_repr((*s).into())).ok_or(DealingError::Proof)?;
        let point =
            ProjectivePoint::lincomb(&ProjectivePoint::GENERATOR, &s, &constant.projective(), &-reduced_scalar(e));
        let point = Point::from_projective(point).ok_or(DealingError::Proof)?;
        if challenge(binding, self, point) == *e { Ok(()) } else { Err(DealingError::Proof) }
    }

    /// Checks a value that this dealer handed to `receiver`.
    pub fn check_value(&self, receiver: HolderIndex, value: &Secret32) -> Result<(), DealingError> {
        let value = Zeroizing::new(scalar_of(value).ok_or(DealingError::Value)?);
        if ProjectivePoint::mul_by_generator(&*value) == self.at(receiver.get()) {
            Ok(())
        } else {
            Err(DealingError::Value)
        }
    }

    /// Checks that the dealer handed on the secret behind `point`.
    pub(crate) fn check_constant(&self, point: &Point) -> Result<(), DealingError> {
        if self.0.first() == Some(point) { Ok(()) } else { Err(DealingError::OtherSecret) }
    }

    /// The commitments' points, the constant term's first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// The polynomial in the exponent, at an index.
    pub(crate) fn at(&self, index: u16) -> ProjectivePoint {
        let mut value = ProjectivePoint::IDENTITY;
        for point in self.0.iter().rev() {
            value = times_small(&value, index) + point.projective();
        }
        value
    }
}

/// Of public things only: its time tells the factor.
fn times_small(point: &ProjectivePoint, factor: u16) -> ProjectivePoint {
    let mut product = ProjectivePoint::IDENTITY;
    for bit in (0..u16::BITS - factor.leading_zeros()).rev() {
        product = product.double();
        if factor >> bit & 1 == 1 {
            product += point;
        }
    }
    product
}

fn nonzero<R: RngCore + CryptoRng>(rng: &mut R) -> Scalar {
    loop {
        let scalar = Scalar::random(&mut *rng);
        if !bool::from(scalar.is_zero()) {
            return scalar;
        }
    }
}

/// Hedged: from the secret, everything that the challenge will take in, and randomness. So one nonce never answers
/// two challenges, whatever the randomness is.
fn nonce<R: RngCore + CryptoRng>(
    constant: &Scalar,
    binding: &Binding,
    commitment: &DealtCommitment,
    rng: &mut R,
) -> Zeroizing<Scalar> {
    loop {
        let drawn = Secret32::random(rng);
        let secret = Zeroizing::new(<[u8; 32]>::from(constant.to_bytes()));
        let mut hash = tagged("passport/v1/dealing/nonce")
            .chain_update(secret.as_slice())
            .chain_update(drawn.expose_secret())
            .chain_update(binding.terms)
            .chain_update(binding.dealer.to_be_bytes());
        for point in &commitment.0 {
            hash.update(point.to_bytes());
        }
        let mut bytes: [u8; 32] = hash.finalize().into();
        let nonce = Zeroizing::new(reduced_scalar(&bytes));
        bytes.zeroize();
        if !bool::from(nonce.is_zero()) {
            return nonce;
        }
    }
}

fn challenge(binding: &Binding, commitment: &DealtCommitment, nonce: Point) -> [u8; 32] {
    let mut hash =
        tagged("passport/v1/dealing/challenge").chain_update(binding.terms).chain_update(binding.dealer.to_be_bytes());
    for point in commitment.0.iter().chain([&nonce]) {
        hash.update(point.to_bytes());
    }
    hash.finalize().into()
}

/// Adds up the values that one receiver got, for the even-Y form of the key; `None` if the sum is no share.
pub(crate) fn add_up(values: &[Secret32], negate: bool) -> Option<Secret32> {
    let mut sum = Zeroizing::new(Scalar::ZERO);
    for value in values {
        *sum += scalar_of(value)?;
    }
    if negate {
        *sum = -*sum;
    }
    (!bool::from(sum.is_zero())).then(|| secret_of(&sum))
}
