//! What every server is asked to do: the same state, changed in the same way.

use std::borrow::Cow;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Seats of a room of the arena.
pub const MEMBERS: usize = 16;
/// Bytes of an input, and how many a second each player of the arena sends.
pub const INPUT_LEN: usize = 32;
pub const INPUT_HZ: u64 = 30;
/// Bytes of a ping and of its echo, and how many a second each player of the arena sends.
pub const PING_LEN: usize = 16;
pub const PING_HZ: u64 = 5;
/// Of a player and second: inputs up, as many snapshots down, pings and their echoes.
pub const MESSAGES: u64 = 2 * (INPUT_HZ + PING_HZ);

/// A kind of room: how large its state is, how often it changes, and how much of it.
#[derive(Clone, Copy)]
pub struct Shape {
    pub kind: &'static str,
    pub hz: u32,
    pub state_len: usize,
    /// Of this many players one moves.
    pub one_moves_in: usize,
    /// Seats.
    pub members: usize,
    /// Inputs that each player sends a second.
    pub input_hz: u64,
}

/// Indexes of [`SHAPES`].
pub const WHOLE: usize = 0;
pub const QUARTER: usize = 1;
pub const STILL: usize = 2;
/// Rooms of few players, who do little, and of which there can be many.
pub const SMALL: usize = 3;
/// The load of another server's published test: rooms of ten at 10 Hz, in which each says something once a second.
pub const SLOW: usize = 4;
/// The arena with other numbers of seats, sizes of the state, and ticks a second.
pub const SEATS: [usize; 5] = [5, 6, 7, 8, 9];
pub const SIZES: [usize; 4] = [10, 11, 12, 13];
pub const TICKS: [usize; 4] = [14, 15, 16, 17];

/// Every byte changes with each tick, so that no delta is shorter than the whole: like for like with a server that
/// sends whole snapshots.
const ARENA: Shape = Shape {
    kind: "bench-whole",
    hz: 30,
    state_len: 1_000,
    one_moves_in: 1,
    members: MEMBERS,
    input_hz: INPUT_HZ,
};

const fn seats(kind: &'static str, members: usize) -> Shape {
    Shape {
        kind,
        members,
        ..ARENA
    }
}

const fn size(kind: &'static str, state_len: usize) -> Shape {
    Shape {
        kind,
        state_len,
        ..ARENA
    }
}

/// Players act as often as their room ticks.
const fn ticks(kind: &'static str, hz: u32) -> Shape {
    Shape {
        kind,
        hz,
        input_hz: hz as u64,
        ..ARENA
    }
}

pub const SHAPES: [Shape; 18] = [
    ARENA,
    Shape {
        kind: "bench-quarter",
        one_moves_in: 4,
        ..ARENA
    },
    // For sessions that only are there.
    Shape {
        kind: "bench-still",
        hz: 1,
        state_len: 100,
        ..ARENA
    },
    Shape {
        kind: "bench-small",
        hz: 5,
        state_len: 100,
        members: 2,
        input_hz: 2,
        ..ARENA
    },
    Shape {
        kind: "bench-slow",
        hz: 10,
        members: 10,
        input_hz: 1,
        ..ARENA
    },
    seats("bench-seats-2", 2),
    seats("bench-seats-4", 4),
    seats("bench-seats-50", 50),
    seats("bench-seats-100", 100),
    seats("bench-seats-200", 200),
    size("bench-size-100", 100),
    size("bench-size-4k", 4_000),
    size("bench-size-16k", 16_000),
    size("bench-size-64k", 65_000),
    ticks("bench-ticks-10", 10),
    ticks("bench-ticks-20", 20),
    ticks("bench-ticks-60", 60),
    ticks("bench-ticks-128", 128),
];

/// A room's state: one row per member.
#[derive(Clone)]
pub struct Field(Vec<u8>);

impl Field {
    pub fn new(shape: &Shape) -> Self {
        // Without a pattern: nothing that looks for one shortens it (the finalizer of MurmurHash3).
        let byte = |index: usize| {
            let mut bits = index as u32 + 1;
            bits = (bits ^ bits >> 16).wrapping_mul(0x85eb_ca6b);
            bits = (bits ^ bits >> 13).wrapping_mul(0xc2b2_ae35);
            (bits ^ bits >> 16) as u8
        };
        Self((0..shape.state_len).map(byte).collect())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A member acts: its row takes the input in.
    pub fn input(&mut self, shape: &Shape, member: usize, input: &[u8; INPUT_LEN]) {
        if let Some(row) = self.rows(shape).nth(member / shape.one_moves_in)
            && member.is_multiple_of(shape.one_moves_in)
        {
            row.iter_mut().zip(input).for_each(|(of, with)| *of ^= with);
        }
    }

    /// One step: every byte of those who move becomes another.
    pub fn tick(&mut self, shape: &Shape) {
        for row in self.rows(shape) {
            // A step of an odd multiplier and summand, 1 modulo 4: full period, so no byte stays.
            for byte in row {
                *byte = byte.wrapping_mul(77).wrapping_add(113);
            }
        }
    }

    /// The rows of those who move.
    fn rows(&mut self, shape: &Shape) -> impl Iterator<Item = &mut [u8]> {
        let row_len = self.0.len().div_ceil(shape.members);
        self.0.chunks_mut(row_len).step_by(shape.one_moves_in)
    }
}

/// An input or a ping as room logic gets it: 32 bytes or 16, on the wire as a byte string.
#[derive(Clone, Copy)]
pub enum Packed {
    Input([u8; INPUT_LEN]),
    Ping([u8; PING_LEN]),
}

impl Packed {
    fn read(bytes: &[u8]) -> Option<Self> {
        let input = bytes.try_into().ok().map(Self::Input);
        input.or_else(|| bytes.try_into().ok().map(Self::Ping))
    }
}

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Input(bytes) => to.serialize_bytes(bytes),
            Self::Ping(bytes) => to.serialize_bytes(bytes),
        }
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bytes = from.deserialize_bytes(Bytes)?;
        Self::read(&bytes).ok_or_else(|| D::Error::custom("neither an input nor a ping"))
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(from.deserialize_bytes(Bytes)?.into_owned()))
    }
}

/// Takes a byte string without a copy if there is a buffer behind it.
struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_borrowed_bytes<E: Error>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Self::Value, E> {
        Ok(Cow::Owned(bytes))
    }
}
