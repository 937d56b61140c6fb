//! What this device keeps of ceremonies among people, sealed under the owner key: until the end the seed with which
//! it comes back (`ceremonies/<group>.json`), and for good the share that came out (`shares/<group>.json`).
//!
//! Files are named by the group, whose id is drawn here: that of a ceremony is known only once the server has taken
//! what depends on the seed. A seed is kept with what the person agreed to, so that a server that shows other
//! participants to one who comes back is found out.

use std::{fs::File, path::PathBuf};

use bunker_core::{keys::PublicKey, nip19};
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupError, GroupId, GroupPublic, HolderIndex},
    sealed::{Dek, Label, SealError, SealedBytes},
    secret::Secret32,
    share::KeyShare,
};
use passport_device::{
    ceremony::{CeremonyView, Outcome},
    owner::OwnerKey,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{failure::Failure, home::Home, platform};

const VERSION: u32 = 1;
const SEED: &str = "ceremony-seed";
const SHARE: &str = "ceremony-share";

/// What a person agreed to take part in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Agreed {
    /// Its id; none until the server has answered to its start.
    pub(crate) ceremony: Option<CeremonyId>,
    /// The group that is made.
    pub(crate) group: GroupId,
    /// How many act together afterwards.
    pub(crate) threshold: u16,
    /// The owner keys of those who take part, by their numbers.
    pub(crate) members: Vec<PublicKey>,
}

impl Agreed {
    /// What somebody agrees to who is shown this.
    pub(crate) fn of(view: &CeremonyView) -> Result<Self, Failure> {
        let members: Option<Vec<_>> = view.participants.iter().map(|it| it.owner).collect();
        let members = members.ok_or_else(|| {
            Failure::stopped(
                "ceremony_unsupported",
                "The server's own holders take part in this ceremony; this client joins ceremonies among people only.",
            )
        })?;
        Ok(Self { ceremony: Some(view.operation_id), group: view.group, threshold: view.threshold, members })
    }

    /// Refuses to come back to something else than what was agreed to.
    pub(crate) fn check(&self, view: &CeremonyView) -> Result<(), Failure> {
        let shown = Self::of(view)?;
        let agreed = Self { ceremony: self.ceremony.or(shown.ceremony), ..self.clone() };
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

/// The shares that came out of ceremonies.
#[derive(Debug)]
pub(crate) struct Shares(Home);

#[derive(Serialize, Deserialize)]
struct ShareFile {
    v: u32,
    ceremony: CeremonyId,
    public: GroupPublic,
    shares: Vec<SealedIndex>,
}

#[derive(Serialize, Deserialize)]
struct SealedIndex {
    index: HolderIndex,
    sealed: SealedBytes,
}

/// A key that people share, as far as it is no secret.
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

    /// Keeps what came out, and proves that it opens. What is there already is left alone.
    pub(crate) fn keep(&self, outcome: &Outcome, owner: &OwnerKey) -> Result<SharedKey, Failure> {
        let seal = |share: &KeyShare| {
            let (label, secret) = (share_label(&outcome.public, share.index()), share.expose_signing_share());
            let sealed = SealedBytes::seal(&key(owner), &label, secret.expose_secret(), &mut platform::rng());
            Ok(SealedIndex { index: share.index(), sealed: sealed.map_err(unsealable)? })
        };
        let shares = outcome.shares.iter().map(seal).collect::<Result<_, Failure>>()?;
        let file = ShareFile { v: VERSION, ceremony: outcome.ceremony, public: outcome.public.clone(), shares };
        let name = name(&outcome.public.group);
        self.0.create(&name, &written(&file)?)?;
        let kept: Option<ShareFile> = read(&self.0, &name).ok().flatten();
        match kept.filter(|kept| kept.opens_to(outcome, owner)) {
            Some(kept) => self.shown(&kept),
            None => Err(Failure::stopped(
                "share_not_kept",
                format!(
                    "{} does not read back as the share that came out: another file was there already, or the disk is \
                     full or broken. Move it away and come back: passport ceremony join {}",
                    self.0.path(&name).display(),
                    outcome.ceremony
                ),
            )),
        }
    }

    /// The key of a group, if this device has a share of it.
    pub(crate) fn find(&self, group: &GroupId) -> Result<Option<SharedKey>, Failure> {
        self.read(&name(group))
    }

    /// All of them.
    pub(crate) fn all(&self) -> Result<Vec<SharedKey>, Failure> {
        let is_share = |name: &String| name.ends_with(".json") && !name.starts_with('.');
        let names = self.0.names()?.into_iter().filter(is_share);
        names.filter_map(|name| self.read(&name).transpose()).collect()
    }

    fn read(&self, name: &str) -> Result<Option<SharedKey>, Failure> {
        read(&self.0, name)?.map(|file| self.shown(&file)).transpose()
    }

    fn shown(&self, file: &ShareFile) -> Result<SharedKey, Failure> {
        let ShareFile { ceremony, public, shares, .. } = file;
        let share = self.0.path(&name(&public.group));
        let pubkey = PublicKey::from_bytes(*public.pubkey.as_bytes());
        let first = shares.first().ok_or_else(|| damaged(&share))?;
        Ok(SharedKey {
            operation_id: *ceremony,
            group: public.group,
            pubkey,
            npub: nip19::encode_npub(&pubkey),
            threshold: public.threshold,
            holders: public.holders.len(),
            index: first.index,
            share,
        })
    }
}

impl ShareFile {
    fn opens_to(&self, outcome: &Outcome, owner: &OwnerKey) -> bool {
        let is_same = |(kept, made): (&SealedIndex, &KeyShare)| {
            let opened = kept.sealed.open(&key(owner), &share_label(&self.public, kept.index));
            opened.ok().and_then(|it| it.into_fixed()).is_some_and(|it| it.ct_eq(&made.expose_signing_share()))
        };
        self.public == outcome.public
            && self.shares.len() == outcome.shares.len()
            && self.shares.iter().zip(&outcome.shares).all(is_same)
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

fn share_label(public: &GroupPublic, holder: HolderIndex) -> Label<'static> {
    Label { group: public.group, holder, purpose: SHARE, id: &[] }
}

fn name(group: &GroupId) -> String {
    format!("{group}.json")
}

fn written<T: Serialize>(file: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(file).map_err(|_| Failure::stopped("internal", "The file could not be written."))
}

fn read<T: DeserializeOwned>(home: &Home, name: &str) -> Result<Option<T>, Failure> {
    #[derive(Deserialize)]
    struct Header {
        v: u32,
    }
    let Some(bytes) = home.read(name)? else { return Ok(None) };
    let path = home.path(name);
    match serde_json::from_slice(&bytes) {
        Ok(Header { v: VERSION }) => serde_json::from_slice(&bytes).map(Some).map_err(|_| damaged(&path)),
        Ok(Header { v }) => Err(Failure::stopped(
            "file_version_unknown",
            format!(
                "{} has version {v}, and this client knows {VERSION}. Use the client that wrote it.",
                path.display()
            ),
        )),
        Err(_) => Err(damaged(&path)),
    }
}

fn damaged(path: &std::path::Path) -> Failure {
    Failure::stopped(
        "file_damaged",
        format!("{} is not what this client wrote. Put back a copy of it, or move it away.", path.display()),
    )
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

    use frost_wasm_core::{frost::keygen, group::HolderRole};

    use super::*;
    use crate::ceremony::tests::{person, view};

    fn outcome() -> Outcome {
        let mut rng = platform::rng();
        let holders = [1, 2].map(|index| (HolderIndex::new(index).unwrap(), HolderRole::Device));
        let group = GroupId::from_bytes([2; 16]);
        let secret = Secret32::from_bytes([7; 32]);
        let (public, mut shares) = keygen::split(secret, group, &holders, 2, &mut rng).unwrap();
        Outcome { ceremony: CeremonyId::from_bytes([1; 16]), public, shares: shares.split_off(1) }
    }

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
    }

    #[test]
    fn a_share_is_kept_sealed_read_back_and_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let shares = Shares::of(&Home::at(folder.path()));
        let (owner, made) = (OwnerKey::fresh(&mut platform::rng()), outcome());
        assert_eq!(shares.all().unwrap(), []);
        let key = shares.keep(&made, &owner).unwrap();
        assert_eq!((key.index.get(), key.threshold, key.holders), (2, 2, 2));
        let bytes = fs::read_to_string(&key.share).unwrap();
        assert!(!bytes.contains(made.shares[0].expose_signing_share().to_hex().expose_secret()));

        // Whoever was killed before the seed was removed keeps the same again.
        assert_eq!(shares.keep(&made, &owner).unwrap(), key);
        assert_eq!(shares.all().unwrap(), std::slice::from_ref(&key));
        assert_eq!(shares.find(&key.group).unwrap(), Some(key.clone()));
        // The same group, but another key.
        assert_eq!(shares.keep(&outcome(), &owner).unwrap_err().code(), "share_not_kept");
        assert_eq!(fs::read_to_string(&key.share).unwrap(), bytes);
        fs::write(&key.share, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(shares.keep(&made, &owner).unwrap_err().code(), "share_not_kept");
        assert_eq!(shares.find(&key.group).unwrap_err().code(), "file_damaged");
        fs::write(&key.share, bytes.replacen("\"v\": 1", "\"v\": 2", 1)).unwrap();
        assert_eq!(shares.all().unwrap_err().code(), "file_version_unknown");
    }
}
