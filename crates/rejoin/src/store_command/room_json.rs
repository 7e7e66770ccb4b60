//! A stored room as JSON: the checkpoint in all its parts, and the calls since.

use std::time::Duration;

use data_encoding::HEXLOWER;
use rejoin_coordinator::inspect::{Call, Checkpoint, Record, Seat};
use rejoin_protocol::message::{Metadata, MetadataValue};
use rejoin_room::RoomSpec;
use serde_json::{Map, Value, json};

use super::messagepack_json::{payload, text as bytes_text};
use super::room::StoredRoom;

/// All that is stored of a room; the calls since its checkpoint only if they are asked for.
pub(super) fn of(room: &StoredRoom, journal: bool) -> Value {
    let kind = room.kind();
    let mut json = json!({
        "room": room.id.to_string(),
        "kind": kind.as_ref().map(|(name, _)| name),
        "version": kind.as_ref().map(|(_, version)| version),
        "quarantined": room.standing.quarantined,
        "load_attempts": room.standing.attempts,
        "loss": room.loss(),
        "records": room.stored.records.len(),
        "journal_bytes": room.journal_bytes(),
        "checkpoint": null,
    });
    let Some(map) = json.as_object_mut() else {
        return json;
    };
    if let Some(read) = &room.checkpoint {
        let mut checkpoint = match read {
            Ok(checkpoint) => checkpoint_json(checkpoint),
            Err(problem) => json!({ "problem": problem.to_string() }),
        };
        if let Some(inside) = checkpoint.as_object_mut() {
            inside.insert(
                "sequence".to_owned(),
                json!(room.stored.checkpoint_sequence),
            );
            inside.insert("bytes".to_owned(), json!(room.stored.checkpoint.len()));
            if let Some(place) = &room.place {
                inside.insert("segment".to_owned(), json!(place.segment));
                inside.insert("offset".to_owned(), json!(place.offset));
            }
        }
        map.insert("checkpoint".to_owned(), checkpoint);
    }
    if journal {
        let records = room.stored.records.iter();
        let records: Vec<Value> = records
            .map(|(sequence, body)| record_json(*sequence, Record::read(body)))
            .collect();
        map.insert("journal".to_owned(), Value::Array(records));
    }
    json
}

/// The text of a JSON value, without characters that a terminal would obey.
pub(super) fn text(json: &Value, one_line: bool) -> String {
    let text = if one_line {
        json.to_string()
    } else {
        format!("{json:#}")
    };
    // What is below a space is escaped in strings already; what is left of it sets lines.
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' {
            out.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    out
}

fn checkpoint_json(checkpoint: &Checkpoint) -> Value {
    let room = &checkpoint.room;
    let timers = room.timers.iter();
    let timers: Vec<Value> = timers
        .map(|(due, token)| json!({ "due_s": seconds(*due), "token": token }))
        .collect();
    let seats = checkpoint.seats.iter();
    let seats: Vec<Value> = seats
        .map(|seat| {
            let present = room.members.get(&seat.player).map(|member| member.present);
            seat_json(seat, present)
        })
        .collect();
    json!({
        "partial": checkpoint.partial,
        "tick": room.tick,
        "clock_s": seconds(room.now),
        "spec": spec_json(&room.spec),
        "metadata": metadata_json(&room.metadata),
        "rng": {
            "seed": HEXLOWER.encode(&room.rng_seed),
            "words": room.rng_words.to_string(),
        },
        "timers": timers,
        "seats": seats,
        "state": payload(&room.state),
        "state_bytes": room.state.len(),
    })
}

fn seat_json(seat: &Seat, present: Option<bool>) -> Value {
    let kept: Vec<Value> = seat.events_kept.iter().map(|it| payload(it)).collect();
    json!({
        "player": seat.player.to_string(),
        "name": seat.name,
        "claims": bytes_text(&seat.claims),
        "session": seat.session.to_string(),
        "stay": format!("{:016x}", seat.stay.0),
        "incarnation": seat.incarnation.0,
        "presence": seat.presence.to_string(),
        "present_to_the_room": present,
        "input_cursor": seat.cursor,
        "event_cursor": seat.events,
        "events_acknowledged": seat.events_acknowledged,
        "events_kept": kept,
    })
}

fn spec_json(spec: &RoomSpec) -> Value {
    let options = Some(&spec.settings.options).filter(|it| !it.is_empty());
    json!({
        "room": spec.room.to_string(),
        "owner": spec.owner.to_string(),
        "members_max": spec.settings.members_max,
        "private": spec.settings.private,
        "code": spec.code.as_ref().map(ToString::to_string),
        "metadata": metadata_json(&spec.settings.metadata),
        "options": options.map(|it| payload(it)),
    })
}

fn metadata_json(metadata: &Metadata) -> Value {
    let facts = metadata.iter().map(|(key, value)| {
        let value = match value {
            MetadataValue::Bool(value) => json!(value),
            MetadataValue::Int(value) => json!(value),
            MetadataValue::Text(value) => json!(value),
        };
        (key.clone(), value)
    });
    Value::Object(facts.collect::<Map<_, _>>())
}

fn record_json<E: ToString>(sequence: u64, record: Result<Record, E>) -> Value {
    match record {
        Ok(record) => json!({
            "sequence": sequence,
            "clock_s": seconds(record.at),
            "calls": record.calls.iter().map(call_json).collect::<Vec<_>>(),
        }),
        Err(problem) => json!({ "sequence": sequence, "problem": problem.to_string() }),
    }
}

fn call_json(call: &Call) -> Value {
    match call {
        Call::Open {
            kind,
            version,
            rng_seed,
            spec,
        } => json!({ "open": {
            "kind": kind,
            "version": version,
            "rng_seed": HEXLOWER.encode(rng_seed),
            "spec": spec_json(spec),
        } }),
        Call::Admit {
            session,
            incarnation,
            name,
            claims,
            stay,
            returns,
        } => json!({ "admit": {
            "player": session.player().to_string(),
            "session": session.to_string(),
            "incarnation": incarnation.0,
            "name": name,
            "claims": bytes_text(claims),
            "stay": format!("{:016x}", stay.0),
            "returns": returns.map(|stay| format!("{:016x}", stay.0)),
        } }),
        Call::Seat {
            player,
            change,
            incarnation,
        } => json!({ "seat": {
            "player": player.to_string(),
            "change": format!("{change:?}").to_lowercase(),
            "incarnation": incarnation.0,
        } }),
        Call::Input {
            player,
            number,
            payload: bytes,
        } => json!({ "input": {
            "player": player.to_string(),
            "number": number,
            "payload": payload(bytes),
        } }),
        Call::Void { player, number } => {
            json!({ "void": { "player": player.to_string(), "number": number } })
        }
        Call::Restored(receipt) => json!({ "restored": {
            "rolled_back": receipt.rolled_back,
            "rebuilt": receipt.rebuilt,
        } }),
        Call::Ahead {
            player,
            input,
            event,
        } => json!({ "ahead": { "player": player.to_string(), "input": input, "event": event } }),
        Call::Asleep { until_unix_s, code } => json!({ "asleep": {
            "until_unix_s": until_unix_s,
            "code": code.as_ref().map(ToString::to_string),
        } }),
        Call::Tick => json!("tick"),
        Call::Timers => json!("timers"),
        other => json!(format!("{other:?}")),
    }
}

fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}
