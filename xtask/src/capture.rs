//! Commands whose output we read: cargo and git about the repository, the system about itself.

use std::path::Path;
use std::process::{Command, Stdio};

/// What a command prints; its own errors pass through.
pub(crate) fn capture(root: &Path, program: &str, arguments: &[&str]) -> Result<String, String> {
    let name = format!("{program} {}", arguments.join(" "));
    let program = if program == "cargo" {
        cargo_path()
    } else {
        program.to_owned()
    };
    let output = Command::new(program)
        .current_dir(root)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{name}: {error}"))
}

/// The cargo that runs us, so that a chosen toolchain stays chosen.
pub(crate) fn cargo_path() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
