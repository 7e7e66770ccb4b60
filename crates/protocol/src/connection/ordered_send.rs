//! The sending halves of the ordered streams: each in its own order, all in turn, one queue bound.

use std::mem::offset_of;

use bytes::Bytes;

use super::carried::Carried;
use super::error::SendError;
use super::event::Tag;
use super::frame::{FrameWriter, StreamName};
use super::ordered_stream::OrderedStream;
use super::stream_send::StreamSend;
use super::window::Window;
use crate::limits::{ORDERED_STREAMS, SEND_QUEUE_BYTES_MAX, SEND_QUEUE_MAX};

/// Messages of all ordered streams that are queued or not yet acknowledged.
///
/// First whether there is anything at all, which each packet asks.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct OrderedSend {
    /// Messages and bytes of all streams.
    len: usize,
    bytes: usize,
    /// Whose turn it is to fill a packet.
    turn: usize,
    /// Of the peer, for each stream.
    window: Window,
    /// Made with their first message: most connections use one, and those without a seat none.
    streams: [Option<Box<StreamSend>>; ORDERED_STREAMS],
}

impl OrderedSend {
    /// Bytes up to the end of what each datagram touches.
    pub(super) const FRONT: usize = offset_of!(Self, streams);

    /// `window` is the peer's, of each stream.
    pub(crate) fn new(window: Window) -> Self {
        Self {
            streams: Default::default(),
            window,
            turn: 0,
            len: 0,
            bytes: 0,
        }
    }

    /// Queues a message; the queue's bounds hold for all streams together.
    pub(crate) fn push(
        &mut self,
        stream: OrderedStream,
        message: Bytes,
        tag: Option<Tag>,
    ) -> Result<(), SendError> {
        let len = message.len();
        let is_full = self.len >= SEND_QUEUE_MAX || self.bytes + len > SEND_QUEUE_BYTES_MAX;
        let stream = self.get_mut(stream);
        stream.check(len)?;
        if is_full {
            return Err(SendError::QueueFull);
        }
        stream.push(message, tag)?;
        self.len += 1;
        self.bytes += len;
        Ok(())
    }

    /// The peer has a fragment: see [`StreamSend::on_acked`].
    pub(crate) fn on_acked(
        &mut self,
        stream: OrderedStream,
        (id, index): (u64, u8),
        told: impl FnMut(Tag),
    ) {
        let stream = self.get_mut(stream);
        let (len, bytes) = (stream.len(), stream.bytes());
        stream.on_acked(id, index, told);
        let (less, bytes_less) = (len - stream.len(), bytes - stream.bytes());
        self.len -= less;
        self.bytes -= bytes_less;
    }

    /// A packet with a fragment is lost: see [`StreamSend::on_lost`].
    pub(crate) fn on_lost(&mut self, stream: OrderedStream, (id, index): (u64, u8)) {
        self.get_mut(stream).on_lost(id, index);
    }

    /// True if a fragment may be sent.
    pub(crate) fn has_pending(&self) -> bool {
        self.len > 0
            && self
                .streams
                .iter()
                .flatten()
                .any(|stream| stream.has_pending())
    }

    /// Writes the next fragment of the stream whose turn it is, if it fits; gives the bytes of
    /// its data. The others are next, so that a long message does not hold them up.
    pub(crate) fn fill_one(
        &mut self,
        writer: &mut FrameWriter<'_>,
        carried: &mut Vec<Carried>,
    ) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        for step in 0..ORDERED_STREAMS {
            let index = (self.turn + step) % ORDERED_STREAMS;
            let stream = self.streams.get_mut(index)?.as_mut();
            if let Some(sent) = stream.and_then(|stream| stream.fill_one(writer, carried)) {
                self.turn = (index + 1) % ORDERED_STREAMS;
                return Some(sent);
            }
        }
        None
    }

    /// Offers the oldest unacknowledged fragment of each stream again.
    pub(crate) fn retry_oldest(&mut self) {
        let streams = self.streams.iter_mut().flatten();
        streams.for_each(|stream| stream.retry_oldest());
    }

    fn get_mut(&mut self, stream: OrderedStream) -> &mut StreamSend {
        let place = self.streams.get_mut(stream.index());
        let place = place.expect("there are as many queues as streams");
        let new = || Box::new(StreamSend::new(StreamName::Ordered(stream), self.window));
        place.get_or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::super::setup::Role;
    use super::super::window::Windows;
    use super::*;
    use crate::limits::{FRAGMENT_MAX, RELIABLE_MAX};
    use crate::random::Rng;

    fn packet(lane: &mut OrderedSend) -> Vec<(StreamName, u64, u8)> {
        let (mut out, mut carried) = (Vec::new(), Vec::new());
        let mut writer = FrameWriter::new(&mut out);
        while lane.fill_one(&mut writer, &mut carried).is_some() {}
        carried
            .into_iter()
            .map(|carried| {
                let Carried::Stream { stream, id, index } = carried else {
                    panic!("stream data")
                };
                (stream, id, index)
            })
            .collect()
    }

    #[test]
    fn a_long_message_shares_the_way_with_other_streams() {
        let mut lane = OrderedSend::new(Windows::of(Role::Client).ordered);
        let [one, other, ..] = OrderedStream::ALL;
        lane.push(one, vec![0; 3 * FRAGMENT_MAX].into(), None)
            .unwrap();
        // Too long for what a full fragment leaves of a packet.
        for _ in 0..2 {
            lane.push(other, vec![1; 200].into(), None).unwrap();
        }
        let (one, other) = (StreamName::Ordered(one), StreamName::Ordered(other));
        assert_eq!(packet(&mut lane), [(one, 0, 0)]);
        assert_eq!(packet(&mut lane), [(other, 0, 0), (other, 1, 0)]);
        assert_eq!(packet(&mut lane), [(one, 0, 1)]);
        assert_eq!(packet(&mut lane), [(one, 0, 2)]);
    }

    #[test]
    fn the_queue_is_bounded_for_all_streams_together() {
        let mut lane = OrderedSend::new(Windows::of(Role::Client).ordered);
        let streams = OrderedStream::ALL.iter().cycle();
        for stream in streams.take(SEND_QUEUE_BYTES_MAX / RELIABLE_MAX) {
            lane.push(*stream, vec![0; RELIABLE_MAX].into(), None)
                .unwrap();
        }
        for stream in OrderedStream::ALL {
            let one = lane.push(stream, Bytes::from_static(b"1"), None);
            assert_eq!(one, Err(SendError::QueueFull));
        }
        let mut lane = OrderedSend::new(Windows::of(Role::Client).ordered);
        for stream in OrderedStream::ALL.iter().cycle().take(SEND_QUEUE_MAX) {
            lane.push(*stream, Bytes::new(), None).unwrap();
        }
        let [first, ..] = OrderedStream::ALL;
        assert_eq!(
            lane.push(first, Bytes::new(), None),
            Err(SendError::QueueFull)
        );
    }

    #[test]
    fn however_messages_spread_over_the_streams_one_queue_is_bounded() {
        static ZEROS: [u8; RELIABLE_MAX] = [0; RELIABLE_MAX];
        for seed in 0..20 {
            let mut rng = Rng::from_number(seed);
            let mut lane = OrderedSend::new(Windows::of(Role::Client).ordered);
            let longest = [1, 200, RELIABLE_MAX][rng.index(3)];
            let (mut count, mut bytes, mut refused) = (0, 0, 0);
            for _ in 0..10_000 {
                let message = Bytes::from_static(&ZEROS[..rng.index(longest)]);
                let len = message.len();
                let stream = OrderedStream::ALL[rng.index(ORDERED_STREAMS)];
                if lane.push(stream, message, None).is_ok() {
                    (count, bytes) = (count + 1, bytes + len);
                } else {
                    assert!(count >= SEND_QUEUE_MAX || bytes + len > SEND_QUEUE_BYTES_MAX);
                    refused += 1;
                }
                assert!(count <= SEND_QUEUE_MAX && bytes <= SEND_QUEUE_BYTES_MAX);
                let streams = lane.streams.iter().flatten();
                let held: usize = streams.map(|stream| stream.bytes()).sum();
                assert_eq!(held, bytes);
            }
            assert!(refused > 0, "it was filled");
        }
    }
}
