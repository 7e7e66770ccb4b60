//! Where two checkpoints differ first: a path of field names, for people who hunt a room whose
//! logic does not repeat itself.
//!
//! Called by `compare` once bytes differ. Reads any MessagePack; it needs no type.

use std::collections::VecDeque;
use std::fmt;

use rejoin_protocol::messagepack::{self, Bounds};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::checkpoint;

/// One place where two encoded values differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Field names, indexes and keys from the root, such as `state.players[3].x`.
    pub(crate) path: String,
    /// What stands there on the left.
    pub(crate) left: String,
    /// What stands there on the right.
    pub(crate) right: String,
}

/// The first place where two checkpoints differ, in the order they are written in.
///
/// `None` if they hold the same values, even where they are written differently.
pub(crate) fn between(left: &[u8], right: &[u8]) -> Option<Difference> {
    let (Some(left_value), Some(right_value)) = (read(left), read(right)) else {
        return bytes_differ(left, right);
    };
    compare(String::new(), &left_value, &right_value)
}

/// A MessagePack value of any type.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Nil,
    Bool(bool),
    Int(i128),
    /// By bits, so that equal means the same and a NaN equals itself.
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Bounds of a whole checkpoint: those of a state, and a level for the envelope.
const BOUNDS: Bounds = Bounds {
    depth: checkpoint::STATE.depth + 1,
    items: checkpoint::STATE.items * 2,
    ..Bounds::PEER
};

fn read(bytes: &[u8]) -> Option<Value> {
    messagepack::decode(bytes, BOUNDS).ok()
}

fn compare(path: String, left: &Value, right: &Value) -> Option<Difference> {
    match (left, right) {
        (Value::List(a), Value::List(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(index, (a, b))| compare(format!("{path}[{index}]"), a, b))
        }
        (Value::Map(a), Value::Map(b)) => compare_maps(&path, a, b),
        // The state of an envelope is bytes with a value inside.
        (Value::Bytes(a), Value::Bytes(b)) if a != b => match (read(a), read(b)) {
            (Some(a @ Value::Map(_)), Some(b @ Value::Map(_))) => compare(path, &a, &b),
            _ => Some(shown(path, left, right)),
        },
        _ if left == right => None,
        _ => Some(shown(path, left, right)),
    }
}

fn compare_maps(
    path: &str,
    left: &[(Value, Value)],
    right: &[(Value, Value)],
) -> Option<Difference> {
    let mut rest: VecDeque<_> = right.iter().collect();
    for (index, (key, value)) in left.iter().enumerate() {
        let Some((other_key, other)) = rest.pop_front() else {
            return Some(missing(step(path, key), Some(value), None));
        };
        if key == other_key {
            if let Some(difference) = compare(step(path, key), value, other) {
                return Some(difference);
            }
            continue;
        }
        if !right.iter().any(|(other_key, _)| other_key == key) {
            return Some(missing(step(path, key), Some(value), None));
        }
        if !left.iter().any(|(key, _)| key == other_key) {
            return Some(missing(step(path, other_key), None, Some(other)));
        }
        let path = format!("{path} (order of entries, at {index})");
        return Some(shown(path, key, other_key));
    }
    rest.pop_front()
        .map(|(key, value)| missing(step(path, key), None, Some(value)))
}

fn step(path: &str, key: &Value) -> String {
    match key {
        Value::Text(name) if path.is_empty() => name.clone(),
        Value::Text(name) => format!("{path}.{name}"),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Map(_) => format!("{path}[{key}]"),
    }
}

fn shown(path: String, left: &Value, right: &Value) -> Difference {
    missing(path, Some(left), Some(right))
}

fn missing(path: String, left: Option<&Value>, right: Option<&Value>) -> Difference {
    let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), short);
    Difference {
        path,
        left: show(left),
        right: show(right),
    }
}

fn bytes_differ(left: &[u8], right: &[u8]) -> Option<Difference> {
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    if same == left.len() && same == right.len() {
        return None;
    }
    let show = |bytes: &[u8]| format!("{} bytes", bytes.len());
    Some(Difference {
        path: format!("byte {same}"),
        left: show(left),
        right: show(right),
    })
}

/// Text of a value, cut where it stops being of help.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.split_at(end).0),
        None => text,
    }
}

/// Characters of a value that are shown: a line of a terminal.
const SHOWN_MAX: usize = 80;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => {
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, " ({} bytes)", bytes.len())
            }
            Self::List(items) => f.debug_list().entries(items.iter().map(Shown)).finish(),
            Self::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (Shown(key), Shown(value)));
                f.debug_map().entries(entries).finish()
            }
        }
    }
}

struct Shown<'a>(&'a Value);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        Value::deserialize(inner)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value.to_bits()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(bytes.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;
    use serde_bytes::ByteBuf;

    use super::*;

    #[derive(Clone, Serialize)]
    struct Outer {
        tick: u64,
        state: ByteBuf,
    }

    #[derive(Clone, Serialize)]
    struct Inner {
        points: BTreeMap<u64, i32>,
        places: Vec<(f32, f32)>,
        name: Option<String>,
    }

    fn encoded(tick: u64, inner: &Inner) -> Vec<u8> {
        let state = ByteBuf::from(messagepack::encode(inner).unwrap());
        messagepack::encode(&Outer { tick, state }).unwrap()
    }

    fn inner() -> Inner {
        let places = vec![(0.0, 1.0), (f32::NAN, 2.0)];
        Inner {
            points: [(3, 4), (7, -1)].into(),
            places,
            name: None,
        }
    }

    fn assert_differs(left: &[u8], right: &[u8], expected: [&str; 3]) {
        let found = between(left, right).expect("they differ");
        assert_eq!([&*found.path, &*found.left, &*found.right], expected);
    }

    #[test]
    fn equal_checkpoints_do_not_differ() {
        assert_eq!(between(&encoded(1, &inner()), &encoded(1, &inner())), None);
    }

    #[test]
    fn the_first_difference_is_named_by_path() {
        let base = encoded(1, &inner());
        assert_differs(&base, &encoded(2, &inner()), ["tick", "1", "2"]);
        let mut other = inner();
        other.places[1].1 = 2.5;
        assert_differs(
            &base,
            &encoded(1, &other),
            ["state.places[1][1]", "2.0", "2.5"],
        );
        other.points.insert(7, 5);
        assert_differs(&base, &encoded(1, &other), ["state.points[7]", "-1", "5"]);
        other = Inner {
            name: Some("ana".into()),
            ..inner()
        };
        assert_differs(&base, &encoded(1, &other), ["state.name", "nil", "\"ana\""]);
        other = Inner {
            places: vec![],
            ..inner()
        };
        let before = "[[0.0, 1.0], [NaN, 2.0]]";
        assert_differs(&base, &encoded(1, &other), ["state.places", before, "[]"]);
    }

    #[test]
    fn entries_that_are_missing_or_in_another_order_are_named() {
        let map = |entries: &[(&str, u8)]| {
            let mut out = vec![0x80 + u8::try_from(entries.len()).unwrap()];
            for (key, value) in entries {
                out.extend(messagepack::encode(key).unwrap());
                out.push(*value);
            }
            out
        };
        let base = map(&[("a", 1), ("b", 2)]);
        assert_differs(&base, &map(&[("a", 1)]), ["b", "2", "nothing"]);
        assert_differs(&map(&[("b", 2)]), &base, ["a", "nothing", "1"]);
        let swapped = map(&[("b", 2), ("a", 1)]);
        assert_differs(
            &base,
            &swapped,
            [" (order of entries, at 0)", "\"a\"", "\"b\""],
        );
    }

    #[test]
    fn bytes_that_are_no_messagepack_are_compared_as_they_are() {
        assert_differs(&[0xc1, 1], &[0xc1, 2], ["byte 1", "2 bytes", "2 bytes"]);
        assert_eq!(between(&[0xc1], &[0xc1]), None);
    }
}
