//! The sending half of the latest lane: at most one message per key waits, the newest.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::carried::Carried;
use super::error::SendError;
use super::event::Tag;
use super::frame::{Fragment, FrameWriter, LatestFrame};
use crate::fetch::Fetch;
use crate::limits::{FRAGMENT_MAX, LATEST_KEYS_MAX};

/// Messages that have not left, and fragmented ones whose fate is open.
#[derive(Debug)]
pub(crate) struct LatestSend {
    /// The longest message that the peer takes.
    message_max: usize,
    queue: VecDeque<Outgoing>,
    flights: Flights,
}

/// Fragmented messages with a tag, by a count of their own, until their fate is told.
/// Bounded by the log of sent packets, which settles each.
#[derive(Debug, Default)]
struct Flights {
    next: u64,
    open: BTreeMap<u64, Flight>,
}

#[derive(Debug)]
struct Flight {
    tag: Tag,
    /// Fragments not acknowledged.
    left: u8,
}

/// A message on its way out. All its fragments leave in one burst.
#[derive(Debug)]
struct Outgoing {
    key: u16,
    head: Head,
    body: Bytes,
    tag: Option<Tag>,
    /// The next fragment; past 0 the message can no longer be replaced.
    fragment: Fragment,
    /// Number of the packet that holds fragment 0.
    first: u64,
    /// Its name among the flights, once the first of several fragments has left.
    flight: u64,
}

/// What precedes the body: mostly short enough to be kept here, so that a message costs no allocation and no
/// step to other memory.
#[derive(Debug)]
enum Head {
    Short { len: u8, bytes: [u8; SHORT_MAX] },
    Long(Vec<u8>),
}

/// Longest head that is kept in place, in bytes: that of a snapshot has 37 at most.
const SHORT_MAX: usize = 38;

impl Head {
    fn new(head: &[u8]) -> Self {
        let mut bytes = [0; SHORT_MAX];
        match (u8::try_from(head.len()), bytes.get_mut(..head.len())) {
            (Ok(len), Some(place)) => {
                place.copy_from_slice(head);
                Self::Short { len, bytes }
            }
            _ => Self::Long(head.to_vec()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// A message as the caller offers it: `head`, then `body`.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) key: u16,
    pub(crate) head: &'a [u8],
    pub(crate) body: Bytes,
    pub(crate) tag: Option<Tag>,
}

impl LatestSend {
    pub(crate) fn new(message_max: usize) -> Self {
        Self {
            message_max,
            queue: VecDeque::new(),
            flights: Flights::default(),
        }
    }

    /// See [`super::fetch`].
    pub(super) fn fetch_parts(&self, fetch: Fetch) {
        fetch.ends(self.queue.as_slices().0);
    }

    /// Queues a message. Gives the tag of the one it replaces.
    pub(crate) fn offer(&mut self, offer: Offer<'_>) -> Result<Option<Tag>, SendError> {
        let len = offer.head.len() + offer.body.len();
        if len > self.message_max {
            return Err(SendError::TooLong {
                len,
                max: self.message_max,
            });
        }
        let fragment = Fragment {
            index: 0,
            count: Fragment::count_of(len),
        };
        let unsent = |old: &&mut Outgoing| old.key == offer.key && old.fragment.index == 0;
        if let Some(old) = self.queue.iter_mut().find(unsent) {
            old.head = Head::new(offer.head);
            old.body = offer.body;
            old.fragment = fragment;
            return Ok(std::mem::replace(&mut old.tag, offer.tag));
        }
        if self.queue.len() >= LATEST_KEYS_MAX {
            return Err(SendError::QueueFull);
        }
        let Offer {
            key,
            head,
            body,
            tag,
        } = offer;
        if self.queue.capacity() == 0 {
            // Nearly all have one seat. More is taken once more waits.
            self.queue.reserve_exact(1);
        }
        self.queue.push_back(Outgoing {
            key,
            head: Head::new(head),
            body,
            tag,
            fragment,
            first: 0,
            flight: 0,
        });
        Ok(None)
    }

    /// True if something waits to leave.
    pub(crate) fn has_pending(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Fills packet `number` with what fits, oldest message first.
    pub(crate) fn fill(
        &mut self,
        number: u64,
        writer: &mut FrameWriter<'_>,
        carried: &mut Vec<Carried>,
    ) {
        let mut index = 0;
        while let Some(key) = self.queue.get(index).map(|message| message.key) {
            // A newer message must not overtake the rest of one under way.
            if self
                .queue
                .iter()
                .take(index)
                .any(|earlier| earlier.key == key)
            {
                index += 1;
                continue;
            }
            let Some(message) = self.queue.get_mut(index) else {
                return;
            };
            while !message.is_done() && message.write(number, writer) {
                carried.extend(message.on_written(&mut self.flights));
            }
            if message.is_done() {
                self.queue.remove(index);
            } else {
                index += 1;
            }
        }
        if self.queue.is_empty() {
            // The next message is where this one was: in play that stays in reach.
            self.queue.clear();
        }
    }

    /// The peer has a fragment. Gives the message's tag once it has all of them.
    pub(crate) fn on_acked(&mut self, flight: u64) -> Option<Tag> {
        let open = self.flights.open.get_mut(&flight)?;
        open.left -= 1;
        if open.left > 0 {
            return None;
        }
        self.flights.open.remove(&flight).map(|flight| flight.tag)
    }

    /// A fragment is lost, and so is its message. Gives its tag, the first time.
    pub(crate) fn on_lost(&mut self, flight: u64) -> Option<Tag> {
        self.flights.open.remove(&flight).map(|flight| flight.tag)
    }
}

impl Outgoing {
    const fn is_done(&self) -> bool {
        self.fragment.index == self.fragment.count
    }

    /// Moves on to the next fragment; gives what the packet carries if its fate matters.
    fn on_written(&mut self, flights: &mut Flights) -> Option<Carried> {
        let Fragment { index, count } = self.fragment;
        self.fragment.index += 1;
        let tag = self.tag?;
        if count == 1 {
            return Some(Carried::Latest(tag));
        }
        if index == 0 {
            self.flight = flights.next;
            flights.next += 1;
            flights
                .open
                .insert(self.flight, Flight { tag, left: count });
        }
        Some(Carried::LatestFragment(self.flight))
    }

    /// Writes the next fragment if it fits.
    fn write(&mut self, number: u64, writer: &mut FrameWriter<'_>) -> bool {
        if self.fragment.index == 0 {
            self.first = number;
        }
        let back = number - self.first;
        let head = self.head.bytes();
        let split = head.len();
        let range = self.fragment.range(split + self.body.len());
        debug_assert!(range.len() <= FRAGMENT_MAX);
        let head = head.get(range.start.min(split)..range.end.min(split));
        let from = range.start.saturating_sub(split);
        let body = self.body.get(from..range.end.saturating_sub(split));
        let data = [head.unwrap_or_default(), body.unwrap_or_default()];
        LatestFrame {
            key: self.key,
            fragment: self.fragment,
            back,
            data,
        }
        .write(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frame;
    use super::*;
    use crate::limits::LATEST_MAX;
    use crate::random::Rng;
    use crate::wire::Reader;

    fn offer(
        lane: &mut LatestSend,
        key: u16,
        len: usize,
        tag: Tag,
    ) -> Result<Option<Tag>, SendError> {
        let body = Bytes::from(vec![0; len - 1]);
        lane.offer(Offer {
            key,
            head: &[9],
            body,
            tag: Some(tag),
        })
    }

    /// Sends packet `number`; gives key, fragment and way back of its frames.
    fn packet(lane: &mut LatestSend, number: u64) -> (Vec<(u16, u8, u64)>, Vec<Carried>) {
        let mut out = Vec::new();
        let mut writer = FrameWriter::new(&mut out);
        let mut carried = Vec::new();
        lane.fill(number, &mut writer, &mut carried);
        let mut reader = Reader::new(&out);
        let mut frames = Vec::new();
        while !reader.is_empty() {
            let Ok(Frame::Latest(frame)) = Frame::read(&mut reader) else {
                panic!("latest frame")
            };
            frames.push((frame.key, frame.fragment.index, frame.back));
        }
        (frames, carried)
    }

    #[test]
    fn an_unsent_message_is_replaced_and_its_tag_told() {
        let mut lane = LatestSend::new(LATEST_MAX);
        assert_eq!(offer(&mut lane, 1, 10, 100), Ok(None));
        assert_eq!(offer(&mut lane, 2, 10, 200), Ok(None));
        assert_eq!(offer(&mut lane, 1, 20, 101), Ok(Some(100)));
        let (frames, carried) = packet(&mut lane, 5);
        assert_eq!(frames, [(1, 0, 0), (2, 0, 0)]);
        assert_eq!(carried, [Carried::Latest(101), Carried::Latest(200)]);
        assert!(!lane.has_pending());
    }

    #[test]
    fn fragments_name_the_packet_of_the_first_and_share_one_fate() {
        let mut lane = LatestSend::new(LATEST_MAX);
        offer(&mut lane, 1, 2 * FRAGMENT_MAX + 40, 100).unwrap();
        assert_eq!(packet(&mut lane, 7).0, [(1, 0, 0)]);
        assert_eq!(
            offer(&mut lane, 1, 3, 101),
            Ok(None),
            "under way: no longer replaced"
        );
        assert_eq!(packet(&mut lane, 8).0, [(1, 1, 1)], "the rest does not fit");
        assert_eq!(
            packet(&mut lane, 9).0,
            [(1, 2, 2), (1, 0, 0)],
            "a newer one waits for it"
        );
        assert_eq!(lane.on_acked(0), None);
        assert_eq!(lane.on_acked(0), None);
        assert_eq!(lane.on_acked(0), Some(100));
        assert_eq!(lane.on_acked(0), None);
        assert_eq!(lane.on_lost(0), None);
        assert!(lane.flights.open.is_empty());
    }

    #[test]
    fn one_lost_fragment_loses_the_message_once() {
        let mut lane = LatestSend::new(LATEST_MAX);
        offer(&mut lane, 1, 2 * FRAGMENT_MAX, 100).unwrap();
        packet(&mut lane, 0);
        packet(&mut lane, 1);
        assert_eq!(lane.on_acked(0), None);
        assert_eq!(lane.on_lost(0), Some(100));
        assert_eq!(lane.on_lost(0), None);
        assert_eq!(lane.on_acked(0), None);
    }

    #[test]
    fn head_and_body_are_cut_as_one_message() {
        let body: Bytes = (0..=255_u8).cycle().take(2_000).collect();
        for head_len in [0, 1, FRAGMENT_MAX - 1, FRAGMENT_MAX, FRAGMENT_MAX + 7] {
            let head = vec![0xaa; head_len];
            let mut lane = LatestSend::new(LATEST_MAX);
            lane.offer(Offer {
                key: 0,
                head: &head,
                body: body.clone(),
                tag: None,
            })
            .unwrap();
            let mut message = Vec::new();
            for number in 0.. {
                if !lane.has_pending() {
                    break;
                }
                let mut out = Vec::new();
                let mut writer = FrameWriter::new(&mut out);
                lane.fill(number, &mut writer, &mut Vec::new());
                let mut reader = Reader::new(&out);
                while !reader.is_empty() {
                    let Ok(Frame::Latest(frame)) = Frame::read(&mut reader) else {
                        panic!()
                    };
                    message.extend_from_slice(frame.data[0]);
                }
            }
            assert_eq!(message, [&head[..], &body[..]].concat());
        }
    }

    #[test]
    fn length_and_keys_are_bounded() {
        let mut lane = LatestSend::new(LATEST_MAX);
        let error = SendError::TooLong {
            len: LATEST_MAX + 1,
            max: LATEST_MAX,
        };
        assert_eq!(offer(&mut lane, 0, LATEST_MAX + 1, 0), Err(error));
        assert_eq!(offer(&mut lane, 0, LATEST_MAX, 0), Ok(None));
        for key in 1..u16::try_from(LATEST_KEYS_MAX).unwrap() {
            offer(&mut lane, key, 1, 0).unwrap();
        }
        assert_eq!(offer(&mut lane, 999, 1, 0), Err(SendError::QueueFull));
        assert_eq!(offer(&mut lane, 5, 1, 0), Ok(Some(0)));
    }

    #[test]
    fn whatever_becomes_of_packets_no_more_is_remembered_than_they_carry() {
        for seed in 0..50 {
            let mut rng = Rng::from_number(seed);
            let mut lane = LatestSend::new(LATEST_MAX);
            let longest = [4, FRAGMENT_MAX + 9, LATEST_MAX][rng.index(3)];
            // Packets whose fate is open: as in the log of sent ones, the oldest of too many is lost.
            let mut sent: VecDeque<Vec<Carried>> = VecDeque::new();
            for number in 0..3_000 {
                for _ in 0..rng.index(40) {
                    let key = u16::try_from(rng.below(500)).unwrap();
                    let is_full = lane.queue.len() >= LATEST_KEYS_MAX;
                    match offer(&mut lane, key, 1 + rng.index(longest), number) {
                        Ok(_) => {}
                        Err(error) => assert!(is_full && error == SendError::QueueFull),
                    }
                    assert!(lane.queue.len() <= LATEST_KEYS_MAX);
                }
                sent.push_back(packet(&mut lane, number).1);
                let settled = match rng.chance(0.7) {
                    true => sent.remove(rng.index(sent.len())),
                    false if sent.len() > 100 => sent.pop_front(),
                    false => None,
                };
                let acked = rng.chance(0.9);
                for carried in settled.into_iter().flatten() {
                    if let Carried::LatestFragment(flight) = carried {
                        match acked {
                            true => lane.on_acked(flight),
                            false => lane.on_lost(flight),
                        };
                    }
                }
                // Besides, one message may be half on its way.
                let carried = sent.iter().flatten().count() + 1;
                assert!(lane.flights.open.len() <= carried);
                assert!(lane.queue.len() <= LATEST_KEYS_MAX);
            }
        }
    }
}
