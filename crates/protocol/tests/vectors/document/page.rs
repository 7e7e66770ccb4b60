//! Fences and tables of the page.

use std::fs;
use std::path::Path;

/// A fenced block: what stands behind its fence, and in it.
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) info: String,
    pub(crate) text: String,
}

/// A file of the repository.
pub(crate) fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn page() -> String {
    file("docs/protocol.md")
}

/// All blocks, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(page.lines()) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block {
                    line: number,
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text += line;
                block.text += "\n";
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "the last fence is closed");
    blocks
}

/// The rows of the table whose head has these first cells, cells without blanks and backticks.
pub(crate) fn table(page: &str, head: &[&str]) -> Vec<Vec<String>> {
    let mut lines = page.lines();
    let found = lines.find(|line| is_head(&cells(line), head));
    assert!(found.is_some(), "there is no table {head:?}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "the table {head:?} is empty");
    rows
}

fn cells(line: &str) -> Vec<String> {
    let Some(inside) = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'))
    else {
        return Vec::new();
    };
    let cells = inside.split('|');
    cells
        .map(|cell| cell.replace('`', "").trim().to_owned())
        .collect()
}

fn is_head(cells: &[String], head: &[&str]) -> bool {
    cells.len() >= head.len() && cells.iter().zip(head).all(|(cell, name)| cell == name)
}
