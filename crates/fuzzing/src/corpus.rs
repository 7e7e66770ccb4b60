//! The corpus: one folder per parser or machine, one file per input.

use std::path::PathBuf;
use std::{fs, io};

/// The folder of one parser's or machine's inputs.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus")).join(name)
}

/// All inputs of one parser or machine with their file names, by name.
///
/// # Errors
/// The folder or a file in it cannot be read.
pub fn inputs(name: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(name))? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        inputs.push((file.into_owned(), fs::read(&path)?));
    }
    inputs.sort();
    Ok(inputs)
}
