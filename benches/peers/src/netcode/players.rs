//! The players: renet's client each, with a socket of its own, since the server tells clients apart by their address.
//!
//! A client takes what came as soon as it is there, and sends when its player does, where a game would do both once a frame.
//! That is in renet's favour: its clients acknowledge with each send, 35 times a second here instead of 60.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rejoin::protocol::Timestamp;
use rejoin_arena::Size;
use rejoin_arena::net::Traffic;
use rejoin_arena::players::{self, Ping, Players, Target};
use rejoin_arena::workload::PING_LEN;
use renet::{ConnectionConfig, DefaultChannel, RenetClient};
use renet_netcode::{ClientAuthentication, ConnectToken, NetcodeClientTransport};

use super::server::since_1970;
use super::{KEY, PROTOCOL};
use crate::game::state_len;
use crate::readiness::Readiness;

/// How often a client does what is due though nothing came: requests again, keep-alives, acknowledgements.
const UPKEEP: Duration = Duration::from_millis(100);

pub(crate) struct RenetPlayers {
    server: SocketAddr,
    readiness: Readiness,
    players: Vec<Player>,
    /// When whose upkeep is due, the next one first.
    upkeep: VecDeque<(Timestamp, usize)>,
    ready: usize,
    state_len: usize,
    traffic: Traffic,
}

struct Player {
    client: RenetClient,
    transport: NetcodeClientTransport,
    updated: Timestamp,
    sent: Timestamp,
    is_ready: bool,
    left: bool,
}

impl RenetPlayers {
    pub(crate) fn new(target: Target, size: Size) -> Self {
        Self {
            server: target.address,
            readiness: Readiness::new(),
            players: Vec::new(),
            upkeep: VecDeque::new(),
            ready: 0,
            state_len: state_len(size),
            traffic: Traffic::default(),
        }
    }

    fn send(&mut self, player: usize, message: &[u8], now: Timestamp) {
        if let Some(player) = self.players.get_mut(player) {
            let message = Bytes::copy_from_slice(message);
            player
                .client
                .send_message(DefaultChannel::Unreliable, message);
            player.send(now);
        }
    }

    /// Takes what came for one player.
    fn take(&mut self, index: usize, echoes: &mut Vec<Ping>, now: Timestamp) {
        let Some(player) = self.players.get_mut(index) else {
            return;
        };
        player.update(index, now);
        if player.client.is_connected() && !player.is_ready {
            player.is_ready = true;
            self.ready += 1;
            // The server counts a client as connected from its first packet on.
            player.send(now);
        }
        while let Some(message) = player.client.receive_message(DefaultChannel::Unreliable) {
            if message.len() == PING_LEN {
                echoes.extend(Ping::read(&message));
            }
            self.traffic.whole += u64::from(message.len() == self.state_len);
        }
    }
}

impl Player {
    /// Reads its socket, and does what is due.
    fn update(&mut self, index: usize, now: Timestamp) {
        let passed = now.since(std::mem::replace(&mut self.updated, now));
        self.client.update(passed);
        let updated = self.transport.update(passed, &mut self.client);
        assert!(updated.is_ok() || self.left, "player {index}: {updated:?}");
    }

    fn send(&mut self, now: Timestamp) {
        self.sent = now;
        // What the system does not take is lost, as any datagram may be.
        self.transport.send_packets(&mut self.client).ok();
    }
}

impl Players for RenetPlayers {
    fn begin(&mut self, index: usize, now: Timestamp) {
        assert_eq!(index, self.players.len(), "players begin in order");
        let token = ConnectToken::generate(
            since_1970(),
            PROTOCOL,
            300,
            index as u64,
            15,
            vec![self.server],
            None,
            &KEY,
        );
        let authentication = ClientAuthentication::Secure {
            connect_token: token.expect("a token for one address"),
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = std::net::UdpSocket::bind(any).expect("a socket for each player");
        self.readiness.watch(&socket, index);
        let transport = NetcodeClientTransport::new(since_1970(), authentication, socket);
        let mut player = Player {
            client: RenetClient::new(ConnectionConfig::default()),
            transport: transport.expect("a fresh token"),
            updated: now,
            sent: now,
            is_ready: false,
            left: false,
        };
        player.update(index, now);
        self.players.push(player);
        self.upkeep.push_back((now + UPKEEP, index));
    }

    fn ready(&self) -> usize {
        self.ready
    }

    fn input(&mut self, player: usize, now: Timestamp) {
        let input = players::input(now);
        self.send(player, &input, now);
    }

    fn ping(&mut self, player: usize, ping: Ping, now: Timestamp) {
        self.send(player, &ping.bytes(), now);
    }

    fn pump(&mut self, now: Timestamp, echoes: &mut Vec<Ping>) -> bool {
        let ready = self.readiness.ready();
        for index in &ready {
            self.take(*index, echoes, now);
        }
        while let Some(&(at, index)) = self.upkeep.front()
            && at <= now
        {
            self.upkeep.pop_front();
            self.upkeep.push_back((now + UPKEEP, index));
            self.take(index, echoes, now);
            if let Some(player) = self.players.get_mut(index)
                && now.since(player.sent) >= UPKEEP
            {
                player.send(now);
            }
        }
        !ready.is_empty()
    }

    fn leave(&mut self, player: usize, _now: Timestamp) {
        if let Some(player) = self.players.get_mut(player) {
            player.left = true;
            player.transport.disconnect();
        }
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}
