//! Signals to the processes of a test.

use std::process::Command;

/// Sends the process of this id a signal by name.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status();
    assert!(sent.expect("kill is installed").success());
}
