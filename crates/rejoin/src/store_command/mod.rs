//! `store`: what a data folder holds, and rooms taken out of it.
//!
//! All but `drop` only read, and may be run beside a server: figures of a live one move on meanwhile.

mod check;
mod export;
mod forget;
mod list;
mod messagepack_json;
mod room;
mod room_json;

use std::path::Path;

use rejoin_protocol::RoomId;
use rejoin_server::{NoRooms, StoredRooms};

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store_args::{ShowRoomArgs, StoreCommand};
use room::StoredRoom;

/// Runs the command.
///
/// # Errors
/// There is nothing to look at, what is there is damaged (`check`), or it cannot be written (`export`, `drop`).
pub(crate) fn run(command: &StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Check(args) => check::run(&args.dir),
        StoreCommand::Ls(args) => list::run(&args.dir, args.json),
        StoreCommand::Show(args) => show(args),
        StoreCommand::Export(args) => export::run(args),
        StoreCommand::Drop(args) => forget::run(args),
    }
}

fn show(args: &ShowRoomArgs) -> Result<(), Failure> {
    let room = match args.room {
        Some(id) => one(&args.dir, id)?,
        None if args.dir.is_file() => export::read(&args.dir)?,
        None => {
            let text = "which room? `rejoin store ls DIR` lists them";
            return Err(Failure::new(Exit::Usage, text));
        }
    };
    let json = room_json::of(&room, args.journal);
    output::line(room_json::text(&json, args.json));
    Ok(())
}

/// The room of that id.
fn one(folder: &Path, id: RoomId) -> Result<StoredRoom, Failure> {
    let rooms = StoredRooms::find(folder)?;
    let (reader, _) = rooms.read()?;
    StoredRoom::of_reader(&reader, id).ok_or_else(|| {
        let folder = rooms.folder().display();
        Failure::new(Exit::Usage, format!("no room {id} is kept in {folder}"))
    })
}

/// Warns that what is told is of a moment that has passed.
fn warn_of_holder(rooms: &StoredRooms) {
    if let Some(process) = rooms.holder() {
        tracing::info!(
            process,
            "a server has this folder: what it holds moves on while it is read"
        );
    }
}

impl From<NoRooms> for Failure {
    fn from(error: NoRooms) -> Self {
        Self::new(Exit::Usage, error)
    }
}
