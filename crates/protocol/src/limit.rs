//! Which limit somebody went over, as closes and refusals name it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A limit of a server that one peer can reach by what it does. Travels as its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
#[non_exhaustive]
#[repr(u8)]
pub enum Limit {
    /// A limit that this build does not know.
    Other = 0,
    /// Datagrams per second of one connection.
    Datagrams = 1,
    /// Bytes per second of one connection.
    Bytes = 2,
    /// Messages that wait for a peer which does not read them.
    SendQueue = 3,
    /// Reliable inputs per second of one session.
    Inputs = 4,
    /// Inputs per second of all members of one room.
    RoomInputs = 5,
    /// Requests per second of one session.
    Requests = 6,
    /// Rooms opened per minute, by one session or address.
    RoomCreates = 7,
    /// Wrong room codes and ids per minute, of one session or address.
    RoomGuesses = 8,
    /// Sessions at once of one address.
    AddressSessions = 9,
    /// Seats that one session takes per minute.
    Seats = 10,
    /// Times per minute that one client takes a session over from another.
    Takeovers = 11,
    /// Rooms open at once that sessions of one address opened.
    AddressRooms = 12,
}

impl Limit {
    /// All limits, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Other,
        Self::Datagrams,
        Self::Bytes,
        Self::SendQueue,
        Self::Inputs,
        Self::RoomInputs,
        Self::Requests,
        Self::RoomCreates,
        Self::RoomGuesses,
        Self::AddressSessions,
        Self::Seats,
        Self::Takeovers,
        Self::AddressRooms,
    ];

    /// The limit behind a number from the wire; unknown ones read as [`Limit::Other`], so that a
    /// newer peer may add some.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        let known = Self::ALL.get(usize::from(number));
        known.copied().unwrap_or(Self::Other)
    }

    /// The number that travels.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// How long to wait after a close for this limit: a budget is whole again by then.
    #[must_use]
    pub const fn retry_after(self) -> Duration {
        match self {
            Self::Other
            | Self::Datagrams
            | Self::Bytes
            | Self::Inputs
            | Self::RoomInputs
            | Self::Requests => Duration::from_secs(5),
            // What waited is gone with the connection.
            Self::SendQueue => Duration::from_secs(1),
            Self::RoomCreates
            | Self::RoomGuesses
            | Self::AddressSessions
            | Self::Seats
            | Self::Takeovers
            | Self::AddressRooms => Duration::from_secs(60),
        }
    }
}

impl From<u8> for Limit {
    fn from(number: u8) -> Self {
        Self::from_number(number)
    }
}

impl From<Limit> for u8 {
    fn from(limit: Limit) -> Self {
        limit.number()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "a limit unknown to this version",
            Self::Datagrams => "datagrams per second",
            Self::Bytes => "bytes per second",
            Self::SendQueue => "messages waiting unread",
            Self::Inputs => "inputs per second of a session",
            Self::RoomInputs => "inputs per second of a room",
            Self::Requests => "requests per second",
            Self::RoomCreates => "rooms opened per minute",
            Self::RoomGuesses => "wrong room codes or ids per minute",
            Self::AddressSessions => "sessions of one address",
            Self::Seats => "seats taken per minute",
            Self::Takeovers => "clients of one session per minute",
            Self::AddressRooms => "rooms of one address",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_survives_its_number_and_has_a_text_of_its_own() {
        let mut texts = std::collections::BTreeSet::new();
        for limit in Limit::ALL {
            assert_eq!(Limit::from_number(limit.number()), limit);
            assert!(texts.insert(limit.to_string()), "{limit:?}");
        }
        assert_eq!(Limit::from_number(200), Limit::Other);
    }
}
