//! Why a connection ends, as both ends and the wire name it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a connection ended. Travels as its number, in a sealed close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[repr(u8)]
pub enum CloseReason {
    /// The other side left on purpose.
    Left = 0,
    /// The server is shutting down in order.
    ServerStopping = 1,
    /// A newer client of the same session took over.
    Replaced = 2,
    /// Nothing was heard for too long. Never sent: each side concludes it alone.
    TimedOut = 3,
    /// The peer broke the protocol; retrying with the same software will not help.
    ProtocolViolation = 4,
    /// The server or a room removed the player.
    Kicked = 5,
    /// A bounded resource ran out.
    Overloaded = 6,
    /// The side that closes met a defect of its own.
    InternalError = 7,
}

impl CloseReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Left,
        Self::ServerStopping,
        Self::Replaced,
        Self::TimedOut,
        Self::ProtocolViolation,
        Self::Kicked,
        Self::Overloaded,
        Self::InternalError,
    ];

    /// The reason behind a number from the wire; unknown ones read as [`CloseReason::InternalError`],
    /// so that a newer peer may add some.
    #[must_use]
    pub fn from_number(number: u8) -> Self {
        Self::ALL
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::InternalError)
    }

    /// The number that travels.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// How long to wait before trying again, or `None` if trying again is no use.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Left | Self::Replaced | Self::ProtocolViolation | Self::Kicked => None,
            Self::TimedOut => Some(Duration::ZERO),
            Self::ServerStopping | Self::InternalError => Some(Duration::from_secs(1)),
            Self::Overloaded => Some(Duration::from_secs(5)),
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "the other side left",
            Self::ServerStopping => "the server is shutting down",
            Self::Replaced => "a newer client of this session took over",
            Self::TimedOut => "nothing was heard for too long",
            Self::ProtocolViolation => "the peer broke the protocol",
            Self::Kicked => "the player was removed",
            Self::Overloaded => "a limit was reached",
            Self::InternalError => "the other side met an internal error",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_its_number() {
        for reason in CloseReason::ALL {
            assert_eq!(CloseReason::from_number(reason.number()), reason);
        }
        assert_eq!(CloseReason::from_number(200), CloseReason::InternalError);
    }
}
