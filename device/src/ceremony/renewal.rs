//! How the shares of a key in use are dealt anew: who deals, and who has a share afterwards. The Nostr key stays.

use bunker_core::keys::PublicKey;
use frost_wasm_core::{
    group::{GroupPublic, HolderIndex, HolderRole},
    point::XOnlyKey,
    share::KeyShare,
};

use super::{
    goal::{Expected, Goal},
    wire::{CeremonyView, ParticipantView, RESHARE},
};
use crate::{
    Failure,
    holders::{BUNKER, COSIGNER, Holders, RECOVERY},
    split::THRESHOLD,
};

/// Who holds the shares of an identity, beside the recovery kit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// The server's bunker and cosigner.
    Hosted,
    /// The server's bunker and a device of the person's.
    Device,
}

impl Custody {
    /// That of a group.
    #[must_use]
    pub fn of(public: &GroupPublic) -> Self {
        let has_cosigner = public.holders.iter().any(|holder| holder.role == HolderRole::Cosigner);
        if has_cosigner { Self::Hosted } else { Self::Device }
    }
}

/// What becomes of the person's other devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtherDevices {
    /// Those that have a share lose it; otherwise each has to take part and gets a new one.
    pub leave: bool,
    /// One more joins.
    pub add: bool,
}

/// New shares for an identity.
#[derive(Debug)]
pub struct Renewal {
    from: GroupPublic,
    /// With which this device deals: its own, or the kit's, or both.
    shares: Vec<KeyShare>,
    custody: Custody,
    others: OtherDevices,
    /// The server's cosigner is lost: another one takes its place, and the kit deals for it.
    has_new_cosigner: bool,
}

impl Renewal {
    /// `shares` are those that the person has at hand: in device custody this device's or the kit's, or both.
    ///
    /// # Errors
    /// When people share the key; when the shares are of another epoch or identity, or too few.
    pub fn new(from: &GroupPublic, shares: Vec<KeyShare>, custody: Custody) -> Result<Self, Failure> {
        let present = Custody::of(from);
        if Custody::is_shared(from) {
            return Err(Failure::new(
                "key_is_shared",
                "People share this key, so its shares are dealt anew by them together. In a terminal: passport key people",
            ));
        }
        if shares.iter().any(|share| **share.group() != *from) {
            return Err(Failure::new(
                "share_of_another_epoch",
                "This share or recovery kit is from before the shares were last renewed, or of another identity. Use \
                 the newest kit.",
            ));
        }
        match (present, custody) {
            (Custody::Device, _) if shares.is_empty() => Err(Failure::new(
                "share_missing",
                "This device has no share of this identity. Bring the recovery kit: with it a share can be made for \
                 this device.",
            )),
            _ => {
                // In hosted custody the server's two holders deal, and nothing of the person's is needed.
                let shares = if present == Custody::Hosted { Vec::new() } else { shares };
                let (others, has_new_cosigner) = (OtherDevices::default(), false);
                Ok(Self { from: from.clone(), shares, custody, others, has_new_cosigner })
            }
        }
    }

    /// A hosted key whose cosigner is lost: the bunker deals with the recovery kit, and a new cosigner gets a share.
    ///
    /// # Errors
    /// When it has no cosigner, or the kit is not of it.
    pub fn with_new_cosigner(from: &GroupPublic, kit: KeyShare) -> Result<Self, Failure> {
        if Custody::of(from) != Custody::Hosted || kit.role() != HolderRole::Recovery {
            return Err(Failure::new(
                "no_cosigner",
                "This key has no cosigner on the server, so there is none to be replaced. Nothing was changed.",
            ));
        }
        let renewal = Self::new(from, Vec::new(), Custody::Hosted)?;
        if **kit.group() != *from {
            return Err(Failure::new(
                "share_of_another_epoch",
                "This recovery kit is from before the shares were last renewed, or of another identity. Use the newest kit.",
            ));
        }
        Ok(Self { shares: vec![kit], has_new_cosigner: true, ..renewal })
    }

    /// Whether the holders want an export's delay to be over: the owner's devices get enough shares for the whole key
    /// without having shown as many, or the server is to act without them and none of them deals.
    #[must_use]
    pub fn needs_export(&self) -> bool {
        match (Custody::of(&self.from), self.custody) {
            (_, Custody::Device) => self.shares.len() < usize::from(self.from.threshold),
            (Custody::Device, Custody::Hosted) => self.shares.iter().all(|share| share.role() != HolderRole::Device),
            (Custody::Hosted, Custody::Hosted) => false,
        }
    }

    /// The same, where something becomes of the person's other devices. Hosted keys have none.
    #[must_use]
    pub fn with_others(self, others: OtherDevices) -> Self {
        Self { others, ..self }
    }

    /// How many other devices have to take part.
    #[must_use]
    pub fn waits_for(&self) -> usize {
        self.elsewhere().len()
    }

    /// Who holds the shares afterwards.
    #[must_use]
    pub fn custody(&self) -> Custody {
        self.custody
    }

    pub(super) fn into_goal(self, owner: XOnlyKey, holders: &Holders) -> Result<(Goal, Vec<KeyShare>), Failure> {
        let [bunker, kit] = [index(BUNKER)?, index(RECOVERY)?];
        let (here, elsewhere) = (self.here()?, self.elsewhere());
        let (present_cosigner, new_cosigner) = (self.cosigner()?, index(self.last().saturating_add(1))?);
        let Self { from, shares, custody, has_new_cosigner, .. } = self;
        let present = Custody::of(&from);
        let deals = |role: HolderRole| {
            let mine = shares.iter().take(usize::from(THRESHOLD)).find(|share| share.role() == role);
            mine.map(KeyShare::index)
        };
        let bunker_deals = (shares.len() < usize::from(THRESHOLD)).then_some(bunker);
        let cosigner = Expected::server(HolderRole::Cosigner, &holders.cosigner);
        let device = || Expected::person(HolderRole::Device, owner);
        let mut parties = vec![Expected::server(HolderRole::Bunker, &holders.bunker).at(bunker_deals, Some(bunker))];
        match (present, custody) {
            (Custody::Hosted, Custody::Hosted) if has_new_cosigner => {
                parties.push(cosigner.at(None, Some(new_cosigner)))
            }
            (Custody::Hosted, Custody::Hosted) => {
                parties.push(cosigner.at(Some(present_cosigner), Some(present_cosigner)));
            }
            (Custody::Hosted, Custody::Device) => {
                parties.push(cosigner.at(Some(present_cosigner), None));
                parties.push(device().at(None, Some(here)));
            }
            (Custody::Device, Custody::Device) => parties.push(device().at(deals(HolderRole::Device), Some(here))),
            (Custody::Device, Custody::Hosted) => {
                parties.extend(deals(HolderRole::Device).map(|index| device().at(Some(index), None)));
                // Under a number that no object ever had.
                parties.push(cosigner.at(None, Some(new_cosigner)));
            }
        }
        parties.push(Expected::person(HolderRole::Recovery, owner).at(deals(HolderRole::Recovery), Some(kit)));
        parties.extend(elsewhere.iter().map(|index| device().at(None, Some(*index))));
        // Seats stand in the order of their numbers, each behind who leaves it.
        parties.sort_by_key(|party| party.receives.or(party.deals));
        let is_elsewhere = |it: &Expected| it.receives.is_some_and(|index| elsewhere.contains(&index));
        let numbers = (1..).zip(&parties).filter(|(_, it)| is_elsewhere(it)).map(|(number, _)| number).collect();
        let threshold = from.threshold;
        Ok((Goal::reshare(from, threshold, parties, numbers), shares))
    }

    /// The number that this device has, or gets: its own, or that of the one whose place it takes.
    fn here(&self) -> Result<HolderIndex, Failure> {
        let own = self.shares.iter().find(|share| share.role() == HolderRole::Device).map(KeyShare::index);
        let first = || self.from.holders.iter().find(|it| it.role == HolderRole::Device).map(|holder| holder.index);
        own.or_else(first).map_or_else(|| self.cosigner(), Ok)
    }

    /// The number of the server's cosigner, if there is one.
    fn cosigner(&self) -> Result<HolderIndex, Failure> {
        let present = self.from.holders.iter().find(|it| it.role == HolderRole::Cosigner);
        present.map_or_else(|| index(COSIGNER), |holder| Ok(holder.index))
    }

    /// The highest number of a holder.
    fn last(&self) -> u16 {
        self.from.holders.iter().map(|it| it.index.get()).max().unwrap_or(RECOVERY)
    }

    /// The numbers of the person's other devices afterwards.
    fn elsewhere(&self) -> Vec<HolderIndex> {
        let Ok(here) = self.here() else { return Vec::new() };
        if self.custody == Custody::Hosted {
            return Vec::new();
        }
        let devices = self.from.holders.iter().filter(|it| it.role == HolderRole::Device && it.index != here);
        let mut elsewhere: Vec<_> = devices.map(|it| it.index).filter(|_| !self.others.leave).collect();
        if self.others.add {
            elsewhere.extend(HolderIndex::new(self.last().saturating_add(1)));
        }
        elsewhere
    }
}

fn index(number: u16) -> Result<HolderIndex, Failure> {
    HolderIndex::new(number).map_err(|error| Failure::new("ceremony_failed", error.to_string()))
}

/// What another device of the owner's has begun, as this one takes part in it: for one place, which is its own.
pub(super) fn joined(
    owner: PublicKey,
    holders: &Holders,
    from: &GroupPublic,
    has: Option<HolderIndex>,
    view: &CeremonyView,
) -> Result<Goal, Failure> {
    let nothing = || {
        let text = "No renewal waits for this device. Begin one on the other device, and then run this again here.";
        Failure::new("nothing_to_join", text)
    };
    if view.kind != RESHARE || view.group != from.group || view.status != "joining" {
        return Err(nothing());
    }
    let is_mine = |it: &ParticipantView| {
        let is_new = it.receives.is_some_and(|index| from.holder(index).is_none());
        let fits = if has.is_some() { it.receives == has } else { is_new };
        it.owner == Some(owner) && it.role == HolderRole::Device && !it.joined && fits
    };
    let mine = view.participants.iter().find(|it| is_mine(it)).ok_or_else(nothing)?.number;
    let expected = |it: &ParticipantView| {
        let party = match (it.role, it.owner) {
            (HolderRole::Bunker, None) => Expected::server(it.role, &holders.bunker),
            (HolderRole::Cosigner, None) => Expected::server(it.role, &holders.cosigner),
            (HolderRole::Device | HolderRole::Recovery, Some(person)) if person == owner => {
                Expected::person(it.role, XOnlyKey::from_bytes(*person.as_bytes()))
            }
            _ => {
                let text = "Somebody else is to get a share of your key. Nothing was sent; do not use this server.";
                return Err(Failure::new("ceremony_misled", text));
            }
        };
        Ok(party.at(it.deals, it.receives))
    };
    let parties = view.participants.iter().map(expected).collect::<Result<Vec<_>, _>>()?;
    let elsewhere = (1..).zip(&parties).map(|(number, _)| number).filter(|number| *number != mine).collect();
    Ok(Goal::reshare(from.clone(), from.threshold, parties, elsewhere))
}
