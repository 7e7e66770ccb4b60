//! MessagePack, one value or head at a time, as numbers where it is numbers.

use crate::messagepack;
use crate::snapshot::BadDelta;
use crate::wire::Reader;

/// A scalar, or the head of a container.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One that fits 64 bits with a sign.
    Int(i64),
    /// Bits of a 32-bit float.
    Single(u32),
    /// Bits of a 64-bit float.
    Double(u64),
    /// Nothing, truth, text, bytes, an extension, or an integer from 2^63 on.
    Other,
    /// So many elements.
    Array(usize),
    /// So many entries.
    Map(usize),
}

impl<'a> Token<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, BadDelta> {
        let all = reader.rest();
        let marker = reader.byte()?;
        let kind = match marker {
            0x00..=0x7f => Kind::Int(i64::from(marker)),
            0xe0..=0xff => Kind::Int(i64::from(marker.cast_signed())),
            0xcc => Kind::Int(u8::from_be_bytes(reader.array()?).into()),
            0xcd => Kind::Int(u16::from_be_bytes(reader.array()?).into()),
            0xce => Kind::Int(u32::from_be_bytes(reader.array()?).into()),
            0xcf => {
                let value = u64::from_be_bytes(reader.array()?);
                i64::try_from(value).map_or(Kind::Other, Kind::Int)
            }
            0xd0 => Kind::Int(i8::from_be_bytes(reader.array()?).into()),
            0xd1 => Kind::Int(i16::from_be_bytes(reader.array()?).into()),
            0xd2 => Kind::Int(i32::from_be_bytes(reader.array()?).into()),
            0xd3 => Kind::Int(i64::from_be_bytes(reader.array()?)),
            0xca => Kind::Single(u32::from_be_bytes(reader.array()?)),
            0xcb => Kind::Double(u64::from_be_bytes(reader.array()?)),
            0x90..=0x9f => Kind::Array(usize::from(marker & 0x0f)),
            0x80..=0x8f => Kind::Map(usize::from(marker & 0x0f)),
            _ => {
                *reader = Reader::new(all);
                let inside = messagepack::skip_value(reader, usize::MAX).map_err(|_| BadDelta)?;
                let inside = usize::try_from(inside).map_err(|_| BadDelta)?;
                match marker {
                    0xdc | 0xdd => Kind::Array(inside),
                    0xde | 0xdf => Kind::Map(inside / 2),
                    _ => Kind::Other,
                }
            }
        };
        let (bytes, _) = all.split_at(all.len() - reader.rest().len());
        Ok(Self { kind, bytes })
    }

    pub(super) const fn is_container(&self) -> bool {
        matches!(self.kind, Kind::Array(_) | Kind::Map(_))
    }

    /// Values that follow the head.
    const fn inside(self) -> usize {
        match self.kind {
            Kind::Array(count) => count,
            Kind::Map(count) => count * 2,
            Kind::Int(_) | Kind::Single(_) | Kind::Double(_) | Kind::Other => 0,
        }
    }

    /// Passes over what follows the head.
    pub(super) fn skip_inside(self, reader: &mut Reader<'a>) -> Result<(), BadDelta> {
        let mut left = self.inside();
        while left > 0 {
            // A value has at least one byte, so that longer promises are not kept.
            let inside = Token::read(reader)?.inside();
            left = (left - 1).checked_add(inside).ok_or(BadDelta)?;
        }
        Ok(())
    }
}

/// One value with all that is in it.
pub(super) fn value<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], BadDelta> {
    let all = reader.rest();
    Token::read(reader)?.skip_inside(reader)?;
    let (value, _) = all.split_at(all.len() - reader.rest().len());
    Ok(value)
}

/// The shortest form of an integer, which serializers write.
pub(super) fn put_int(out: &mut Vec<u8>, value: i64) {
    rmp_serde::encode::write(out, &value).expect("memory takes what is written");
}

/// The shortest head of an array.
pub(super) fn put_array(out: &mut Vec<u8>, count: u32) {
    put_head(out, count, (0x90, 0xdc));
}

/// The shortest head of a map.
pub(super) fn put_map(out: &mut Vec<u8>, count: u32) {
    put_head(out, count, (0x80, 0xde));
}

/// A count of up to 15 is in the marker; else it follows in two bytes, or in four behind the next marker.
fn put_head(out: &mut Vec<u8>, count: u32, (short, long): (u8, u8)) {
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(count @ 0..16), _) => out.push(short | count),
        (_, Ok(count)) => {
            out.push(long);
            out.extend_from_slice(&count.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(long + 1);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_integers_are_written_as_serializers_do() {
        for count in [0, 1, 15, 16, 17, 255, 256, 65_535, 65_536] {
            let elements = vec![(); count];
            let (mut ours, theirs) = (Vec::new(), rmp_serde::to_vec(&elements).unwrap());
            let head = u32::try_from(count).unwrap();
            put_array(&mut ours, head);
            assert_eq!(theirs[..theirs.len() - count], ours, "{count}");
            let entries: std::collections::BTreeMap<usize, ()> =
                (0..count).map(|it| (it, ())).collect();
            let theirs = rmp_serde::to_vec(&entries).unwrap();
            ours.clear();
            put_map(&mut ours, head);
            assert!(theirs.starts_with(&ours), "{count}");
        }
        for value in [i64::MIN, -33, -32, -1, 0, 127, 128, 65_536, i64::MAX] {
            let mut out = Vec::new();
            put_int(&mut out, value);
            assert_eq!(rmp_serde::to_vec(&value).unwrap(), out);
        }
    }
}
