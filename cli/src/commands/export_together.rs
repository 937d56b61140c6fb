//! `passport export together`: one of those who share a key puts it together out of the shares that others sealed to them.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use passport_device::{
    handover::{self, HandedShare},
    owner::OwnerKey,
    shares::SealedShares,
};

use super::export::Destination;
use crate::{failure::Failure, identity::KeyName, output::Output, session::Session, shares::Shares};

/// Longest file that is read as a share, in bytes.
const FILE_MAX_BYTES: u64 = 64 * 1024;

/// Put a key that people share together, out of your share and those that others sealed to you.
///
/// It takes one share more than sign, with this device's own. No server is asked or told. Whoever reads the nsec has the
/// key from then on, everywhere and for ever.
#[derive(Debug, Args)]
#[command(after_help = "\
The others write the files with: passport export share --to OWNER

Example:
  passport export together bob.json carol.json --out nsec.txt")]
pub(crate) struct Together {
    /// What the others wrote for you
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    key: KeyName,
}

impl Together {
    /// Puts it together.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let session = Session::resume()?;
        let handed = self.files.iter().map(|path| Ok((path.as_path(), read(path)?)));
        let handed = handed.collect::<Result<Vec<_>, Failure>>()?;
        let shares = Shares::of(session.home());
        let kept = self.kept(&shares, &handed)?;
        let owner = session.unlock()?.owner;
        let exported = together(&kept, &owner, &handed)?;
        self.destination.take(
            &exported,
            "The key is whole on this device: whoever reads the nsec has it from then on. The shares still sign; its owner \
             ends that with: passport key delete",
            output,
        )
    }

    /// This device's share: of the key that is named, or else that the files are of; and where it has a new one that it has
    /// not seen to take the old one's place, the one that the files fit.
    fn kept(&self, shares: &Shares, handed: &[(&Path, HandedShare)]) -> Result<SealedShares, Failure> {
        let first = handed.first().map(|(_, it)| it.public());
        let of_files = match first.filter(|_| self.key.is_open()) {
            Some(public) => shares.sealed(&public.group)?,
            None => None,
        };
        let kept = match of_files {
            Some(kept) => kept,
            None => self.key.shared_here(shares)?,
        };
        let next = shares.unsettled(&kept.group())?.filter(|it| Some(it.public()) == first);
        Ok(next.unwrap_or(kept))
    }
}

fn together(
    kept: &SealedShares,
    owner: &OwnerKey,
    handed: &[(&Path, HandedShare)],
) -> Result<passport_device::export::Exported, Failure> {
    let mut together = handover::Together::new(kept, owner)?;
    for (path, it) in handed {
        together.add(it).map_err(|failure| of_file(path, &failure))?;
    }
    Ok(together.finish()?)
}

fn read(path: &Path) -> Result<HandedShare, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => HandedShare::parse(&text).map_err(|failure| of_file(path, &failure)),
        // No text at all.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            HandedShare::parse("").map_err(|failure| of_file(path, &failure))
        }
        Err(error) => Err(Failure::stopped("share_unreadable", format!("Could not read {}: {error}.", path.display()))),
    }
}

fn of_file(path: &Path, failure: &passport_device::Failure) -> Failure {
    Failure::stopped(failure.code(), format!("{}: {failure}", path.display()))
}
