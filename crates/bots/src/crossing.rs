//! Rooms that have members in several crews: what one crew saw is held against what the others did.
//!
//! Owned by the conductor. Crews hand over each view once, as it came, a few times a second, so nothing
//! is shared between threads while datagrams come.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agreement::{Held, Label, REMEMBERED, Shown, disagreement};

/// The recent views of all rooms that cross crews.
#[derive(Debug, Default)]
pub(crate) struct Crossing {
    rooms: BTreeMap<usize, BTreeMap<u64, (Label, Bytes)>>,
    /// Views compared with what another crew saw.
    pub(crate) compared: u64,
    /// Views that did not agree with it.
    pub(crate) disagreed: u64,
}

impl Crossing {
    /// Takes a view that a crew saw first among its own members.
    ///
    /// # Errors
    /// Another crew saw other bytes under that number.
    pub(crate) fn see(&mut self, shown: Shown) -> Result<(), String> {
        let Shown { room, label, bytes } = shown;
        let recent = self.rooms.entry(room).or_default();
        if let Some(known) = recent.get(&label.sequence) {
            if *known != (label, bytes) {
                self.disagreed += 1;
                return Err(disagreement(label));
            }
            self.compared += 1;
            return Ok(());
        }
        recent.insert(label.sequence, (label, bytes));
        if recent.len() > REMEMBERED {
            recent.pop_first();
        }
        Ok(())
    }
}

/// What the members of one crew hold of a room that crosses crews.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) room: usize,
    /// True if they do not hold the same.
    pub(crate) is_divided: bool,
    /// The newest view of one of them.
    pub(crate) holds: Option<Held>,
}

/// Rooms whose members hold different views, of those that cross crews.
pub(crate) fn divided(edges: &[Edge]) -> usize {
    let mut rooms: BTreeMap<usize, (bool, Option<&Held>)> = BTreeMap::new();
    for edge in edges {
        let (is_divided, first) = rooms.entry(edge.room).or_default();
        *is_divided |= edge.is_divided;
        if let Some(held) = &edge.holds {
            *is_divided |= !first.get_or_insert(held).agrees_with(held);
        }
    }
    rooms.values().filter(|(is_divided, _)| *is_divided).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sequence: u64, tick: u64, bytes: &'static str) -> Shown {
        Shown {
            room: 3,
            label: Label { sequence, tick },
            bytes: bytes.into(),
        }
    }

    #[test]
    fn crews_that_see_different_bytes_under_one_number_are_found() {
        let mut crossing = Crossing::default();
        assert_eq!(crossing.see(shown(1, 5, "a")), Ok(()));
        assert_eq!(crossing.see(shown(1, 5, "a")), Ok(()));
        assert_eq!(crossing.compared, 1);
        let other_room = Shown {
            room: 4,
            ..shown(1, 5, "b")
        };
        assert_eq!(crossing.see(other_room), Ok(()));
        assert!(crossing.see(shown(1, 5, "b")).is_err());
        assert!(crossing.see(shown(1, 6, "a")).is_err());
    }

    #[test]
    fn memory_of_views_is_bounded() {
        let mut crossing = Crossing::default();
        for sequence in 0..1_000 {
            crossing.see(shown(sequence, 0, "a")).unwrap();
        }
        assert_eq!(crossing.rooms[&3].len(), REMEMBERED);
    }

    #[test]
    fn a_room_is_divided_if_two_of_its_crews_hold_different_views() {
        let edge = |room, sequence, bytes: &'static str, is_shared| Edge {
            room,
            is_divided: false,
            holds: Some(Held {
                sequence,
                bytes: bytes.into(),
                is_shared,
            }),
        };
        assert_eq!(divided(&[edge(1, 7, "a", true), edge(1, 7, "a", true)]), 0);
        assert_eq!(divided(&[edge(1, 7, "a", true), edge(1, 8, "a", true)]), 0);
        assert_eq!(divided(&[edge(1, 7, "a", true), edge(1, 8, "b", true)]), 1);
        assert_eq!(divided(&[edge(1, 7, "a", true), edge(1, 8, "b", false)]), 0);
        assert_eq!(divided(&[edge(1, 7, "a", true), edge(2, 8, "b", true)]), 0);
        let within = Edge {
            is_divided: true,
            ..edge(2, 8, "b", true)
        };
        assert_eq!(divided(&[edge(1, 7, "a", true), within]), 1);
    }
}
