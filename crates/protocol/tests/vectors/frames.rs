//! Golden bytes of every type of frame, taken out of packets that connections send.

use std::time::Duration;

use bytes::Bytes;
use rejoin_protocol::connection::{Connection, OrderedStream, Role, Setup};
use rejoin_protocol::crypto::{Suite, TrafficSecret};
use rejoin_protocol::limits::{ACK_DELAY_MAX, FRAGMENT_MAX};
use rejoin_protocol::packet::{Header, TruncatedNumber};
use rejoin_protocol::{CloseReason, Epoch, Limit, Timestamp};

use crate::golden::{Vectors, golden};

pub(crate) const START: Timestamp = Timestamp::from_millis(1_000);
const SUITE: Suite = Suite::Aes128Gcm;

/// One side, and the number of its next packet.
pub(crate) struct Side {
    pub(crate) connection: Connection,
    secret: TrafficSecret,
    next: u64,
}

impl Side {
    pub(crate) fn new(role: Role) -> Self {
        let [up, down] = [1, 3].map(|byte| TrafficSecret::new(SUITE, [byte; 32]));
        let (seal, open) = match role {
            Role::Client => (up, down),
            Role::Server => (down, up),
        };
        let setup = Setup {
            role,
            seal: seal.clone(),
            open,
            send_id: None,
            labelled: false,
            epoch: Epoch(3),
        };
        Self {
            connection: Connection::new(setup, Some(Duration::from_millis(50)), START),
            secret: seal,
            next: 0,
        }
    }

    /// The next datagram, and the frames in it.
    pub(crate) fn send(&mut self, now: Timestamp) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut datagram = Vec::new();
        let sent = self.connection.poll_transmit(&mut datagram, now);
        sent.then(|| self.look_into(datagram))
    }

    fn look_into(&mut self, datagram: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let (header, len) = Header::decode(&datagram).unwrap();
        let number = header.number.expand(self.next).unwrap();
        self.next = number + 1;
        let mut opened = datagram.clone();
        let (header, body) = opened.split_at_mut(len);
        let frames = self.secret.key().open(number, header, body).unwrap();
        (datagram, frames.to_vec())
    }

    /// A packet of our own making, as this side would send it.
    pub(crate) fn forge(&mut self, frames: &[u8]) -> Vec<u8> {
        let number = TruncatedNumber::shortest(self.next, self.next.checked_sub(1));
        let header = Header {
            epoch_bits: 3,
            key_phase: false,
            label: None,
            number,
        };
        let mut packet = Vec::new();
        let len = header.encode(&mut packet);
        packet.extend_from_slice(frames);
        self.secret.key().seal(self.next, &mut packet, 0, len);
        self.next += 1;
        packet
    }

    fn frames(&mut self, now: Timestamp) -> Vec<u8> {
        self.send(now).expect("something waits").1
    }
}

/// Two sides that know of each other's heartbeat and owe each other nothing.
pub(crate) fn settled() -> (Side, Side, Timestamp) {
    let (mut client, mut server) = (Side::new(Role::Client), Side::new(Role::Server));
    let now = START + ACK_DELAY_MAX;
    for at in [START, now] {
        let up = client.send(at).unwrap().0;
        let down = server.send(at).unwrap().0;
        server.connection.handle_datagram(&mut { up }, at).unwrap();
        client
            .connection
            .handle_datagram(&mut { down }, at)
            .unwrap();
    }
    for side in [&mut client, &mut server] {
        while side.connection.poll_event().is_some() {}
    }
    (client, server, now)
}

/// Two messages in one packet: a frame with a length, and one without.
fn short(lanes: [&str; 2], head: usize, send: impl Fn(&mut Connection), out: &mut Vectors) {
    let (mut client, _, now) = settled();
    send(&mut client.connection);
    let mut first = client.frames(now);
    let second = first.split_off(head + b"one".len());
    let [lane, of_second] = lanes;
    out.insert(format!("{lane}, length"), first);
    out.insert(of_second.to_owned(), second);
}

/// One message in two frames: the first with a length.
fn long(lane: &str, head: usize, send: impl Fn(&mut Connection, Bytes), out: &mut Vectors) {
    let (mut client, _, now) = settled();
    let message = [vec![b'a'; FRAGMENT_MAX], b"rest".to_vec()].concat();
    send(&mut client.connection, message.into());
    let mut first = client.frames(now);
    let last = first.split_off(head + FRAGMENT_MAX);
    out.insert(format!("{lane}, fragment, length"), first);
    out.insert(format!("{lane}, fragment"), last);
}

/// A stream's frames: type, message id and length; of a fragment also index and count, and its length takes two bytes.
fn stream(lane: &str, send: impl Fn(&mut Connection, Bytes), out: &mut Vectors) {
    let both = |connection: &mut Connection| {
        send(connection, Bytes::from_static(b"one"));
        send(connection, Bytes::from_static(b"two"));
    };
    short([lane, lane], 3, both, out);
    long(lane, 6, send, out);
}

/// Frames of the latest lane, of key 0 and of another, which takes a byte.
fn latest(out: &mut Vectors) {
    let send = |connection: &mut Connection, key, message| {
        connection.send_latest(key, b"", message, None).unwrap();
    };
    let lanes = [("latest", 0), ("latest, key", 5)];
    for ((lane, key), (other, other_key), head) in
        [(lanes[0], lanes[1], 2), (lanes[1], lanes[0], 3)]
    {
        let both = |connection: &mut Connection| {
            send(connection, key, Bytes::from_static(b"one"));
            send(connection, other_key, Bytes::from_static(b"two"));
        };
        short([lane, other], head, both, out);
        let one = |connection: &mut Connection, message| send(connection, key, message);
        long(lane, head + 3, one, out);
    }
}

fn lanes(out: &mut Vectors) {
    stream(
        "control",
        |connection, message| connection.send_control(message).unwrap(),
        out,
    );
    for (number, ordered) in (0..).zip(OrderedStream::ALL) {
        let send = |connection: &mut Connection, message| {
            connection.send_ordered_on(ordered, message, None).unwrap();
        };
        stream(&format!("ordered {number}"), send, out);
    }
    latest(out);
}

/// The frames without data.
fn signals(out: &mut Vectors) {
    let mut put = |name: &str, bytes| out.insert(name.to_owned(), bytes);
    put("heartbeat", Side::new(Role::Client).frames(START));

    let (mut client, mut server, now) = settled();
    client.connection.loading(Duration::from_secs(20));
    put("loading", client.frames(now));
    client.connection.loaded();
    put("loaded", client.frames(now));
    let mut challenge = Vec::new();
    assert!(
        server
            .connection
            .challenge(*b"receive?", &mut challenge, now)
    );
    put("path challenge", server.look_into(challenge.clone()).1);
    client
        .connection
        .handle_datagram(&mut challenge, now)
        .unwrap();
    put("path answer", client.frames(now));

    // Of six packets two are lost; the newest is acknowledged after 40 ms.
    let (mut client, mut server, now) = settled();
    for lost in [false, false, true, false, true, false] {
        client
            .connection
            .send_control(Bytes::from_static(b"one"))
            .unwrap();
        let (mut datagram, _) = client.send(now).unwrap();
        if !lost {
            server
                .connection
                .handle_datagram(&mut datagram, now)
                .unwrap();
        }
    }
    put("ack, further ranges", server.frames(now + ACK_DELAY_MAX));
    let (mut client, mut server, now) = settled();
    client
        .connection
        .send_control(Bytes::from_static(b"one"))
        .unwrap();
    let (mut datagram, _) = client.send(now).unwrap();
    server
        .connection
        .handle_datagram(&mut datagram, now)
        .unwrap();
    put("ack", server.frames(now + ACK_DELAY_MAX));

    // What is lost and not sent again leaves a probe nothing to carry.
    let (mut client, _, now) = settled();
    client
        .connection
        .send_latest(5, b"", Bytes::from_static(b"one"), None)
        .unwrap();
    client.frames(now);
    let probe = client.connection.poll_timeout().unwrap();
    client.connection.handle_timeout(probe);
    put("ping", client.frames(probe));

    for (name, reason) in [
        ("close, left", CloseReason::Left),
        ("close, over a limit", CloseReason::OverLimit(Limit::Inputs)),
    ] {
        let (mut client, _, now) = settled();
        client.connection.close(reason);
        put(name, client.frames(now));
    }
}

#[test]
fn frames_keep_their_bytes() {
    let mut ours = Vectors::new();
    lanes(&mut ours);
    signals(&mut ours);
    let stored = golden(
        "frames",
        "One frame of each type, as packets hold them.",
        ours,
    );
    for (name, frame) in stored {
        let (mut client, mut server, now) = settled();
        // So that there is something to acknowledge.
        for _ in 0..8 {
            server.connection.send_control(Bytes::new()).unwrap();
            server.frames(now);
        }
        let taken = server
            .connection
            .handle_datagram(&mut client.forge(&frame), now);
        assert_eq!(taken, Ok(()), "{name}");
    }
}
