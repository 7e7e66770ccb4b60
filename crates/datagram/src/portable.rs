//! One datagram at a time, where the system has no better.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU8;
use std::path::Path;

use socket2::SockRef;

use crate::group::SteeringRules;
use crate::runs::Message;

/// Fills slots of `slot_len` bytes with what waits, and appends sender and length of each to `filled`. True if less waited
/// than there are slots, as far as the system tells.
///
/// # Errors
/// Nothing waits ([`io::ErrorKind::WouldBlock`]), or the system's own.
pub(crate) fn receive(
    socket: &UdpSocket,
    slots: &mut [u8],
    slot_len: usize,
    filled: &mut Vec<(SocketAddr, usize)>,
) -> io::Result<bool> {
    let before = filled.len();
    for slot in slots.chunks_exact_mut(slot_len) {
        match socket.recv_from(slot) {
            Ok((len, from)) => filled.push((from, len)),
            Err(error) if filled.len() == before => return Err(error),
            // Told again, or no more of interest.
            Err(_) => break,
        }
    }
    Ok(false)
}

/// Sends the first of `messages`, whose bytes are in `bytes`. Tells how many the system took.
///
/// # Errors
/// It cannot leave, because the buffer is full ([`io::ErrorKind::WouldBlock`]) or for the system's own
/// reason.
pub(crate) fn send(socket: &UdpSocket, bytes: &[u8], messages: &[Message]) -> io::Result<usize> {
    let Some(message) = messages.first() else {
        return Ok(0);
    };
    let datagram = bytes.get(message.start..message.end).unwrap_or_default();
    socket.send_to(datagram, message.to).map(|_| 1)
}

/// Asks the processor for memory that will be needed: not from here.
pub const fn fetch(_at: *const u8, _len: usize) {}

/// Whether the socket sends many datagrams as one buffer.
///
/// # Errors
/// Always: not here.
pub(crate) fn knows_runs(_socket: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// True if a device said that it cannot cut a run apart.
pub(crate) fn cannot_cut(_error: &io::Error) -> bool {
    false
}

/// Lets other sockets have the same port.
///
/// # Errors
/// Always: where there is no such option, or where it gives all datagrams to one of the sockets, nothing is
/// gained.
pub(crate) fn share(_socket: SockRef<'_>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Puts a program before a port that several sockets share.
///
/// # Errors
/// Always: not here.
pub(crate) fn steer(
    _socket: &UdpSocket,
    _rules: &SteeringRules,
    _count: NonZeroU8,
) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes that this process may still write to the disk of `folder`.
///
/// # Errors
/// Always: not here.
pub(crate) fn free_space(_folder: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}
