//! The commands, one file each.

pub(crate) mod account_delete;
pub(crate) mod activity;
pub(crate) mod approve;
pub(crate) mod apps;
pub(crate) mod audit_verify;
pub(crate) mod ceremony_cancel;
pub(crate) mod ceremony_join;
pub(crate) mod ceremony_list;
pub(crate) mod ceremony_start;
pub(crate) mod connect;
pub(crate) mod edit;
pub(crate) mod export;
pub(crate) mod export_share;
pub(crate) mod export_together;
pub(crate) mod key_create;
pub(crate) mod key_delete;
pub(crate) mod key_import;
pub(crate) mod key_join;
pub(crate) mod key_list;
pub(crate) mod key_people;
pub(crate) mod key_refresh;
pub(crate) mod kit_check;
pub(crate) mod kit_renew;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod operator;
pub(crate) mod passkey;
pub(crate) mod passwd;
pub(crate) mod pause;
pub(crate) mod quickstart;
pub(crate) mod recover;
pub(crate) mod register;
pub(crate) mod requests;
pub(crate) mod revoke;
pub(crate) mod sessions;
pub(crate) mod watch;

use crate::{
    args::{Account, Ceremony, Command, Key, Kit},
    failure::Failure,
    output::Output,
};

/// Runs one.
pub(crate) fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Register(it) => it.run(output),
        Command::Login(it) => it.run(output),
        Command::Logout(it) => it.run(output),
        Command::Passwd(it) => it.run(output),
        Command::Recover(it) => it.run(output),
        Command::Sessions(it) => it.run(output),
        Command::Passkey(it) => it.run(output),
        Command::Account(Account::Delete(it)) => it.run(output),
        Command::Key(Key::Create(it)) => it.run(output),
        Command::Key(Key::Import(it)) => it.run(output),
        Command::Key(Key::List(it)) => it.run(output),
        Command::Key(Key::Refresh(it)) => it.run(output),
        Command::Key(Key::Join(it)) => it.run(output),
        Command::Key(Key::People(it)) => it.run(output),
        Command::Key(Key::Delete(it)) => it.run(output),
        Command::Kit(Kit::Check(it)) => it.run(output),
        Command::Kit(Kit::Renew(it)) => it.run(output),
        Command::Ceremony(Ceremony::Start(it)) => it.run(output),
        Command::Ceremony(Ceremony::Join(it)) => it.run(output),
        Command::Ceremony(Ceremony::List(it)) => it.run(output),
        Command::Ceremony(Ceremony::Cancel(it)) => it.run(output),
        Command::Export(it) => it.run(output),
        Command::Connect(it) => it.run(output),
        Command::Apps(it) => it.run(output),
        Command::Edit(it) => it.run(output),
        Command::Pause(it) => it.run(output),
        Command::Resume(it) => it.run(output),
        Command::Revoke(it) => it.run(output),
        Command::Requests(it) => it.run(output),
        Command::Approve(it) => it.run(output),
        Command::Deny(it) => it.run(output),
        Command::Watch(it) => it.run(output),
        Command::Activity(it) => it.run(output),
        Command::Quickstart(it) => it.run(output),
        Command::Operator(it) => it.run(output),
        Command::Audit(audit_verify::Audit::Verify(it)) => it.run(output),
    }
}
