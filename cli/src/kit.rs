//! The recovery kit's file: made before the server hears of the key, opened once to see that it opens, and never
//! written over.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use frost_wasm_core::{
    kdf::KdfParams,
    kit::{KitError, RecoveryKit},
    secret::SecretString,
    share::KeyShare,
};

use crate::{failure::Failure, home, owner::OwnerKey, platform};

/// Characters of the npub that name the file.
const NAME_CHARS: usize = 16;

/// Where a kit will stand.
#[derive(Debug)]
pub(crate) struct KitPath(PathBuf);

impl KitPath {
    /// For an identity, in a folder. Refuses early when there is a file already.
    pub(crate) fn choose(folder: &Path, npub: &str) -> Result<Self, Failure> {
        let folder = folder.canonicalize().map_err(|_| {
            Failure::Usage(format!("The folder for the recovery kit, {}, is not there.", folder.display()))
        })?;
        let name: String = npub.chars().take(NAME_CHARS).collect();
        let path = folder.join(format!("{name}.kit.json"));
        if path.symlink_metadata().is_ok() {
            return Err(exists(&path));
        }
        Ok(Self(path))
    }

    /// Writes the kit and proves that it opens.
    pub(crate) fn write(
        self,
        passphrase: &SecretString,
        owner: &OwnerKey,
        share: &KeyShare,
    ) -> Result<KitFile, Failure> {
        let passphrase = passphrase.expose_secret();
        let mut rng = platform::rng();
        let kdf = KdfParams::fresh(&mut rng);
        let secret = owner.expose_secret();
        let kit = RecoveryKit::create(passphrase, &secret, share, kdf, &mut rng).map_err(not_made)?;
        let mut bytes = serde_json::to_vec_pretty(&kit)
            .map_err(|_| Failure::stopped("kit_not_made", "The recovery kit could not be written."))?;
        bytes.push(b'\n');
        home::create_private(&self.0, &bytes).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.0),
            _ => Failure::stopped("kit_not_written", format!("Could not write {}: {error}.", self.0.display())),
        })?;
        let file = KitFile(self.0);
        file.check(passphrase, owner).inspect_err(|_| file.discard())?;
        Ok(file)
    }
}

/// A kit that stands on the disk.
#[derive(Debug)]
pub(crate) struct KitFile(PathBuf);

impl KitFile {
    /// Where.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes a kit that this command made for a key that did not come into being.
    pub(crate) fn discard(&self) {
        // A kit that stays is of no harm; it opens to nothing that exists.
        let _ = fs::remove_file(&self.0);
    }

    fn check(&self, passphrase: &str, owner: &OwnerKey) -> Result<(), Failure> {
        let damaged = || {
            Failure::stopped(
                "kit_damaged",
                "The recovery kit does not read back as it was written. Is the disk full or broken?",
            )
        };
        let bytes = fs::read(&self.0).map_err(|_| damaged())?;
        let kit: RecoveryKit = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let (secret, _share) = kit.open(passphrase).map_err(|_| damaged())?;
        if secret.ct_eq(&owner.expose_secret()) { Ok(()) } else { Err(damaged()) }
    }
}

fn exists(path: &Path) -> Failure {
    Failure::stopped(
        "kit_exists",
        format!(
            "{} is there already, and a recovery kit is never written over. Move it somewhere safe, or name another \
             folder with --kit-dir.",
            path.display()
        ),
    )
}

fn not_made(error: KitError) -> Failure {
    Failure::stopped("kit_not_made", format!("The recovery kit was not made: {error}."))
}

#[cfg(test)]
mod tests {
    use frost_wasm_core::{
        frost::keygen,
        group::{GroupId, HolderIndex, HolderRole},
    };

    use super::*;

    fn share() -> KeyShare {
        let mut rng = platform::rng();
        let holders =
            [(HolderIndex::new(1).unwrap(), HolderRole::Bunker), (HolderIndex::new(3).unwrap(), HolderRole::Recovery)];
        let secret = keygen::fresh_secret(&mut rng);
        let group = GroupId::random(&mut rng);
        let (_, shares) = keygen::split(secret, group, &holders, 2, &mut rng).unwrap();
        shares.into_iter().next_back().unwrap()
    }

    #[test]
    fn a_kit_is_made_once_opens_and_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let npub = "npub1sn0wdenkukak0d9dfczzeacvhkrgz92ak56egt7vdgzn8pv2wfqqhrjdv9";
        let passphrase = SecretString::from("correct horse".to_owned());
        let (owner, share) = (OwnerKey::fresh(), share());
        let early = KitPath::choose(folder.path(), npub).unwrap();
        let late = KitPath::choose(folder.path(), npub).unwrap();
        let file = early.write(&passphrase, &owner, &share).unwrap();
        assert!(file.path().ends_with("npub1sn0wdenkuka.kit.json"));
        let bytes = fs::read(file.path()).unwrap();
        let kit: RecoveryKit = serde_json::from_slice(&bytes).unwrap();
        assert!(kit.open("correct horse").unwrap().0.ct_eq(&owner.expose_secret()));

        // Another process was faster between the look and the write.
        let failure = late.write(&passphrase, &owner, &share).unwrap_err();
        assert_eq!(failure.code(), "kit_exists");
        let failure = KitPath::choose(folder.path(), npub).unwrap_err();
        assert_eq!(failure.code(), "kit_exists");
        assert_eq!(fs::read(file.path()).unwrap(), bytes);
    }
}
