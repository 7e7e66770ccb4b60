//! File sizes and words: what a reader would stumble over.

use std::fs;
use std::path::{Path, PathBuf};

/// A file over this many lines hides a second noun.
const LINES_MAX: usize = 500;
/// A README over this is not read.
const README_LINES_MAX: usize = 200;

/// Words that must not be in the repository, split so that this file holds none of them.
const BANNED: [[&str; 2]; 6] = [
    ["TO", "DO"],
    ["FIX", "ME"],
    ["todo", "!("],
    ["unimpl", "emented!("],
    ["#[ign", "ore"],
    ["/wo", "rk/"],
];

/// Complaints about the text files of the repository.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for path in files(root)? {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let name = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let lines = text.lines().count();
        if has_extension(&path, "rs") && lines > LINES_MAX {
            complaints.push(format!("{name}: {lines} lines, at most {LINES_MAX}"));
        }
        if name == "README.md" && lines > README_LINES_MAX {
            complaints.push(format!("{name}: {lines} lines, at most {README_LINES_MAX}"));
        }
        for (index, line) in text.lines().enumerate() {
            for [front, back] in BANNED {
                let word = format!("{front}{back}");
                if line.contains(&word) {
                    complaints.push(format!("{name}:{}: holds `{word}`", index + 1));
                }
            }
        }
    }
    Ok(complaints)
}

/// All files that git knows, or would add.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let list = crate::capture::capture(
        root,
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    )?;
    Ok(list
        .lines()
        .map(|line| root.join(line))
        .filter(|path| path.is_file())
        .collect())
}

pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
