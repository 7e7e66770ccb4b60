//! Exit codes: one enum, and the failure that carries one to the end of the process.
//!
//! `docs/exit-codes.md` shows the same table to users; a test below keeps the two in step.

use std::fmt;
use std::process::ExitCode;

/// How a run ended, for the caller's script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All well.
    Success,
    /// The run finished, but a check of its own failed.
    CheckFailed,
    /// A flag, a value or a file that the user gave is wrong.
    Usage,
    /// The address cannot be bound.
    CannotBind,
    /// No answer from the server.
    Unreachable,
    /// No common protocol version.
    Version,
    /// The connection was lost during the run.
    ConnectionLost,
    /// The server said no.
    Refused,
    /// A later process owns the data folder.
    Fenced,
    /// A figure does not keep the bound that the user gave it.
    CheckMissed,
    /// A defect of ours, or a system that lets us down.
    Internal,
}

impl Exit {
    /// The number that the process returns. 99 is what k6 returns for a missed threshold; 70 is `EX_SOFTWARE` of sysexits.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::CheckFailed => 1,
            Self::Usage => 2,
            Self::CannotBind => 3,
            Self::Unreachable => 4,
            Self::Version => 5,
            Self::ConnectionLost => 6,
            Self::Refused => 7,
            Self::Fenced => 8,
            Self::Internal => 70,
            Self::CheckMissed => 99,
        }
    }

    /// What a process of this program meant by the code that it returned.
    pub(crate) fn of_code(code: i32) -> Option<Self> {
        ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }
}

const ALL: [Exit; 11] = [
    Exit::Success,
    Exit::CheckFailed,
    Exit::Usage,
    Exit::CannotBind,
    Exit::Unreachable,
    Exit::Version,
    Exit::ConnectionLost,
    Exit::Refused,
    Exit::Fenced,
    Exit::Internal,
    Exit::CheckMissed,
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed: printed as one line on standard error, then the process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The code to end with.
    pub(crate) exit: Exit,
    /// One line for people, without the program's name; empty if it was said already.
    pub(crate) text: String,
}

impl Failure {
    /// A failure with its line.
    pub(crate) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self {
            exit,
            text: text.to_string(),
        }
    }

    /// A failure of which a process of ours has said its line already.
    pub(crate) const fn told(exit: Exit) -> Self {
        Self {
            exit,
            text: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_table_lists_exactly_these_codes() {
        let page = include_str!("../../../docs/exit-codes.md");
        let documented: Vec<u8> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok())
            .collect();
        assert_eq!(documented, ALL.map(Exit::code));
    }
}
