//! Points and x-only keys of secp256k1, parsed at the edge: a [`Point`] is on the curve and never the identity.
//!
//! Encodings: SEC 1 compressed (33 bytes) and BIP-340 x-only (32 bytes), as lowercase hex.

use std::{fmt, str::FromStr};

use k256::{
    AffinePoint, EncodedPoint, ProjectivePoint, Scalar, U256,
    elliptic_curve::{
        PrimeField,
        ops::{MulByGenerator, Reduce},
        point::{AffineCoordinates, DecompressPoint},
        sec1::{FromEncodedPoint, ToEncodedPoint},
        subtle::Choice,
    },
};

use crate::{
    encoding::{EncodingError, decode_hex, hex_bytes, text_form},
    secret::Secret32,
};

/// A point on secp256k1 that is not the identity. Text form: 66 characters of lowercase hex.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Point(AffinePoint);

impl Point {
    /// The generator of secp256k1.
    pub const GENERATOR: Self = Self(AffinePoint::GENERATOR);

    /// Parses SEC 1 compressed bytes; refuses points off the curve and the identity.
    pub fn from_bytes(bytes: &[u8; 33]) -> Result<Self, EncodingError> {
        let encoded = EncodedPoint::from_bytes(bytes).map_err(|_| EncodingError::NotAPoint)?;
        let point: Option<AffinePoint> = AffinePoint::from_encoded_point(&encoded).into();
        point.and_then(|p| Self::from_projective(p.into())).ok_or(EncodingError::NotAPoint)
    }

    /// SEC 1 compressed bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 33] {
        let mut out = [0; 33];
        // A point that is not the identity always compresses to 33 bytes.
        out.copy_from_slice(self.0.to_encoded_point(true).as_bytes());
        out
    }

    /// The x coordinate, 32 bytes big-endian.
    #[must_use]
    pub(crate) fn x_bytes(&self) -> [u8; 32] {
        self.0.x().into()
    }

    pub(crate) fn has_even_y(&self) -> bool {
        !bool::from(self.0.y_is_odd())
    }

    /// `scalar * G`, from precomputed tables; `None` for a zero scalar.
    pub(crate) fn of_scalar(scalar: &Scalar) -> Option<Self> {
        Self::from_projective(ProjectivePoint::mul_by_generator(scalar))
    }

    /// `scalar * self`; `None` for a zero scalar.
    pub(crate) fn times(&self, scalar: &Scalar) -> Option<Self> {
        if *self == Self::GENERATOR {
            return Self::of_scalar(scalar);
        }
        Self::from_projective(self.projective() * scalar)
    }

    pub(crate) fn from_projective(point: ProjectivePoint) -> Option<Self> {
        (point != ProjectivePoint::IDENTITY).then(|| Self(point.to_affine()))
    }

    pub(crate) fn projective(&self) -> ProjectivePoint {
        self.0.into()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl FromStr for Point {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(&decode_hex(text)?)
    }
}

text_form!(Point);

hex_bytes!(
    /// A BIP-340 x-only public key, 64 characters of lowercase hex. Whether it is on the curve shows when it is used.
    XOnlyKey,
    32
);

impl XOnlyKey {
    /// BIP-340 `lift_x`: the point with this x and even y, or `None` when there is none.
    #[must_use]
    pub fn lift(&self) -> Option<Point> {
        let point: Option<AffinePoint> = AffinePoint::decompress(&self.0.into(), Choice::from(0)).into();
        point.and_then(|p| Point::from_projective(p.into()))
    }
}

/// A hash as a scalar, modulo the group order.
pub(crate) fn reduced_scalar(bytes: &[u8; 32]) -> Scalar {
    <Scalar as Reduce<U256>>::reduce_bytes(&(*bytes).into())
}

/// A scalar that is neither zero nor at or above the group order.
pub(crate) fn nonzero_scalar(secret: &Secret32) -> Option<Scalar> {
    scalar_of(secret).filter(|s| !bool::from(s.is_zero()))
}

/// A scalar below the group order, zero too.
pub(crate) fn scalar_of(secret: &Secret32) -> Option<Scalar> {
    Scalar::from_repr((*secret.expose_secret()).into()).into()
}

/// The scalar's 32 bytes, big-endian.
pub(crate) fn secret_of(scalar: &Scalar) -> Secret32 {
    let mut secret = Secret32::zeroed();
    secret.expose_mut().copy_from_slice(scalar.to_bytes().as_slice());
    secret
}
