//! `passport key refresh`: new shares of a key in use, and the old ones end.

use std::{path::PathBuf, time::Duration};

use bunker_core::keys::PublicKey;
use clap::{Args, ValueEnum};
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, GroupPublic, HolderRole},
    secret::SecretString,
    share::KeyShare,
};
use passport_device::{
    ceremony::{self as device, Attendance, OtherDevices, Outcome, Renewal},
    owner::OwnerKey,
};
use serde::Serialize;

use crate::{
    calendar::Moment,
    ceremony,
    failure::Failure,
    identity::{self, KeyName},
    kit::{self, KitFile, KitFolder, KitPath},
    output::Output,
    platform, prompt,
    saying::say,
    server::Method,
    session::Session,
    shares::Shares,
    wire::{ExportState, ExportView, KeyView, OwnerStatement},
};

/// Pause between two looks whether the other devices have come.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// Replace all shares of a key. The key stays the same, and so do your apps.
///
/// Use it when you fear that a share or a kit has leaked, when a device is lost, or to take a key into a device's care.
/// Every holder gets a new share and you a new recovery kit; the old shares fit nothing any more. Until the last holder
/// has accepted, the old ones go on working.
///
/// A key in device custody is refreshed by this device's share and the kit's together. When the device is lost, the kit
/// alone does, on a new device: that takes an export whose delay is over (`passport export begin`), because whoever had
/// your kit could otherwise have your key at once. So does taking a hosted key into this device's care.
///
/// With `--custody hosted` the server signs without a device again. This device deals once more and has no share then; when
/// it is lost, the kit does it after the delay. A hosted key whose cosigner the server has lost gets another one with the
/// kit and `--new-cosigner`.
///
/// Several devices of yours can each have a share. All of them take part in each renewal, or are left out of it.
///
/// Scripts set PASSPORT_KIT_PASSPHRASE and PASSPORT_NEW_KIT_PASSPHRASE.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport key refresh                                             a hosted key
  passport key refresh --kit npub1sn0wdenkuka.kit.json             in device custody, and where a device was lost
  passport key refresh --custody device                            from now on this device has to be there
  passport key refresh --kit FILE --add-device                     and on the other device: passport key join
  passport key refresh --kit FILE --only-this-device               the other one is gone
  passport key refresh --custody hosted                            no device has to be there any more
  passport key refresh --kit FILE --new-cosigner                   the server has lost one of its shares")]
pub(crate) struct Refresh {
    /// In device custody: the recovery kit as it is
    #[arg(long, value_name = "FILE")]
    kit: Option<PathBuf>,
    /// Who holds the shares from now on, beside the new recovery kit
    #[arg(long, value_enum)]
    custody: Option<Custody>,
    /// In device custody: one more device of yours gets a share. On it run `passport key join`
    #[arg(long)]
    add_device: bool,
    /// In device custody: your other devices get no share any more
    #[arg(long)]
    only_this_device: bool,
    /// In hosted custody, with --kit: the server has lost its cosigner's share
    #[arg(long, requires = "kit", conflicts_with = "custody")]
    new_cosigner: bool,
    /// The folder for the new recovery kit
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    kit_dir: PathBuf,
    #[command(flatten)]
    key: KeyName,
}

/// Who holds the shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Custody {
    /// The server's bunker and cosigner
    Hosted,
    /// The server's bunker and this device
    Device,
}

#[derive(Serialize)]
struct Refreshed<'a> {
    group: GroupId,
    pubkey: PublicKey,
    npub: &'a str,
    operation_id: CeremonyId,
    epoch: u32,
    recovery_kit: &'a std::path::Path,
    /// Where this device's share is, in device custody.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<PathBuf>,
}

impl Refresh {
    /// Replaces the shares.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let folder = KitFolder::find(&self.kit_dir)?;
        let key = self.key.one(&mut session)?;
        let public = identity::detail(&mut session, &key)?.public;
        if device::Custody::is_shared(&public) {
            return Err(Failure::stopped(
                "key_is_shared",
                "People share this key, and new shares are dealt to all of them together. Use: passport key people",
            ));
        }
        let shares = Shares::of(session.home());
        shares.settle(&public)?;
        let owner = session.unlock()?.owner;
        let at_hand = self.at_hand(&key, &public, &owner, &shares)?;
        let custody = match self.custody {
            None => device::Custody::of(&public),
            Some(Custody::Hosted) => device::Custody::Hosted,
            Some(Custody::Device) => device::Custody::Device,
        };
        let others = OtherDevices { add: self.add_device, leave: self.only_this_device };
        if others != OtherDevices::default() && custody == device::Custody::Hosted {
            return Err(Failure::Usage(
                "No device has a share of a key in hosted custody. See --custody device.".into(),
            ));
        }
        let renewal = match self.new_cosigner {
            true => Renewal::with_new_cosigner(&public, kit_of(at_hand)?)?,
            false => Renewal::new(&public, at_hand, custody)?.with_others(others),
        };
        if renewal.needs_export() && custody == device::Custody::Hosted {
            check_delay(&mut session, &key, "Afterwards the server acts without the device that has to be there now")?;
        } else if renewal.needs_export() {
            check_export(&mut session, &key, &public, &shares)?;
        }
        let path = folder.kit(&key.npub, public.epoch.saturating_add(1))?;
        let passphrase = prompt::NEW_KIT_PASSPHRASE.choose(&key.npub)?;

        let mut keeping = Keeping { path: Some(path), passphrase, owner: &owner, shares: &shares, kit: None };
        let outcome = renew(&mut session, &key, renewal, &owner, &mut keeping, output)
            .map_err(|failure| keeping.after(failure))?;
        shares.settle(&outcome.public)?;
        let kit = keeping.kit.ok_or_else(|| Failure::stopped("kit_not_written", "No new kit was made."))?;
        let has_share = outcome.shares.iter().any(|share| share.role() == HolderRole::Device);
        if !has_share {
            shares.discard(&key.group)?;
        }
        show(&key, &outcome, &kit, has_share.then(|| shares.path(&key.group)), output)
    }

    /// The shares that the person has here: this device's, and the kit's if it is named.
    fn at_hand(
        &self,
        key: &KeyView,
        public: &GroupPublic,
        owner: &OwnerKey,
        shares: &Shares,
    ) -> Result<Vec<KeyShare>, Failure> {
        let mut at_hand = Vec::new();
        if let Some(sealed) = shares.sealed(&key.group)?.filter(|sealed| sealed.public() == public) {
            at_hand.push(sealed.open_one(owner)?);
        }
        if let Some(path) = &self.kit {
            let kit = kit::read(path)?;
            let passphrase = prompt::KIT_PASSPHRASE.ask(&kit.npub())?;
            let opened = kit.open(&kit.stretch(passphrase.expose_secret())?)?;
            opened.check(&owner.public_key(), &key.group)?;
            opened.check_epoch(public)?;
            at_hand.push(opened.share);
        }
        Ok(at_hand)
    }
}

fn kit_of(at_hand: Vec<KeyShare>) -> Result<KeyShare, Failure> {
    let kit = at_hand.into_iter().find(|share| share.role() == HolderRole::Recovery);
    kit.ok_or_else(|| Failure::Usage("A new cosigner gets its share from the recovery kit: add --kit FILE.".into()))
}

/// What comes out, where it will be found.
struct Keeping<'a> {
    path: Option<KitPath>,
    passphrase: SecretString,
    owner: &'a OwnerKey,
    shares: &'a Shares,
    kit: Option<KitFile>,
}

impl Keeping<'_> {
    /// The new kit, and this device's new share beside the one that it will replace.
    fn keep(&mut self, outcome: &Outcome) -> Result<(), Failure> {
        if outcome.shares.iter().any(|share| share.role() == HolderRole::Device) {
            self.shares.keep_next(outcome, self.owner)?;
        }
        let recovery = outcome.shares.iter().find(|share| share.role() == HolderRole::Recovery);
        if let (Some(path), Some(share)) = (self.path.take(), recovery) {
            self.kit = Some(path.write(&self.passphrase, self.owner, share)?);
        }
        Ok(())
    }

    /// A failure in the words of who has two kits now and has to know which is good.
    fn after(&self, failure: Failure) -> Failure {
        let Some(kit) = &self.kit else { return failure };
        let text = format!(
            "{failure} A new kit is in {}. Keep the old one as well, until `passport kit check` says which of them is good.",
            kit.path().display()
        );
        match failure {
            Failure::Refused { status, code, request_id, detail: _ } => {
                Failure::Refused { status, code, detail: text, request_id }
            }
            Failure::Unreachable(_) => Failure::Unreachable(text),
            Failure::Stopped { code, .. } => Failure::stopped(code, text),
            Failure::Usage(_) => Failure::Usage(text),
        }
    }
}

fn renew(
    session: &mut Session,
    key: &KeyView,
    renewal: Renewal,
    owner: &OwnerKey,
    keeping: &mut Keeping<'_>,
    output: &Output,
) -> Result<Outcome, Failure> {
    let holders = identity::holders(session.server())?;
    let others = renewal.waits_for();
    let (mut attendance, request) = Attendance::renew(owner, &holders, renewal, &mut platform::rng())?;
    output.note("Dealing new shares together with the server …");
    let mut view = ceremony::start(session, &request)?;
    if others > 0 {
        output.note("Waiting for your other devices. On each of them run: passport key join");
    }
    let word = loop {
        // What this device has to say itself it says again below.
        attendance.take(&view, &mut platform::rng())?;
        if let Some(word) = attendance.word() {
            break word;
        }
        if others == 0 {
            let text = "The server waits for somebody else. The shares are what they were.";
            return Err(Failure::stopped("ceremony_misled", text));
        }
        platform::pause(BETWEEN_LOOKS);
        view = ceremony::look(session, view.operation_id, attendance.next())?;
    };
    let path = format!("/keys/{}/reshare", key.group);
    say(session, key, owner, &word, |session, statement| {
        session.tell(Method::Post, &path, Some(&OwnerStatement { statement }))
    })?;
    ceremony::attend_and_keep(session, &mut attendance, &mut view, &mut |outcome| keeping.keep(outcome), output)
}

/// The holders want an export's delay to be over, where this device gets the whole key within its reach.
fn check_export(session: &mut Session, key: &KeyView, public: &GroupPublic, shares: &Shares) -> Result<(), Failure> {
    let is_here = shares.sealed(&key.group)?.is_some_and(|sealed| sealed.public() == public);
    if is_here {
        return Err(Failure::stopped(
            "kit_needed",
            "Bring the recovery kit, too: passport key refresh --kit FILE. With this device's share and the kit's there \
             is no delay.",
        ));
    }
    check_delay(session, key, "Afterwards this device could put the whole key together")
}

/// Refuses what takes the delay of an export while it is not over. `why` are the words for that.
pub(super) fn check_delay(session: &mut Session, key: &KeyView, why: &str) -> Result<(), Failure> {
    let view: ExportView = session.get(&format!("/keys/{}/export", key.group))?;
    let when = match view.state {
        ExportState::Ready => return Ok(()),
        ExportState::Waiting => {
            let ready = view.ready_at.map_or_else(String::new, |unix_s| format!(" at {} UTC", Moment { unix_s }));
            format!("The export that you asked for is ready{ready}: then run this again.")
        }
        ExportState::None => {
            "Ask for an export first, and when its delay is over run this again: passport export begin".to_owned()
        }
    };
    Err(Failure::stopped("export_needed", format!("{why}, so it takes the delay of an export. {when}")))
}

fn show(
    key: &KeyView,
    outcome: &Outcome,
    kit: &KitFile,
    share: Option<PathBuf>,
    output: &Output,
) -> Result<(), Failure> {
    let refreshed = Refreshed {
        group: key.group,
        pubkey: key.pubkey,
        npub: &key.npub,
        operation_id: outcome.ceremony,
        epoch: outcome.public.epoch,
        recovery_kit: kit.path(),
        share,
    };
    output.result(&refreshed, || {
        let share =
            refreshed.share.as_ref().map_or_else(String::new, |it| format!("\n  your share    {}", it.display()));
        format!(
            "{} has new shares (epoch {}). Your apps go on as before.\n  recovery kit  {}{share}\n\nMove the new kit \
             somewhere safe, and destroy every copy of the old one: it still has your owner key.",
            key.npub,
            outcome.public.epoch,
            kit.path().display()
        )
    })
}
