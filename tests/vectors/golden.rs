//! Files of golden bytes in this folder: `name = hex`, long values on indented lines.
//!
//! A module of the tests that write them: messages of `rejoin-protocol`, checkpoints and records of
//! `rejoin-coordinator`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use data_encoding::HEXLOWER;

/// Named bytes of one file.
pub(crate) type Vectors = BTreeMap<String, Vec<u8>>;

/// A file's vectors from a list.
pub(crate) fn vectors<const N: usize>(list: [(&str, Vec<u8>); N]) -> Vectors {
    list.into_iter()
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

/// Compares our bytes with a file, and gives what the file holds, so that the caller can decode
/// the stored bytes rather than fresh ones. `REJOIN_BLESS=1` writes the file instead.
pub(crate) fn golden(file: &str, about: &str, ours: Vectors) -> Vectors {
    let path = path(file);
    if env::var_os("REJOIN_BLESS").is_some_and(|value| value == "1") {
        fs::write(&path, render(about, &ours)).expect("the vectors can be written");
    }
    let stored = stored(file);
    let names = |vectors: &Vectors| vectors.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&stored), "{file}: the names differ");
    for (name, bytes) in &ours {
        let stored = stored.get(name).map(|bytes| HEXLOWER.encode(bytes));
        assert_eq!(
            stored,
            Some(HEXLOWER.encode(bytes)),
            "{file}: {name} differs"
        );
    }
    stored
}

/// What a file holds.
pub(crate) fn stored(file: &str) -> Vectors {
    let text = fs::read_to_string(path(file)).expect("the file of vectors exists");
    parse(&text)
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors")
        .join(file)
        .with_extension("hex")
}

fn render(about: &str, vectors: &Vectors) -> String {
    let package = env!("CARGO_PKG_NAME");
    let mut text = format!("# {about}\n# Written by `REJOIN_BLESS=1 cargo test -p {package}`.\n");
    for (name, bytes) in vectors {
        text += name;
        text += " =";
        if bytes.len() <= LINE {
            text += " ";
            text += &HEXLOWER.encode(bytes);
        } else {
            for line in bytes.chunks(LINE) {
                text += "\n  ";
                text += &HEXLOWER.encode(line);
            }
        }
        text += "\n";
    }
    text
}

fn parse(text: &str) -> Vectors {
    let mut vectors = Vectors::new();
    let mut name = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let hex = match line.split_once('=') {
            Some((left, right)) => {
                name = left.trim();
                right.trim()
            }
            None => line.trim(),
        };
        let bytes = HEXLOWER
            .decode(hex.as_bytes())
            .expect("a vector is lower-case hex");
        vectors.entry(name.to_owned()).or_default().extend(bytes);
    }
    vectors
}

/// Bytes on one line of a file.
const LINE: usize = 40;
