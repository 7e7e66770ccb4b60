//! Layers: the cores' dependency trees hold nothing that performs I/O, waits, or draws entropy.

use std::path::Path;

use crate::capture::capture;

/// A core and the features it is shipped with.
struct Core {
    package: &'static str,
    features: &'static [&'static str],
}

const CORES: [Core; 8] = [
    Core {
        package: "rejoin-protocol",
        features: &[],
    },
    Core {
        package: "rejoin-protocol",
        features: &["--no-default-features", "--features", "portable"],
    },
    Core {
        package: "rejoin-room",
        features: &[],
    },
    Core {
        package: "rejoin-store",
        features: &[],
    },
    Core {
        package: "rejoin-coordinator",
        features: &[],
    },
    Core {
        package: "rejoin-client",
        features: &["--no-default-features", "--features", "aws-lc"],
    },
    Core {
        package: "rejoin-client",
        features: &["--no-default-features", "--features", "portable"],
    },
    Core {
        package: "rejoin-simulation",
        features: &[],
    },
];

/// Crates that perform I/O, schedule tasks, or ask the system for entropy.
const BANNED: [&str; 14] = [
    "tokio",
    "mio",
    "getrandom",
    "socket2",
    "polling",
    "smol",
    "async-std",
    "async-io",
    "futures",
    "futures-util",
    "rand",
    "rustix",
    "nix",
    "crossterm",
];

/// One complaint per banned crate in a core's tree.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for core in &CORES {
        let mut arguments = vec![
            "tree",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "-p",
            core.package,
        ];
        arguments.extend(core.features);
        let tree = capture(root, "cargo", &arguments)?;
        for line in tree.lines() {
            let name = line.split_whitespace().next().unwrap_or_default();
            if BANNED.contains(&name) {
                complaints.push(format!(
                    "{} {}: its tree holds {name}",
                    core.package,
                    core.features.join(" ")
                ));
            }
        }
    }
    complaints.sort();
    complaints.dedup();
    Ok(complaints)
}
