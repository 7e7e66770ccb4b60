//! What the system tells: processor time, bytes written, bytes of a folder, and which machine it is.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::engine::Failure;

/// Time that a thread or process has run so far.
pub(crate) fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// Bytes that this process has handed to the system in writes so far.
pub(crate) fn written_bytes() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("the system counts no writes")?.parse()?)
}

/// Bytes that the files of a folder take on the medium. Files that go meanwhile count as nothing.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

/// Puts every file of a folder on the medium.
pub(crate) fn sync_files(folder: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(folder)? {
        fs::File::open(entry?.path())?.sync_all()?;
    }
    Ok(())
}

/// Puts all of a folder's file system on the medium, so that no run pays for the one before.
pub(crate) fn settle(folder: &Path) -> Result<(), Failure> {
    Ok(rustix::fs::syncfs(fs::File::open(folder)?)?)
}

/// The machine and what was measured on it, as the raw file says it.
#[derive(serde::Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) processors: usize,
    pub(crate) memory_kib: u64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) compiler: String,
    pub(crate) versions: BTreeMap<&'static str, String>,
}

impl Machine {
    pub(crate) fn of(folder: &Path) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory = field(&meminfo, "MemTotal").trim_end_matches(" kB").parse();
        Self {
            processor: field(&cpuinfo, "model name").to_owned(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            memory_kib: memory.unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
            file_system: file_system(folder),
            compiler: compiler(),
            versions: ENGINES.map(|name| (name, version(name))).into(),
        }
    }
}

const ENGINES: [&str; 4] = ["rejoin-store", "raft-engine", "fjall", "redb"];

/// The value of the first line that begins with a name.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(found, _)| found.trim() == name);
    values.next().map_or("unknown", |(_, value)| value.trim())
}

/// Kind and options of the mount that a folder is in: the one with the longest path.
fn file_system(folder: &Path) -> String {
    let Ok(folder) = folder.canonicalize() else {
        return "unknown".to_owned();
    };
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let above = fields.filter(|(path, _, _)| folder.starts_with(path));
    let nearest = above.max_by_key(|(path, _, _)| path.len());
    nearest.map_or_else(
        || "unknown".to_owned(),
        |(_, kind, options)| format!("{kind} ({options})"),
    )
}

/// The compiler that is there now: cargo tells none to what it builds.
fn compiler() -> String {
    let output = std::process::Command::new("rustc")
        .arg("--version")
        .output();
    let text = output.ok().and_then(|it| String::from_utf8(it.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The version in the lock file that this was built with.
fn version(name: &str) -> String {
    let line = format!("name = \"{name}\"");
    let mut lines = include_str!("../Cargo.lock").lines();
    let version = lines
        .find(|found| *found == line)
        .and_then(|_| lines.next());
    let version = version.and_then(|line| line.strip_prefix("version = "));
    version.map_or_else(
        || "unknown".to_owned(),
        |it| it.trim_matches('"').to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        for name in ENGINES {
            assert!(version(name).starts_with(|first: char| first.is_ascii_digit()));
        }
        assert_eq!(version("nothing"), "unknown");
    }

    #[test]
    fn bytes_written_and_kept_are_counted() {
        let folder = std::env::temp_dir().join(format!("rejoin-engines-{}", std::process::id()));
        fs::create_dir_all(folder.join("deeper")).unwrap();
        let before = written_bytes().unwrap();
        fs::write(folder.join("deeper/file"), vec![1; 100_000]).unwrap();
        settle(&folder).unwrap();
        assert!(written_bytes().unwrap() >= before + 100_000);
        assert!((100_000..200_000).contains(&folder_bytes(&folder)));
        fs::remove_dir_all(&folder).unwrap();
    }
}
