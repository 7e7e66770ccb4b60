//! Deltas between MessagePack values: what a struct, an array or a map has become, not its bytes.
//!
//! Bytes move when a number grows by a digit; values stay where they are. So both are read side by side: integers
//! are told as steps, floats as the bits that changed, and scalars at the same path of all elements of a long array
//! (`units[..].x`) are one column, so that their masks and steps are together, and short.
//!
//! ```text
//! body     length of the view varint | length of shapes varint | shapes | columns
//! columns  (unchanged columns varint, form and length of the mask varint, length of changes varint, mask, changes)*
//! changes  of a number: 0, then the value in its place; else a step as 2n or -2n - 1, or the bits xor those of the base
//!          of anything else: the value in its place
//! ```
//!
//! All columns after the last that is told of are unchanged; numbers are varints. Containers that are shaped as in
//! the base are only counted ([`shapes`]), a mask is the shorter of two forms ([`mask`]). The paths of 16 places in a
//! container are told apart ([`paths`]).
//!
//! A step between neighbours takes one byte. Floats share exponents with their neighbours in time, as Gorilla has it
//! (Pelkonen et al., 2015). Elements are paired by their place, entries by their key as long as they keep their order.

mod decode;
mod effort;
mod encode;
mod mask;
mod paths;
mod shapes;
mod token;

use super::BadDelta;
use crate::wire::Reader;

/// Appends the body of a delta; false if one of both is no MessagePack as serializers write it. It may be longer than
/// the view.
pub(super) fn put(out: &mut Vec<u8>, base: &[u8], view: &[u8]) -> bool {
    encode::put(out, base, view).is_ok()
}

/// The view that `body` makes of `base`.
pub(super) fn apply(base: &[u8], body: Reader<'_>, len_max: usize) -> Result<Vec<u8>, BadDelta> {
    decode::view(base, body, len_max)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::Index;
    use serde::Serialize;

    use super::super::{Codec, apply, delta_by};
    use super::*;
    use crate::messagepack::encode;
    use crate::wire::put_varint;

    const LEN_MAX: usize = 1 << 20;

    /// Any value that a view can hold.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[serde(untagged)]
    enum Value {
        Nothing,
        Truth(bool),
        Int(i64),
        Large(u64),
        Single(f32),
        Double(f64),
        Text(String),
        List(Vec<Self>),
        Map(BTreeMap<String, Self>),
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Nothing),
            any::<bool>().prop_map(Value::Truth),
            (-200_i64..200).prop_map(Value::Int),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(Value::Large),
            any::<f32>().prop_map(Value::Single),
            any::<f64>().prop_map(Value::Double),
            "[a-z]{0,40}".prop_map(Value::Text),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        scalar().prop_recursive(4, 128, 24, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..24).prop_map(Value::List),
                prop::collection::btree_map("[a-c]{0,3}", inner, 0..24).prop_map(Value::Map),
            ]
        })
    }

    /// What happens to a value between two views.
    #[derive(Clone, Debug)]
    enum Edit {
        Set(Value),
        Step(i8),
        Grow(Value),
        Remove(Index),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            value().prop_map(Edit::Set),
            any::<i8>().prop_map(Edit::Step),
            value().prop_map(Edit::Grow),
            any::<Index>().prop_map(Edit::Remove),
        ]
    }

    impl Value {
        /// Follows indexes down, and edits what is there.
        fn edit(&mut self, path: &[Index], edit: &Edit) {
            let (mut list, mut map) = (None, None);
            if let Self::List(of) = self {
                list = Some(of.iter_mut());
            } else if let Self::Map(of) = self {
                map = Some(of.values_mut());
            }
            let list = list.into_iter().flatten();
            let inside: Vec<&mut Self> = list.chain(map.into_iter().flatten()).collect();
            match path.split_first() {
                Some((index, path)) if !inside.is_empty() => {
                    let index = index.index(inside.len());
                    inside.into_iter().nth(index).unwrap().edit(path, edit);
                }
                _ => self.become_by(edit),
            }
        }

        fn become_by(&mut self, edit: &Edit) {
            match (self, edit) {
                (Self::Int(value), Edit::Step(step)) => *value = value.wrapping_add((*step).into()),
                (Self::Single(value), Edit::Step(step)) => *value += f32::from(*step),
                (Self::Double(value), Edit::Step(step)) => *value += f64::from(*step),
                (Self::List(list), Edit::Grow(value)) => list.push(value.clone()),
                (Self::List(list), Edit::Remove(index)) if !list.is_empty() => {
                    list.remove(index.index(list.len()));
                }
                (Self::Map(map), Edit::Grow(value)) => {
                    map.insert(format!("b{}", map.len()), value.clone());
                }
                (Self::Map(map), Edit::Remove(index)) if !map.is_empty() => {
                    let key = map.keys().nth(index.index(map.len())).unwrap().clone();
                    map.remove(&key);
                }
                (any, Edit::Set(value)) => *any = value.clone(),
                _ => {}
            }
        }
    }

    fn made(base: &[u8], view: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        assert!(put(&mut body, base, view), "both are MessagePack");
        body
    }

    proptest! {
        #[test]
        fn a_body_turns_any_value_into_any_other(base in value(), view in value()) {
            let (base, view) = (encode(&base).unwrap(), encode(&view).unwrap());
            let body = made(&base, &view);
            prop_assert_eq!(super::apply(&base, Reader::new(&body), LEN_MAX), Ok(view));
        }

        #[test]
        fn a_body_turns_a_value_into_what_became_of_it(
            base in value(),
            edits in prop::collection::vec((prop::collection::vec(any::<Index>(), 0..5), edit()), 0..6),
        ) {
            let mut view = base.clone();
            edits.iter().for_each(|(path, edit)| view.edit(path, edit));
            let (base, view) = (encode(&base).unwrap(), encode(&view).unwrap());
            let body = made(&base, &view);
            prop_assert_eq!(super::apply(&base, Reader::new(&body), LEN_MAX), Ok(view.clone()));
            let cut = &body[..body.len() - 1];
            prop_assert_ne!(super::apply(&base, Reader::new(cut), LEN_MAX), Ok(view));
        }

        #[test]
        fn garbage_neither_panics_nor_exceeds_the_bound(
            base in value(),
            body in prop::collection::vec(any::<u8>(), 0..100),
            len_max in 0_usize..300,
        ) {
            let base = encode(&base).unwrap();
            if let Ok(view) = super::apply(&base, Reader::new(&body), len_max) {
                prop_assert!(view.len() <= len_max);
            }
        }

        #[test]
        fn a_damaged_body_neither_panics_nor_exceeds_the_bound(
            base in value(),
            view in value(),
            at in any::<Index>(),
            byte in any::<u8>(),
        ) {
            let (base, view) = (encode(&base).unwrap(), encode(&view).unwrap());
            let mut body = made(&base, &view);
            let at = at.index(body.len());
            body[at] = byte;
            if let Ok(view) = super::apply(&base, Reader::new(&body), 4_096) {
                prop_assert!(view.len() <= 4_096);
            }
        }
    }

    /// An array of an array, whose elements are read again for each element that the view has more.
    fn crowded(of: &[u8]) -> Vec<u8> {
        [[0x91, 0xdc, 0x7f, 0xff].as_slice(), &of.repeat(0x7fff)].concat()
    }

    #[test]
    fn a_short_body_does_not_make_a_long_base_be_read_again_and_again() {
        let base = crowded(&[0]);
        for inner in [&[0x90][..], &[0xc0]] {
            let view = [[0xdc, 0x7f, 0xff].as_slice(), &inner.repeat(0x7fff)].concat();
            assert!(!put(&mut Vec::new(), &base, &view));
            // What a server could send all the same: that many elements, each in the place of the last one's.
            let mut shapes = vec![0];
            put_varint(&mut shapes, 1 + 0x7fff);
            for _ in 0..0x7fff {
                shapes.extend([0, u8::from(inner == [0x90])]);
                shapes.extend(inner.iter().filter(|byte| **byte == 0xc0));
            }
            let mut body = Vec::new();
            put_varint(&mut body, u64::try_from(view.len()).unwrap());
            put_varint(&mut body, u64::try_from(shapes.len()).unwrap());
            body.extend(shapes);
            assert_eq!(
                super::apply(&base, Reader::new(&body), LEN_MAX),
                Err(BadDelta)
            );
        }
        // As many as there is effort for.
        let view = [[0x94].as_slice(), &crowded(&[0])[1..], &[0x90; 3]].concat();
        let body = made(&base, &view);
        assert_eq!(super::apply(&base, Reader::new(&body), LEN_MAX), Ok(view));
    }

    #[test]
    fn maps_that_differ_after_a_long_value_are_not_held_against_each_other_for_ever() {
        let long = [[0xdc, 0x3f, 0xff].as_slice(), &[0; 0x3fff]].concat();
        let base = [[0x91, 0x82, 0xa1, b'a'].as_slice(), &long, &[0xa1, b'b', 1]].concat();
        let other = [0x82, 0xa1, b'a', 0, 0xa1, b'c', 1];
        let view = [[0xdc, 0x0f, 0xff].as_slice(), &other.repeat(0x0fff)].concat();
        assert!(!put(&mut Vec::new(), &base, &view));
    }

    #[test]
    fn paths_are_bounded() {
        // Sixteen of sixteen of sixteen of sixteen.
        let mut base = vec![1];
        for _ in 0..4 {
            base = [[0xdc, 0, 16].as_slice(), &base.repeat(16)].concat();
        }
        assert!(!put(&mut Vec::new(), &base, &base));
        let mut body = Vec::new();
        put_varint(&mut body, u64::try_from(base.len()).unwrap());
        body.push(0);
        assert_eq!(
            super::apply(&base, Reader::new(&body), LEN_MAX),
            Err(BadDelta)
        );
    }

    #[test]
    fn what_a_body_says_beyond_its_view_is_refused() {
        let base = encode(&[1, 2, 3]).unwrap();
        let whole = made(&base, &encode(&[1, 2, 4]).unwrap());
        assert!(super::apply(&base, Reader::new(&whole), LEN_MAX).is_ok());
        for more in [0, 1, 5] {
            let body = [whole.as_slice(), &[more]].concat();
            assert_eq!(
                super::apply(&base, Reader::new(&body), LEN_MAX),
                Err(BadDelta)
            );
        }
        // Of shapes: `like` with nothing to tell behind it.
        for like in [0, 1, 9] {
            let body = [4, 1, like];
            assert_eq!(
                super::apply(&base, Reader::new(&body), LEN_MAX),
                Err(BadDelta)
            );
        }
        // Of a map: more entries than its head says, and none at all.
        let map = encode(&BTreeMap::from([("a", 1), ("b", 2), ("c", 3)])).unwrap();
        for kept in [6, 0] {
            let body = [map.len().try_into().unwrap(), 4, 0, 3, 0, kept];
            assert_eq!(
                super::apply(&map, Reader::new(&body), LEN_MAX),
                Err(BadDelta)
            );
        }
    }

    #[test]
    fn integers_of_all_sizes_and_steps_are_told() {
        let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
        for of in ends {
            for value in ends
                .into_iter()
                .chain([of.wrapping_add(1), of.wrapping_sub(1 << 60)])
            {
                let (base, view) = (encode(&[of]).unwrap(), encode(&[value]).unwrap());
                let body = made(&base, &view);
                assert_eq!(super::apply(&base, Reader::new(&body), LEN_MAX), Ok(view));
            }
        }
    }

    #[derive(Clone, Serialize)]
    struct Unit {
        id: u32,
        x: i32,
        y: i32,
        health: f32,
    }

    fn units(count: u32) -> Vec<Unit> {
        let unit = |id| Unit {
            id,
            x: 100 + i32::try_from(id).unwrap(),
            y: -5,
            health: 1.0,
        };
        (0..count).map(unit).collect()
    }

    fn delta_len(base: &[Unit], view: &[Unit]) -> usize {
        let (base, view) = (encode(base).unwrap(), encode(view).unwrap());
        let delta = delta_by(Codec::Values, &base, &view).unwrap();
        assert_eq!(apply(&base, &delta, LEN_MAX), Ok(view));
        delta.len()
    }

    #[test]
    fn a_step_of_all_takes_a_byte_each() {
        let base = units(100);
        let mut view = base.clone();
        // Some of these grow from one byte to two.
        view.iter_mut().for_each(|unit| unit.x += 30);
        // Codec, length 2, no shapes; one column before it, a mask of one run, 100 steps.
        assert_eq!(delta_len(&base, &view), 1 + 2 + 1 + 1 + (1 + 2 + 3) + 100);
    }

    #[test]
    fn columns_that_change_alike_share_their_mask() {
        let base = units(100);
        let mut view = base.clone();
        for unit in view.iter_mut().step_by(3) {
            unit.x += 1;
            unit.y -= 1;
        }
        let one_column = 1 + 1 + 1 + 34;
        assert_eq!(
            delta_len(&base, &view),
            1 + 2 + 1 + (one_column + 13) + one_column
        );
    }

    #[test]
    fn one_that_is_added_is_told_by_the_one_before() {
        let base = units(100);
        let mut view = base.clone();
        view.push(Unit {
            id: 100,
            x: 200,
            y: -5,
            health: 1.0,
        });
        assert!(delta_len(&base, &view) < 20, "{}", delta_len(&base, &view));
    }

    #[test]
    fn what_is_nested_too_deep_or_is_no_value_gets_no_body() {
        let deep = |depth| [vec![0x91; depth], vec![1]].concat();
        let hollow = [vec![0x91; 16], vec![0x90]].concat();
        assert!(!put(&mut Vec::new(), &hollow, &hollow));
        assert!(put(&mut Vec::new(), &deep(16), &deep(16)));
        assert!(!put(&mut Vec::new(), &deep(17), &deep(17)));
        for odd in [
            &[][..],
            &[0xc1],
            &[0x92, 1],
            &[1, 2],
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(!put(&mut Vec::new(), odd, &[1]), "{odd:?}");
            assert!(!put(&mut Vec::new(), &[1], odd), "{odd:?}");
        }
        // Not the shortest form: none would be made again.
        assert!(put(&mut Vec::new(), &[0x92, 1, 1], &[0x92, 1, 2]));
        assert!(!put(&mut Vec::new(), &[0x91, 1], &[0xdc, 0, 2, 1, 2]));
        let (base, long) = ([0x91, 1], [0x91, 0xcc, 2]);
        let body = made(&base, &long);
        assert_eq!(
            super::apply(&base, Reader::new(&body), LEN_MAX),
            Ok(long.to_vec())
        );
    }
}
