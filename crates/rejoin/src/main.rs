//! The `rejoin` command: the rooms that come with Rejoin, and nothing added.

use std::process::ExitCode;

fn main() -> ExitCode {
    rejoin::serve(|server| server)
}
