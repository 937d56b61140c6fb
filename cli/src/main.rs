//! `passport`, the native client.
//!
//! It is the person's own device: it takes part in making keys and splits those that exist, the owner key signs here,
//! and the password is turned into a login secret here. What leaves is public, sealed to one holder, or signed.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

mod access;
mod args;
mod audit;
mod calendar;
mod ceremony;
mod commands;
mod contribution;
mod failure;
mod home;
mod identity;
mod kit;
mod operator;
mod output;
mod owner;
mod platform;
mod prompt;
mod saying;
mod server;
mod session;
mod shares;
mod store;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match args::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(stop) => return stop.show(),
    };
    let output = output::Output::new(cli.json);
    match commands::run(cli.command, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}
