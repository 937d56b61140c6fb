//! The vault's place in a ceremony: a new key, or new shares of one that is in use.

use bunker_core::event::Event;
use frost_wasm_core::{
    ceremony::{CeremonyId, Package},
    group::{GroupPublic, HolderRole},
    kdf::Stretched,
    secret::Secret32,
};
use rand_core::{CryptoRng, RngCore};

use super::{Place, Vault, locked};
use crate::{
    Failure,
    ceremony::{Attendance, CeremonyView, Custody, JoinRequest, OtherDevices, Outcome, Renewal, StartRequest},
    holders::{HolderList, Holders},
    kit::KitFile,
    shares::SealedShares,
};

impl Vault {
    /// Begins a new key in this custody. A ceremony that was begun before is forgotten.
    pub fn begin_keygen<R: RngCore + CryptoRng>(
        &mut self,
        holders: &HolderList,
        custody: Custody,
        rng: &mut R,
    ) -> Result<StartRequest, Failure> {
        let holders = Holders::from_list(holders)?;
        let owner = self.owner()?;
        let (attendance, request) = match custody {
            Custody::Hosted => Attendance::hosted(owner, &holders, rng)?,
            Custody::Device => Attendance::with_device(owner, &holders, rng)?,
        };
        self.ceremony = Some(attendance);
        Ok(request)
    }

    /// Begins new shares of a key in use, with what the person has of it: this device's share, or the kit, or both. A
    /// ceremony that was begun before is forgotten.
    pub fn begin_renewal<R: RngCore + CryptoRng>(
        &mut self,
        wanted: &RenewalWanted<'_>,
        holders: &HolderList,
        rng: &mut R,
    ) -> Result<RenewalBegun, Failure> {
        let holders = Holders::from_list(holders)?;
        let owner = self.owner()?;
        let mut present = wanted.shares.map(|sealed| sealed.open(owner)).transpose()?.unwrap_or_default();
        if let Some((kit, stretched)) = wanted.kit {
            present.push(self.open_own_kit(kit, stretched, wanted.public)?.share);
        }
        let renewal = Renewal::new(wanted.public, present, wanted.custody)?.with_others(wanted.others);
        let (needs_export, waits_for) = (renewal.needs_export(), renewal.waits_for());
        let (attendance, request) = Attendance::renew(owner, &holders, renewal, rng)?;
        self.ceremony = Some(attendance);
        Ok(RenewalBegun { request, needs_export, waits_for })
    }

    /// Comes to new shares that another device of the person's began, for the place of this device's present share, or as
    /// a new device. Gives what to join with. A ceremony that was begun before is forgotten.
    pub fn join_renewal<R: RngCore + CryptoRng>(
        &mut self,
        public: &GroupPublic,
        holders: &HolderList,
        shares: Option<&SealedShares>,
        view: &CeremonyView,
        rng: &mut R,
    ) -> Result<JoinRequest, Failure> {
        let holders = Holders::from_list(holders)?;
        let owner = self.owner()?;
        let has = shares.filter(|sealed| sealed.public() == public).and_then(|sealed| sealed.indices().next());
        let attendance = Attendance::join_renewal(owner, &holders, public, has, view, &Secret32::random(rng))?;
        let request = attendance.join();
        self.ceremony = Some(attendance);
        Ok(request)
    }

    /// Takes in how the ceremony stands, and gives what this device has to say to it. One that fails is forgotten.
    pub fn take_ceremony<R: RngCore + CryptoRng>(
        &mut self,
        view: &CeremonyView,
        rng: &mut R,
    ) -> Result<CeremonyStand, Failure> {
        self.require_unlocked()?;
        let attendance = self.ceremony.as_mut().ok_or_else(no_ceremony)?;
        let stand = attendance.take(view, rng).and_then(|packages| {
            let (next, round, verified) = (attendance.next(), attendance.round(), attendance.is_verified());
            let keeps = attendance.to_keep()?.is_some();
            Ok(CeremonyStand { packages, next, round, keeps, verified })
        });
        if stand.is_err() {
            self.ceremony = None;
        }
        stand
    }

    /// The identity that came out of the keygen. The recovery share is kept for [`Vault::make_kit`].
    pub fn finish_keygen<R: RngCore + CryptoRng>(&mut self, now_s: u64, rng: &mut R) -> Result<MadeIdentity, Failure> {
        let owner = self.owner.as_ref().ok_or_else(locked)?;
        let outcome = self.ceremony.as_ref().ok_or_else(no_ceremony)?.outcome()?;
        let outcome = outcome.ok_or_else(|| {
            Failure::new("keygen_unfinished", "The key is not made yet: not every holder has accepted it.")
        })?;
        let made = MadeIdentity {
            npub: outcome.npub(),
            statement: outcome.statement(owner, now_s, rng)?,
            ceremony: outcome.ceremony,
            shares: self.sealed(&outcome, rng)?,
            public: outcome.public.clone(),
        };
        self.keep_recovery(outcome);
        self.ceremony = None;
        Ok(made)
    }

    /// The owner's word that the holders deal new shares in the ceremony that was begun here.
    pub fn reshare<R: RngCore + CryptoRng>(&self, seq: u64, now_s: u64, rng: &mut R) -> Result<Event, Failure> {
        let attendance = self.ceremony.as_ref().ok_or_else(no_ceremony)?;
        let word = attendance.word().ok_or_else(|| {
            Failure::new("renewal_not_begun", "The server has not begun to renew the shares. Begin again.")
        })?;
        self.sign(Place { group: attendance.group(), seq }, &word, now_s, rng)
    }

    /// The new shares, which have to be kept before [`Vault::kept`] is said. The recovery share is kept for
    /// [`Vault::make_kit`].
    pub fn new_shares<R: RngCore + CryptoRng>(&mut self, rng: &mut R) -> Result<NewShares, Failure> {
        let outcome = self.ceremony.as_ref().ok_or_else(no_ceremony)?.to_keep()?;
        let outcome = outcome.ok_or_else(|| {
            Failure::new(
                "renewal_unfinished",
                "The new shares are not there yet: not every holder has signed with its own.",
            )
        })?;
        let made =
            NewShares { npub: outcome.npub(), shares: self.sealed(&outcome, rng)?, public: outcome.public.clone() };
        self.keep_recovery(outcome);
        Ok(made)
    }

    /// This device's share and the kit's stand where they will be found: this device accepts them.
    pub fn kept(&mut self) -> Result<(), Failure> {
        self.ceremony.as_mut().ok_or_else(no_ceremony)?.kept();
        Ok(())
    }

    /// Forgets the ceremony and what came out of it. The shares that it was begun with go from memory.
    pub fn end_ceremony(&mut self) {
        self.ceremony = None;
        self.recovery = None;
    }

    fn sealed<R: RngCore + CryptoRng>(&self, outcome: &Outcome, rng: &mut R) -> Result<Option<SealedShares>, Failure> {
        let shares = SealedShares::seal(outcome, self.owner()?, rng)?;
        Ok(Some(shares).filter(|it| it.indices().next().is_some()))
    }

    fn keep_recovery(&mut self, outcome: Outcome) {
        self.recovery = outcome.shares.into_iter().find(|share| share.role() == HolderRole::Recovery);
    }
}

/// The new shares that a person wants, and what they have of the key.
#[derive(Debug, Clone, Copy)]
pub struct RenewalWanted<'a> {
    /// The group as it is.
    pub public: &'a GroupPublic,
    /// Who holds the shares afterwards.
    pub custody: Custody,
    /// What becomes of their other devices.
    pub others: OtherDevices,
    /// This device's share.
    pub shares: Option<&'a SealedShares>,
    /// Their kit, and its passphrase.
    pub kit: Option<(&'a KitFile, &'a Stretched)>,
}

/// New shares as they are asked for.
#[derive(Debug)]
pub struct RenewalBegun {
    /// `POST /ceremony/start` takes this.
    pub request: StartRequest,
    /// Whether the holders want an export's delay to be over.
    pub needs_export: bool,
    /// How many other devices of the person's have to join before anything is dealt.
    pub waits_for: usize,
}

/// What a device has to say in a ceremony, and where that is.
#[derive(Debug)]
pub struct CeremonyStand {
    /// To be posted, each to its round.
    pub packages: Vec<Package>,
    /// What to ask for next time.
    pub next: u64,
    /// The round that is due, from 1.
    pub round: u16,
    /// Whether there are [new shares](Vault::new_shares) to be kept now, before this device says more.
    pub keeps: bool,
    /// Whether every holder has accepted.
    pub verified: bool,
}

/// An identity whose key was made with the server's holders, ready to be created.
#[derive(Debug)]
pub struct MadeIdentity {
    /// Its `npub1…`.
    pub npub: String,
    /// Its group.
    pub public: GroupPublic,
    /// The `create_group` statement.
    pub statement: Event,
    /// The ceremony in which the holders got their shares.
    pub ceremony: CeremonyId,
    /// This device's share, to be kept on it; none where the server's holders have the shares.
    pub shares: Option<SealedShares>,
}

/// New shares of a key in use, before they are accepted.
#[derive(Debug)]
pub struct NewShares {
    /// Its `npub1…`.
    pub npub: String,
    /// The group as it will be.
    pub public: GroupPublic,
    /// This device's share, to be kept beside the present one; none in hosted custody.
    pub shares: Option<SealedShares>,
}

fn no_ceremony() -> Failure {
    Failure::new("no_ceremony", "What was begun here is gone: the page was locked, or it was begun anew. Begin again.")
}

#[cfg(test)]
mod tests {
    use frost_wasm_core::group::HolderIndex;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::{
        ceremony::tests::Server,
        tests::{NOW_S, rng},
        vault::tests::{list, stretched, unlocked},
    };

    const PASSPHRASE: &str = "kit passphrase";

    /// Goes through a ceremony with an honest server, for so many of the device's words; one stops where new shares have
    /// to be kept.
    fn attend(
        vault: &mut Vault,
        request: &StartRequest,
        words: usize,
        rng: &mut ChaCha20Rng,
    ) -> (Server, CeremonyStand) {
        let mut server = Server::start(request, rng);
        let mut stand = vault.take_ceremony(&server.view(0), rng).unwrap();
        if vault.reshare(2, NOW_S, rng).is_err() {
            server.drive(rng);
            stand = vault.take_ceremony(&server.view(0), rng).unwrap();
        }
        for _ in 0..words {
            if stand.keeps {
                break;
            }
            stand.packages.iter().for_each(|package| server.post(package, rng));
            server.drive(rng);
            stand = vault.take_ceremony(&server.view(stand.next), rng).unwrap();
        }
        (server, stand)
    }

    fn keygen(vault: &mut Vault, words: usize, rng: &mut ChaCha20Rng) -> (Server, CeremonyStand) {
        let request = vault.begin_keygen(&list(), Custody::Hosted, rng).unwrap();
        attend(vault, &request, words, rng)
    }

    /// A key that signs with this device, and its kit.
    fn with_device(vault: &mut Vault, rng: &mut ChaCha20Rng) -> (MadeIdentity, KitFile) {
        let request = vault.begin_keygen(&list(), Custody::Device, rng).unwrap();
        let (_, stand) = attend(vault, &request, 10, rng);
        assert!(stand.verified);
        let made = vault.finish_keygen(NOW_S, rng).unwrap();
        let kit = vault.make_kit(&stretched(PASSPHRASE), rng).unwrap();
        (made, kit)
    }

    /// In device custody, on one device.
    fn alone<'a>(
        public: &'a GroupPublic,
        shares: Option<&'a SealedShares>,
        kit: Option<(&'a KitFile, &'a Stretched)>,
    ) -> RenewalWanted<'a> {
        RenewalWanted { public, custody: Custody::Device, others: OtherDevices::default(), shares, kit }
    }

    /// Two vaults of one account.
    fn two_unlocked(rng: &mut ChaCha20Rng) -> [Vault; 2] {
        let [mut one, mut other] = [Vault::default(), Vault::default()];
        let password = stretched("a password");
        let made = one.register("https://passport.example", "alice", &password, NOW_S, rng).unwrap();
        other.login_secret(&password).unwrap();
        other.unlock(&made.owner_pubkey, &made.credentials.owner_blob).unwrap();
        [one, other]
    }

    #[test]
    fn a_new_key_is_made_with_the_holders_and_its_kit_has_the_recovery_share() {
        let mut rng = rng(1);
        let mut vault = unlocked(&mut rng);
        let (server, stand) = keygen(&mut vault, 5, &mut rng);
        assert!(stand.verified && stand.packages.is_empty() && !stand.keeps);
        let made = vault.finish_keygen(NOW_S, &mut rng).unwrap();
        assert_eq!(made.ceremony, server.view(0).operation_id);
        assert_eq!(Some(made.statement.pubkey), vault.unlocked());
        let kit = vault.make_kit(&stretched(PASSPHRASE), &mut rng).unwrap();
        assert_eq!(kit.npub(), made.npub);
        vault.check_kit(&kit, &stretched(PASSPHRASE), &made.public).unwrap();
        assert_eq!(vault.finish_keygen(NOW_S, &mut rng).unwrap_err().code(), "no_ceremony");
    }

    #[test]
    fn a_keygen_goes_on_after_a_lost_answer_and_gives_nothing_before_its_end() {
        let mut rng = rng(1);
        let mut vault = unlocked(&mut rng);
        let (server, stand) = keygen(&mut vault, 2, &mut rng);
        assert_eq!((stand.round, stand.verified), (3, false));
        assert_eq!(vault.finish_keygen(NOW_S, &mut rng).unwrap_err().code(), "keygen_unfinished");
        assert_eq!(vault.new_shares(&mut rng).unwrap_err().code(), "renewal_unfinished");
        assert_eq!(vault.reshare(2, NOW_S, &mut rng).unwrap_err().code(), "renewal_not_begun");
        let again = vault.take_ceremony(&server.view(0), &mut rng).unwrap();
        assert_eq!(again.packages, stand.packages);
        assert_eq!(vault.make_kit(&stretched(PASSPHRASE), &mut rng).unwrap_err().code(), "no_identity");
    }

    #[test]
    fn a_keygen_in_which_the_device_was_misled_is_forgotten() {
        let mut rng = rng(1);
        let mut vault = unlocked(&mut rng);
        let (server, _) = keygen(&mut vault, 0, &mut rng);
        let mut view = server.view(0);
        view.packages[0].party = 3;
        assert_eq!(vault.take_ceremony(&view, &mut rng).unwrap_err().code(), "ceremony_misled");
        assert_eq!(vault.take_ceremony(&server.view(0), &mut rng).unwrap_err().code(), "no_ceremony");
    }

    #[test]
    fn new_shares_are_there_to_be_kept_before_they_are_accepted_and_old_kits_are_told_apart() {
        let mut rng = rng(2);
        let mut vault = unlocked(&mut rng);
        let (made, old) = with_device(&mut vault, &mut rng);
        let key = stretched(PASSPHRASE);
        let wanted = alone(&made.public, made.shares.as_ref(), Some((&old, &key)));
        let begun = vault.begin_renewal(&wanted, &list(), &mut rng).unwrap();
        assert!(!begun.needs_export);
        let (mut server, stand) = attend(&mut vault, &begun.request, 10, &mut rng);
        assert!(stand.keeps && stand.packages.is_empty() && !stand.verified);
        let statement = vault.reshare(7, NOW_S, &mut rng).unwrap();
        assert_eq!(Some(statement.pubkey), vault.unlocked());

        let new = vault.new_shares(&mut rng).unwrap();
        assert_eq!((&new.npub, new.public.pubkey, new.public.epoch), (&made.npub, made.public.pubkey, 1));
        assert_eq!(new.shares.as_ref().unwrap().public(), &new.public);
        let kit = vault.make_kit(&key, &mut rng).unwrap();
        vault.check_kit(&kit, &key, &new.public).unwrap();
        assert_eq!(vault.check_kit(&old, &key, &new.public).unwrap_err().code(), "kit_of_another_epoch");
        assert_eq!(
            vault.renew_kit(&old, &key, &key, &new.public, &mut rng).unwrap_err().code(),
            "kit_of_another_epoch"
        );

        vault.kept().unwrap();
        let mut stand = vault.take_ceremony(&server.view(0), &mut rng).unwrap();
        for _ in 0..2 {
            stand.packages.iter().for_each(|package| server.post(package, &mut rng));
            stand = vault.take_ceremony(&server.view(stand.next), &mut rng).unwrap();
        }
        assert!(stand.verified && !stand.keeps);
        vault.end_ceremony();
        assert_eq!(vault.kept().unwrap_err().code(), "no_ceremony");
        assert_eq!(vault.make_kit(&key, &mut rng).unwrap_err().code(), "no_identity");
        let key_again = vault.leave_with_kit(new.shares.as_ref().unwrap(), &kit, &key).unwrap();
        assert_eq!(key_again.npub, made.npub);
        let mixed = vault.leave_with_kit(new.shares.as_ref().unwrap(), &old, &key).unwrap_err();
        assert_eq!(mixed.code(), "kit_of_another_epoch");
    }

    #[test]
    fn with_one_share_of_the_persons_an_export_is_needed_and_without_any_nothing_is_begun() {
        let mut rng = rng(3);
        let mut vault = unlocked(&mut rng);
        let (made, kit) = with_device(&mut vault, &mut rng);
        let key = stretched(PASSPHRASE);
        let mut begin = |shares, kit| {
            let begun = vault.begin_renewal(&alone(&made.public, shares, kit), &list(), &mut rng);
            begun.map(|it| it.needs_export).map_err(|failure| failure.code())
        };
        let wrong = stretched("not it");
        assert_eq!(begin(None, Some((&kit, &key))), Ok(true));
        assert_eq!(begin(made.shares.as_ref(), None), Ok(true));
        assert_eq!(begin(None, None), Err("share_missing"));
        assert_eq!(begin(None, Some((&kit, &wrong))), Err("wrong_passphrase"));
        let mut locked = Vault::default();
        let refused = locked.begin_renewal(&alone(&made.public, None, None), &list(), &mut rng).unwrap_err();
        assert_eq!(refused.code(), "locked");
    }

    #[test]
    fn another_device_joins_and_each_keeps_a_share_of_its_own_before_it_accepts() {
        let mut rng = rng(4);
        let [mut first, mut second] = two_unlocked(&mut rng);
        let (made, kit) = with_device(&mut first, &mut rng);
        let key = stretched(PASSPHRASE);
        let others = OtherDevices { add: true, leave: false };
        let wanted = RenewalWanted { others, ..alone(&made.public, made.shares.as_ref(), Some((&kit, &key))) };
        let begun = first.begin_renewal(&wanted, &list(), &mut rng).unwrap();
        assert_eq!((begun.waits_for, begun.needs_export), (1, false));
        let mut server = Server::start(&begun.request, &mut rng);
        let view = server.view(0);
        let waiting = first.take_ceremony(&view, &mut rng).unwrap();
        assert!(waiting.round == 0 && waiting.packages.is_empty());
        assert_eq!(first.reshare(2, NOW_S, &mut rng).unwrap_err().code(), "renewal_not_begun");

        let has = made.shares.as_ref();
        let none_waits = second.join_renewal(&made.public, &list(), has, &view, &mut rng).unwrap_err();
        assert_eq!(none_waits.code(), "nothing_to_join", "a device with a share is not the new one");
        let join = second.join_renewal(&made.public, &list(), None, &view, &mut rng).unwrap();
        server.join(&join);
        first.take_ceremony(&server.view(0), &mut rng).unwrap();
        first.reshare(2, NOW_S, &mut rng).unwrap();
        let mut kept = [None, None];
        for _ in 0..20 {
            for (vault, kept) in [&mut first, &mut second].into_iter().zip(&mut kept) {
                server.drive(&mut rng);
                let stand = vault.take_ceremony(&server.view(0), &mut rng).unwrap();
                stand.packages.iter().for_each(|package| server.post(package, &mut rng));
                if stand.keeps {
                    *kept = Some(vault.new_shares(&mut rng).unwrap());
                    vault.kept().unwrap();
                }
            }
        }
        assert!(first.take_ceremony(&server.view(0), &mut rng).unwrap().verified);
        let indices = kept.map(|it| it.unwrap().shares.unwrap().indices().map(HolderIndex::get).collect::<Vec<_>>());
        assert_eq!(indices, [vec![2], vec![4]]);
        first.make_kit(&key, &mut rng).unwrap();
        assert_eq!(second.make_kit(&key, &mut rng).unwrap_err().code(), "no_identity", "the kit is the first one's");
    }
}
