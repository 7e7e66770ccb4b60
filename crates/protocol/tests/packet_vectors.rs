//! Golden bytes of data packets: both directions, both suites, every kind of frame.

#[path = "../../../tests/vectors/golden.rs"]
mod golden;

use std::time::Duration;

use bytes::Bytes;
use golden::{Vectors, golden, vectors};
use rejoin_protocol::connection::{Connection, ConnectionEvent, OrderedStream, Role, Setup};
use rejoin_protocol::crypto::{Suite, TrafficSecret};
use rejoin_protocol::limits::FRAGMENT_MAX;
use rejoin_protocol::{CloseReason, Epoch, Liveness, Timestamp};

const START: Timestamp = Timestamp::from_millis(1_000);

fn up(suite: Suite) -> TrafficSecret {
    TrafficSecret::new(suite, [1; 32])
}

fn down(suite: Suite) -> TrafficSecret {
    TrafficSecret::new(suite, [3; 32])
}

fn client(suite: Suite) -> Connection {
    let (seal, open) = (up(suite), down(suite));
    let setup = Setup {
        role: Role::Client,
        seal,
        open,
        send_id: Some([9, 8, 7, 6]),
        labelled: false,
        epoch: Epoch(3),
    };
    Connection::new(setup, Some(Duration::from_millis(50)), START)
}

fn server(suite: Suite) -> Connection {
    let (seal, open) = (down(suite), up(suite));
    let setup = Setup {
        role: Role::Server,
        seal,
        open,
        send_id: None,
        labelled: true,
        epoch: Epoch(3),
    };
    Connection::new(setup, Some(Duration::from_millis(50)), START)
}

/// Everything `connection` sends now, named in order.
fn sent(name: &str, connection: &mut Connection, now: Timestamp, out: &mut Vectors) {
    let mut datagram = Vec::new();
    while connection.poll_transmit(&mut datagram, now) {
        let number = out.len();
        out.insert(format!("{number:02}-{name}"), std::mem::take(&mut datagram));
    }
}

fn events(connection: &mut Connection) -> Vec<ConnectionEvent> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

fn long(len: usize) -> Bytes {
    (0..=255_u8).cycle().take(len).collect()
}

/// A client says one thing after the other.
fn upward(suite: Suite) -> Vectors {
    let mut out = vectors([]);
    let mut client = client(suite);
    sent("heartbeat", &mut client, START, &mut out);
    client
        .send_control(Bytes::from_static(b"control"))
        .expect("the queue is empty");
    sent("control", &mut client, START, &mut out);
    client
        .send_ordered(long(FRAGMENT_MAX + 100), None)
        .expect("the queue is empty");
    sent("ordered", &mut client, START, &mut out);
    client
        .send_latest(5, b"head", Bytes::from_static(b"body"), None)
        .expect("the lane is empty");
    sent("latest", &mut client, START, &mut out);
    client
        .send_latest(300, b"head", long(2 * FRAGMENT_MAX), None)
        .expect("the lane is empty");
    sent("latest-fragment", &mut client, START, &mut out);
    client
        .send_control(Bytes::from_static(b"control"))
        .expect("the queue is empty");
    client
        .send_latest(5, b"", Bytes::from_static(b"move"), None)
        .expect("the lane is empty");
    client
        .send_ordered(Bytes::from_static(b"shot"), None)
        .expect("the queue is empty");
    client
        .send_ordered_on(OrderedStream::ALL[3], Bytes::from_static(b"beside"), None)
        .expect("the queue is empty");
    sent("all-lanes", &mut client, START, &mut out);
    client.loading(Duration::from_secs(20));
    sent("loading", &mut client, START, &mut out);
    client.loaded();
    sent("loaded", &mut client, START, &mut out);
    client.close(CloseReason::Left);
    sent("close", &mut client, START, &mut out);
    out
}

/// A server acknowledges what came, with a gap, and is then left without an answer.
fn downward(suite: Suite) -> Vectors {
    let mut out = vectors([]);
    let mut server = server(suite);
    for (index, datagram) in upward(suite).into_values().take(7).enumerate() {
        let mut datagram = datagram;
        let now = START + Duration::from_millis(10);
        if index != 3 {
            server
                .handle_datagram(&mut datagram, now)
                .expect("the packets are good");
            events(&mut server);
        }
    }
    sent(
        "ack-heartbeat",
        &mut server,
        START + Duration::from_millis(31),
        &mut out,
    );
    let mut now = START;
    while out.len() < 2 {
        now = server.poll_timeout().expect("the heartbeat is unanswered");
        server.handle_timeout(now);
        sent("probe", &mut server, now, &mut out);
    }
    server.close(CloseReason::ServerStopping);
    sent("close", &mut server, now, &mut out);
    out
}

/// Feeds stored packets to a connection; gives all it tells.
fn told(stored: Vectors, connection: &mut Connection) -> Vec<ConnectionEvent> {
    let mut told = Vec::new();
    for (name, mut datagram) in stored {
        let result = connection.handle_datagram(&mut datagram, START);
        assert_eq!(result, Ok(()), "{name}");
        told.extend(events(connection));
    }
    told
}

#[test]
fn packets_keep_their_bytes() {
    for (suite, name) in [
        (Suite::Aes128Gcm, "aes"),
        (Suite::ChaCha20Poly1305, "chacha"),
    ] {
        let file = format!("packet-up-{name}");
        let stored = golden(&file, "Data packets of a client, in order.", upward(suite));
        let latest = |key, message| ConnectionEvent::Latest { key, message };
        assert_eq!(
            told(stored, &mut server(suite)),
            [
                ConnectionEvent::Confirmed,
                ConnectionEvent::Control(Bytes::from_static(b"control")),
                ConnectionEvent::Ordered(long(FRAGMENT_MAX + 100)),
                latest(5, Bytes::from_static(b"headbody")),
                latest(300, [b"head", &long(2 * FRAGMENT_MAX)[..]].concat().into()),
                ConnectionEvent::Control(Bytes::from_static(b"control")),
                latest(5, Bytes::from_static(b"move")),
                ConnectionEvent::Ordered(Bytes::from_static(b"beside")),
                ConnectionEvent::Ordered(Bytes::from_static(b"shot")),
                ConnectionEvent::Liveness(Liveness::Loading),
                ConnectionEvent::Liveness(Liveness::Live),
                ConnectionEvent::Closed(CloseReason::Left),
            ]
        );

        let file = format!("packet-down-{name}");
        let stored = golden(
            &file,
            "Data packets of a server, in order.",
            downward(suite),
        );
        let mut client = client(suite);
        for _ in 0..7 {
            client
                .send_control(long(FRAGMENT_MAX))
                .expect("the queue is empty");
            assert!(client.poll_transmit(&mut Vec::new(), START));
        }
        assert_eq!(
            told(stored, &mut client),
            [
                ConnectionEvent::Confirmed,
                ConnectionEvent::Closed(CloseReason::ServerStopping)
            ]
        );
        assert_eq!(
            client.stats().lost,
            1,
            "packet 3 lies three behind packet 6"
        );
    }
}
