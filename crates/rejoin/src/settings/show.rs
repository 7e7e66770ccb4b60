//! Settings as text: a file that can be given back, and the example file.

use super::keys::Key;
use super::{Loaded, Settings};

/// Every key with its value, as a file that means the same; a key without a value stands in a comment.
pub(crate) fn show(loaded: &Loaded, with_origins: bool) -> String {
    let mut settings = loaded.settings.clone();
    let mut text = String::new();
    let mut table = None;
    for key in settings.keys() {
        head(&mut text, &mut table, &key);
        let line = match key.toml() {
            Some(value) => format!("{} = {value}", key.name),
            None => format!("# {} is not set", key.name),
        };
        text += &line;
        if with_origins {
            let gap = 44_usize.saturating_sub(line.len());
            text += &format!("{:gap$}# {}", "", loaded.origin(&key.path()));
        }
        text.push('\n');
    }
    text
}

/// The example file: every key in a comment, with its default and all that is said of it.
pub(crate) fn example() -> String {
    let mut text = "\
# Settings of `rejoin serve`: every key, with its default. Uncomment what you change.
#
# Given as `rejoin serve --config FILE`, or named by REJOIN_CONFIG. A flag goes before a variable, a variable
# before this file, this file before the default. A key that is not listed here is an error; `rejoin config
# check --config FILE` looks for more. Most limits count per shard; docs/limits.md says which, and what
# happens beyond each.
"
    .to_owned();
    let mut table = None;
    for key in Settings::default().keys() {
        head(&mut text, &mut table, &key);
        text.push('\n');
        text += &comment(&said_of(&key));
        let value = key.toml();
        let value = value.unwrap_or_else(|| super::keys::quoted(key.example));
        text += &format!("#{} = {value}\n", key.name);
    }
    text
}

/// The line of a table, where one begins.
fn head(text: &mut String, table: &mut Option<&'static str>, key: &Key<'_>) {
    if *table != key.table {
        *table = key.table;
        // Keys at the top come first, so there is a name.
        let name = key.table.unwrap_or_default();
        *text += &format!(
            "
[{name}]
"
        );
    }
}

fn said_of(key: &Key<'_>) -> String {
    let mut said = format!("{} ", key.about);
    match key.unit {
        "" => {}
        "time" => said += &format!("Takes {}. ", key.bounds()),
        unit => said += &format!("Takes {} {unit}. ", key.bounds()),
    }
    if let Some(cost) = key.memory {
        said += &format!("Memory: {cost}. ");
    }
    said + &format!("Variable: {}.", key.variable())
}

/// Lines of a comment, none wider than the page.
fn comment(text: &str) -> String {
    const WIDTH: usize = 110;
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines += &line;
            lines.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line += word;
    }
    lines + &line + "\n"
}
