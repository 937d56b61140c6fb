//! A share of a key that people share, on its way from one of them to another, so that enough of them can put the key
//! together without the server.
//!
//! It is sealed from one owner key to the other (NIP-44, which authenticates both) together with what it is a share of. The
//! receiver believes nothing that stands in the clear: group and people are held against what its own device keeps.

use bunker_core::{keys::PublicKey, members::Member};
use frost_wasm_core::{
    group::{GroupPublic, HolderIndex},
    secret::Secret32,
    share::KeyShare,
};
use rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Failure,
    ceremony::Custody,
    export::{self, Exported},
    owner::OwnerKey,
    shares::SealedShares,
    split::npub,
};

/// Version of the form.
const VERSION: u32 = 1;
const PURPOSE: &str = "passport/v1/handed-share";

/// Characters of the npub that name the file.
const NAME_CHARS: usize = 16;

/// The largest file read, in bytes: one of ten holders has a quarter of it.
const MAX_BYTES: usize = 16 * 1024;

/// Room for what is sealed, in bytes, so that writing it moves no secret: it has less than 300.
const SEALED_ROOM_BYTES: usize = 512;

/// A share that its holder has sealed to another of the people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedShare {
    v: u32,
    from: PublicKey,
    to: PublicKey,
    index: HolderIndex,
    public: GroupPublic,
    sealed: String,
}

/// Whether `own`, whose device keeps this share, can hand it to `to`: nobody gets a share for nothing.
///
/// # Errors
/// `key_not_shared`, `not_among_people`; `server_needed` when all shares of the people don't make the key.
pub fn check(kept: &SealedShares, own: &PublicKey, to: &PublicKey) -> Result<(), Failure> {
    let (public, people) = (kept.public(), kept.people());
    if !Custody::is_shared(public) {
        return Err(Failure::new(
            "key_not_shared",
            "People don't share this key: it is your own, and its shares come together by `passport export finish`.",
        ));
    }
    if to == own || !people.iter().any(|it| it.person == *to) {
        let others = named(people.iter().filter(|it| it.person != *own));
        return Err(Failure::new(
            "not_among_people",
            format!("Nothing was written: a share goes to one of the others who share the key. They are {others}."),
        ));
    }
    if people.len() < usize::from(public.threshold) {
        return Err(Failure::new(
            "server_needed",
            format!(
                "Nothing was written: {} shares make this key, and you are {}. Without the server's share yours don't.",
                public.threshold,
                people.len()
            ),
        ));
    }
    Ok(())
}

impl HandedShare {
    /// Seals this device's share to another of the people.
    ///
    /// # Security
    /// As many shares as the threshold says are the whole key, and none can be taken back. Ask the person first.
    ///
    /// # Errors
    /// As [`check`], and when the share does not open.
    pub fn seal<R: RngCore + CryptoRng>(
        kept: &SealedShares,
        owner: &OwnerKey,
        to: PublicKey,
        rng: &mut R,
    ) -> Result<Self, Failure> {
        let from = owner.public_key();
        check(kept, &from, &to)?;
        let share = kept.open_one(owner)?;
        let (index, public) = (share.index(), kept.public().clone());
        let mut handed = Self { v: VERSION, from, to, index, public, sealed: String::new() };
        let mut text = Zeroizing::new(String::with_capacity(SEALED_ROOM_BYTES));
        text.push_str(&handed.head());
        text.push_str(share.expose_signing_share().to_hex().expose_secret());
        handed.sealed = owner.seal_to(&to, &text, rng)?;
        Ok(handed)
    }

    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        struct Header {
            v: u32,
        }
        let malformed = || {
            Failure::new(
                "not_a_handed_share",
                "This is not a share that somebody wrote for you with: passport export share",
            )
        };
        if text.len() > MAX_BYTES {
            return Err(malformed());
        }
        let Header { v } = serde_json::from_str(text).map_err(|_| malformed())?;
        if v != VERSION {
            return Err(Failure::new(
                "handed_share_version_unknown",
                format!("It has version {v}, and this client knows {VERSION}. Use the client that wrote it."),
            ));
        }
        serde_json::from_str(text).map_err(|_| malformed())
    }

    /// The file's text.
    pub fn to_text(&self) -> Result<String, Failure> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|_| Failure::new("share_not_handed", "The share could not be written."))?;
        text.push('\n');
        Ok(text)
    }

    /// The file's name. It tells by their numbers whose share it is, and who it is for.
    #[must_use]
    pub fn name(&self, kept: &SealedShares) -> String {
        let key: String = npub(&self.public).chars().take(NAME_CHARS).collect();
        let epoch = match self.public.epoch {
            0 => String::new(),
            epoch => format!(".epoch-{epoch}"),
        };
        let receiver = kept.people().iter().find(|it| it.person == self.to);
        let receiver = receiver.map_or_else(String::new, |it| format!("-for-{}", it.holder));
        format!("{key}{epoch}.share-{}{receiver}.json", self.index)
    }

    /// The number of the share.
    #[must_use]
    pub fn index(&self) -> HolderIndex {
        self.index
    }

    /// The group that it says it is of.
    #[must_use]
    pub fn public(&self) -> &GroupPublic {
        &self.public
    }

    /// Opens it for the person that it is for, who keeps another share of the same group.
    fn open(&self, kept: &SealedShares, owner: &OwnerKey) -> Result<KeyShare, Failure> {
        if self.to != owner.public_key() {
            return Err(Failure::new(
                "share_not_for_you",
                "The share is sealed for another account. Who it is for opens it; or have it written for you: passport \
                 export share --to OWNER",
            ));
        }
        self.check_group(kept.public())?;
        if !kept.people().iter().any(|it| (it.holder, it.person) == (self.index, self.from)) {
            return Err(Failure::new(
                "share_of_a_stranger",
                "Whoever wrote it is not the one of those who share the key that has this share.",
            ));
        }
        let text = owner.open_from(&self.from, &self.sealed).map(Zeroizing::new).map_err(|_| damaged())?;
        let share = text.strip_prefix(&self.head()).and_then(|hex| Secret32::from_hex(hex).ok()).ok_or_else(damaged)?;
        KeyShare::new(kept.public(), self.index, share).map_err(|_| damaged())
    }

    fn check_group(&self, known: &GroupPublic) -> Result<(), Failure> {
        let GroupPublic { group, epoch, pubkey, .. } = &self.public;
        if self.public == *known {
            return Ok(());
        }
        if (group, pubkey) != (&known.group, &known.pubkey) {
            return Err(Failure::new(
                "share_of_another_key",
                format!("It is a share of another key than {}.", npub(known)),
            ));
        }
        let text = match *epoch == known.epoch {
            true => "It is not of the same shares as this device's, but of new ones that did not come to be, or was altered."
                .to_owned(),
            false => format!(
                "It is of epoch {epoch}, and this device's share of epoch {}: they don't fit. Ask for a share of the same \
                 epoch; where new shares were dealt last, that may take: passport export share --epoch",
                known.epoch
            ),
        };
        Err(Failure::new("share_of_another_epoch", text))
    }

    /// Stands before the share in what is sealed.
    fn head(&self) -> String {
        let Self { from, to, index, public: GroupPublic { group, epoch, .. }, .. } = self;
        format!("{PURPOSE}\n{group}\n{epoch}\n{index}\n{from}\n{to}\n")
    }
}

/// The shares of a key that people share, coming together on the device of one of them.
#[derive(Debug)]
pub struct Together<'a> {
    kept: &'a SealedShares,
    owner: &'a OwnerKey,
    shares: Vec<KeyShare>,
}

impl<'a> Together<'a> {
    /// Begins with this device's own.
    pub fn new(kept: &'a SealedShares, owner: &'a OwnerKey) -> Result<Self, Failure> {
        Ok(Self { kept, owner, shares: vec![kept.open_one(owner)?] })
    }

    /// Adds what another one wrote for this person.
    ///
    /// # Errors
    /// `share_not_for_you`, `share_of_another_key`, `share_of_another_epoch`, `share_of_a_stranger`, `handed_share_damaged`,
    /// `share_twice`.
    pub fn add(&mut self, handed: &HandedShare) -> Result<(), Failure> {
        let share = handed.open(self.kept, self.owner)?;
        if self.has(share.index()) {
            return Err(Failure::new(
                "share_twice",
                format!("It is share {}, which is here already: each counts once.", share.index()),
            ));
        }
        self.shares.push(share);
        Ok(())
    }

    /// Puts the key together.
    ///
    /// # Security
    /// As [`export::finish`].
    ///
    /// # Errors
    /// `shares_missing`.
    pub fn finish(&self) -> Result<Exported, Failure> {
        let (public, got) = (self.kept.public(), self.shares.len());
        let needed = usize::from(public.threshold);
        if got < needed {
            let others = named(self.kept.people().iter().filter(|it| !self.has(it.holder)));
            return Err(Failure::new(
                "shares_missing",
                format!(
                    "{needed} shares make this key, and with this device's there are {got}: {} missing. Others have {}; they \
                     write theirs with: passport export share --key {} --to {}",
                    needed.saturating_sub(got),
                    others,
                    npub(public),
                    self.owner.public_key()
                ),
            ));
        }
        export::assembled(&self.shares)
    }

    fn has(&self, index: HolderIndex) -> bool {
        self.shares.iter().any(|share| share.index() == index)
    }
}

/// Those who hold these shares.
fn named<'a>(people: impl Iterator<Item = &'a Member>) -> String {
    people.map(|it| format!("{} ({})", it.holder, it.person)).collect::<Vec<_>>().join(", ")
}

fn damaged() -> Failure {
    Failure::new(
        "handed_share_damaged",
        "The share does not open, or is not the one that it says it is: the file was altered or damaged. Have it sent or \
         written again.",
    )
}

#[cfg(test)]
mod tests {
    use bunker_core::nip19;
    use frost_wasm_core::{
        ceremony::CeremonyId,
        frost::keygen,
        group::{GroupId, HolderRole},
    };
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::{ceremony::Outcome, tests::rng};

    /// Even Y, so that the secret comes back as it went in.
    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";

    struct World {
        owners: Vec<OwnerKey>,
        kept: Vec<SealedShares>,
        rng: ChaCha20Rng,
    }

    impl World {
        /// People who share a key with the bunker, so many of whom make it. The server's share is thrown away.
        fn new(people: u16, threshold: u16) -> Self {
            let mut rng = rng(u64::from(people));
            let owners = (0..people).map(|_| OwnerKey::fresh(&mut rng)).collect();
            let mut world = Self { owners, kept: Vec::new(), rng };
            world.kept = world.dealt(7, threshold, 0);
            world
        }

        fn dealt(&mut self, group: u8, threshold: u16, epoch: u32) -> Vec<SealedShares> {
            let index = |number| HolderIndex::new(number).unwrap();
            let seats = (2..).zip(&self.owners).map(|(number, owner)| (index(number), owner.public_key()));
            let people: Vec<_> = seats.map(|(holder, person)| Member { holder, person }).collect();
            let bunker = (index(1), HolderRole::Bunker);
            let devices = people.iter().map(|it| (it.holder, HolderRole::Device));
            let holders: Vec<_> = [bunker].into_iter().chain(devices).collect();
            let secret = nip19::decode_nsec(NSEC).unwrap();
            let group = GroupId::from_bytes([group; 16]);
            let (public, shares) = keygen::split(secret, group, &holders, threshold, &mut self.rng).unwrap();
            let public = GroupPublic { epoch, ..public };
            let ceremony = CeremonyId::from_bytes([1; 16]);
            let owners = self.owners.iter();
            let kept = shares.into_iter().skip(1).zip(owners).map(|(share, owner)| {
                let share = KeyShare::new(&public, share.index(), share.expose_signing_share()).unwrap();
                let outcome = Outcome { ceremony, public: public.clone(), people: people.clone(), shares: vec![share] };
                SealedShares::seal(&outcome, owner, &mut self.rng).unwrap()
            });
            kept.collect()
        }

        fn own(&self, at: usize) -> PublicKey {
            self.owners[at].public_key()
        }

        fn handed(&mut self, from: usize, to: usize) -> HandedShare {
            let to = self.own(to);
            HandedShare::seal(&self.kept[from], &self.owners[from], to, &mut self.rng).unwrap()
        }

        fn added(&self, at: usize, handed: &HandedShare) -> &'static str {
            let mut together = Together::new(&self.kept[at], &self.owners[at]).unwrap();
            together.add(handed).map_or_else(|failure| failure.code(), |()| "added")
        }

        fn whole(&self, at: usize, handed: &[HandedShare]) -> Result<Exported, Failure> {
            let mut together = Together::new(&self.kept[at], &self.owners[at])?;
            for it in handed {
                together.add(it)?;
            }
            together.finish()
        }

        /// What `from` seals to `to` with this in the place of their share.
        fn forged(&mut self, from: usize, to: usize, share: &str) -> HandedShare {
            let mut handed = self.handed(from, to);
            let text = format!("{}{share}", handed.head());
            handed.sealed = self.owners[from].seal_to(&handed.to, &text, &mut self.rng).unwrap();
            handed
        }
    }

    fn is_the_key(exported: &Exported) {
        assert_eq!(exported.nsec.expose_secret(), NSEC);
        let public = bunker_core::keys::TransportSecret::from_secret(&nip19::decode_nsec(NSEC).unwrap()).unwrap();
        assert_eq!(exported.npub, nip19::encode_npub(&public.public_key()));
    }

    #[test]
    fn two_of_three_people_have_the_key_without_the_server_whoever_hands_to_whom() {
        let mut world = World::new(3, 2);
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
            let handed = world.handed(from, to);
            let read = HandedShare::parse(&handed.to_text().unwrap()).unwrap();
            assert_eq!(read, handed);
            is_the_key(&world.whole(to, &[read]).unwrap());
        }
        // One more than needed is of no harm.
        let handed = [world.handed(0, 1), world.handed(2, 1)];
        is_the_key(&world.whole(1, &handed).unwrap());
    }

    #[test]
    fn three_of_four_have_it_and_two_are_told_how_many_are_missing() {
        let mut world = World::new(4, 3);
        let handed = [world.handed(3, 1), world.handed(0, 1)];
        is_the_key(&world.whole(1, &handed).unwrap());
        let (third, fourth) = (world.own(2), world.own(3));
        let few = world.whole(1, &handed[1..]).unwrap_err();
        assert_eq!(few.code(), "shares_missing");
        assert!(few.to_string().contains("3 shares") && few.to_string().contains("1 missing"), "{few}");
        assert!(few.to_string().contains(&format!("4 ({third}), 5 ({fourth})")), "{few}");
        assert!(world.whole(1, &[]).unwrap_err().to_string().contains("2 missing"));
        // The same share twice is one.
        let twice = [handed[0].clone(), handed[0].clone()];
        assert_eq!(world.whole(1, &twice).unwrap_err().code(), "share_twice");
    }

    #[test]
    fn a_share_opens_for_nobody_but_whom_it_is_for() {
        let mut world = World::new(3, 2);
        let handed = world.handed(0, 1);
        assert_eq!(world.added(2, &handed), "share_not_for_you");
        assert_eq!(world.added(0, &handed), "share_not_for_you");
        // Also when the file says otherwise.
        let to = world.own(2);
        assert_eq!(world.added(2, &HandedShare { to, ..handed.clone() }), "handed_share_damaged");
        // What one wrote comes back to them from nobody else: both have the key that it is sealed under.
        let (from, to, index) = (handed.to, handed.from, HolderIndex::new(3).unwrap());
        let returned = HandedShare { from, to, index, ..handed.clone() };
        assert_eq!(world.added(0, &returned), "handed_share_damaged");
        let hex = world.kept[0].open_one(&world.owners[0]).unwrap().expose_signing_share().to_hex();
        assert!(!handed.to_text().unwrap().contains(hex.expose_secret()));
        assert!(!format!("{handed:?}").contains(hex.expose_secret()));
    }

    #[test]
    fn a_share_of_another_key_or_epoch_is_told_by_name() {
        let mut world = World::new(3, 2);
        let present = world.kept.clone();
        for (group, epoch, code) in [
            (7, 1, "share_of_another_epoch"),
            // Dealt once more after a renewal that came to nothing.
            (7, 0, "share_of_another_epoch"),
            (8, 0, "share_of_another_key"),
        ] {
            world.kept = world.dealt(group, 2, epoch);
            let handed = world.handed(0, 1);
            is_the_key(&world.whole(1, std::slice::from_ref(&handed)).unwrap());
            world.kept.clone_from(&present);
            assert_eq!(world.added(1, &handed), code);
            // And when the file says that it is the present one.
            let relabelled = HandedShare { public: present[0].public().clone(), ..handed };
            assert_eq!(world.added(1, &relabelled), "handed_share_damaged");
        }
    }

    #[test]
    fn a_file_that_was_altered_gives_nothing() {
        let mut world = World::new(3, 2);
        let handed = world.handed(0, 1);
        assert_eq!(world.added(1, &handed), "added");
        let mut flipped = handed.sealed.clone().into_bytes();
        let middle = flipped.len() / 2;
        flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
        let sealed = String::from_utf8(flipped).unwrap();
        let stranger = OwnerKey::fresh(&mut world.rng).public_key();
        let (index, third) = (HolderIndex::new(4).unwrap(), world.own(2));
        for (altered, code) in [
            (HandedShare { sealed, ..handed.clone() }, "handed_share_damaged"),
            (HandedShare { sealed: String::new(), ..handed.clone() }, "handed_share_damaged"),
            (HandedShare { index, ..handed.clone() }, "share_of_a_stranger"),
            (HandedShare { from: stranger, ..handed.clone() }, "share_of_a_stranger"),
            (HandedShare { from: third, ..handed.clone() }, "share_of_a_stranger"),
            (HandedShare { from: third, index, ..handed.clone() }, "handed_share_damaged"),
            (
                HandedShare { public: GroupPublic { threshold: 3, ..handed.public.clone() }, ..handed.clone() },
                "share_of_another_epoch",
            ),
        ] {
            assert_eq!(world.added(1, &altered), code);
        }

        let text = handed.to_text().unwrap();
        for wrong in
            ["", "{}", "null", &text[..100], &text.replacen("\"from\"", "\"by\"", 1), &" ".repeat(MAX_BYTES + 1)]
        {
            assert_eq!(HandedShare::parse(wrong).unwrap_err().code(), "not_a_handed_share");
        }
        let newer = HandedShare::parse(&text.replacen("\"v\": 1", "\"v\": 2", 1)).unwrap_err();
        assert_eq!(newer.code(), "handed_share_version_unknown");
    }

    #[test]
    fn one_of_the_people_who_seals_another_number_than_their_share_is_found_out() {
        let mut world = World::new(3, 2);
        let right = world.kept[0].open_one(&world.owners[0]).unwrap().expose_signing_share().to_hex();
        let forged = world.forged(0, 1, right.expose_secret());
        assert_eq!(world.added(1, &forged), "added");
        // The right number, written for another purpose.
        let mut elsewhere = world.handed(0, 1);
        for head in
            [String::new(), elsewhere.head().replace(PURPOSE, "passport/v1/another"), format!(" {}", elsewhere.head())]
        {
            let text = format!("{head}{}", right.expose_secret());
            elsewhere.sealed = world.owners[0].seal_to(&elsewhere.to, &text, &mut world.rng).unwrap();
            assert_eq!(world.added(1, &elsewhere), "handed_share_damaged");
        }
        let theirs = world.kept[2].open_one(&world.owners[2]).unwrap().expose_signing_share().to_hex();
        for wrong in [theirs.expose_secret(), &"0".repeat(64), &"f".repeat(64), "", "x", &right.expose_secret()[1..]] {
            let forged = world.forged(0, 1, wrong);
            assert_eq!(world.added(1, &forged), "handed_share_damaged");
        }
    }

    #[test]
    fn a_share_goes_to_another_of_the_people_and_never_for_nothing() {
        let mut world = World::new(3, 2);
        let stranger = OwnerKey::fresh(&mut world.rng).public_key();
        let code = |kept: &SealedShares, to| check(kept, &world.own(0), &to).unwrap_err().code();
        assert_eq!(code(&world.kept[0], stranger), "not_among_people");
        let told = check(&world.kept[0], &world.own(0), &stranger).unwrap_err().to_string();
        assert!(told.contains(&format!("3 ({}), 4 ({})", world.own(1), world.own(2))), "{told}");
        assert_eq!(code(&world.kept[0], world.own(0)), "not_among_people");
        let refused = HandedShare::seal(&world.kept[0], &world.owners[0], stranger, &mut rng(1)).unwrap_err();
        assert_eq!(refused.code(), "not_among_people");
        // On a device of another account.
        let other = HandedShare::seal(&world.kept[0], &world.owners[1], world.own(2), &mut rng(1)).unwrap_err();
        assert_eq!(other.code(), "share_does_not_open");
        // All three sign: without the server's share there is no key.
        let all = World::new(3, 4);
        assert_eq!(check(&all.kept[0], &all.own(0), &all.own(1)).unwrap_err().code(), "server_needed");
    }

    #[test]
    fn a_key_of_ones_own_is_not_handed_to_anybody() {
        let mut rng = rng(3);
        let owner = OwnerKey::fresh(&mut rng);
        let roles = [HolderRole::Bunker, HolderRole::Device, HolderRole::Recovery];
        let holders: Vec<_> = (1..).zip(roles).map(|(it, role)| (HolderIndex::new(it).unwrap(), role)).collect();
        let secret = nip19::decode_nsec(NSEC).unwrap();
        let (public, mut shares) = keygen::split(secret, GroupId::from_bytes([7; 16]), &holders, 2, &mut rng).unwrap();
        let people = vec![Member { holder: holders[1].0, person: owner.public_key() }];
        let ceremony = CeremonyId::from_bytes([1; 16]);
        let outcome = Outcome { ceremony, public, people, shares: vec![shares.remove(1)] };
        let kept = SealedShares::seal(&outcome, &owner, &mut rng).unwrap();
        let to = OwnerKey::fresh(&mut rng).public_key();
        assert_eq!(check(&kept, &owner.public_key(), &to).unwrap_err().code(), "key_not_shared");
    }

    #[test]
    fn the_name_tells_whose_it_is_and_for_whom() {
        let mut world = World::new(3, 2);
        let key = npub(world.kept[0].public());
        assert_eq!(world.handed(0, 2).name(&world.kept[0]), format!("{}.share-2-for-4.json", &key[..16]));
        world.kept = world.dealt(7, 2, 3);
        assert_eq!(world.handed(1, 0).name(&world.kept[1]), format!("{}.epoch-3.share-3-for-2.json", &key[..16]));
    }
}
