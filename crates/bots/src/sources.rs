//! Where bots that rebind send from: addresses of this machine besides the usual one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Serialize;

/// The first of them: the usual one is 127.0.0.1.
const FIRST: u8 = 2;

/// What is another after a rebind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The address and the port: the server is on IPv4 loopback, and the system has all of 127.0.0.0/8.
    AddressAndPort,
    /// The port alone.
    Port,
}

impl Change {
    /// What this machine can change towards that server.
    pub(crate) fn towards(server: SocketAddr) -> Self {
        let is_near = matches!(server.ip(), IpAddr::V4(ip) if ip.is_loopback());
        let source = SocketAddr::new(source(0), 0);
        if is_near && rejoin_datagram::bind(source).is_ok() {
            Self::AddressAndPort
        } else {
            Self::Port
        }
    }

    /// The address of a socket; `None` if the system chooses it.
    pub(crate) fn source(self, socket: usize) -> Option<IpAddr> {
        match self {
            Self::AddressAndPort => Some(source(socket)),
            Self::Port => None,
        }
    }

    /// As a part of a sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AddressAndPort => "address and port",
            Self::Port => "port alone",
        }
    }
}

/// Neighbours of a pool differ; there are more addresses than a pool has sockets.
fn source(socket: usize) -> IpAddr {
    let last = u8::try_from(socket % usize::from(u8::MAX - FIRST)).unwrap_or(0);
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, FIRST + last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_on_loopback_of_ipv4_the_address_changes_too() {
        for far in ["192.0.2.1:7777", "[::1]:7777", "[2001:db8::1]:7777"] {
            let change = Change::towards(far.parse().unwrap());
            assert_eq!((change, change.source(3)), (Change::Port, None), "{far}");
        }
        let near = Change::towards("127.0.0.1:7777".parse().unwrap());
        #[cfg(target_os = "linux")]
        assert_eq!(near, Change::AddressAndPort);
        let _ = near;
    }

    #[test]
    fn sources_are_no_others_address_and_differ_from_their_neighbours() {
        let sources: Vec<IpAddr> = (0..600).map(source).collect();
        assert!(sources.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(sources.iter().all(|ip| ip.is_loopback()));
        assert!(!sources.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(!sources.contains(&"127.0.0.255".parse().unwrap()));
    }
}
