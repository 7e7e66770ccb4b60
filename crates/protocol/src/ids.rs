//! Identities as types, so that one cannot stand where another belongs.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::crypto::hash;

/// A session: a player's presence. Outlives connections and processes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// A room, named by kind and the request that first asked for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomId(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// The caller's own number for a wish to create a room: one request id, one room.
///
/// A caller that repeats a request, or a party that shares one, reaches the same room.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// A player as room logic and other members see it.
///
/// The first eight bytes of the session id, so it stays the same across reconnects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlayerId(pub u64);

/// A seat as its holder names it on the wire: a small number within one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeatId(pub u16);

/// Names one stay: the time from the taking of a seat until it is given up, over all connections.
///
/// A room counts its stays from a number drawn when it opens, so no two stays of a player anywhere have one name, but by a
/// chance of 2^-64. It is no secret and opens nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stay(pub u64);

/// Counter of a session, raised by each confirmed join or resume; the higher one wins.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u32);

/// Number of a server's current owner process; a later one fences the earlier.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Epoch(pub u64);

/// Routing label of a connection: byte 0 is the shard in clear, the rest is opaque.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub [u8; 4]);

impl RoomId {
    /// The room that `request` names for `kind`: the same on every server and after every retry.
    #[must_use]
    pub fn of(kind: &str, request: RequestId) -> Self {
        Self(hash::short(&[b"room", kind.as_bytes(), &request.0]))
    }
}

impl SessionId {
    /// The player this session is seen as.
    #[must_use]
    pub fn player(self) -> PlayerId {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        PlayerId(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl Incarnation {
    /// That of the client which opened the session.
    pub const FIRST: Self = Self(1);

    /// The next one. 2^32 joins of one session are out of reach.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Epoch {
    /// The two bits that travel in the flags of each datagram.
    #[must_use]
    pub const fn bits(self) -> u8 {
        (self.0 % 4) as u8
    }
}

impl ConnectionId {
    /// The shard that owns the connection.
    #[must_use]
    pub const fn shard(self) -> u8 {
        self.0[0]
    }
}

/// Text that is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct IdError;

macro_rules! hex_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

hex_id!(SessionId);
hex_id!(RoomId);
hex_id!(RequestId);
hex_id!(ConnectionId);

impl FromStr for RoomId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| IdError)?;
        bytes.try_into().map(Self).map_err(|_| IdError)
    }
}

impl fmt::Display for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PlayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlayerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_names_one_room_per_kind() {
        let request = RequestId([7; 16]);
        assert_eq!(RoomId::of("duel", request), RoomId::of("duel", request));
        assert_ne!(RoomId::of("duel", request), RoomId::of("chat", request));
    }

    #[test]
    fn room_ids_read_back_what_they_print() {
        let id = RoomId::of("duel", RequestId([1; 16]));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("abc".parse::<RoomId>(), Err(IdError));
    }
}
