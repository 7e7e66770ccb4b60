//! The players: a few hosts of ENet with many peers each, as it allows.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use rejoin::protocol::Timestamp;
use rejoin_arena::Size;
use rejoin_arena::net::Traffic;
use rejoin_arena::players::{self, Ping, Players, Target};
use rejoin_arena::workload::PING_LEN;
use rusty_enet::{EventNoRef, Host, HostSettings, PeerID};

use super::{send, turn_throttle_off};
use crate::game::state_len;

/// Each walks over its peers whenever it sends or looks, so that few large ones are dear, and many small ones make many
/// system calls.
const HOSTS: usize = 8;
/// Longest time between two looks of a host.
const LOOK: Duration = Duration::from_micros(250);

pub(crate) struct EnetPlayers {
    server: SocketAddr,
    hosts: Vec<Player>,
    looked: Timestamp,
    begun: usize,
    ready: usize,
    left: usize,
    state_len: usize,
    traffic: Traffic,
}

/// A host, and so a socket.
type Player = Host<UdpSocket>;

impl EnetPlayers {
    pub(crate) fn new(target: Target, size: Size) -> Self {
        let host = |_| {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let socket = rejoin_datagram::bind(any).expect("loopback has a free port");
            let settings = HostSettings {
                peer_limit: size.players.div_ceil(HOSTS),
                channel_limit: 1,
                ..HostSettings::default()
            };
            let host = Host::new(socket, settings);
            host.unwrap_or_else(|error| panic!("a host of ENet: {error}"))
        };
        Self {
            server: target.address,
            hosts: (0..HOSTS).map(host).collect(),
            looked: Timestamp::ZERO,
            begun: 0,
            ready: 0,
            left: 0,
            state_len: state_len(size),
            traffic: Traffic::default(),
        }
    }

    /// Peers get slots in the order in which they connect.
    fn with(&mut self, player: usize, then: impl FnOnce(&mut Player, PeerID)) {
        if let Some(host) = self.hosts.get_mut(player % HOSTS) {
            then(host, PeerID(player / HOSTS));
        }
    }

    fn send(&mut self, player: usize, message: &[u8]) {
        self.with(player, |host, peer| {
            send(host.peer_mut(peer), message);
            host.flush();
        });
    }
}

impl Players for EnetPlayers {
    fn begin(&mut self, player: usize, _now: Timestamp) {
        assert_eq!(player, self.begun, "players begin in order");
        self.begun += 1;
        let server = self.server;
        self.with(player, |host, peer| {
            let begun = host.connect(server, 1, 0).map(|peer| peer.id());
            assert_eq!(begun.ok(), Some(peer), "slots are given in order");
            host.flush();
        });
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

    fn pump(&mut self, now: Timestamp, echoes: &mut Vec<Ping>) -> bool {
        if now.since(self.looked) < LOOK {
            return false;
        }
        self.looked = now;
        let mut any = false;
        for host in &mut self.hosts {
            while let Some(event) = host.service().ok().flatten() {
                any = true;
                match event.no_ref() {
                    EventNoRef::Connect { peer, .. } => {
                        turn_throttle_off(host.peer_mut(peer));
                        self.ready += 1;
                    }
                    EventNoRef::Disconnect { peer, .. } => {
                        assert!(self.left > 0, "the server let peer {} go", peer.0);
                    }
                    EventNoRef::Receive { packet, .. } if packet.data().len() == PING_LEN => {
                        echoes.extend(Ping::read(packet.data()));
                    }
                    EventNoRef::Receive { packet, .. } => {
                        let is_whole = packet.data().len() == self.state_len;
                        self.traffic.whole += u64::from(is_whole);
                    }
                }
            }
        }
        any
    }

    fn leave(&mut self, player: usize, _now: Timestamp) {
        self.left += 1;
        self.with(player, |host, peer| host.peer_mut(peer).disconnect_now(0));
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}
