//! `passport export share`: one of those who share a key seals their share to another of them.

use std::{io, path::PathBuf};

use bunker_core::{keys::PublicKey, nip19};
use clap::Args;
use frost_wasm_core::group::{GroupId, HolderIndex};
use passport_device::{
    handover::{self, HandedShare},
    shares::SealedShares,
};
use serde::Serialize;

use super::ceremony_start::OwnerName;
use crate::{
    failure::Failure,
    home,
    identity::KeyName,
    output::Output,
    platform, prompt,
    session::{self, Session},
    shares::Shares,
};

/// Seal your share of a key that people share to one of the others, who puts the key together.
///
/// Whoever has as many shares as make the key has the whole key, for good: nobody can take that back. The file opens with
/// the account of whoever it is for, and with nothing else. No server is asked or told.
#[derive(Debug, Args)]
#[command(after_help = "\
Everybody sees their own owner key with: passport ceremony list

Example: Bob hands his share to Alice, who puts the key together
  passport export share --to npub1…                           Bob; sends the file to Alice
  passport export together npub1….json --out nsec.txt         Alice")]
pub(crate) struct Share {
    /// Who it is for: the owner key of the account of another one who shares the key, as hex or npub
    #[arg(long, value_name = "OWNER")]
    to: OwnerName,
    /// The new file; otherwise one in this folder that is named after the key
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Which of two shares, while this device has not seen whether new ones that were dealt took the place of the old
    #[arg(long, value_name = "NUMBER")]
    epoch: Option<u32>,
    /// Write it without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    key: KeyName,
}

#[derive(Serialize)]
struct Handed<'a> {
    group: GroupId,
    pubkey: PublicKey,
    npub: &'a str,
    index: HolderIndex,
    to: PublicKey,
    file: &'a PathBuf,
}

impl Share {
    /// Writes it.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let session = Session::resume()?;
        let own = session.owner_pubkey().ok_or_else(session::not_signed_in)?;
        let shares = Shares::of(session.home());
        let kept = self.key.shared_here(&shares)?;
        let next = shares.unsettled(&kept.group())?;
        let kept = of_epoch(kept, next, self.epoch)?;
        let to = self.to.0;
        handover::check(&kept, &own, &to)?;
        output.note(&describe(&kept, &to));
        if !self.yes {
            agree()?;
        }
        let owner = session.unlock()?.owner;
        let handed = HandedShare::seal(&kept, &owner, to, &mut platform::rng())?;
        let file = self.out.unwrap_or_else(|| handed.name(&kept).into());
        home::create_private(&file, handed.to_text()?.as_bytes()).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::AlreadyExists => "there is a file already, which is left alone".to_owned(),
                _ => error.to_string(),
            };
            Failure::stopped("share_not_written", format!("Could not write {}: {why}.", file.display()))
        })?;
        let (group, pubkey, index) = (kept.group(), kept.pubkey(), handed.index());
        let npub = nip19::encode_npub(&pubkey);
        let result = Handed { group, pubkey, npub: &npub, index, to, file: &file };
        output.result(&result, || {
            format!(
                "Your share {index} of {npub} is in {}, for {to} alone.\nSend it to them, and destroy it when they have it. \
                 They put the key together with: passport export together FILE… --out FILE",
                file.display()
            )
        })
    }
}

/// The share that is meant, where this device may have two.
fn of_epoch(kept: SealedShares, next: Option<SealedShares>, epoch: Option<u32>) -> Result<SealedShares, Failure> {
    let (now, then) = (kept.public().epoch, next.as_ref().map(|it| it.public().epoch));
    match (epoch, next) {
        (None, None) => Ok(kept),
        (None, Some(_)) => Err(Failure::stopped(
            "epoch_needed",
            format!(
                "This device has two shares of the key: new ones were dealt, and it has not seen whether they took the place \
                 of the old. See that with: passport ceremony join. If there is no server any more, agree with the others on \
                 one epoch: --epoch {now}, or --epoch {}",
                then.unwrap_or(now)
            ),
        )),
        (Some(epoch), _) if epoch == now => Ok(kept),
        (Some(epoch), Some(next)) if then == Some(epoch) => Ok(next),
        (Some(epoch), _) => {
            Err(Failure::Usage(format!("This device has no share of epoch {epoch}; the present one is of {now}.")))
        }
    }
}

fn describe(kept: &SealedShares, to: &PublicKey) -> String {
    let needed = kept.public().threshold;
    let then = match needed.saturating_sub(2) {
        0 => "With yours beside their own they have it".to_owned(),
        1 => "With yours beside their own they lack one".to_owned(),
        lack => format!("With yours beside their own they lack {lack}"),
    };
    format!(
        "{} (epoch {}): your share, to {to}\nWhoever has {needed} shares of this key has the whole key, for good: they are \
         this identity from then on, alone and without anybody's consent. {then}. You can't take it back.",
        nip19::encode_npub(&kept.pubkey()),
        kept.public().epoch,
    )
}

fn agree() -> Result<(), Failure> {
    prompt::agree("Hand it over?", "not_handed_over", "Nothing was written. Your share is where it was.")
}

#[cfg(test)]
mod tests {
    use bunker_core::members::Member;
    use frost_wasm_core::{
        ceremony::CeremonyId,
        frost::keygen,
        group::{GroupPublic, HolderRole},
        secret::Secret32,
        share::KeyShare,
    };
    use passport_device::{ceremony::Outcome, owner::OwnerKey};

    use super::*;

    fn kept(epoch: u32, threshold: u16) -> SealedShares {
        let index = |number| HolderIndex::new(number).unwrap();
        let holders: Vec<_> =
            (1..=5).map(|it| (index(it), if it == 1 { HolderRole::Bunker } else { HolderRole::Device })).collect();
        let (secret, group) = (Secret32::from_bytes([7; 32]), GroupId::from_bytes([2; 16]));
        let (public, mut shares) = keygen::split(secret, group, &holders, threshold, &mut platform::rng()).unwrap();
        let public = GroupPublic { epoch, ..public };
        let owner = OwnerKey::fresh(&mut platform::rng());
        let people = (2..=5).map(|it| Member { holder: index(it), person: owner.public_key() }).collect();
        let share = KeyShare::new(&public, index(2), shares.remove(1).expose_signing_share()).unwrap();
        let outcome = Outcome { ceremony: CeremonyId::from_bytes([1; 16]), public, people, shares: vec![share] };
        SealedShares::seal(&outcome, &owner, &mut platform::rng()).unwrap()
    }

    #[test]
    fn of_two_shares_a_person_says_which_is_meant() {
        let epoch = |next: Option<u32>, named| {
            let kept = of_epoch(kept(3, 2), next.map(|it| kept(it, 2)), named);
            kept.map(|it| it.public().epoch).map_err(|failure| failure.code().to_owned())
        };
        assert_eq!(epoch(None, None), Ok(3));
        assert_eq!(epoch(None, Some(3)), Ok(3));
        assert_eq!(epoch(None, Some(4)), Err("usage".into()));
        assert_eq!(epoch(Some(4), None), Err("epoch_needed".into()));
        assert_eq!((epoch(Some(4), Some(3)), epoch(Some(4), Some(4))), (Ok(3), Ok(4)));
        assert_eq!(epoch(Some(4), Some(2)), Err("usage".into()));
    }

    #[test]
    fn a_person_is_told_what_handing_over_means_before_it_is_done() {
        let to = PublicKey::from_bytes([9; 32]);
        for (threshold, then) in [(2, "they have it"), (3, "they lack one"), (4, "they lack 2")] {
            let told = describe(&kept(0, threshold), &to);
            assert!(told.contains(&format!("Whoever has {threshold} shares of this key has the whole key, for good")));
            assert!(told.contains(then) && told.contains(&to.to_string()), "{told}");
        }
    }
}
