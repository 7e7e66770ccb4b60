//! The players' sockets, the same for every server.

use std::net::{SocketAddr, UdpSocket};

use rejoin_datagram::ReceiveBatch;
use serde::Serialize;

/// Sockets of all players. Datagrams carry the player, so few do, and each costs a look a pass. The players of a
/// room are on all of them.
const SOCKETS: usize = 8;
/// Batches taken from one socket before the others have their turn.
const BATCHES: usize = 4;

/// Datagrams and their bytes, as the players see them; those that a library hides are not counted.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Traffic {
    pub up: u64,
    pub up_bytes: u64,
    pub down: u64,
    pub down_bytes: u64,
    /// Snapshots that came, as a whole or as a delta.
    pub whole: u64,
    pub deltas: u64,
}

impl Traffic {
    pub fn since(self, before: Self) -> Self {
        Self {
            up: self.up - before.up,
            up_bytes: self.up_bytes - before.up_bytes,
            down: self.down - before.down,
            down_bytes: self.down_bytes - before.down_bytes,
            whole: self.whole - before.whole,
            deltas: self.deltas - before.deltas,
        }
    }
}

/// What the loopback device has carried so far, of all programs: IP packets, and their bytes. A run that is handed to it
/// as one counts as one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    pub packets: u64,
    pub bytes: u64,
}

impl Carried {
    /// Nothing, where the system does not tell.
    #[must_use]
    pub fn so_far() -> Self {
        let text = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        let line = lines.find_map(|line| line.strip_prefix("lo:"));
        let mut fields = line.unwrap_or_default().split_whitespace();
        let mut next = || {
            fields
                .next()
                .and_then(|field| field.parse().ok())
                .unwrap_or(0)
        };
        let bytes = next();
        Self {
            packets: next(),
            bytes,
        }
    }

    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// Sockets towards one server.
pub struct Net {
    sockets: Vec<UdpSocket>,
    batch: ReceiveBatch,
    pub traffic: Traffic,
}

impl Net {
    pub fn open(server: SocketAddr, players: usize) -> Self {
        let open = |_| {
            let socket = rejoin_datagram::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            socket.connect(server).unwrap();
            socket
        };
        Self {
            sockets: (0..players.min(SOCKETS)).map(open).collect(),
            batch: ReceiveBatch::new(),
            traffic: Traffic::default(),
        }
    }

    pub const fn socket_of(player: usize) -> usize {
        player % SOCKETS
    }

    /// A datagram that the system does not take is lost, and shows as a ping or snapshot that is missing.
    pub fn send(&mut self, player: usize, datagram: &[u8]) {
        if self.sockets[Self::socket_of(player)].send(datagram).is_ok() {
            self.traffic.up += 1;
            self.traffic.up_bytes += datagram.len() as u64;
        }
    }

    /// Hands on what has come, with its socket. True if anything had.
    pub fn receive(&mut self, mut take: impl FnMut(usize, &mut [u8])) -> bool {
        let mut any = false;
        let traffic = &mut self.traffic;
        for (index, socket) in self.sockets.iter().enumerate() {
            for _ in 0..BATCHES {
                let received = self.batch.receive(socket, |_, datagram| {
                    traffic.down += 1;
                    traffic.down_bytes += datagram.len() as u64;
                    take(index, datagram);
                });
                let received = received.expect("a socket of this process");
                any |= received.datagrams > 0;
                if received.drained {
                    break;
                }
            }
        }
        any
    }
}
