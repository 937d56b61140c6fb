//! This device's part in a ceremony: says what is due, looks again while it is the others' turn, and tells how far
//! it is.

pub(crate) mod kept;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use bunker_core::{keys::PublicKey, nip19};
use frost_wasm_core::{
    ceremony::{CeremonyId, Package},
    group::HolderRole,
};
use passport_device::ceremony::{
    Attendance, CeremonyView, Custody, Outcome, ParticipantView, RESHARE, StartRequest, is_among_people,
};

use crate::{
    calendar::Moment,
    failure::Failure,
    output::{Output, plain},
    platform,
    server::Method,
    session::Session,
    wire::RoundRequest,
};

/// Pause between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// How often in a row it may go wrong before this device gives up.
const PATIENCE: u32 = 30;
/// A position behind everything that was said, for who only looks how it stands.
pub(crate) const BEHIND_ALL: u64 = u64::MAX;
/// Rounds of a ceremony in which nobody fails and nobody is interrupted.
const ROUNDS: u16 = 5;

/// Starts one.
pub(crate) fn start(session: &mut Session, request: &StartRequest) -> Result<CeremonyView, Failure> {
    session.send_once(Method::Post, "/ceremony/start", request)
}

/// Joins one that was started.
pub(crate) fn join(session: &mut Session, id: CeremonyId, attendance: &Attendance) -> Result<CeremonyView, Failure> {
    let request = RoundRequest { participant_data: &attendance.join() };
    let view = session.send(Method::Post, &format!("/ceremony/{id}/round/0?after={}", attendance.next()), &request)?;
    of(id, view)
}

/// How one stands, with what was said from a position on.
pub(crate) fn look(session: &mut Session, id: CeremonyId, after: u64) -> Result<CeremonyView, Failure> {
    let view = session.get(&format!("/ceremony/{id}?after={after}"))?;
    of(id, view)
}

/// Takes part until it has ended. `view` is how it stands, before and after.
pub(crate) fn attend(
    session: &mut Session,
    attendance: &mut Attendance,
    view: &mut CeremonyView,
    output: &Output,
) -> Result<Outcome, Failure> {
    // Of a new key nothing is kept before it is there.
    attend_and_keep(session, attendance, view, &mut |_| Ok(()), output)
}

/// The same where old shares end with it: `keep` puts the new ones where they will be found, before this device accepts
/// them.
pub(crate) fn attend_and_keep(
    session: &mut Session,
    attendance: &mut Attendance,
    view: &mut CeremonyView,
    keep: &mut dyn FnMut(&Outcome) -> Result<(), Failure>,
    output: &Output,
) -> Result<Outcome, Failure> {
    let id = view.operation_id;
    let mut told = String::new();
    let (mut stumbles, mut has_stumbled) = (0, false);
    loop {
        let packages = attendance.take(view, &mut platform::rng())?;
        if let Some(outcome) = attendance.outcome()? {
            return Ok(outcome);
        }
        if let Some(outcome) = attendance.to_keep()? {
            keep(&outcome)?;
            attendance.kept();
            continue;
        }
        let stand = stand(attendance.round(), &view.participants);
        if stand != told {
            output.note(&stand);
            told = stand;
        }
        let answer = if packages.is_empty() || has_stumbled {
            platform::pause(EVERY);
            look(session, id, attendance.next())
        } else {
            say(session, id, &packages, attendance.next())
        };
        match answer {
            Ok(now) => {
                *view = now;
                if !has_stumbled {
                    stumbles = 0;
                }
                has_stumbled = false;
            }
            Err(failure) if is_passing(&failure) && stumbles < PATIENCE => {
                if stumbles == 0 && failure.is_outcome_unknown() {
                    output.failure(&failure);
                }
                stumbles += 1;
                has_stumbled = true;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Whether it can still go on.
pub(crate) fn is_open(view: &CeremonyView) -> bool {
    matches!(view.status.as_str(), "joining" | "running")
}

/// Whether it has ended without a key, in the server's word.
pub(crate) fn has_failed(view: &CeremonyView) -> bool {
    matches!(view.status.as_str(), "failed" | "cancelled" | "expired")
}

/// Waits until everybody has joined.
pub(crate) fn gather(
    session: &mut Session,
    attendance: &mut Attendance,
    view: &mut CeremonyView,
    output: &Output,
) -> Result<(), Failure> {
    let (mut told, mut stumbles) = (String::new(), 0);
    loop {
        // What this device has to say itself it says again when it attends.
        attendance.take(view, &mut platform::rng())?;
        if attendance.round() > 0 {
            return Ok(());
        }
        let stand = stand(0, &view.participants);
        if stand != told {
            output.note(&stand);
            told = stand;
        }
        platform::pause(EVERY);
        match look(session, view.operation_id, attendance.next()) {
            Ok(now) => {
                *view = now;
                stumbles = 0;
            }
            Err(failure) if is_passing(&failure) && stumbles < PATIENCE => stumbles += 1,
            Err(failure) => return Err(failure),
        }
    }
}

/// A ceremony in full, for a person who is to decide about it.
pub(crate) fn describe(view: &CeremonyView, own: &PublicKey) -> String {
    let has_bunker = view.participants.iter().any(|it| it.role == HolderRole::Bunker);
    let signers = view.threshold.saturating_sub(u16::from(has_bunker));
    let people = receivers(view).filter(|it| it.owner.is_some()).count();
    let what = match (view.kind == RESHARE, has_bunker) {
        (false, _) if !is_among_people(view) => "a new key of yours".to_owned(),
        (false, false) => format!("a key of {people}, any {} of whom sign together", view.threshold),
        (false, true) => format!("a new key of {people} people; {} together with the server", sign(signers)),
        (true, _) if !is_among_people(view) => "new shares of a key of yours".to_owned(),
        (true, _) => {
            let key = view.present.as_ref().map(|it| nip19::encode_npub(&PublicKey::from_bytes(*it.pubkey.as_bytes())));
            let key = key.unwrap_or_else(|| "a key".into());
            format!(
                "new shares of {key}; afterwards {people} people share it, and {} together with the server",
                sign(signers)
            )
        }
    };
    let head = format!("Ceremony {} ({}): {what}", view.operation_id, plain(&view.status));
    let owner = owner_of(view);
    let line = |it: &ParticipantView| {
        let who = it.owner.map_or_else(|| format!("the server's {}", it.role), |owner| owner.to_string());
        let you = if it.owner == Some(*own) { " (you)" } else { "" };
        let owns = if has_bunker && it.owner.is_some() && it.owner == owner { ", owns the key" } else { "" };
        let share = if view.kind == RESHARE && !gets_share(it) { ", has no share afterwards" } else { "" };
        let joined = if it.joined { ", has joined" } else { "" };
        format!("  {:>2}  {who}{you}{owns}{share}{joined}", it.number)
    };
    // Of a key that one person had.
    let was_ones_own = view.present.as_ref().is_some_and(|it| !Custody::is_shared(it)) && is_among_people(view);
    let before = was_ones_own.then(|| {
        "  The key was its owner's alone until now: if they kept enough of the old shares, they have the whole key."
            .to_owned()
    });
    let due = is_open(view).then(|| format!("  This round ends at {} UTC", Moment { unix_s: view.due_at }));
    [head].into_iter().chain(view.participants.iter().map(line)).chain(before).chain(due).collect::<Vec<_>>().join("\n")
}

/// How many of some people sign, in words.
pub(crate) fn sign(signers: u16) -> String {
    match signers {
        1 => "any one of them signs".into(),
        _ => format!("any {signers} of them sign"),
    }
}

/// Who owns the key afterwards, where people share it: whoever has the device share with the lowest number.
pub(crate) fn owner_of(view: &CeremonyView) -> Option<PublicKey> {
    let devices = receivers(view).filter(|it| it.role == HolderRole::Device);
    devices.min_by_key(|it| (it.receives, it.number)).and_then(|it| it.owner)
}

/// Those who have a share afterwards.
fn receivers(view: &CeremonyView) -> impl Iterator<Item = &ParticipantView> {
    view.participants.iter().filter(|it| view.kind != RESHARE || gets_share(it))
}

fn gets_share(it: &ParticipantView) -> bool {
    it.receives.is_some()
}

/// Says it, one after the other. Each is the same when it is said again, so a lost answer is asked for again.
fn say(session: &mut Session, id: CeremonyId, packages: &[Package], after: u64) -> Result<CeremonyView, Failure> {
    let mut answer = None;
    for package in packages {
        let path = format!("/ceremony/{id}/round/{}?after={after}", package.round);
        answer = Some(session.send(Method::Post, &path, &RoundRequest { participant_data: package })?);
    }
    match answer {
        Some(view) => of(id, view),
        None => look(session, id, after),
    }
}

/// What another look may clear up: nobody knows whether it was taken, or the others were faster.
fn is_passing(failure: &Failure) -> bool {
    failure.is_outcome_unknown() || matches!(failure.code(), "round_over" | "ceremony_over")
}

fn of(id: CeremonyId, view: CeremonyView) -> Result<CeremonyView, Failure> {
    if view.operation_id == id {
        Ok(view)
    } else {
        Err(Failure::stopped("ceremony_misled", "The server answers about another ceremony. Do not use this server."))
    }
}

fn stand(round: u16, participants: &[ParticipantView]) -> String {
    match round {
        0 => {
            let joined = participants.iter().filter(|it| it.joined).count();
            format!("{joined} of {} have joined. Waiting for the others …", participants.len())
        }
        1..=ROUNDS => format!("Round {round} of {ROUNDS} …"),
        _ => format!("Round {round}: somebody was interrupted, so the proof is made anew …"),
    }
}
