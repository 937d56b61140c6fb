//! A key that people share, or are to share from now on: who gets a share, who deals, and how each of them takes part.
//!
//! The first of those who hold a device share is the group's owner, in the terms of each ceremony and so in what every
//! device knows afterwards. Everybody speaks for places of their own only.

use std::collections::BTreeMap;

use bunker_core::{keys::PublicKey, members::Member};
use frost_wasm_core::{
    ceremony::Terms,
    group::{GroupPublic, HolderIndex, HolderRole, MAX_HOLDERS},
    point::XOnlyKey,
    share::KeyShare,
};

use super::{
    goal::{Expected, Goal},
    renewal::Custody,
    wire::{CeremonyView, ParticipantView, RESHARE},
};
use crate::{
    Failure,
    holders::{BUNKER, Holders},
};

/// New shares for the people who are to share a key.
#[derive(Debug)]
pub struct Sharing {
    from: GroupPublic,
    /// With which this device deals, if it has one.
    share: Option<KeyShare>,
    threshold: u16,
    /// Who gets a share on a device, the owner first.
    after: Vec<Member>,
    /// Present holders, as many as act together.
    dealers: Vec<Dealer>,
    /// Whether the owner and who is new get enough shares for the whole key.
    gives_all: bool,
}

/// Who deals, and as which present holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dealer {
    Bunker(HolderIndex),
    Cosigner(HolderIndex),
    Person(Member),
}

/// Who holds the device shares by these terms, by ascending number: the group's owner first.
pub(super) fn people_of(terms: &Terms) -> Vec<Member> {
    let devices = terms.receivers().filter(|(_, seat)| seat.role == HolderRole::Device);
    let person = |signing: &XOnlyKey| PublicKey::from_bytes(*signing.as_bytes());
    devices.map(|(party, seat)| Member { holder: seat.index, person: person(&party.signing) }).collect()
}

/// How many act together where `signers` of these people sign together with the server.
///
/// # Errors
/// `people_unsuitable` when it can't be that many, or somebody is named twice.
pub(super) fn threshold_of(people: &[PublicKey], signers: u16) -> Result<u16, Failure> {
    let unsuitable = |why: String| Err(Failure::new("people_unsuitable", why));
    let most = MAX_HOLDERS.saturating_sub(1);
    if people.len() < 2 || people.len() > most {
        return unsuitable(format!("A key is shared by 2 to {most} people; these are {}.", people.len()));
    }
    if (1..).zip(people).any(|(next, person)| people.iter().skip(next).any(|it| it == person)) {
        return unsuitable("Somebody is named twice. Name everybody once.".into());
    }
    if signers == 0 || usize::from(signers) > people.len() {
        return unsuitable(format!("With {} people, from 1 to {} of them sign.", people.len(), people.len()));
    }
    Ok(signers.saturating_add(1))
}

impl Sharing {
    /// `before` are those who hold device shares now, with the owner among them if they do; `after` those who are to,
    /// the owner first. Who is in both keeps number and place, and who is in neither has no part in it. `anew` are those
    /// of `after` who have lost their share: they get one under another number. `share` is this device's, if it has one.
    ///
    /// # Errors
    /// `people_unsuitable`, `share_of_another_epoch`, or `share_missing` when there are not as many to deal as act
    /// together.
    pub fn new(
        from: &GroupPublic,
        before: &[Member],
        after: &[PublicKey],
        anew: &[PublicKey],
        signers: u16,
        share: Option<KeyShare>,
    ) -> Result<Self, Failure> {
        let threshold = threshold_of(after, signers)?;
        let Some(owner) = after.first() else { return Err(too_few()) };
        if share.as_ref().is_some_and(|share| **share.group() != *from) {
            return Err(Failure::new(
                "share_of_another_epoch",
                "This device's share is from before the shares were last renewed. Begin on the device that has the \
                 newest one.",
            ));
        }
        let own = share.as_ref().map(KeyShare::index);
        // Several devices of the owner's become one.
        let mut present: Vec<Member> = Vec::new();
        for it in before {
            let is_other_device = it.person == *owner && own.is_some_and(|own| own != it.holder);
            if !is_other_device && !present.iter().any(|known| known.person == it.person) {
                present.push(*it);
            }
        }
        let stays = |it: &&Member| after.contains(&it.person) && !anew.contains(&it.person);
        let mut last = from.holders.iter().map(|it| it.index.get()).max().unwrap_or(BUNKER);
        let mut seats = Vec::new();
        for person in after {
            let holder = match present.iter().filter(stays).find(|it| it.person == *person) {
                Some(it) => it.holder,
                None => {
                    last = last.saturating_add(1);
                    HolderIndex::new(last).map_err(|_| too_few())?
                }
            };
            seats.push(Member { holder, person: *person });
        }
        // Whoever has the lowest number is the owner.
        if let Some((first, others)) = seats.split_first()
            && others.iter().any(|it| it.holder < first.holder)
        {
            return Err(Failure::new(
                "people_unsuitable",
                "The owner's share has to have the lowest number, and this one would not. Nothing was begun.",
            ));
        }

        let can_deal = |it: &&Member| (it.person != *owner || own == Some(it.holder)) && !anew.contains(&it.person);
        let (staying, leaving): (Vec<&Member>, Vec<&Member>) = present.iter().filter(can_deal).partition(stays);
        let needed = usize::from(from.threshold);
        let on_server = |role| from.holders.iter().find(|it| it.role == role).map(|it| it.index);
        let bunker = on_server(HolderRole::Bunker).map(Dealer::Bunker);
        let cosigner = on_server(HolderRole::Cosigner).map(Dealer::Cosigner);
        let people = || staying.iter().chain(&leaving).map(|it| Dealer::Person(**it));
        let mut dealers: Vec<_> = bunker.into_iter().chain(cosigner).chain(people()).take(needed).collect();
        let is_gaining = |it: &&PublicKey| *it == owner || !before.iter().any(|known| known.person == **it);
        let gives_all = after.iter().filter(is_gaining).count() >= usize::from(threshold);
        if gives_all && staying.len() >= needed {
            // They show that they have it, so nobody has to wait.
            dealers = people().take(needed).collect();
        }
        if dealers.len() < needed {
            return Err(too_few());
        }
        Ok(Self { from: from.clone(), share, threshold, after: seats, dealers, gives_all })
    }

    /// Whether the holders want an export's delay to be over: the owner and who is new get enough shares for the whole
    /// key, and fewer people deal than act together now.
    #[must_use]
    pub fn needs_export(&self) -> bool {
        let people = self.dealers.iter().filter(|it| matches!(it, Dealer::Person(_))).count();
        self.gives_all && people < usize::from(self.from.threshold)
    }

    /// Who holds a device share afterwards, the owner first.
    #[must_use]
    pub fn people(&self) -> &[Member] {
        &self.after
    }

    /// Who has to take part though they get no share.
    pub fn leaving(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.dealers.iter().filter_map(|dealer| match dealer {
            Dealer::Person(it) if !self.after.contains(it) => Some(it.person),
            Dealer::Person(_) | Dealer::Bunker(_) | Dealer::Cosigner(_) => None,
        })
    }

    pub(super) fn into_goal(self, holders: &Holders) -> Result<(Goal, Option<KeyShare>), Failure> {
        let Self { from, share, threshold, after, dealers, gives_all: _ } = self;
        let bunker = HolderIndex::new(BUNKER).map_err(|_| too_few())?;
        let deals = dealers.contains(&Dealer::Bunker(bunker)).then_some(bunker);
        let mut parties = vec![Expected::server(HolderRole::Bunker, &holders.bunker).at(deals, Some(bunker))];
        for dealer in &dealers {
            match dealer {
                Dealer::Bunker(_) => {}
                Dealer::Cosigner(index) => {
                    parties.push(Expected::server(HolderRole::Cosigner, &holders.cosigner).at(Some(*index), None));
                }
                Dealer::Person(it) if !after.contains(it) => parties.push(device(&it.person).at(Some(it.holder), None)),
                Dealer::Person(_) => {}
            }
        }
        for it in &after {
            let deals = dealers.contains(&Dealer::Person(*it)).then_some(it.holder);
            parties.push(device(&it.person).at(deals, Some(it.holder)));
        }
        // Seats stand in the order of their numbers.
        parties.sort_by_key(|party| party.receives.or(party.deals));
        Ok((Goal::reshare(from, threshold, parties, Vec::new()), share))
    }
}

/// What this device knows of a key that it has a share of, and that somebody deals anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) public: &'a GroupPublic,
    pub(super) owner: PublicKey,
    pub(super) people: &'a [Member],
}

/// What the owner of a shared key has begun, as this device takes part in it.
pub(super) fn joined(holders: &Holders, known: Option<&Known<'_>>, view: &CeremonyView) -> Result<Goal, Failure> {
    let misled = |how: &str| {
        let text = format!("{how} Nothing was sent. Ask the owner of the key; do not use this server if it is not so.");
        Failure::new("ceremony_misled", text)
    };
    let from = view.present.as_ref().filter(|from| view.kind == RESHARE && from.group == view.group);
    let from = from.ok_or_else(|| misled("The server does not show which key gets new shares."))?;
    let pubkey_is_known = known.is_none_or(|it| it.public.group == from.group && it.public.pubkey == from.pubkey);
    // Of another epoch it says nothing about who deals.
    let present = known.filter(|it| it.public == from);
    if !pubkey_is_known || (known.is_some_and(|it| it.public.epoch >= from.epoch) && present.is_none()) {
        return Err(misled("The server shows another key than the one that this device has a share of."));
    }
    let before: BTreeMap<_, _> = present.iter().flat_map(|it| it.people).map(|it| (it.holder, it.person)).collect();
    let is_who_it_was = |it: &ParticipantView| {
        let fits = |index: HolderIndex| before.get(&index).is_none_or(|person| it.owner == Some(*person));
        it.deals.is_none_or(fits) && it.receives.is_none_or(fits)
    };
    let mut first: Option<(HolderIndex, PublicKey)> = None;
    let mut parties = Vec::new();
    for it in &view.participants {
        let party = match (it.role, it.owner) {
            (HolderRole::Bunker, None) => Expected::server(it.role, &holders.bunker),
            (HolderRole::Cosigner, None) if it.receives.is_none() => Expected::server(it.role, &holders.cosigner),
            (HolderRole::Device, Some(person)) if is_who_it_was(it) => {
                if let Some(index) = it.receives {
                    first = first.filter(|(lowest, _)| *lowest < index).or(Some((index, person)));
                }
                device(&person)
            }
            (HolderRole::Bunker | HolderRole::Cosigner | HolderRole::Device | HolderRole::Recovery, _) => {
                return Err(misled("Somebody else stands in a place that this device knows."));
            }
        };
        parties.push(party.at(it.deals, it.receives));
    }
    if somebody_has_all(view) {
        return Err(misled("One person would have the whole key."));
    }
    let owner = first.map(|(_, person)| person);
    if known.is_some_and(|it| owner.is_some_and(|owner| owner != it.owner)) {
        return Err(misled("Somebody else would be the owner of the key."));
    }
    Ok(Goal::reshare(from.clone(), view.threshold, parties, Vec::new()))
}

/// Whether one person would get as many shares as act together.
pub(super) fn somebody_has_all(view: &CeremonyView) -> bool {
    let mut shares: BTreeMap<PublicKey, u16> = BTreeMap::new();
    for it in view.participants.iter().filter(|it| view.kind != RESHARE || it.receives.is_some()) {
        if let Some(person) = it.owner {
            *shares.entry(person).or_default() += 1;
        }
    }
    shares.values().any(|count| *count >= view.threshold)
}

/// Whether several people take part: what one person alone has begun is taken up otherwise.
#[must_use]
pub fn is_among_people(view: &CeremonyView) -> bool {
    let mut people = view.participants.iter().filter_map(|it| it.owner);
    let first = people.next();
    people.any(|it| Some(it) != first)
}

impl Custody {
    /// Whether people share a group: one person's own has a recovery kit.
    #[must_use]
    pub fn is_shared(public: &GroupPublic) -> bool {
        public.holders.iter().all(|holder| holder.role != HolderRole::Recovery)
    }
}

fn device(person: &PublicKey) -> Expected {
    Expected::person(HolderRole::Device, XOnlyKey::from_bytes(*person.as_bytes()))
}

fn too_few() -> Failure {
    Failure::new(
        "share_missing",
        "There are too few shares to deal new ones. Begin on the device that has your share, and keep those in whose \
         shares are needed: as many holders have to deal as sign together.",
    )
}
