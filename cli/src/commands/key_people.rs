//! `passport key people`: who shares a key, by new shares for all of them; and taking part in that.

use std::path::PathBuf;

use bunker_core::{keys::PublicKey, members::Member, nip19};
use clap::Args;
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, GroupPublic, HolderRole},
    secret::Secret32,
};
use passport_device::{
    ceremony::{Attendance, CeremonyView, Custody, Outcome, Sharing, is_among_people},
    owner::OwnerKey,
    shares::SealedShares,
};
use serde::Serialize;

use super::{
    ceremony_join::{self, Stand},
    ceremony_start::{self, OwnerName},
    key_refresh,
};
use crate::{
    ceremony::{
        self,
        kept::{Agreed, KeptSeed, Seeds},
    },
    failure::Failure,
    identity::{self, KeyName},
    output::Output,
    platform, prompt,
    saying::say,
    server::Method,
    session::{self, Session},
    shares::{Shares, signers},
    wire::{KeyDetail, KeyView, OwnerStatement},
};

/// Say who shares a key, by dealing new shares to all of them. The key stays the same, and so do its apps.
///
/// Without options, those who share it get new shares: use that when a share may have leaked. With --add and --remove
/// others do. A key of your own becomes a shared one in the same way; its recovery kit has no share of it any more then, and
/// who shares a key does not take it back alone. Old shares that you keep of it still make the whole key: destroy them, and
/// those who join have to trust you in that.
///
/// As many holders have to deal as sign now: the server's bunker and some of you, with those who leave if there are not
/// enough without them. All who get a share or deal take part at the same time, with `passport ceremony join`; until the
/// last of them has accepted, the old shares go on working. Ctrl-C is fine, and `passport ceremony join ID` comes back.
///
/// If you and those who are new could put the whole key together afterwards, and not as many of you deal as sign now, it
/// takes an export whose delay is over: `passport export begin`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport key people                                         new shares for the same people
  passport key people --remove npub1… --add npub1…            one goes and another comes
  passport key people --anew npub1…                           somebody lost their share
  passport key people --add npub1… --signers 2                share a key of your own, so that both have to sign")]
pub(crate) struct People {
    /// Who is to get a share, too: the owner key of their account, as hex or npub
    #[arg(long, value_name = "OWNER")]
    add: Vec<OwnerName>,
    /// Who is to have none any more
    #[arg(long, value_name = "OWNER")]
    remove: Vec<OwnerName>,
    /// Who has lost their share and is to get another
    #[arg(long, value_name = "OWNER")]
    anew: Vec<OwnerName>,
    /// How many of you sign together with the server. Not needed if it stays as it is
    #[arg(long, value_name = "NUMBER")]
    signers: Option<u16>,
    /// Begin without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Shared<'a> {
    group: GroupId,
    pubkey: PublicKey,
    npub: &'a str,
    operation_id: CeremonyId,
    epoch: u32,
    /// Where this device's share is.
    share: PathBuf,
}

/// What somebody has who dealt, and has no share any more.
#[derive(Serialize)]
struct Left {
    operation_id: CeremonyId,
    group: GroupId,
    pubkey: PublicKey,
    npub: String,
    share: Option<PathBuf>,
}

impl People {
    /// Deals new shares.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let own = session.owner_pubkey().ok_or_else(session::not_signed_in)?;
        let key = self.key.one(&mut session)?;
        let KeyDetail { public, members, .. } = identity::detail(&mut session, &key)?;
        let shares = Shares::of(session.home());
        shares.settle(&public)?;
        let sealed = shares.sealed(&key.group)?.filter(|sealed| sealed.public() == &public);
        let before = before(&public, &members, own, sealed.as_ref())?;
        let after = self.after(own, &before)?;
        let signers = match self.signers {
            Some(signers) => signers,
            None if Custody::is_shared(&public) => signers(&public),
            None => {
                let text = "Say how many of you sign together with the server: --signers NUMBER";
                return Err(Failure::Usage(text.into()));
            }
        };
        let anew: Vec<_> = self.anew.iter().map(|it| it.0).collect();
        let owner = session.unlock()?.owner;
        let share = sealed.map(|it| it.open_one(&owner)).transpose()?;
        let sharing = Sharing::new(&public, &before, &after, &anew, signers, share)?;
        if sharing.needs_export() {
            let why = "Afterwards you and those who are new could put the whole key together";
            key_refresh::check_delay(&mut session, &key, why)?;
        }
        output.note(&describe(&key, &sharing, &before, &own, signers, !Custody::is_shared(&public)));
        if !self.yes {
            agree()?;
        }

        clear(&mut session, &key.group, None)?;
        let holders = identity::holders(session.server())?;
        let seed = Secret32::random(&mut platform::rng());
        let (mut attendance, request) = Attendance::share(&owner, &holders, sharing, &seed)?;
        let agreed = Agreed::starting(&attendance, None);
        let mut view = ceremony_start::begin(&mut session, agreed, &seed, &owner, &request)?;
        output.note(&format!("The others join with: passport ceremony join {}", view.operation_id));
        let outcome = attend(&mut session, &owner, &mut attendance, &mut view, Some(&key), output)?;
        let shared = Shared {
            group: key.group,
            pubkey: key.pubkey,
            npub: &key.npub,
            operation_id: outcome.ceremony,
            epoch: outcome.public.epoch,
            share: shares.path(&key.group),
        };
        output.result(&shared, || {
            format!(
                "{} has new shares (epoch {}), of {} people and the server. Its apps go on as before.\n  your share    \
                 {}\n\nKeep a copy of that file, and destroy every copy of an older one.",
                shared.npub,
                shared.epoch,
                outcome.people.len(),
                shared.share.display()
            )
        })
    }

    /// Those who are to share it: this person first, then those who do now, then those who come.
    fn after(&self, own: PublicKey, before: &[Member]) -> Result<Vec<PublicKey>, Failure> {
        let usage = |text: &str| Err(Failure::Usage(text.into()));
        let has_share = |it: &OwnerName| before.iter().any(|known| known.person == it.0);
        if self.remove.iter().chain(&self.anew).any(|it| it.0 == own) {
            return usage(
                "The key is yours: you always have a share, which any device of yours can get by this command.",
            );
        }
        if !self.remove.iter().chain(&self.anew).all(has_share) {
            return usage(
                "Somebody named with --remove or --anew has no share of this key. See who has: passport key people",
            );
        }
        if self.add.iter().any(|it| it.0 == own || has_share(it)) {
            return usage("Somebody named with --add has a share of this key. If it is lost, use --anew.");
        }
        let mut after = vec![own];
        for person in before.iter().map(|it| it.person).chain(self.add.iter().map(|it| it.0)) {
            if !after.contains(&person) && !self.remove.iter().any(|it| it.0 == person) {
                after.push(person);
            }
        }
        if after.len() < 2 {
            return usage("A key is shared by two people at least. Name another one with --add.");
        }
        Ok(after)
    }
}

/// Takes part in new shares of a key that people share, or comes back to them; also for its owner.
pub(super) fn join(
    session: &mut Session,
    own: &PublicKey,
    view: CeremonyView,
    yes: bool,
    output: &Output,
) -> Result<(), Failure> {
    let mut view = view;
    if !is_among_people(&view) {
        return Err(Failure::stopped(
            "renewal_of_yours",
            "These are new shares of a key of your own, for your other device. Take part with: passport key join",
        ));
    }
    let (id, group, shares) = (view.operation_id, view.group, Shares::of(session.home()));
    check_known(session, &view)?;
    if shares.is_unsettled(&group)?
        && let Ok(detail) = session.get::<KeyDetail>(&format!("/keys/{group}"))
    {
        shares.settle(&detail.public)?;
    }
    let kept = clear(session, &group, Some(id))?;
    let seeds = Seeds::of(session.home());
    match ceremony_join::stand(&view, own, kept.as_ref().map(KeptSeed::agreed), shares.find(&group)?)? {
        Stand::Done(key) => {
            seeds.forget(&group)?;
            return ceremony_join::show(&key, output);
        }
        Stand::Agreed => {}
        Stand::Invited => {
            output.note(&ceremony::describe(&view, own));
            if !yes {
                ceremony_join::agree()?;
            }
        }
    }
    let owner = session.unlock()?.owner;
    let holders = identity::holders(session.server())?;
    let seed = match &kept {
        Some(kept) => kept.open(&owner)?,
        None => Secret32::random(&mut platform::rng()),
    };
    let sealed = shares.sealed(&group)?;
    let mut attendance = Attendance::join_shared(&owner, &holders, sealed.as_ref(), &view, &seed)?;
    let kept = match kept {
        Some(kept) => kept,
        None => seeds.keep(Agreed::of(&view)?, &seed, &owner)?,
    };
    if kept.agreed().ceremony.is_none() {
        seeds.note(kept, id)?;
    }
    if !ceremony_join::has_joined(&view, own) {
        view = ceremony::join(session, id, &attendance)?;
    }
    let key = identity::list(session)?.into_iter().find(|key| key.group == group);
    let outcome = attend(session, &owner, &mut attendance, &mut view, key.as_ref(), output)?;
    if let Some(key) = shares.find(&group)? {
        return ceremony_join::show(&key, output);
    }
    let pubkey = PublicKey::from_bytes(*outcome.public.pubkey.as_bytes());
    let left = Left { operation_id: id, group, pubkey, npub: nip19::encode_npub(&pubkey), share: None };
    output.result(&left, || format!("{} has new shares, and you have none of it any more.", left.npub))
}

/// Takes part until the end. This device's new share stands before it accepts, and takes the old one's place when all
/// have. `key` is there for its owner, who gives their word for it.
fn attend(
    session: &mut Session,
    owner: &OwnerKey,
    attendance: &mut Attendance,
    view: &mut CeremonyView,
    key: Option<&KeyView>,
    output: &Output,
) -> Result<Outcome, Failure> {
    let (seeds, shares, group) = (Seeds::of(session.home()), Shares::of(session.home()), view.group);
    let held = seeds.hold(&group)?;
    let outcome = match go_through(session, owner, attendance, view, key, &shares, output) {
        Ok(outcome) => outcome,
        Err(failure) => {
            if failure.code() == "ceremony_failed" && ceremony::has_failed(view) {
                seeds.forget(&group)?;
            }
            return Err(failure);
        }
    };
    shares.settle(&outcome.public)?;
    if outcome.shares.is_empty() {
        shares.discard(&group)?;
    }
    seeds.forget(&group)?;
    drop(held);
    Ok(outcome)
}

fn go_through(
    session: &mut Session,
    owner: &OwnerKey,
    attendance: &mut Attendance,
    view: &mut CeremonyView,
    key: Option<&KeyView>,
    shares: &Shares,
    output: &Output,
) -> Result<Outcome, Failure> {
    // The server's holders say nothing before the owner's word.
    if let Some(key) = key.filter(|_| !has_server_spoken(view)) {
        ceremony::gather(session, attendance, view, output)?;
        if let Some(word) = attendance.word() {
            let path = format!("/keys/{}/reshare", key.group);
            say(session, key, owner, &word, |session, statement| {
                session.tell(Method::Post, &path, Some(&OwnerStatement { statement }))
            })?;
        }
    }
    let mut keep = |outcome: &Outcome| match outcome.shares.is_empty() {
        true => Ok(()),
        false => shares.keep_next(outcome, owner),
    };
    ceremony::attend_and_keep(session, attendance, view, &mut keep, output)
}

/// Whether one of the server's holders has said something, by a view from the beginning.
fn has_server_spoken(view: &CeremonyView) -> bool {
    let is_on_server = |number: u16| view.participants.iter().any(|it| it.number == number && it.role.is_on_server());
    view.packages.iter().any(|package| is_on_server(package.party))
}

/// What this device kept of another ceremony about the same key goes, when that one has ended. Gives what it has kept of
/// this one.
///
/// # Errors
/// `ceremony_attended` while the other one goes on.
fn clear(session: &mut Session, group: &GroupId, this: Option<CeremonyId>) -> Result<Option<KeptSeed>, Failure> {
    let seeds = Seeds::of(session.home());
    let Some(kept) = seeds.find(group)? else { return Ok(None) };
    let Some(other) = kept.agreed().ceremony else {
        // Nobody knows whether it was started. With nothing else to come back to, it may be this one.
        return if this.is_some() { Ok(Some(kept)) } else { seeds.forget(group).map(|()| None) };
    };
    if this == Some(other) {
        return Ok(Some(kept));
    }
    match ceremony::look(session, other, ceremony::BEHIND_ALL) {
        Ok(view) if ceremony::is_open(&view) => Err(Failure::stopped(
            "ceremony_attended",
            format!(
                "You take part in other new shares of this key. Come back to them with `passport ceremony join {other}`, or \
                 end them for everybody: passport ceremony cancel {other}"
            ),
        )),
        Ok(_) => seeds.forget(group).map(|()| None),
        Err(failure) if failure.code() == "not_found" => seeds.forget(group).map(|()| None),
        Err(failure) => Err(failure),
    }
}

/// Refuses another identity than the one that this device knows by the group's name.
fn check_known(session: &Session, view: &CeremonyView) -> Result<(), Failure> {
    let shown = view.present.as_ref().map(|it| nip19::encode_npub(&PublicKey::from_bytes(*it.pubkey.as_bytes())));
    match (session.known(&view.group), shown) {
        (Some(known), Some(shown)) if known.npub != shown => Err(Failure::stopped(
            "key_changed",
            "The server names another identity for a key than before. Nothing was sent; ask whoever runs the server.",
        )),
        _ => Ok(()),
    }
}

/// Who holds device shares now. What this device knows itself counts more than what the server says.
fn before(
    public: &GroupPublic,
    members: &[Member],
    own: PublicKey,
    sealed: Option<&SealedShares>,
) -> Result<Vec<Member>, Failure> {
    let person = |holder| members.iter().find(|it| it.holder == holder).map_or(own, |it| it.person);
    let devices = public.holders.iter().filter(|it| it.role == HolderRole::Device);
    let told: Vec<_> = devices.map(|it| Member { holder: it.index, person: person(it.index) }).collect();
    let known = sealed.map(SealedShares::people).filter(|people| !people.is_empty());
    if known.is_some_and(|known| known != told) {
        return Err(Failure::stopped(
            "key_changed",
            "The server names other people who share this key than this device knows. Nothing was sent; ask whoever runs \
             the server.",
        ));
    }
    Ok(told)
}

fn describe(
    key: &KeyView,
    sharing: &Sharing,
    before: &[Member],
    own: &PublicKey,
    signers: u16,
    is_new: bool,
) -> String {
    let people = sharing.people();
    let mut lines =
        vec![format!("{}: new shares. Afterwards they have one:", key.npub), "   1  the server's bunker".into()];
    for it in people {
        let you = if it.person == *own { " (you), owns the key" } else { "" };
        let new = if before.iter().any(|known| known.person == it.person) { "" } else { ", is new" };
        lines.push(format!("  {:>2}  {}{you}{new}", it.holder, it.person));
    }
    let gone = before.iter().filter(|it| !people.iter().any(|kept| kept.person == it.person));
    let leaving: Vec<_> = sharing.leaving().collect();
    for it in gone {
        let deals = if leaving.contains(&it.person) { "; has to take part once more" } else { "" };
        lines.push(format!("  no  {}{deals}", it.person));
    }
    let count = people.len();
    lines.push(format!("{} together with the server. {}", capital(&ceremony::sign(signers)), reach(signers, count)));
    if is_new {
        lines.push(
            "Your recovery kit has no share of this key any more, and is still the way back into your account. You can't \
             take the key back alone."
                .into(),
        );
    }
    lines.join("\n")
}

fn reach(signers: u16, people: usize) -> String {
    match usize::from(signers) < people {
        true => format!("Any {} of you can put the key together without it.", signers.saturating_add(1)),
        false => "Its share is needed for ever.".into(),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn agree() -> Result<(), Failure> {
    prompt::agree("Begin?", "not_begun", "Nothing was begun. The shares are what they were.")
}

#[cfg(test)]
mod tests {
    use frost_wasm_core::{frost::keygen, group::HolderIndex, share::KeyShare};

    use super::*;
    use crate::ceremony::tests::person;

    fn index(number: u16) -> HolderIndex {
        HolderIndex::new(number).unwrap()
    }

    fn member(holder: u16, byte: u8) -> Member {
        Member { holder: index(holder), person: person(byte) }
    }

    fn people(add: &[u8], remove: &[u8], anew: &[u8]) -> People {
        let named = |bytes: &[u8]| bytes.iter().map(|byte| OwnerName(person(*byte))).collect();
        let key = KeyName::default();
        People { add: named(add), remove: named(remove), anew: named(anew), signers: None, yes: true, key }
    }

    /// A group of the bunker and people, and its shares.
    fn shared(devices: u16) -> (GroupPublic, Vec<KeyShare>) {
        let devices = (2..devices + 2).map(|number| (index(number), HolderRole::Device));
        let holders: Vec<_> = [(index(1), HolderRole::Bunker)].into_iter().chain(devices).collect();
        let secret = Secret32::from_bytes([7; 32]);
        keygen::split(secret, GroupId::from_bytes([2; 16]), &holders, 2, &mut platform::rng()).unwrap()
    }

    #[test]
    fn who_shares_a_key_is_said_by_who_comes_and_who_goes() {
        let before = [member(2, 1), member(3, 2), member(4, 3)];
        let after = |it: People| it.after(person(1), &before).map_err(|failure| failure.code().to_owned());
        assert_eq!(after(people(&[], &[], &[])), Ok(vec![person(1), person(2), person(3)]));
        assert_eq!(after(people(&[9], &[2], &[])), Ok(vec![person(1), person(3), person(9)]));
        assert_eq!(after(people(&[], &[], &[3])), Ok(vec![person(1), person(2), person(3)]));
        for wrong in [
            people(&[2], &[], &[]),
            people(&[1], &[], &[]),
            people(&[], &[9], &[]),
            people(&[], &[1], &[]),
            people(&[], &[], &[9]),
            people(&[], &[], &[1]),
            people(&[], &[2, 3], &[]),
        ] {
            assert_eq!(after(wrong), Err("usage".into()));
        }
        // A hosted key, of which no device has a share.
        assert_eq!(people(&[9], &[], &[]).after(person(1), &[]).unwrap(), [person(1), person(9)]);
    }

    #[test]
    fn what_this_device_knows_of_the_others_counts_more_than_what_the_server_says() {
        let (public, mut shares) = shared(2);
        let owner = OwnerKey::fresh(&mut platform::rng());
        let own = owner.public_key();
        let told = before(&public, &[member(3, 9)], own, None).unwrap();
        assert_eq!(told, [Member { holder: index(2), person: own }, member(3, 9)]);
        let outcome = Outcome {
            ceremony: CeremonyId::from_bytes([1; 16]),
            public: public.clone(),
            people: told.clone(),
            shares: vec![shares.remove(1)],
        };
        let sealed = SealedShares::seal(&outcome, &owner, &mut platform::rng()).unwrap();
        assert_eq!(before(&public, &[member(3, 9)], own, Some(&sealed)).unwrap(), told);
        for members in [vec![], vec![member(3, 8)], vec![member(2, 9), member(3, 9)]] {
            assert_eq!(before(&public, &members, own, Some(&sealed)).unwrap_err().code(), "key_changed");
        }
    }

    #[test]
    fn a_person_sees_what_the_new_shares_make_possible() {
        assert_eq!(reach(1, 2), "Any 2 of you can put the key together without it.");
        assert_eq!(reach(2, 2), "Its share is needed for ever.");
        assert_eq!(capital(&ceremony::sign(1)), "Any one of them signs");
    }

    #[test]
    fn the_owner_says_nothing_twice_to_holders_that_have_heard_it() {
        let mut view = ceremony::tests::view(&[person(1), person(2)], "running");
        assert!(!has_server_spoken(&view));
        view.participants[0].role = HolderRole::Bunker;
        assert!(!has_server_spoken(&view));
    }
}
