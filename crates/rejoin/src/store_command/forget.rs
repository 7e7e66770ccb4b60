//! `store drop`: forgets rooms for good, as their owner.

use rejoin_protocol::RoomId;
use rejoin_server::{LockedFolder, StoredRooms};

use super::room::StoredRoom;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::own_failure;
use crate::store_args::DropArgs;

/// Runs the command. Without `--yes` the rooms are named and nothing is changed.
///
/// # Errors
/// No room is meant, `--yes` is missing, another process has the folder, or it cannot be written.
pub(super) fn run(args: &DropArgs) -> Result<(), Failure> {
    let rooms = StoredRooms::find(&args.dir)?;
    let Some(data) = rooms.data() else {
        let text = format!(
            "{} is no data folder of a server: remove what is not needed of it by hand",
            args.dir.display()
        );
        return Err(Failure::new(Exit::Usage, text));
    };
    // Before it is read: nobody adds rooms or takes the folder after that.
    let failed = |error| own_failure::of(error, data, own_failure::For::Drop);
    let locked = args
        .yes
        .then(|| LockedFolder::lock(data))
        .transpose()
        .map_err(failed)?;
    let chosen = choose(&rooms, args)?;
    for (id, kind) in &chosen {
        let kind = kind.as_deref().unwrap_or("-");
        output::line(format_args!("{id}  {}", kind.escape_default()));
    }
    let Some(locked) = locked else {
        let count = chosen.len();
        let text =
            format!("nothing is forgotten yet: with --yes these rooms are, for good: {count}");
        return Err(Failure::new(Exit::Usage, text));
    };
    let ids: Vec<RoomId> = chosen.iter().map(|(id, _)| *id).collect();
    let (epoch, forgotten) = locked.forget(&ids).map_err(failed)?;
    output::line(format_args!("forgotten: {forgotten}, in epoch {}", epoch.0));
    Ok(())
}

/// The rooms that are meant, with their kinds.
fn choose(rooms: &StoredRooms, args: &DropArgs) -> Result<Vec<(RoomId, Option<String>)>, Failure> {
    let (reader, _) = rooms.read()?;
    let mut chosen = Vec::new();
    for id in &args.rooms {
        let room = StoredRoom::of_reader(&reader, *id);
        let room = room.ok_or_else(|| {
            let folder = rooms.folder().display();
            Failure::new(Exit::Usage, format!("no room {id} is kept in {folder}"))
        })?;
        chosen.push((*id, room.kind().map(|(name, _)| name)));
    }
    if args.rooms.is_empty() {
        for id in reader.rooms() {
            let Some(room) = StoredRoom::of_reader(&reader, id) else {
                continue;
            };
            let kind = room.kind().map(|(name, _)| name);
            let of_kind = args.kind.is_none() || kind == args.kind;
            if of_kind && (room.standing.quarantined || !args.quarantined) {
                chosen.push((id, kind));
            }
        }
    }
    chosen.dedup();
    if chosen.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "no room is meant: `rejoin store ls DIR` lists them",
        ));
    }
    Ok(chosen)
}
