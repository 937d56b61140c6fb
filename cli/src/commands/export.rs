//! `passport export`: leaving with the whole key.

use std::path::{Path, PathBuf};

use bunker_core::{event::Event, statement::Verb};
use clap::{Args, Subcommand};
use frost_wasm_core::{
    group::{GroupPublic, HolderRole},
    login::LoginKeys,
};
use passport_device::{
    ceremony::Custody,
    export::{self, Exported},
    kit::{KitFile, OpenedKit},
    owner::OwnerKey,
    split::SharePackages,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{export_share::Share, export_together::Together};
use crate::{
    calendar::Moment,
    failure::Failure,
    home::{self, Home},
    identity::{self, KeyName},
    kit,
    output::Output,
    owner::Unlocked,
    platform, prompt,
    saying::say_signed,
    server::Method,
    session::Session,
    shares::Shares,
    wire::{ExportState, ExportView, KeyView, OwnerStatement, ReleaseReply, ReleaseRequest, ReleasedPackages},
};

/// Take the whole key out, to leave with it.
///
/// You ask, you wait, and then the holders hand their shares to this device, where they come together. The delay is
/// there so that you notice, and can cancel, when somebody else asks in your name.
///
/// A key in device custody comes together out of this device's share and the recovery kit, at once and without any
/// server: `passport export finish --kit FILE`. When the device's share is lost, the one that the server releases after
/// the delay takes its place.
///
/// A key that people share comes together out of their shares, without the delay and without any server, where there are
/// more of you than have to sign: the others seal theirs to one of you with `passport export share`, who puts them together
/// with `passport export together`.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    Begin(Begin),
    Status(Status),
    Cancel(Cancel),
    Finish(Finish),
    Share(Share),
    Together(Together),
}

/// Ask for it; the delay begins.
#[derive(Debug, Args)]
pub(crate) struct Begin {
    #[command(flatten)]
    key: KeyName,
}

/// See how it stands.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    key: KeyName,
}

/// Stop it.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    key: KeyName,
}

/// Put the key together, once the delay is over.
///
/// Whoever reads the nsec is you from then on, everywhere and for ever. Not for a key that people share: see `passport
/// export together`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  passport export finish --out nsec.txt
  passport export finish --out nsec.txt --kit npub1sn0wdenkuka.kit.json    in device custody")]
pub(crate) struct Finish {
    #[command(flatten)]
    destination: Destination,
    /// For a key in device custody: its recovery kit, which says which key is meant. With this device's share nothing
    /// else is needed; without it, begin the export first and wait for the delay
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    kit: Option<PathBuf>,
    #[command(flatten)]
    key: KeyName,
}

/// Where the whole key goes.
#[derive(Debug, Args)]
#[group(id = "where", required = true, multiple = false)]
pub(super) struct Destination {
    /// Write the nsec into a new file that only you can read
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the nsec
    #[arg(long)]
    reveal: bool,
}

#[derive(Serialize)]
struct Finished<'a> {
    npub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    nsec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a PathBuf>,
}

impl Export {
    /// Does what was asked.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Begin(it) => it.run(output),
            Self::Status(it) => it.run(output),
            Self::Cancel(it) => it.run(output),
            Self::Finish(it) => it.run(output),
            Self::Share(it) => it.run(output),
            Self::Together(it) => it.run(output),
        }
    }
}

impl Destination {
    /// Writes it there, and tells what to keep in mind.
    pub(super) fn take(&self, exported: &Exported, note: &str, output: &Output) -> Result<(), Failure> {
        let nsec = exported.nsec.expose_secret();
        if let Some(file) = &self.out {
            let line = Zeroizing::new(format!("{nsec}\n"));
            home::create_private(file, line.as_bytes()).map_err(|error| {
                Failure::stopped("key_not_written", format!("Could not write {}: {error}.", file.display()))
            })?;
        }
        let shown = self.reveal.then_some(nsec);
        let result = Finished { npub: &exported.npub, nsec: shown, file: self.out.as_ref() };
        output.note(note);
        output.result(&result, || match &self.out {
            Some(file) => format!("{}\nThe nsec is in {}.", result.npub, file.display()),
            None => nsec.to_owned(),
        })
    }
}

impl Begin {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let is_here = Shares::of(session.home()).sealed(&key.group)?.is_some();
        if is_here {
            let public = identity::detail(&mut session, &key)?.public;
            // People who share a key have no kit, and need the delay for new shares.
            if is_on_device(&public) && !Custody::is_shared(&public) {
                return Err(kit_needed());
            }
        }
        let unlocked = session.unlock()?;
        let path = path(&key);
        let sign = |seq| {
            let receiver = export::receiver(&unlocked.owner, &key.group, seq)?.public();
            let now_s = platform::now_s();
            let verb = Verb::Export { receiver };
            Ok(unlocked.owner.sign(key.group, seq, &verb, now_s, &mut platform::rng())?)
        };
        let view: ExportView = sensitively(&mut session, &key, &unlocked.keys, sign, |session, statement| {
            session.send(Method::Post, &path, &OwnerStatement { statement })
        })?;
        show(&view, output)
    }
}

impl Status {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let view: ExportView = session.get(&path(&key))?;
        show(&view, output)
    }
}

impl Cancel {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let unlocked = session.unlock()?;
        let path = path(&key);
        let sign = |seq| {
            Ok(unlocked.owner.sign(key.group, seq, &Verb::CancelExport, platform::now_s(), &mut platform::rng())?)
        };
        sensitively(&mut session, &key, &unlocked.keys, sign, |session, statement| {
            session.tell(Method::Delete, &path, Some(&OwnerStatement { statement }))
        })?;
        show(&ExportView { state: ExportState::None, ready_at: None }, output)
    }
}

impl Finish {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let exported = match &self.kit {
            Some(kit) => with_kit(kit)?,
            None => self.released()?,
        };
        self.destination.take(
            &exported,
            "The key is whole again on this device: whoever reads the nsec is you from then on. Its shares still sign; \
             to end that, use: passport key delete",
            output,
        )
    }

    /// Out of the shares that the server's holders release.
    fn released(&self) -> Result<Exported, Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let public = identity::detail(&mut session, &key)?.public;
        if Custody::is_shared(&public) {
            return Err(shared());
        }
        if is_on_device(&public) {
            return Err(kit_needed());
        }
        let (owner, ReleaseReply { statement, packages }) = release(&mut session, &key)?;
        let ReleasedPackages { bunker, cosigner: Some(cosigner) } = packages else {
            return Err(Failure::stopped(
                "export_damaged",
                "The server released one share of two. Begin the export again.",
            ));
        };
        let packages = SharePackages { bunker, cosigner };
        of_this_key(&key, export::finish(&owner, &key.group, &statement, &public, &packages)?)
    }
}

/// Out of the recovery kit and this device's share; or, when there is none here, the one that the server releases.
fn with_kit(path: &Path) -> Result<Exported, Failure> {
    let kit = kit::read(path)?;
    let home = Home::find()?;
    let Some(sealed) = Shares::of(&home).sealed(&kit.group())? else { return with_kit_and_server(&kit) };
    if Custody::is_shared(sealed.public()) {
        return Err(shared());
    }
    // Neither a server nor a sign-in is needed: the kit has the owner key.
    let opened = open(&kit)?;
    opened.check(&opened.owner.public_key(), &sealed.group())?;
    let share = sealed.open_one(&opened.owner)?;
    Ok(export::with_kit(share, opened)?)
}

fn with_kit_and_server(kit: &KitFile) -> Result<Exported, Failure> {
    let mut session = Session::resume()?;
    let key = identity::list(&mut session)?.into_iter().find(|key| key.group == kit.group());
    let key = key.ok_or_else(|| {
        Failure::stopped(
            "share_not_here",
            format!("Neither this device nor your account has a share of {}, beside that of the kit.", kit.npub()),
        )
    })?;
    let public = identity::detail(&mut session, &key)?.public;
    let opened = open(kit)?;
    let (owner, ReleaseReply { statement, packages }) = release(&mut session, &key)?;
    let ReleasedPackages { bunker, .. } = packages;
    of_this_key(&key, export::finish_with_kit(&owner, &key.group, &statement, &public, &bunker, opened)?)
}

fn open(kit: &KitFile) -> Result<OpenedKit, Failure> {
    let passphrase = prompt::KIT_PASSPHRASE.ask(&kit.npub())?;
    Ok(kit.open(&kit.stretch(passphrase.expose_secret())?)?)
}

/// Has the server's holders hand out what they have.
fn release(session: &mut Session, key: &KeyView) -> Result<(OwnerKey, ReleaseReply), Failure> {
    let Unlocked { owner, keys } = session.unlock()?;
    let path = format!("{}/release", path(key));
    let reply = session.sensitive(&keys, |session| session.send(Method::Post, &path, &ReleaseRequest {}))?;
    Ok((owner, reply))
}

fn of_this_key(key: &KeyView, exported: Exported) -> Result<Exported, Failure> {
    if exported.npub == key.npub {
        Ok(exported)
    } else {
        Err(Failure::stopped("key_changed", "The shares are those of another key. Nothing was written."))
    }
}

/// Whether one of the shares is on a device of the person's.
fn is_on_device(public: &GroupPublic) -> bool {
    public.holders.iter().any(|holder| holder.role == HolderRole::Device)
}

fn shared() -> Failure {
    Failure::stopped(
        "key_is_shared",
        "People share this key, so nobody takes it out alone. Where there are more of you than have to sign, the others seal \
         their shares to you with `passport export share`, and you put them together, without the server, with: passport \
         export together FILE… --out FILE",
    )
}

fn kit_needed() -> Failure {
    Failure::stopped(
        "kit_needed",
        "The server has only one share of this key. Take the recovery kit, too: passport export finish --kit FILE --out \
         FILE. On the device that has your share, that works at once and without the server.",
    )
}

fn sensitively<T>(
    session: &mut Session,
    key: &KeyView,
    keys: &LoginKeys,
    sign: impl Fn(u64) -> Result<Event, Failure>,
    send: impl Fn(&mut Session, &Event) -> Result<T, Failure>,
) -> Result<T, Failure> {
    session.sensitive(keys, |session| say_signed(session, key, &sign, &send).map(|(_, answer)| answer))
}

fn show(view: &ExportView, output: &Output) -> Result<(), Failure> {
    output.result(view, || {
        let ready = view.ready_at.map_or_else(String::new, |unix_s| format!("{} UTC", Moment { unix_s }));
        match view.state {
            ExportState::None => "No export is under way.".to_owned(),
            ExportState::Waiting => format!(
                "The export is asked for. It is ready at {ready}: then use passport export finish.\n\
                 Was that not you? Stop it with: passport export cancel"
            ),
            ExportState::Ready => format!("The export is ready since {ready}. Use: passport export finish"),
        }
    })
}

fn path(key: &KeyView) -> String {
    format!("/keys/{}/export", key.group)
}
