//! The receiving half of the latest lane: never something older after something newer.

use bytes::Bytes;

use super::copies::Copies;
use super::error::Violation;
use super::frame::LatestFrame;
use super::reassembly::Reassembly;
use super::window::Window;
use crate::fetch::Fetch;
use crate::limits::{
    FRAGMENT_COST, LATEST_KEYS_MAX, LATEST_PARTIAL_LIFE, LATEST_PARTIALS_MAX, MESSAGE_COST,
};
use crate::planted::{self, Bug};
use crate::time::Timestamp;

/// What was delivered per key, and what is under way.
///
/// A message's order is the number of the packet it began in. One under way is given up only
/// when a newer one of its key was delivered, to make room, or when its time is over: since all
/// its packets are acknowledged, the sender would take it for delivered.
#[derive(Debug)]
pub(crate) struct LatestReceive {
    window: Window,
    /// Sorted by key. A player has few.
    keys: Vec<Newest>,
    /// The newest order among forgotten keys: under a new key nothing older is delivered.
    forgotten: Option<u64>,
    partials: Vec<Partial>,
}

#[derive(Debug)]
struct Newest {
    key: u16,
    /// Order of the newest message delivered.
    delivered: Option<u64>,
    /// The newest packet that touched this key.
    touched: u64,
}

#[derive(Debug)]
struct Partial {
    key: u16,
    order: u64,
    /// When it is given up.
    until: Timestamp,
    message: Reassembly,
}

impl LatestReceive {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            keys: Vec::new(),
            forgotten: None,
            partials: Vec::new(),
        }
    }

    /// See [`super::fetch`].
    pub(super) fn fetch_parts(&self, fetch: Fetch) {
        fetch.ends(&self.keys);
    }

    /// Takes a fragment from packet `number`; gives its message if it is complete and newer
    /// than all before it.
    pub(crate) fn on_frame(
        &mut self,
        number: u64,
        frame: &LatestFrame<'_>,
        copies: &mut Copies,
        now: Timestamp,
    ) -> Result<Option<Bytes>, Violation> {
        let Some(order) = number.checked_sub(frame.back) else {
            return Err(Violation("fragment points before the first packet"));
        };
        let [data, _] = frame.data;
        if !self.window.takes(frame.fragment, data.len()) {
            return Err(Violation("message longer than its lane takes"));
        }
        self.on_timeout(now);
        let newest = self.touch(frame.key, number);
        let stale = newest.is_some_and(|delivered| order <= delivered);
        if stale && !planted::is(Bug::LatestGoesBack) {
            return Ok(None);
        }
        let message = if frame.fragment.is_whole() {
            Some(copies.copy(data))
        } else {
            self.hold(frame, order, now)?
        };
        if message.is_some() {
            self.on_delivered(frame.key, order);
        }
        Ok(message)
    }

    fn on_delivered(&mut self, key: u16, order: u64) {
        if let Ok(place) = self.place(key)
            && let Some(newest) = self.keys.get_mut(place)
        {
            newest.delivered = newest.delivered.max(Some(order));
        }
        if !self.partials.is_empty() {
            self.partials
                .retain(|partial| partial.key != key || partial.order > order);
        }
    }

    /// Adds a fragment to its message under way, the oldest others making room.
    fn hold(
        &mut self,
        frame: &LatestFrame<'_>,
        order: u64,
        now: Timestamp,
    ) -> Result<Option<Bytes>, Violation> {
        let [data, _] = frame.data;
        let is_this = |partial: &Partial| partial.key == frame.key && partial.order == order;
        let price = match self.partials.iter().find(|partial| is_this(partial)) {
            Some(partial) => partial.message.price(frame.fragment, data)?,
            None => MESSAGE_COST + FRAGMENT_COST + data.len(),
        };
        while self.held_bytes() + price > self.window.bytes
            || self.partials.len() >= LATEST_PARTIALS_MAX && !self.partials.iter().any(is_this)
        {
            let others = self.partials.iter().enumerate();
            let oldest = others
                .filter(|(_, partial)| !is_this(partial))
                .min_by_key(|(_, partial)| partial.order);
            let Some((oldest, _)) = oldest else { break };
            self.partials.swap_remove(oldest);
        }
        let index = self.partials.iter().position(is_this).unwrap_or_else(|| {
            self.partials.push(Partial {
                key: frame.key,
                order,
                until: now + LATEST_PARTIAL_LIFE,
                message: Reassembly::new(frame.fragment.count),
            });
            self.partials.len() - 1
        });
        let partial = self.partials.get_mut(index).expect("found or pushed above");
        Ok(partial.message.insert(frame.fragment, data))
    }

    /// Gives up what has been incomplete for too long.
    pub(crate) fn on_timeout(&mut self, now: Timestamp) {
        self.partials.retain(|partial| partial.until > now);
    }

    /// When [`LatestReceive::on_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.partials.iter().map(|partial| partial.until).min()
    }

    /// Bytes of messages under way, with what holding them costs: never more than the window.
    pub(crate) fn held_bytes(&self) -> usize {
        let costs = self.partials.iter().map(|partial| partial.message.cost());
        costs.sum()
    }

    /// Notes that packet `number` touched the key; gives the order of its newest message delivered.
    fn touch(&mut self, key: u16, number: u64) -> Option<u64> {
        if let Ok(place) = self.place(key)
            && let Some(newest) = self.keys.get_mut(place)
        {
            newest.touched = newest.touched.max(number);
            return newest.delivered;
        }
        if self.keys.len() >= LATEST_KEYS_MAX {
            self.forget_one();
        }
        let fresh = Newest {
            key,
            delivered: self.forgotten,
            touched: number,
        };
        let place = self.place(key).unwrap_or_else(|place| place);
        self.keys.insert(place, fresh);
        self.forgotten
    }

    /// Where the key is, or would be.
    fn place(&self, key: u16) -> Result<usize, usize> {
        self.keys.binary_search_by_key(&key, |newest| newest.key)
    }

    /// Forgets the key unused for longest.
    fn forget_one(&mut self) {
        let all = self.keys.iter().enumerate();
        let oldest = all.min_by_key(|(_, newest)| newest.touched);
        if let Some((place, _)) = oldest {
            let forgotten = self.keys.remove(place);
            self.forgotten = self.forgotten.max(forgotten.delivered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Fragment;
    use super::super::setup::Role;
    use super::super::window::Windows;
    use super::*;
    use crate::limits::FRAGMENT_MAX;
    use crate::random::Rng;

    const WINDOW: Window = Windows::of(Role::Client).latest;
    const NOW: Timestamp = Timestamp::from_millis(9);
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
        lane.on_frame(number, &frame, &mut Copies::default(), NOW)
            .unwrap()
            .is_some()
    }

    #[test]
    fn an_older_message_is_dropped_per_key() {
        let mut lane = LatestReceive::new(WINDOW);
        assert_eq!(
            lane.on_frame(5, &whole(1, b"new"), &mut Copies::default(), NOW),
            Ok(Some(Bytes::from_static(b"new")))
        );
        assert!(!delivers(&mut lane, 4, whole(1, b"old")));
        assert!(!delivers(&mut lane, 5, whole(1, b"again")));
        assert!(delivers(&mut lane, 4, whole(2, b"other key")));
        assert!(delivers(&mut lane, 6, whole(1, b"newer")));
    }

    #[test]
    fn fragments_join_in_any_order() {
        let mut lane = LatestReceive::new(WINDOW);
        assert!(!delivers(&mut lane, 12, part(2, 2)));
        assert!(!delivers(&mut lane, 10, part(0, 0)));
        let message = lane
            .on_frame(11, &part(1, 1), &mut Copies::default(), NOW)
            .unwrap();
        assert_eq!(message.map(|message| message.len()), Some(3 * FRAGMENT_MAX));
        assert!(!delivers(&mut lane, 10, part(0, 0)));
    }

    #[test]
    fn only_a_delivered_message_ends_an_older_one_under_way() {
        let mut lane = LatestReceive::new(WINDOW);
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
        let mut lane = LatestReceive::new(WINDOW);
        for order in 0..=u64::try_from(LATEST_PARTIALS_MAX).unwrap() {
            assert!(!delivers(&mut lane, 10 * order, part(0, 0)));
        }
        assert_eq!(lane.partials.len(), LATEST_PARTIALS_MAX);
        assert!(lane.partials.iter().all(|partial| partial.order > 0));
    }

    #[test]
    fn an_older_whole_message_does_not_end_a_newer_one_under_way() {
        let mut lane = LatestReceive::new(WINDOW);
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
        let mut lane = LatestReceive::new(WINDOW);
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
        let mut lane = LatestReceive::new(WINDOW);
        let result = lane.on_frame(1, &part(1, 2), &mut Copies::default(), NOW);
        assert_eq!(
            result,
            Err(Violation("fragment points before the first packet"))
        );
    }

    #[test]
    fn what_stays_incomplete_is_given_up_in_time() {
        let mut lane = LatestReceive::new(WINDOW);
        assert_eq!(lane.deadline(), None);
        assert!(!delivers(&mut lane, 10, part(0, 0)));
        let until = NOW + LATEST_PARTIAL_LIFE;
        assert_eq!(lane.deadline(), Some(until));
        lane.on_timeout(until - std::time::Duration::from_nanos(1));
        assert!(lane.held_bytes() > 0);
        lane.on_timeout(until);
        assert_eq!((lane.held_bytes(), lane.deadline()), (0, None));
        // Without a timer it goes with the next fragment of anything.
        assert!(!delivers(&mut lane, 20, part(0, 0)));
        lane.on_frame(21, &whole(2, b"x"), &mut Copies::default(), until)
            .unwrap();
        assert_eq!(lane.held_bytes(), 0);
    }

    #[test]
    fn however_it_is_filled_no_more_is_held_than_the_window() {
        for role in [Role::Server, Role::Client] {
            let window = Windows::of(role).latest;
            let count = Fragment::count_of(window.message_max);
            for missing in [0, count - 1] {
                let mut lane = LatestReceive::new(window);
                let mut number = 0;
                for key in 0..200 {
                    for index in (0..count).filter(|index| *index != missing) {
                        let len = if index + 1 == count { 1 } else { FRAGMENT_MAX };
                        let frame = LatestFrame {
                            key,
                            fragment: Fragment { index, count },
                            back: u64::from(index),
                            data: [&FULL[..len], &[]],
                        };
                        assert!(!delivers(&mut lane, number + u64::from(index), frame));
                        assert!(lane.held_bytes() <= window.bytes);
                        assert!(lane.partials.len() <= LATEST_PARTIALS_MAX);
                    }
                    number += 10;
                }
                assert!(lane.held_bytes() > window.bytes / 2, "it was filled");
            }
        }
    }

    #[test]
    fn whatever_comes_the_lane_keeps_its_bounds_and_the_newest() {
        for seed in 0..100 {
            let mut rng = Rng::from_number(seed);
            let window = Windows::of([Role::Server, Role::Client][rng.index(2)]).latest;
            let mut lane = LatestReceive::new(window);
            let keys = 1 + rng.below(200);
            let lens = [(); 32].map(|()| rng.index(window.message_max + 1));
            for number in 100..2_100 {
                // Of few messages many parts come, of many few.
                let back = rng.below(60);
                let order = number - back;
                let key = u16::try_from(order * 7 % keys).unwrap();
                let len = lens[usize::from(key) % 32];
                let count = Fragment::count_of(len);
                let index = u8::try_from(rng.below(count.into())).unwrap();
                let fragment = Fragment { index, count };
                let data = [&FULL[..fragment.range(len).len()], &[]];
                let before: Vec<_> = lane.partials.iter().map(|p| (p.key, p.order)).collect();
                let frame = LatestFrame {
                    key,
                    fragment,
                    back,
                    data,
                };
                let delivered = lane
                    .on_frame(number, &frame, &mut Copies::default(), NOW)
                    .unwrap()
                    .is_some();
                assert!(lane.held_bytes() <= window.bytes);
                assert!(lane.partials.len() <= LATEST_PARTIALS_MAX);
                assert!(lane.keys.len() <= LATEST_KEYS_MAX);
                let is_kept = |of: &(u16, u64)| {
                    let mut kept = lane.partials.iter();
                    kept.any(|partial| (partial.key, partial.order) == *of)
                };
                let (kept, gone): (Vec<_>, Vec<_>) = before.iter().copied().partition(is_kept);
                let others = kept.iter().filter(|of| **of != (key, order));
                let oldest = others.map(|(_, order)| *order).min();
                let newest = gone.iter().map(|(_, order)| *order).max();
                let sound = oldest.zip(newest).is_none_or(|(kept, gone)| gone <= kept);
                assert!(
                    delivered || sound,
                    "the oldest make room: {gone:?} of {before:?}"
                );
            }
        }
    }

    #[test]
    fn a_fragment_that_changes_is_a_violation_and_an_equal_one_is_not() {
        let mut lane = LatestReceive::new(WINDOW);
        assert!(!delivers(&mut lane, 10, part(0, 0)));
        assert!(!delivers(&mut lane, 11, part(0, 0)), "of another message");
        assert!(!delivers(&mut lane, 12, part(1, 2)));
        assert!(!delivers(&mut lane, 13, part(1, 3)), "the same again");
        let changed = LatestFrame {
            data: [&[2; FRAGMENT_MAX], &[]],
            ..part(1, 4)
        };
        let result = lane.on_frame(14, &changed, &mut Copies::default(), NOW);
        assert_eq!(result, Err(Violation("fragment changed")));
    }
}
