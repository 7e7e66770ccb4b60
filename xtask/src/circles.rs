//! Module circles: files of one crate that import each other in a loop.
//!
//! Imports are read as text: every `crate::a::b` and `super::` path outside test modules. A path
//! belongs to the deepest file it names. A parent that declares `mod child;` does not import it,
//! but a parent that names something of the child does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::sources;

type Imports = BTreeMap<String, BTreeSet<String>>;

/// One complaint per circle.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut crates: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for path in sources::files(root)? {
        let relative = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        let Some((package, file)) = relative.split_once("/src/") else {
            continue;
        };
        if !sources::has_extension(&path, "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("{relative}: {error}"))?;
        let production = text
            .split("#[cfg(test)]\nmod ")
            .next()
            .unwrap_or_default()
            .to_owned();
        crates
            .entry(package.to_owned())
            .or_default()
            .insert(module_of(file), production);
    }
    let mut complaints = Vec::new();
    for (package, modules) in &crates {
        let imports = imports_of(modules);
        if let Some(circle) = find_circle(&imports) {
            complaints.push(format!("{package}: module circle {}", circle.join(" -> ")));
        }
    }
    Ok(complaints)
}

/// `connection/mod.rs` and `connection.rs` are `connection`; `lib.rs` and `main.rs` are the crate.
fn module_of(file: &str) -> String {
    let stem = file.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    match stem {
        "lib" | "main" | "mod" => String::new(),
        other => other.replace('/', "::"),
    }
}

fn imports_of(modules: &BTreeMap<String, String>) -> Imports {
    let mut imports = Imports::new();
    for (module, text) in modules {
        let found = imports.entry(module.clone()).or_default();
        for path in paths(module, text) {
            let target = deepest(modules, &path);
            // The crate's own page only hands names on.
            if target != *module && !target.is_empty() && !module.is_empty() {
                found.insert(target);
            }
        }
    }
    imports
}

/// All module paths that a text names, from the crate's root.
fn paths(module: &str, text: &str) -> Vec<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut found = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for (marker, base) in [("crate::", ""), ("super::", parent)] {
            for (at, _) in line.match_indices(marker) {
                let boundary = line.get(..at).and_then(|before| before.chars().last());
                if boundary.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$')
                {
                    continue;
                }
                let rest = line.get(at + marker.len()..).unwrap_or_default();
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                    .collect();
                found.push(if base.is_empty() {
                    name
                } else {
                    format!("{base}::{name}")
                });
            }
        }
    }
    found
}

/// The deepest module that is a prefix of `path`; the crate itself if none is.
fn deepest(modules: &BTreeMap<String, String>, path: &str) -> String {
    let mut candidate = path.trim_end_matches(':');
    loop {
        if modules.contains_key(candidate) {
            return candidate.to_owned();
        }
        match candidate.rsplit_once("::") {
            Some((shorter, _)) => candidate = shorter,
            None => return String::new(),
        }
    }
}

fn find_circle(imports: &Imports) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    imports
        .keys()
        .find_map(|start| walk(start, imports, &mut Vec::new(), &mut done))
}

fn walk<'a>(
    at: &'a str,
    imports: &'a Imports,
    trail: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<String>> {
    if let Some(start) = trail.iter().position(|seen| *seen == at) {
        let circle = trail
            .iter()
            .skip(start)
            .chain([&at])
            .map(|name| (*name).to_owned());
        return Some(circle.collect());
    }
    if done.contains(at) {
        return None;
    }
    trail.push(at);
    let targets = imports.get(at).into_iter().flatten();
    let circle = targets
        .into_iter()
        .find_map(|target| walk(target, imports, trail, done));
    trail.pop();
    done.insert(at);
    circle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn a_loop_of_imports_is_a_circle() {
        let modules = modules(&[
            ("a", "use crate::b::B;"),
            ("b", "use crate::c;"),
            ("c", "crate::a::f()"),
        ]);
        let circle = find_circle(&imports_of(&modules)).unwrap();
        assert_eq!(circle, ["a", "b", "c", "a"]);
    }

    #[test]
    fn a_child_that_names_its_parent_closes_a_circle() {
        let modules = modules(&[
            ("a", "use crate::a::child::X;"),
            ("a::child", "use super::Y;"),
        ]);
        assert!(find_circle(&imports_of(&modules)).is_some());
    }

    #[test]
    fn imports_that_only_point_down_are_no_circle() {
        let modules = modules(&[("a", "use crate::b::B;"), ("b", "// crate::a\nuse std::x;")]);
        assert_eq!(find_circle(&imports_of(&modules)), None);
    }
}
