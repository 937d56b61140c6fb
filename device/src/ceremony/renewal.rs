//! How the shares of a key in use are dealt anew: who deals, and who has a share afterwards. The Nostr key stays.

use frost_wasm_core::{
    group::{GroupPublic, HolderIndex, HolderRole},
    point::XOnlyKey,
    share::KeyShare,
};

use super::goal::{Expected, Goal};
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

/// New shares for an identity.
#[derive(Debug)]
pub struct Renewal {
    from: GroupPublic,
    /// With which this device deals: its own, or the kit's, or both.
    shares: Vec<KeyShare>,
    custody: Custody,
}

impl Renewal {
    /// `shares` are those that the person has at hand: in device custody this device's or the kit's, or both.
    ///
    /// # Errors
    /// When they are of another epoch or identity, or too few, or the server could not act afterwards.
    pub fn new(from: &GroupPublic, shares: Vec<KeyShare>, custody: Custody) -> Result<Self, Failure> {
        let present = Custody::of(from);
        if shares.iter().any(|share| **share.group() != *from) {
            return Err(Failure::new(
                "share_of_another_epoch",
                "This share or recovery kit is from before the shares were last renewed, or of another identity. Use \
                 the newest kit.",
            ));
        }
        match (present, custody) {
            (Custody::Device, Custody::Hosted) => Err(Failure::new(
                "custody_unsupported",
                "A key that was given to a device's care can't be given to the server's. Nothing was changed.",
            )),
            (Custody::Device, Custody::Device) if shares.is_empty() => Err(Failure::new(
                "share_missing",
                "This device has no share of this identity. Bring the recovery kit: with it a share can be made for \
                 this device.",
            )),
            _ => {
                // In hosted custody the server's two holders deal, and nothing of the person's is needed.
                let shares = if present == Custody::Hosted { Vec::new() } else { shares };
                Ok(Self { from: from.clone(), shares, custody })
            }
        }
    }

    /// Whether the owner's devices get enough shares for the whole key without having shown as many: the holders want an
    /// export's delay to be over for that.
    #[must_use]
    pub fn needs_export(&self) -> bool {
        self.custody == Custody::Device && self.shares.len() < usize::from(self.from.threshold)
    }

    /// Who holds the shares afterwards.
    #[must_use]
    pub fn custody(&self) -> Custody {
        self.custody
    }

    pub(super) fn into_goal(self, owner: XOnlyKey, holders: &Holders) -> Result<(Goal, Vec<KeyShare>), Failure> {
        let index =
            |number| HolderIndex::new(number).map_err(|error| Failure::new("ceremony_failed", error.to_string()));
        let [bunker, second, kit] = [index(BUNKER)?, index(COSIGNER)?, index(RECOVERY)?];
        let Self { from, shares, custody } = self;
        let present = Custody::of(&from);
        let deals = |role: HolderRole| {
            let mine = shares.iter().take(usize::from(THRESHOLD)).find(|share| share.role() == role);
            mine.map(KeyShare::index)
        };
        let bunker_deals = (shares.len() < usize::from(THRESHOLD)).then_some(bunker);
        let mut parties = vec![Expected::server(HolderRole::Bunker, &holders.bunker).at(bunker_deals, Some(bunker))];
        let cosigner = Expected::server(HolderRole::Cosigner, &holders.cosigner);
        let device = Expected::person(HolderRole::Device, owner);
        match (present, custody) {
            (Custody::Hosted, Custody::Hosted) => parties.push(cosigner.at(Some(second), Some(second))),
            (Custody::Hosted, Custody::Device) => {
                parties.push(cosigner.at(Some(second), None));
                parties.push(device.at(None, Some(second)));
            }
            (Custody::Device, _) => parties.push(device.at(deals(HolderRole::Device), Some(second))),
        }
        parties.push(Expected::person(HolderRole::Recovery, owner).at(deals(HolderRole::Recovery), Some(kit)));
        Ok((Goal::reshare(from, parties), shares))
    }
}
