//! An operator at a server: who asks, and commands that the server takes once.
//!
//! Out of scope: what an operator may do. The server decides that, by the token alone.

pub(crate) mod naming;
pub(crate) mod status;
pub(crate) mod tokens;

use std::path::PathBuf;

use clap::Args;
use frost_wasm_core::secret::SecretString;
use operations_core::{command::Issued, ids::CommandId};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    failure::Failure,
    home::Home,
    platform, prompt,
    server::{Address, Call, Method, Server},
    session,
};

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

/// A command as it is sent.
#[derive(Serialize)]
struct Body<'a, T> {
    #[serde(flatten)]
    issued: Issued,
    #[serde(flatten)]
    what: &'a T,
}

impl Desk {
    /// Finds server and token. Nothing is sent yet.
    pub(crate) fn open(self) -> Result<Link, Failure> {
        let server = server(self.server)?;
        let token = match self.token_file {
            Some(path) => tokens::read(&path)?,
            None => prompt::OPERATOR_TOKEN.ask(&server.address().to_string())?,
        };
        Ok(Link { server, token: tokens::checked(token)? })
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
    pub(crate) fn command<T: DeserializeOwned>(&self, path: &str, what: &impl Serialize) -> Result<T, Failure> {
        let command = CommandId::from_bytes(platform::random_bytes());
        let issued = Issued { command, issued_at: platform::now_s() };
        let call = Call::new(Method::Post, path).token(&self.token).json(&Body { issued, what })?;
        self.server.ask(&call).map_err(advised)
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
    let advice = match failure.code() {
        "operator_token_invalid" => "Check which token this is; two other operators can add you anew.",
        "scope_missing" => "Ask an operator who has it.",
        "setup_token_invalid" => "It is the server's OPERATOR_SETUP_TOKEN, 64 hex digits.",
        "command_stale" => "Set this machine's clock and try again.",
        "already_set_up" => "Operators are added with: passport operator propose add-operator",
        "unsealing_unknown" => "See: passport operator status; without --unsealing a new one begins.",
        "unsealing_running" => "Its id: passport operator status; then --unsealing ID",
        "proposal_unknown" | "operator_unknown" | "command_replayed" => "See: passport operator status",
        // What is told once is not told again: whether it was done has to be looked up.
        _ if failure.is_outcome_unknown() => "It may have been done all the same. See: passport operator status",
        _ => return failure,
    };
    let with_advice = |text: &str| format!("{}. {advice}", text.trim_end_matches('.'));
    match failure {
        Failure::Refused { status, code, detail, request_id } => {
            Failure::Refused { status, code, detail: with_advice(&detail), request_id }
        }
        Failure::Unreachable(text) => Failure::Unreachable(with_advice(&text)),
        other @ (Failure::Stopped { .. } | Failure::Usage(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn no_command_is_sent_with_an_id_of_another() {
        let body = |n: u8| {
            let issued = Issued { command: CommandId::from_bytes([n; 16]), issued_at: 1_800_000_000 };
            serde_json::to_value(Body { issued, what: &json!({"reason": "a leak"}) }).unwrap()
        };
        assert_eq!(body(1), json!({"command": "01".repeat(16), "issued_at": 1_800_000_000, "reason": "a leak"}));
        assert_ne!(body(1), body(2));
        let without: Value = serde_json::to_value(Body {
            issued: Issued { command: CommandId::from_bytes([1; 16]), issued_at: 1 },
            what: &json!({}),
        })
        .unwrap();
        assert_eq!(without.as_object().unwrap().len(), 2);
    }

    #[test]
    fn an_operator_is_told_what_to_do_next() {
        let refused = |status: u16, code: &str| Failure::Refused {
            status,
            code: code.to_owned(),
            detail: "Words.".to_owned(),
            request_id: None,
        };
        for (failure, advice) in [
            (refused(401, "operator_token_invalid"), "add you anew"),
            (refused(409, "unsealing_running"), "--unsealing ID"),
            (refused(503, "internal"), "operator status"),
            (Failure::Unreachable("No answer.".to_owned()), "operator status"),
        ] {
            assert!(advised(failure.clone()).to_string().contains(advice), "{failure:?}");
        }
        assert_eq!(advised(refused(409, "not_sealed")), refused(409, "not_sealed"));
    }
}
