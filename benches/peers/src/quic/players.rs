//! The players: quinn's state machine in one thread, on the sockets that all players of the arena share. Its endpoint tells
//! connections apart by their ids, so the server sees no difference to one socket for each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event,
};
use rejoin::protocol::Timestamp;
use rejoin_arena::Size;
use rejoin_arena::net::{Net, Traffic};
use rejoin_arena::players::{self, Ping, Players, Target};
use rejoin_arena::workload::PING_LEN;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::{HOST, identity};
use crate::game::state_len;

pub(crate) struct QuinnPlayers {
    net: Net,
    server: SocketAddr,
    endpoint: Endpoint,
    config: ClientConfig,
    players: Vec<Player>,
    /// The player of each handle.
    owners: Vec<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    touched: Vec<usize>,
    ready: usize,
    state_len: usize,
    out: Vec<u8>,
}

struct Player {
    handle: ConnectionHandle,
    connection: Connection,
    timer: Option<Instant>,
    touched: bool,
    left: bool,
}

impl QuinnPlayers {
    pub(crate) fn new(target: Target, size: Size) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from(identity().certificate.clone());
        roots.add(certificate).expect("it was made as one");
        let config = ClientConfig::with_root_certificates(Arc::new(roots));
        Self {
            net: Net::open(target.address, size.players),
            server: target.address,
            endpoint: Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None),
            config: config.expect("a set of roots with one in it"),
            players: Vec::new(),
            owners: Vec::new(),
            timers: BinaryHeap::new(),
            touched: Vec::new(),
            ready: 0,
            state_len: state_len(size),
            out: Vec::new(),
        }
    }

    fn receive(&mut self, now: Instant) -> bool {
        let Self {
            net,
            endpoint,
            players,
            owners,
            touched,
            server,
            out,
            ..
        } = self;
        net.receive(|_, datagram| {
            out.clear();
            let data = BytesMut::from(&*datagram);
            let event = endpoint.handle(now, *server, None, None, data, out);
            if let Some(DatagramEvent::ConnectionEvent(handle, event)) = event
                && let Some(&index) = owners.get(handle.0)
                && let Some(player) = players.get_mut(index)
            {
                player.connection.handle_event(event);
                player.touch(index, touched);
            }
        })
    }

    fn wake(&mut self, now: Instant) {
        while let Some(&Reverse((at, index))) = self.timers.peek() {
            if at > now {
                return;
            }
            self.timers.pop();
            if let Some(player) = self.players.get_mut(index)
                && player.timer == Some(at)
            {
                player.timer = None;
                player.connection.handle_timeout(now);
                player.touch(index, &mut self.touched);
            }
        }
    }

    /// Lets a player take what came and send what it has, in the order that the state machine asks for.
    fn flush(&mut self, index: usize, echoes: &mut Vec<Ping>, now: Instant) {
        let Some(player) = self.players.get_mut(index) else {
            return;
        };
        player.touched = false;
        while let Some(event) = player.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(player.handle, event) {
                player.connection.handle_event(event);
            }
        }
        while let Some(event) = player.connection.poll() {
            match event {
                Event::Connected => self.ready += 1,
                Event::ConnectionLost { reason } => {
                    assert!(player.left, "player {index} ended: {reason}");
                }
                Event::DatagramReceived
                | Event::HandshakeDataReady
                | Event::Stream(_)
                | Event::DatagramsUnblocked => {}
            }
        }
        while let Some(message) = player.connection.datagrams().recv() {
            if message.len() == PING_LEN {
                echoes.extend(Ping::read(&message));
            }
            self.net.traffic.whole += u64::from(message.len() == self.state_len);
        }
        self.transmit(index, now);
    }

    fn transmit(&mut self, index: usize, now: Instant) {
        let Some(player) = self.players.get_mut(index) else {
            return;
        };
        self.out.clear();
        while let Some(transmit) = player.connection.poll_transmit(now, 1, &mut self.out) {
            let datagram = self.out.get(..transmit.size).unwrap_or_default();
            self.net.send(index, datagram);
            self.out.clear();
        }
        if let Some(at) = player.connection.poll_timeout()
            && player.timer.is_none_or(|set| at < set)
        {
            player.timer = Some(at);
            self.timers.push(Reverse((at, index)));
        }
    }

    fn send(&mut self, index: usize, message: &[u8]) {
        if let Some(player) = self.players.get_mut(index) {
            let message = Bytes::copy_from_slice(message);
            let sent = player.connection.datagrams().send(message, true);
            sent.expect("the server takes datagrams of this size");
            self.transmit(index, Instant::now());
        }
    }
}

impl Player {
    fn touch(&mut self, index: usize, touched: &mut Vec<usize>) {
        if !std::mem::replace(&mut self.touched, true) {
            touched.push(index);
        }
    }
}

impl Players for QuinnPlayers {
    fn begin(&mut self, index: usize, _now: Timestamp) {
        assert_eq!(index, self.players.len(), "players begin in order");
        let (config, now) = (self.config.clone(), Instant::now());
        let begun = self.endpoint.connect(now, config, self.server, HOST);
        let (handle, connection) = begun.expect("an address and a name that may be");
        assert_eq!(handle.0, self.owners.len(), "handles are given in order");
        self.owners.push(index);
        self.players.push(Player {
            handle,
            connection,
            timer: None,
            touched: false,
            left: false,
        });
        self.transmit(index, now);
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn input(&mut self, player: usize, now: Timestamp) {
        let input = players::input(now);
        self.send(player, &input);
    }

    fn ping(&mut self, player: usize, ping: Ping, _now: Timestamp) {
        self.send(player, &ping.bytes());
    }

    fn pump(&mut self, _now: Timestamp, echoes: &mut Vec<Ping>) -> bool {
        let now = Instant::now();
        let any = self.receive(now);
        self.wake(now);
        let mut touched = std::mem::take(&mut self.touched);
        for index in touched.drain(..) {
            self.flush(index, echoes, now);
        }
        self.touched = touched;
        any
    }

    fn leave(&mut self, index: usize, _now: Timestamp) {
        let now = Instant::now();
        if let Some(player) = self.players.get_mut(index) {
            player.left = true;
            player.connection.close(now, 0_u8.into(), Bytes::new());
            self.transmit(index, now);
        }
    }

    fn traffic(&self) -> Traffic {
        self.net.traffic
    }
}
