//! How a person's device turns the password into the login secret: parameters kept for it, and
//! stable made-up ones for names that nobody has.
//!
//! The made-up ones have the shape and cost of what our clients register, and are a MAC of the name,
//! so that asking twice, or asking after a registration elsewhere, tells nothing.

use frost_wasm_core::kdf::{KdfParams, SALT_BYTES};

use super::keys::{AuthKeys, mac};
use super::username::Username;
use crate::problem::Problem;

/// Refuses parameters out of the bounds that devices keep to.
///
/// # Errors
/// `kdf_invalid` with the reason.
pub fn check(params: &KdfParams) -> Result<(), Problem> {
    params.check().map_err(|error| {
        Problem::invalid("kdf_invalid", format!("Choose another cost: {error}. /openapi.json has the bounds."))
    })
}

/// Checks parameters and gives them as they are stored.
///
/// # Errors
/// As [`check`].
pub fn stored(params: &KdfParams) -> Result<String, Problem> {
    check(params)?;
    serde_json::to_string(params).map_err(|error| Problem::internal(error.to_string()))
}

/// What a name without parameters of its own gets.
pub fn made_up_for(username: &Username, keys: &AuthKeys) -> KdfParams {
    let tag = mac(&keys.fake_kdf, &[username.as_str().as_bytes()]);
    let mut salt = [0; SALT_BYTES];
    salt.copy_from_slice(&tag[..SALT_BYTES]);
    KdfParams::with_salt(salt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::for_tests;

    #[test]
    fn made_up_parameters_are_stable_valid_and_differ_by_name_and_deployment() {
        let (here, elsewhere) = (for_tests(), for_tests());
        let name = |name| Username::parse(name).unwrap();
        let alice = made_up_for(&name("alice"), &here);
        assert!(check(&alice).is_ok());
        assert_eq!(alice, made_up_for(&name("alice"), &here));
        assert_ne!(alice, made_up_for(&name("alicf"), &here));
        assert_ne!(alice, made_up_for(&name("alice"), &elsewhere));
    }

    #[test]
    fn made_up_parameters_have_the_shape_of_those_that_devices_register() {
        let fresh = KdfParams::fresh(&mut crate::platform::rng());
        let alice = made_up_for(&Username::parse("alice").unwrap(), &for_tests());
        assert_eq!((alice.log_n, alice.r, alice.p), (fresh.log_n, fresh.r, fresh.p));
    }

    #[test]
    fn costs_that_are_too_cheap_or_too_dear_are_refused() {
        let good = KdfParams::with_salt([1; SALT_BYTES]);
        for bad in [
            KdfParams { log_n: 16, ..good },
            KdfParams { log_n: 21, ..good },
            KdfParams { r: 9, ..good },
            KdfParams { p: 0, ..good },
            KdfParams { p: 5, ..good },
        ] {
            assert_eq!(check(&bad).unwrap_err().code(), "kdf_invalid");
        }
    }
}
