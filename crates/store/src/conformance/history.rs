//! A random history, beside a model that is a plain list of each room's records.

use std::collections::BTreeMap;

use bytes::Bytes;
use rejoin_protocol::{Rng, RoomId};

use super::mismatch::{Mismatch, same};
use crate::contract::{Record, Store, Stored};

/// A room of the model: every record it was ever given, and its newest checkpoint.
#[derive(Default)]
struct Plain {
    records: Vec<Bytes>,
    checkpoint: u64,
    body: Bytes,
}

impl Plain {
    fn newest(&self) -> u64 {
        u64::try_from(self.records.len()).expect("a length in memory fits 64 bits")
    }

    fn stored(&self) -> Stored {
        let all = (1..).zip(self.records.iter().cloned());
        let records = all
            .filter(|(sequence, _)| *sequence > self.checkpoint)
            .collect();
        let (checkpoint_sequence, checkpoint) = (self.checkpoint, self.body.clone());
        Stored {
            checkpoint_sequence,
            checkpoint,
            records,
            loss: None,
        }
    }
}

pub(super) fn random_history(store: &mut dyn Store) -> Result<(), Mismatch> {
    let mut rng = Rng::from_number(2_024);
    let mut model: BTreeMap<RoomId, Plain> = BTreeMap::new();
    for _ in 0..STEPS {
        let room = any_room(&mut rng);
        match rng.below(10) {
            0 => random_checkpoint(store, &mut model, room, &mut rng)?,
            1 => random_amend(store, &mut model, room, &mut rng)?,
            2 if rng.chance(0.1) => {
                same(store.forget(room), Ok(()))?;
                model.remove(&room);
            }
            _ => random_turn(store, &mut model, &mut rng)?,
        }
        same(store.load(room), Ok(model.get(&room).map(Plain::stored)))?;
    }
    same(store.rooms(), model.keys().copied().collect())?;
    for (room, plain) in &model {
        let stored = plain.stored();
        let bytes = stored.records.iter().map(|(_, body)| body.len()).sum();
        same(store.journal_bytes(*room), bytes)?;
        same(store.load(*room), Ok(Some(stored)))?;
    }
    Ok(())
}

/// Steps of a random history: enough for each kind of step to meet each other one.
const STEPS: usize = 3_000;

/// A turn of up to six rooms. One in eight holds a number too many and must leave no trace.
fn random_turn(
    store: &mut dyn Store,
    model: &mut BTreeMap<RoomId, Plain>,
    rng: &mut Rng,
) -> Result<(), Mismatch> {
    let mut turn: Vec<(RoomId, u64, Bytes)> = Vec::new();
    for _ in 0..=rng.below(6) {
        let room = any_room(rng);
        let before = turn.iter().filter(|(other, ..)| *other == room).count();
        let before = u64::try_from(before).expect("a turn has few records");
        let sequence = model.get(&room).map_or(0, Plain::newest) + before + 1;
        turn.push((room, sequence, any_body(rng)));
    }
    let broken = rng.chance(0.125);
    if broken && let Some((_, sequence, _)) = turn.last_mut() {
        *sequence += 1;
    }
    let records: Vec<Record<'_>> = turn
        .iter()
        .map(|(room, sequence, body)| Record {
            room: *room,
            sequence: *sequence,
            body,
        })
        .collect();
    same(store.append(&records).is_err(), broken)?;
    for (room, _, body) in turn.into_iter().filter(|_| !broken) {
        model.entry(room).or_default().records.push(body);
    }
    Ok(())
}

fn random_checkpoint(
    store: &mut dyn Store,
    model: &mut BTreeMap<RoomId, Plain>,
    room: RoomId,
    rng: &mut Rng,
) -> Result<(), Mismatch> {
    let (oldest, newest) = model
        .get(&room)
        .map_or((0, 0), |it| (it.checkpoint, it.newest()));
    // One beyond each end is tried too, and must be refused.
    let sequence = (oldest + rng.below(newest - oldest + 3)).saturating_sub(1);
    let body = any_body(rng);
    let fits = (oldest..=newest).contains(&sequence);
    same(store.checkpoint(room, sequence, body.clone()).is_ok(), fits)?;
    if fits {
        let plain = model.entry(room).or_default();
        (plain.checkpoint, plain.body) = (sequence, body);
    }
    Ok(())
}

fn random_amend(
    store: &mut dyn Store,
    model: &mut BTreeMap<RoomId, Plain>,
    room: RoomId,
    rng: &mut Rng,
) -> Result<(), Mismatch> {
    let body = any_body(rng);
    let plain = model.get_mut(&room);
    let newest = plain.as_ref().map_or(1, |plain| plain.newest());
    let slot = plain
        .filter(|plain| newest > plain.checkpoint)
        .and_then(|it| it.records.last_mut());
    let amended = store.amend(Record {
        room,
        sequence: newest,
        body: &body,
    });
    same(amended.is_ok(), slot.is_some())?;
    if let Some(slot) = slot {
        *slot = body;
    }
    Ok(())
}

fn any_room(rng: &mut Rng) -> RoomId {
    let number = u8::try_from(rng.below(8)).expect("below 8");
    RoomId([number; 16])
}

fn any_body(rng: &mut Rng) -> Bytes {
    let len = usize::try_from(rng.below(200)).expect("below 200");
    let mut body = vec![0; len];
    rng.fill(&mut body);
    body.into()
}
