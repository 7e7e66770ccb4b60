//! Dependencies: few, explained, of stable lines, under licences we can ship.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::capture::capture;

/// Direct dependencies of the shipped crates, at most.
const DIRECT_MAX: usize = 31;

/// Licences we can ship; the same list as in `deny.toml`.
const LICENCES: [&str; 11] = [
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "BSL-1.0",
    "OpenSSL",
    "CC0-1.0",
    "Unlicense",
];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

/// Complaints about what the workspace depends on.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let text = capture(
        root,
        "cargo",
        &["metadata", "--locked", "--format-version", "1"],
    )?;
    let metadata: Metadata =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let guide = fs::read_to_string(root.join("CONTRIBUTING.md"))
        .map_err(|error| format!("CONTRIBUTING.md: {error}"))?;
    let mut complaints = Vec::new();
    let (shipped, all) = direct(&metadata);
    if shipped.len() > DIRECT_MAX {
        complaints.push(format!(
            "{} direct dependencies, at most {DIRECT_MAX}",
            shipped.len()
        ));
    }
    for name in &all {
        if !guide.contains(&format!("`{name}`")) {
            complaints.push(format!("CONTRIBUTING.md does not say why `{name}` is here"));
        }
    }
    for package in metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some())
    {
        let licence = package.license.as_deref().unwrap_or("none");
        if !allowed(licence) {
            complaints.push(format!("{}: licence {licence}", package.name));
        }
        if all.contains(package.name.as_str()) && !stable(&package.version) {
            complaints.push(format!(
                "{} {}: not a stable line",
                package.name, package.version
            ));
        }
    }
    Ok(complaints)
}

/// Direct outside dependencies: of the shipped crates at run time, and of everything.
fn direct(metadata: &Metadata) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let mut shipped = BTreeSet::new();
    let mut all = BTreeSet::new();
    for package in &metadata.packages {
        if !metadata.workspace_members.contains(&package.id) {
            continue;
        }
        for dependency in package
            .dependencies
            .iter()
            .filter(|found| found.path.is_none())
        {
            all.insert(dependency.name.as_str());
            if dependency.kind.is_none() && package.name != "xtask" {
                shipped.insert(dependency.name.as_str());
            }
        }
    }
    (shipped, all)
}

/// True unless a version is of a line before its release. What follows a `+` only tells of the build, and may
/// hold a `-` too.
fn stable(version: &str) -> bool {
    let (version, _) = version.split_once('+').unwrap_or((version, ""));
    !version.contains('-')
}

/// True if an SPDX expression can be met: every `AND` part has an allowed `OR` choice.
fn allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" AND ").all(|part| {
        part.split(" OR ").any(|choice| {
            let licence = choice.split(" WITH ").next().unwrap_or_default().trim();
            LICENCES.contains(&licence)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_before_its_release_is_not_stable_whatever_its_build_is_called() {
        assert!(stable("1.2.2+spec-1.1.0"));
        assert!(!stable("1.2.2-rc.1"));
        assert!(!stable("1.2.2-rc.1+spec"));
    }

    #[test]
    fn every_and_part_needs_an_allowed_choice() {
        assert!(allowed("MIT OR GPL-3.0"));
        assert!(allowed("ISC AND (Apache-2.0 OR ISC) AND OpenSSL"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed("none"));
    }
}
