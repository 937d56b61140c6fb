//! Operators and what is sealed, as they are typed.

use std::{collections::BTreeSet, str::FromStr};

use bunker_core::keys::PublicKey;
use clap::Args;
use operations_core::{
    ids::UnsealingId,
    operator::{Scope, Scopes},
    text::{OperatorName, Reason},
    wire::NewOperator,
};
use serde::Serialize;

use crate::calendar::Lifetime;

/// An operator to be: `NAME:scope,scope`.
#[derive(Debug, Clone)]
pub(crate) struct Named(NewOperator);

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write an operator as NAME:scope,scope, such as Ada:read,seal,unseal";
        let (name, scopes) = text.rsplit_once(':').ok_or(FORM)?;
        let name: OperatorName = name.parse().map_err(|_| "a name has 1 to 64 characters that can be seen")?;
        let scopes: Option<BTreeSet<Scope>> = scopes.split(',').map(scope).collect();
        let scopes = scopes.ok_or(
            "the scopes are read, seal, unseal, operators, policy, rotate, audit, metrics and backup, with commas between",
        )?;
        let scopes = Scopes::try_from(scopes).map_err(|_| FORM)?;
        Ok(Self(NewOperator { name, scopes, lifetime_s: None }))
    }
}

impl Named {
    /// With a token that is good for so long.
    pub(crate) fn with_lifetime(mut self, lifetime: Option<Lifetime>) -> NewOperator {
        self.0.lifetime_s = lifetime.map(|it| it.end_s(0));
        self.0
    }
}

fn scope(text: &str) -> Option<Scope> {
    serde_json::from_value(serde_json::Value::from(text)).ok()
}

/// What is sealed or unsealed, and why.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Sealing {
    /// Only this account, by its name
    #[arg(long = "account", value_name = "NAME", conflicts_with = "owner_pubkey")]
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Only this account, by its owner key
    #[arg(long = "owner", value_name = "HEX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_pubkey: Option<PublicKey>,
    /// Why; it stands in the record, in clear
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
}

/// One word for opening a seal.
#[derive(Debug, Args, Serialize)]
pub(crate) struct Word {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) what: Sealing,
    /// The unsealing that somebody began; without it, a new one begins
    #[arg(long, value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    unsealing: Option<UnsealingId>,
}

impl Sealing {
    /// Of what, for people.
    pub(crate) fn target(&self) -> String {
        match (&self.username, &self.owner_pubkey) {
            (Some(name), _) => format!("the account {name}"),
            (None, Some(owner)) => format!("the account of {owner}"),
            (None, None) => "the whole deployment".to_owned(),
        }
    }

    /// The same once more, as another operator types it.
    pub(crate) fn options(&self) -> String {
        match (&self.username, &self.owner_pubkey) {
            (Some(name), _) => format!(" --account {name}"),
            (None, Some(owner)) => format!(" --owner {owner}"),
            (None, None) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Option<NewOperator> {
        text.parse::<Named>().ok().map(|it| it.with_lifetime(None))
    }

    #[test]
    fn an_operator_is_named_with_scopes_that_there_are() {
        let ada = serde_json::to_value(read("Ada B: C:read,seal").unwrap()).unwrap();
        assert_eq!(ada, json!({"name": "Ada B: C", "scopes": ["read", "seal"]}));
        for text in ["Ada", ":read", "Ada:", "Ada:read,", "Ada:everything", "Ada:Read", "A\u{202e}da:read"] {
            assert!(read(text).is_none(), "{text}");
        }
        let named: Named = "Ada:read".parse().unwrap();
        assert_eq!(named.with_lifetime(Some("2d".parse().unwrap())).lifetime_s, Some(172_800));
    }

    #[test]
    fn a_word_says_of_what_it_is() {
        let word = |username: Option<&str>, unsealing| Word {
            what: Sealing {
                username: username.map(Into::into),
                owner_pubkey: None,
                reason: "all is well".parse().unwrap(),
            },
            unsealing,
        };
        let all = serde_json::to_value(word(None, None)).unwrap();
        assert_eq!(all, json!({"reason": "all is well"}));
        let second = word(Some("alice"), Some("0011223344556677".parse().unwrap()));
        let sent = json!({"username": "alice", "reason": "all is well", "unsealing": "0011223344556677"});
        assert_eq!(serde_json::to_value(second).unwrap(), sent);
    }
}
