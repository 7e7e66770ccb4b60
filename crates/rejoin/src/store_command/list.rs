//! `store ls`: a line for each room, as its newest checkpoint has it.

use std::path::Path;
use std::time::Duration;

use rejoin_coordinator::inspect::Record;
use rejoin_protocol::Liveness;
use rejoin_server::StoredRooms;
use serde_json::{Value, json};

use super::room::StoredRoom;
use super::room_json;
use crate::exit::Failure;
use crate::output;

/// Runs the command.
///
/// # Errors
/// There is nothing to look at.
pub(super) fn run(folder: &Path, json: bool) -> Result<(), Failure> {
    let rooms = StoredRooms::find(folder)?;
    if !json {
        super::warn_of_holder(&rooms);
    }
    let (reader, recovery) = rooms.read()?;
    let all = reader
        .rooms()
        .filter_map(|id| StoredRoom::of_reader(&reader, id));
    let all = all.map(|room| facts(&room));
    if json {
        let rooms_json: Vec<Value> = all.collect();
        let whole = json!({
            "epoch": recovery.epoch,
            "process": rooms.holder(),
            "sound": recovery.is_sound(),
            "rooms": rooms_json,
        });
        output::line(room_json::text(&whole, true));
        return Ok(());
    }
    output::line(row(
        COLUMNS.map(|(_, title, width)| (title.to_owned(), width))
    ));
    for facts in all {
        let cells = COLUMNS.map(|(key, _, width)| (cell(facts.get(key)), width));
        let marks = [
            facts
                .get("quarantined")
                .and_then(Value::as_bool)
                .unwrap_or(false)
                .then_some("quarantined".to_owned()),
            facts.get("loss").and_then(Value::as_str).map(str::to_owned),
            facts
                .get("problem")
                .and_then(Value::as_str)
                .map(str::to_owned),
        ];
        let marks: Vec<String> = marks.into_iter().flatten().collect();
        output::line(format!("{}  {}", row(cells), marks.join("; ")).trim_end());
    }
    Ok(())
}

/// Key in JSON, title, and width.
const COLUMNS: [(&str, &str, usize); 11] = [
    ("room", "ROOM", 32),
    ("kind", "KIND", 10),
    ("version", "VERSION", 7),
    ("sequence", "CHECKPOINT", 10),
    ("records", "RECORDS", 7),
    ("tick", "TICK", 9),
    ("clock_s", "CLOCK_S", 10),
    ("seats", "SEATS", 5),
    ("here", "HERE", 4),
    ("checkpoint_bytes", "BYTES", 8),
    ("journal_bytes", "JOURNAL", 8),
];

fn facts(room: &StoredRoom) -> Value {
    let kind = room.kind();
    let checkpoint = room.readable();
    let here = checkpoint.map(|it| {
        let seats = it.seats.iter();
        seats
            .filter(|seat| seat.presence != Liveness::Detached)
            .count()
    });
    let problem = room.checkpoint.as_ref().and_then(|it| it.as_ref().err());
    json!({
        "room": room.id.to_string(),
        "kind": kind.as_ref().map(|(name, _)| name),
        "version": kind.as_ref().map(|(_, version)| version),
        "sequence": checkpoint.map(|_| room.stored.checkpoint_sequence),
        "records": room.stored.records.len(),
        "tick": checkpoint.map(|it| it.room.tick),
        "clock_s": clock(room).map(|it| it.as_secs_f64()),
        "seats": checkpoint.map(|it| it.seats.len()),
        "here": here,
        "checkpoint_bytes": room.stored.checkpoint.len(),
        "journal_bytes": room.journal_bytes(),
        "quarantined": room.standing.quarantined,
        "loss": room.loss(),
        "problem": problem.map(ToString::to_string),
    })
}

/// Room time of the newest that is stored.
fn clock(room: &StoredRoom) -> Option<Duration> {
    let newest = room.stored.records.last();
    let newest = newest.and_then(|(_, body)| Record::read(body).ok());
    let checkpoint = room.readable().map(|it| it.room.now);
    newest.map(|record| record.at).or(checkpoint)
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        // What a store holds may be anything.
        Some(Value::String(text)) => text.chars().flat_map(printable).collect(),
        Some(other) => other.to_string(),
    }
}

fn printable(letter: char) -> Vec<char> {
    if letter.is_control() {
        letter.escape_default().collect()
    } else {
        vec![letter]
    }
}

fn row(cells: [(String, usize); 11]) -> String {
    let cells = cells.into_iter().enumerate().map(|(index, (text, width))| {
        // Names to the left, numbers to the right.
        if index < 2 {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    });
    cells.collect::<Vec<_>>().join("  ")
}
