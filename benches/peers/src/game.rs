//! What every peer's server runs: the rooms of the arena, without a word about transport.

use std::ops::Range;
use std::time::{Duration, Instant};

use rejoin_arena::Size;
use rejoin_arena::workload::{Field, INPUT_LEN, MEMBERS, PING_LEN, SHAPES, STILL, Shape};

/// All rooms of one server. Player number `n` sits in room `n / 16`.
pub(crate) struct Game {
    shape: &'static Shape,
    rooms: Vec<Room>,
}

struct Room {
    field: Field,
    next_tick: Instant,
}

/// How many rooms of which shape a server is told to have: `SHAPE ROOMS`.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    shape: &'static Shape,
    pub(crate) rooms: u32,
}

impl Told {
    pub(crate) fn read(shape: &str, rooms: &str) -> Option<Self> {
        Some(Self {
            shape: SHAPES.get(shape.parse::<usize>().ok()?)?,
            rooms: rooms.parse().ok().filter(|rooms| *rooms > 0)?,
        })
    }

    pub(crate) const fn players(self) -> usize {
        self.rooms as usize * MEMBERS
    }

    pub(crate) fn period(self) -> Duration {
        Duration::from_secs(1) / self.shape.hz
    }

    /// Rooms are spread over the phases of the tick.
    pub(crate) fn phase(self, room: u32) -> Duration {
        self.period() * room / self.rooms
    }
}

impl Game {
    pub(crate) fn new(told: Told) -> Self {
        let now = Instant::now();
        let room = |number| Room {
            field: Field::new(told.shape),
            next_tick: now + told.phase(number),
        };
        Self {
            shape: told.shape,
            rooms: (0..told.rooms).map(room).collect(),
        }
    }

    /// Takes what a player sent. True if it is a ping, which is to be sent back at once. What is neither an input nor
    /// a ping is dropped.
    pub(crate) fn take(&mut self, player: usize, message: &[u8]) -> bool {
        if let Ok(input) = <&[u8; INPUT_LEN]>::try_from(message)
            && let Some(room) = self.rooms.get_mut(player / MEMBERS)
        {
            room.field.input(self.shape, player % MEMBERS, input);
        }
        message.len() == PING_LEN
    }

    /// A step of one room, whose state is handed on.
    pub(crate) fn step(&mut self, room: usize) -> Option<&[u8]> {
        let room = self.rooms.get_mut(room)?;
        room.field.tick(self.shape);
        Some(room.field.bytes())
    }

    /// Steps every room whose time has come, and hands its members and state on. Missed ticks are skipped.
    pub(crate) fn step_due(&mut self, now: Instant, mut show: impl FnMut(Range<usize>, &[u8])) {
        let period = Duration::from_secs(1) / self.shape.hz;
        for (number, room) in self.rooms.iter_mut().enumerate() {
            if now < room.next_tick {
                continue;
            }
            while room.next_tick <= now {
                room.next_tick += period;
            }
            room.field.tick(self.shape);
            show(members(number), room.field.bytes());
        }
    }
}

/// The shape of a server's rooms: players without seats are shown what changes least.
pub(crate) const fn shape(size: Size) -> usize {
    match size.shape {
        Some(shape) => shape,
        None => STILL,
    }
}

/// Bytes of a snapshot.
pub(crate) fn state_len(size: Size) -> usize {
    SHAPES.get(shape(size)).map_or(0, |shape| shape.state_len)
}

/// Who sits in a room.
pub(crate) fn members(room: usize) -> Range<usize> {
    room * MEMBERS..(room + 1) * MEMBERS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn game() -> Game {
        Game::new(Told::read("0", "2").unwrap())
    }

    #[test]
    fn only_pings_are_sent_back() {
        let mut game = game();
        assert!(game.take(0, &[1; PING_LEN]));
        assert!(!game.take(0, &[1; INPUT_LEN]));
        assert!(!game.take(usize::MAX, &[1; INPUT_LEN]));
        assert!(!game.take(0, b"neither"));
    }

    #[test]
    fn inputs_change_what_is_shown() {
        let (mut one, mut other) = (game(), game());
        one.take(17, &[255; INPUT_LEN]);
        assert_eq!(one.step(0), other.step(0));
        assert_ne!(one.step(1), other.step(1));
        assert_eq!(one.step(2), None);
    }

    #[test]
    fn missed_ticks_are_skipped() {
        let (mut game, mut shown) = (game(), Vec::new());
        let later = Instant::now() + Duration::from_secs(10);
        game.step_due(later, |members, state| shown.push((members, state.len())));
        assert_eq!(shown, [(0..16, 1_000), (16..32, 1_000)]);
        game.step_due(later, |_, _| panic!("a tick came twice"));
    }
}
