//! Permanent regression: three partial signatures made with one nonce pair give the share away.
//!
//! The computation is run against nonces reused on purpose, to show that it works, and then against what this
//! crate puts out, where it must find nothing. Everything in it is public, except the reuse.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::{group, rng};
use frost_core::{Ciphersuite, SigningPackage};
use frost_secp256k1_tr::{Identifier, Secp256K1Sha256TR as Suite, keys, round1, round2};
use frost_wasm_core::{
    frost::sign::{self, Commitment, Contribution},
    share::KeyShare,
};
use k256::{
    Scalar,
    elliptic_curve::{PrimeField, point::AffineCoordinates},
};

/// One partial signature as an equation in the hiding nonce, the binding nonce and the share.
struct Equation {
    factors: [Scalar; 3],
    result: Scalar,
}

fn scalar(bytes: &[u8]) -> Scalar {
    Scalar::from_repr(*k256::FieldBytes::from_slice(bytes)).unwrap()
}

fn equation(
    package: &SigningPackage<Suite>,
    public: &keys::PublicKeyPackage,
    identifier: Identifier,
    share: &round2::SignatureShare,
) -> Equation {
    let key = public.verifying_key();
    let factors = frost_core::compute_binding_factor_list(package, key, &[]).unwrap();
    let nonce_point = frost_core::compute_group_commitment(package, &factors).unwrap().to_element();
    let challenge = Suite::challenge(&nonce_point, key, package.message()).unwrap().to_scalar();
    let weight = frost_core::derive_interpolating_value(&identifier, package).unwrap();
    let binding = scalar(&factors.get(&identifier).unwrap().serialize());
    // BIP-340: the nonces are negated when their sum has odd y.
    let sign = if bool::from(nonce_point.to_affine().y_is_odd()) { -Scalar::ONE } else { Scalar::ONE };
    Equation { factors: [sign, sign * binding, weight * challenge], result: scalar(&share.serialize()) }
}

/// Solves three equations for the share, by Cramer's rule.
fn share_from([a, b, c]: &[Equation; 3]) -> Scalar {
    let determinant = |column: fn(&Equation) -> [Scalar; 3]| {
        let ([a0, a1, a2], [b0, b1, b2], [c0, c1, c2]) = (column(a), column(b), column(c));
        a0 * (b1 * c2 - b2 * c1) - a1 * (b0 * c2 - b2 * c0) + a2 * (b0 * c1 - b1 * c0)
    };
    let whole = determinant(|e| e.factors);
    let replaced = determinant(|e| [e.factors[0], e.factors[1], e.result]);
    replaced * whole.invert().unwrap()
}

fn share_scalar(share: &KeyShare) -> Scalar {
    scalar(share.expose_signing_share().expose_secret())
}

fn key_package(share: &KeyShare) -> keys::KeyPackage {
    let identifier = Identifier::try_from(share.index().get()).unwrap();
    let public = share.group().public_key_package();
    let signing = keys::SigningShare::deserialize(share.expose_signing_share().expose_secret()).unwrap();
    let verifying = public.verifying_shares()[&identifier];
    keys::KeyPackage::new(identifier, signing, verifying, *public.verifying_key(), share.group().threshold)
}

fn raw_commitments(commitment: &Commitment) -> round1::SigningCommitments {
    let bytes = hex::decode(commitment.to_string()).unwrap();
    let point = |b: &[u8]| round1::NonceCommitment::deserialize(b).unwrap();
    round1::SigningCommitments::new(point(&bytes[..33]), point(&bytes[33..]))
}

#[test]
fn three_partial_signatures_with_one_nonce_pair_give_the_share() {
    let (_, shares) = group(2, 3, 21);
    let mut rng = rng(21);
    let victim = key_package(&shares[1]);
    let other = key_package(&shares[0]);
    let (nonces, commitments) = round1::commit(victim.signing_share(), &mut rng);

    let equations = [[1u8; 32], [2; 32], [3; 32]].map(|message| {
        let (_, theirs) = round1::commit(other.signing_share(), &mut rng);
        let all = BTreeMap::from([(*victim.identifier(), commitments), (*other.identifier(), theirs)]);
        let package = SigningPackage::new(all, &message);
        let share = round2::sign(&package, &nonces, &victim).unwrap();
        equation(&package, shares[1].group().public_key_package(), *victim.identifier(), &share)
    });
    assert_eq!(share_from(&equations), share_scalar(&shares[1]), "the attack itself must work");
}

/// What an attacker has who saw this contribution answer a commitment of its own.
fn observed(share: &KeyShare, message: &[u8; 32], asker: (Identifier, &Commitment), seen: &Contribution) -> Equation {
    let identifier = Identifier::try_from(seen.index.get()).unwrap();
    let all = BTreeMap::from([(identifier, raw_commitments(&seen.commitment)), (asker.0, raw_commitments(asker.1))]);
    let package = SigningPackage::new(all, message);
    let partial = round2::SignatureShare::deserialize(&hex::decode(seen.share.to_string()).unwrap()).unwrap();
    equation(&package, share.group().public_key_package(), identifier, &partial)
}

#[test]
fn three_answers_of_one_holder_to_one_commitment_do_not_give_its_share() {
    let (_, shares) = group(2, 3, 22);
    let mut rng = rng(22);
    let (_, commitment) = sign::commit(&shares[0], &mut rng).unwrap();
    let asker = (Identifier::try_from(1).unwrap(), &commitment);
    // The same commitment each time and even the same message twice: as hard as an attacker can press.
    let equations = [[1u8; 32], [1; 32], [2; 32]].map(|message| {
        let others = [(shares[0].index(), commitment)];
        let seen = sign::sign_last(&shares[1], 0, &message, &others, &mut rng).unwrap();
        observed(&shares[1], &message, asker, &seen)
    });
    assert_ne!(share_from(&equations), share_scalar(&shares[1]));
}

#[test]
fn no_two_signatures_of_a_batch_share_a_nonce() {
    let (_, shares) = group(2, 3, 23);
    let mut rng = rng(23);
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..64u8 {
        let (nonces, commitment) = sign::commit(&shares[0], &mut rng).unwrap();
        let others = [(shares[0].index(), commitment)];
        let theirs = sign::sign_last(&shares[1], 0, &[n; 32], &others, &mut rng).unwrap();
        sign::finish(nonces, &shares[0], &[n; 32], &[theirs]).unwrap();
        for commitment in [commitment, theirs.commitment] {
            let text = commitment.to_string();
            let (hiding, binding) = text.split_at(66);
            assert!(seen.insert(hiding.to_owned()), "a hiding nonce came twice");
            assert!(seen.insert(binding.to_owned()), "a binding nonce came twice");
        }
    }
}

#[test]
fn a_share_restored_from_an_old_backup_signs_with_fresh_nonces() {
    use frost_wasm_core::sealed::{Dek, SealedShare};
    let (public, shares) = group(2, 3, 24);
    let mut rng = rng(24);
    let dek = Dek::generate(&mut rng);
    let backup = SealedShare::seal(&shares[1], &dek, "kek", vec![], &mut rng).unwrap();
    let (_, commitment) = sign::commit(&shares[0], &mut rng).unwrap();
    let others = [(shares[0].index(), commitment)];
    let asker = (Identifier::try_from(1).unwrap(), &commitment);
    let equations = [[1u8; 32], [2; 32], [3; 32]].map(|message| {
        let restored = backup.open(&dek, &public, shares[1].index()).unwrap();
        let seen = sign::sign_last(&restored, 0, &message, &others, &mut rng).unwrap();
        observed(&restored, &message, asker, &seen)
    });
    assert_ne!(share_from(&equations), share_scalar(&shares[1]));
}
