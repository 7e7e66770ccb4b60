//! A few UDP sockets shared by the bots of a crew. Packets carry a label that names the bot.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::options::Conduct;
use crate::sources::Change;

/// Bots per socket: their snapshots of one tick fit even the usual receive buffer of 208 KiB.
const BOTS_PER_SOCKET: usize = 64;
/// Idle bots per socket: little is sent to them, and never to all at once.
const IDLE_BOTS_PER_SOCKET: usize = 1_024;
/// Sockets at least, if there are as many bots: a server of several shards spreads players by their address.
const SOCKETS_MIN: usize = 8;
/// Sockets of a crew at most: each is asked once per pass.
const SOCKETS_MAX: usize = 64;
/// Datagrams taken from one socket before the others have their turn.
const BATCH: usize = 256;
/// Longest datagram taken, one byte more than the protocol sends.
const BUFFER: usize = 2_048;

/// Non-blocking sockets towards one server.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<UdpSocket>,
    buffer: Vec<u8>,
    carried: Carried,
}

/// What went through the sockets, without UDP and IP headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) datagrams_up: u64,
    pub(crate) datagrams_down: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

impl Sockets {
    /// Opens sockets for so many bots. If they are to rebind, each is bound where `change` says.
    ///
    /// # Errors
    /// The system has none to give.
    pub(crate) fn open(
        server: SocketAddr,
        conduct: Conduct,
        bots: usize,
        change: Option<Change>,
    ) -> io::Result<Self> {
        let any = match server.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let each = match conduct {
            Conduct::Play => BOTS_PER_SOCKET,
            Conduct::Idle => IDLE_BOTS_PER_SOCKET,
        };
        let least = match change {
            None => SOCKETS_MIN.min(bots).max(1),
            Some(_) => SOCKETS_MIN,
        };
        let count = bots.div_ceil(each).clamp(least, SOCKETS_MAX);
        let open = |socket| {
            let source = change.and_then(|change| change.source(socket));
            let source = SocketAddr::new(source.unwrap_or(any), 0);
            let socket = rejoin_datagram::bind(source).map_err(io::Error::other)?;
            socket.connect(server)?;
            Ok(socket)
        };
        let sockets = (0..count).map(open).collect::<io::Result<_>>()?;
        Ok(Self {
            sockets,
            buffer: vec![0; BUFFER],
            carried: Carried::default(),
        })
    }

    /// The socket of a bot.
    pub(crate) fn of_bot(&self, bot: usize) -> usize {
        bot % self.sockets.len().max(1)
    }

    /// The socket that a bot hops to from this one: bound elsewhere, if bots are to rebind.
    pub(crate) fn next_after(&self, socket: usize) -> usize {
        (socket + 1) % self.sockets.len().max(1)
    }

    /// Hands every waiting datagram to `take`, with its socket. True if there was one.
    ///
    /// An error on a UDP socket is news of an earlier send, such as a closed port. What it means is
    /// for each bot's own patience to say.
    pub(crate) fn receive(&mut self, mut take: impl FnMut(usize, &mut [u8])) -> bool {
        let mut any = false;
        for (index, socket) in self.sockets.iter().enumerate() {
            for _ in 0..BATCH {
                match socket.recv(&mut self.buffer) {
                    Ok(len) => {
                        any = true;
                        self.carried.datagrams_down += 1;
                        self.carried.bytes_down += u64::try_from(len).unwrap_or(u64::MAX);
                        take(index, self.buffer.get_mut(..len).unwrap_or_default());
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {}
                }
            }
        }
        any
    }

    /// Sends a datagram; a socket that cannot take it loses it, as any network may.
    pub(crate) fn send(&mut self, socket: usize, datagram: &[u8]) {
        let Some(socket) = self.sockets.get(socket) else {
            return;
        };
        let sent = match socket.send(datagram) {
            // That was the report about an earlier datagram; this one has not left.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => socket.send(datagram),
            sent => sent,
        };
        if let Ok(len) = sent {
            self.carried.datagrams_up += 1;
            self.carried.bytes_up += u64::try_from(len).unwrap_or(u64::MAX);
        }
    }

    /// What went through so far.
    pub(crate) const fn carried(&self) -> Carried {
        self.carried
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_hop_is_to_another_address_and_port_even_of_a_single_bot() {
        let server: SocketAddr = "127.0.0.1:7777".parse().unwrap();
        let change = Change::towards(server);
        for (bots, least) in [(1, 8), (1_000, 16), (100_000, 64)] {
            let sockets = Sockets::open(server, Conduct::Play, bots, Some(change)).unwrap();
            let address = |socket: usize| sockets.sockets[socket].local_addr().unwrap();
            let (mut socket, mut visited) = (sockets.of_bot(0), BTreeSet::new());
            for _ in 0..2 * least {
                let next = sockets.next_after(socket);
                assert_ne!(address(socket).port(), address(next).port());
                if change == Change::AddressAndPort {
                    assert_ne!(address(socket).ip(), address(next).ip());
                }
                visited.insert(next);
                socket = next;
            }
            assert_eq!(visited.len(), least);
        }
    }
}
