//! The only place that prints. Results go to standard output, everything else to standard error.
//!
//! Text that others chose (an app's name, a server's words) is shown without control characters, so that it can't
//! rewrite what stands on the screen.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;

use crate::failure::Failure;

/// Where results and notes go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// With `json`, results are one JSON value.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the command's result: `value` as JSON, or `human` for people.
    pub(crate) fn result<T: Serialize>(&self, value: &T, human: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = if self.json {
            serde_json::to_string(value)
                .map_err(|_| Failure::stopped("output_failed", "The result could not be written."))?
        } else {
            human()
        };
        let mut out = io::stdout().lock();
        match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // Whoever reads has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(_) => Err(Failure::stopped("output_failed", "The result could not be written to standard output.")),
        }
    }

    /// Tells what is going on or what to keep in mind.
    pub(crate) fn note(&self, text: &str) {
        to_stderr(text);
    }

    /// Tells why the command ended early.
    pub(crate) fn failure(&self, failure: &Failure) {
        let (detail, code) = (plain(&failure.to_string()), plain(failure.code()));
        match failure {
            // What fails on the server is found there by this name.
            Failure::Refused { status: 500.., request_id: Some(id), .. } => {
                to_stderr(&format!("error: {detail} [{code}; request_id {}]", plain(id)))
            }
            Failure::Refused { .. } | Failure::Unreachable(_) | Failure::Stopped { .. } => {
                to_stderr(&format!("error: {detail} [{code}]"));
            }
            // Our own words, of several lines at times.
            Failure::Usage(text) => to_stderr(&format!("error: {text}")),
        }
    }
}

/// Prints help, a version, or a mistake on the command line.
pub(crate) fn clap(error: &clap::Error) -> ExitCode {
    // A screen that is gone is no reason for another exit code.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints a mistake on the command line in our words.
pub(crate) fn usage(text: &str) -> ExitCode {
    to_stderr(&format!("error: {text}"));
    ExitCode::from(2)
}

/// Asks something on the terminal.
pub(crate) fn question(text: &str) {
    let mut out = io::stderr().lock();
    // Nobody is left to ask when standard error is gone; standard input then ends, too.
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// The text without control characters and without those that change the direction of writing.
pub(crate) fn plain(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_harmful(c) { ' ' } else { c }).collect()
}

fn to_stderr(text: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        let shown = plain("App\u{1b}[2J\u{202e}evil\r\nok");
        assert_eq!(shown, "App [2J evil  ok");
    }
}
