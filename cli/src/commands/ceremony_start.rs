//! `passport ceremony start`: invites others to make a key together.

use std::str::FromStr;

use bunker_core::{keys::PublicKey, nip19};
use clap::Args;
use frost_wasm_core::{
    group::{MAX_HOLDERS, MIN_THRESHOLD},
    secret::Secret32,
};
use passport_device::ceremony::Attendance;

use super::ceremony_join::finish;
use crate::{
    ceremony::{
        self,
        kept::{Agreed, Seeds},
    },
    failure::Failure,
    output::Output,
    platform,
    session::{self, Session},
};

/// Make a key together with others, each on a device of their own.
///
/// Nobody ever has the whole key: each of you gets a share, and as many as you say sign together. The others join with
/// `passport ceremony join`. This command takes part until the end; Ctrl-C is fine, and `passport ceremony join ID`
/// comes back. A round ends after a day when somebody is missing.
///
/// What such a key can do now: it exists, your share of it is kept in this device's files, and every set of as many
/// holders as sign together has proven that it signs (100 of the sets, where there are more). Using it through apps is
/// not there yet.
#[derive(Debug, Args)]
#[command(after_help = "\
Everybody sees their own owner key with: passport ceremony list

Example: any two of you and two others
  passport ceremony start --threshold 2 --with npub1… --with npub1…")]
pub(crate) struct Start {
    /// How many of you sign together, from 2
    #[arg(long, value_name = "NUMBER")]
    threshold: u16,
    /// Who else gets a share: the owner key of their account, as hex or npub (not the npub of a Nostr identity)
    #[arg(long = "with", value_name = "OWNER", required = true)]
    others: Vec<OwnerName>,
}

/// The owner key of an account, as a person writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerName(PublicKey);

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
        let members = members(own, &self.others, self.threshold)?;
        let owner = session.unlock()?.owner;
        let seed = Secret32::random(&mut platform::rng());
        let (mut attendance, request) =
            Attendance::among(&owner, &members, self.threshold, &seed, &mut platform::rng())?;

        let group = attendance.group();
        let seeds = Seeds::of(session.home());
        let kept = seeds.keep(Agreed { ceremony: None, group, threshold: self.threshold, members }, &seed, &owner)?;
        let mut view = match ceremony::start(&mut session, &request) {
            Ok(view) => view,
            Err(failure) if failure.is_outcome_unknown() => return Err(maybe_started(&failure)),
            Err(failure) => {
                seeds.forget(&group)?;
                return Err(failure);
            }
        };
        kept.agreed().check(&view)?;
        seeds.note(kept, view.operation_id)?;
        output.note(&format!(
            "{}\nThe others join with: passport ceremony join {}",
            ceremony::describe(&view, &own),
            view.operation_id
        ));
        finish(&mut session, &owner, &mut attendance, &mut view, output)
    }
}

/// Those who take part: this person first, and nobody twice.
fn members(own: PublicKey, others: &[OwnerName], threshold: u16) -> Result<Vec<PublicKey>, Failure> {
    let mut members = vec![own];
    for OwnerName(other) in others {
        if members.contains(other) {
            return Err(Failure::Usage("Name everybody once with --with; you take part by yourself.".into()));
        }
        members.push(*other);
    }
    let count = members.len();
    if count > MAX_HOLDERS {
        return Err(Failure::Usage(format!("At most {MAX_HOLDERS} people make a key together; these are {count}.")));
    }
    if threshold < MIN_THRESHOLD || usize::from(threshold) > count {
        return Err(Failure::Usage(format!(
            "With {count} people, --threshold is a number from {MIN_THRESHOLD} to {count}."
        )));
    }
    Ok(members)
}

fn maybe_started(failure: &Failure) -> Failure {
    Failure::Unreachable(format!(
        "{failure} Nobody knows whether the ceremony was started: see `passport ceremony list`. If it is there, take \
         part with: passport ceremony join"
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
        let code = |others: &[OwnerName], threshold| {
            members(own, others, threshold).map(|it| it.len()).map_err(|failure| failure.code().to_owned())
        };
        assert_eq!(code(&others[..1], 2), Ok(2));
        assert_eq!(code(&others[..9], 10), Ok(10));
        for (others, threshold) in [
            (&others[..], 2),
            (&others[..1], 1),
            (&others[..1], 3),
            (&[others[0], others[0]], 2),
            (&[OwnerName(own)], 2),
        ] {
            assert_eq!(code(others, threshold), Err("usage".into()));
        }
        assert_eq!(members(own, &others[..2], 2).unwrap(), [own, others[0].0, others[1].0]);
    }
}
