//! `passport key create`: a new Nostr key, made by the server's holders and this device together.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bunker_core::{event::Event, keys::PublicKey, nip19};
use clap::{Args, ValueEnum};
use frost_wasm_core::{
    ceremony::CeremonyId,
    group::{GroupId, GroupPublic, HolderRole},
    secret::{Secret32, SecretString},
    share::KeyShare,
};
use passport_device::{
    ceremony::{Attendance, Outcome},
    owner::OwnerKey,
    split::{self, SplitKey},
};
use serde::Serialize;

use crate::{
    ceremony,
    failure::Failure,
    identity,
    kit::{KitFile, KitFolder, KitPath},
    output::{Output, plain},
    platform, prompt,
    server::Method,
    session::{KnownKey, Session},
    shares::{SharedKey, Shares},
    wire::{CreateKeyRequest, HolderShares, KeyView},
};

/// Pause between two tries to create an identity whose ceremony is not finished.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// How often that is tried again.
const LOOKS: u32 = 10;

/// Make a new key that nobody ever has whole.
///
/// This device and the server's holders make it together, in three shares; any two of them sign. One share is always in
/// the recovery kit, a file that is encrypted with a passphrase. Keep file and passphrase in two safe places.
///
/// In hosted custody the server's bunker and its cosigner hold the others, and the rules that you give your apps decide
/// whether or not you are there. In device custody the bunker holds one and this device the other: the server alone
/// can't sign, and apps wait until `passport watch` or `passport approve` contributes from here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport key create
  passport key create --custody device --label \"The one I am careful with\"")]
pub(crate) struct Create {
    /// Who holds the shares of the key
    #[arg(long, value_enum, default_value_t = Custody::Hosted)]
    custody: Custody,
    #[command(flatten)]
    pub(crate) options: KeyOptions,
}

/// Who holds the shares of a new key, beside the recovery kit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Custody {
    /// The server's bunker and cosigner: your rules decide, whether or not you are there
    Hosted,
    /// The server's bunker and this device: the server alone can't sign
    Device,
}

/// What `key create` and `key import` have in common.
#[derive(Debug, Args)]
pub(crate) struct KeyOptions {
    /// Your name for the key
    #[arg(long, default_value = "My Nostr key")]
    pub(crate) label: String,
    /// The folder for the recovery kit
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) kit_dir: PathBuf,
}

/// A key that was made.
#[derive(Serialize)]
pub(crate) struct MadeKey {
    group: GroupId,
    pub(crate) pubkey: PublicKey,
    pub(crate) npub: String,
    /// The ceremony that made it; none for one that was imported.
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_id: Option<CeremonyId>,
    relay: String,
    label: String,
    /// Where the recovery kit is.
    pub(crate) recovery_kit: PathBuf,
    /// Where this device's share is, in device custody.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<PathBuf>,
    /// As the server has it.
    #[serde(skip)]
    pub(crate) view: KeyView,
}

/// A key that was made or split, before the server has the identity.
pub(crate) struct NewKey {
    /// The public facts.
    public: GroupPublic,
    /// The owner's `create_group` statement.
    statement: Event,
    /// How the server's holders get their shares.
    shares: HolderShares,
    /// The share for the recovery kit.
    recovery: KeyShare,
    /// This device's own share, which stands in its files already.
    kept: Option<KeptShare>,
}

/// This device's share of a new key.
struct KeptShare {
    shares: Shares,
    key: SharedKey,
}

impl Create {
    /// Makes a key.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let folder = KitFolder::find(&self.options.kit_dir)?;
        let owner = session.unlock()?.owner;
        let outcome = with_holders(&mut session, &owner, self.custody, output)?;
        let npub = outcome.npub();
        let kit = folder.kit(&npub, outcome.public.epoch)?;
        let passphrase = prompt::KIT_PASSPHRASE.choose(&npub)?;
        let key = NewKey::made(&session, outcome, &owner)?;
        let made = create(&mut session, &key, &owner, kit, &passphrase, &self.options.label)?;
        show(&made, output)
    }
}

/// Makes a key with the server's holders. Nobody has it whole; this device has the share for the recovery kit, and in
/// device custody one of its own.
pub(crate) fn with_holders(
    session: &mut Session,
    owner: &OwnerKey,
    custody: Custody,
    output: &Output,
) -> Result<Outcome, Failure> {
    let holders = identity::holders(session.server())?;
    let rng = &mut platform::rng();
    let (others, (mut attendance, request)) = match custody {
        Custody::Hosted => ("bunker and cosigner", Attendance::hosted(owner, &holders, rng)?),
        Custody::Device => ("bunker", Attendance::with_device(owner, &holders, rng)?),
    };
    output.note(&format!("Making the key together with the server's {others} …"));
    let mut view = ceremony::start(session, &request)?;
    ceremony::attend(session, &mut attendance, &mut view, output)
}

impl NewKey {
    /// One that came out of a ceremony with the server's holders. What is not for the kit is kept on this device, and
    /// was read back, when this is there.
    pub(crate) fn made(session: &Session, outcome: Outcome, owner: &OwnerKey) -> Result<Self, Failure> {
        let statement = outcome.statement(owner, platform::now_s(), &mut platform::rng())?;
        let kept = if outcome.shares.iter().any(|share| share.role() == HolderRole::Device) {
            let shares = Shares::of(session.home());
            let key = shares.keep(&outcome, owner, "passport key create --custody device")?;
            Some(KeptShare { shares, key })
        } else {
            None
        };
        let Outcome { ceremony, public, shares, people: _ } = outcome;
        let recovery = shares.into_iter().find(|share| share.role() == HolderRole::Recovery);
        let recovery = recovery
            .ok_or_else(|| Failure::stopped("ceremony_failed", "No share came out for the kit. Begin again."))?;
        Ok(Self { public, statement, shares: HolderShares::Ceremony(ceremony), recovery, kept })
    }

    /// One that existed, split on this device.
    pub(crate) fn split(session: &Session, secret: Secret32, owner: &OwnerKey) -> Result<Self, Failure> {
        let holders = identity::holders(session.server())?;
        let split = split::split(secret, owner, &holders, platform::now_s(), &mut platform::rng())?;
        let SplitKey { public, statement, packages, recovery } = split;
        Ok(Self { public, statement, shares: HolderShares::Packages(packages), recovery, kept: None })
    }

    /// The identity's `npub1…`.
    pub(crate) fn npub(&self) -> String {
        nip19::encode_npub(&self.pubkey())
    }

    fn pubkey(&self) -> PublicKey {
        PublicKey::from_bytes(*self.public.pubkey.as_bytes())
    }

    /// Removes this device's share of a key that did not come into being.
    fn discard(&self) {
        if let Some(KeptShare { shares, key }) = &self.kept {
            // One that stays is of no harm; it opens to nothing that exists.
            let _ = shares.discard(&key.group);
        }
    }
}

/// Creates the identity. This device's share and the kit stand before the server has it: a key without them can't be
/// used or recovered, and they are of no harm without their key.
pub(crate) fn create(
    session: &mut Session,
    key: &NewKey,
    owner: &OwnerKey,
    kit: KitPath,
    passphrase: &SecretString,
    label: &str,
) -> Result<MadeKey, Failure> {
    let kit = kit.write(passphrase, owner, &key.recovery).inspect_err(|_| key.discard())?;
    let request = CreateKeyRequest { statement: &key.statement, shares: &key.shares, label };
    let view = send(session, &request).map_err(|failure| not_created(failure, key, &kit))?;
    let (group, pubkey) = (key.public.group, key.pubkey());
    if view.group != group || view.pubkey != pubkey {
        return Err(Failure::stopped(
            "key_changed",
            "The server answered about another key than the one it was sent. Do not use this server.",
        ));
    }
    let npub = key.npub();
    session.remember(KnownKey { group, npub: npub.clone(), activity_seen: None })?;
    Ok(MadeKey {
        group,
        pubkey,
        npub,
        operation_id: match key.shares {
            HolderShares::Ceremony(id) => Some(id),
            HolderShares::Packages(_) => None,
        },
        relay: view.relay.clone(),
        label: view.label.clone(),
        recovery_kit: kit.path().to_owned(),
        share: key.kept.as_ref().map(|kept| kept.key.share.clone()),
        view,
    })
}

/// The holders may still be taking their shares out of the ceremony.
pub(super) fn send(session: &mut Session, request: &CreateKeyRequest<'_>) -> Result<KeyView, Failure> {
    for _ in 0..LOOKS {
        match session.send(Method::Post, "/keys", request) {
            Err(failure) if failure.code() == "ceremony_unfinished" => platform::pause(BETWEEN_LOOKS),
            outcome => return outcome,
        }
    }
    session.send(Method::Post, "/keys", request)
}

/// Prints what was made.
pub(crate) fn show(made: &MadeKey, output: &Output) -> Result<(), Failure> {
    output.result(made, || {
        let share = made.share.as_ref().map_or_else(String::new, |path| format!("\n  your share    {}", path.display()));
        format!(
            "{}\n  label         {}\n  recovery kit  {}{share}\n\n{}{}\nNext: passport connect --label APP --allow post-notes",
            made.npub,
            plain(&made.label),
            made.recovery_kit.display(),
            keep_the_kit(&made.recovery_kit),
            if made.share.is_some() { HOLD_THE_SHARE } else { "" },
        )
    })
}

const HOLD_THE_SHARE: &str = "
Keep a copy of your share, too, but not beside the kit: without it nothing is signed, and together they are the key.
While passport watch --auto runs, your apps do what you allow them; otherwise they wait for passport approve.";

fn keep_the_kit(path: &Path) -> String {
    format!(
        "Move {} somewhere safe, away from this device, and keep its passphrase elsewhere.\n\
         Nobody can make either again.",
        path.file_name().unwrap_or(path.as_os_str()).display()
    )
}

fn not_created(failure: Failure, key: &NewKey, kit: &KitFile) -> Failure {
    if failure.is_outcome_unknown() {
        let kept = kit.path().display();
        let text = format!(
            "{failure} Nobody knows whether the key was made: see `passport key list`. Its recovery kit is kept in {kept}."
        );
        match failure {
            Failure::Refused { status, code, request_id, detail: _ } => {
                Failure::Refused { status, code, detail: text, request_id }
            }
            Failure::Unreachable(_) | Failure::Stopped { .. } | Failure::Usage(_) => Failure::Unreachable(text),
        }
    } else {
        kit.discard();
        key.discard();
        failure
    }
}
