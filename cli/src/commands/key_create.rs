//! `passport key create`: a new Nostr key, split before anything leaves this device.

use std::path::{Path, PathBuf};

use bunker_core::{keys::PublicKey, nip19};
use clap::Args;
use frost_wasm_core::{
    frost::keygen,
    group::GroupId,
    secret::{Secret32, SecretString},
};
use passport_device::{
    owner::OwnerKey,
    split::{self, npub_of},
};
use serde::Serialize;

use crate::{
    failure::Failure,
    identity,
    kit::{KitFile, KitPath},
    output::{Output, plain},
    platform, prompt,
    server::Method,
    session::{KnownKey, Session},
    wire::{CreateKeyRequest, KeyView},
};

/// Make a new key and split it.
///
/// The key is split here into three shares, any two of which sign: one for the server's bunker, one for its
/// cosigner, each sealed to its holder, and one for you. Yours goes into the recovery kit, a file that is encrypted
/// with a passphrase. Keep file and passphrase in two safe places: with them you can leave any server with your key.
#[derive(Debug, Args)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) options: KeyOptions,
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
    relay: String,
    label: String,
    /// Where the recovery kit is.
    pub(crate) recovery_kit: PathBuf,
    /// As the server has it.
    #[serde(skip)]
    pub(crate) view: KeyView,
}

impl Create {
    /// Makes a key.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let secret = keygen::fresh_secret(&mut platform::rng());
        let made = make(&mut session, secret, &self.options)?;
        show(&made, output)
    }
}

/// Splits a secret that came from wherever, asking for password and passphrase.
pub(crate) fn make(session: &mut Session, secret: Secret32, options: &KeyOptions) -> Result<MadeKey, Failure> {
    let npub = npub_of(&secret)?;
    let kit = KitPath::choose(&options.kit_dir, &npub)?;
    let owner = session.unlock()?.owner;
    let passphrase = prompt::KIT_PASSPHRASE.choose(&npub)?;
    create(session, secret, &owner, kit, &passphrase, &options.label)
}

/// Splits a secret. The kit stands before the server hears of the key: a key without its kit can't be recovered,
/// a kit without its key is of no harm.
pub(crate) fn create(
    session: &mut Session,
    secret: Secret32,
    owner: &OwnerKey,
    kit: KitPath,
    passphrase: &SecretString,
    label: &str,
) -> Result<MadeKey, Failure> {
    let holders = identity::holders(session.server())?;
    let key = split::split(secret, owner, &holders, platform::now_s(), &mut platform::rng())?;
    let kit = kit.write(passphrase, owner, &key.recovery)?;
    let request = CreateKeyRequest { statement: &key.statement, packages: &key.packages, label };
    let view: KeyView = session.send(Method::Post, "/keys", &request).map_err(|failure| not_created(failure, &kit))?;
    let pubkey = PublicKey::from_bytes(*key.public.pubkey.as_bytes());
    if view.group != key.public.group || view.pubkey != pubkey {
        return Err(Failure::stopped(
            "key_changed",
            "The server answered about another key than the one it was sent. Do not use this server.",
        ));
    }
    let npub = nip19::encode_npub(&pubkey);
    session.remember(KnownKey { group: key.public.group, npub: npub.clone(), activity_seen: None })?;
    Ok(MadeKey {
        group: key.public.group,
        pubkey,
        npub,
        relay: view.relay.clone(),
        label: view.label.clone(),
        recovery_kit: kit.path().to_owned(),
        view,
    })
}

/// Prints what was made.
pub(crate) fn show(made: &MadeKey, output: &Output) -> Result<(), Failure> {
    output.result(made, || {
        format!(
            "{}\n  label         {}\n  recovery kit  {}\n\n{}\nNext: passport connect --label APP --allow post-notes",
            made.npub,
            plain(&made.label),
            made.recovery_kit.display(),
            keep_the_kit(&made.recovery_kit),
        )
    })
}

fn keep_the_kit(path: &Path) -> String {
    format!(
        "Move {} somewhere safe, away from this device, and keep its passphrase elsewhere.\n\
         Nobody can make either again.",
        path.file_name().unwrap_or(path.as_os_str()).display()
    )
}

fn not_created(failure: Failure, kit: &KitFile) -> Failure {
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
        failure
    }
}
