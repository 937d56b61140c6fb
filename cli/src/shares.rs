//! The shares that this device holds, sealed under the owner key (`shares/<group>.json`): of keys that people share, and
//! of the person's own keys in device custody.

use std::{fs::File, path::PathBuf};

use bunker_core::{keys::PublicKey, nip19};
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
};
use passport_device::{
    ceremony::{Custody, Outcome},
    owner::OwnerKey,
    shares::SealedShares,
};
use serde::Serialize;

use crate::{
    failure::Failure,
    home::Home,
    platform,
    store::{self, name, written},
};

/// How the name of a share ends that is to take the place of another.
const NEXT: &str = ".next.json";

/// The shares of this device.
#[derive(Debug)]
pub(crate) struct Shares(Home);

/// A key that this device holds a share of, as far as it is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SharedKey {
    /// The ceremony that made it.
    pub(crate) operation_id: CeremonyId,
    /// Its group.
    pub(crate) group: GroupId,
    /// The Nostr key.
    pub(crate) pubkey: PublicKey,
    /// The Nostr key as NIP-19 text.
    pub(crate) npub: String,
    /// How many sign together.
    pub(crate) threshold: u16,
    /// How many have a share.
    pub(crate) holders: usize,
    /// How many of the people sign together, with the server's bunker where it has a share.
    pub(crate) signers: u16,
    /// The key's owner, where people share it.
    pub(crate) owner: Option<PublicKey>,
    /// The number of this device's share.
    pub(crate) index: HolderIndex,
    /// Where that is.
    pub(crate) share: PathBuf,
}

impl Shares {
    /// Those in this device's folder.
    pub(crate) fn of(home: &Home) -> Self {
        Self(home.inside("shares"))
    }

    /// Keeps what came out, and proves that it opens. What is there already is left alone. `again` is the command by
    /// which the person tries once more.
    pub(crate) fn keep(&self, outcome: &Outcome, owner: &OwnerKey, again: &str) -> Result<SharedKey, Failure> {
        let sealed = SealedShares::seal(outcome, owner, &mut platform::rng())?;
        let group = outcome.public.group;
        self.0.create(&name(&group), &written(&sealed)?)?;
        let kept = self.sealed(&group).ok().flatten().filter(|kept| kept.opens_to(outcome, owner));
        let kept = kept.ok_or_else(|| {
            Failure::stopped(
                "share_not_kept",
                format!(
                    "{} does not read back as the share that came out: another file was there already, or the disk is \
                     full or broken. Move it away, and then: {again}",
                    self.0.path(&name(&group)).display(),
                ),
            )
        })?;
        self.shown(&kept)
    }

    /// Keeps what came out of a renewal beside what it will replace, and proves that it opens.
    pub(crate) fn keep_next(&self, outcome: &Outcome, owner: &OwnerKey) -> Result<(), Failure> {
        let sealed = SealedShares::seal(outcome, owner, &mut platform::rng())?;
        let next = next(&outcome.public.group);
        self.0.replace(&next, &written(&sealed)?)?;
        let kept: Option<SealedShares> = store::read(&self.0, &next)?;
        if kept.is_some_and(|kept| kept.opens_to(outcome, owner)) {
            return Ok(());
        }
        Err(Failure::stopped(
            "share_not_kept",
            format!(
                "{} does not read back as the share that came out: is the disk full or broken? The shares are what they \
                 were.",
                self.0.path(&next).display()
            ),
        ))
    }

    /// What was kept beside takes its place once the group is the one that it is of: the renewal came to its end.
    pub(crate) fn settle(&self, present: &GroupPublic) -> Result<(), Failure> {
        let group = &present.group;
        let Some(kept) = store::read::<SealedShares>(&self.0, &next(group))? else { return Ok(()) };
        if kept.public() == present {
            self.0.replace(&name(group), &written(&kept)?)?;
            self.0.remove(&next(group))?;
        }
        Ok(())
    }

    /// Whether a renewal of this device's has not been seen to its end.
    pub(crate) fn is_unsettled(&self, group: &GroupId) -> Result<bool, Failure> {
        Ok(self.unsettled(group)?.is_some())
    }

    /// What will take the place of a group's share, if the renewal that it is of came to its end.
    pub(crate) fn unsettled(&self, group: &GroupId) -> Result<Option<SealedShares>, Failure> {
        store::read(&self.0, &next(group))
    }

    /// The share of a group, if this device has one.
    pub(crate) fn sealed(&self, group: &GroupId) -> Result<Option<SealedShares>, Failure> {
        store::read(&self.0, &name(group))
    }

    /// The key of a group, if this device has a share of it.
    pub(crate) fn find(&self, group: &GroupId) -> Result<Option<SharedKey>, Failure> {
        self.sealed(group)?.map(|kept| self.shown(&kept)).transpose()
    }

    /// The keys that people share; those of device custody are the account's own.
    pub(crate) fn among_people(&self) -> Result<Vec<SharedKey>, Failure> {
        let shared = self.all()?.into_iter().filter(|it| Custody::is_shared(it.public()));
        shared.map(|kept| self.shown(&kept)).collect()
    }

    /// All of this device, but for those that will take the place of others.
    pub(crate) fn all(&self) -> Result<Vec<SealedShares>, Failure> {
        let names = self.0.names()?;
        let is_share = |name: &&String| name.ends_with(".json") && !name.starts_with('.') && !name.ends_with(NEXT);
        names.iter().filter(is_share).filter_map(|name| store::read(&self.0, name).transpose()).collect()
    }

    /// Waits until no other process of this device contributes with a group's share, and keeps it to this one until
    /// what is given is dropped.
    pub(crate) fn turn(&self, group: &GroupId) -> Result<File, Failure> {
        self.0.turn(&name(group))
    }

    /// Removes the share of a key that never came to be, or is in no device's care any more.
    pub(crate) fn discard(&self, group: &GroupId) -> Result<(), Failure> {
        self.0.remove(&name(group))
    }

    /// Where the share of a group is, or would be.
    pub(crate) fn path(&self, group: &GroupId) -> PathBuf {
        self.0.path(&name(group))
    }

    fn shown(&self, kept: &SealedShares) -> Result<SharedKey, Failure> {
        let (public, share) = (kept.public(), self.path(&kept.group()));
        let index = kept.indices().next().ok_or_else(|| store::damaged(&share))?;
        Ok(SharedKey {
            operation_id: kept.ceremony(),
            group: public.group,
            pubkey: kept.pubkey(),
            npub: nip19::encode_npub(&kept.pubkey()),
            threshold: public.threshold,
            holders: public.holders.len(),
            signers: signers(public),
            owner: kept.people().first().map(|it| it.person),
            index,
            share,
        })
    }
}

/// How many people of a shared key sign together.
pub(crate) fn signers(public: &GroupPublic) -> u16 {
    let has_bunker = public.holders.iter().any(|holder| holder.role == HolderRole::Bunker);
    public.threshold.saturating_sub(u16::from(has_bunker))
}

/// The name of what is kept beside a group's share until a renewal has come to its end.
fn next(group: &GroupId) -> String {
    format!("{group}{NEXT}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bunker_core::members::Member;
    use frost_wasm_core::{frost::keygen, secret::Secret32};

    use super::*;

    const AGAIN: &str = "passport ceremony join";

    /// What comes out for the holder with number 2, and all after it.
    fn outcome(group: u8, roles: &[HolderRole]) -> Outcome {
        let holders: Vec<_> = (1..).zip(roles).map(|(index, role)| (HolderIndex::new(index).unwrap(), *role)).collect();
        let secret = Secret32::from_bytes([7; 32]);
        let group = GroupId::from_bytes([group; 16]);
        let (public, mut shares) = keygen::split(secret, group, &holders, 2, &mut platform::rng()).unwrap();
        let device = |index: &HolderIndex| roles[usize::from(index.get()) - 1] == HolderRole::Device;
        let devices = holders.iter().map(|(index, _)| *index).filter(device);
        let people = devices.map(|holder| Member { holder, person: PublicKey::from_bytes([9; 32]) }).collect();
        Outcome { ceremony: CeremonyId::from_bytes([1; 16]), public, people, shares: shares.split_off(1) }
    }

    fn hex(outcome: &Outcome, at: usize) -> String {
        outcome.shares[at].expose_signing_share().to_hex().expose_secret().to_owned()
    }

    #[test]
    fn a_share_is_kept_sealed_read_back_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let shares = Shares::of(&Home::at(folder.path()));
        let outcome = || outcome(2, &[HolderRole::Device; 2]);
        let (owner, made) = (OwnerKey::fresh(&mut platform::rng()), outcome());
        assert_eq!(shares.among_people().unwrap(), []);
        let key = shares.keep(&made, &owner, AGAIN).unwrap();
        assert_eq!((key.index.get(), key.threshold, key.holders), (2, 2, 2));
        let bytes = fs::read_to_string(&key.share).unwrap();
        assert!(!bytes.contains(&hex(&made, 0)));

        // Whoever was killed before the seed was removed keeps the same again.
        assert_eq!(shares.keep(&made, &owner, AGAIN).unwrap(), key);
        assert_eq!(shares.among_people().unwrap(), std::slice::from_ref(&key));
        assert_eq!(shares.find(&key.group).unwrap(), Some(key.clone()));
        // The same group, but another key.
        assert_eq!(shares.keep(&outcome(), &owner, AGAIN).unwrap_err().code(), "share_not_kept");
        assert_eq!(fs::read_to_string(&key.share).unwrap(), bytes);
        fs::write(&key.share, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(shares.keep(&made, &owner, AGAIN).unwrap_err().code(), "share_not_kept");
        assert_eq!(shares.find(&key.group).unwrap_err().code(), "file_damaged");
        fs::write(&key.share, bytes.replacen("\"v\": 1", "\"v\": 2", 1)).unwrap();
        assert_eq!(shares.among_people().unwrap_err().code(), "file_version_unknown");
    }

    #[test]
    fn of_device_custody_this_devices_share_is_kept_and_that_of_the_kit_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let shares = Shares::of(&Home::at(folder.path()));
        let owner = OwnerKey::fresh(&mut platform::rng());
        let made = outcome(3, &[HolderRole::Bunker, HolderRole::Device, HolderRole::Recovery]);
        let key = shares.keep(&made, &owner, AGAIN).unwrap();
        assert_eq!((key.index.get(), key.holders), (2, 3));
        let opened = shares.sealed(&key.group).unwrap().unwrap().open(&owner).unwrap();
        assert_eq!(opened.len(), 1);
        assert!(opened[0].expose_signing_share().ct_eq(&made.shares[0].expose_signing_share()));
        assert_eq!(shares.among_people().unwrap(), [], "it is nobody else's");

        // One that another account put there is not ours.
        let stranger = OwnerKey::fresh(&mut platform::rng());
        assert_eq!(shares.keep(&made, &stranger, AGAIN).unwrap_err().code(), "share_not_kept");
        shares.discard(&key.group).unwrap();
        assert_eq!(shares.find(&key.group).unwrap(), None);
    }
}
