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
