//! What is written, as a function of the seed: so it can be told afterwards what must be there.
//!
//! A turn brings one record of every room, numbered as the turn. Rooms have their checkpoints at
//! different turns, each at equal distances.

use rejoin_protocol::RoomId;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed, xxh3_128_with_seed};

use crate::engine::{Checkpoint, State};

/// Sizes and numbers of what is written.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Shape {
    pub(crate) rooms: u16,
    pub(crate) record_bytes: u16,
    pub(crate) checkpoint_bytes: u32,
    /// Records of a room from one of its checkpoints to the next; 0 for none.
    pub(crate) checkpoint_every: u32,
    pub(crate) seed: u64,
}

/// A workload: bodies are parts of one pool of bytes that do not compress.
pub(crate) struct Workload {
    shape: Shape,
    rooms: Vec<RoomId>,
    pool: Vec<u8>,
}

impl Workload {
    pub(crate) fn new(shape: Shape) -> Self {
        let longest = u32::from(shape.record_bytes).max(shape.checkpoint_bytes);
        let len = POOL_LEN + usize::try_from(longest).expect("bounded by the options");
        let words = (0_u64..).map(|word| xxh3_64_with_seed(&word.to_le_bytes(), shape.seed));
        let pool = words.flat_map(u64::to_le_bytes).take(len).collect();
        let id = |room: u16| xxh3_128_with_seed(&room.to_le_bytes(), shape.seed).to_be_bytes();
        Self {
            shape,
            rooms: (0..shape.rooms).map(|room| RoomId(id(room))).collect(),
            pool,
        }
    }

    pub(crate) fn rooms(&self) -> &[RoomId] {
        &self.rooms
    }

    /// The body of a record.
    pub(crate) fn record(&self, room: RoomId, sequence: u64) -> &[u8] {
        self.part(room, sequence, usize::from(self.shape.record_bytes))
    }

    /// The checkpoints that a turn brings.
    pub(crate) fn checkpoints<'a>(&'a self, turn: u64, due: &mut Vec<Checkpoint<'a>>) {
        due.clear();
        let every = u64::from(self.shape.checkpoint_every);
        for (room, phase) in self.rooms.iter().zip(self.phases()) {
            if every == 0 || !(turn + phase).is_multiple_of(every) {
                continue;
            }
            due.push(Checkpoint {
                room: *room,
                sequence: turn,
                before: turn.saturating_sub(every),
                slot: u8::from(((turn + phase) / every) % 2 == 1),
                body: self.checkpoint(*room, turn),
            });
        }
    }

    /// A digest of a room as it must be after so many turns.
    pub(crate) fn expected(&self, index: usize, turns: u64) -> u64 {
        let (Some(room), Some(phase)) = (self.rooms.get(index), self.phases().nth(index)) else {
            return 0;
        };
        let every = u64::from(self.shape.checkpoint_every);
        // The newest multiple of the distance, if the room had lived by then.
        let newest = (turns + phase).checked_rem(every);
        let newest = newest.map_or(0, |since| turns.saturating_sub(since));
        let checkpoint = if newest == 0 {
            &[]
        } else {
            self.checkpoint(*room, newest)
        };
        let mut digest = Digest::new(newest, checkpoint);
        for sequence in newest + 1..=turns {
            digest.add(sequence, self.record(*room, sequence));
        }
        digest.end()
    }

    fn checkpoint(&self, room: RoomId, sequence: u64) -> &[u8] {
        let len = usize::try_from(self.shape.checkpoint_bytes);
        // Another place than the record's of the same number.
        self.part(room, !sequence, len.expect("bounded by the options"))
    }

    /// How far each room is ahead of the first in the distance between checkpoints.
    fn phases(&self) -> impl Iterator<Item = u64> {
        let every = u64::from(self.shape.checkpoint_every);
        let rooms = u64::from(self.shape.rooms);
        (0..rooms).map(move |room| room * every / rooms)
    }

    /// A part of the pool: costs the runner a few nanoseconds, and no copy.
    fn part(&self, room: RoomId, number: u64, len: usize) -> &[u8] {
        let [a, b, c, d, e, f, g, h, ..] = room.0;
        let room = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let mixed = (room ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let offset = usize::try_from(mixed >> 48).expect("16 bits");
        self.pool
            .get(offset..offset + len)
            .expect("the pool is longer")
    }
}

/// As many places as 16 bits tell apart: small enough to stay in the processor's caches.
const POOL_LEN: usize = 1 << 16;

/// A digest of all that a room is rebuilt from.
struct Digest(Xxh3);

impl Digest {
    fn new(sequence: u64, checkpoint: &[u8]) -> Self {
        let mut digest = Self(Xxh3::new());
        digest.add(sequence, checkpoint);
        digest
    }

    fn add(&mut self, number: u64, body: &[u8]) {
        self.0.update(&number.to_le_bytes());
        self.0.update(&body.len().to_le_bytes());
        self.0.update(&xxh3_64(body).to_le_bytes());
    }

    fn end(&self) -> u64 {
        self.0.digest()
    }
}

/// The digest of a room as an engine gave it back.
pub(crate) fn digest(state: &State) -> u64 {
    let mut digest = Digest::new(state.sequence, &state.checkpoint);
    for (sequence, body) in &state.records {
        digest.add(*sequence, body);
    }
    digest.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> Workload {
        Workload::new(Shape {
            rooms: 3,
            record_bytes: 60,
            checkpoint_bytes: 100,
            checkpoint_every: 10,
            seed: 7,
        })
    }

    /// A room as a correct engine keeps it.
    fn kept(workload: &Workload, index: usize, turns: u64) -> State {
        let room = workload.rooms()[index];
        let mut state = State::default();
        let mut due = Vec::new();
        for turn in 1..=turns {
            state
                .records
                .push((turn, workload.record(room, turn).to_vec()));
            workload.checkpoints(turn, &mut due);
            for checkpoint in due.iter().filter(|it| it.room == room) {
                state = State {
                    sequence: checkpoint.sequence,
                    checkpoint: checkpoint.body.to_vec(),
                    records: Vec::new(),
                };
            }
        }
        state
    }

    #[test]
    fn what_was_written_is_what_is_expected_at_every_turn() {
        let workload = workload();
        for turns in 0..40 {
            for index in 0..3 {
                let state = kept(&workload, index, turns);
                assert_eq!(digest(&state), workload.expected(index, turns), "{turns}");
            }
        }
    }

    #[test]
    fn a_room_that_lacks_anything_has_another_digest() {
        let workload = workload();
        let whole = kept(&workload, 1, 44);
        let expected = workload.expected(1, 44);
        assert!(whole.sequence > 0 && whole.records.len() > 2);
        let spoil: [fn(&mut State); 7] = [
            |it| drop(it.records.pop()),
            |it| drop(it.records.remove(0)),
            |it| it.records.swap(0, 1),
            |it| it.records[1].0 += 1,
            |it| it.records[1].1[59] ^= 1,
            |it| it.checkpoint[99] ^= 1,
            |it| it.sequence -= 10,
        ];
        for (index, spoil) in spoil.into_iter().enumerate() {
            let mut state = whole.clone();
            spoil(&mut state);
            assert_ne!(digest(&state), expected, "{index}");
        }
    }

    #[test]
    fn each_room_has_its_checkpoints_at_equal_distances_and_not_with_the_others() {
        let workload = workload();
        let mut due = Vec::new();
        let mut at = [const { Vec::new() }; 3];
        for turn in 1..=30 {
            workload.checkpoints(turn, &mut due);
            for checkpoint in &due {
                let index = workload
                    .rooms()
                    .iter()
                    .position(|it| *it == checkpoint.room);
                at[index.unwrap()].push((turn, checkpoint.before, checkpoint.slot));
            }
        }
        assert_eq!(at[0], [(10, 0, 1), (20, 10, 0), (30, 20, 1)]);
        assert_eq!(at[1], [(7, 0, 1), (17, 7, 0), (27, 17, 1)]);
        assert_eq!(at[2], [(4, 0, 1), (14, 4, 0), (24, 14, 1)]);
    }
}
