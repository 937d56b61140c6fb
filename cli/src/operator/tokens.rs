//! Operators' tokens on this machine. They come from a file of their owner only, the environment or a prompt, never
//! from an argument; a new one goes to the screen once, or to a file of its own.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use frost_wasm_core::secret::{Secret32, SecretString};
use operations_core::token::OperatorToken;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    home::{self, create_private},
    output::Output,
};

/// Longest file that is read as a token, in bytes: a token and the end of its line.
const TOKEN_FILE_MAX_BYTES: u64 = 128;

/// Where a new token went.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Handed {
    /// To whoever reads the result.
    Token(#[serde(serialize_with = "exposed")] SecretString),
    /// To a file of its own.
    File(PathBuf),
}

/// A text that can be an operator's token.
pub(crate) fn checked(token: SecretString) -> Result<SecretString, Failure> {
    match OperatorToken::parse(token.expose_secret()) {
        Some(_) => Ok(token),
        None => Err(Failure::stopped(
            "not_an_operator_token",
            "This is no operator's token: those begin with pop_ and have 47 characters. Set-up and approvals show them, once.",
        )),
    }
}

/// A text that can be a server's set-up token.
pub(crate) fn checked_setup(token: SecretString) -> Result<SecretString, Failure> {
    match Secret32::from_hex(token.expose_secret()) {
        Ok(_) => Ok(token),
        Err(_) => Err(Failure::stopped(
            "not_a_setup_token",
            "This is no set-up token: it is the server's OPERATOR_SETUP_TOKEN, 64 lowercase hex digits.",
        )),
    }
}

/// Reads a token from a file that nobody else can read.
pub(crate) fn read(path: &Path) -> Result<SecretString, Failure> {
    let failed = |error: std::io::Error| home::failed("read", path, &error);
    let file = File::open(path).map_err(failed)?;
    if is_open_to_others(&file.metadata().map_err(failed)?) {
        return Err(Failure::stopped(
            "token_file_open",
            format!(
                "Others can read {0}. Close it (chmod 600 {0}), and replace the token: passport operator token rotate",
                path.display()
            ),
        ));
    }
    // All the room at once, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(TOKEN_FILE_MAX_BYTES as usize));
    file.take(TOKEN_FILE_MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(SecretString::from(text.trim().to_owned()))
}

/// A folder for tokens, made before there are any.
pub(crate) fn folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| home::failed("create", path, &error))
}

/// A file for a token is not there yet. Looked at before the token is made, which comes once only.
pub(crate) fn is_free(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        let detail = format!("There is a file {} already. Name another one.", path.display());
        return Err(Failure::stopped("file_failed", detail));
    }
    Ok(())
}

/// Keeps a new token in a file, if one is named. A token that can't be kept there is shown after all: it does not
/// come again.
pub(crate) fn hand(token: &OperatorToken, file: Option<PathBuf>, output: &Output) -> Handed {
    let text = token.expose_text();
    let Some(path) = file else { return Handed::Token(text) };
    match create_private(&path, text.expose_secret().as_bytes()) {
        Ok(()) => Handed::File(path),
        Err(error) => {
            output.note(&home::failed("write", &path, &error).to_string());
            Handed::Token(text)
        }
    }
}

impl Handed {
    /// For people.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Token(token) => format!("token {}", token.expose_secret()),
            Self::File(path) => format!("token in {}", path.display()),
        }
    }
}

fn exposed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

#[cfg(unix)]
fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

/// A person's own folders are already private on other systems.
#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform;

    #[cfg(unix)]
    #[test]
    fn a_token_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.token");
        fs::write(&path, "pop_x\n").unwrap();
        for (mode, code) in
            [(0o644, Some("token_file_open")), (0o640, Some("token_file_open")), (0o602, Some("token_file_open"))]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).as_ref().err().map(Failure::code), code);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap().expose_secret(), "pop_x");
    }

    #[test]
    fn a_new_token_is_in_a_file_or_in_the_result_and_never_in_both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.token");
        let output = Output::new(true);
        let token = OperatorToken::random(&mut platform::rng());
        let text = token.expose_text();
        let kept = serde_json::to_string(&hand(&token, Some(path.clone()), &output)).unwrap();
        assert!(!kept.contains(text.expose_secret()));
        assert_eq!(read(&path).unwrap().expose_secret(), text.expose_secret());
        // The file is there already, so the token would be lost.
        let shown = serde_json::to_string(&hand(&token, Some(path.clone()), &output)).unwrap();
        assert!(shown.contains(text.expose_secret()));
        assert!(is_free(&path).is_err());
    }

    #[test]
    fn what_is_no_token_is_not_sent_to_a_server() {
        let code = |judged: Result<SecretString, Failure>| judged.err().map(|failure| failure.code().to_owned());
        let text = |text: &str| SecretString::from(text.to_owned());
        let good = OperatorToken::random(&mut platform::rng()).expose_text();
        assert_eq!(code(checked(good)), None);
        assert_eq!(code(checked(text("a password"))).as_deref(), Some("not_an_operator_token"));
        assert_eq!(code(checked_setup(text(&"0a".repeat(32)))), None);
        assert_eq!(code(checked_setup(text("pop_x"))).as_deref(), Some("not_a_setup_token"));
    }
}
