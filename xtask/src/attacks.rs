//! The list of attacks names tests that exist, and no attack is missing.

use std::path::Path;

const LIST: &str = "docs/attacks.md";
/// Attacks on the wire, and threats to the whole.
const NUMBERED: [(char, u32); 2] = [('A', 34), ('T', 19)];

/// Complaints about the list.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let page = std::fs::read_to_string(root.join(LIST)).map_err(|e| format!("{LIST}: {e}"))?;
    Ok(complaints(&page, |file| {
        let inside = ["crates", ""].map(|folder| root.join(folder).join(file));
        inside
            .iter()
            .find_map(|path| std::fs::read_to_string(path).ok())
    }))
}

fn complaints(page: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (letter, count) in NUMBERED {
        for number in 1..=count {
            if !page.contains(&format!("\n| {letter}{number} |")) {
                complaints.push(format!("{LIST}: {letter}{number} is missing"));
            }
        }
    }
    for row in page.lines().filter(|line| line.starts_with('|')) {
        complaints.extend(unknown_tests(row, &read));
    }
    complaints
}

/// Names in a row that are no function of the file named before them.
fn unknown_tests(row: &str, read: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut source = None;
    for name in row.split('`').skip(1).step_by(2) {
        if name.contains('/') {
            source = read(name);
            if source.is_none() {
                complaints.push(format!("{LIST}: no file is named {name}"));
            }
        } else if let Some(text) = source.as_ref().filter(|_| name.contains('_'))
            && !text.contains(&format!("fn {name}("))
        {
            complaints.push(format!("{LIST}: no test there is named {name}"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Option<String> {
        (file == "a/b.rs").then(|| "fn some_test() {}".to_owned())
    }

    #[test]
    fn a_list_without_a_number_or_with_a_wrong_name_is_complained_about() {
        let mut page = String::new();
        for (letter, count) in NUMBERED {
            for number in 1..=count {
                page += &format!("\n| {letter}{number} | x | `a/b.rs` `some_test` |");
            }
        }
        assert_eq!(complaints(&page, read), Vec::<String>::new());
        let without = page.replace("| A7 |", "| A |");
        assert_eq!(complaints(&without, read).len(), 1);
        let renamed = page.replacen("`some_test`", "`other_test`", 1);
        assert_eq!(complaints(&renamed, read).len(), 1);
        let moved = page.replacen("`a/b.rs`", "`a/c.rs`", 1);
        assert_eq!(complaints(&moved, read).len(), 1);
    }
}
