//! The sending half of a reliable stream: messages in order, fragments sent until acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;

use super::carried::Carried;
use super::error::SendError;
use super::event::Tag;
use super::frame::{Fragment, FrameWriter, StreamFrame, StreamName};
use super::window::{Window, cost};
use crate::limits::{SEND_QUEUE_BYTES_MAX, SEND_QUEUE_MAX, STREAM_WINDOW};
use crate::planted::{self, Bug};

/// Messages that are queued or not yet acknowledged.
///
/// First whether there is something to send, which each packet asks.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct StreamSend {
    /// Messages from the front on that are within the peer's window.
    admitted: usize,
    /// The first admitted message with something to send, or `admitted`.
    cursor: usize,
    stream: StreamName,
    /// What the peer holds.
    window: Window,
    /// Number of the front message.
    base: u64,
    messages: VecDeque<Message>,
    bytes: usize,
    /// What the peer holds of them at most.
    admitted_cost: usize,
}

#[derive(Debug)]
struct Message {
    bytes: Bytes,
    tag: Option<Tag>,
    count: u8,
    /// A bit per fragment.
    unsent: u64,
    unacked: u64,
}

impl StreamSend {
    pub(crate) fn new(stream: StreamName, window: Window) -> Self {
        Self {
            stream,
            window,
            base: 0,
            messages: VecDeque::new(),
            bytes: 0,
            admitted: 0,
            admitted_cost: 0,
            cursor: 0,
        }
    }

    /// Queues a message; when the queue is full the caller keeps it.
    pub(crate) fn push(&mut self, bytes: Bytes, tag: Option<Tag>) -> Result<(), SendError> {
        self.check(bytes.len())?;
        let total = self.bytes + bytes.len();
        if self.messages.len() >= SEND_QUEUE_MAX || total > SEND_QUEUE_BYTES_MAX {
            return Err(SendError::QueueFull);
        }
        self.bytes = total;
        let count = Fragment::count_of(bytes.len());
        let all = u64::MAX >> (64 - u32::from(count));
        self.messages.push_back(Message {
            bytes,
            tag,
            count,
            unsent: all,
            unacked: all,
        });
        self.admit();
        Ok(())
    }

    /// Refuses a message that the peer does not take.
    pub(crate) fn check(&self, len: usize) -> Result<(), SendError> {
        let max = self.window.message_max;
        if len > max {
            return Err(SendError::TooLong { len, max });
        }
        Ok(())
    }

    /// Messages in the queue.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if a fragment may be sent.
    pub(crate) fn has_pending(&self) -> bool {
        self.cursor < self.admitted
    }

    /// Writes the next fragment if it fits; gives the bytes of its data.
    pub(crate) fn fill_one(
        &mut self,
        writer: &mut FrameWriter<'_>,
        carried: &mut Vec<Carried>,
    ) -> Option<usize> {
        if !self.has_pending() {
            return None;
        }
        let id = self.base + wide(self.cursor);
        let message = self.messages.get_mut(self.cursor)?;
        let index = lowest_bit(message.unsent)?;
        let fragment = Fragment {
            index,
            count: message.count,
        };
        let data = message.bytes.get(fragment.range(message.bytes.len()))?;
        if !(StreamFrame {
            stream: self.stream,
            id,
            fragment,
            data,
        })
        .write(writer)
        {
            return None;
        }
        let sent = data.len();
        message.unsent &= !(1 << index);
        carried.push(Carried::Stream {
            stream: self.stream,
            id,
            index,
        });
        self.advance();
        Some(sent)
    }

    /// The peer has a fragment. Tells `told` the tags of the messages that were delivered by it:
    /// those that are whole, and all before them too.
    pub(crate) fn on_acked(&mut self, id: u64, index: u8, mut told: impl FnMut(Tag)) {
        let Some(message) = self.message(id) else {
            return;
        };
        message.unacked &= !(1 << index);
        message.unsent &= message.unacked;
        while let Some(done) = self.pop_done() {
            let len = done.bytes.len();
            self.base += 1;
            self.bytes -= len;
            self.admitted -= 1;
            self.admitted_cost -= cost(len);
            self.cursor = self.cursor.saturating_sub(1);
            done.tag.into_iter().for_each(&mut told);
        }
        if self.messages.is_empty() && self.stream == StreamName::Control {
            // They are few and far between: an idle session keeps no memory for them.
            self.messages = VecDeque::new();
        }
        self.advance();
        self.admit();
    }

    /// A packet with a fragment is lost: it is sent again, before anything newer.
    pub(crate) fn on_lost(&mut self, id: u64, index: u8) {
        if planted::is(Bug::LostNotResent) {
            return;
        }
        let Some(position) = self.position(id) else {
            return;
        };
        let Some(message) = self.messages.get_mut(position) else {
            return;
        };
        message.unsent |= message.unacked & (1 << index);
        if message.unsent != 0 {
            self.cursor = self.cursor.min(position);
        }
    }

    /// Offers the oldest unacknowledged fragment again: the best probe there is.
    pub(crate) fn retry_oldest(&mut self) {
        if self.admitted == 0 {
            return;
        }
        let oldest = self
            .messages
            .front()
            .and_then(|message| lowest_bit(message.unacked));
        if let Some(index) = oldest {
            self.on_lost(self.base, index);
        }
    }

    /// Takes out the front message if the peer has all of it.
    fn pop_done(&mut self) -> Option<Message> {
        let done = self.messages.front()?.unacked == 0;
        done.then(|| self.messages.pop_front()).flatten()
    }

    fn position(&self, id: u64) -> Option<usize> {
        let position = usize::try_from(id.checked_sub(self.base)?).ok()?;
        (position < self.admitted).then_some(position)
    }

    fn message(&mut self, id: u64) -> Option<&mut Message> {
        let position = self.position(id)?;
        self.messages.get_mut(position)
    }

    /// Lets messages into the window as long as they fit.
    fn admit(&mut self) {
        while let Some(next) = self.messages.get(self.admitted) {
            let total = self.admitted_cost + cost(next.bytes.len());
            if wide(self.admitted) >= STREAM_WINDOW || total > self.window.bytes {
                return;
            }
            self.admitted += 1;
            self.admitted_cost = total;
        }
    }

    /// Moves the cursor to the next message with something to send.
    fn advance(&mut self) {
        let sent = |message: &Message| message.unsent == 0;
        while self.cursor < self.admitted && self.messages.get(self.cursor).is_some_and(sent) {
            self.cursor += 1;
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).expect("a count fits 64 bits")
}

fn lowest_bit(bits: u64) -> Option<u8> {
    if bits == 0 {
        return None;
    }
    Some(u8::try_from(bits.trailing_zeros()).expect("below 64"))
}

#[cfg(test)]
mod tests {
    use super::super::ordered_stream::OrderedStream;
    use super::super::setup::Role;
    use super::super::window::Windows;
    use super::*;
    use crate::limits::{FRAGMENT_MAX, RELIABLE_MAX};
    use crate::random::Rng;

    fn stream() -> StreamSend {
        StreamSend::new(
            StreamName::Ordered(OrderedStream::ALL[0]),
            Windows::of(Role::Client).ordered,
        )
    }

    /// Sends one packet's worth; gives message and fragment numbers.
    fn packet(stream: &mut StreamSend) -> Vec<(u64, u8)> {
        let mut out = Vec::new();
        let mut writer = FrameWriter::new(&mut out);
        let mut carried = Vec::new();
        while stream.fill_one(&mut writer, &mut carried).is_some() {}
        carried
            .into_iter()
            .map(|carried| {
                let Carried::Stream { id, index, .. } = carried else {
                    panic!("stream data")
                };
                (id, index)
            })
            .collect()
    }

    #[test]
    fn lost_fragments_go_again_before_newer_ones() {
        let mut stream = stream();
        stream
            .push(Bytes::from(vec![1; 2 * FRAGMENT_MAX]), Some(7))
            .unwrap();
        stream.push(Bytes::from_static(b"later"), Some(8)).unwrap();
        assert_eq!(packet(&mut stream), [(0, 0)]);
        assert_eq!(packet(&mut stream), [(0, 1), (1, 0)]);
        assert_eq!(packet(&mut stream), []);
        stream.push(Bytes::from_static(b"newest"), None).unwrap();
        stream.on_lost(1, 0);
        stream.on_lost(0, 1);
        assert_eq!(packet(&mut stream), [(0, 1), (1, 0), (2, 0)]);
    }

    /// The tags told when a fragment is acknowledged.
    fn acked(stream: &mut StreamSend, id: u64, index: u8) -> Vec<Tag> {
        let mut tags = Vec::new();
        stream.on_acked(id, index, |tag| tags.push(tag));
        tags
    }

    #[test]
    fn tags_are_told_once_and_in_the_order_of_delivery() {
        let mut stream = stream();
        stream
            .push(Bytes::from(vec![1; 2 * FRAGMENT_MAX]), Some(7))
            .unwrap();
        stream.push(Bytes::from_static(b"x"), Some(8)).unwrap();
        stream.push(Bytes::from_static(b"y"), Some(9)).unwrap();
        packet(&mut stream);
        packet(&mut stream);
        assert_eq!(acked(&mut stream, 1, 0), [], "one before it is missing");
        assert_eq!(acked(&mut stream, 0, 0), []);
        stream.on_lost(0, 0);
        assert!(!stream.has_pending(), "what is acknowledged cannot be lost");
        assert_eq!(acked(&mut stream, 0, 1), [7, 8]);
        assert_eq!(stream.base, 2);
        assert_eq!((stream.bytes, stream.admitted_cost), (1, cost(1)));
        assert_eq!(acked(&mut stream, 0, 1), []);
        assert_eq!(acked(&mut stream, 2, 0), [9]);
        assert_eq!(acked(&mut stream, 9, 0), []);
    }

    #[test]
    fn the_window_holds_messages_back_until_the_oldest_is_acknowledged() {
        let mut stream = stream();
        let window = usize::try_from(STREAM_WINDOW).unwrap();
        for _ in 0..window + 2 {
            stream.push(Bytes::from_static(b"m"), None).unwrap();
        }
        let mut sent = Vec::new();
        while stream.has_pending() {
            sent.extend(packet(&mut stream));
        }
        assert_eq!(sent.len(), window);
        stream.on_acked(1, 0, |_| {});
        assert!(!stream.has_pending());
        stream.on_acked(0, 0, |_| {});
        assert_eq!(
            packet(&mut stream),
            [(STREAM_WINDOW, 0), (STREAM_WINDOW + 1, 0)]
        );
    }

    #[test]
    fn a_full_queue_refuses_and_recovers() {
        let mut stream = stream();
        let long = Bytes::from(vec![0; RELIABLE_MAX + 1]);
        let len = long.len();
        assert_eq!(
            stream.push(long, None),
            Err(SendError::TooLong {
                len,
                max: RELIABLE_MAX
            })
        );
        for _ in 0..SEND_QUEUE_BYTES_MAX / RELIABLE_MAX {
            stream
                .push(Bytes::from(vec![0; RELIABLE_MAX]), None)
                .unwrap();
        }
        assert_eq!(
            stream.push(Bytes::from_static(b"1"), None),
            Err(SendError::QueueFull)
        );
        assert_eq!(stream.push(Bytes::new(), None), Ok(()));

        let mut many = StreamSend::new(StreamName::Control, Windows::of(Role::Client).control);
        for _ in 0..SEND_QUEUE_MAX {
            many.push(Bytes::new(), None).unwrap();
        }
        assert_eq!(many.push(Bytes::new(), None), Err(SendError::QueueFull));
        packet(&mut many);
        many.on_acked(0, 0, |_| {});
        assert_eq!(many.push(Bytes::new(), None), Ok(()));
    }

    #[test]
    fn whatever_a_peer_acknowledges_the_queue_and_its_window_are_bounded() {
        static ZEROS: [u8; RELIABLE_MAX + 2] = [0; RELIABLE_MAX + 2];
        for seed in 0..30 {
            let mut rng = Rng::from_number(seed);
            let window = Windows::of([Role::Server, Role::Client][rng.index(2)]).control;
            let mut stream = StreamSend::new(StreamName::Control, window);
            let longest = [1, 600, window.message_max + 3][rng.index(3)];
            let settled = rng.unit();
            let (mut open, mut refused) = (Vec::new(), 0);
            for step in 0..10_000 {
                let message = Bytes::from_static(&ZEROS[..rng.index(longest)]);
                let (len, before) = (message.len(), (stream.len(), stream.bytes()));
                let full = before.0 >= SEND_QUEUE_MAX || before.1 + len > SEND_QUEUE_BYTES_MAX;
                let max = window.message_max;
                let rule = match (len > max, full) {
                    (true, _) => Err(SendError::TooLong { len, max }),
                    (false, true) => Err(SendError::QueueFull),
                    (false, false) => Ok(()),
                };
                assert_eq!(stream.push(message, None), rule);
                if rule.is_err() {
                    assert_eq!((stream.len(), stream.bytes()), before);
                    refused += usize::from(rule == Err(SendError::QueueFull));
                }
                open.extend(packet(&mut stream));
                if !open.is_empty() && rng.chance(settled) {
                    let (id, index) = open.swap_remove(rng.index(open.len()));
                    match rng.chance(0.5) {
                        true => stream.on_acked(id, index, |_| {}),
                        false => stream.on_lost(id, index),
                    }
                }
                assert!(stream.len() <= SEND_QUEUE_MAX && stream.bytes() <= SEND_QUEUE_BYTES_MAX);
                assert!(stream.admitted <= 256 && stream.admitted_cost <= window.bytes);
                if step % 100 == 0 {
                    let held: usize = stream.messages.iter().map(|m| m.bytes.len()).sum();
                    assert_eq!(held, stream.bytes(), "every byte is counted");
                }
            }
            assert!(refused > 0, "it was filled");
        }
    }

    #[test]
    fn a_probe_offers_the_oldest_fragment_again() {
        let mut stream = stream();
        stream.retry_oldest();
        assert!(!stream.has_pending());
        stream.push(Bytes::from_static(b"a"), None).unwrap();
        stream.push(Bytes::from_static(b"b"), None).unwrap();
        packet(&mut stream);
        stream.on_acked(0, 0, |_| {});
        stream.retry_oldest();
        assert_eq!(packet(&mut stream), [(1, 0)]);
    }
}
