//! The system's files: the only place of the engine that performs I/O.
//!
//! The folder is for its owner alone, and so are its files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::seam::{Disk, DiskError, DiskFault, DiskFile, DiskLock, LockError};

/// A folder of the system.
#[derive(Clone, Debug)]
pub struct FileDisk {
    folder: PathBuf,
    /// Nothing is written there.
    only_read: bool,
}

impl FileDisk {
    /// Uses `folder`, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> Result<Self, DiskError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let made = builder.create(folder);
        made.map_err(|error| failed("make", &folder.display().to_string(), &error))?;
        Ok(Self {
            folder: folder.to_owned(),
            only_read: false,
        })
    }

    /// Looks at `folder` and makes nothing. What would change anything there is refused.
    #[must_use]
    pub fn only_read(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            only_read: true,
        }
    }

    fn may_write(&self, what: &'static str, name: &str) -> Result<(), DiskError> {
        if self.only_read {
            let refused = io::Error::new(io::ErrorKind::PermissionDenied, "it is only read");
            return Err(failed(what, &self.shown(name), &refused));
        }
        Ok(())
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
    }

    fn open_with(
        &self,
        options: &OpenOptions,
        what: &'static str,
        name: &str,
    ) -> Result<SystemFile, DiskError> {
        let path = self.folder.join(name);
        let shown = path.display().to_string();
        match options.open(path) {
            Ok(file) => Ok(SystemFile { file, name: shown }),
            Err(error) => Err(failed(what, &shown, &error)),
        }
    }

    fn shown(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Disk for FileDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        let failed = |error: io::Error| failed("list", &self.shown(""), &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            // A name that is no text is none of ours.
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str, len: u64) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.may_write("create", name)?;
        let file = self.open_with(Self::options().create_new(true), "create", name)?;
        // Zeros that are written take their place; a length that is set does not.
        let zeros = vec![0; CHUNK];
        let mut offset = 0;
        while offset < len {
            let rest = usize::try_from(len - offset).unwrap_or(CHUNK);
            let part = zeros.get(..rest).unwrap_or(&zeros);
            if let Err(error) = file.write(offset, part) {
                drop(fs::remove_file(self.folder.join(name)));
                return Err(error);
            }
            offset += u64::try_from(part.len()).unwrap_or(len);
        }
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let options = Self::options().write(!self.only_read).to_owned();
        let file = self.open_with(&options, "open", name)?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.may_write("rename", from)?;
        let renamed = fs::rename(self.folder.join(from), self.folder.join(to));
        renamed.map_err(|error| failed("rename", &self.shown(from), &error))
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.may_write("remove", name)?;
        let removed = fs::remove_file(self.folder.join(name));
        removed.map_err(|error| failed("remove", &self.shown(name), &error))
    }

    #[cfg(unix)]
    fn sync_folder(&self) -> Result<(), DiskError> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| failed("sync", &self.shown(""), &error))
    }

    /// Elsewhere a folder cannot be synced.
    #[cfg(not(unix))]
    fn sync_folder(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<Box<dyn DiskLock>, LockError> {
        self.may_write("lock", name)?;
        let file = self.open_with(Self::options().create(true), "open", name)?;
        match file.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = file.read(0, HOLDER_LEN_MAX)?;
                let holder = String::from_utf8_lossy(&text).trim().to_owned();
                let name = file.name;
                return Err(LockError::Held { name, holder });
            }
            Err(TryLockError::Error(error)) => {
                return Err(failed("lock", &file.name, &error).into());
            }
        }
        file.cut(0)?;
        file.write(0, format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Box::new(file))
    }
}

/// A file of the system. As a lock it is held until it is closed.
#[derive(Debug)]
struct SystemFile {
    file: File,
    name: String,
}

impl DiskLock for SystemFile {}

impl SystemFile {
    fn failed(&self, what: &'static str) -> impl Fn(io::Error) -> DiskError {
        move |error| failed(what, &self.name, &error)
    }
}

impl DiskFile for SystemFile {
    fn size(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata().map_err(self.failed("measure"))?;
        Ok(metadata.len())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        write_all_at(&self.file, bytes, offset).map_err(self.failed("write"))
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskError> {
        let size = self.size()?;
        let there = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(there)];
        read_exact_at(&self.file, &mut bytes, offset).map_err(self.failed("read"))?;
        Ok(bytes)
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(self.failed("sync"))
    }

    fn cut(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len).map_err(self.failed("cut"))
    }
}

#[cfg(unix)]
fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Elsewhere the place in the file is shared, which does no harm: no file is read while it is
/// written to by another thread.
#[cfg(not(unix))]
fn write_all_at(mut file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Write::write_all(&mut file, bytes)
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Read::read_exact(&mut file, bytes)
}

fn failed(what: &'static str, name: &str, error: &io::Error) -> DiskError {
    let kind = error.kind();
    let fault = if matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    ) {
        DiskFault::Full
    } else if kind == io::ErrorKind::NotFound {
        DiskFault::Missing
    } else if kind == io::ErrorKind::AlreadyExists {
        DiskFault::Exists
    } else {
        DiskFault::Other
    };
    DiskError {
        what,
        name: name.to_owned(),
        fault,
        reason: error.to_string(),
    }
}

/// Zeros written in one call when a file is made.
const CHUNK: usize = 256 * 1024;
/// A process number and its newline, with room to spare.
const HOLDER_LEN_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("rejoin-file-disk-{}-{name}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn files_are_made_written_read_cut_renamed_and_removed() {
        let folder = Folder::new("files");
        let disk = FileDisk::open(&folder.0).unwrap();
        let file = disk.create("a", 600_000).unwrap();
        assert_eq!(file.size(), Ok(600_000));
        assert_eq!(
            disk.create("a", 1).unwrap_err().fault,
            DiskFault::Exists,
            "none is made over another"
        );
        file.write(599_998, b"end").unwrap();
        assert_eq!(file.read(599_997, 10), Ok(b"\0end".to_vec()));
        assert_eq!(file.read(700_000, 10), Ok(Vec::new()));
        file.cut(2).unwrap();
        file.sync().unwrap();
        disk.rename("a", "b").unwrap();
        disk.sync_folder().unwrap();
        assert_eq!(disk.list(), Ok(vec!["b".to_owned()]));
        assert_eq!(disk.open("b").unwrap().size(), Ok(2));
        disk.remove("b").unwrap();
        assert_eq!(disk.open("b").unwrap_err().fault, DiskFault::Missing);
    }

    #[test]
    fn who_only_reads_makes_nothing_and_is_refused_all_that_changes() {
        let folder = Folder::new("read");
        let reader = FileDisk::only_read(&folder.0);
        assert_eq!(reader.list().unwrap_err().fault, DiskFault::Missing);
        assert!(!folder.0.exists());
        let disk = FileDisk::open(&folder.0).unwrap();
        disk.create("a", 4).unwrap().write(0, b"kept").unwrap();
        let file = reader.open("a").unwrap();
        assert_eq!(file.read(0, 9), Ok(b"kept".to_vec()));
        assert!(file.write(0, b"lost").is_err() && file.cut(1).is_err());
        let error = reader.create("b", 1).unwrap_err().to_string();
        let path = folder.0.join("b").display().to_string();
        assert_eq!(error, format!("cannot create {path}: it is only read"));
        assert!(reader.rename("a", "b").is_err() && reader.remove("a").is_err());
        assert!(reader.lock("lock").is_err());
        assert_eq!(disk.list(), Ok(vec!["a".to_owned()]));
        assert_eq!(file.read(0, 9), Ok(b"kept".to_vec()));
    }

    #[test]
    fn a_locked_folder_names_the_process_that_has_it() {
        let folder = Folder::new("lock");
        let disk = FileDisk::open(&folder.0).unwrap();
        let lock = disk.lock("lock").unwrap();
        let error = disk.lock("lock").unwrap_err().to_string();
        let path = folder.0.join("lock").display().to_string();
        let process = std::process::id();
        assert_eq!(error, format!("{path} is locked by process {process}"));
        drop(lock);
        disk.lock("lock").unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_folder_and_its_files() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("mode");
        let disk = FileDisk::open(&folder.0).unwrap();
        disk.create("a", 1).unwrap();
        let _lock = disk.lock("lock").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.0), 0o700);
        assert_eq!(mode(&folder.0.join("a")), 0o600);
        assert_eq!(mode(&folder.0.join("lock")), 0o600);
    }
}
