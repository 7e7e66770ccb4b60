//! What the command says to people: results on standard output, one line of failure on
//! standard error. Everything else is logged.
//!
//! A closed pipe (`rejoin bots … | head`) is not worth a failure: its reader has what it wanted. Any other
//! line that is lost makes the command fail at its end.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use crate::terminal;

/// Why the first line of a result could not be written.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// A line of a command's result.
pub(crate) fn line(text: impl fmt::Display) {
    terminal::make_way();
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
    terminal::make_way();
    drop(writeln!(io::stderr().lock(), "{program}: {text}"));
}

/// Standard error for log lines: what is drawn on the terminal makes way for each.
#[derive(Debug)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        terminal::make_way();
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Help for a command line that asks for nothing.
pub(crate) fn help(text: impl fmt::Display) {
    drop(write!(io::stderr().lock(), "{text}"));
}
