//! Shares that live on this device, as they rest there: sealed under a key that follows from the owner key, which the
//! device has in the clear only while it is unlocked by password or passkey. The server has neither file nor key.

use bunker_core::{event::Event, keys::PublicKey, members::Member};
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    sealed::{Dek, Label, SealError, SealedBytes},
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};

use crate::{
    Failure,
    ceremony::{self, Outcome},
    owner::OwnerKey,
    split,
};

/// Version of the form.
const VERSION: u32 = 1;
const PURPOSE: &str = "ceremony-share";

/// What this device keeps of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedShares {
    v: u32,
    ceremony: CeremonyId,
    public: GroupPublic,
    /// The group's owner; none where that is the account itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<PublicKey>,
    /// Who holds which device share, where people share the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    people: Vec<Member>,
    shares: Vec<SealedIndex>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SealedIndex {
    index: HolderIndex,
    sealed: SealedBytes,
}

impl SealedShares {
    /// Seals what came out of a ceremony, but for what goes into a recovery kit.
    pub fn seal<R: RngCore + CryptoRng>(outcome: &Outcome, owner: &OwnerKey, rng: &mut R) -> Result<Self, Failure> {
        let key = key(owner);
        let mut shares = Vec::new();
        for share in to_keep(outcome) {
            let (label, secret) = (label(&outcome.public, share.index()), share.expose_signing_share());
            let sealed = SealedBytes::seal(&key, &label, secret.expose_secret(), rng).map_err(unsealable)?;
            shares.push(SealedIndex { index: share.index(), sealed });
        }
        let own = owner.public_key();
        let is_shared = outcome.people.iter().any(|it| it.person != own);
        let people = if is_shared { outcome.people.clone() } else { Vec::new() };
        let authority = people.first().map(|it| it.person);
        let (ceremony, public) = (outcome.ceremony, outcome.public.clone());
        Ok(Self { v: VERSION, ceremony, public, owner: authority, people, shares })
    }

    /// Reads what was kept.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let kept: Self = serde_json::from_str(text).map_err(|_| damaged())?;
        if kept.v == VERSION { Ok(kept) } else { Err(damaged()) }
    }

    /// What is to be kept.
    pub fn to_text(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|_| damaged())
    }

    /// The group's id.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.public.group
    }

    /// The group.
    #[must_use]
    pub fn public(&self) -> &GroupPublic {
        &self.public
    }

    /// The ceremony that made it.
    #[must_use]
    pub fn ceremony(&self) -> CeremonyId {
        self.ceremony
    }

    /// Whose word counts for the group: its owner's. `own` is the account that this device is signed in to.
    #[must_use]
    pub fn authority(&self, own: PublicKey) -> PublicKey {
        self.owner.unwrap_or(own)
    }

    /// Who holds which device share, where people share the key; the owner is the first.
    #[must_use]
    pub fn people(&self) -> &[Member] {
        &self.people
    }

    /// The owner's `create_group` statement for a key that people share.
    pub fn statement<R: RngCore + CryptoRng>(
        &self,
        owner: &OwnerKey,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        let members = ceremony::members(&self.public, &self.people, &owner.public_key())?;
        split::create_group(owner, &self.public, members, now_s, rng)
    }

    /// The Nostr key.
    #[must_use]
    pub fn pubkey(&self) -> PublicKey {
        PublicKey::from_bytes(*self.public.pubkey.as_bytes())
    }

    /// The numbers of the shares.
    pub fn indices(&self) -> impl Iterator<Item = HolderIndex> {
        self.shares.iter().map(|share| share.index)
    }

    /// Opens them. Each is checked against the group.
    pub fn open(&self, owner: &OwnerKey) -> Result<Vec<KeyShare>, Failure> {
        let open = |kept: &SealedIndex| {
            let secret = kept.sealed.open(&key(owner), &label(&self.public, kept.index)).map_err(|_| not_ours())?;
            let secret = secret.into_fixed().ok_or_else(damaged)?;
            KeyShare::new(&self.public, kept.index, secret).map_err(|_| damaged())
        };
        self.shares.iter().map(open).collect()
    }

    /// Whether this opens to just what came out of a ceremony and is to be kept: to be asked of what was read back.
    #[must_use]
    pub fn opens_to(&self, outcome: &Outcome, owner: &OwnerKey) -> bool {
        let is_same = |(kept, made): (&KeyShare, &KeyShare)| {
            kept.index() == made.index() && kept.expose_signing_share().ct_eq(&made.expose_signing_share())
        };
        self.public == outcome.public
            && (self.people.is_empty() || self.people == outcome.people)
            && self.shares.len() == to_keep(outcome).count()
            && self.open(owner).is_ok_and(|kept| kept.iter().zip(to_keep(outcome)).all(is_same))
    }

    /// The share with which this device contributes.
    pub fn open_one(&self, owner: &OwnerKey) -> Result<KeyShare, Failure> {
        self.open(owner)?.into_iter().next().ok_or_else(damaged)
    }
}

/// All but what goes into a recovery kit.
fn to_keep(outcome: &Outcome) -> impl Iterator<Item = &KeyShare> {
    outcome.shares.iter().filter(|share| share.role() != HolderRole::Recovery)
}

/// Sealing derives a key of its own from this one (HKDF-SHA256), so that the owner key itself encrypts nothing.
fn key(owner: &OwnerKey) -> Dek {
    Dek::from_secret(owner.expose_secret())
}

fn label(public: &GroupPublic, holder: HolderIndex) -> Label<'static> {
    Label { group: public.group, holder, purpose: PURPOSE, id: &[] }
}

fn unsealable(error: SealError) -> Failure {
    Failure::new("share_unsealable", format!("The share was not encrypted: {error}. Nothing is kept; begin again."))
}

fn not_ours() -> Failure {
    Failure::new("share_does_not_open", "This device's share is of another account. Sign in to the one that made it.")
}

fn damaged() -> Failure {
    Failure::new(
        "share_damaged",
        "What this device keeps of its share is damaged. Put back a copy of the file. If there is none: your recovery kit \
         has the other share of a key of your own, and of one that people share the owner can give you a new share.",
    )
}
