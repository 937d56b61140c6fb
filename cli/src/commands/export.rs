//! `passport export`: leaving with the whole key.

use std::path::{Path, PathBuf};

use bunker_core::{event::Event, statement::Verb};
use clap::{ArgGroup, Args, Subcommand};
use frost_wasm_core::{
    group::{GroupPublic, HolderRole},
    login::LoginKeys,
};
use passport_device::export::{self, Exported};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    calendar::Moment,
    failure::Failure,
    home::{self, Home},
    identity::{self, KeyName},
    kit,
    output::Output,
    platform, prompt,
    saying::say_signed,
    server::Method,
    session::Session,
    shares::Shares,
    wire::{ExportState, ExportView, KeyView, OwnerStatement, ReleaseReply, ReleaseRequest},
};

/// Take the whole key out, to leave with it.
///
/// You ask, you wait, and then the holders hand their shares to this device, where they come together. The delay is
/// there so that you notice, and can cancel, when somebody else asks in your name.
///
/// A key in device custody comes together out of this device's share and the recovery kit, at once and without any
/// server: `passport export finish --kit FILE`.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    Begin(Begin),
    Status(Status),
    Cancel(Cancel),
    Finish(Finish),
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
/// Whoever reads the nsec is you from then on, everywhere and for ever.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("where").args(["out", "reveal"]).required(true), after_help = "\
Examples:
  passport export finish --out nsec.txt
  passport export finish --out nsec.txt --kit npub1sn0wdenkuka.kit.json    in device custody, without the server")]
pub(crate) struct Finish {
    /// Write the nsec into a new file that only you can read
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the nsec
    #[arg(long)]
    reveal: bool,
    /// For a key in device custody: its recovery kit, which says which key is meant
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    kit: Option<PathBuf>,
    #[command(flatten)]
    key: KeyName,
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
        }
    }
}

impl Begin {
    fn run(self, output: &Output) -> Result<(), Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        on_the_server(&identity::detail(&mut session, &key)?.public)?;
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
        let nsec = exported.nsec.expose_secret();
        if let Some(file) = &self.out {
            let line = Zeroizing::new(format!("{nsec}\n"));
            home::create_private(file, line.as_bytes()).map_err(|error| {
                Failure::stopped("key_not_written", format!("Could not write {}: {error}.", file.display()))
            })?;
        }
        let shown = self.reveal.then_some(nsec);
        let result = Finished { npub: &exported.npub, nsec: shown, file: self.out.as_ref() };
        output.note(
            "The key is whole again on this device: whoever reads the nsec is you from then on. Its shares still sign; \
             to end that, use: passport key delete",
        );
        output.result(&result, || match &self.out {
            Some(file) => format!("{}\nThe nsec is in {}.", result.npub, file.display()),
            None => nsec.to_owned(),
        })
    }

    /// Out of the shares that the server's holders release.
    fn released(&self) -> Result<Exported, Failure> {
        let mut session = Session::resume()?;
        let key = self.key.one(&mut session)?;
        let public = identity::detail(&mut session, &key)?.public;
        on_the_server(&public)?;
        let unlocked = session.unlock()?;
        let path = format!("{}/release", path(&key));
        let reply: ReleaseReply =
            session.sensitive(&unlocked.keys, |session| session.send(Method::Post, &path, &ReleaseRequest {}))?;
        let exported = export::finish(&unlocked.owner, &key.group, &reply.statement, &public, &reply.packages)?;
        if exported.npub == key.npub {
            Ok(exported)
        } else {
            Err(Failure::stopped("key_changed", "The shares are those of another key. Nothing was written."))
        }
    }
}

/// Out of this device's share and the recovery kit. Neither a server nor a sign-in is needed: the kit has the owner key.
fn with_kit(path: &Path) -> Result<Exported, Failure> {
    let kit = kit::read(path)?;
    let sealed = Shares::of(&Home::find()?).sealed(&kit.group())?.ok_or_else(|| {
        Failure::stopped(
            "share_not_here",
            format!(
                "This device has no share of {}. In device custody, use the kit on the device that made the key; in                  hosted custody, leave without it: passport export begin",
                kit.npub()
            ),
        )
    })?;
    let passphrase = prompt::KIT_PASSPHRASE.ask(&kit.npub())?;
    let opened = kit.open(&kit.stretch(passphrase.expose_secret())?)?;
    opened.check(&opened.owner.public_key(), &sealed.group())?;
    let share = sealed.open_one(&opened.owner)?;
    Ok(export::with_kit(share, opened)?)
}

/// Refuses to ask the server for what it does not have.
fn on_the_server(public: &GroupPublic) -> Result<(), Failure> {
    if public.holders.iter().all(|holder| holder.role != HolderRole::Device) {
        return Ok(());
    }
    Err(Failure::stopped(
        "kit_needed",
        "The server has but one share of this key, and there is nothing to wait for: the key comes together out of this \
         device's share and the recovery kit. Use: passport export finish --kit FILE --out FILE",
    ))
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
