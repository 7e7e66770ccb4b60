//! What is read back of a room: by its owner's engine and by who only looks.

use bytes::Bytes;
use rejoin_protocol::RoomId;

use super::format::{HEAD_LEN, Head};
use super::index::{Place, Room};
use super::scan::narrow;
use crate::contract::{Loss, Stored};
use crate::disk::DiskFile;

/// What is needed to rebuild a room. `read` gives the body at a place, of that sequence, if it is as it was written.
pub(crate) fn load(room: &Room, read: impl Fn(Place, u64) -> Option<Bytes>) -> Stored {
    let points = [room.newer, room.older].into_iter().flatten();
    let mut bodies = points.filter_map(|point| {
        let body = read(point.place, point.sequence)?;
        Some((point.sequence, body))
    });
    let (checkpoint_sequence, checkpoint) = bodies.next().unwrap_or_default();
    let mut records = Vec::new();
    let mut expected = checkpoint_sequence + 1;
    for (sequence, place) in room.records() {
        if sequence < expected {
            continue;
        }
        let body = Some(place).filter(|place| *place != Place::LOST && sequence == expected);
        let Some(body) = body.and_then(|place| read(place, sequence)) else {
            break;
        };
        records.push((sequence, body));
        expected += 1;
    }
    let loss = (expected <= room.newest).then_some(Loss::Records {
        from: expected,
        to: room.newest,
    });
    Stored {
        checkpoint_sequence,
        checkpoint,
        records,
        loss: loss.or(room.loss),
    }
}

/// The body of the entry that stands at a place of a segment, if it is as it was written.
pub(crate) fn body(
    file: &dyn DiskFile,
    seed: u32,
    place: Place,
    (room, sequence): (RoomId, u64),
) -> Option<Bytes> {
    let len = HEAD_LEN + narrow(place.len);
    let bytes = file.read(u64::from(place.offset), len).ok()?;
    let head = Head::decode(&bytes, seed)?;
    let ours = (head.room, head.sequence, head.len) == (room, sequence, place.len);
    let body = Bytes::from(bytes).split_off(HEAD_LEN);
    (ours && head.fits(&body)).then_some(body)
}
