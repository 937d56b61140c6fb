//! The commands, one file each.

pub(crate) mod activity;
pub(crate) mod apps;
pub(crate) mod connect;
pub(crate) mod key_create;
pub(crate) mod key_import;
pub(crate) mod key_list;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod quickstart;
pub(crate) mod register;
pub(crate) mod revoke;

use crate::{
    args::{Command, Key},
    failure::Failure,
    output::Output,
};

/// Runs one.
pub(crate) fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Register(it) => it.run(output),
        Command::Login(it) => it.run(output),
        Command::Logout(it) => it.run(output),
        Command::Key(Key::Create(it)) => it.run(output),
        Command::Key(Key::Import(it)) => it.run(output),
        Command::Key(Key::List(it)) => it.run(output),
        Command::Connect(it) => it.run(output),
        Command::Apps(it) => it.run(output),
        Command::Revoke(it) => it.run(output),
        Command::Activity(it) => it.run(output),
        Command::Quickstart(it) => it.run(output),
    }
}
