//! What `store` is told on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rejoin_protocol::RoomId;

/// `store`. DIR is always the folder of `serve --data DIR`, or the folder `rooms` in it.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read all that is kept in DIR and name what is damaged, lost or cut; changes nothing
    Check(CheckStoreArgs),
    /// List the rooms in DIR; changes nothing
    Ls(LsArgs),
    /// Print a room as JSON: checkpoint, seats, timers, state; changes nothing
    Show(ShowRoomArgs),
    /// Write a room to one file, for a bug report or a test; changes nothing in DIR
    Export(ExportArgs),
    /// Forget rooms for good; no server may run on DIR
    Drop(DropArgs),
}

/// `store check`.
#[derive(Debug, Args)]
pub(crate) struct CheckStoreArgs {
    /// The data folder
    pub(crate) dir: PathBuf,
}

/// `store ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The data folder
    pub(crate) dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `store show`.
#[derive(Debug, Args)]
pub(crate) struct ShowRoomArgs {
    /// The data folder, or a file that `store export` wrote
    pub(crate) dir: PathBuf,
    /// The room's id, 32 hexadecimal digits; a file holds one room
    pub(crate) room: Option<RoomId>,
    /// Add every call that the room was given since its checkpoint
    #[arg(long)]
    pub(crate) journal: bool,
    /// Print it on one line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `store export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The data folder
    pub(crate) dir: PathBuf,
    /// The room's id, 32 hexadecimal digits
    pub(crate) room: RoomId,
    /// Where to write it [default: ROOM.room, or ROOM.state with --state]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write the state of the newest checkpoint alone: the bytes that `Room::migrate` is given
    #[arg(long)]
    pub(crate) state: bool,
    /// Write over a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// `store drop`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["rooms", "kind", "quarantined"]))]
pub(crate) struct DropArgs {
    /// The data folder
    pub(crate) dir: PathBuf,
    /// Ids of rooms, 32 hexadecimal digits each
    #[arg(conflicts_with_all = ["kind", "quarantined"])]
    pub(crate) rooms: Vec<RoomId>,
    /// All rooms of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// All rooms that are quarantined; with --kind those of that kind alone
    #[arg(long)]
    pub(crate) quarantined: bool,
    /// Do it; without this the rooms are only named
    #[arg(long)]
    pub(crate) yes: bool,
}
