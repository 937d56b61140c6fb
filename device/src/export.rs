//! Leaving with the whole key: the holders seal their shares to a key of this device, and here they come together.
//!
//! The receiving key is derived from the owner key, so that nothing has to be kept while the delay runs, and any
//! device that has the owner key can finish.

use bunker_core::{
    event::Event,
    nip19,
    statement::{Statement, Verb},
};
use frost_wasm_core::{
    frost::keygen,
    group::{GroupId, GroupPublic, HolderIndex},
    provision::{EXPORT_PURPOSE, ReceivingKey},
    secret::{Secret32, SecretString},
    share::KeyShare,
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Failure,
    holders::{BUNKER, COSIGNER},
    kit::OpenedKit,
    owner::OwnerKey,
    split::{SharePackages, npub, share_aad},
};

const DOMAIN: &[u8] = b"passport/v1/export-receiver";

/// A key that has left.
#[derive(Debug)]
pub struct Exported {
    /// The whole key: whoever reads it is the person from then on.
    pub nsec: SecretString,
    /// Whose it is.
    pub npub: String,
}

/// The key that shares are to be sealed to, for the `export` statement with this number.
pub fn receiver(owner: &OwnerKey, group: &GroupId, seq: u64) -> Result<ReceivingKey, Failure> {
    let failed = || Failure::new("export_not_begun", "The key for receiving the shares could not be made.");
    let info = [DOMAIN, group.as_bytes(), &seq.to_be_bytes()].concat();
    let mut secret = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, owner.expose_secret().expose_secret())
        .expand(&info, secret.as_mut())
        .map_err(|_| failed())?;
    ReceivingKey::from_secret(&Secret32::from_zeroizing(&secret)).map_err(|_| failed())
}

/// Opens the holders' packages and puts the key together.
///
/// # Security
/// The one place where a whole key comes into being again. For showing it to its owner, once.
pub fn finish(
    owner: &OwnerKey,
    group: &GroupId,
    statement: &Event,
    public: &GroupPublic,
    packages: &SharePackages,
) -> Result<Exported, Failure> {
    let released = Released::of(owner, group, statement, public)?;
    assembled(&[released.open(BUNKER, &packages.bunker)?, released.open(COSIGNER, &packages.cosigner)?])
}

/// As [`finish`] in device custody, when the device's share is lost: the bunker's share, and the one in the recovery kit.
pub fn finish_with_kit(
    owner: &OwnerKey,
    group: &GroupId,
    statement: &Event,
    public: &GroupPublic,
    bunker: &str,
    kit: OpenedKit,
) -> Result<Exported, Failure> {
    kit.check(&owner.public_key(), group)?;
    assembled(&[Released::of(owner, group, statement, public)?.open(BUNKER, bunker)?, kit.share])
}

/// What was asked for, with the key that it is sealed to.
struct Released<'a> {
    statement: Statement,
    key: ReceivingKey,
    public: &'a GroupPublic,
}

impl<'a> Released<'a> {
    fn of(owner: &OwnerKey, group: &GroupId, statement: &Event, public: &'a GroupPublic) -> Result<Self, Failure> {
        let statement = Statement::verify(statement.clone())
            .map_err(|error| foreign(&format!("the statement is not valid ({error})")))?;
        if *statement.owner() != owner.public_key() || statement.group() != group || public.group != *group {
            return Err(foreign("it belongs to another account or identity"));
        }
        let key = receiver(owner, group, statement.seq())?;
        match statement.verb() {
            Verb::Export { receiver } if *receiver == key.public() => {}
            _ => return Err(foreign("the statement is not the export that this account asked for")),
        }
        Ok(Self { statement, key, public })
    }

    fn open(&self, number: u16, package: &str) -> Result<KeyShare, Failure> {
        let index = HolderIndex::new(number).map_err(|error| foreign(&error.to_string()))?;
        let aad = share_aad(self.statement.event(), index);
        let opened = self.key.open(EXPORT_PURPOSE, &aad, package);
        let opened = opened.map_err(|error| damaged(number, &error.to_string()))?;
        let share = opened.into_fixed().ok_or_else(|| damaged(number, "it is no share"))?;
        KeyShare::new(self.public, index, share).map_err(|error| damaged(number, &error.to_string()))
    }
}

/// Puts the key together out of this device's share and the one in the recovery kit, without any server.
///
/// # Security
/// As [`finish`].
pub fn with_kit(share: KeyShare, kit: OpenedKit) -> Result<Exported, Failure> {
    assembled(&[share, kit.share])
}

/// Puts the key together out of as many shares as act together. They have to be of one group and epoch.
///
/// # Security
/// As [`finish`].
pub(crate) fn assembled(shares: &[KeyShare]) -> Result<Exported, Failure> {
    let failed = |why: &str| Failure::new("export_failed", format!("The key did not come together: {why}."));
    let secret = keygen::assemble_whole_key_on_device(shares).map_err(|error| failed(&error.to_string()))?;
    let public = shares.first().ok_or_else(|| failed("there are no shares"))?.group();
    Ok(Exported { nsec: nip19::encode_nsec(&secret), npub: npub(public) })
}

fn foreign(why: &str) -> Failure {
    Failure::new(
        "export_of_another",
        format!("What the server sent can't be opened here: {why}. Begin the export again."),
    )
}

fn damaged(holder: u16, why: &str) -> Failure {
    Failure::new(
        "export_damaged",
        format!("Holder {holder}'s share can't be used: {why}. Try again; if it stays so, use your recovery kit."),
    )
}

#[cfg(test)]
mod tests {
    use frost_wasm_core::{
        kdf::KdfParams,
        provision::{self, SHARE_PURPOSE},
    };

    use super::*;
    use crate::{
        holders::tests::{holders, receiving},
        kit::KitFile,
        split::{self, SplitKey},
        tests::{NOW_S, rng},
    };

    struct World {
        owner: OwnerKey,
        key: SplitKey,
        statement: Event,
        nsec: String,
    }

    fn world() -> World {
        let mut rng = rng(1);
        let owner = OwnerKey::fresh(&mut rng);
        // Even Y, so that the secret comes back as it went in.
        let nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
        let key = split::split(nip19::decode_nsec(nsec).unwrap(), &owner, &holders(), NOW_S, &mut rng).unwrap();
        let group = key.public.group;
        let verb = Verb::Export { receiver: receiver(&owner, &group, 7).unwrap().public() };
        let statement = owner.sign(group, 7, &verb, NOW_S, &mut rng).unwrap();
        World { owner, key, statement, nsec: nsec.into() }
    }

    /// What the holders would send: their shares, opened as they opened them, sealed to the statement's receiver.
    fn released(world: &World) -> SharePackages {
        let Verb::Export { receiver } = Statement::verify(world.statement.clone()).unwrap().into_verb() else {
            panic!("no export");
        };
        let mut rng = rng(2);
        let mut release = |number: u16, package: &str| {
            let index = HolderIndex::new(number).unwrap();
            let key = receiving(u8::try_from(number).unwrap());
            let share = key.open(SHARE_PURPOSE, &share_aad(&world.key.statement, index), package).unwrap();
            let aad = share_aad(&world.statement, index);
            provision::seal(&receiver, EXPORT_PURPOSE, &aad, share.expose_secret(), &mut rng).unwrap()
        };
        let packages = &world.key.packages;
        SharePackages { bunker: release(1, &packages.bunker), cosigner: release(2, &packages.cosigner) }
    }

    #[test]
    fn the_key_that_went_in_comes_out() {
        let world = world();
        let public = &world.key.public;
        let exported = finish(&world.owner, &public.group, &world.statement, public, &released(&world)).unwrap();
        assert_eq!(exported.nsec.expose_secret(), world.nsec);
        assert_eq!(exported.npub, world.key.npub());
    }

    #[test]
    fn the_kit_stands_in_for_a_share_that_is_lost_and_for_no_other_identitys() {
        let world = world();
        let public = &world.key.public;
        let kit = |share: &KeyShare| {
            let stretched = KdfParams::with_salt([3; 16]).stretch("a passphrase").unwrap();
            KitFile::make(&stretched, &world.owner, share, &mut rng(9)).unwrap().open(&stretched).unwrap()
        };
        let finish = |kit| {
            let bunker = released(&world).bunker;
            finish_with_kit(&world.owner, &public.group, &world.statement, public, &bunker, kit)
        };
        assert_eq!(finish(kit(&world.key.recovery)).unwrap().nsec.expose_secret(), world.nsec);
        let other =
            split::split(keygen::fresh_secret(&mut rng(8)), &world.owner, &holders(), NOW_S, &mut rng(8)).unwrap();
        assert_eq!(finish(kit(&other.recovery)).unwrap_err().code(), "kit_of_another_identity");
        // Share and kit of one device need no server.
        let whole = with_kit(held_by_bunker(&world), kit(&world.key.recovery)).unwrap();
        assert_eq!(whole.nsec.expose_secret(), world.nsec);
    }

    fn held_by_bunker(world: &World) -> KeyShare {
        let index = HolderIndex::new(BUNKER).unwrap();
        let aad = share_aad(&world.key.statement, index);
        let share = receiving(1).open(SHARE_PURPOSE, &aad, &world.key.packages.bunker).unwrap();
        KeyShare::new(&world.key.public, index, share.into_fixed().unwrap()).unwrap()
    }

    #[test]
    fn what_another_owner_another_statement_or_another_holder_sealed_gives_nothing() {
        let world = world();
        let public = &world.key.public;
        let packages = released(&world);
        let code = |owner: &OwnerKey, group: &GroupId, statement: &Event, packages: &SharePackages| {
            finish(owner, group, statement, public, packages).unwrap_err().code()
        };
        let stranger = OwnerKey::fresh(&mut rng(5));
        assert_eq!(code(&stranger, &public.group, &world.statement, &packages), "export_of_another");
        let other_group = GroupId::from_bytes([1; 16]);
        assert_eq!(code(&world.owner, &other_group, &world.statement, &packages), "export_of_another");
        assert_eq!(code(&world.owner, &public.group, &world.key.statement, &packages), "export_of_another");
        let swapped = SharePackages { bunker: packages.cosigner.clone(), cosigner: packages.bunker.clone() };
        assert_eq!(code(&world.owner, &public.group, &world.statement, &swapped), "export_damaged");

        // A receiver that somebody else named, under the owner's own signature.
        let verb = Verb::Export { receiver: receiving(9).public() };
        let theirs = world.owner.sign(public.group, 8, &verb, NOW_S, &mut rng(6)).unwrap();
        assert_eq!(code(&world.owner, &public.group, &theirs, &packages), "export_of_another");
    }

    #[test]
    fn each_export_has_a_key_of_its_own() {
        let owner = OwnerKey::fresh(&mut rng(1));
        let public = |group: u8, seq| receiver(&owner, &GroupId::from_bytes([group; 16]), seq).unwrap().public();
        assert_eq!(public(1, 1), public(1, 1));
        assert_ne!(public(1, 1), public(1, 2));
        assert_ne!(public(1, 1), public(2, 1));
    }
}
