//! Lists and maps from a peer that grow with what came, and keep no more than a bound of their own.
//!
//! serde reserves memory for as many values as a list says it has, and a value can take a byte
//! on the wire and a hundred in memory. So the fields of our messages that hold several values
//! are read by these. A reader that has to refuse what is too much keeps one more than it accepts.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Keeps the first `MAX` values and passes over the others.
pub(crate) fn list<'de, const MAX: usize, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(List::<MAX, T>(PhantomData))
}

/// Keeps the first `MAX` keys and passes over the others.
pub(crate) fn map<'de, const MAX: usize, D, V>(
    deserializer: D,
) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Map::<MAX, V>(PhantomData))
}

struct List<const MAX: usize, T>(PhantomData<T>);

impl<'de, const MAX: usize, T: Deserialize<'de>> Visitor<'de> for List<MAX, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while list.len() < MAX {
            match from.next_element()? {
                Some(value) => list.push(value),
                None => return Ok(list),
            }
        }
        while from.next_element::<IgnoredAny>()?.is_some() {}
        Ok(list)
    }
}

struct Map<const MAX: usize, V>(PhantomData<V>);

impl<'de, const MAX: usize, V: Deserialize<'de>> Visitor<'de> for Map<MAX, V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while map.len() < MAX {
            match from.next_entry()? {
                Some((key, value)) => drop(map.insert(key, value)),
                None => return Ok(map),
            }
        }
        while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::messagepack::{self, Bounds};

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Held {
        #[serde(deserialize_with = "list::<3, _, _>")]
        list: Vec<u64>,
        #[serde(deserialize_with = "map::<2, _, _>")]
        map: BTreeMap<String, u64>,
    }

    fn kept(values: u64, pairs: u64) -> (usize, usize) {
        let held = Held {
            list: (0..values).collect(),
            map: (0..pairs).map(|key| (key.to_string(), key)).collect(),
        };
        let bytes = messagepack::encode(&held).unwrap();
        let read: Held = messagepack::decode(&bytes, Bounds::PEER).unwrap();
        assert!(held.list.starts_with(&read.list) && held.map.iter().take(2).eq(&read.map));
        (read.list.len(), read.map.len())
    }

    #[test]
    fn what_is_beyond_the_bound_is_passed_over() {
        assert_eq!(kept(0, 0), (0, 0));
        assert_eq!(kept(3, 2), (3, 2));
        assert_eq!(kept(4, 3), (3, 2));
        assert_eq!(kept(400, 300), (3, 2));
    }
}
