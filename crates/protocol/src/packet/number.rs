//! Packet numbers: 62 bits, of which only the low bytes travel (RFC 9000, appendix A).

use bytes::BufMut;

use crate::wire::{Malformed, VARINT_MAX};

/// The largest packet number; a connection ends before it would need a larger one.
pub const NUMBER_MAX: u64 = VARINT_MAX;

/// The low 1 to 4 bytes of a packet number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncatedNumber {
    low: u32,
    len: u8,
}

impl TruncatedNumber {
    /// The shortest form that the receiver can expand, given what it is known to have.
    ///
    /// The receiver expects something after `acked`, so the distance must stay below half
    /// of what the bytes can tell apart.
    #[must_use]
    pub fn shortest(number: u64, acked: Option<u64>) -> Self {
        let gap = acked.map_or(number, |acked| number.saturating_sub(acked));
        let len = match gap {
            0..=0x7e => 1,
            0x7f..=0x7ffe => 2,
            0x7fff..=0x7f_fffe => 3,
            _ => 4,
        };
        let low = number & (u64::from(u32::MAX) >> (8 * (4 - len)));
        Self {
            low: u32::try_from(low).expect("masked to 32 bits"),
            len,
        }
    }

    /// Bytes on the wire.
    #[must_use]
    pub fn len(self) -> usize {
        usize::from(self.len)
    }

    /// Never: there is always at least one byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The lowest byte.
    #[must_use]
    pub const fn low_byte(self) -> u8 {
        self.low.to_be_bytes()[3]
    }

    /// Appends the bytes.
    pub fn encode(self, out: &mut impl BufMut) {
        let bytes = self.low.to_be_bytes();
        let (_, tail) = bytes.split_at(4 - self.len());
        out.put_slice(tail);
    }

    /// Reads the number that fills `bytes`.
    ///
    /// # Errors
    /// There is none or more than 4.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let len = u8::try_from(bytes.len()).map_err(|_| Malformed)?;
        if !(1..=4).contains(&len) {
            return Err(Malformed);
        }
        let low = bytes
            .iter()
            .fold(0, |low, byte| low << 8 | u32::from(*byte));
        Ok(Self { low, len })
    }

    /// The whole number closest to `expected`, or `None` if it would exceed [`NUMBER_MAX`].
    ///
    /// A forged number may stand anywhere, so nothing here may overflow.
    #[must_use]
    pub fn expand(self, expected: u64) -> Option<u64> {
        let expected = expected.min(NUMBER_MAX);
        let window = 1_u64 << (8 * self.len);
        let half = window / 2;
        let near = expected & !(window - 1) | u64::from(self.low);
        let number = if near + half <= expected {
            near + window
        } else if near > expected + half && near >= window {
            near - window
        } else {
            near
        };
        (number <= NUMBER_MAX).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_receiver_expands_what_a_sender_cut(
            number in 0..=NUMBER_MAX,
            gap in 0_u64..1 << 31,
            lag in 0_u64..1_024,
        ) {
            let acked = number.checked_sub(gap + 1);
            let cut = TruncatedNumber::shortest(number, acked);
            // The receiver has something from `acked` to a little past `number`.
            let oldest = acked.map_or(0, |acked| acked + 1);
            let lag = if cut.len() == 1 { lag % 0x80 } else { lag };
            for expected in [oldest, number, number + lag] {
                prop_assert_eq!(cut.expand(expected), Some(number));
            }
        }

        #[test]
        fn forged_numbers_never_overflow(low: u32, len in 1_u8..=4, expected: u64) {
            let low = low & u32::MAX >> (8 * (4 - len));
            let number = TruncatedNumber { low, len }.expand(expected);
            prop_assert!(number.is_none_or(|number| number <= NUMBER_MAX));
        }
    }

    #[test]
    fn the_length_grows_with_the_unacknowledged_gap() {
        let len = |number, acked| TruncatedNumber::shortest(number, acked).len();
        assert_eq!(len(0, None), 1);
        assert_eq!(len(0x7e, None), 1);
        assert_eq!(len(0x7f, None), 2);
        assert_eq!(len(0x7ffe, None), 2);
        assert_eq!(len(0x7fff, None), 3);
        assert_eq!(len(0x7f_ffff, Some(0)), 4);
        assert_eq!(len(NUMBER_MAX, Some(NUMBER_MAX - 1)), 1);
    }
}
