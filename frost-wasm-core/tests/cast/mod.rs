//! Casts of ceremonies, and a forger that signs whatever a party could sign: written from the wire form, not with
//! the code under test.
#![allow(dead_code, missing_docs, unreachable_pub)]

use crate::common::index;
use frost_wasm_core::{
    ceremony::{
        Body, CeremonyId, Kind, Memory, Package, Participant, Party, PartyKeys, Seat, Terms, Transcript, VERSION,
        ValidTerms,
    },
    group::{GroupId, GroupPublic, HolderRole},
    provision::ReceivingKey,
    secret::Secret32,
    share::KeyShare,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

/// The parties of one ceremony with all their secrets.
pub struct Cast {
    pub terms: ValidTerms,
    pub keys: Vec<PartyKeys>,
    signing: Vec<[u8; 32]>,
    pub shares: Vec<Option<KeyShare>>,
}

fn party_keys(rng: &mut ChaCha20Rng) -> ([u8; 32], PartyKeys) {
    let mut signing = [0; 32];
    rng.fill_bytes(&mut signing);
    let receiving = ReceivingKey::from_secret(&Secret32::random(rng)).unwrap();
    let keys = PartyKeys::new(&Secret32::from_bytes(signing), receiving, Secret32::random(rng)).unwrap();
    (signing, keys)
}

fn role(number: u16) -> HolderRole {
    match number {
        1 => HolderRole::Bunker,
        2 => HolderRole::Cosigner,
        3 => HolderRole::Recovery,
        _ => HolderRole::Device,
    }
}

fn party(number: u16, keys: &PartyKeys, deals: Option<u16>, receives: Option<u16>) -> Party {
    Party {
        number,
        signing: keys.signing_public(),
        receiving: keys.receiving_public(),
        deals: deals.map(index),
        receives: receives.map(|it| Seat { index: index(it), role: role(it) }),
    }
}

impl Cast {
    /// Everybody deals for the seat of its own number.
    pub fn keygen(threshold: u16, holders: u16, seed: u64) -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let (signing, keys): (Vec<_>, Vec<_>) = (0..holders).map(|_| party_keys(rng)).unzip();
        let parties = keys.iter().zip(1..).map(|(keys, n)| party(n, keys, Some(n), Some(n))).collect();
        let group = GroupId::random(rng);
        let ceremony = CeremonyId::random(rng);
        let terms = Terms { v: VERSION, ceremony, purpose: Kind::Keygen, group, epoch: 0, threshold, parties };
        Self { terms: terms.validate().unwrap(), keys, signing, shares: (0..holders).map(|_| None).collect() }
    }

    /// `dealers` hand on the key to `seats` at a new threshold. Who is in both lists is one party.
    pub fn reshare(
        from: &GroupPublic,
        shares: Vec<KeyShare>,
        dealers: &[u16],
        seats: &[u16],
        threshold: u16,
        seed: u64,
    ) -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let mut numbers: Vec<u16> = dealers.iter().chain(seats).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let (signing, keys): (Vec<_>, Vec<_>) = numbers.iter().map(|_| party_keys(rng)).unzip();
        let some = |list: &[u16], it: u16| list.contains(&it).then_some(it);
        let parties = numbers
            .iter()
            .zip(&keys)
            .zip(1..)
            .map(|((it, keys), n)| party(n, keys, some(dealers, *it), some(seats, *it)))
            .collect();
        let terms = Terms {
            v: VERSION,
            ceremony: CeremonyId::random(rng),
            purpose: Kind::Reshare { from: from.clone() },
            group: from.group,
            epoch: from.epoch + 1,
            threshold,
            parties,
        };
        let mut shares: Vec<_> = shares.into_iter().map(Some).collect();
        let mut of = |it: &u16| shares.iter_mut().find(|s| s.as_ref().is_some_and(|s| s.index().get() == *it))?.take();
        let present = numbers.iter().map(|it| dealers.contains(it).then(|| of(it)).flatten()).collect();
        Self { terms: terms.validate().unwrap(), keys, signing, shares: present }
    }

    pub fn participant(&self, number: u16) -> Participant<'_> {
        let at = usize::from(number) - 1;
        Participant::new(self.terms.clone(), number, &self.keys[at], self.shares[at].as_ref()).unwrap()
    }

    pub fn numbers(&self) -> Vec<u16> {
        self.terms.parties.iter().map(|party| party.number).collect()
    }

    /// Everybody is honest and online.
    pub fn run(&self, seed: u64) -> Transcript {
        self.run_with(seed, |_, package| package)
    }

    /// As [`run`](Self::run), with every package passed through `change` on its way.
    pub fn run_with(&self, seed: u64, mut change: impl FnMut(&Transcript, Package) -> Package) -> Transcript {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let mut transcript = Transcript::new(self.terms.clone());
        let mut memories: Vec<_> = self.keys.iter().map(|_| Memory::default()).collect();
        while !transcript.is_over() {
            for (number, memory) in self.numbers().into_iter().zip(&mut memories) {
                let said = self.participant(number).answer(&transcript, memory, rng).unwrap();
                if let Some(package) = said {
                    let package = change(&transcript, package);
                    transcript.take(&package).unwrap();
                }
            }
        }
        transcript
    }

    /// Every receiver's share.
    pub fn take_shares(&self, transcript: &Transcript) -> Vec<KeyShare> {
        let receivers = self.terms.receivers().map(|(party, _)| party.number);
        receivers.map(|number| self.participant(number).take_share(transcript).unwrap()).collect()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Cast {
    /// A package that says anything, validly signed by a party.
    pub fn forge(&self, number: u16, round: u16, body: &Body) -> Package {
        self.forge_text(number, round, &serde_json::to_string(body).unwrap())
    }

    pub fn forge_text(&self, number: u16, round: u16, body: &str) -> Package {
        use sha2::Digest;
        let message: [u8; 32] = tagged("passport/v1/ceremony/package")
            .chain_update(self.terms.digest())
            .chain_update(number.to_be_bytes())
            .chain_update(round.to_be_bytes())
            .chain_update(body.as_bytes())
            .finalize()
            .into();
        let signing = self.signing[usize::from(number) - 1];
        let keypair = secp256k1::Keypair::from_seckey_byte_array(secp256k1::SECP256K1, signing).unwrap();
        let signature = secp256k1::SECP256K1.sign_schnorr_no_aux_rand(&message, &keypair).to_byte_array();
        let signature = hex::encode(signature).parse().unwrap();
        Package { ceremony: self.terms.ceremony, party: number, round, body: body.to_owned(), signature }
    }
}

/// What a package says.
pub fn body(package: &Package) -> Body {
    serde_json::from_str(&package.body).unwrap()
}

#[cfg(not(target_arch = "wasm32"))]
fn tagged(tag: &str) -> sha2::Sha256 {
    use sha2::{Digest, Sha256};
    let tag = Sha256::digest(tag.as_bytes());
    Sha256::new().chain_update(tag).chain_update(tag)
}
