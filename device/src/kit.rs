//! The recovery kit as a file: made, opened, held against what it should be, and made again under another passphrase.

use bunker_core::keys::PublicKey;
use frost_wasm_core::{
    group::{GroupId, GroupPublic},
    kdf::{KdfParams, Stretched},
    kit::{KitError, RecoveryKit},
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};

use crate::{Failure, ceremony::Custody, enrolment::kdf_refused, owner::OwnerKey, split::npub};

/// Characters of the npub that name the file.
const NAME_CHARS: usize = 16;

/// The largest kit read, in bytes: one of ten holders has a quarter of it.
const MAX_BYTES: usize = 16 * 1024;

/// The name of an identity's kit. One of a later epoch says so, because earlier ones may lie beside it.
#[must_use]
pub fn file_name(npub: &str, epoch: u32) -> String {
    let name: String = npub.chars().take(NAME_CHARS).collect();
    match epoch {
        0 => format!("{name}.kit.json"),
        epoch => format!("{name}.epoch-{epoch}.kit.json"),
    }
}

/// A kit as it stands in its file.
#[derive(Debug, Clone)]
pub struct KitFile(RecoveryKit);

/// What a kit holds.
#[derive(Debug)]
pub struct OpenedKit {
    /// The account's owner key.
    pub owner: OwnerKey,
    /// The recovery share.
    pub share: KeyShare,
}

impl KitFile {
    /// Makes one. The stretched passphrase wants a fresh salt for each kit.
    pub fn make<R: RngCore + CryptoRng>(
        stretched: &Stretched,
        owner: &OwnerKey,
        share: &KeyShare,
        rng: &mut R,
    ) -> Result<Self, Failure> {
        RecoveryKit::create_with(stretched, &owner.expose_secret(), share, rng)
            .map(Self)
            .map_err(|error| Failure::new("kit_not_made", format!("The recovery kit was not made: {error}.")))
    }

    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let malformed = || {
            Failure::new(
                "kit_malformed",
                "This is not a recovery kit. It is the file that ends in .kit.json, or the text of its QR code.",
            )
        };
        if text.len() > MAX_BYTES {
            return Err(malformed());
        }
        serde_json::from_str(text).map(Self).map_err(|_| malformed())
    }

    /// The file's text.
    pub fn to_text(&self) -> Result<String, Failure> {
        let mut text = serde_json::to_string_pretty(&self.0)
            .map_err(|_| Failure::new("kit_not_made", "The recovery kit could not be written."))?;
        text.push('\n');
        Ok(text)
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> String {
        file_name(&self.npub(), self.0.public.epoch)
    }

    /// How the passphrase is stretched.
    #[must_use]
    pub fn kdf(&self) -> &KdfParams {
        &self.0.kdf
    }

    /// The identity that it says it is for.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.0.public.group
    }

    /// The epoch of its share, as it says.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.0.public.epoch
    }

    /// That identity's `npub1…`.
    #[must_use]
    pub fn npub(&self) -> String {
        npub(&self.0.public)
    }

    /// The costly part of opening it.
    pub fn stretch(&self, passphrase: &str) -> Result<Stretched, Failure> {
        self.kdf().stretch(passphrase).map_err(kdf_refused)
    }

    /// Opens it.
    pub fn open(&self, stretched: &Stretched) -> Result<OpenedKit, Failure> {
        let (secret, share) = self.0.open_with(stretched).map_err(|error| match error {
            KitError::WrongPassphrase => Failure::new(
                "wrong_passphrase",
                "This is not the kit's passphrase. Check capitals and spaces, and try again.",
            ),
            KitError::UnknownVersion(v) => Failure::new(
                "kit_malformed",
                format!("This kit has version {v}, which is not known here. Use a newer Passport."),
            ),
            KitError::Kdf(error) => kdf_refused(error),
            KitError::Altered | KitError::Share(_) | KitError::NotAKey => Failure::new(
                "kit_altered",
                "The passphrase is right, but the kit was changed or damaged. Use another copy of it.",
            ),
        })?;
        Ok(OpenedKit { owner: OwnerKey::from_secret(&secret)?, share })
    }
}

impl OpenedKit {
    /// Refuses the kit of another account, or of another identity.
    pub fn check(&self, owner: &PublicKey, group: &GroupId) -> Result<(), Failure> {
        if self.owner.public_key() != *owner {
            return Err(Failure::new(
                "kit_of_another_account",
                "This kit opens, but it belongs to another account. Choose the kit of this one.",
            ));
        }
        if self.share.group().group != *group {
            return Err(Failure::new(
                "kit_of_another_identity",
                "This kit belongs to another of your identities. Choose the kit of this one.",
            ));
        }
        Ok(())
    }

    /// Refuses a kit from before the shares were renewed, or of a renewal that came to nothing: its share fits no other. A
    /// key that people share has none.
    pub fn check_epoch(&self, present: &GroupPublic) -> Result<(), Failure> {
        let group = self.share.group();
        if **group == *present {
            return Ok(());
        }
        if Custody::is_shared(present) {
            return Err(Failure::new(
                "key_is_shared",
                "People share this key now, and no recovery kit has a share of it any more. Keep this kit all the same: \
                 it is the way back into your account.",
            ));
        }
        let text = match group.epoch < present.epoch {
            true => format!(
                "This kit is of epoch {}, from before the shares were renewed; they are of epoch {} now. Use the kit that \
                 was made then, and destroy this one.",
                group.epoch, present.epoch
            ),
            false => {
                "This kit is of a renewal that did not take place. Use the one from before it, and destroy this one."
                    .to_owned()
            }
        };
        Err(Failure::new("kit_of_another_epoch", text))
    }

    /// The same kit under another passphrase.
    pub fn renew<R: RngCore + CryptoRng>(&self, stretched: &Stretched, rng: &mut R) -> Result<KitFile, Failure> {
        KitFile::make(stretched, &self.owner, &self.share, rng)
    }
}

#[cfg(test)]
mod tests {
    use frost_wasm_core::{frost::keygen, group::HolderRole};

    use super::*;
    use crate::{
        holders::tests::holders,
        split,
        tests::{NOW_S, rng},
    };

    #[test]
    fn a_kit_tells_passphrase_damage_account_and_identity_apart() {
        let mut rng = rng(1);
        let owner = OwnerKey::fresh(&mut rng);
        let secret = keygen::fresh_secret(&mut rng);
        let key = split::split(secret, &owner, &holders(), NOW_S, &mut rng).unwrap();
        let stretched = KdfParams::fresh(&mut rng).stretch("correct horse").unwrap();
        let made = KitFile::make(&stretched, &owner, &key.recovery, &mut rng).unwrap();
        assert_eq!(made.name(), format!("{}.kit.json", &key.npub()[..16]));

        let kit = KitFile::parse(&made.to_text().unwrap()).unwrap();
        let opened = kit.open(&kit.stretch("correct horse").unwrap()).unwrap();
        let group = key.public.group;
        opened.check(&owner.public_key(), &group).unwrap();
        let other = OwnerKey::fresh(&mut rng).public_key();
        assert_eq!(opened.check(&other, &group).unwrap_err().code(), "kit_of_another_account");
        opened.check_epoch(&key.public).unwrap();
        let next = GroupPublic { epoch: 1, ..key.public.clone() };
        let outdated = opened.check_epoch(&next).unwrap_err();
        assert_eq!(outdated.code(), "kit_of_another_epoch");
        assert!(outdated.to_string().contains("epoch 1 now"), "{outdated}");
        let mut shared = next;
        shared.holders.retain(|holder| holder.role != HolderRole::Recovery);
        let refused = opened.check_epoch(&shared).unwrap_err();
        assert_eq!(refused.code(), "key_is_shared");
        assert!(refused.to_string().contains("Keep this kit"), "{refused}");
        let other = GroupPublic { threshold: 3, ..key.public.clone() };
        assert!(opened.check_epoch(&other).unwrap_err().to_string().contains("did not take place"));
        assert_eq!(file_name(&key.npub(), 2), format!("{}.epoch-2.kit.json", &key.npub()[..16]));
        let elsewhere = opened.check(&owner.public_key(), &GroupId::from_bytes([1; 16]));
        assert_eq!(elsewhere.unwrap_err().code(), "kit_of_another_identity");

        let wrong = kit.open(&kit.stretch("incorrect horse").unwrap()).unwrap_err();
        assert_eq!(wrong.code(), "wrong_passphrase");
        assert_eq!(kit.stretch("").unwrap_err().code(), "nothing_typed");
        let text = made.to_text().unwrap();
        let altered = KitFile::parse(&text.replacen("\"epoch\": 0", "\"epoch\": 1", 1)).unwrap();
        assert_eq!(altered.open(&stretched).unwrap_err().code(), "kit_altered");
        let newer = KitFile::parse(&text.replacen("\"v\": 1", "\"v\": 2", 1)).unwrap();
        assert_eq!(newer.open(&stretched).unwrap_err().code(), "kit_malformed");
        for text in ["", "{}", "null", &text[..100], &" ".repeat(MAX_BYTES + 1)] {
            assert_eq!(KitFile::parse(text).unwrap_err().code(), "kit_malformed");
        }

        let renewed = opened.renew(&KdfParams::fresh(&mut rng).stretch("another one").unwrap(), &mut rng).unwrap();
        assert_eq!(renewed.open(&renewed.stretch("correct horse").unwrap()).unwrap_err().code(), "wrong_passphrase");
        let again = renewed.open(&renewed.stretch("another one").unwrap()).unwrap();
        again.check(&owner.public_key(), &group).unwrap();
    }
}
