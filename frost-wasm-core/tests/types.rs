//! Secret types can be neither copied nor written out: checked by the compiler on this very build.
#![allow(missing_docs)]

use frost_wasm_core::{
    frost::{ecdh::SharedX, sign::SigningNonces},
    login::LoginKeys,
    provision::ReceivingKey,
    sealed::Dek,
    secret::{Secret32, SecretBytes, SecretString},
    share::KeyShare,
};

/// Fails to compile when the type has the trait: then two implementations of `Probe` fit.
macro_rules! lacks {
    ($trait:path: $($type:ty),+) => { $(
        const _: fn() = || {
            trait Probe<A> { fn probe() {} }
            impl<T: ?Sized> Probe<()> for T {}
            struct Has;
            impl<T: ?Sized + $trait> Probe<Has> for T {}
            let _ = <$type as Probe<_>>::probe;
        };
    )+ };
}

lacks!(Clone: SigningNonces, KeyShare, Secret32, SecretBytes, SecretString, Dek, SharedX, ReceivingKey, LoginKeys);
lacks!(serde::Serialize: SigningNonces, KeyShare, Secret32, SecretBytes, SecretString, Dek, SharedX, ReceivingKey, LoginKeys);
lacks!(std::fmt::Display: SigningNonces, KeyShare, Secret32, SecretBytes, SecretString, Dek, SharedX, ReceivingKey, LoginKeys);

#[test]
fn debug_output_of_secrets_says_nothing() {
    let bytes = [0xab; 32];
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        Secret32::from_bytes(bytes),
        SecretBytes::from(bytes.to_vec()),
        SecretString::from("abababab".to_owned()),
        Dek::from_secret(Secret32::from_bytes(bytes)),
        Secret32::from_bytes(bytes).to_hex(),
    );
    assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    assert!(shown.contains("<redacted>"));
}
