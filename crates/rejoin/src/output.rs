//! What the command says to people: results on standard output, one line of failure on
//! standard error. Everything else is logged.
//!
//! A closed pipe (`rejoin bots … | head`) is not worth a failure: its reader has what it wanted. Any other
//! line that is lost makes the command fail at its end.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// Why the first line of a result could not be written.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// A line of a command's result.
pub(crate) fn line(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(LOST.set(error)),
        Ok(()) | Err(_) => {}
    }
}

/// Why a part of the result is lost, if it is.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get()
}

/// The one line of a command that failed.
pub(crate) fn failure(program: &str, text: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{program}: {text}"));
}

/// Help for a command line that asks for nothing.
pub(crate) fn help(text: impl fmt::Display) {
    drop(write!(io::stderr().lock(), "{text}"));
}
