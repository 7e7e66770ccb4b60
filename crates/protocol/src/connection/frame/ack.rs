//! Acknowledgements: which packets arrived, as ranges from the newest down (RFC 9000, 19.3).
//!
//! ```text
//! type 1 | largest varint | delay 1, 160 us each | [further ranges varint]
//!        | packets below the largest varint | (missing less 1 varint, received less 1 varint)*
//! ```
//!
//! Most have one range: they are of a type of their own, which saves a byte in each.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::BufMut;

use super::reader::cut;
use super::writer::FrameWriter;
use crate::connection::error::Violation;
use crate::connection::ranges::Ranges;
use crate::limits::{ACK_DELAY_MAX, ACK_RANGES_MAX};
use crate::wire::{Malformed, Reader, put_varint};

/// Microseconds of one unit of delay: a byte then tells all of [`ACK_DELAY_MAX`], beyond which none counts.
const DELAY_UNIT: u64 = 160;
const _: () = assert!(DELAY_UNIT as u128 * u8::MAX as u128 >= ACK_DELAY_MAX.as_micros());
/// Bytes before the ranges at most: type, largest, delay, count.
const HEAD_MAX: usize = 1 + 8 + 1 + 1;
/// Bytes of a range at most.
const RANGE_MAX: usize = 16;
const _: () = assert!(
    ACK_RANGES_MAX <= 64,
    "the count of further ranges takes one byte"
);

/// An acknowledgement as read; its ranges were checked and are decoded on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckFrame<'a> {
    pub(crate) largest: u64,
    pub(crate) delay: Duration,
    more: usize,
    ranges: Reader<'a>,
}

impl<'a> AckFrame<'a> {
    /// One range.
    pub(super) const KIND: u8 = 0x02;
    /// Several ranges, and how many.
    pub(super) const KIND_FURTHER: u8 = 0x08;

    /// Writes the newest ranges that fit. False if there are none, or there is no space.
    pub(crate) fn write(received: &Ranges, delay: Duration, writer: &mut FrameWriter<'_>) -> bool {
        let fitting = writer.space().saturating_sub(HEAD_MAX) / RANGE_MAX;
        let mut ranges = received.newest_first().take(fitting);
        let Some(first) = ranges.next() else {
            return false;
        };
        let more = received.len().min(fitting) - 1;
        let kind = if more == 0 {
            Self::KIND
        } else {
            Self::KIND_FURTHER
        };
        let out = writer.put(kind, false);
        put_varint(out, *first.end());
        let units = delay.as_micros() / u128::from(DELAY_UNIT);
        out.put_u8(u8::try_from(units).unwrap_or(u8::MAX));
        if more > 0 {
            put_varint(out, u64::try_from(more).expect("ranges are few"));
        }
        put_varint(out, first.end() - first.start());
        let mut low = *first.start();
        for range in ranges {
            // Ranges are apart by at least one missing packet.
            put_varint(out, low - range.end() - 2);
            put_varint(out, range.end() - range.start());
            low = *range.start();
        }
        true
    }

    pub(super) fn read(kind: u8, reader: &mut Reader<'a>) -> Result<Self, Violation> {
        let largest = reader.varint().map_err(cut)?;
        let units = reader.byte().map_err(cut)?;
        let more = match kind {
            Self::KIND => 0,
            _ => reader.varint().map_err(cut)?,
        };
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        if more >= ACK_RANGES_MAX {
            return Err(Violation("too many ack ranges"));
        }
        let delay = Duration::from_micros(u64::from(units) * DELAY_UNIT);
        let frame = Self {
            largest,
            delay,
            more,
            ranges: *reader,
        };
        let mut walk = Walk::new(&frame);
        while walk
            .step()
            .map_err(|Malformed| Violation("malformed ack ranges"))?
            .is_some()
        {}
        *reader = walk.reader;
        Ok(frame)
    }

    /// The acknowledged ranges, newest first.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + use<'a> {
        let mut walk = Walk::new(self);
        std::iter::from_fn(move || walk.step().ok().flatten())
    }
}

/// One pass over the ranges of a frame.
struct Walk<'a> {
    reader: Reader<'a>,
    /// The end of the next range, `None` if it would lie below packet 0.
    end: Option<u64>,
    left: usize,
    first: bool,
}

impl<'a> Walk<'a> {
    fn new(frame: &AckFrame<'a>) -> Self {
        Self {
            reader: frame.ranges,
            end: Some(frame.largest),
            left: frame.more + 1,
            first: true,
        }
    }

    fn step(&mut self) -> Result<Option<RangeInclusive<u64>>, Malformed> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let mut end = self.end.ok_or(Malformed)?;
        if !self.first {
            end = end.checked_sub(self.reader.varint()?).ok_or(Malformed)?;
        }
        self.first = false;
        let start = end.checked_sub(self.reader.varint()?).ok_or(Malformed)?;
        self.end = start.checked_sub(2);
        Ok(Some(start..=end))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Frame;
    use super::*;
    use crate::wire::VARINT_MAX;

    fn read(bytes: &[u8]) -> Result<AckFrame<'_>, Violation> {
        let Frame::Ack(ack) = Frame::read(&mut Reader::new(bytes))? else {
            panic!("not an ack")
        };
        Ok(ack)
    }

    proptest! {
        #[test]
        fn ranges_read_back(
            numbers in prop::collection::btree_set(0_u64..400, 1..60),
            base in prop_oneof![Just(0_u64), Just(VARINT_MAX - 400)],
            delay_us in 0_u64..80_000,
        ) {
            let mut ranges = Ranges::default();
            for number in &numbers {
                ranges.insert(base + number);
            }
            let mut out = Vec::new();
            let mut writer = FrameWriter::new(&mut out);
            prop_assert!(AckFrame::write(&ranges, Duration::from_micros(delay_us), &mut writer));
            prop_assert!(!writer.is_eliciting());
            let ack = read(&out).unwrap();
            prop_assert_eq!(ack.largest, base + numbers.last().unwrap());
            prop_assert_eq!(ack.delay, Duration::from_micros((delay_us / 160).min(255) * 160));
            let told: Vec<_> = ack.ranges().collect();
            let expected: Vec<_> = ranges.newest_first().collect();
            prop_assert_eq!(told, expected);
        }
    }

    #[test]
    fn the_newest_ranges_are_written_when_space_is_short() {
        let mut ranges = Ranges::default();
        (0..20).for_each(|index| ranges.insert(index * 2));
        let mut out = Vec::new();
        let mut writer = FrameWriter::new(&mut out);
        let filler = vec![0; writer.space() - HEAD_MAX - 3 * RANGE_MAX - 1];
        writer.put(0, false).extend_from_slice(&filler);
        assert!(AckFrame::write(&ranges, Duration::ZERO, &mut writer));
        let ack = read(&out[1 + filler.len()..]).unwrap();
        assert_eq!(
            ack.ranges().collect::<Vec<_>>(),
            [38..=38, 36..=36, 34..=34]
        );
    }

    #[test]
    fn ranges_below_packet_zero_or_too_many_are_violations() {
        assert!(read(&[2, 5, 0, 5]).is_ok());
        assert!(read(&[2, 5, 0, 6]).is_err(), "below zero");
        assert!(
            read(&[8, 5, 0, 1, 4, 0, 0]).is_err(),
            "no place for a second range"
        );
        assert!(read(&[8, 5, 0, 1, 3, 0]).is_err(), "cut short");
        let count = u8::try_from(ACK_RANGES_MAX).unwrap();
        assert_eq!(
            read(&[8, 5, 0, count, 5]).unwrap_err(),
            Violation("too many ack ranges")
        );
    }
}
