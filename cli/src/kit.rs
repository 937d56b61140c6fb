//! The recovery kit's file: made before the server hears of the key, opened once to see that it opens, and never
//! written over.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use frost_wasm_core::{kdf::KdfParams, secret::SecretString, share::KeyShare};
use passport_device::{
    enrolment,
    kit::{self, KitFile as Kit},
    owner::OwnerKey,
};

use crate::{failure::Failure, home, platform};

/// Longest file that is read as a kit, in bytes.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// The folder in which a kit will stand.
#[derive(Debug)]
pub(crate) struct KitFolder(PathBuf);

impl KitFolder {
    /// Refuses early when there is no such folder.
    pub(crate) fn find(folder: &Path) -> Result<Self, Failure> {
        folder.canonicalize().map(Self).map_err(|_| {
            Failure::Usage(format!("The folder for the recovery kit, {}, is not there.", folder.display()))
        })
    }

    /// The kit of an identity. Refuses early when there is a file already.
    pub(crate) fn kit(&self, npub: &str, epoch: u32) -> Result<KitPath, Failure> {
        let path = self.0.join(kit::file_name(npub, epoch));
        if path.symlink_metadata().is_ok() { Err(exists(&path)) } else { Ok(KitPath(path)) }
    }
}

/// Where a kit will stand.
#[derive(Debug)]
pub(crate) struct KitPath(PathBuf);

impl KitPath {
    /// For an identity, in a folder.
    pub(crate) fn choose(folder: &Path, npub: &str, epoch: u32) -> Result<Self, Failure> {
        KitFolder::find(folder)?.kit(npub, epoch)
    }

    /// Writes the kit and proves that it opens.
    pub(crate) fn write(
        self,
        passphrase: &SecretString,
        owner: &OwnerKey,
        share: &KeyShare,
    ) -> Result<KitFile, Failure> {
        let mut rng = platform::rng();
        let stretched = enrolment::stretch(passphrase.expose_secret(), &KdfParams::fresh(&mut rng))?;
        self.keep(&Kit::make(&stretched, owner, share, &mut rng)?, passphrase, owner)
    }

    /// Writes a kit that was made, and proves that it opens.
    pub(crate) fn keep(self, kit: &Kit, passphrase: &SecretString, owner: &OwnerKey) -> Result<KitFile, Failure> {
        home::create_private(&self.0, kit.to_text()?.as_bytes()).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.0),
            _ => Failure::stopped("kit_not_written", format!("Could not write {}: {error}.", self.0.display())),
        })?;
        let file = KitFile(self.0);
        file.check(passphrase, owner).inspect_err(|_| file.discard())?;
        Ok(file)
    }
}

/// Reads a kit that a person names.
pub(crate) fn read(path: &Path) -> Result<Kit, Failure> {
    let unreadable =
        |error: io::Error| Failure::stopped("kit_unreadable", format!("Could not read {}: {error}.", path.display()));
    let mut text = String::new();
    fs::File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_string(&mut text)).map_err(unreadable)?;
    Ok(Kit::parse(&text)?)
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

    fn check(&self, passphrase: &SecretString, owner: &OwnerKey) -> Result<(), Failure> {
        let damaged = || {
            Failure::stopped(
                "kit_damaged",
                "The recovery kit does not read back as it was written. Is the disk full or broken?",
            )
        };
        let kit = read(&self.0).map_err(|_| damaged())?;
        let opened = kit.stretch(passphrase.expose_secret()).and_then(|key| kit.open(&key)).map_err(|_| damaged())?;
        if opened.owner.public_key() == owner.public_key() { Ok(()) } else { Err(damaged()) }
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
        let (owner, share) = (OwnerKey::fresh(&mut platform::rng()), share());
        let early = KitPath::choose(folder.path(), npub, 0).unwrap();
        let late = KitPath::choose(folder.path(), npub, 0).unwrap();
        let file = early.write(&passphrase, &owner, &share).unwrap();
        assert!(file.path().ends_with("npub1sn0wdenkuka.kit.json"));
        let bytes = fs::read(file.path()).unwrap();
        let kit = read(file.path()).unwrap();
        let opened = kit.open(&kit.stretch("correct horse").unwrap()).unwrap();
        assert_eq!(opened.owner.public_key(), owner.public_key());

        // Another process was faster between the look and the write.
        let failure = late.write(&passphrase, &owner, &share).unwrap_err();
        assert_eq!(failure.code(), "kit_exists");
        let failure = KitPath::choose(folder.path(), npub, 0).unwrap_err();
        assert_eq!(failure.code(), "kit_exists");
        assert_eq!(fs::read(file.path()).unwrap(), bytes);
    }
}
