//! The receiving half of a reliable stream: every message once, in order.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::copies::Copies;
use super::error::Violation;
use super::frame::{Fragment, StreamFrame};
use super::reassembly::{CHANGED, Reassembly};
use super::window::Window;
use crate::limits::{FRAGMENT_COST, MESSAGE_COST, STREAM_WINDOW};

/// Messages that cannot be delivered yet.
#[derive(Debug)]
pub(crate) struct StreamReceive {
    window: Window,
    /// Number of the message to deliver next.
    next: u64,
    /// That message and those after it, as far as something of them has come.
    held: BTreeMap<u64, Slot>,
    /// Bytes held, with what holding them costs.
    cost: usize,
}

#[derive(Debug)]
enum Slot {
    Partial(Reassembly),
    Complete(Bytes),
}

impl StreamReceive {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            next: 0,
            held: BTreeMap::new(),
            cost: 0,
        }
    }

    /// Takes a fragment and delivers what is complete and in order.
    pub(crate) fn on_frame(
        &mut self,
        frame: &StreamFrame<'_>,
        copies: &mut Copies,
        mut deliver: impl FnMut(Bytes),
    ) -> Result<(), Violation> {
        let Some(ahead) = frame.id.checked_sub(self.next) else {
            return Ok(());
        };
        if ahead >= STREAM_WINDOW {
            return Err(Violation("message beyond the stream window"));
        }
        if !self.window.takes(frame.fragment, frame.data.len()) {
            return Err(Violation("message longer than its lane takes"));
        }
        if ahead == 0 && frame.fragment.is_whole() && !self.held.contains_key(&frame.id) {
            // The common case: nothing is held back.
            self.next += 1;
            deliver(copies.copy(frame.data));
        } else {
            let price = self.price(frame)?;
            if self.cost + price > self.window.bytes {
                return Err(Violation("more bytes than the stream window"));
            }
            self.hold(frame);
        }
        while let Some(entry) = self
            .held
            .first_entry()
            .filter(|entry| *entry.key() == self.next)
            && matches!(entry.get(), Slot::Complete(_))
        {
            let slot = entry.remove();
            self.cost -= slot.cost();
            if let Slot::Complete(message) = slot {
                self.next += 1;
                deliver(message);
            }
        }
        Ok(())
    }

    /// Bytes held back, with what holding them costs: never more than the window.
    pub(crate) fn held_bytes(&self) -> usize {
        self.cost
    }

    /// What taking in a fragment would add to the cost.
    fn price(&self, frame: &StreamFrame<'_>) -> Result<usize, Violation> {
        let whole = frame.fragment.is_whole();
        match self.held.get(&frame.id) {
            None if whole => Ok(MESSAGE_COST + frame.data.len()),
            None => Ok(MESSAGE_COST + FRAGMENT_COST + frame.data.len()),
            Some(Slot::Partial(partial)) => partial.price(frame.fragment, frame.data),
            Some(Slot::Complete(message)) => {
                let same = Fragment::count_of(message.len()) == frame.fragment.count
                    && message.get(frame.fragment.range(message.len())) == Some(frame.data);
                if same { Ok(0) } else { Err(CHANGED) }
            }
        }
    }

    /// Keeps a fragment whose price was found good.
    fn hold(&mut self, frame: &StreamFrame<'_>) {
        let slot = self.held.entry(frame.id).or_insert_with(|| {
            let slot = if frame.fragment.is_whole() {
                Slot::Complete(Bytes::copy_from_slice(frame.data))
            } else {
                Slot::Partial(Reassembly::new(frame.fragment.count))
            };
            self.cost += slot.cost();
            slot
        });
        if let Slot::Partial(partial) = slot {
            self.cost -= partial.cost();
            if let Some(message) = partial.insert(frame.fragment, frame.data) {
                *slot = Slot::Complete(message);
            }
            self.cost += slot.cost();
        }
    }
}

impl Slot {
    fn cost(&self) -> usize {
        match self {
            Self::Partial(partial) => partial.cost(),
            Self::Complete(message) => MESSAGE_COST + message.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::StreamName;
    use super::super::ordered_stream::OrderedStream;
    use super::super::setup::Role;
    use super::super::window::{Windows, cost};
    use super::*;
    use crate::limits::FRAGMENT_MAX;
    use crate::random::Rng;

    const WINDOW: Window = Windows::of(Role::Client).ordered;

    fn frame(id: u64, fragment: Fragment, data: &[u8]) -> StreamFrame<'_> {
        StreamFrame {
            stream: StreamName::Ordered(OrderedStream::ALL[0]),
            id,
            fragment,
            data,
        }
    }

    fn take(stream: &mut StreamReceive, frame: &StreamFrame<'_>) -> Result<Vec<Bytes>, Violation> {
        let mut delivered = Vec::new();
        stream
            .on_frame(frame, &mut Copies::default(), |message| {
                delivered.push(message)
            })
            .map(|()| delivered)
    }

    proptest! {
        #[test]
        fn messages_arrive_once_and_in_order_however_fragments_come(
            lens in prop::collection::vec(0..4 * FRAGMENT_MAX, 1..12),
            shuffle in prop::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let messages: Vec<_> = lens.iter().map(|len| Bytes::from(vec![len.to_le_bytes()[0]; *len])).collect();
            let mut fragments = Vec::new();
            for (id, message) in (0_u64..).zip(&messages) {
                let count = Fragment::count_of(message.len());
                for index in 0..count {
                    fragments.push((id, message, Fragment { index, count }));
                }
            }
            let mut order: Vec<_> = shuffle.iter().map(|index| *index.get(&fragments)).collect();
            order.extend(fragments);
            let mut stream = StreamReceive::new(WINDOW);
            let mut delivered = Vec::new();
            for (id, message, fragment) in order {
                let data = &message[fragment.range(message.len())];
                let frame = frame(id, fragment, data);
                stream.on_frame(&frame, &mut Copies::default(), |message| delivered.push(message)).unwrap();
            }
            prop_assert_eq!(delivered, messages);
            prop_assert_eq!(stream.held_bytes(), 0);
        }
    }

    #[test]
    fn both_sides_of_the_window_edge() {
        let mut stream = StreamReceive::new(WINDOW);
        assert_eq!(
            take(&mut stream, &frame(STREAM_WINDOW - 1, Fragment::WHOLE, b"")),
            Ok(vec![])
        );
        assert_eq!(
            take(&mut stream, &frame(STREAM_WINDOW, Fragment::WHOLE, b"")),
            Err(Violation("message beyond the stream window"))
        );
    }

    /// Fills the stream with what `frames` gives until it is refused; what it held at most.
    fn fill<'a>(
        window: Window,
        frames: impl Iterator<Item = StreamFrame<'a>>,
    ) -> (usize, Option<Violation>) {
        let mut stream = StreamReceive::new(window);
        let mut most = 0;
        for frame in frames {
            if let Err(violation) = take(&mut stream, &frame) {
                return (most, Some(violation));
            }
            most = most.max(stream.held_bytes());
            let held: usize = stream.held.values().map(Slot::cost).sum();
            assert_eq!(held, stream.held_bytes());
        }
        (most, None)
    }

    #[test]
    fn however_it_is_filled_no_more_is_held_than_the_window() {
        let data = [0; FRAGMENT_MAX];
        let windows = [Role::Server, Role::Client].map(Windows::of);
        for window in windows.iter().flat_map(|w| [w.control, w.ordered]) {
            let count = Fragment::count_of(window.message_max);
            let fragment = |index| Fragment { index, count };
            let ids = 1..STREAM_WINDOW;
            let tail = window.message_max - usize::from(count - 1) * FRAGMENT_MAX;
            let full = |index| {
                if index + 1 == count {
                    tail
                } else {
                    FRAGMENT_MAX
                }
            };
            let fills = [
                // Messages of one byte, of one packet, of many; all but the first fragment of each.
                fill(
                    window,
                    ids.clone().map(|id| frame(id, Fragment::WHOLE, &data[..1])),
                ),
                fill(
                    window,
                    ids.clone().map(|id| frame(id, Fragment::WHOLE, &data)),
                ),
                fill(
                    window,
                    ids.clone()
                        .flat_map(|id| (1..count).map(move |index| (id, index)))
                        .map(|(id, index)| frame(id, fragment(index), &data[..full(index)])),
                ),
                // The smallest last fragment of each.
                fill(
                    window,
                    ids.map(|id| frame(id, Fragment { index: 1, count: 2 }, &data[..1])),
                ),
            ];
            for (most, end) in fills {
                assert!(most <= window.bytes, "{most} of {window:?}");
                let full = Some(Violation("more bytes than the stream window"));
                assert!(end == full || most < STREAM_WINDOW_COST, "{end:?} {most}");
            }
        }
    }

    #[test]
    fn whatever_comes_in_whatever_order_no_more_is_held_than_the_window() {
        let data = [7; FRAGMENT_MAX];
        let windows = [Role::Server, Role::Client].map(Windows::of);
        let windows: Vec<_> = windows
            .iter()
            .flat_map(|w| [w.control, w.ordered])
            .collect();
        for seed in 0..100 {
            let mut rng = Rng::from_number(seed);
            let window = windows[rng.index(4)];
            let mut stream = StreamReceive::new(window);
            let longest = [2, 300, window.message_max + 1][rng.index(3)];
            let lens = [(); 64].map(|()| rng.index(longest));
            let mut refused = 0;
            for _ in 0..2_000 {
                let ahead = rng.below(STREAM_WINDOW + 2);
                let id = stream.next + ahead;
                let len = lens[usize::try_from(id % 64).unwrap()];
                let count = Fragment::count_of(len);
                let index = u8::try_from(rng.below(count.into())).unwrap();
                let fragment = Fragment { index, count };
                let before = stream.held_bytes();
                let frame = frame(id, fragment, &data[..fragment.range(len).len()]);
                if let Err(violation) = take(&mut stream, &frame) {
                    let rule = match ahead {
                        0..STREAM_WINDOW => "more bytes than the stream window",
                        _ => "message beyond the stream window",
                    };
                    assert_eq!(violation, Violation(rule));
                    assert_eq!(stream.held_bytes(), before, "what is refused is not held");
                    refused += 1;
                }
                let held: usize = stream.held.values().map(Slot::cost).sum();
                assert_eq!(held, stream.held_bytes());
                assert!(held <= window.bytes && stream.held.len() < 256);
            }
            assert!(refused > 0, "it was filled");
        }
    }

    /// All that the numbers of the window can name in messages of one byte.
    const STREAM_WINDOW_COST: usize = 256 * (MESSAGE_COST + FRAGMENT_COST + 1);

    #[test]
    fn a_sender_within_its_own_window_never_breaks_the_receiver() {
        for role in [Role::Server, Role::Client] {
            let window = Windows::of(role).ordered;
            // As many of the longest messages as a sender would have under way.
            let messages = window.bytes / cost(window.message_max);
            let message = vec![1; window.message_max];
            let count = Fragment::count_of(message.len());
            let mut stream = StreamReceive::new(window);
            let mut delivered = 0;
            for id in (0..u64::try_from(messages).unwrap()).rev() {
                for index in (0..count).rev() {
                    let fragment = Fragment { index, count };
                    let data = &message[fragment.range(message.len())];
                    delivered += take(&mut stream, &frame(id, fragment, data)).unwrap().len();
                }
            }
            assert_eq!(delivered, messages);
        }
    }

    #[test]
    fn a_message_longer_than_its_lane_is_refused_at_its_first_fragment() {
        let window = Windows::of(Role::Server).ordered;
        let data = [0; FRAGMENT_MAX];
        let count = Fragment::count_of(window.message_max);
        let tail = window.message_max - usize::from(count - 1) * FRAGMENT_MAX;
        for (index, count, len, fits) in [
            (0, count, FRAGMENT_MAX, true),
            (0, count + 1, FRAGMENT_MAX, false),
            (count - 1, count, tail, true),
            (count - 1, count, tail + 1, false),
        ] {
            let mut stream = StreamReceive::new(window);
            let result = take(
                &mut stream,
                &frame(0, Fragment { index, count }, &data[..len]),
            );
            let expected = Violation("message longer than its lane takes");
            assert_eq!(result.err(), (!fits).then_some(expected));
        }
    }

    #[test]
    fn a_message_that_changes_its_shape_is_a_violation() {
        let mut stream = StreamReceive::new(WINDOW);
        let data = [0; FRAGMENT_MAX];
        take(
            &mut stream,
            &frame(0, Fragment { index: 0, count: 2 }, &data),
        )
        .unwrap();
        assert!(
            take(
                &mut stream,
                &frame(0, Fragment { index: 0, count: 3 }, &data)
            )
            .is_err()
        );
        assert!(take(&mut stream, &frame(0, Fragment::WHOLE, &data)).is_err());
    }

    #[test]
    fn a_repeated_fragment_must_be_the_same() {
        let data = [0; FRAGMENT_MAX];
        let mut other = data;
        other[7] = 1;
        let two = |index| Fragment { index, count: 2 };
        let mut stream = StreamReceive::new(WINDOW);
        // Message 1 stays held because message 0 is missing.
        for (fragment, bytes, result) in [
            (two(0), &data[..], Ok(vec![])),
            (two(0), &data[..], Ok(vec![])),
            (two(0), &other[..], Err(CHANGED)),
            (two(1), b"end", Ok(vec![])),
            (two(1), b"end", Ok(vec![])),
            (two(0), &data[..], Ok(vec![])),
            (two(1), b"enD", Err(CHANGED)),
            (two(1), b"en", Err(CHANGED)),
            (Fragment::WHOLE, b"end", Err(CHANGED)),
        ] {
            assert_eq!(take(&mut stream, &frame(1, fragment, bytes)), result);
        }
        assert_eq!(
            take(&mut stream, &frame(2, Fragment::WHOLE, b"x")),
            Ok(vec![])
        );
        assert_eq!(
            take(&mut stream, &frame(2, Fragment::WHOLE, b"y")),
            Err(CHANGED)
        );
    }
}
