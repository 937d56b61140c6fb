//! Which of the account's keys a command is about.

use bunker_core::{keys::PublicKey, nip19};
use clap::Args;
use passport_device::{
    ceremony::Custody,
    holders::{HolderList, Holders},
    shares::SealedShares,
};

use crate::{
    failure::Failure,
    output::plain,
    server::{Call, Method, Server},
    session::{KnownKey, Session},
    shares::Shares,
    wire::{KeyDetail, KeyList, KeyView},
};

/// Names one key.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KeyName {
    /// Which key: its npub, public key, group id or label. Not needed while you have one
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl KeyName {
    /// The key meant, which has to be exactly one.
    pub(crate) fn one(&self, session: &mut Session) -> Result<KeyView, Failure> {
        let mut keys = self.all(session)?;
        match (keys.pop(), keys.is_empty()) {
            (Some(key), true) => Ok(key),
            (Some(last), false) => {
                keys.push(last);
                let names: Vec<_> = keys.iter().map(|key| format!("  {}", line(key))).collect();
                Err(Failure::Usage(format!("Several keys fit. Say which with --key:\n{}", names.join("\n"))))
            }
            (None, _) => Err(Failure::stopped(
                "no_key",
                "This account has no key yet. Make one: passport key create, or passport key import",
            )),
        }
    }

    /// The account's own keys meant: those that are named, or all.
    pub(crate) fn all(&self, session: &mut Session) -> Result<Vec<KeyView>, Failure> {
        let KeyList { keys, shared } = lists(session)?;
        match self.of(keys) {
            Ok(keys) => Ok(keys),
            Err(failure) => match self.of(shared).ok().and_then(|others| others.first()?.owner) {
                Some(owner) => Err(only_the_owner(&owner, "decides this about a key that they share with you")),
                None => Err(failure),
            },
        }
    }

    /// The same, and those of others who share them with this account.
    pub(crate) fn with_shared(&self, session: &mut Session) -> Result<Vec<KeyView>, Failure> {
        let KeyList { keys, shared } = lists(session)?;
        self.of(keys.into_iter().chain(shared).collect())
    }

    /// The key meant among those that people share and this device has a share of. No server is asked, so that none knows
    /// the key by its label.
    pub(crate) fn shared_here(&self, shares: &Shares) -> Result<SealedShares, Failure> {
        let fits = |kept: &SealedShares| match &self.key {
            Some(name) => {
                let pubkey = kept.pubkey();
                *name == nip19::encode_npub(&pubkey) || *name == pubkey.to_string() || *name == kept.group().to_string()
            }
            None => Custody::is_shared(kept.public()),
        };
        let mut keys: Vec<_> = shares.all()?.into_iter().filter(fits).collect();
        match (keys.pop(), keys.is_empty()) {
            (Some(key), true) if Custody::is_shared(key.public()) => Ok(key),
            (Some(_), true) => Err(Failure::stopped(
                "key_not_shared",
                "People don't share this key: it is your own. Take it out with: passport export finish --kit FILE --out FILE",
            )),
            (Some(last), false) => {
                keys.push(last);
                let line = |kept: &SealedShares| format!("  {}  {}", kept.group(), nip19::encode_npub(&kept.pubkey()));
                let names: Vec<_> = keys.iter().map(line).collect();
                Err(Failure::Usage(format!("Several keys fit. Say which with --key:\n{}", names.join("\n"))))
            }
            (None, _) => Err(Failure::stopped(
                "share_not_here",
                "This device has no share of such a key that people share. The server is not asked, so name the key by its \
                 npub, public key or group id, and not by its label.",
            )),
        }
    }

    /// Whether none was named.
    pub(crate) fn is_open(&self) -> bool {
        self.key.is_none()
    }

    fn of(&self, keys: Vec<KeyView>) -> Result<Vec<KeyView>, Failure> {
        let Some(name) = &self.key else {
            return Ok(keys);
        };
        let fits = |key: &KeyView| {
            *name == key.npub || *name == key.pubkey.to_string() || *name == key.group.to_string() || *name == key.label
        };
        let keys: Vec<_> = keys.into_iter().filter(fits).collect();
        if keys.is_empty() {
            Err(Failure::stopped("no_such_key", "This account has no key of that name. See: passport key list"))
        } else {
            Ok(keys)
        }
    }
}

/// Somebody who shares a key would do what its owner alone does.
pub(crate) fn only_the_owner(owner: &PublicKey, does: &str) -> Failure {
    Failure::stopped("only_the_owner", format!("The owner alone {does}. Ask them: {owner}"))
}

/// The account's own keys, each held against what this device knows of it.
pub(crate) fn list(session: &mut Session) -> Result<Vec<KeyView>, Failure> {
    lists(session).map(|list| list.keys)
}

/// The account's own keys and those that others share with it, each held against what this device knows of it.
pub(crate) fn lists(session: &mut Session) -> Result<KeyList, Failure> {
    let mut list: KeyList = session.get("/keys")?;
    for key in &mut list.keys {
        // It is nobody else's, whatever the server adds.
        key.owner = None;
    }
    for key in list.keys.iter().chain(&list.shared) {
        recognise(session, key)?;
    }
    Ok(list)
}

/// What the server says about a key. The group has to be the one that the key is.
pub(crate) fn detail(session: &mut Session, key: &KeyView) -> Result<KeyDetail, Failure> {
    let detail: KeyDetail = session.get(&format!("/keys/{}", key.group))?;
    let is_same = detail.public.group == key.group && detail.public.pubkey.as_bytes() == key.pubkey.as_bytes();
    if is_same { Ok(detail) } else { Err(changed()) }
}

/// The server-side holders.
pub(crate) fn holders(server: &Server) -> Result<Holders, Failure> {
    let list: HolderList = server.ask(&Call::new(Method::Get, "/holders"))?;
    Ok(Holders::from_list(&list)?)
}

/// A key in one line.
pub(crate) fn line(key: &KeyView) -> String {
    format!("{}  {}", key.npub, plain(&key.label))
}

/// A group is one identity for ever. A server that gave another for the same group would have the owner sign about
/// a key other than the one seen on the screen.
fn recognise(session: &mut Session, key: &KeyView) -> Result<(), Failure> {
    if key.npub != nip19::encode_npub(&key.pubkey) {
        return Err(changed());
    }
    match session.known(&key.group) {
        Some(known) if known.npub == key.npub => Ok(()),
        Some(_) => Err(changed()),
        None => session.remember(KnownKey { group: key.group, npub: key.npub.clone(), activity_seen: None }),
    }
}

fn changed() -> Failure {
    Failure::stopped(
        "key_changed",
        "The server names another identity for a key than before. Nothing was signed; ask whoever runs the server.",
    )
}
