//! Sockets to a host's addresses, tried in turn while the join is under way.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Addresses of one host that are tried; a name has one or two, and each costs a hello's wait.
const ADDRESSES_MAX: usize = 8;

/// Unanswered hellos to a single address after which the socket is made anew: one that is connected keeps the
/// own address that it began with, and a machine may have another since.
const HELLOS_OF_A_SOCKET: u32 = 4;

/// The addresses of a host, and which comes next.
#[derive(Debug)]
pub(crate) struct Route {
    addresses: Vec<SocketAddr>,
    next: usize,
    hellos: u32,
}

impl Route {
    pub(crate) fn new(addresses: impl Iterator<Item = SocketAddr>) -> Self {
        Self {
            addresses: addresses.take(ADDRESSES_MAX).collect(),
            next: 0,
            hellos: 0,
        }
    }

    /// A non-blocking socket to the next address that this machine can send to at all.
    pub(crate) fn open(&mut self) -> io::Result<UdpSocket> {
        let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for _ in 0..self.addresses.len() {
            let Some(address) = self.addresses.get(self.next).copied() else {
                break;
            };
            self.next = (self.next + 1) % self.addresses.len();
            match connect(address) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A fresh socket to the address that the newest socket is to: this machine's own has changed.
    pub(crate) fn reopen(&self) -> io::Result<UdpSocket> {
        let before = (self.next + self.addresses.len()).checked_sub(1);
        let newest = before.and_then(|index| index.checked_rem(self.addresses.len()));
        let address = newest.and_then(|index| self.addresses.get(index));
        let none = || io::Error::new(ErrorKind::NotFound, "the host has no address");
        connect(*address.ok_or_else(none)?)
    }

    /// The server was heard: what is said next goes to where it is.
    pub(crate) fn on_welcome(&mut self) {
        self.hellos = 0;
    }

    /// A hello is about to leave: each after the first goes to the host's next address, on the
    /// socket given then. The same hello serves for all, since it is made for the server's key.
    pub(crate) fn on_hello(&mut self) -> Option<UdpSocket> {
        self.hellos = self.hellos.saturating_add(1);
        let alone = self.addresses.len() == 1;
        if self.hellos == 1 || alone && !self.hellos.is_multiple_of(HELLOS_OF_A_SOCKET) {
            return None;
        }
        self.open().ok()
    }
}

fn connect(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    }?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(ports: &[u16]) -> Route {
        Route::new(
            ports
                .iter()
                .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, *port))),
        )
    }

    fn port(socket: &UdpSocket) -> u16 {
        socket.peer_addr().unwrap().port()
    }

    #[test]
    fn each_hello_after_the_first_goes_to_the_next_address() {
        let mut route = route(&[40_001, 40_002]);
        assert_eq!(port(&route.open().unwrap()), 40_001);
        assert!(route.on_hello().is_none());
        assert_eq!(port(&route.on_hello().unwrap()), 40_002);
        assert_eq!(port(&route.on_hello().unwrap()), 40_001);
    }

    #[test]
    fn a_client_that_moved_goes_on_with_the_address_that_it_uses() {
        let mut route = route(&[40_001, 40_002, 40_003]);
        for expected in [40_001, 40_002, 40_003, 40_001] {
            assert_eq!(port(&route.open().unwrap()), expected);
            let reopened = route.reopen().unwrap();
            assert_eq!(port(&reopened), expected);
        }
        assert!(Route::new(std::iter::empty()).reopen().is_err());
    }

    #[test]
    fn a_single_address_keeps_its_socket_for_some_hellos() {
        let mut route = route(&[40_001]);
        route.open().unwrap();
        let sockets: Vec<Option<u16>> = (0..8)
            .map(|_| route.on_hello().as_ref().map(port))
            .collect();
        let (none, fresh) = ([None; 3].as_slice(), [Some(40_001)].as_slice());
        assert_eq!(sockets, [none, fresh, none, fresh].concat());
    }

    #[test]
    fn whoever_comes_back_goes_first_to_where_the_server_was() {
        let mut route = route(&[40_001, 40_002]);
        route.open().unwrap();
        for _ in 0..3 {
            assert!(route.on_hello().is_none());
            assert!(route.on_hello().is_some());
            route.on_welcome();
        }
    }

    #[test]
    fn a_host_without_an_address_is_an_error() {
        assert_eq!(route(&[]).open().unwrap_err().kind(), ErrorKind::NotFound);
    }
}
