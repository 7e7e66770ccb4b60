//! What the docs say of settings is what the code says.

use std::fs;
use std::path::Path;

use crate::settings::{Settings, example};

#[test]
fn the_example_file_and_the_table_in_the_docs_are_those_of_the_code() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let bless = std::env::var_os("REJOIN_BLESS").is_some_and(|value| value == "1");
    let sheet = docs.join("rejoin.toml");
    if bless {
        fs::write(&sheet, example()).unwrap();
    }
    let hint = "run `REJOIN_BLESS=1 cargo test -p rejoin --lib settings`";
    assert_eq!(fs::read_to_string(&sheet).unwrap(), example(), "{hint}");

    let page = docs.join("operations.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once("<!-- settings -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->\n").unwrap();
    let fresh = format!(
        "{before}<!-- settings -->\n{}<!-- end -->\n{after}",
        page_table()
    );
    if bless {
        fs::write(&page, &fresh).unwrap();
    }
    assert_eq!(fs::read_to_string(&page).unwrap(), fresh, "{hint}");
}

/// The table of keys in the docs.
fn page_table() -> String {
    let mut text = "| key | default | may be | variable |\n|---|---|---|---|\n".to_owned();
    for key in Settings::default().keys() {
        let default = key.toml().map_or("-".to_owned(), |it| format!("`{it}`"));
        let (path, bounds, variable) = (key.path(), key.bounds(), key.variable());
        text += &format!("| `{path}` | {default} | {bounds} | `{variable}` |\n");
    }
    text
}
