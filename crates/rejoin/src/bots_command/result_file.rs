//! A file that a run leaves behind: begun before the run, so that one that cannot be written is told
//! in time, and whole or not there at all.
//!
//! It is written beside its place and renamed into it. A run that breaks off leaves nothing.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// A result on its way to a file.
#[derive(Debug)]
pub(crate) struct ResultFile {
    flag: &'static str,
    target: PathBuf,
    draft: Draft,
}

/// The file beside the place. Dropping it removes it; once renamed there is nothing to remove.
#[derive(Debug)]
struct Draft {
    path: PathBuf,
    file: File,
}

impl ResultFile {
    /// Begins the file that `flag` asks for.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub(crate) fn begin(flag: &'static str, target: &Path) -> Result<Self, Failure> {
        let wrong = |problem: &dyn Display| {
            let text = format!("{flag} {}: {problem}", target.display());
            Failure::new(Exit::Usage, text)
        };
        let name = target.file_name();
        let name = name.ok_or_else(|| wrong(&"it names no file"))?;
        match fs::metadata(target) {
            Ok(found) if !found.is_file() => return Err(wrong(&"it is there and no plain file")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrong(&error)),
        }
        let draft = format!(".{}.draft-{}", name.display(), std::process::id());
        let path = target.with_file_name(draft);
        let created = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = created.map_err(|error| wrong(&error))?;
        Ok(Self {
            flag,
            target: target.to_owned(),
            draft: Draft { path, file },
        })
    }

    /// Writes the result, and puts it in its place.
    ///
    /// # Errors
    /// The system fails; what was there before still is.
    pub(crate) fn finish(mut self, text: &str) -> Result<(), Failure> {
        let file = &mut self.draft.file;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&self.draft.path, &self.target));
        written.map_err(|error| {
            let text = format!("{} {}: {error}", self.flag, self.target.display());
            Failure::new(Exit::Internal, text)
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("rejoin-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        entries.map(|entry| name(entry).unwrap()).collect()
    }

    #[test]
    fn a_result_replaces_the_one_before_and_leaves_no_draft() {
        let folder = folder("replaces");
        let target = folder.join("run.json");
        for text in ["first, and longer", "second"] {
            let file = ResultFile::begin("--json", &target).unwrap();
            assert_ne!(fs::read_to_string(&target).ok().as_deref(), Some(text));
            file.finish(text).unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), text);
        }
        assert_eq!(names(&folder), ["run.json"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_run_that_breaks_off_leaves_what_was_there() {
        let folder = folder("breaks-off");
        let target = folder.join("run.json");
        fs::write(&target, "before").unwrap();
        drop(ResultFile::begin("--json", &target).unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), "before");
        assert_eq!(names(&folder), ["run.json"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_flag() {
        let folder = folder("cannot");
        let missing = folder.join("missing/run.json");
        for target in [missing.as_path(), folder.as_path(), Path::new("/")] {
            let failure = ResultFile::begin("--json", target).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{failure:?}");
            let named = format!("--json {}: ", target.display());
            assert!(failure.text.starts_with(&named), "{failure:?}");
        }
        #[cfg(unix)]
        assert!(ResultFile::begin("--json", Path::new("/dev/null")).is_err());
        assert_eq!(names(&folder), [""; 0]);
        fs::remove_dir_all(folder).unwrap();
    }
}
