//! Where this device keeps its files: `$PASSPORT_HOME`, or `passport` in the system's configuration folder.
//!
//! Files are readable by their owner only and replaced whole: written beside, flushed, renamed. A file that must
//! not be replaced is created or refused, with nothing in between.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{failure::Failure, platform};

/// The folder of this device's files.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    folder: PathBuf,
}

impl Home {
    /// Finds the folder. Nothing is created yet.
    pub(crate) fn find() -> Result<Self, Failure> {
        let set = |variable| env::var_os(variable).filter(|value| !value.is_empty());
        let folder = if let Some(folder) = set("PASSPORT_HOME") {
            PathBuf::from(folder)
        } else if let Some(config) = set("XDG_CONFIG_HOME").or_else(|| set("APPDATA")) {
            Path::new(&config).join("passport")
        } else if let Some(home) = set("HOME") {
            Path::new(&home).join(".config").join("passport")
        } else {
            return Err(Failure::Usage("There is no home folder to keep files in. Set PASSPORT_HOME.".into()));
        };
        Ok(Self { folder })
    }

    /// A folder in it.
    pub(crate) fn inside(&self, name: &str) -> Self {
        Self { folder: self.path(name) }
    }

    /// In a given folder.
    #[cfg(test)]
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// A file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads a file; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, &error)),
        }
    }

    /// Replaces a file whole: whoever reads sees the old one or the new one.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(name);
        create_folder(&self.folder).map_err(|error| failed("create", &self.folder, &error))?;
        let suffix = u64::from_be_bytes(platform::random_bytes());
        let beside = self.path(&format!(".{name}.{suffix:016x}"));
        let replaced = write_new(&beside, bytes)
            .and_then(|()| fs::rename(&beside, &path))
            .and_then(|()| flush_folder(&self.folder));
        replaced.map_err(|error| {
            // It may never have come into being.
            let _ = fs::remove_file(&beside);
            failed("write", &path, &error)
        })
    }

    /// Writes a file that is not there yet. `false` when there is one, which is left alone.
    pub(crate) fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Failure> {
        let path = self.path(name);
        create_folder(&self.folder).map_err(|error| failed("create", &self.folder, &error))?;
        match create_private(&path, bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(failed("write", &path, &error)),
        }
    }

    /// Removes a file, if there is one.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The names of the files here, in order.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let unreadable = |error| failed("read", &self.folder, &error);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let names = entries.map(|entry| entry.map(|it| it.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
        names.sort();
        Ok(names)
    }

    /// As [`Home::hold`], but waits while another process holds it.
    pub(crate) fn turn(&self, name: &str) -> Result<File, Failure> {
        let path = self.path(name);
        let held = File::open(&path).and_then(|file| file.lock().map(|()| file));
        held.map_err(|error| failed("lock", &path, &error))
    }

    /// Holds a file against other processes of this program until what is given is dropped; `None` when another one
    /// holds it.
    pub(crate) fn hold(&self, name: &str) -> Result<Option<File>, Failure> {
        let path = self.path(name);
        let held = File::open(&path).and_then(|file| match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        });
        held.map_err(|error| failed("lock", &path, &error))
    }
}

/// Creates a file for its owner only, with all bytes safely on the disk. Fails when there is one already, and then
/// leaves it alone.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match write_new(path, bytes) {
        Ok(()) => flush_folder(path.parent().unwrap_or(Path::new("."))),
        Err(error) => Err(error),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = private().open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Ours, and incomplete.
        let _ = fs::remove_file(path);
    }
    written
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
}

/// A person's own folders are already private on other systems.
#[cfg(not(unix))]
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
}

#[cfg(unix)]
fn create_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn flush_folder(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn flush_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What could not be done with a file.
pub(crate) fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::stopped("file_failed", format!("Could not {what} {}: {error}.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_private_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.kit.json");
        create_private(&path, b"first").unwrap();
        let again = create_private(&path, b"second").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_file_is_created_once_held_by_one_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path()).inside("shares");
        assert_eq!(home.names().unwrap(), [""; 0]);
        assert!(home.create("b.json", b"first").unwrap());
        assert!(!home.create("b.json", b"second").unwrap());
        assert!(home.create("a.json", b"").unwrap());
        assert_eq!(home.read("b.json").unwrap().unwrap(), b"first");
        assert_eq!(home.names().unwrap(), ["a.json", "b.json"]);
        let held = home.hold("b.json").unwrap().unwrap();
        assert!(home.hold("b.json").unwrap().is_none());
        drop(held);
        assert!(home.hold("b.json").unwrap().is_some());
        home.remove("b.json").unwrap();
        home.remove("b.json").unwrap();
        assert_eq!(home.names().unwrap(), ["a.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(&folder.path().join("deep/passport"));
        home.replace("session.json", b"{}").unwrap();
        home.replace("session.json", b"{\"v\":1}").unwrap();
        assert_eq!(mode(&home.path("session.json")), 0o600);
        assert_eq!(mode(&home.folder), 0o700);
        let names: Vec<_> = fs::read_dir(&home.folder).unwrap().collect();
        assert_eq!(names.len(), 1, "nothing is left beside the file");
        let shares = home.inside("shares");
        shares.create("a.json", b"{}").unwrap();
        assert_eq!((mode(&shares.folder), mode(&shares.path("a.json"))), (0o700, 0o600));
        let kit = folder.path().join("kit.json");
        create_private(&kit, b"{}").unwrap();
        assert_eq!(mode(&kit), 0o600);
    }
}
