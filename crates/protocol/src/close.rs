//! Why a connection ends, as both ends and the wire name it.

use std::fmt;
use std::time::Duration;

use bytes::BufMut;

use crate::limit::Limit;
use crate::wire::{Malformed, Reader};

/// Why a connection ended. Travels in a sealed close frame as its number, and after it what the
/// reason names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The other side left on purpose.
    Left,
    /// The server is shutting down in order.
    ServerStopping,
    /// A newer client of the same session took over.
    Replaced,
    /// Nothing was heard for too long. Never sent: each side concludes it alone.
    TimedOut,
    /// The peer broke the protocol; retrying with the same software will not help.
    ProtocolViolation,
    /// The server or a room removed the player.
    Kicked,
    /// A bounded resource of the side that closes ran out, through no fault of the peer.
    Overloaded,
    /// The side that closes met a defect of its own.
    InternalError,
    /// The peer went over a limit of the side that closes.
    OverLimit(Limit),
}

impl CloseReason {
    /// The reasons that name nothing further, in the order of their numbers.
    pub const PLAIN: [Self; 8] = [
        Self::Left,
        Self::ServerStopping,
        Self::Replaced,
        Self::TimedOut,
        Self::ProtocolViolation,
        Self::Kicked,
        Self::Overloaded,
        Self::InternalError,
    ];

    /// Reads what [`CloseReason::write`] wrote. Unknown numbers read as
    /// [`CloseReason::InternalError`], so that a newer peer may add some.
    ///
    /// # Errors
    /// The bytes end early.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let number = reader.byte()?;
        if number == OVER_LIMIT {
            return reader.byte().map(Limit::from_number).map(Self::OverLimit);
        }
        let known = Self::PLAIN.get(usize::from(number));
        Ok(known.copied().unwrap_or(Self::InternalError))
    }

    /// Appends the reason's number, and the limit's if it names one.
    pub fn write(self, out: &mut impl BufMut) {
        out.put_u8(self.number());
        if let Self::OverLimit(limit) = self {
            out.put_u8(limit.number());
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Left => 0,
            Self::ServerStopping => 1,
            Self::Replaced => 2,
            Self::TimedOut => 3,
            Self::ProtocolViolation => 4,
            Self::Kicked => 5,
            Self::Overloaded => 6,
            Self::InternalError => 7,
            Self::OverLimit(_) => OVER_LIMIT,
        }
    }

    /// How long to wait before trying again, or `None` if trying again is no use.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Left | Self::Replaced | Self::ProtocolViolation | Self::Kicked => None,
            Self::TimedOut => Some(Duration::ZERO),
            Self::ServerStopping | Self::InternalError => Some(Duration::from_secs(1)),
            Self::Overloaded => Some(Duration::from_secs(5)),
            Self::OverLimit(limit) => Some(limit.retry_after()),
        }
    }
}

/// Number of the reason that a limit's number follows.
const OVER_LIMIT: u8 = 8;

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::OverLimit(limit) => {
                let wait = limit.retry_after().as_secs();
                return write!(f, "over the limit of {limit}; try again in {wait} s");
            }
            Self::Left => "the other side left",
            Self::ServerStopping => "the server is shutting down",
            Self::Replaced => "a newer client of this session took over",
            Self::TimedOut => "nothing was heard for too long",
            Self::ProtocolViolation => "the peer broke the protocol",
            Self::Kicked => "the player was removed",
            Self::Overloaded => "the other side is overloaded",
            Self::InternalError => "the other side met an internal error",
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<CloseReason, Malformed> {
        CloseReason::read(&mut Reader::new(bytes))
    }

    #[test]
    fn every_reason_survives_the_wire() {
        let limits = Limit::ALL.map(CloseReason::OverLimit);
        for reason in CloseReason::PLAIN.into_iter().chain(limits) {
            let mut bytes = Vec::new();
            reason.write(&mut bytes);
            assert_eq!(read(&bytes), Ok(reason));
            assert_eq!(read(&bytes[..bytes.len() - 1]), Err(Malformed));
        }
        assert_eq!(read(&[200]), Ok(CloseReason::InternalError));
        assert_eq!(read(&[8, 200]), Ok(CloseReason::OverLimit(Limit::Other)));
    }

    #[test]
    fn a_limit_is_named_with_the_time_to_wait() {
        let text = CloseReason::OverLimit(Limit::Datagrams).to_string();
        assert_eq!(
            text,
            "over the limit of datagrams per second; try again in 5 s"
        );
    }
}
