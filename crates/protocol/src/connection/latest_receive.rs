//! The receiving half of the latest lane: never something older after something newer.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::Violation;
use super::frame::LatestFrame;
use super::reassembly::Reassembly;
use crate::limits::{LATEST_KEYS_MAX, LATEST_PARTIALS_MAX};
use crate::planted::{self, Bug};

/// What was delivered per key, and what is under way.
///
/// A message's order is the number of the packet it began in. One under way is given up only
/// when a newer one of its key was delivered, or to make room: since all its packets are
/// acknowledged, the sender would take it for delivered.
#[derive(Debug, Default)]
pub(crate) struct LatestReceive {
    keys: BTreeMap<u16, Newest>,
    /// The newest order among forgotten keys: under a new key nothing older is delivered.
    forgotten: Option<u64>,
    partials: Vec<Partial>,
}

#[derive(Debug)]
struct Newest {
    /// Order of the newest message delivered.
    delivered: Option<u64>,
    /// The newest packet that touched this key.
    touched: u64,
}

#[derive(Debug)]
struct Partial {
    key: u16,
    order: u64,
    message: Reassembly,
}

impl LatestReceive {
    /// Takes a fragment from packet `number`; gives its message if it is complete and newer
    /// than all before it.
    pub(crate) fn on_frame(
        &mut self,
        number: u64,
        frame: &LatestFrame<'_>,
    ) -> Result<Option<Bytes>, Violation> {
        let Some(order) = number.checked_sub(frame.back) else {
            return Err(Violation("fragment points before the first packet"));
        };
        let newest = self.touch(frame.key, number);
        let stale = newest.delivered.is_some_and(|delivered| order <= delivered);
        if stale && !planted::is(Bug::LatestGoesBack) {
            return Ok(None);
        }
        let [data, _] = frame.data;
        let message = if frame.fragment.is_whole() {
            Some(Bytes::copy_from_slice(data))
        } else {
            self.partial(frame, order).insert(frame.fragment, data)?
        };
        if message.is_some() {
            self.on_delivered(frame.key, order);
        }
        Ok(message)
    }

    fn on_delivered(&mut self, key: u16, order: u64) {
        if let Some(newest) = self.keys.get_mut(&key) {
            newest.delivered = newest.delivered.max(Some(order));
        }
        self.partials
            .retain(|partial| partial.key != key || partial.order > order);
    }

    /// The message under way that a fragment belongs to.
    fn partial(&mut self, frame: &LatestFrame<'_>, order: u64) -> &mut Reassembly {
        let known = |partial: &Partial| partial.key == frame.key && partial.order == order;
        let index = self.partials.iter().position(known).unwrap_or_else(|| {
            self.make_room();
            let message = Reassembly::new(frame.fragment.count);
            self.partials.push(Partial {
                key: frame.key,
                order,
                message,
            });
            self.partials.len() - 1
        });
        &mut self
            .partials
            .get_mut(index)
            .expect("found or pushed above")
            .message
    }

    fn make_room(&mut self) {
        if self.partials.len() < LATEST_PARTIALS_MAX {
            return;
        }
        let by_age = self
            .partials
            .iter()
            .enumerate()
            .min_by_key(|(_, partial)| partial.order);
        if let Some((oldest, _)) = by_age {
            self.partials.swap_remove(oldest);
        }
    }

    fn touch(&mut self, key: u16, number: u64) -> &Newest {
        if !self.keys.contains_key(&key) && self.keys.len() >= LATEST_KEYS_MAX {
            self.forget_one();
        }
        let fresh = Newest {
            delivered: self.forgotten,
            touched: number,
        };
        let newest = self.keys.entry(key).or_insert(fresh);
        newest.touched = newest.touched.max(number);
        newest
    }

    /// Forgets the key unused for longest.
    fn forget_one(&mut self) {
        let oldest = self.keys.iter().min_by_key(|(_, newest)| newest.touched);
        let Some(key) = oldest.map(|(key, _)| *key) else {
            return;
        };
        if let Some(newest) = self.keys.remove(&key) {
            self.forgotten = self.forgotten.max(newest.delivered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Fragment;
    use super::*;
    use crate::limits::FRAGMENT_MAX;

    const FULL: [u8; FRAGMENT_MAX] = [1; FRAGMENT_MAX];

    fn whole(key: u16, data: &[u8]) -> LatestFrame<'_> {
        LatestFrame {
            key,
            fragment: Fragment::WHOLE,
            back: 0,
            data: [data, &[]],
        }
    }

    fn part(index: u8, back: u64) -> LatestFrame<'static> {
        LatestFrame {
            key: 1,
            fragment: Fragment { index, count: 3 },
            back,
            data: [&FULL, &[]],
        }
    }

    fn delivers(lane: &mut LatestReceive, number: u64, frame: LatestFrame<'_>) -> bool {
        lane.on_frame(number, &frame).unwrap().is_some()
    }

    #[test]
    fn an_older_message_is_dropped_per_key() {
        let mut lane = LatestReceive::default();
        assert_eq!(
            lane.on_frame(5, &whole(1, b"new")),
            Ok(Some(Bytes::from_static(b"new")))
        );
        assert!(!delivers(&mut lane, 4, whole(1, b"old")));
        assert!(!delivers(&mut lane, 5, whole(1, b"again")));
        assert!(delivers(&mut lane, 4, whole(2, b"other key")));
        assert!(delivers(&mut lane, 6, whole(1, b"newer")));
    }

    #[test]
    fn fragments_join_in_any_order() {
        let mut lane = LatestReceive::default();
        assert!(!delivers(&mut lane, 12, part(2, 2)));
        assert!(!delivers(&mut lane, 10, part(0, 0)));
        let message = lane.on_frame(11, &part(1, 1)).unwrap();
        assert_eq!(message.map(|message| message.len()), Some(3 * FRAGMENT_MAX));
        assert!(!delivers(&mut lane, 10, part(0, 0)));
    }

    #[test]
    fn only_a_delivered_message_ends_an_older_one_under_way() {
        let mut lane = LatestReceive::default();
        assert!(!delivers(&mut lane, 10, part(0, 0)));
        assert!(!delivers(&mut lane, 11, part(1, 1)));
        assert!(!delivers(&mut lane, 20, part(0, 0)), "a newer one begins");
        assert!(
            delivers(&mut lane, 12, part(2, 2)),
            "the older one is still completed"
        );
        assert!(delivers(&mut lane, 25, whole(1, b"x")));
        assert!(lane.partials.is_empty());
        assert!(!delivers(&mut lane, 21, part(1, 1)));
    }

    #[test]
    fn what_is_under_way_is_bounded_and_the_oldest_given_up() {
        let mut lane = LatestReceive::default();
        for order in 0..=u64::try_from(LATEST_PARTIALS_MAX).unwrap() {
            assert!(!delivers(&mut lane, 10 * order, part(0, 0)));
        }
        assert_eq!(lane.partials.len(), LATEST_PARTIALS_MAX);
        assert!(lane.partials.iter().all(|partial| partial.order > 0));
    }

    #[test]
    fn an_older_whole_message_does_not_end_a_newer_one_under_way() {
        let mut lane = LatestReceive::default();
        assert!(!delivers(&mut lane, 10, part(0, 0)));
        assert!(delivers(
            &mut lane,
            9,
            whole(1, b"older, but the newest so far")
        ));
        assert!(!delivers(&mut lane, 11, part(1, 1)));
        assert!(delivers(&mut lane, 12, part(2, 2)));
    }

    #[test]
    fn a_forgotten_key_does_not_go_back() {
        let mut lane = LatestReceive::default();
        let keys = u16::try_from(LATEST_KEYS_MAX).unwrap();
        for key in 0..=keys {
            assert!(delivers(&mut lane, 100 + u64::from(key), whole(key, b"x")));
        }
        assert_eq!(lane.keys.len(), LATEST_KEYS_MAX);
        assert!(!delivers(
            &mut lane,
            99,
            whole(0, b"older than what key 0 delivered")
        ));
        assert!(delivers(&mut lane, 500, whole(0, b"newer")));
    }

    #[test]
    fn a_fragment_from_before_time_is_a_violation() {
        let mut lane = LatestReceive::default();
        let result = lane.on_frame(1, &part(1, 2));
        assert_eq!(
            result,
            Err(Violation("fragment points before the first packet"))
        );
    }
}
