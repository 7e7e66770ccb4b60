//! Every example of the page is a golden vector, and every message and frame has an example.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;

use super::notation;
use super::page::{Block, blocks, page};
use crate::golden::stored;

/// Files of which the page shows every vector.
const SHOWN_WHOLE: [&str; 12] = [
    "client-messages",
    "cookie",
    "frames",
    "join-derivation",
    "packet-headers",
    "packet-protection",
    "permits",
    "resume",
    "resume-derivation",
    "room-messages",
    "server-messages",
    "snapshot-heads",
];

/// Files of messages: that the bytes of one stand there is not enough.
const SHOWN_AS_VALUES: [&str; 2] = ["client-messages", "server-messages"];

/// The bytes that a block writes, and how many more its vector has.
fn hex(text: &str) -> Result<(Vec<u8>, usize), String> {
    let (mut bytes, mut more) = (Vec::new(), 0);
    for line in text.lines() {
        let mut words = line
            .split(';')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        while let Some(word) = words.next() {
            let mut count = || {
                let count = words.next().and_then(|count| count.parse::<usize>().ok());
                count.ok_or(format!("a number is missing behind {word:?}"))
            };
            match (word, bytes.last().copied()) {
                ("x", Some(byte)) => bytes.resize(bytes.len() + count()? - 1, byte),
                ("...", _) => more = count()?,
                ("more", _) => {}
                _ => bytes.extend(
                    HEXLOWER
                        .decode(word.as_bytes())
                        .map_err(|error| format!("{word:?}: {error}"))?,
                ),
            }
        }
    }
    Ok((bytes, more))
}

fn compare_hex(text: &str, vector: &[u8]) -> Result<(), String> {
    let (bytes, more) = hex(text)?;
    let (front, rest) = vector.split_at(bytes.len().min(vector.len()));
    if bytes == front && more == rest.len() {
        return Ok(());
    }
    let theirs = HEXLOWER.encode(front);
    Err(format!("the vector is {theirs} and {} more", rest.len()))
}

fn compare_value(text: &str, vector: &[u8]) -> Result<(), String> {
    let mut ours = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (open, close) in [("{ ", " }"), ("[ ", " ]")] {
        ours = ours.replace(open, &open[..1]).replace(close, &close[1..]);
    }
    let theirs = notation::show(vector);
    if ours == theirs {
        return Ok(());
    }
    Err(format!("the vector is {theirs}"))
}

/// The entries of a block that shows several vectors: `name = what`, and indented lines that go on.
fn entries(text: &str) -> Vec<(String, String)> {
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (
            line.starts_with(' '),
            line.split_once(" ="),
            entries.last_mut(),
        ) {
            (false, Some((name, what)), _) => entries.push((name.trim().into(), what.into())),
            (true, _, Some((_, what))) => *what = format!("{what}\n{line}"),
            _ => entries.push((line.to_owned(), String::new())),
        }
    }
    entries
}

/// Looks at one block; gives the vectors it shows, as file and name.
fn check(block: &Block) -> Result<Vec<(String, String)>, String> {
    let (form, named) = block
        .info
        .split_once(' ')
        .ok_or("expected `text`, `hex` or `value`")?;
    let compare = match form {
        "hex" => compare_hex,
        "value" => compare_value,
        _ => return Err("expected `text`, `hex` or `value`".into()),
    };
    let (file, shown) = match named.split_once(": ") {
        Some((file, name)) => (file, vec![(name.to_owned(), block.text.clone())]),
        None => (named, entries(&block.text)),
    };
    let vectors = stored(file);
    for (name, what) in &shown {
        let vector = vectors.get(name);
        let vector = vector.ok_or_else(|| format!("there is no vector {name:?}"))?;
        compare(what, vector).map_err(|problem| format!("{name}: {problem}"))?;
    }
    let counts = form == "value" || !SHOWN_AS_VALUES.contains(&file);
    let names = shown.into_iter().filter(|_| counts);
    let names = names.map(|(name, _)| (file.to_owned(), name));
    Ok(names.collect())
}

#[test]
fn every_example_is_a_golden_vector() {
    let (mut shown, mut wrong) = (BTreeSet::new(), Vec::new());
    let page = page();
    for block in blocks(&page).iter().filter(|block| block.info != "text") {
        match check(block) {
            Ok(names) => shown.extend(names),
            Err(problem) => wrong.push(format!("line {}: {}: {problem}", block.line, block.info)),
        }
    }
    assert!(wrong.is_empty(), "docs/protocol.md:\n{}", wrong.join("\n"));
    for file in SHOWN_WHOLE {
        for name in stored(file).into_keys() {
            // Streams differ in their types alone, which the table of types has.
            let other_stream = ["ordered 1", "ordered 2", "ordered 3"];
            let is_shown = shown.contains(&(file.to_owned(), name.clone()));
            let is_alike = file == "frames" && other_stream.iter().any(|it| name.starts_with(it));
            assert!(
                is_shown || is_alike,
                "docs/protocol.md lacks {file}: {name}"
            );
        }
    }
}

#[test]
fn a_wrong_example_is_found() {
    assert_eq!(
        compare_hex("0102 ; words\n03 x 3", &[1, 2, 3, 3, 3]),
        Ok(())
    );
    assert_eq!(compare_hex("01 ... 2 more", &[1, 2, 3]), Ok(()));
    for wrong in ["", "01", "0103", "010203", "01 ... 2 more", "01 x", "1g"] {
        assert!(compare_hex(wrong, &[1, 2]).is_err(), "{wrong}");
    }
    let value = [0x81, 0xa1, b'a', 0x92, 0xc0, 0xc4, 1, 7];
    assert_eq!(
        compare_value("{\"a\": [\n  nil,\n  h'07'\n]}", &value),
        Ok(())
    );
    assert!(compare_value("{\"a\": [nil, h'08']}", &value).is_err());
}
