//! Agreement: under one sequence number, all members of a room see the same bytes.
//!
//! Each view is decoded once for all members, so that a thousand bots cost what a dozen do.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use rejoin_protocol::limits::{MESSAGEPACK_DEPTH_MAX, VIEW_MAX};
use rejoin_protocol::messagepack::{self, Bounds};
use serde::de::DeserializeOwned;

/// Views remembered per room: 4 s at 30 Hz, longer than members lie apart on any played network.
const REMEMBERED: usize = 128;
/// A view may hold as many values as it has bytes; its depth is bounded as for any message.
const VIEW_BOUNDS: Bounds = Bounds {
    depth: MESSAGEPACK_DEPTH_MAX,
    items: VIEW_MAX,
    ..Bounds::PEER
};

/// A view that a member saw.
#[derive(Debug)]
pub(crate) struct Seen<V> {
    pub(crate) sequence: u64,
    pub(crate) tick: u64,
    pub(crate) bytes: Bytes,
    pub(crate) view: V,
    /// True if every member sees this, false if it is one member's alone.
    pub(crate) is_shared: bool,
}

impl<V> Seen<V> {
    /// True if two members of a room may hold these at the same time. An idle room shows the same
    /// under several numbers: a member is told anew only when its own cursor moves.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        let alone = !self.is_shared || !other.is_shared;
        alone || self.sequence == other.sequence || self.bytes == other.bytes
    }
}

/// What is known of a view before it is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    pub(crate) sequence: u64,
    pub(crate) tick: u64,
}

/// The recent views of one room.
#[derive(Debug)]
pub(crate) struct Agreement<V> {
    recent: BTreeMap<u64, Rc<Seen<V>>>,
    /// Views compared with what another member saw.
    pub(crate) compared: u64,
}

impl<V> Default for Agreement<V> {
    fn default() -> Self {
        Self {
            recent: BTreeMap::new(),
            compared: 0,
        }
    }
}

impl<V: DeserializeOwned> Agreement<V> {
    /// Takes a shared view that a member saw.
    ///
    /// # Errors
    /// Another member saw other bytes under that number, or the view cannot be read.
    pub(crate) fn see(&mut self, label: Label, bytes: &Bytes) -> Result<Rc<Seen<V>>, String> {
        if let Some(seen) = self.recent.get(&label.sequence) {
            if seen.bytes != *bytes || seen.tick != label.tick {
                return Err(format!(
                    "members saw different views under number {}",
                    label.sequence
                ));
            }
            self.compared += 1;
            return Ok(Rc::clone(seen));
        }
        let seen = Rc::new(Seen {
            is_shared: true,
            ..decode(label, bytes)?
        });
        self.recent.insert(label.sequence, Rc::clone(&seen));
        if self.recent.len() > REMEMBERED {
            self.recent.pop_first();
        }
        Ok(seen)
    }
}

/// Reads a view that is one member's alone.
///
/// # Errors
/// It is not a `V`.
pub(crate) fn decode<V: DeserializeOwned>(label: Label, bytes: &Bytes) -> Result<Seen<V>, String> {
    let view = messagepack::decode(bytes, VIEW_BOUNDS)
        .map_err(|error| format!("view {} cannot be read: {error}", label.sequence))?;
    Ok(Seen {
        sequence: label.sequence,
        tick: label.tick,
        bytes: bytes.clone(),
        view,
        is_shared: false,
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
        let mut agreement = Agreement::<u64>::default();
        let label = Label {
            sequence: 1,
            tick: 5,
        };
        assert_eq!(agreement.see(label, &view(7)).unwrap().view, 7);
        assert!(agreement.see(label, &view(7)).is_ok());
        assert!(agreement.see(label, &view(8)).is_err());
        assert!(agreement.see(Label { tick: 6, ..label }, &view(7)).is_err());
        assert_eq!(agreement.compared, 1);
    }

    #[test]
    fn memory_of_views_is_bounded() {
        let mut agreement = Agreement::<u64>::default();
        for sequence in 0..1_000 {
            agreement
                .see(Label { sequence, tick: 0 }, &view(sequence))
                .unwrap();
        }
        assert_eq!(agreement.recent.len(), REMEMBERED);
        assert!(agreement.recent.contains_key(&999));
    }
}
