//! The rooms of a data folder for who only looks: found, read, and never changed.

use std::path::{Path, PathBuf};

use rejoin_store::disk::{Disk, DiskError, FileDisk};
use rejoin_store::log::{LogReader, OpenError, Recovery};

use crate::lock_holder::lock_holder;

/// Where rooms are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRooms {
    rooms: PathBuf,
    /// The data folder that a server could be given, if there is one.
    data: Option<PathBuf>,
}

/// Why there are no rooms to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoRooms {
    /// No server has kept rooms there.
    #[error("no rooms are kept in {}: `rejoin serve --data DIR` keeps them in DIR/rooms", .0.display())]
    None(PathBuf),
    /// The folder cannot be read.
    #[error(transparent)]
    Folder(#[from] DiskError),
    /// What is there cannot be read.
    #[error("{}: {problem}", rooms.display())]
    Unreadable {
        /// Where.
        rooms: PathBuf,
        /// Why.
        problem: OpenError,
    },
}

impl StoredRooms {
    /// Finds the rooms of a data folder. The folder of the rooms itself will do, and so will one that was set aside.
    ///
    /// # Errors
    /// There are none, or the folder cannot be read.
    pub fn find(folder: &Path) -> Result<Self, NoRooms> {
        let inner = folder.join("rooms");
        if inner.is_dir() {
            let data = Some(folder.to_owned());
            return Ok(Self { rooms: inner, data });
        }
        let names = FileDisk::only_read(folder).list()?;
        if !names
            .iter()
            .any(|name| name == "manifest" || has_segment_name(name))
        {
            return Err(NoRooms::None(folder.to_owned()));
        }
        // `.` has no name, and yet a parent.
        let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let named = whole.file_name().is_some_and(|name| name == "rooms");
        Ok(Self {
            rooms: folder.to_owned(),
            data: whole.parent().filter(|_| named).map(Path::to_owned),
        })
    }

    /// Reads all that is kept.
    ///
    /// # Errors
    /// Nothing is, or it cannot be read.
    pub fn read(&self) -> Result<(LogReader, Recovery), NoRooms> {
        let rooms = self.rooms.clone();
        match LogReader::open(&FileDisk::only_read(&rooms)) {
            Ok((reader, _)) if reader.epoch() == 0 => Err(NoRooms::None(rooms)),
            Ok(read) => Ok(read),
            Err(problem) => Err(NoRooms::Unreadable { rooms, problem }),
        }
    }

    /// The process that has them, as far as the system tells: what is read may be of the past already.
    #[must_use]
    pub fn holder(&self) -> Option<u32> {
        lock_holder(&self.rooms.join("lock"))
    }

    /// The data folder that they are part of, if they are of one: rooms that were set aside are of none.
    #[must_use]
    pub fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }

    /// Their own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.rooms
    }
}

fn has_segment_name(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|it| it == "log")
}
