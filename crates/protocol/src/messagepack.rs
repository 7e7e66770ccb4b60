//! MessagePack, guarded: a scan bounds every message before serde sees a byte.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::{Malformed, Reader};

/// What a message may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Nesting depth at most.
    pub depth: usize,
    /// Values in all at most.
    pub items: usize,
    /// Bytes of a text above which it must be UTF-8 without control characters.
    pub text: usize,
}

impl Bounds {
    /// For anything a peer sends: depth 16, 4,096 values.
    pub const PEER: Self = Self {
        depth: crate::limits::MESSAGEPACK_DEPTH_MAX,
        items: crate::limits::MESSAGEPACK_ITEMS_MAX,
        text: usize::MAX,
    };

    /// For our own messages: as [`Bounds::PEER`], and only short texts may be unprintable. serde's
    /// errors repeat the text that they complain about, and escape it to six times its length.
    pub const CONTROL: Self = Self {
        text: crate::limits::CONTROL_TEXT_MAX,
        ..Self::PEER
    };
}

/// Why bytes are not an acceptable message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A value is cut short, or a declared length exceeds the bytes left.
    #[error("a value is longer than the message")]
    Truncated,
    /// Bytes follow the value.
    #[error("bytes follow the message")]
    Trailing,
    /// Nested deeper than the bound.
    #[error("nested deeper than {0}")]
    TooDeep(usize),
    /// More values than the bound.
    #[error("more than {0} values")]
    TooMany(usize),
    /// A text longer than the bound that is no UTF-8 or holds control characters.
    #[error("an unprintable text of more than {0} bytes")]
    Unprintable(usize),
    /// A marker that MessagePack reserves.
    #[error("reserved marker")]
    Reserved,
    /// Well formed, but not the expected type.
    #[error("unexpected content: {0}")]
    Content(String),
}

/// Checks that `bytes` hold exactly one MessagePack value within `bounds`.
///
/// Does not recurse and does not allocate more than the depth bound.
///
/// # Errors
/// Names the bound that is exceeded.
pub fn guard(bytes: &[u8], bounds: Bounds) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    // Values still to come in each open container, innermost last.
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..bounds.items {
        match skip_value(&mut reader, bounds.text)? {
            0 => {}
            // A value has at least one byte, so a longer promise cannot be kept.
            inside if inside > len(reader.rest()) => return Err(DecodeError::Truncated),
            _ if open.len() == bounds.depth => return Err(DecodeError::TooDeep(bounds.depth)),
            inside => {
                open.push(inside);
                continue;
            }
        }
        if !close_finished(&mut open) {
            return if reader.is_empty() {
                Ok(())
            } else {
                Err(DecodeError::Trailing)
            };
        }
    }
    Err(DecodeError::TooMany(bounds.items))
}

/// Counts one finished value; false if it was the outermost.
fn close_finished(open: &mut Vec<u64>) -> bool {
    while let Some(left) = open.last_mut() {
        *left -= 1;
        if *left > 0 {
            return true;
        }
        open.pop();
    }
    false
}

/// Reads one value, or the head of a container, and gives how many values are inside.
pub(crate) fn skip_value(reader: &mut Reader<'_>, text_max: usize) -> Result<u64, DecodeError> {
    let marker = reader.byte()?;
    let low = u64::from(marker);
    let (payload, inside) = match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0x80..=0x8f => (0, (low & 0x0f) * 2),
        0x90..=0x9f => (0, low & 0x0f),
        0xa0..=0xbf => (low & 0x1f, 0),
        0xc1 => return Err(DecodeError::Reserved),
        0xc4 | 0xd9 => (number::<1>(reader)?, 0),
        0xc5 | 0xda => (number::<2>(reader)?, 0),
        0xc6 | 0xdb => (number::<4>(reader)?, 0),
        // An extension's type is one more byte of payload.
        0xc7 => (number::<1>(reader)? + 1, 0),
        0xc8 => (number::<2>(reader)? + 1, 0),
        0xc9 => (number::<4>(reader)? + 1, 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xd4..=0xd8 => ((1 << (low - 0xd4)) + 1, 0),
        0xdc => (0, number::<2>(reader)?),
        0xdd => (0, number::<4>(reader)?),
        0xde => (0, number::<2>(reader)? * 2),
        0xdf => (0, number::<4>(reader)? * 2),
    };
    let payload = usize::try_from(payload).map_err(|_| DecodeError::Truncated)?;
    let payload = reader.take(payload)?;
    let is_text = matches!(marker, 0xa0..=0xbf | 0xd9..=0xdb);
    if is_text && payload.len() > text_max && !is_printable(payload) {
        return Err(DecodeError::Unprintable(text_max));
    }
    Ok(inside)
}

fn is_printable(text: &[u8]) -> bool {
    str::from_utf8(text).is_ok_and(|text| !text.chars().any(char::is_control))
}

/// A big-endian length of `N` bytes.
fn number<const N: usize>(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let bytes: [u8; N] = reader.array()?;
    Ok(bytes
        .into_iter()
        .fold(0, |value, byte| value << 8 | u64::from(byte)))
}

fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits 64 bits")
}

impl From<Malformed> for DecodeError {
    fn from(_: Malformed) -> Self {
        Self::Truncated
    }
}

/// Decodes one guarded value.
///
/// # Errors
/// The guard's, or serde's as [`DecodeError::Content`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8], bounds: Bounds) -> Result<T, DecodeError> {
    guard(bytes, bounds)?;
    rmp_serde::from_slice(bytes).map_err(|error| DecodeError::Content(error.to_string()))
}

/// Encodes with named maps, so that fields may be added.
///
/// # Errors
/// The type cannot be written as MessagePack: its own `Serialize` failed.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    encode_into(value, &mut out)?;
    Ok(out)
}

/// As [`encode`], appending to `out`.
///
/// # Errors
/// As [`encode`]; `out` may then hold a part of the value.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    rmp_serde::encode::write_named(out, value).map_err(|error| EncodeError(error.to_string()))
}

/// A value whose `Serialize` failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be written as MessagePack: {0}")]
pub struct EncodeError(pub String);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// Every kind of value that our own types can hold.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Value {
        Nothing,
        Bool(bool),
        Int(i64),
        Large(u64),
        Half(f32),
        Float(f64),
        Text(String),
        Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
        List(Vec<Self>),
        Map(BTreeMap<String, Self>),
        Record {
            first: Option<u8>,
            second: (i8, u16, i32),
        },
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nothing),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(Value::Large),
            (-1e9_f32..1e9).prop_map(Value::Half),
            (-1e9_f64..1e9).prop_map(Value::Float),
            "[a-zé]{0,40}".prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
            (any::<Option<u8>>(), any::<(i8, u16, i32)>())
                .prop_map(|(first, second)| Value::Record { first, second }),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
                prop::collection::btree_map("[a-z]{0,5}", inner, 0..20).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_passes_the_guard_and_reads_back(value in any_value()) {
            let bytes = encode(&value).unwrap();
            prop_assert_eq!(decode::<Value>(&bytes, Bounds::PEER), Ok(value));
        }

        #[test]
        fn every_truncation_and_every_trailing_byte_is_refused(value in any_value()) {
            let mut bytes = encode(&value).unwrap();
            for cut in 0..bytes.len() {
                prop_assert_eq!(guard(&bytes[..cut], Bounds::PEER), Err(DecodeError::Truncated));
            }
            bytes.push(0xc0);
            prop_assert_eq!(guard(&bytes, Bounds::PEER), Err(DecodeError::Trailing));
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if guard(&bytes, Bounds::PEER).is_ok() {
                let _value = decode::<Value>(&bytes, Bounds::PEER);
            }
        }
    }

    #[test]
    fn every_marker_is_skipped_by_its_own_length() {
        let rest = [0; 40];
        for (marker, payload) in [
            (0x00, 0),
            (0xc0, 0),
            (0xc3, 0),
            (0xff, 0),
            (0xa5, 5),
            (0xbf, 31),
            (0xca, 4),
            (0xcb, 8),
            (0xcc, 1),
            (0xcd, 2),
            (0xce, 4),
            (0xcf, 8),
            (0xd0, 1),
            (0xd1, 2),
            (0xd2, 4),
            (0xd3, 8),
            (0xd4, 2),
            (0xd5, 3),
            (0xd6, 5),
            (0xd7, 9),
            (0xd8, 17),
            (0xc4, 1),
            (0xc5, 2),
            (0xc6, 4),
            (0xc7, 2),
            (0xc8, 3),
            (0xc9, 5),
            (0xd9, 1),
            (0xda, 2),
            (0xdb, 4),
            (0xdc, 2),
            (0xdd, 4),
            (0xde, 2),
            (0xdf, 4),
        ] {
            let bytes = [&[marker], &rest[..payload]].concat();
            assert_eq!(guard(&bytes, Bounds::PEER), Ok(()), "marker {marker:#x}");
            let cut = guard(&bytes[..payload], Bounds::PEER);
            assert_eq!(cut, Err(DecodeError::Truncated), "marker {marker:#x}");
        }
        assert_eq!(guard(&[0xc1], Bounds::PEER), Err(DecodeError::Reserved));
    }

    #[test]
    fn depth_and_items_are_bounded_from_both_sides() {
        let bounds = Bounds {
            depth: 3,
            items: 5,
            text: 3,
        };
        assert_eq!(guard(&[0x91, 0x91, 0x91, 0xc0], bounds), Ok(()));
        let deeper = [0x91, 0x91, 0x91, 0x91, 0xc0];
        assert_eq!(guard(&deeper, bounds), Err(DecodeError::TooDeep(3)));
        assert_eq!(guard(&[0x94, 0, 0, 0, 0], bounds), Ok(()));
        assert_eq!(
            guard(&[0x95, 0, 0, 0, 0, 0], bounds),
            Err(DecodeError::TooMany(5))
        );
        assert_eq!(guard(&[0x82, 0, 0, 0, 0], bounds), Ok(()));
    }

    #[test]
    fn long_texts_must_be_printable_in_every_form_and_bytes_need_not() {
        let bounds = Bounds {
            text: 3,
            ..Bounds::PEER
        };
        let forms: [&[u8]; 4] = [&[], &[0xd9], &[0xda, 0], &[0xdb, 0, 0, 0]];
        for form in forms {
            let check = |text: &[u8]| {
                let len = u8::try_from(text.len()).unwrap();
                let head = if form.is_empty() { 0xa0 + len } else { len };
                guard(&[form, &[head], text].concat(), bounds)
            };
            assert_eq!(check(b"\x1b\xff\n"), Ok(()), "{form:?}");
            assert_eq!(check("grün".as_bytes()), Ok(()), "{form:?}");
            for unprintable in [b"gr\xfcn", b"a\nbc"] {
                let outcome = check(unprintable);
                assert_eq!(outcome, Err(DecodeError::Unprintable(3)), "{form:?}");
            }
        }
        assert_eq!(guard(b"\xc4\x04\xff\xff\xff\xff", bounds), Ok(()));
    }

    #[test]
    fn bombs_are_refused_at_their_head() {
        // Each promises far more than it holds.
        let heads: [&[u8]; 4] = [
            &[0xdd; 5],
            &[0xdf; 5],
            &[0xdb; 5],
            &[0xc9, 0xff, 0xff, 0xff, 0xff],
        ];
        for head in heads {
            assert_eq!(guard(head, Bounds::PEER), Err(DecodeError::Truncated));
        }
        let nested = [0xdd, 0, 0, 0, 1].repeat(13_000);
        assert_eq!(guard(&nested, Bounds::PEER), Err(DecodeError::TooDeep(16)));
        let wide = [&[0xdd, 0, 0, 0xff, 0], [0_u8; 0xff00].as_slice()].concat();
        assert_eq!(guard(&wide, Bounds::PEER), Err(DecodeError::TooMany(4096)));
    }

    #[test]
    fn content_of_another_type_is_an_error() {
        let bytes = encode("text").unwrap();
        assert!(matches!(
            decode::<u8>(&bytes, Bounds::PEER),
            Err(DecodeError::Content(_))
        ));
    }
}
