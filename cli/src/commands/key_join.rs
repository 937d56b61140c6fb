//! `passport key join`: this device gets a share in a renewal that another device of the person's began.

use bunker_core::keys::PublicKey;
use clap::Args;
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, HolderIndex},
    secret::Secret32,
};
use passport_device::ceremony::{Attendance, CeremonyView, RESHARE, is_among_people};
use serde::Serialize;

use super::ceremony_list;
use crate::{
    ceremony,
    failure::Failure,
    identity::{self, KeyName},
    output::Output,
    platform,
    session::Session,
    shares::Shares,
};

/// Get a share of a key for this device, in a renewal that your other device has begun.
///
/// On the other device run first: passport key refresh --kit FILE --add-device. It waits for this one. A device that has
/// a share already comes to each renewal in the same way.
#[derive(Debug, Args)]
pub(crate) struct Join {
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Joined<'a> {
    group: GroupId,
    pubkey: PublicKey,
    npub: &'a str,
    operation_id: CeremonyId,
    epoch: u32,
    index: Option<HolderIndex>,
    share: std::path::PathBuf,
}

impl Join {
    /// Takes part, and keeps the share.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let public = identity::detail(&mut session, &key)?.public;
        let shares = Shares::of(session.home());
        shares.settle(&public)?;
        let has = shares.sealed(&key.group)?.filter(|kept| kept.public() == &public);
        let has = has.and_then(|kept| kept.indices().next());
        let views = ceremony_list::views(&mut session)?;
        let is_meant = |it: &CeremonyView| {
            it.kind == RESHARE && it.group == key.group && it.status == "joining" && !is_among_people(it)
        };
        // The newest: one that was given up waits for nobody any more.
        let view = views.into_iter().rev().find(is_meant).ok_or_else(nothing)?;

        let owner = session.unlock()?.owner;
        let holders = identity::holders(session.server())?;
        let seed = Secret32::random(&mut platform::rng());
        let mut attendance = Attendance::join_renewal(&owner, &holders, &public, has, &view, &seed)?;
        output.note("Dealing new shares together with the server and your other device …");
        let mut view = ceremony::join(&mut session, view.operation_id, &attendance)?;
        let mut keep = |outcome: &_| shares.keep_next(outcome, &owner);
        let outcome = ceremony::attend_and_keep(&mut session, &mut attendance, &mut view, &mut keep, output)?;
        shares.settle(&outcome.public)?;
        let joined = Joined {
            group: key.group,
            pubkey: key.pubkey,
            npub: &key.npub,
            operation_id: outcome.ceremony,
            epoch: outcome.public.epoch,
            index: outcome.shares.first().map(|share| share.index()),
            share: shares.path(&key.group),
        };
        output.result(&joined, || {
            format!(
                "This device holds a share of {} (epoch {}).\n  your share    {}\n\nYour apps' requests can be answered \
                 from here, too: passport watch",
                joined.npub,
                joined.epoch,
                joined.share.display()
            )
        })
    }
}

fn nothing() -> Failure {
    Failure::stopped(
        "nothing_to_join",
        "No renewal waits for this device. On the other one run: passport key refresh --kit FILE --add-device; and then \
         this again here.",
    )
}
