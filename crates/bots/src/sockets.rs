//! A few UDP sockets shared by all bots. Packets carry a label that names the bot.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Bots per socket: their snapshots of one tick fit even the usual receive buffer of 208 KiB.
const BOTS_PER_SOCKET: usize = 64;
/// Sockets at most: each is asked once per pass.
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
}

impl Sockets {
    /// Opens sockets for so many bots.
    ///
    /// # Errors
    /// The system has none to give.
    pub(crate) fn open(server: SocketAddr, bots: usize) -> io::Result<Self> {
        let any = match server.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let count = bots.div_ceil(BOTS_PER_SOCKET).clamp(1, SOCKETS_MAX);
        let open = |_| {
            let socket =
                rejoin_datagram::bind(SocketAddr::new(any, 0)).map_err(io::Error::other)?;
            socket.connect(server)?;
            Ok(socket)
        };
        let sockets = (0..count).map(open).collect::<io::Result<_>>()?;
        Ok(Self {
            sockets,
            buffer: vec![0; BUFFER],
        })
    }

    /// The socket of a bot.
    pub(crate) fn of_bot(&self, bot: usize) -> usize {
        bot % self.sockets.len().max(1)
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
    pub(crate) fn send(&self, socket: usize, datagram: &[u8]) {
        if let Some(socket) = self.sockets.get(socket) {
            drop(socket.send(datagram));
        }
    }
}
