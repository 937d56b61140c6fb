//! `passport ceremony join`: takes part in a ceremony that others started, or comes back to one.

use bunker_core::keys::PublicKey;
use clap::Args;
use frost_wasm_core::{ceremony::CeremonyId, group::HolderRole, secret::Secret32};
use passport_device::{
    ceremony::{Attendance, CeremonyView, KEYGEN, RESHARE, is_among_people},
    owner::OwnerKey,
};

use super::{
    ceremony_list::{self, SharedKeyLine},
    ceremony_start::DEFAULT_LABEL,
    key_create, key_people,
};
use crate::{
    ceremony::{
        self,
        kept::{Agreed, KeptSeed, Seeds},
    },
    failure::Failure,
    identity,
    output::{Output, plain},
    platform, prompt,
    session::{self, KnownKey, Session},
    shares::{SharedKey, Shares},
    wire::{CreateKeyRequest, HolderShares, KeyView},
};

/// Take part in making a key that people share, or in dealing new shares of one; or come back to it.
///
/// Shows who takes part, who owns the key and how many of you sign together with the server, and asks before joining. Then
/// takes part until the end; Ctrl-C is fine, and the same command comes back, on the same device.
///
/// Your share is kept in this device's files. With it you contribute to what the owner's apps ask for, as far as the
/// owner's rules and words let: `passport watch`. The owner alone connects apps, sets rules, approves, denies, and says who
/// shares the key. One share more than sign is the whole key: if not all of you have to sign, enough of you can put it
/// together without the server (`passport export share`). Nobody can make your share again, except by dealing new ones to
/// everybody.
#[derive(Debug, Args)]
pub(crate) struct Join {
    /// The ceremony's id. Not needed while you are invited to only one
    #[arg(value_name = "ID")]
    ceremony: Option<CeremonyId>,
    /// Join without asking
    #[arg(long)]
    yes: bool,
}

/// How this device stands to a ceremony.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It has taken its share.
    Done(SharedKey),
    /// It has a seed: its person has agreed before.
    Agreed,
    /// Its person has to agree first.
    Invited,
}

impl Join {
    /// Joins it, or comes back to it, and takes part.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let own = session.owner_pubkey().ok_or_else(session::not_signed_in)?;
        let id = match self.ceremony {
            Some(id) => id,
            None => only_one(&ceremony_list::views(&mut session)?, &own)?,
        };
        let mut view = ceremony::look(&mut session, id, 0)?;
        if view.kind == RESHARE {
            return key_people::join(&mut session, &own, view, self.yes, output);
        }
        let (seeds, group) = (Seeds::of(session.home()), view.group);
        let kept = seeds.find(&group)?;
        let share = Shares::of(session.home()).find(&group)?;
        match stand(&view, &own, kept.as_ref().map(KeptSeed::agreed), share)? {
            Stand::Done(key) => {
                let label = kept.as_ref().and_then(|it| it.agreed().label.clone());
                make_usable(&mut session, &key, None, label, output)?;
                seeds.forget(&group)?;
                return show(&key, output);
            }
            Stand::Agreed => {}
            Stand::Invited => {
                // Before anything is asked that can't be agreed to here.
                Agreed::of(&view)?;
                output.note(&ceremony::describe(&view, &own));
                if !self.yes {
                    agree()?;
                }
            }
        }
        let owner = session.unlock()?.owner;
        let holders = identity::holders(session.server())?;
        let kept = match kept {
            Some(kept) => kept,
            None => seeds.keep(Agreed::of(&view)?, &Secret32::random(&mut platform::rng()), &owner)?,
        };
        let mut attendance = Attendance::resume(&owner, &holders, &view, &kept.open(&owner)?)?;
        if kept.agreed().ceremony.is_none() {
            seeds.note(kept, view.operation_id)?;
        }
        if !has_joined(&view, &own) {
            view = ceremony::join(&mut session, view.operation_id, &attendance)?;
        }
        finish(&mut session, &owner, &mut attendance, &mut view, output)
    }
}

/// Takes part until the end, and keeps what came out before the seed is given up. Whoever owns the key makes it usable
/// then.
pub(super) fn finish(
    session: &mut Session,
    owner: &OwnerKey,
    attendance: &mut Attendance,
    view: &mut CeremonyView,
    output: &Output,
) -> Result<(), Failure> {
    let (seeds, group) = (Seeds::of(session.home()), view.group);
    let held = seeds.hold(&group)?;
    let outcome = match ceremony::attend(session, attendance, view, output) {
        Ok(outcome) => outcome,
        Err(failure) => {
            if failure.code() == "ceremony_failed" && ceremony::has_failed(view) {
                seeds.forget(&group)?;
            }
            return Err(failure);
        }
    };
    let again = format!("passport ceremony join {}", outcome.ceremony);
    let key = Shares::of(session.home()).keep(&outcome, owner, &again)?;
    let label = seeds.find(&group)?.and_then(|kept| kept.agreed().label.clone());
    make_usable(session, &key, Some(owner), label, output)?;
    seeds.forget(&group)?;
    drop(held);
    show(&key, output)
}

/// Has the server's bunker take up its share, so that apps can use the key: its owner says so, and nobody else. Changes
/// nothing when that was done before. `owner` is asked for when it is needed and not at hand.
fn make_usable(
    session: &mut Session,
    key: &SharedKey,
    owner: Option<&OwnerKey>,
    label: Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    let is_owner = key.owner.is_some() && key.owner == session.owner_pubkey();
    let Some(sealed) = Shares::of(session.home()).sealed(&key.group)? else { return Ok(()) };
    let has_bunker = sealed.public().holders.iter().any(|holder| holder.role == HolderRole::Bunker);
    let is_known = |it: &KeyView| it.group == key.group;
    if !is_owner || !has_bunker || identity::list(session)?.iter().any(is_known) {
        return Ok(());
    }
    let unlocked = if owner.is_none() { Some(session.unlock()?.owner) } else { None };
    let Some(owner) = owner.or(unlocked.as_ref()) else { return Ok(()) };
    output.note("Telling the server that the key is there …");
    let statement = sealed.statement(owner, platform::now_s(), &mut platform::rng())?;
    let shares = HolderShares::Ceremony(key.operation_id);
    let label = label.unwrap_or_else(|| DEFAULT_LABEL.to_owned());
    let request = CreateKeyRequest { statement: &statement, shares: &shares, label: &label };
    match key_create::send(session, &request) {
        Ok(view) if (view.group, view.pubkey) == (key.group, key.pubkey) => {
            session.remember(KnownKey { group: key.group, npub: key.npub.clone(), activity_seen: None })
        }
        Ok(_) => Err(Failure::stopped(
            "key_changed",
            "The server answered about another key than the one it was sent. Do not use this server.",
        )),
        // Said before, and the answer was lost.
        Err(failure) if failure.code() == "group_exists" && identity::list(session)?.iter().any(is_known) => Ok(()),
        Err(failure) if failure.is_outcome_unknown() => Err(Failure::Unreachable(format!(
            "{failure} Your share is kept in {}. Within a day make the key usable with: passport ceremony join {}",
            key.share.display(),
            key.operation_id
        ))),
        Err(failure) => Err(failure),
    }
}

/// What a person has who shares a key now.
pub(super) fn show(key: &SharedKey, output: &Output) -> Result<(), Failure> {
    output.result(key, || {
        let next = match key.owner {
            Some(_) => "\nWhen apps ask, contribute with: passport watch. The owner connects them: passport connect",
            None => "\nThe server has no share of it, so that no app can use it.",
        };
        format!(
            "{}\n  share  {}\n\nKeep a copy of that file: nobody can make your share again, except by dealing new ones to \
             everybody. It opens with the account whose owner key took part.{next}",
            SharedKeyLine(key),
            key.share.display()
        )
    })
}

pub(super) fn stand(
    view: &CeremonyView,
    own: &PublicKey,
    agreed: Option<&Agreed>,
    share: Option<SharedKey>,
) -> Result<Stand, Failure> {
    if let Some(key) = share.filter(|key| key.operation_id == view.operation_id) {
        return Ok(Stand::Done(key));
    }
    if let Some(agreed) = agreed {
        return agreed.check(view).map(|()| Stand::Agreed);
    }
    if !ceremony::is_open(view) {
        return Err(Failure::stopped(
            "ceremony_over",
            format!("This ceremony is over ({}), and this device took no part in it.", plain(&view.status)),
        ));
    }
    if has_joined(view, own) {
        return Err(Failure::stopped(
            "joined_elsewhere",
            "You joined this ceremony on another device, or what this one kept of it is gone. Go on there; or end the \
             ceremony for everybody with `passport ceremony cancel`, and begin again.",
        ));
    }
    Ok(Stand::Invited)
}

/// The one ceremony that goes on.
fn only_one(views: &[CeremonyView], own: &PublicKey) -> Result<CeremonyId, Failure> {
    let is_meant = |view: &&CeremonyView| (view.kind == KEYGEN || is_among_people(view)) && ceremony::is_open(view);
    let open: Vec<_> = views.iter().filter(is_meant).collect();
    match open.as_slice() {
        [one] => Ok(one.operation_id),
        [] => Err(Failure::stopped(
            "no_ceremony",
            format!("You are invited to no ceremony. Whoever starts one names you as: --with {own}"),
        )),
        several => {
            let shown: Vec<_> = several.iter().map(|view| ceremony::describe(view, own)).collect();
            Err(Failure::Usage(format!("You are invited to several. Give the id of one:\n\n{}", shown.join("\n\n"))))
        }
    }
}

pub(super) fn has_joined(view: &CeremonyView, own: &PublicKey) -> bool {
    view.participants.iter().any(|it| it.owner == Some(*own) && it.joined)
}

pub(super) fn agree() -> Result<(), Failure> {
    prompt::agree("Join?", "not_joined", "You did not join. Nothing was sent.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::tests::{person, view};

    fn key(ceremony: u8) -> SharedKey {
        SharedKey {
            operation_id: CeremonyId::from_bytes([ceremony; 16]),
            group: frost_wasm_core::group::GroupId::from_bytes([2; 16]),
            pubkey: person(3),
            npub: "npub1x".into(),
            threshold: 2,
            holders: 2,
            signers: 2,
            owner: None,
            index: frost_wasm_core::group::HolderIndex::new(2).unwrap(),
            share: "x.json".into(),
        }
    }

    #[test]
    fn a_person_is_asked_once_and_only_while_there_is_something_to_join() {
        let (first, second) = (person(1), person(2));
        let open = view(&[first, second], "joining");
        let agreed = Agreed::of(&open).unwrap();
        let code = |it: Result<Stand, Failure>| it.unwrap_err().code().to_owned();
        assert_eq!(stand(&open, &second, None, None), Ok(Stand::Invited));
        assert_eq!(stand(&open, &second, Some(&agreed), None), Ok(Stand::Agreed));
        assert_eq!(code(stand(&open, &first, None, None)), "joined_elsewhere");

        // Whoever was killed at the very end takes the share that waits, or has it.
        let verified = view(&[first, second], "verified");
        assert_eq!(stand(&verified, &second, Some(&agreed), None), Ok(Stand::Agreed));
        assert_eq!(stand(&verified, &second, Some(&agreed), Some(key(1))), Ok(Stand::Done(key(1))));
        assert_eq!(code(stand(&verified, &second, None, Some(key(9)))), "ceremony_over");
        assert_eq!(code(stand(&view(&[first, second], "cancelled"), &second, None, None)), "ceremony_over");

        let mut other = open;
        other.threshold = 3;
        assert_eq!(code(stand(&other, &second, Some(&agreed), None)), "ceremony_misled");
    }

    #[test]
    fn the_only_ceremony_that_goes_on_is_the_one_that_is_meant() {
        let people = [person(1), person(2)];
        let code = |statuses: &[&str]| {
            let views: Vec<_> = statuses.iter().map(|status| view(&people, status)).collect();
            only_one(&views, &people[1]).map_err(|failure| failure.code().to_owned())
        };
        let id = view(&people, "joining").operation_id;
        assert_eq!(code(&["verified", "joining", "cancelled"]), Ok(id));
        assert_eq!(code(&["running"]), Ok(id));
        assert_eq!(code(&["running", "joining"]), Err("usage".into()));
        assert_eq!(code(&["failed"]), Err("no_ceremony".into()));
        assert_eq!(code(&[]), Err("no_ceremony".into()));
    }
}
