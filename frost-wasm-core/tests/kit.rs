//! The recovery kit opens with its passphrase, unaltered, and not otherwise.
#![allow(missing_docs)]

mod common;

use std::sync::LazyLock;

use common::{MESSAGE, group, rng, sign_two};
use frost_wasm_core::{
    frost::keygen,
    kdf::{KdfError, KdfParams},
    kit::{KitError, RecoveryKit},
    secret::Secret32,
    share::KeyShare,
};

const PASSPHRASE: &str = "correct horse battery staple";

struct Made {
    kit: RecoveryKit,
    owner: Secret32,
    bunker: KeyShare,
}

/// Making a kit takes 128 MiB and some time, so the tests share one.
static MADE: LazyLock<Made> = LazyLock::new(|| {
    let mut rng = rng(1);
    let (_, mut shares) = group(2, 3, 1);
    let owner = keygen::fresh_secret(&mut rng);
    let kdf = KdfParams::fresh(&mut rng);
    let kit = RecoveryKit::create(PASSPHRASE, &owner, &shares[2], kdf, &mut rng).unwrap();
    Made { kit, owner, bunker: shares.remove(0) }
});

#[test]
fn a_kit_read_back_from_its_file_gives_the_owner_secret_and_a_share_that_signs() {
    let text = serde_json::to_string_pretty(&MADE.kit).unwrap();
    let kit: RecoveryKit = serde_json::from_str(&text).unwrap();
    let (owner, share) = kit.open(PASSPHRASE).unwrap();
    assert!(owner.ct_eq(&MADE.owner));
    sign_two(&MADE.bunker, &share, &MESSAGE, &mut rng(2));
}

#[test]
fn a_kit_file_contains_neither_secret() {
    let text = serde_json::to_string(&MADE.kit).unwrap();
    let (_, share) = MADE.kit.open(PASSPHRASE).unwrap();
    assert!(!text.contains(MADE.owner.to_hex().expose_secret()));
    assert!(!text.contains(share.expose_signing_share().to_hex().expose_secret()));
}

#[test]
fn a_wrong_passphrase_is_named_as_that() {
    assert_eq!(MADE.kit.open("correct horse").unwrap_err(), KitError::WrongPassphrase);
}

#[test]
fn a_kit_whose_public_facts_were_changed_does_not_open() {
    let (other, _) = group(2, 3, 9);
    let mut kit = MADE.kit.clone();
    kit.public = other;
    assert_eq!(kit.open(PASSPHRASE).unwrap_err(), KitError::Altered);

    let mut kit = MADE.kit.clone();
    kit.public.epoch += 1;
    assert_eq!(kit.open(PASSPHRASE).unwrap_err(), KitError::Altered);

    let mut kit = MADE.kit.clone();
    kit.holder = common::index(2);
    assert_eq!(kit.open(PASSPHRASE).unwrap_err(), KitError::Altered);
}

#[test]
fn a_kit_that_asks_for_a_cost_out_of_bounds_is_refused_before_any_work() {
    for (log_n, r, p) in [(17, 8, 5), (17, 16, 1), (21, 8, 1), (40, 8, 1), (16, 8, 1)] {
        let mut kit = MADE.kit.clone();
        kit.kdf = KdfParams { salt: kit.kdf.salt, log_n, r, p };
        let refused = KitError::Kdf(KdfError::CostOutOfBounds { log_n, r, p });
        assert_eq!(kit.open(PASSPHRASE).unwrap_err(), refused);
    }
}

#[test]
fn an_unknown_kit_version_parses_and_is_refused_by_its_number() {
    let mut json = serde_json::to_value(&MADE.kit).unwrap();
    json["v"] = 7.into();
    json["later"] = "field".into();
    let kit: RecoveryKit = serde_json::from_value(json).unwrap();
    assert_eq!(kit.open(PASSPHRASE).unwrap_err(), KitError::UnknownVersion(7));
}

#[test]
fn an_empty_passphrase_makes_no_kit() {
    let (_, shares) = group(2, 3, 1);
    let mut rng = rng(3);
    let kdf = KdfParams::fresh(&mut rng);
    let made = RecoveryKit::create("", &MADE.owner, &shares[2], kdf, &mut rng);
    assert_eq!(made.unwrap_err(), KitError::Kdf(KdfError::Empty));
}

#[test]
fn a_passphrase_stretched_elsewhere_opens_the_kit_it_was_stretched_for() {
    let stretched = MADE.kit.kdf.stretch(PASSPHRASE).unwrap();
    assert!(MADE.kit.open_with(&stretched).unwrap().0.ct_eq(&MADE.owner));
    let other = KdfParams::with_salt([1; 16]).stretch(PASSPHRASE).unwrap();
    assert_eq!(MADE.kit.open_with(&other).unwrap_err(), KitError::WrongPassphrase);
    let share = MADE.kit.open_with(&stretched).unwrap().1;
    let again = RecoveryKit::create_with(&other, &MADE.owner, &share, &mut rng(3)).unwrap();
    assert!(again.open(PASSPHRASE).unwrap().0.ct_eq(&MADE.owner));
}
