//! Binding: one owner per port, and buffers as large as the system allows.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Why an address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket owns the port.
    #[error("{0} is in use by another process")]
    InUse(SocketAddr),
    /// Ports below 1024 are for privileged processes on most systems.
    #[error("no permission to bind {0}")]
    NotPermitted(SocketAddr),
    /// No interface of this machine has the address.
    #[error("{0} is not an address of this machine")]
    NotLocal(SocketAddr),
    /// Several sockets were asked for, and this system gives a port to one alone.
    #[error("this system has one socket for {0}, so that one shard alone can serve there")]
    OneSocket(SocketAddr),
    /// The system's own reason.
    #[error("cannot bind {address}: {source}")]
    Other {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What the system granted a socket, in bytes. Linux counts its own bookkeeping in, so that about
/// half of it is left for datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// For datagrams that wait to be received.
    pub receive: usize,
    /// For datagrams that wait to be sent.
    pub send: usize,
}

/// What is asked for: 4,096 full datagrams, the join of every player after a restart at once.
pub(crate) const BUFFER_WANTED: usize = 8 * 1024 * 1024;
/// No system refuses this little, so the search below ends here.
const BUFFER_ENOUGH: usize = 64 * 1024;

/// Binds a non-blocking UDP socket with raised buffers.
///
/// `SO_REUSEPORT` and `SO_REUSEADDR` stay off: with them a second process of the same user
/// would join silently and take half the traffic.
///
/// # Errors
/// See [`BindError`].
pub fn bind(address: SocketAddr) -> Result<UdpSocket, BindError> {
    open(address, |_| Ok(())).map_err(|source| named(address, source))
}

/// Why `address` cannot be bound.
pub(crate) fn named(address: SocketAddr, source: io::Error) -> BindError {
    let kind = source.kind();
    if kind == ErrorKind::AddrInUse {
        BindError::InUse(address)
    } else if kind == ErrorKind::PermissionDenied {
        BindError::NotPermitted(address)
    } else if kind == ErrorKind::AddrNotAvailable {
        BindError::NotLocal(address)
    } else {
        BindError::Other { address, source }
    }
}

/// What the system granted `socket`; 0 where it does not tell.
#[must_use]
pub fn buffers(socket: &UdpSocket) -> Buffers {
    let socket = SockRef::from(socket);
    Buffers {
        receive: socket.recv_buffer_size().unwrap_or(0),
        send: socket.send_buffer_size().unwrap_or(0),
    }
}

/// A socket as [`bind`] says, on which `prepare` may set more before it is bound.
pub(crate) fn open(
    address: SocketAddr,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // One socket, one family: what `[::]` takes in is then the same on every system.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    raise(|bytes| socket.set_recv_buffer_size(bytes));
    raise(|bytes| socket.set_send_buffer_size(bytes));
    prepare(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Linux grants its maximum instead of refusing; others refuse, so ask for less and less. A
/// system that grants nothing keeps its default, which serves.
fn raise(set: impl Fn(usize) -> io::Result<()>) {
    let mut bytes = BUFFER_WANTED;
    while set(bytes).is_err() && bytes > BUFFER_ENOUGH {
        bytes /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_busy_port_is_an_error_and_the_owner_keeps_all_traffic() {
        let owner = bind(loopback(0)).unwrap();
        let address = owner.local_addr().unwrap();
        let error = bind(address).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{address} is in use by another process")
        );

        let sender = bind(loopback(0)).unwrap();
        for number in 0..100_u8 {
            sender.send_to(&[number], address).unwrap();
        }
        let mut buffer = [0; 8];
        for number in 0..100 {
            assert_eq!(owner.recv_from(&mut buffer).unwrap().0, 1);
            assert_eq!(buffer[0], number);
        }
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let elsewhere: SocketAddr = "192.0.2.1:7777".parse().unwrap();
        let error = bind(elsewhere).unwrap_err();
        assert_eq!(
            error.to_string(),
            "192.0.2.1:7777 is not an address of this machine"
        );
    }

    #[test]
    fn receiving_from_an_empty_socket_does_not_block() {
        let socket = bind(loopback(0)).unwrap();
        let error = socket.recv_from(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn buffers_are_at_least_what_the_system_gives_anyway() {
        let plain = UdpSocket::bind(loopback(0)).unwrap();
        let raised = bind(loopback(0)).unwrap();
        assert!(buffers(&raised).receive >= buffers(&plain).receive);
        assert!(buffers(&raised).send >= buffers(&plain).send);
        assert!(buffers(&raised).receive > 0);
    }
}
