//! `passport ceremony start`: invites others to make a key and to share it.

use std::str::FromStr;

use bunker_core::{keys::PublicKey, nip19};
use clap::Args;
use frost_wasm_core::{group::MAX_HOLDERS, secret::Secret32};
use passport_device::{
    ceremony::{Attendance, CeremonyView, StartRequest},
    owner::OwnerKey,
};

use super::ceremony_join::finish;
use crate::{
    ceremony::{
        self,
        kept::{Agreed, Seeds},
    },
    failure::Failure,
    identity,
    output::Output,
    platform,
    session::{self, Session},
};

/// The server's bunker has one of the shares.
const PEOPLE_MAX: usize = MAX_HOLDERS - 1;

/// Make a key that you share with others, each on a device of their own.
///
/// Nobody ever has the whole key: the server's bunker and each of you get a share, and as many of you as you say sign
/// together with the server. The key is yours: you connect its apps, set their rules, approve and deny, and say who shares
/// it. The others contribute with their devices to what your rules and words let, and decide nothing else.
///
/// The others join with `passport ceremony join`. This command takes part until the end; Ctrl-C is fine, and `passport
/// ceremony join ID` comes back, within a day of the end at the latest, since only then the key can be used. A round ends
/// after a day when somebody is missing.
///
/// One share more than sign is the whole key. So if not all of you have to sign, enough of you can put it together without
/// the server, with `passport export share` and `passport export together`. If all of you have to, the server's share is
/// needed for ever. There is no recovery kit: nobody can make your share again, except by dealing new ones to everybody
/// with `passport key people`, and that takes as many shares as sign.
#[derive(Debug, Args)]
#[command(after_help = "\
Everybody sees their own owner key with: passport ceremony list

Example: you and two others, any two of whom sign
  passport ceremony start --signers 2 --with npub1… --with npub1… --label \"Our project\"")]
pub(crate) struct Start {
    /// How many of you sign together with the server, from 1
    #[arg(long, value_name = "NUMBER")]
    signers: u16,
    /// Who else gets a share: the owner key of their account, as hex or npub (not the npub of a Nostr identity)
    #[arg(long = "with", value_name = "OWNER", required = true)]
    others: Vec<OwnerName>,
    /// Your name for the key
    #[arg(long, default_value = DEFAULT_LABEL)]
    label: String,
}

/// The name of a key that got no other.
pub(super) const DEFAULT_LABEL: &str = "Our Nostr key";

/// The owner key of an account, as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerName(pub(super) PublicKey);

/// Why a text is no owner key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no owner key: give 64 characters of lowercase hex, or an npub")]
pub(crate) struct NoOwner;

impl FromStr for OwnerName {
    type Err = NoOwner;

    fn from_str(text: &str) -> Result<Self, NoOwner> {
        let key = if text.starts_with("npub1") { nip19::decode_npub(text).ok() } else { text.parse().ok() };
        key.filter(|key: &PublicKey| key.validate().is_ok()).map(Self).ok_or(NoOwner)
    }
}

impl Start {
    /// Starts it, and takes part.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let own = session.owner_pubkey().ok_or_else(session::not_signed_in)?;
        let people = people(own, &self.others, self.signers)?;
        let owner = session.unlock()?.owner;
        let holders = identity::holders(session.server())?;
        let seed = Secret32::random(&mut platform::rng());
        let (mut attendance, request) =
            Attendance::among(&owner, &holders, &people, self.signers, &seed, &mut platform::rng())?;
        let agreed = Agreed::starting(&attendance, Some(self.label));
        let mut view = begin(&mut session, agreed, &seed, &owner, &request)?;
        output.note(&format!(
            "{}\nThe others join with: passport ceremony join {}",
            ceremony::describe(&view, &own),
            view.operation_id
        ));
        finish(&mut session, &owner, &mut attendance, &mut view, output)
    }
}

/// Starts a ceremony that this device can come back to: its seed is kept before anything is sent.
pub(super) fn begin(
    session: &mut Session,
    agreed: Agreed,
    seed: &Secret32,
    owner: &OwnerKey,
    request: &StartRequest,
) -> Result<CeremonyView, Failure> {
    let (seeds, group) = (Seeds::of(session.home()), agreed.group);
    let kept = seeds.keep(agreed, seed, owner)?;
    let view = match ceremony::start(session, request) {
        Ok(view) => view,
        Err(failure) if failure.is_outcome_unknown() => return Err(maybe_started(&failure)),
        Err(failure) => {
            seeds.forget(&group)?;
            return Err(failure);
        }
    };
    kept.agreed().check(&view)?;
    seeds.note(kept, view.operation_id)?;
    Ok(view)
}

/// Those who share the key: this person first, and nobody twice.
fn people(own: PublicKey, others: &[OwnerName], signers: u16) -> Result<Vec<PublicKey>, Failure> {
    let mut people = vec![own];
    for OwnerName(other) in others {
        if people.contains(other) {
            return Err(Failure::Usage("Name everybody once with --with; you take part by yourself.".into()));
        }
        people.push(*other);
    }
    let count = people.len();
    if count > PEOPLE_MAX {
        return Err(Failure::Usage(format!("At most {PEOPLE_MAX} people share a key; these are {count}.")));
    }
    if signers == 0 || usize::from(signers) > count {
        return Err(Failure::Usage(format!("With {count} people, --signers is a number from 1 to {count}.")));
    }
    Ok(people)
}

fn maybe_started(failure: &Failure) -> Failure {
    Failure::Unreachable(format!(
        "{failure} Nobody knows whether the ceremony was started: see `passport ceremony list`. If it is there, take \
         part with: passport ceremony join ID"
    ))
}

#[cfg(test)]
mod tests {
    use passport_device::owner::OwnerKey;

    use super::*;

    fn fresh() -> PublicKey {
        OwnerKey::fresh(&mut platform::rng()).public_key()
    }

    #[test]
    fn an_owner_is_named_by_hex_or_npub() {
        let key = fresh();
        assert_eq!(key.to_string().parse(), Ok(OwnerName(key)));
        assert_eq!(nip19::encode_npub(&key).parse(), Ok(OwnerName(key)));
        let mistyped = nip19::encode_npub(&key).replace("npub1", "npub1q");
        for text in ["", "alice", &key.to_string().to_uppercase(), &key.to_string()[1..], &mistyped, &"0".repeat(64)] {
            assert_eq!(text.parse::<OwnerName>(), Err(NoOwner), "{text}");
        }
    }

    #[test]
    fn everybody_takes_part_once_and_as_many_sign_as_there_are() {
        let own = fresh();
        let others: Vec<_> = (0..10).map(|_| OwnerName(fresh())).collect();
        let code = |others: &[OwnerName], signers| {
            people(own, others, signers).map(|it| it.len()).map_err(|failure| failure.code().to_owned())
        };
        assert_eq!(code(&others[..1], 1), Ok(2));
        assert_eq!(code(&others[..1], 2), Ok(2));
        assert_eq!(code(&others[..8], 9), Ok(9));
        for (others, signers) in [
            (&others[..9], 2),
            (&others[..1], 0),
            (&others[..1], 3),
            (&[others[0], others[0]], 2),
            (&[OwnerName(own)], 2),
        ] {
            assert_eq!(code(others, signers), Err("usage".into()));
        }
        assert_eq!(people(own, &others[..2], 2).unwrap(), [own, others[0].0, others[1].0]);
    }
}
