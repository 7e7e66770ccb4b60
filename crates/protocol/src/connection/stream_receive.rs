//! The receiving half of a reliable stream: every message once, in order.

use std::collections::VecDeque;

use bytes::Bytes;

use super::error::Violation;
use super::frame::StreamFrame;
use super::reassembly::Reassembly;
use crate::limits::{STREAM_WINDOW, STREAM_WINDOW_BYTES};

/// Messages that cannot be delivered yet.
#[derive(Debug, Default)]
pub(crate) struct StreamReceive {
    /// Number of the message to deliver next.
    next: u64,
    /// That message and those after it.
    slots: VecDeque<Slot>,
    /// Bytes held in slots.
    bytes: usize,
}

#[derive(Debug)]
enum Slot {
    Missing,
    Partial(Reassembly),
    Complete(Bytes),
}

impl StreamReceive {
    /// Takes a fragment and delivers what is complete and in order.
    pub(crate) fn on_frame(
        &mut self,
        frame: &StreamFrame<'_>,
        mut deliver: impl FnMut(Bytes),
    ) -> Result<(), Violation> {
        let Some(ahead) = frame.id.checked_sub(self.next) else {
            return Ok(());
        };
        if ahead >= STREAM_WINDOW {
            return Err(Violation("message beyond the stream window"));
        }
        let ahead = usize::try_from(ahead).expect("the window is small");
        while self.slots.len() <= ahead {
            self.slots.push_back(Slot::Missing);
        }
        let slot = self.slots.get_mut(ahead).expect("grown above");
        self.bytes += slot.take(frame)?;
        if self.bytes > STREAM_WINDOW_BYTES {
            return Err(Violation("more bytes than the stream window"));
        }
        while matches!(self.slots.front(), Some(Slot::Complete(_))) {
            if let Some(Slot::Complete(message)) = self.slots.pop_front() {
                self.next += 1;
                self.bytes -= message.len();
                deliver(message);
            }
        }
        Ok(())
    }

    /// Bytes held back.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Slot {
    /// Adds a fragment; gives the bytes it added.
    fn take(&mut self, frame: &StreamFrame<'_>) -> Result<usize, Violation> {
        match self {
            Self::Complete(_) => Ok(0),
            Self::Missing if frame.fragment.is_whole() => {
                *self = Self::Complete(Bytes::copy_from_slice(frame.data));
                Ok(frame.data.len())
            }
            Self::Missing => {
                let mut partial = Reassembly::new(frame.fragment.count);
                partial.insert(frame.fragment, frame.data)?;
                *self = Self::Partial(partial);
                Ok(frame.data.len())
            }
            Self::Partial(partial) => {
                let before = partial.bytes();
                let complete = partial.insert(frame.fragment, frame.data)?;
                let added = partial.bytes() - before;
                if let Some(message) = complete {
                    *self = Self::Complete(message);
                }
                Ok(added)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::{Fragment, StreamName};
    use super::*;
    use crate::limits::{FRAGMENT_MAX, RELIABLE_MAX};

    fn frame(id: u64, fragment: Fragment, data: &[u8]) -> StreamFrame<'_> {
        StreamFrame {
            stream: StreamName::Ordered,
            id,
            fragment,
            data,
        }
    }

    fn take(stream: &mut StreamReceive, frame: &StreamFrame<'_>) -> Result<Vec<Bytes>, Violation> {
        let mut delivered = Vec::new();
        stream
            .on_frame(frame, |message| delivered.push(message))
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
            let mut stream = StreamReceive::default();
            let mut delivered = Vec::new();
            for (id, message, fragment) in order {
                let data = &message[fragment.range(message.len())];
                stream.on_frame(&frame(id, fragment, data), |message| delivered.push(message)).unwrap();
            }
            prop_assert_eq!(delivered, messages);
            prop_assert_eq!(stream.bytes(), 0);
        }
    }

    #[test]
    fn both_sides_of_the_window_edge() {
        let mut stream = StreamReceive::default();
        assert_eq!(
            take(&mut stream, &frame(STREAM_WINDOW - 1, Fragment::WHOLE, b"")),
            Ok(vec![])
        );
        assert_eq!(
            take(&mut stream, &frame(STREAM_WINDOW, Fragment::WHOLE, b"")),
            Err(Violation("message beyond the stream window"))
        );
    }

    #[test]
    fn held_bytes_are_bounded() {
        let mut stream = StreamReceive::default();
        let data = [0; FRAGMENT_MAX];
        let mut result = Ok(vec![]);
        for id in 1..STREAM_WINDOW {
            result = take(&mut stream, &frame(id, Fragment::WHOLE, &data));
            assert!(stream.bytes() <= STREAM_WINDOW_BYTES + FRAGMENT_MAX);
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result, Err(Violation("more bytes than the stream window")));
    }

    #[test]
    fn a_sender_within_its_own_window_never_breaks_the_receiver() {
        // Four messages of the longest kind fill the byte window exactly.
        const { assert!(STREAM_WINDOW_BYTES == 4 * RELIABLE_MAX) }
        let mut stream = StreamReceive::default();
        let message = vec![1; RELIABLE_MAX];
        let count = Fragment::count_of(RELIABLE_MAX);
        let mut delivered = 0;
        for id in [3, 2, 1, 0] {
            for index in 0..count {
                let fragment = Fragment { index, count };
                let data = &message[fragment.range(RELIABLE_MAX)];
                delivered += take(&mut stream, &frame(id, fragment, data)).unwrap().len();
            }
        }
        assert_eq!(delivered, 4);
    }

    #[test]
    fn a_message_that_changes_its_shape_is_a_violation() {
        let mut stream = StreamReceive::default();
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
}
