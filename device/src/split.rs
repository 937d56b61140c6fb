//! Splitting a key: what is left of it are three shares, two of them sealed to their holders.

use bunker_core::{
    event::Event,
    keys::{PublicKey, TransportSecret},
    members::Members,
    nip19,
    statement::Verb,
};
use frost_wasm_core::{
    frost::keygen,
    group::{GroupId, GroupPublic, HolderIndex, HolderRole},
    provision::{self, ReceivingPublic, SHARE_PURPOSE},
    secret::Secret32,
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};

use crate::{
    Failure,
    holders::{BUNKER, COSIGNER, Holders, RECOVERY},
    owner::OwnerKey,
};

/// Any two of bunker, cosigner or device, and recovery kit.
pub(crate) const THRESHOLD: u16 = 2;

/// A group's first statement.
const FIRST_SEQ: u64 = 1;

/// Each server-side holder's share, sealed to it or by it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharePackages {
    /// The bunker's.
    #[serde(rename = "1")]
    pub bunker: String,
    /// The cosigner's.
    #[serde(rename = "2")]
    pub cosigner: String,
}

/// A key that was split, ready to be handed out.
#[derive(Debug)]
pub struct SplitKey {
    /// The public facts.
    pub public: GroupPublic,
    /// The owner's `create_group` statement.
    pub statement: Event,
    /// The shares of the server-side holders, sealed.
    pub packages: SharePackages,
    /// The share for the recovery kit.
    pub recovery: KeyShare,
}

impl SplitKey {
    /// The identity's `npub1…`.
    #[must_use]
    pub fn npub(&self) -> String {
        npub(&self.public)
    }
}

/// Splits a whole key. It is wiped when this returns; what is left of it are the shares.
pub fn split<R: RngCore + CryptoRng>(
    secret: Secret32,
    owner: &OwnerKey,
    holders: &Holders,
    now_s: u64,
    rng: &mut R,
) -> Result<SplitKey, Failure> {
    let failed = |why: String| Failure::new("key_not_split", format!("The key was not split: {why}."));
    let index = |number| HolderIndex::new(number).map_err(|error| failed(error.to_string()));
    let parties = [
        (index(BUNKER)?, HolderRole::Bunker),
        (index(COSIGNER)?, HolderRole::Cosigner),
        (index(RECOVERY)?, HolderRole::Recovery),
    ];
    let group = GroupId::random(rng);
    let (public, shares) =
        keygen::split(secret, group, &parties, THRESHOLD, rng).map_err(|error| failed(error.to_string()))?;
    let [bunker, cosigner, recovery] =
        <[KeyShare; 3]>::try_from(shares).map_err(|_| failed("it did not come out in three shares".into()))?;
    let statement = create_group(owner, &public, Members::default(), now_s, rng)?;
    let mut seal = |to: &ReceivingPublic, share: &KeyShare| {
        let share_secret = share.expose_signing_share();
        let aad = share_aad(&statement, share.index());
        provision::seal(to, SHARE_PURPOSE, &aad, share_secret.expose_secret(), rng)
            .map_err(|error| failed(error.to_string()))
    };
    let packages = SharePackages {
        bunker: seal(&holders.bunker.receiving, &bunker)?,
        cosigner: seal(&holders.cosigner.receiving, &cosigner)?,
    };
    Ok(SplitKey { public, statement, packages, recovery })
}

/// The `npub1…` of the key that a secret belongs to.
pub fn npub_of(secret: &Secret32) -> Result<String, Failure> {
    // An ordinary key pair, dropped at once: this is how its public half is learnt before the split.
    TransportSecret::from_secret(secret)
        .map(|pair| nip19::encode_npub(&pair.public_key()))
        .map_err(|error| Failure::new("not_a_secret_key", format!("This is no secret key: {error}.")))
}

/// The group's first statement, by which its owner makes it.
pub(crate) fn create_group<R: RngCore + CryptoRng>(
    owner: &OwnerKey,
    public: &GroupPublic,
    members: Members,
    now_s: u64,
    rng: &mut R,
) -> Result<Event, Failure> {
    owner.sign(public.group, FIRST_SEQ, &Verb::CreateGroup { public: public.clone(), members }, now_s, rng)
}

/// The `npub1…` of a group.
pub(crate) fn npub(public: &GroupPublic) -> String {
    nip19::encode_npub(&PublicKey::from_bytes(*public.pubkey.as_bytes()))
}

/// What a share's package is bound to: the statement it travels under, and its holder.
pub(crate) fn share_aad(statement: &Event, holder: HolderIndex) -> Vec<u8> {
    [statement.id.as_bytes().as_slice(), &holder.get().to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use bunker_core::statement::Statement;

    use super::*;
    use crate::{
        holders::tests::{holders, receiving},
        tests::{NOW_S, rng},
    };

    #[test]
    fn each_share_opens_with_its_holder_and_fits_the_group() {
        let mut rng = rng(1);
        let secret = keygen::fresh_secret(&mut rng);
        let npub = npub_of(&secret).unwrap();
        let split = split(secret, &OwnerKey::fresh(&mut rng), &holders(), NOW_S, &mut rng).unwrap();
        let statement = Statement::verify(split.statement.clone()).unwrap();
        let created = Verb::CreateGroup { public: split.public.clone(), members: Members::default() };
        assert_eq!(statement.verb(), &created);
        assert_eq!(split.npub(), npub);
        let packages = [&split.packages.bunker, &split.packages.cosigner];
        for (number, package) in (1..=2_u16).zip(packages) {
            let aad = [statement.id().as_bytes().as_slice(), &number.to_be_bytes()].concat();
            let key = receiving(u8::try_from(number).unwrap());
            let share = key.open(SHARE_PURPOSE, &aad, package).unwrap();
            let share = share.into_fixed().unwrap();
            KeyShare::new(&split.public, HolderIndex::new(number).unwrap(), share).unwrap();
            assert!(receiving(9).open(SHARE_PURPOSE, &aad, package).is_err());
        }
    }
}
