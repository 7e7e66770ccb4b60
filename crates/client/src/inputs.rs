//! Reliable inputs of one seat, kept until the room's cursor covers them.
//!
//! A packet ack only says that the server has the bytes. Until the room's cursor covers an input,
//! a crash of the server may undo it; then the client sends it again, and the room drops what it
//! already applied by number.

use std::collections::VecDeque;

use bytes::Bytes;
use rejoin_protocol::SizeError;
use rejoin_protocol::connection::SendError;
use rejoin_protocol::limits::{INPUT_MAX, INPUTS_KEPT_BYTES_MAX, INPUTS_KEPT_MAX};
use rejoin_protocol::planted::{self, Bug};
use rejoin_protocol::wire::VARINT_MAX;

/// The inputs of one seat, oldest first.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The newest that the room has applied.
    cursor: u64,
    /// The newest number given.
    newest: u64,
    /// The newest handed to the connection.
    handed: u64,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
}

/// An input that the room may not have applied yet.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) payload: Bytes,
}

impl Inputs {
    /// Numbers go on after what the room has applied.
    pub(crate) fn new(cursor: u64) -> Self {
        Self {
            cursor,
            newest: cursor,
            handed: cursor,
            kept: VecDeque::new(),
            kept_bytes: 0,
        }
    }

    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The number for one more input of `len` bytes.
    pub(crate) fn next(&self, len: usize) -> Result<u64, SendError> {
        check_len(len)?;
        if self.kept.len() >= INPUTS_KEPT_MAX || self.kept_bytes + len > INPUTS_KEPT_BYTES_MAX {
            return Err(SendError::QueueFull);
        }
        // Only a broken server moves the cursor so far that numbers run out.
        self.newest
            .checked_add(1)
            .filter(|next| *next <= VARINT_MAX)
            .ok_or(SendError::Closed)
    }

    /// Keeps the input that got its number from [`Inputs::next`] and was handed over.
    pub(crate) fn keep(&mut self, number: u64, payload: Bytes) {
        self.handed = number;
        self.keep_back(number, payload);
    }

    /// The same for one that is to be handed over later.
    pub(crate) fn keep_back(&mut self, number: u64, payload: Bytes) {
        self.newest = number;
        self.kept_bytes += payload.len();
        self.kept.push_back(Kept { number, payload });
    }

    /// The room has applied everything up to `cursor`. An older word changes nothing.
    pub(crate) fn cover(&mut self, cursor: u64) {
        self.cursor = self.cursor.max(cursor);
        self.newest = self.newest.max(self.cursor);
        self.handed = self.handed.max(self.cursor);
        while self
            .kept
            .front()
            .is_some_and(|oldest| oldest.number <= self.cursor)
        {
            let covered = self.kept.pop_front();
            self.kept_bytes -= covered.map_or(0, |kept| kept.payload.len());
        }
    }

    /// Everything kept must be handed over again, on another connection or under the seat's new name.
    pub(crate) fn hand_again(&mut self) {
        let skips = planted::is(Bug::ReturnSkipsInput) && self.newest > self.cursor;
        self.handed = self.cursor + u64::from(skips);
    }

    /// How many are kept.
    pub(crate) fn kept(&self) -> u64 {
        u64::try_from(self.kept.len()).unwrap_or(u64::MAX)
    }

    /// The oldest input that has not been handed over.
    pub(crate) fn unhanded(&self) -> Option<&Kept> {
        if self.handed == self.newest {
            return None;
        }
        let index = self.kept.partition_point(|kept| kept.number <= self.handed);
        self.kept.get(index)
    }

    /// The input of that number was handed over.
    pub(crate) fn handed(&mut self, number: u64) {
        self.handed = number;
    }
}

/// Refuses an input that no lane carries.
pub(crate) fn check_len(len: usize) -> Result<(), SendError> {
    SizeError::check("bytes of an input", len, INPUT_MAX).map_err(SendError::from)
}

#[cfg(test)]
mod tests {
    use rejoin_protocol::Rng;

    use super::*;

    fn push(inputs: &mut Inputs, len: usize) -> Result<u64, SendError> {
        let number = inputs.next(len)?;
        inputs.keep(number, Bytes::from(vec![0; len]));
        Ok(number)
    }

    #[test]
    fn numbers_go_on_after_the_cursor() {
        let mut inputs = Inputs::new(41);
        assert_eq!(push(&mut inputs, 1), Ok(42));
        assert_eq!(push(&mut inputs, 1), Ok(43));
        inputs.cover(42);
        assert_eq!(push(&mut inputs, 1), Ok(44));
        assert_eq!(inputs.cursor(), 42);
    }

    #[test]
    fn an_older_cursor_takes_nothing_back() {
        let mut inputs = Inputs::new(0);
        push(&mut inputs, 1).unwrap();
        inputs.cover(1);
        inputs.cover(0);
        assert_eq!(inputs.cursor(), 1);
        assert_eq!(push(&mut inputs, 1), Ok(2));
    }

    #[test]
    fn a_cursor_ahead_of_us_moves_the_numbers() {
        let mut inputs = Inputs::new(0);
        push(&mut inputs, 1).unwrap();
        inputs.cover(10);
        assert_eq!(push(&mut inputs, 1), Ok(11));
        assert!(inputs.unhanded().is_none());
    }

    #[test]
    fn the_count_is_bounded_until_the_room_covers_some() {
        let mut inputs = Inputs::new(0);
        for _ in 0..INPUTS_KEPT_MAX {
            push(&mut inputs, 1).unwrap();
        }
        assert_eq!(push(&mut inputs, 1), Err(SendError::QueueFull));
        inputs.cover(1);
        assert!(push(&mut inputs, 1).is_ok());
    }

    #[test]
    fn the_bytes_are_bounded_until_the_room_covers_some() {
        let mut inputs = Inputs::new(0);
        for _ in 0..INPUTS_KEPT_BYTES_MAX / INPUT_MAX {
            push(&mut inputs, INPUT_MAX).unwrap();
        }
        assert_eq!(push(&mut inputs, 1), Err(SendError::QueueFull));
        inputs.cover(1);
        assert!(push(&mut inputs, INPUT_MAX).is_ok());
    }

    #[test]
    fn an_input_longer_than_the_bound_is_refused() {
        let len = INPUT_MAX + 1;
        assert_eq!(
            push(&mut Inputs::new(0), len),
            Err(SendError::Size(SizeError {
                what: "bytes of an input",
                given: len,
                least: 0,
                most: INPUT_MAX
            }))
        );
        assert!(push(&mut Inputs::new(0), INPUT_MAX).is_ok());
    }

    #[test]
    fn only_what_is_not_covered_is_handed_again() {
        let mut inputs = Inputs::new(0);
        for _ in 0..4 {
            push(&mut inputs, 1).unwrap();
        }
        inputs.cover(2);
        inputs.hand_again();
        let mut again = Vec::new();
        while let Some(kept) = inputs.unhanded() {
            let number = kept.number;
            again.push(number);
            inputs.handed(number);
        }
        assert_eq!(again, [3, 4]);
    }

    #[test]
    fn numbers_that_cannot_travel_are_not_given() {
        assert_eq!(
            push(&mut Inputs::new(VARINT_MAX), 1),
            Err(SendError::Closed)
        );
        assert_eq!(push(&mut Inputs::new(u64::MAX), 1), Err(SendError::Closed));
        assert_eq!(push(&mut Inputs::new(VARINT_MAX - 1), 1), Ok(VARINT_MAX));
    }

    #[test]
    fn whatever_cursors_a_server_tells_inputs_are_bounded_in_count_and_bytes() {
        for seed in 0..24 {
            let mut rng = Rng::from_number(seed);
            let mut inputs = Inputs::new(0);
            let longest = [1, 300, INPUT_MAX + 1][rng.index(3)];
            let mut refused = 0;
            for _ in 0..8_000 {
                let len = rng.index(longest);
                let bytes = inputs.kept_bytes + len;
                let full = inputs.kept.len() == INPUTS_KEPT_MAX || bytes > INPUTS_KEPT_BYTES_MAX;
                let pushed = push(&mut inputs, len);
                assert_eq!(pushed == Err(SendError::QueueFull), full);
                refused += usize::from(full);
                if rng.chance(0.01) {
                    inputs.hand_again();
                }
                if rng.chance(0.003) {
                    // Back, ahead a little, or beyond all there is.
                    inputs.cover(rng.below(inputs.newest + 3));
                }
                assert!(inputs.kept.len() <= INPUTS_KEPT_MAX);
                assert!(inputs.kept_bytes <= INPUTS_KEPT_BYTES_MAX);
                let held: usize = inputs.kept.iter().map(|kept| kept.payload.len()).sum();
                assert_eq!(held, inputs.kept_bytes, "every byte is counted");
                let covered = inputs
                    .kept
                    .iter()
                    .filter(|kept| kept.number <= inputs.cursor);
                assert_eq!(covered.count(), 0, "what is covered is let go");
            }
            assert!(refused > 0, "it was filled");
        }
    }
}
