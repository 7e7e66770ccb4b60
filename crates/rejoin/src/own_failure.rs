//! Why a process cannot have a data folder, in one line that says what to do.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use rejoin_server::{KeyFileError, OwnError};
use rejoin_store::disk::{DiskError, DiskFault, LockError};
use rejoin_store::log::OpenError;

use crate::exit::{Exit, Failure};

/// What the folder was wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// `serve`.
    Serve,
    /// `store drop`.
    Drop,
}

/// The failure of a command that wanted the folder.
pub(crate) fn of(error: OwnError, folder: &Path, wanted: For) -> Failure {
    if disk_error(&error).is_some_and(|disk| disk.fault == DiskFault::Full) {
        // As if it had filled while a server ran: who starts it again may find place.
        return Failure::new(Exit::Internal, format!("{error}; {MAKE_ROOM}"));
    }
    let folder = folder.display();
    let what_to_do = match &error {
        OwnError::Epoch(_) | OwnError::Entropy(_) => None,
        OwnError::Lock(LockError::Held { .. }) => Some(match wanted {
            For::Serve => "stop it first, or start with --take-over, which kills it".to_owned(),
            For::Drop => "stop it first".to_owned(),
        }),
        OwnError::Rooms { problem, .. } => of_rooms(problem, &folder),
        OwnError::TakeOver(_) => Some("end it yourself, then start again".to_owned()),
        OwnError::Lock(_) | OwnError::SetAside { .. } | OwnError::Store(_) | _ => None,
    };
    let failure = Failure::from(error);
    match what_to_do {
        Some(what) => Failure::new(failure.exit, format!("{}; {what}", failure.text)),
        None => failure,
    }
}

fn of_rooms(problem: &OpenError, folder: &impl Display) -> Option<String> {
    Some(match problem {
        OpenError::Newer { .. } => {
            "or begin without these rooms: --fresh moves them aside".to_owned()
        }
        OpenError::ManifestDamaged(_)
        | OpenError::ManifestMissing(_)
        | OpenError::ManifestStale { .. } => format!(
            "put back a copy of {folder}, or begin without these rooms: --fresh moves them aside"
        ),
        OpenError::Fenced { found, .. } => {
            format!("run `echo {found} > '{folder}/epoch'`: the number was put back")
        }
        OpenError::Changed(_) => format!("`rejoin store check '{folder}'` tells what is there"),
        OpenError::Disk(_) => format!(
            "`rejoin store check '{folder}'` tells what can be read; --fresh begins without these rooms and keeps them aside"
        ),
        _ => return None,
    })
}

/// What the disk of the rooms has refused, if that is it.
fn disk_error(error: &OwnError) -> Option<&DiskError> {
    let (OwnError::Lock(LockError::Disk(disk))
    | OwnError::Folder(disk)
    | OwnError::Rooms {
        problem: OpenError::Disk(disk),
        ..
    }) = error
    else {
        return None;
    };
    Some(disk)
}

/// True if a file cannot be written since there is no place for it.
pub(crate) fn is_full(error: &KeyFileError) -> bool {
    let KeyFileError::Io { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

pub(crate) const MAKE_ROOM: &str = "the disk is full: make room there, then start again";
