//! What this device keeps of each group: versioned JSON, one file a group.

use frost_wasm_core::group::GroupId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{failure::Failure, home::Home};

/// The version that this client writes and reads, of each kind of file.
pub(crate) const VERSION: u32 = 1;

/// The name of a group's file.
pub(crate) fn name(group: &GroupId) -> String {
    format!("{group}.json")
}

/// A file's bytes.
pub(crate) fn written<T: Serialize>(file: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(file).map_err(|_| Failure::stopped("internal", "The file could not be written."))
}

/// Reads a file; `None` if there is none.
pub(crate) fn read<T: DeserializeOwned>(home: &Home, name: &str) -> Result<Option<T>, Failure> {
    #[derive(Deserialize)]
    struct Header {
        v: u32,
    }
    let Some(bytes) = home.read(name)? else { return Ok(None) };
    let path = home.path(name);
    match serde_json::from_slice(&bytes) {
        Ok(Header { v: VERSION }) => serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged(&path)),
        Ok(Header { v }) => Err(Failure::stopped(
            "file_version_unknown",
            format!(
                "{} has version {v}, and this client knows {VERSION}. Use the client that wrote it.",
                path.display()
            ),
        )),
        Err(_) => Err(damaged(&path)),
    }
}

/// The file is not what this client wrote.
pub(crate) fn damaged(path: &std::path::Path) -> Failure {
    Failure::stopped(
        "file_damaged",
        format!("{} is not what this client wrote. Put back a copy of it, or move it away.", path.display()),
    )
}
