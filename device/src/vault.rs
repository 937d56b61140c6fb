//! What the page's vault holds, and everything it is asked to do.
//!
//! A passphrase comes in stretched: scrypt runs elsewhere, in memory that goes away with it. What stays until the
//! vault is dropped is the owner key; a draft stays until it is split, a place in a ceremony until that has ended, a
//! recovery share until the next one, and nonces until their signature is made.

mod ceremony;

use bunker_core::{
    audit::{AuditHead, AuditRecord, ChainError, verify_chain},
    event::Event,
    grant::Terms,
    keys::PublicKey,
    nip49::EncryptedKey,
    session::DeviceMemory,
    statement::Verb,
};
use frost_wasm_core::{
    group::{GroupId, GroupPublic},
    kdf::Stretched,
    login::{LoginKeys, OwnerBlobKey},
    secret::{Secret32, SecretString},
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};

pub use self::ceremony::{CeremonyStand, MadeIdentity, NewShares, RenewalBegun, RenewalWanted};
use crate::{
    Failure,
    ceremony::Attendance,
    connection::{self, NewConnection},
    contribution::{Contributed, Contributor, Nonces, Offer, ShownRequest},
    enrolment::{self, Credentials},
    export::{self, Exported},
    holders::{HolderList, Holders},
    kit::{KitFile, OpenedKit},
    owner::OwnerKey,
    secret_key,
    shares::SealedShares,
    split::{self, SharePackages, SplitKey},
};

/// The secrets of one person, while the page is open.
#[derive(Debug, Default)]
pub struct Vault {
    keys: Option<LoginKeys>,
    owner: Option<OwnerKey>,
    draft: Option<Secret32>,
    ceremony: Option<Attendance>,
    recovery: Option<KeyShare>,
    nonces: Nonces,
}

/// What makes or takes back an account.
#[derive(Debug)]
pub struct Enrolment {
    /// The owner key.
    pub owner_pubkey: PublicKey,
    /// The way in under the password.
    pub credentials: Credentials,
    /// The owner's proof.
    pub proof: Event,
}

/// Where a statement stands: in which group, and as which number.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The group.
    pub group: GroupId,
    /// One more than the number of the group's last statement.
    pub seq: u64,
}

impl Vault {
    /// Makes the owner key of a new account.
    pub fn register<R: RngCore + CryptoRng>(
        &mut self,
        origin: &str,
        username: &str,
        stretched: &Stretched,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Enrolment, Failure> {
        let owner = OwnerKey::fresh(rng);
        let credentials = Credentials::new(stretched, &owner, rng)?;
        let proof = credentials.register_proof(&owner, origin, username, now_s, rng)?;
        let owner_pubkey = owner.public_key();
        self.hold(owner);
        Ok(Enrolment { owner_pubkey, credentials, proof })
    }

    /// Takes an account back with its opened kit, under a new password.
    pub fn recover<R: RngCore + CryptoRng>(
        &mut self,
        origin: &str,
        challenge: &str,
        kit: OpenedKit,
        stretched: &Stretched,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Enrolment, Failure> {
        let owner = kit.owner;
        let credentials = Credentials::new(stretched, &owner, rng)?;
        let proof = credentials.recover_proof(&owner, origin, challenge, now_s, rng)?;
        let owner_pubkey = owner.public_key();
        self.hold(owner);
        Ok(Enrolment { owner_pubkey, credentials, proof })
    }

    /// What is sent in the password's place. The other key is kept for [`Vault::unlock`].
    pub fn login_secret(&mut self, stretched: &Stretched) -> Result<SecretString, Failure> {
        let keys = enrolment::keys(stretched)?;
        let secret = SecretString::from(keys.login_secret().expose_secret().to_owned());
        self.keys = Some(keys);
        Ok(secret)
    }

    /// Opens the owner key with the keys of the last [`Vault::login_secret`].
    pub fn unlock(&mut self, owner: &PublicKey, blob: &str) -> Result<(), Failure> {
        let keys = self.keys.as_ref().ok_or_else(locked)?;
        let owner = OwnerKey::open(owner, blob, keys.blob_key())?;
        self.keys = None;
        self.hold(owner);
        Ok(())
    }

    /// Opens the owner key with a passkey's PRF output.
    pub fn unlock_with_passkey(&mut self, prf: &Secret32, owner: &PublicKey, blob: &str) -> Result<(), Failure> {
        let owner = OwnerKey::open(owner, blob, &passkey(prf)?)?;
        self.hold(owner);
        Ok(())
    }

    /// Seals the owner key under a passkey's PRF output.
    pub fn seal_for_passkey<R: RngCore + CryptoRng>(&self, prf: &Secret32, rng: &mut R) -> Result<String, Failure> {
        self.owner()?.seal(&passkey(prf)?, rng)
    }

    /// The owner's public key, if the vault is unlocked.
    #[must_use]
    pub fn unlocked(&self) -> Option<PublicKey> {
        self.owner.as_ref().map(OwnerKey::public_key)
    }

    /// Refuses when the vault is locked: before something costly is done for nothing.
    pub fn require_unlocked(&self) -> Result<(), Failure> {
        self.owner().map(drop)
    }

    /// Seals the owner key under another password.
    pub fn change_password<R: RngCore + CryptoRng>(
        &self,
        stretched: &Stretched,
        rng: &mut R,
    ) -> Result<Credentials, Failure> {
        Credentials::new(stretched, self.owner()?, rng)
    }

    /// Keeps a key that the person gave as the draft, and gives its `npub1…`.
    pub fn draft(&mut self, secret: Secret32) -> Result<String, Failure> {
        let npub = split::npub_of(&secret)?;
        self.draft = Some(secret);
        Ok(npub)
    }

    /// As [`Vault::draft`], for an encrypted key whose password was stretched.
    pub fn draft_encrypted(&mut self, key: &EncryptedKey, stretched: &Secret32) -> Result<String, Failure> {
        self.draft(secret_key::open(key, stretched)?)
    }

    /// Splits the draft. The recovery share is kept for [`Vault::make_kit`].
    pub fn prepare_identity<R: RngCore + CryptoRng>(
        &mut self,
        holders: &HolderList,
        now_s: u64,
        rng: &mut R,
    ) -> Result<PreparedIdentity, Failure> {
        let holders = Holders::from_list(holders)?;
        let owner = self.owner.as_ref().ok_or_else(locked)?;
        let draft = self
            .draft
            .take()
            .ok_or_else(|| Failure::new("no_draft", "There is no key to split. Give yours once more."))?;
        let key = split::split(draft, owner, &holders, now_s, rng)?;
        let npub = key.npub();
        let SplitKey { public, statement, packages, recovery } = key;
        self.recovery = Some(recovery);
        Ok(PreparedIdentity { npub, public, statement, packages })
    }

    /// The recovery kit of the prepared identity, or of the shares that were renewed.
    pub fn make_kit<R: RngCore + CryptoRng>(&self, stretched: &Stretched, rng: &mut R) -> Result<KitFile, Failure> {
        let share = self.recovery.as_ref().ok_or_else(|| {
            Failure::new("no_identity", "There is no new share for a recovery kit here any more. Begin again.")
        })?;
        KitFile::make(stretched, self.owner()?, share, rng)
    }

    /// Refuses a kit that is not this account's, not this identity's, or of another epoch.
    pub fn check_kit(&self, kit: &KitFile, stretched: &Stretched, public: &GroupPublic) -> Result<(), Failure> {
        self.open_own_kit(kit, stretched, public).map(drop)
    }

    /// The same kit under another passphrase.
    pub fn renew_kit<R: RngCore + CryptoRng>(
        &self,
        kit: &KitFile,
        stretched: &Stretched,
        anew: &Stretched,
        public: &GroupPublic,
        rng: &mut R,
    ) -> Result<KitFile, Failure> {
        self.open_own_kit(kit, stretched, public)?.renew(anew, rng)
    }

    /// Makes a connection.
    pub fn grant<R: RngCore + CryptoRng>(
        &self,
        place: Place,
        terms: &Terms,
        holders: &HolderList,
        now_s: u64,
        rng: &mut R,
    ) -> Result<NewConnection, Failure> {
        let holders = Holders::from_list(holders)?;
        connection::connection(terms, place.group, place.seq, self.owner()?, &holders, now_s, rng)
    }

    /// Signs what the owner says.
    pub fn sign<R: RngCore + CryptoRng>(
        &self,
        place: Place,
        verb: &Verb,
        now_s: u64,
        rng: &mut R,
    ) -> Result<Event, Failure> {
        self.owner()?.sign(place.group, place.seq, verb, now_s, rng)
    }

    /// Asks for the shares, to be sealed to a key of this account.
    pub fn export<R: RngCore + CryptoRng>(&self, place: Place, now_s: u64, rng: &mut R) -> Result<Event, Failure> {
        let receiver = export::receiver(self.owner()?, &place.group, place.seq)?.public();
        self.sign(place, &Verb::Export { receiver }, now_s, rng)
    }

    /// Puts the released shares together.
    pub fn finish_export(
        &self,
        group: &GroupId,
        statement: &Event,
        public: &GroupPublic,
        packages: &SharePackages,
    ) -> Result<Exported, Failure> {
        export::finish(self.owner()?, group, statement, public, packages)
    }

    /// Contributes with this device's share to what an app asked for, if it is what the person was shown. Where several
    /// devices sign, the nonces of its commitment stay here until it is asked again.
    pub fn contribute<R: RngCore + CryptoRng>(
        &mut self,
        shares: &SealedShares,
        shown: &ShownRequest,
        offer: &Offer,
        memory: Option<&DeviceMemory>,
        now_ms: u64,
        rng: &mut R,
    ) -> Result<Contributed, Failure> {
        let own = self.owner.as_ref().ok_or_else(locked)?;
        let share = shares.open_one(own)?;
        let device = Contributor { share: &share, own, authority: shares.authority(own.public_key()) };
        let mut nonces = self.nonces.take(&shown.request);
        let made = device.contribute(shown, offer, memory, &mut nonces, now_ms, rng);
        self.nonces.keep(shown.request, nonces);
        made
    }

    /// Puts the whole key together out of this device's share and the recovery kit, without any server.
    pub fn leave_with_kit(
        &self,
        shares: &SealedShares,
        kit: &KitFile,
        stretched: &Stretched,
    ) -> Result<Exported, Failure> {
        let kit = self.open_own_kit(kit, stretched, shares.public())?;
        export::with_kit(shares.open_one(self.owner()?)?, kit)
    }

    /// As [`Self::finish_export`] in device custody, when the device's share is lost: with the kit's instead.
    pub fn finish_export_with_kit(
        &self,
        group: &GroupId,
        statement: &Event,
        public: &GroupPublic,
        bunker: &str,
        kit: &KitFile,
        stretched: &Stretched,
    ) -> Result<Exported, Failure> {
        let kit = self.open_own_kit(kit, stretched, public)?;
        export::finish_with_kit(self.owner()?, group, statement, public, bunker, kit)
    }

    /// Opens the kit that goes with these shares.
    fn open_own_kit(&self, kit: &KitFile, stretched: &Stretched, public: &GroupPublic) -> Result<OpenedKit, Failure> {
        let owner = self.owner()?.public_key();
        let opened = kit.open(stretched)?;
        opened.check(&owner, &public.group)?;
        opened.check_epoch(public)?;
        Ok(opened)
    }

    fn owner(&self) -> Result<&OwnerKey, Failure> {
        self.owner.as_ref().ok_or_else(locked)
    }

    /// Whatever was kept for another owner goes.
    fn hold(&mut self, owner: OwnerKey) {
        if self.unlocked().is_some_and(|before| before != owner.public_key()) {
            self.draft = None;
            self.ceremony = None;
            self.recovery = None;
            self.nonces = Nonces::default();
        }
        self.owner = Some(owner);
    }
}

/// An identity that was split, ready to be created.
#[derive(Debug)]
pub struct PreparedIdentity {
    /// Its `npub1…`.
    pub npub: String,
    /// Its group.
    pub public: GroupPublic,
    /// The `create_group` statement.
    pub statement: Event,
    /// The server-side holders' shares, sealed.
    pub packages: SharePackages,
}

/// Follows an activity chain from the record after `previous` to `head`. A break is named by the record's number.
pub fn follow_chain(records: &[AuditRecord], previous: AuditHead, head: AuditHead) -> Result<(), (u64, String)> {
    verify_chain(previous, records, Some(head)).map(drop).map_err(|error| {
        let at = match error {
            ChainError::Gap { expected, .. } | ChainError::WrongHead { expected, .. } => expected,
            ChainError::Unlinked { n } | ChainError::Altered { n } => n,
        };
        (at, format!("{error}."))
    })
}

fn passkey(prf: &Secret32) -> Result<OwnerBlobKey, Failure> {
    OwnerBlobKey::from_passkey(prf)
        .map_err(|error| Failure::new("passkey_unusable", format!("This passkey can't unlock the owner key: {error}.")))
}

fn locked() -> Failure {
    Failure::new("locked", "This page has to be unlocked first: type your password, or use your passkey.")
}

#[cfg(test)]
pub(crate) mod tests {
    use frost_wasm_core::kdf::KdfParams;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::{
        ceremony::Custody,
        holders::tests::holders,
        tests::{NOW_S, rng},
    };

    const ORIGIN: &str = "https://passport.example";

    pub(super) fn list() -> HolderList {
        let Holders { bunker, cosigner } = holders();
        let list = serde_json::json!({"holders": [
            {"role": "bunker", "index": 1, "receiving_key": bunker.receiving, "signing_key": bunker.signing},
            {"role": "cosigner", "index": 2, "receiving_key": cosigner.receiving, "signing_key": cosigner.signing},
        ]});
        serde_json::from_value(list).unwrap()
    }

    pub(super) fn stretched(text: &str) -> Stretched {
        KdfParams::with_salt([3; 16]).stretch(text).unwrap()
    }

    /// A vault with an owner key.
    pub(super) fn unlocked(rng: &mut ChaCha20Rng) -> Vault {
        let mut vault = Vault::default();
        vault.register(ORIGIN, "alice", &stretched("first password"), NOW_S, rng).unwrap();
        vault
    }

    fn secret(byte: u8) -> Secret32 {
        Secret32::from_bytes([byte; 32])
    }

    #[test]
    fn an_account_goes_from_registration_over_its_kit_to_recovery() {
        let mut rng = rng(1);
        let mut vault = Vault::default();
        let made = vault.register(ORIGIN, "alice", &stretched("first password"), NOW_S, &mut rng).unwrap();
        assert_eq!(vault.unlocked(), Some(made.owner_pubkey));
        let npub = vault.draft(secret(7)).unwrap();
        let prepared = vault.prepare_identity(&list(), NOW_S, &mut rng).unwrap();
        assert_eq!(prepared.npub, npub);
        let again = vault.prepare_identity(&list(), NOW_S, &mut rng).unwrap_err();
        assert_eq!(again.code(), "no_draft");
        let kit = vault.make_kit(&stretched("kit passphrase"), &mut rng).unwrap();
        vault.check_kit(&kit, &stretched("kit passphrase"), &prepared.public).unwrap();

        let mut other = Vault::default();
        let secret = other.login_secret(&stretched("first password")).unwrap();
        assert_eq!(secret.expose_secret(), made.credentials.login_secret().expose_secret());
        other.unlock(&made.owner_pubkey, &made.credentials.owner_blob).unwrap();
        assert_eq!(other.unlocked(), Some(made.owner_pubkey));

        let mut recovered = Vault::default();
        let opened = kit.open(&stretched("kit passphrase")).unwrap();
        let new = stretched("second password");
        let back = recovered.recover(ORIGIN, "challenge", opened, &new, NOW_S, &mut rng).unwrap();
        assert_eq!(back.owner_pubkey, made.owner_pubkey);
        recovered.login_secret(&stretched("first password")).unwrap();
        let old = recovered.unlock(&back.owner_pubkey, &back.credentials.owner_blob).unwrap_err();
        assert_eq!(old.code(), "blob_does_not_open");
    }

    #[test]
    fn a_locked_vault_signs_nothing() {
        let mut rng = rng(1);
        let place = Place { group: GroupId::from_bytes([1; 16]), seq: 2 };
        let mut vault = Vault::default();
        vault.draft(secret(7)).unwrap();
        assert_eq!(vault.begin_keygen(&list(), Custody::Hosted, &mut rng).unwrap_err().code(), "locked");
        assert_eq!(vault.finish_keygen(NOW_S, &mut rng).unwrap_err().code(), "locked");
        assert_eq!(vault.sign(place, &Verb::DeleteGroup, NOW_S, &mut rng).unwrap_err().code(), "locked");
        assert_eq!(vault.prepare_identity(&list(), NOW_S, &mut rng).unwrap_err().code(), "locked");
        assert_eq!(vault.export(place, NOW_S, &mut rng).unwrap_err().code(), "locked");
        let owner = OwnerKey::fresh(&mut rng).public_key();
        assert_eq!(vault.unlock(&owner, "AQ==").unwrap_err().code(), "locked");
        assert_eq!(vault.require_unlocked().unwrap_err().code(), "locked");
    }

    #[test]
    fn what_was_kept_for_one_account_is_not_there_for_the_next() {
        let mut rng = rng(1);
        let mut vault = unlocked(&mut rng);
        vault.draft(secret(7)).unwrap();
        vault.prepare_identity(&list(), NOW_S, &mut rng).unwrap();
        vault.draft(secret(8)).unwrap();
        vault.begin_keygen(&list(), Custody::Hosted, &mut rng).unwrap();
        vault.register(ORIGIN, "bob", &stretched("first password"), NOW_S, &mut rng).unwrap();
        assert_eq!(vault.prepare_identity(&list(), NOW_S, &mut rng).unwrap_err().code(), "no_draft");
        assert_eq!(vault.finish_keygen(NOW_S, &mut rng).unwrap_err().code(), "no_ceremony");
        assert_eq!(vault.make_kit(&stretched("kit passphrase"), &mut rng).unwrap_err().code(), "no_identity");
    }

    #[test]
    fn holders_that_can_not_be_trusted_do_not_cost_the_draft() {
        let mut rng = rng(1);
        let mut vault = unlocked(&mut rng);
        vault.draft(secret(7)).unwrap();
        let none = HolderList { holders: Vec::new() };
        assert_eq!(vault.prepare_identity(&none, NOW_S, &mut rng).unwrap_err().code(), "holders_unsupported");
        vault.prepare_identity(&list(), NOW_S, &mut rng).unwrap();
    }
}
