//! What the command says to people: results on standard output, one line of failure on
//! standard error. Everything else is logged.
//!
//! A closed pipe (`rejoin bots … | head`) is not worth a failure, so write errors are dropped.

use std::fmt;
use std::io::{self, Write};

/// A line of a command's result.
pub(crate) fn line(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// The one line of a command that failed.
pub(crate) fn failure(program: &str, text: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{program}: {text}"));
}

/// Help for a command line that asks for nothing.
pub(crate) fn help(text: impl fmt::Display) {
    drop(write!(io::stderr().lock(), "{text}"));
}
