//! Two ends of a connection, and a network and peers that do as a script says.
//!
//! As long as both ends are sound, whatever the network does: what one end accepts the other is
//! told in order and once, nothing that was changed is taken, and nobody closes. Once a peer
//! means ill only its own connection may suffer, and bounds hold.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::{
    Connection, ConnectionEvent, OrderedStream, PacketError, Role, Setup,
};
use rejoin_protocol::crypto::{Suite, TrafficSecret};
use rejoin_protocol::limits::{DATAGRAM_MAX, HELD_BY_SERVER_MAX};
use rejoin_protocol::packet::{Header, TruncatedNumber};
use rejoin_protocol::wire::Reader;
use rejoin_protocol::{CloseReason, Epoch, Timestamp};

use crate::script::Script;

const EPOCH: Epoch = Epoch(6);
const LABEL: [u8; 4] = [1, 2, 3, 4];
/// Datagrams under way to one end; beyond it the oldest is lost.
const UNDER_WAY_MAX: usize = 64;
/// Delivered datagrams kept for a replay.
const DELIVERED_MAX: usize = 16;
/// An old key is kept at least this long after a change: three probe timeouts of the fastest link.
const KEY_HELD_MIN: Duration = Duration::from_millis(100);
/// Datagrams that one end may send without waiting: all its queues hold, and as many probes.
const BURST_MAX: usize = 4_096;
/// Steps of 20 ms in which lost messages must have been sent again: probes back off that far.
const QUIET_MAX: u32 = 30_000;

/// The longest, three times over, is when keys change.
const SPANS_MS: [u64; 14] = [
    0, 1, 1, 5, 10, 10, 33, 33, 100, 250, 1_000, 6_000, 70_000, 1_300_000,
];
const LATEST_KEYS: [u16; 8] = [0, 0, 0, 0, 1, 1, 7, 79];
const LENGTHS: [usize; 12] = [
    0, 1, 20, 20, 300, 1_100, 1_151, 1_152, 4_000, 9_208, 65_536, 65_537,
];

/// One end, and what it was told and given.
struct End {
    connection: Connection,
    /// Datagrams with the moment they left.
    under_way: VecDeque<(Timestamp, Vec<u8>)>,
    delivered: VecDeque<Vec<u8>>,
    /// Accepted for sending and not told to the other end yet, per stream.
    control: VecDeque<Bytes>,
    ordered: BTreeMap<OrderedStream, VecDeque<Bytes>>,
    /// The newest number under which a message of the latest lane left.
    latest: BTreeMap<Bytes, u64>,
    /// The newest number told, by key of the lane.
    told: BTreeMap<u16, u64>,
    closed: Option<CloseReason>,
    /// It was asked to close.
    closing: bool,
}

struct Pair {
    now: Timestamp,
    ends: [End; 2],
    /// Nobody with keys means ill.
    sound: bool,
    /// A sound peer has been replaced by one that means ill.
    hostile: bool,
    messages: u64,
}

/// Plays a script; gives its steps.
pub(crate) fn play(bytes: &[u8]) -> u64 {
    let mut script = Script::new(bytes);
    // In every other play both peers are sound throughout.
    let sound = script.byte() < 128;
    let mut pair = Pair::new(sound);
    let mut steps = 0;
    while let Some(choice) = script.next() {
        pair.step(choice, &mut script);
        steps += 1;
        if pair.ends.iter().all(|end| end.closed.is_some()) {
            pair = Pair::new(sound);
        }
    }
    pair.finish();
    steps
}

/// What the packets of `side` are sealed with at first.
fn secret(side: usize) -> TrafficSecret {
    let secret = if side == 0 { [1; 32] } else { [2; 32] };
    TrafficSecret::new(Suite::Aes128Gcm, secret)
}

fn setup(side: usize) -> Setup {
    Setup {
        seal: secret(side),
        open: secret(1 - side),
        send_id: (side == 0).then_some(LABEL),
        labelled: side == 1,
        epoch: EPOCH,
        role: if side == 0 {
            Role::Client
        } else {
            Role::Server
        },
    }
}

impl End {
    fn new(side: usize, now: Timestamp) -> Self {
        Self {
            connection: Connection::new(setup(side), Some(Duration::from_millis(60)), now),
            under_way: VecDeque::new(),
            delivered: VecDeque::new(),
            control: VecDeque::new(),
            ordered: BTreeMap::new(),
            latest: BTreeMap::new(),
            told: BTreeMap::new(),
            closed: None,
            closing: false,
        }
    }
}

impl Pair {
    fn new(sound: bool) -> Self {
        let now = Timestamp::from_millis(1_000);
        let mut pair = Self {
            now,
            ends: [End::new(0, now), End::new(1, now)],
            sound,
            hostile: false,
            messages: 0,
        };
        pair.settle(0);
        pair.settle(1);
        pair
    }

    fn step(&mut self, choice: u8, script: &mut Script<'_>) {
        let side = usize::from(choice >> 7);
        match choice & 0x1f {
            0..=4 => self.pass(script),
            5..=11 => self.deliver(side, 0),
            12 | 13 => self.deliver(side, usize::from(script.byte())),
            14 => drop(self.end(side).under_way.pop_front()),
            15 => self.double(side),
            16 | 17 => self.deliver_changed(side, script),
            18 => self.replay(side, script),
            19 | 20 => self.send_control(side, script),
            21..=23 => self.send_ordered(side, script),
            24 | 25 => self.send_latest(side, script),
            26 => {
                let interval = Duration::from_millis(script.pick(&SPANS_MS));
                self.end(side).connection.set_heartbeat(interval);
            }
            27 if script.byte() < 8 => self.close(side, script),
            28 if !self.sound => self.forge(side, script),
            29 | 30 if !self.sound => self.reseal(side, script),
            31 if script.byte() < 128 => self.challenge(side, script),
            _ => self.deliver_garbage(side, script),
        }
        self.settle(0);
        self.settle(1);
    }

    fn end(&mut self, side: usize) -> &mut End {
        self.ends.get_mut(side).expect("there are two sides")
    }

    fn pass(&mut self, script: &mut Script<'_>) {
        self.now += Duration::from_millis(script.pick(&SPANS_MS));
    }

    /// Hands over a datagram for the first time.
    fn deliver(&mut self, side: usize, index: usize) {
        let (now, hostile) = (self.now, self.hostile);
        let end = self.end(side);
        let index = index % end.under_way.len().max(1);
        let Some((sent, datagram)) = end.under_way.remove(index) else {
            return;
        };
        let outcome = end.connection.handle_datagram(&mut datagram.clone(), now);
        match outcome {
            // Too old to tell is the one excuse of a sound datagram: replays, or a key long gone.
            Ok(()) | Err(PacketError::Replayed | PacketError::Closed) => {}
            Err(PacketError::NotAuthentic) if now.since(sent) > KEY_HELD_MIN => {}
            Err(error) => assert!(hostile, "a sound datagram is refused: {error}"),
        }
        end.delivered.push_front(datagram);
        end.delivered.truncate(DELIVERED_MAX);
    }

    fn double(&mut self, side: usize) {
        let end = self.end(side);
        let copy = end.under_way.front().cloned();
        end.under_way.extend(copy);
    }

    fn replay(&mut self, side: usize, script: &mut Script<'_>) {
        let now = self.now;
        let end = self.end(side);
        let index = usize::from(script.byte()) % end.delivered.len().max(1);
        if let Some(datagram) = end.delivered.get(index) {
            let outcome = end.connection.handle_datagram(&mut datagram.clone(), now);
            assert!(outcome.is_err(), "a packet is taken once");
            assert!(!matches!(outcome, Err(PacketError::Violation(_))));
        }
    }

    /// The network changes a datagram; the original is still under way.
    fn deliver_changed(&mut self, side: usize, script: &mut Script<'_>) {
        let end = self.end(side);
        let Some((_, original)) = end.under_way.front().cloned() else {
            return;
        };
        let mut changed = original.clone();
        script.edit(&mut changed);
        if changed != original {
            self.deliver_foreign(side, changed);
        }
    }

    fn deliver_garbage(&mut self, side: usize, script: &mut Script<'_>) {
        self.deliver_foreign(side, script.bytes().to_vec());
    }

    /// What no peer sealed is refused, and closes nothing.
    fn deliver_foreign(&mut self, side: usize, mut datagram: Vec<u8>) {
        let now = self.now;
        let connection = &mut self.end(side).connection;
        let (expected, liveness) = (connection.next_expected(), connection.liveness());
        let outcome = connection.handle_datagram(&mut datagram, now);
        assert!(outcome.is_err(), "what nobody sealed is taken");
        assert!(!matches!(outcome, Err(PacketError::Violation(_))));
        assert_eq!(connection.next_expected(), expected);
        assert_eq!(connection.liveness(), liveness);
    }

    fn message(&mut self, script: &mut Script<'_>) -> Bytes {
        self.messages += 1;
        let mut message = vec![0; script.pick(&LENGTHS)];
        for (place, byte) in message.iter_mut().zip(self.messages.to_be_bytes()) {
            *place = byte;
        }
        message.into()
    }

    fn send_control(&mut self, side: usize, script: &mut Script<'_>) {
        let message = self.message(script);
        let end = self.end(side);
        if end.connection.send_control(message.clone()).is_ok() {
            end.control.push_back(message);
        }
    }

    fn send_ordered(&mut self, side: usize, script: &mut Script<'_>) {
        let (message, tag) = (self.message(script), self.messages);
        // Those too short for a number of their own share a stream, so that each names its stream.
        let picked = script.pick(&OrderedStream::ALL);
        let [first, ..] = OrderedStream::ALL;
        let stream = if message.len() < 8 { first } else { picked };
        let end = self.end(side);
        let sent = end
            .connection
            .send_ordered_on(stream, message.clone(), Some(tag));
        if sent.is_ok() {
            end.ordered.entry(stream).or_default().push_back(message);
        }
    }

    fn send_latest(&mut self, side: usize, script: &mut Script<'_>) {
        let (body, tag) = (self.message(script), self.messages);
        // Mostly the same few keys, so that messages replace and overtake each other.
        let (key, head) = (script.pick(&LATEST_KEYS), script.bytes());
        let end = self.end(side);
        // A number of its own makes each message one of a kind.
        let head = [&tag.to_be_bytes(), head].concat();
        let whole = [head.as_slice(), &body].concat();
        if end
            .connection
            .send_latest(key, &head, body, Some(tag))
            .is_ok()
        {
            end.latest.insert(whole.into(), tag);
        }
    }

    fn close(&mut self, side: usize, script: &mut Script<'_>) {
        let reason = [script.byte() % 12, script.byte() % 16];
        let reason = CloseReason::read(&mut Reader::new(&reason)).expect("both bytes are there");
        self.end(side).closing = true;
        self.end(side).connection.close(reason);
    }

    /// Asks whether the other end receives at another address; the question may be lost.
    fn challenge(&mut self, side: usize, script: &mut Script<'_>) {
        let (now, token) = (self.now, [script.byte(); 8]);
        let mut datagram = Vec::new();
        if self
            .end(side)
            .connection
            .challenge(token, &mut datagram, now)
        {
            self.end(1 - side).under_way.push_back((now, datagram));
        }
    }

    /// A peer with keys sends frames of its own making.
    fn forge(&mut self, side: usize, script: &mut Script<'_>) {
        let frames = script.bytes().to_vec();
        let ahead = script.pick(&[0, 0, 0, 1, 2, 1_000, 30_000]);
        self.deliver_sealed(side, &frames, ahead);
    }

    /// A peer with keys changes the frames of a sound packet.
    fn reseal(&mut self, side: usize, script: &mut Script<'_>) {
        let end = self.end(side);
        let expected = end.connection.next_expected();
        let Some((_, mut datagram)) = end.under_way.pop_front() else {
            return;
        };
        let Ok((header, len)) = Header::decode(&datagram) else {
            return;
        };
        let Some(number) = header.number.expand(expected) else {
            return;
        };
        let (clear, body) = datagram.split_at_mut(len);
        let Ok(frames) = secret(1 - side).key().open(number, clear, body) else {
            return;
        };
        let mut frames = frames.to_vec();
        script.edit(&mut frames);
        self.deliver_sealed(side, &frames, 0);
    }

    fn deliver_sealed(&mut self, side: usize, frames: &[u8], ahead: u64) {
        self.hostile = true;
        let now = self.now;
        let connection = &mut self.end(side).connection;
        let number = connection.next_expected() + ahead;
        let mut packet = Vec::new();
        let header = Header {
            epoch_bits: EPOCH.bits(),
            key_phase: false,
            label: (side == 1).then_some(LABEL),
            number: TruncatedNumber::shortest(number, number.checked_sub(1 + ahead)),
        };
        let len = header.encode(&mut packet);
        packet.extend_from_slice(frames);
        secret(1 - side).key().seal(number, &mut packet, 0, len);
        let was_over = connection.is_closed();
        let outcome = connection.handle_datagram(&mut packet, now);
        if let Err(PacketError::Violation(what)) = outcome {
            assert!(!was_over && !what.is_empty(), "a violation is told once");
            let mut goodbye = Vec::new();
            while connection.poll_transmit(&mut goodbye, now) {}
            assert!(connection.is_closed(), "a violation ends its connection");
            assert!(goodbye.len() <= DATAGRAM_MAX, "one packet says goodbye");
        }
    }

    /// A quiet while without loss, after which all that was accepted has arrived.
    fn finish(&mut self) {
        for _ in 0..QUIET_MAX {
            let closing = self.ends.iter().any(|end| end.closing);
            let arrived =
                |end: &End| end.control.is_empty() && end.ordered.values().all(VecDeque::is_empty);
            if self.hostile || closing || self.ends.iter().all(arrived) {
                return;
            }
            self.now += Duration::from_millis(20);
            for side in [0, 1] {
                while !self.end(side).under_way.is_empty() {
                    self.deliver(side, 0);
                }
            }
            self.settle(0);
            self.settle(1);
        }
        panic!("a reliable message is lost");
    }

    /// Everything that wants to happen now, happens; then there is a reason to wait.
    fn settle(&mut self, side: usize) {
        let now = self.now;
        for _ in 0..4 {
            let end = self.end(side);
            if end.connection.poll_timeout().is_some_and(|due| due <= now) {
                end.connection.handle_timeout(now);
            }
            self.drain(side);
            let held = self.end(side).connection.held_bytes();
            assert!(
                side == 0 || held <= HELD_BY_SERVER_MAX,
                "a server holds {held} bytes"
            );
            let next = self.end(side).connection.poll_timeout();
            if next.is_none_or(|next| next > now) {
                let closed = self.end(side).connection.is_closed();
                assert_eq!(
                    next.is_none(),
                    closed,
                    "the open have something to wait for"
                );
                return;
            }
        }
        panic!("the connection wants to be called again and again");
    }

    fn drain(&mut self, side: usize) {
        let now = self.now;
        for _ in 0..BURST_MAX {
            while let Some(event) = self.end(side).connection.poll_event() {
                self.on_event(side, event);
            }
            let mut datagram = Vec::new();
            if !self.end(side).connection.poll_transmit(&mut datagram, now) {
                while let Some(event) = self.end(side).connection.poll_event() {
                    self.on_event(side, event);
                }
                return;
            }
            assert!(datagram.len() <= DATAGRAM_MAX, "a datagram is bounded");
            let other = self.end(1 - side);
            other.under_way.push_back((now, datagram));
            if other.under_way.len() > UNDER_WAY_MAX {
                other.under_way.pop_front();
            }
        }
        panic!("the connection sends without end");
    }

    fn on_event(&mut self, side: usize, event: ConnectionEvent) {
        let hostile = self.hostile;
        assert_eq!(self.end(side).closed, None, "Closed is the last event");
        let from = self.end(1 - side);
        match event {
            ConnectionEvent::Control(message) => {
                assert!(
                    hostile || from.control.pop_front() == Some(message),
                    "control messages arrive once and in order"
                );
            }
            ConnectionEvent::Ordered(message) => {
                let next = |queue: &&mut VecDeque<Bytes>| queue.front() == Some(&message);
                let stream = from.ordered.values_mut().find(next);
                assert!(
                    hostile || stream.is_some_and(|queue| queue.pop_front().is_some()),
                    "ordered messages arrive once and in order"
                );
            }
            ConnectionEvent::Latest { key, message } => {
                if hostile {
                    return;
                }
                let number = from.latest.get(&message).copied();
                let number = number.expect("what arrives was sent");
                let before = self.end(side).told.insert(key, number);
                assert!(before < Some(number), "the latest lane goes back");
            }
            ConnectionEvent::Closed(reason) => {
                let asked = from.closing || self.end(side).closing;
                assert!(hostile || asked, "nobody asked for the end: {reason}");
                self.end(side).closed = Some(reason);
            }
            ConnectionEvent::Confirmed
            | ConnectionEvent::Acked(_)
            | ConnectionEvent::Lost(_)
            | ConnectionEvent::Liveness(_)
            | ConnectionEvent::PathAnswered(_)
            | _ => {}
        }
    }
}
