//! `passport ceremony list`: who one is to others, what one is invited to, and which keys one shares.

use std::fmt;

use bunker_core::{keys::PublicKey, nip19};
use clap::Args;
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, HolderRole},
};
use passport_device::ceremony::CeremonyView;
use serde::Serialize;

use crate::{
    ceremony::{self, BEHIND_ALL},
    failure::Failure,
    output::Output,
    session::{self, Session},
    shares::{SharedKey, Shares},
    wire::{CeremonyEntry, CeremonyList},
};

/// Show your owner key, the ceremonies you are named in, and the keys of which this device has a share.
///
/// Whoever shares a key with you names you by your owner key.
#[derive(Debug, Args)]
pub(crate) struct List {}

#[derive(Serialize)]
struct Listed<'a> {
    owner_pubkey: PublicKey,
    ceremonies: Vec<Ceremony<'a>>,
    shares: &'a [SharedKey],
}

#[derive(Serialize)]
struct Ceremony<'a> {
    operation_id: CeremonyId,
    kind: &'a str,
    status: &'a str,
    group: GroupId,
    threshold: u16,
    round: u16,
    due_at: u64,
    participants: Vec<Participant>,
}

#[derive(Serialize)]
struct Participant {
    number: u16,
    role: HolderRole,
    owner: Option<PublicKey>,
    joined: bool,
}

/// A shared key in a few lines.
pub(super) struct SharedKeyLine<'a>(pub(super) &'a SharedKey);

impl List {
    /// Lists them.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let own = session.owner_pubkey().ok_or_else(session::not_signed_in)?;
        let views = views(&mut session)?;
        let shares = Shares::of(session.home()).among_people()?;
        let ceremonies = views.iter().map(Ceremony::of).collect();
        let listed = Listed { owner_pubkey: own, ceremonies, shares: &shares };
        output.result(&listed, || {
            let you = format!("You are {own}\n     or {}", nip19::encode_npub(&own));
            let ceremonies = match views.as_slice() {
                [] => vec!["You are named in no ceremony.".to_owned()],
                views => views.iter().map(|view| ceremony::describe(view, &own)).collect(),
            };
            let shares = shares.iter().map(|key| format!("Shared key {}", SharedKeyLine(key)));
            [you].into_iter().chain(ceremonies).chain(shares).collect::<Vec<_>>().join("\n\n")
        })
    }
}

/// The ceremonies that the account is named in, without what was said in them.
pub(super) fn views(session: &mut Session) -> Result<Vec<CeremonyView>, Failure> {
    let list: CeremonyList = session.get("/ceremony")?;
    let mut views = Vec::new();
    for CeremonyEntry { operation_id } in list.ceremonies {
        match ceremony::look(session, operation_id, BEHIND_ALL) {
            Ok(view) => views.push(view),
            // Wiped since it was listed.
            Err(failure) if failure.code() == "not_found" => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(views)
}

impl<'a> Ceremony<'a> {
    fn of(view: &'a CeremonyView) -> Self {
        let participants = view.participants.iter();
        Self {
            operation_id: view.operation_id,
            kind: &view.kind,
            status: &view.status,
            group: view.group,
            threshold: view.threshold,
            round: view.round,
            due_at: view.due_at,
            participants: participants
                .map(|it| Participant { number: it.number, role: it.role, owner: it.owner, joined: it.joined })
                .collect(),
        }
    }
}

impl fmt::Display for SharedKeyLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SharedKey { npub, threshold, holders, signers, index, owner, .. } = self.0;
        if signers == threshold {
            return write!(f, "{npub}\n  any {threshold} of {holders} holders sign together; you are number {index}");
        }
        let (people, sign) = (holders.saturating_sub(1), ceremony::sign(*signers));
        write!(
            f,
            "{npub}\n  {people} people share it, and {sign} together with the server; your share is number {index}"
        )?;
        match owner {
            Some(owner) => write!(f, "\n  owner  {owner}"),
            None => Ok(()),
        }
    }
}
