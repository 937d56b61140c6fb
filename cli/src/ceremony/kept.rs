//! What this device keeps of ceremonies among people until their end, sealed under the owner key: the seed with which
//! it comes back (`ceremonies/<group>.json`).
//!
//! Files are named by the group, whose id is drawn here: that of a ceremony is known only once the server has taken
//! what depends on the seed. A seed is kept with what the person agreed to, so that a server that shows other
//! participants to one who comes back is found out.

use std::fs::File;

use bunker_core::keys::PublicKey;
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupError, GroupId, HolderIndex, HolderRole},
    sealed::{Dek, Label, SealError, SealedBytes},
    secret::Secret32,
};
use passport_device::{
    ceremony::{Attendance, CeremonyView, KEYGEN, ParticipantView},
    owner::OwnerKey,
};
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    home::Home,
    platform,
    store::{VERSION, name, read, written},
};

const SEED: &str = "ceremony-seed";

/// What a person agreed to take part in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    /// Its id; none until the server has answered to its start.
    pub(crate) ceremony: Option<CeremonyId>,
    /// The group that is made.
    pub(crate) group: GroupId,
    /// How many act together afterwards.
    pub(crate) threshold: u16,
    /// Who takes part, by their numbers.
    pub(crate) places: Vec<Place>,
    /// The name that the key is to have; none but for who starts a keygen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
}

/// A place in a ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    role: HolderRole,
    /// The person; none for the server's holders.
    owner: Option<PublicKey>,
    /// In a reshare: as which holder it deals.
    deals: Option<HolderIndex>,
    /// In a reshare: for which holder it gets a share.
    receives: Option<HolderIndex>,
}

impl Agreed {
    /// What somebody agrees to who is shown this.
    ///
    /// # Errors
    /// `ceremony_unsupported` when it is a keygen of others than the server's bunker, if at all, and people with a device
    /// each.
    pub(crate) fn of(view: &CeremonyView) -> Result<Self, Failure> {
        let is_keygen = view.kind == KEYGEN;
        let is_among_people = |(number, it): (u16, &ParticipantView)| match (it.role, it.owner) {
            (HolderRole::Bunker, None) => number == 1,
            (HolderRole::Device, Some(_)) => true,
            (HolderRole::Bunker | HolderRole::Cosigner | HolderRole::Device | HolderRole::Recovery, _) => false,
        };
        if is_keygen && !(1..).zip(&view.participants).all(is_among_people) {
            return Err(Failure::stopped(
                "ceremony_unsupported",
                "Others than people with a device and the server's bunker take part in this ceremony. This client does \
                 not join it.",
            ));
        }
        let places = places(&view.participants, is_keygen);
        let (ceremony, group, threshold) = (Some(view.operation_id), view.group, view.threshold);
        Ok(Self { ceremony, group, threshold, places, label: None })
    }

    /// What the person agrees to who starts it.
    pub(crate) fn starting(attendance: &Attendance, label: Option<String>) -> Self {
        let places = places(&attendance.participants(), label.is_some());
        Self { ceremony: None, group: attendance.group(), threshold: attendance.threshold(), places, label }
    }

    /// Refuses to come back to something else than what was agreed to.
    pub(crate) fn check(&self, view: &CeremonyView) -> Result<(), Failure> {
        let shown = Self::of(view)?;
        let agreed = Self { ceremony: self.ceremony.or(shown.ceremony), label: None, ..self.clone() };
        if agreed == shown {
            return Ok(());
        }
        Err(Failure::stopped(
            "ceremony_misled",
            "The server shows another ceremony than the one you agreed to. Nothing was sent. Cancel it, begin again, \
             and if it stays so, do not use this server.",
        ))
    }
}

/// In a keygen everybody deals for their own place, and nobody has to say so.
fn places(participants: &[ParticipantView], is_keygen: bool) -> Vec<Place> {
    let holder = |index: Option<HolderIndex>| index.filter(|_| !is_keygen);
    let place = |it: &ParticipantView| Place {
        role: it.role,
        owner: it.owner,
        deals: holder(it.deals),
        receives: holder(it.receives),
    };
    participants.iter().map(place).collect()
}

/// The seeds of ceremonies that have not ended.
#[derive(Debug)]
pub(crate) struct Seeds(Home);

#[derive(Serialize, Deserialize)]
struct SeedFile {
    v: u32,
    #[serde(flatten)]
    agreed: Agreed,
    seed: SealedBytes,
}

/// A seed on the disk.
pub(crate) struct KeptSeed(SeedFile);

impl Seeds {
    /// Those in this device's folder.
    pub(crate) fn of(home: &Home) -> Self {
        Self(home.inside("ceremonies"))
    }

    /// Keeps a seed. To be done before anything is sent that depends on it.
    pub(crate) fn keep(&self, agreed: Agreed, seed: &Secret32, owner: &OwnerKey) -> Result<KeptSeed, Failure> {
        let label = seed_label(agreed.group)?;
        let sealed = SealedBytes::seal(&key(owner), &label, seed.expose_secret(), &mut platform::rng());
        let file = SeedFile { v: VERSION, agreed, seed: sealed.map_err(unsealable)? };
        let is_new = self.0.create(&name(&file.agreed.group), &written(&file)?)?;
        if is_new { Ok(KeptSeed(file)) } else { Err(attended()) }
    }

    /// The seed for a group, if this device has one.
    pub(crate) fn find(&self, group: &GroupId) -> Result<Option<KeptSeed>, Failure> {
        Ok(read(&self.0, &name(group))?.map(KeptSeed))
    }

    /// Notes the ceremony that the server named.
    pub(crate) fn note(&self, kept: KeptSeed, ceremony: CeremonyId) -> Result<(), Failure> {
        let KeptSeed(file) = kept;
        let file = SeedFile { agreed: Agreed { ceremony: Some(ceremony), ..file.agreed }, ..file };
        self.0.replace(&name(&file.agreed.group), &written(&file)?)
    }

    /// Keeps other processes of this device away from the ceremony, until what is given is dropped.
    pub(crate) fn hold(&self, group: &GroupId) -> Result<File, Failure> {
        self.0.hold(&name(group))?.ok_or_else(attended)
    }

    /// Removes a seed whose ceremony has ended.
    pub(crate) fn forget(&self, group: &GroupId) -> Result<(), Failure> {
        self.0.remove(&name(group))
    }
}

impl KeptSeed {
    /// What was agreed to.
    pub(crate) fn agreed(&self) -> &Agreed {
        &self.0.agreed
    }

    /// Opens it.
    pub(crate) fn open(&self, owner: &OwnerKey) -> Result<Secret32, Failure> {
        let SeedFile { agreed, seed, .. } = &self.0;
        let opened = seed.open(&key(owner), &seed_label(agreed.group)?).ok().and_then(|it| it.into_fixed());
        opened.ok_or_else(|| {
            Failure::stopped(
                "seed_does_not_open",
                "What this device keeps of the ceremony does not open with this account. Sign in to the account that \
                 joined it: passport login",
            )
        })
    }
}

/// Sealing derives a key of its own from this one (HKDF-SHA256), so that the owner key itself encrypts nothing.
fn key(owner: &OwnerKey) -> Dek {
    Dek::from_secret(owner.expose_secret())
}

fn seed_label(group: GroupId) -> Result<Label<'static>, Failure> {
    // A seed is of no holder yet.
    let holder = HolderIndex::new(1).map_err(|error: GroupError| unsealable(error.into()))?;
    Ok(Label { group, holder, purpose: SEED, id: &[] })
}

fn unsealable(error: SealError) -> Failure {
    Failure::stopped("not_sealed", format!("Nothing was kept of the ceremony: {error}. Nothing was sent."))
}

fn attended() -> Failure {
    Failure::stopped(
        "ceremony_attended",
        "Another passport on this device takes part in this ceremony. Leave it running, or end it first.",
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ceremony::tests::{person, view};

    #[test]
    fn a_seed_is_kept_once_opens_for_its_owner_and_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let seeds = Seeds::of(&Home::at(folder.path()));
        let (owner, seed) = (OwnerKey::fresh(&mut platform::rng()), Secret32::from_bytes([5; 32]));
        let view = view(&[person(1), person(2)], "joining");
        let started = Agreed { ceremony: None, ..Agreed::of(&view).unwrap() };
        seeds.keep(started.clone(), &seed, &owner).unwrap();
        assert_eq!(seeds.keep(started, &seed, &owner).map(drop).unwrap_err().code(), "ceremony_attended");

        let kept = seeds.find(&view.group).unwrap().unwrap();
        kept.agreed().check(&view).unwrap();
        assert!(kept.open(&owner).unwrap().ct_eq(&seed));
        let stranger = OwnerKey::fresh(&mut platform::rng());
        assert_eq!(kept.open(&stranger).unwrap_err().code(), "seed_does_not_open");
        let file = fs::read_to_string(folder.path().join(format!("ceremonies/{}.json", view.group))).unwrap();
        assert!(!file.contains(seed.to_hex().expose_secret()));

        seeds.note(kept, view.operation_id).unwrap();
        let kept = seeds.find(&view.group).unwrap().unwrap();
        assert_eq!(kept.agreed(), &Agreed::of(&view).unwrap());
        let held = seeds.hold(&view.group).unwrap();
        assert_eq!(seeds.hold(&view.group).unwrap_err().code(), "ceremony_attended");
        drop(held);
        seeds.forget(&view.group).unwrap();
        assert!(seeds.find(&view.group).unwrap().is_none());
    }

    #[test]
    fn of_new_shares_it_is_kept_who_deals_and_who_gets_one() {
        let mut good = view(&[person(1), person(2)], "running");
        good.kind = "reshare".into();
        good.participants[0].deals = HolderIndex::new(2).ok();
        let agreed = Agreed::of(&good).unwrap();
        agreed.check(&good).unwrap();
        let mut changed = good.clone();
        changed.participants[1].receives = HolderIndex::new(2).ok();
        assert_eq!(agreed.check(&changed).unwrap_err().code(), "ceremony_misled");
        good.participants[0].deals = None;
        assert_eq!(agreed.check(&good).unwrap_err().code(), "ceremony_misled");
    }

    #[test]
    fn one_who_comes_back_is_not_shown_something_else() {
        let good = view(&[person(1), person(2)], "running");
        let agreed = Agreed::of(&good).unwrap();
        agreed.check(&good).unwrap();
        let changes: [&dyn Fn(&mut CeremonyView); 5] = [
            &|it| it.operation_id = CeremonyId::from_bytes([9; 16]),
            &|it| it.threshold = 3,
            &|it| it.participants[1].owner = Some(person(9)),
            &|it| it.participants.swap(0, 1),
            &|it| it.participants.truncate(1),
        ];
        for change in changes {
            let mut changed = good.clone();
            change(&mut changed);
            assert_eq!(agreed.check(&changed).unwrap_err().code(), "ceremony_misled");
        }
        let mut with_server = good;
        with_server.participants[0].owner = None;
        assert_eq!(agreed.check(&with_server).unwrap_err().code(), "ceremony_unsupported");
        with_server.participants[0].role = HolderRole::Bunker;
        assert_eq!(agreed.check(&with_server).unwrap_err().code(), "ceremony_misled");
        assert!(Agreed::of(&with_server).is_ok());
        with_server.participants.swap(0, 1);
        assert_eq!(Agreed::of(&with_server).unwrap_err().code(), "ceremony_unsupported");
    }
}
