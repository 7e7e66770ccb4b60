//! Which of the ordered streams a message takes.

use crate::ids::SeatId;
use crate::limits::ORDERED_STREAMS;

/// One of the [`ORDERED_STREAMS`] ordered streams of a connection. Each is in order in itself, and what
/// one lacks does not hold up another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderedStream(u8);

impl OrderedStream {
    /// All of them.
    pub const ALL: [Self; ORDERED_STREAMS] = [Self(0), Self(1), Self(2), Self(3)];

    /// The stream of a seat, both ways: rooms of a session share one only if it has many.
    #[must_use]
    pub fn of_seat(seat: SeatId) -> Self {
        let number = usize::from(seat.0) % ORDERED_STREAMS;
        Self(u8::try_from(number).expect("streams are few"))
    }

    /// The stream of that number, `None` if there are not so many.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_numbered_and_seats_spread_over_them() {
        for (number, stream) in (0..).zip(OrderedStream::ALL) {
            assert_eq!(OrderedStream::from_number(number), Some(stream));
            assert_eq!(
                (stream.number(), stream.index()),
                (number, usize::from(number))
            );
            assert_eq!(OrderedStream::of_seat(SeatId(u16::from(number))), stream);
            assert_eq!(
                OrderedStream::of_seat(SeatId(u16::from(number) + 400)),
                stream
            );
        }
        assert_eq!(OrderedStream::from_number(4), None);
    }
}
