//! Agreement: under one sequence number, all members of a room see the same bytes.
//!
//! Each view is decoded once for all members, so that a thousand bots cost what a dozen do.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use rejoin_protocol::limits::{MESSAGEPACK_DEPTH_MAX, VIEW_MAX};
use rejoin_protocol::messagepack::{self, Bounds};
use serde::de::DeserializeOwned;

/// Views remembered per room: 4 s at 30 Hz, longer than members lie apart on any played network.
pub(crate) const REMEMBERED: usize = 128;
/// A view may hold as many values as it has bytes; its depth is bounded as for any message.
const VIEW_BOUNDS: Bounds = Bounds {
    depth: MESSAGEPACK_DEPTH_MAX,
    items: VIEW_MAX,
    ..Bounds::PEER
};

/// A view that a member saw.
#[derive(Debug)]
pub(crate) struct Seen<V> {
    pub(crate) held: Held,
    pub(crate) tick: u64,
    pub(crate) view: V,
}

/// What a member holds, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) sequence: u64,
    pub(crate) bytes: Bytes,
    /// True if every member sees this, false if it is one member's alone.
    pub(crate) is_shared: bool,
}

impl Held {
    /// True if two members of a room may hold these at the same time. An idle room shows the same
    /// under several numbers: a member is told anew only when its own cursor moves.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let alone = !self.is_shared || !other.is_shared;
        alone || self.sequence == other.sequence || self.bytes == other.bytes
    }
}

/// What is known of a view before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) sequence: u64,
    pub(crate) tick: u64,
}

/// A view that every member sees, as it came: what crews compare with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) room: usize,
    pub(crate) label: Label,
    pub(crate) bytes: Bytes,
}

/// The recent views of one room.
#[derive(Debug)]
pub(crate) struct Agreement<V> {
    recent: BTreeMap<u64, Rc<Seen<V>>>,
    /// Views compared with what another member saw.
    pub(crate) compared: u64,
    /// Views that did not fit what members had seen before.
    pub(crate) disagreed: u64,
    /// New ones since they were last taken, if the room has members in other crews. The oldest go
    /// first: nobody else remembers them either.
    told: Option<VecDeque<Shown>>,
    /// Its number in the run.
    pub(crate) room: usize,
}

impl<V> Agreement<V> {
    /// That of room number `room`; `crossing` if it has members in other crews.
    pub(crate) fn new(room: usize, crossing: bool) -> Self {
        Self {
            recent: BTreeMap::new(),
            compared: 0,
            disagreed: 0,
            told: crossing.then(VecDeque::new),
            room,
        }
    }

    /// Hands over what is to be compared with other crews.
    pub(crate) fn take_told(&mut self) -> impl Iterator<Item = Shown> {
        self.told.iter_mut().flat_map(std::mem::take)
    }

    fn tell(&mut self, label: Label, bytes: &Bytes) {
        let Some(told) = &mut self.told else { return };
        if told.len() >= REMEMBERED {
            told.pop_front();
        }
        let (room, bytes) = (self.room, bytes.clone());
        told.push_back(Shown { room, label, bytes });
    }
}

impl<V: DeserializeOwned> Agreement<V> {
    /// Takes a shared view that a member saw.
    ///
    /// # Errors
    /// Another member saw other bytes under that number, ticks do not rise with numbers, or the view cannot be read.
    pub(crate) fn see(&mut self, label: Label, bytes: &Bytes) -> Result<Rc<Seen<V>>, String> {
        if let Some(seen) = self.recent.get(&label.sequence) {
            if seen.held.bytes != *bytes || seen.tick != label.tick {
                self.disagreed += 1;
                return Err(disagreement(label));
            }
            self.compared += 1;
            return Ok(Rc::clone(seen));
        }
        let is_before = |view: (&u64, &Rc<Seen<V>>)| view.1.tick <= label.tick;
        let is_after = |view: (&u64, &Rc<Seen<V>>)| view.1.tick >= label.tick;
        let mut older = self.recent.range(..label.sequence);
        let mut newer = self.recent.range(label.sequence..);
        if !older.next_back().is_none_or(is_before) || !newer.next().is_none_or(is_after) {
            self.disagreed += 1;
            return Err(format!(
                "view {} of tick {} is not on the course that members saw",
                label.sequence, label.tick
            ));
        }
        let mut seen = decode(label, bytes)?;
        seen.held.is_shared = true;
        let seen = Rc::new(seen);
        self.tell(label, bytes);
        self.recent.insert(label.sequence, Rc::clone(&seen));
        if self.recent.len() > REMEMBERED {
            self.recent.pop_first();
        }
        Ok(seen)
    }
}

/// What is said of members that see different bytes under one number.
pub(crate) fn disagreement(label: Label) -> String {
    let sequence = label.sequence;
    format!("members saw different views under number {sequence}")
}

/// Reads a view that is one member's alone.
///
/// # Errors
/// It is not a `V`.
pub(crate) fn decode<V: DeserializeOwned>(label: Label, bytes: &Bytes) -> Result<Seen<V>, String> {
    let view = messagepack::decode(bytes, VIEW_BOUNDS)
        .map_err(|error| format!("view {} cannot be read: {error}", label.sequence))?;
    Ok(Seen {
        held: Held {
            sequence: label.sequence,
            bytes: bytes.clone(),
            is_shared: false,
        },
        tick: label.tick,
        view,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(number: u64) -> Bytes {
        messagepack::encode(&number).unwrap().into()
    }

    #[test]
    fn members_who_see_different_bytes_under_one_number_are_found() {
        let mut agreement = Agreement::<u64>::new(0, false);
        let label = Label {
            sequence: 1,
            tick: 5,
        };
        assert_eq!(agreement.see(label, &view(7)).unwrap().view, 7);
        assert!(agreement.see(label, &view(7)).is_ok());
        assert!(agreement.see(label, &view(8)).is_err());
        assert!(agreement.see(Label { tick: 6, ..label }, &view(7)).is_err());
        assert_eq!((agreement.compared, agreement.disagreed), (1, 2));
    }

    #[test]
    fn views_of_another_course_are_found_whatever_their_numbers() {
        let mut agreement = Agreement::<u64>::new(0, false);
        let label = |sequence, tick| Label { sequence, tick };
        for (sequence, tick) in [(10, 5), (30, 7), (20, 5), (25, 7)] {
            let seen = agreement.see(label(sequence, tick), &view(sequence));
            assert!(seen.is_ok(), "{sequence}");
        }
        assert!(agreement.see(label(31, 6), &view(31)).is_err());
        assert!(agreement.see(label(22, 8), &view(22)).is_err());
        assert_eq!(agreement.disagreed, 2);
    }

    #[test]
    fn memory_of_views_is_bounded() {
        let mut agreement = Agreement::<u64>::new(0, false);
        for sequence in 0..1_000 {
            agreement
                .see(Label { sequence, tick: 0 }, &view(sequence))
                .unwrap();
        }
        assert_eq!(agreement.recent.len(), REMEMBERED);
        assert!(agreement.recent.contains_key(&999));
    }
}
