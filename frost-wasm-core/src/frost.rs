//! The threshold protocols, one file per step.

pub mod dealing;
pub mod dleq;
pub mod ecdh;
pub mod keygen;
pub(crate) mod lagrange;
pub mod sign;
