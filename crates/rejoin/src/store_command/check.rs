//! `store check`: reads everything, and names what is not as it should be.

use std::path::Path;

use rejoin_coordinator::inspect::Record;
use rejoin_protocol::RoomId;
use rejoin_server::StoredRooms;
use rejoin_store::log::{EntryPlace, LogReader, Recovery};

use super::room::StoredRoom;
use crate::exit::{Exit, Failure};
use crate::output;

/// Runs the command.
///
/// # Errors
/// Something is damaged or missing, or nothing can be read at all.
pub(super) fn run(folder: &Path) -> Result<(), Failure> {
    let rooms = StoredRooms::find(folder)?;
    super::warn_of_holder(&rooms);
    let (reader, recovery) = rooms.read()?;
    recovery.to_string().lines().for_each(output::line);
    let more = told_before(&reader, &recovery)
        .into_iter()
        .chain(unreadable(&reader));
    let more = more.inspect(|line| output::line(line)).count();
    let damaged = !recovery.is_sound() || recovery.manifest_repaired || more > 0;
    if damaged {
        let folder = rooms.folder().display();
        let text = format!("{folder} is damaged: each line above says what, and whose it was");
        return Err(Failure::new(Exit::CheckFailed, text));
    }
    output::line(match recovery.cuts.is_empty() {
        true => "sound",
        false => "sound but for the end that is cut: rooms of that log may lack their newest",
    });
    Ok(())
}

/// What an earlier owner found missing, and no checkpoint has settled.
fn told_before(reader: &LogReader, recovery: &Recovery) -> Vec<String> {
    let news = |id: RoomId| recovery.losses.iter().any(|(lost, _)| *lost == id);
    let known = reader.rooms().filter(|id| !news(*id));
    let lacking = known.filter_map(|id| {
        let loss = StoredRoom::of_reader(reader, id)?.loss()?;
        Some(format!("room {id}: {loss}, as was told before"))
    });
    lacking.collect()
}

/// What is as it was written, and yet no checkpoint or record of this version.
fn unreadable(reader: &LogReader) -> impl Iterator<Item = String> + '_ {
    reader.rooms().flat_map(|id| {
        let mut lines = Vec::new();
        let Some(room) = StoredRoom::of_reader(reader, id) else {
            return lines;
        };
        if let Some(Err(problem)) = &room.checkpoint {
            let what = format!("the checkpoint at {}", room.stored.checkpoint_sequence);
            lines.push(line(room.place.as_ref(), (id, &what), problem));
        }
        for (sequence, body) in &room.stored.records {
            if let Err(problem) = Record::read(body) {
                let place = reader.record_place(id, *sequence);
                let what = format!("record {sequence}");
                lines.push(line(place.as_ref(), (id, &what), &problem));
            }
        }
        lines
    })
}

fn line(
    place: Option<&EntryPlace>,
    (id, what): (RoomId, &str),
    problem: &dyn std::error::Error,
) -> String {
    let place = place.map_or_else(String::new, |it| {
        format!("{} at {}: ", it.segment, it.offset)
    });
    format!("{place}room {id}: {what}: {problem}")
}
