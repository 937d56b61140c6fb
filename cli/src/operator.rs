//! An operator at the server: the token, and commands that the server takes once.
//!
//! The token comes from a file of its owner only, the environment or a prompt, never from an argument.

use std::{fs, path::PathBuf};

use clap::Args;
use frost_wasm_core::secret::SecretString;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    home::Home,
    platform, prompt,
    server::{Address, Call, Method, Server},
    session,
};

/// What every operator's token begins with.
const TOKEN_PREFIX: &str = "pop_";

/// Which server, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Desk {
    /// The server; without it, the one last used here
    #[arg(long, value_name = "URL", env = "PASSPORT_SERVER")]
    server: Option<Address>,
    /// A file with your operator's token, readable by you only; otherwise PASSPORT_OPERATOR_TOKEN, or a prompt
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// A server that an operator asks.
pub(crate) struct Link {
    server: Server,
    token: SecretString,
}

impl Desk {
    /// Finds server and token. Nothing is sent yet.
    pub(crate) fn open(self) -> Result<Link, Failure> {
        let server = server(self.server)?;
        let token = match self.token_file {
            Some(path) => read_token(&path)?,
            None => prompt::OPERATOR_TOKEN.ask("this operator")?,
        };
        if !token.expose_secret().starts_with(TOKEN_PREFIX) {
            return Err(Failure::stopped(
                "not_an_operator_token",
                "This is no operator's token: those begin with pop_. Set-up and approvals show them, once.",
            ));
        }
        Ok(Link { server, token })
    }
}

impl Link {
    /// Reads.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.server.ask(&Call::new(Method::Get, path).token(&self.token)).map_err(advised)
    }

    /// Reads text.
    pub(crate) fn text(&self, path: &str) -> Result<String, Failure> {
        self.server.text(&Call::new(Method::Get, path).token(&self.token)).map_err(advised)
    }

    /// Gives a command, with a fresh id and the time.
    pub(crate) fn command(&self, path: &str, what: Map<String, Value>) -> Result<Value, Failure> {
        #[derive(Serialize)]
        struct Command {
            command: String,
            issued_at: u64,
            #[serde(flatten)]
            what: Map<String, Value>,
        }
        let command = format!("{:032x}", u128::from_be_bytes(platform::random_bytes()));
        let body = Command { command, issued_at: platform::now_s(), what };
        self.server.ask(&Call::new(Method::Post, path).token(&self.token).json(&body)?).map_err(advised)
    }
}

/// The server that is named, or the one last used here.
pub(crate) fn server(named: Option<Address>) -> Result<Server, Failure> {
    let last = || Ok::<_, Failure>(session::last_account(&Home::find()?)?.map(|(server, _)| server));
    match named.map_or_else(last, |address| Ok(Some(address)))? {
        Some(address) => Ok(Server::new(address)),
        None => Err(Failure::Usage("Name the server: --server URL, or PASSPORT_SERVER".into())),
    }
}

/// Says what to do next, too, where the server's words don't.
pub(crate) fn advised(failure: Failure) -> Failure {
    let Failure::Refused { status, code, detail, request_id } = failure else { return failure };
    let advice = match code.as_str() {
        "operator_token_invalid" => " Check which token this is; two other operators can add you anew.",
        "scope_missing" => " Ask an operator who has it.",
        "command_stale" => " Set this machine's clock and try again.",
        "command_replayed" => " See: passport operator status",
        "already_set_up" => " Operators are added with: passport operator propose add-operator",
        "unsealing_unknown" => " See: passport operator status; without --unsealing a new one begins.",
        "unsealing_running" => " Its id: passport operator status",
        "proposal_unknown" | "operator_unknown" => " See: passport operator status",
        _ => "",
    };
    Failure::Refused { status, code, detail: format!("{detail}{advice}"), request_id }
}

fn read_token(path: &std::path::Path) -> Result<SecretString, Failure> {
    let failed =
        |error: std::io::Error| Failure::stopped("file_failed", format!("Could not read {}: {error}.", path.display()));
    let metadata = fs::metadata(path).map_err(failed)?;
    if is_open_to_others(&metadata) {
        return Err(Failure::stopped(
            "token_file_open",
            format!("Others can read {0}. Close it first: chmod 600 {0}", path.display()),
        ));
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    Ok(SecretString::from(text.trim().to_owned()))
}

#[cfg(unix)]
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.token");
        fs::write(&path, "pop_x\n").unwrap();
        for (mode, code) in [(0o644, Some("token_file_open")), (0o640, Some("token_file_open")), (0o600, None)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let read = read_token(&path);
            assert_eq!(read.as_ref().err().map(Failure::code), code);
            assert!(read.is_err() || read.unwrap().expose_secret() == "pop_x");
        }
    }
}
